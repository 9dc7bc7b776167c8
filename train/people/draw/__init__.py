"""Drawing people: raster (which face each pixel shows), textures, fabric, wrinkles, light, shade (the linear picture)."""
