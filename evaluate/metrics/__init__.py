"""Metrics in plain numpy, scipy and the shared rasteriser. Lengths in metres inside, cm or mm in tables."""
