"""The direct way from two depth maps to a closed mesh: a grid for each side, sewn together along the silhouette."""

from __future__ import annotations

import numpy as np

from ..contract.frames import Camera
from .topology import directed_edges, split_pinches

THINNEST_M = 4e-4  # sheets thinner than this would fold through each other


def stitch(front: np.ndarray, back: np.ndarray, mask: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """front, back (H, W) metres (z), mask (H, W) bool -> vertices (V, 3) float64 camera metres, faces (F, 3) int64.

    Every mask pixel whose neighbours form a full cell gets one vertex on each side; the two grids are joined by walls
    along their common border. Closed by construction, whatever the mask.
    """
    cells = _triangles(mask)
    height, width = mask.shape
    used = np.unique(cells)
    index = np.full(height * width, -1, np.int64)
    index[used] = np.arange(len(used))
    front_faces = index[cells]
    if len(used):                                            # pixels that touch only in a corner: one vertex a side
        copies, front_faces = split_pinches(np.arange(len(used))[:, None], front_faces)
        used, front_faces = used[copies[:, 0]], front_faces.astype(np.int64)
    rows, columns = np.divmod(used, width)
    ray = camera.rays(np.stack([columns + 0.5, rows + 0.5], 1))
    near, far = front.ravel()[used].astype(np.float64), back.ravel()[used].astype(np.float64)
    middle, half = (near + far) / 2, np.maximum((far - near) / 2, THINNEST_M / 2)
    vertices = np.concatenate([ray * (middle - half)[:, None], ray * (middle + half)[:, None]])
    back_faces = front_faces[:, ::-1] + len(used)
    edges = directed_edges(front_faces)
    key, twin = edges[:, 0] * len(used) + edges[:, 1], edges[:, 1] * len(used) + edges[:, 0]
    a, b = edges[~np.isin(key, twin)].T
    walls = np.concatenate([np.stack([b, a, a + len(used)], 1), np.stack([b, a + len(used), b + len(used)], 1)])
    return vertices, np.concatenate([front_faces, back_faces, walls])


def _triangles(mask: np.ndarray) -> np.ndarray:
    """(T, 3) pixel indices of the front grid: two triangles where four pixels are there, one where three are.

    Seen in the image (y down) they run so that their normals look at the camera (-z).
    """
    height, width = mask.shape
    pixel = np.arange(height * width).reshape(height, width)
    a, b, c, d = pixel[:-1, :-1], pixel[:-1, 1:], pixel[1:, 1:], pixel[1:, :-1]
    A, B, C, D = mask[:-1, :-1], mask[:-1, 1:], mask[1:, 1:], mask[1:, :-1]
    out = []
    for here, (p, q, r) in (
        (A & B & D, (a, b, d)), (B & C & D, (b, c, d)),                  # full cells, and cells without C or A
        (A & B & C & ~D, (a, b, c)), (A & C & D & ~B, (a, c, d)),
    ):
        out.append(np.stack([p[here], r[here], q[here]], 1))          # reversed: normals look at the camera
    return np.concatenate(out)
