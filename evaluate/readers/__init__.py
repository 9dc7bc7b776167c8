"""Strict readers of .glb and .obj files."""

from .check import read_mesh
from .mesh import Material, Mesh

__all__ = ["Material", "Mesh", "read_mesh"]
