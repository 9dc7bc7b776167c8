"""2K2K (Han et al., CVPR 2023): coarse normals and depth, twelve aligned parts, high-resolution depth."""
