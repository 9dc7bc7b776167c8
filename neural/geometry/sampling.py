"""Choosing points."""

from __future__ import annotations

import numpy as np


def thin_out(xyz: np.ndarray, normals: np.ndarray, voxel: float) -> np.ndarray:
    """Indices (ascending) of one point per voxel and side: points whose normals look opposite ways (the two faces of
    a thin sheet) never replace each other.

    xyz (N, 3) metres, normals (N, 3) unit, voxel metres. The point nearest to the voxel's middle stays.
    """
    scaled = (xyz - xyz.min(0)) / voxel
    cell = np.floor(scaled).astype(np.int64)
    offset = ((scaled - cell - 0.5) ** 2).sum(1)
    side = np.argmax(np.abs(normals), 1) * 2
    side = side + (normals[np.arange(len(normals)), side // 2] > 0)
    extent = cell.max(0) + 1
    key = ((cell[:, 0] * extent[1] + cell[:, 1]) * extent[2] + cell[:, 2]) * 6 + side
    order = np.lexsort((np.arange(len(key)), offset, key))
    first = np.ones(len(key), bool)
    first[1:] = key[order][1:] != key[order][:-1]
    return np.sort(order[first])
