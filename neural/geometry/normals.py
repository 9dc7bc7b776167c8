"""Normals of meshes and depth maps."""

from __future__ import annotations

import numpy as np


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3), (F, 3) -> (V, 3) float32 unit normals, area-weighted; counter-clockwise faces look outward.

    A vertex without faces gets (0, 0, 0).
    """
    v = np.asarray(vertices, np.float64)
    a, b, c = v[faces[:, 0]], v[faces[:, 1]], v[faces[:, 2]]
    face = np.cross(b - a, c - a)
    out = np.stack([np.bincount(faces.ravel(), np.repeat(face[:, k], 3), len(v)) for k in range(3)], 1)
    length = np.linalg.norm(out, axis=1, keepdims=True)
    return (out / np.maximum(length, 1e-20)).astype(np.float32)


def face_areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,) float64 areas."""
    v = np.asarray(vertices, np.float64)
    return 0.5 * np.linalg.norm(np.cross(v[faces[:, 1]] - v[faces[:, 0]], v[faces[:, 2]] - v[faces[:, 0]]), axis=1)
