"""A second UV layer: the body model's own UVs carried over to a mesh around it."""

from __future__ import annotations

import numpy as np

from .closest import Closest, closest_points


def carry_uv(vertices: np.ndarray, faces: np.ndarray, near: Closest, body_vertices: np.ndarray,
             body_faces: np.ndarray, body_uv: np.ndarray, body_uv_faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """UVs of the closest points on the body, per corner.

    near: closest points of the mesh's vertices. A face whose corners fall on both sides of a cut of the body's UVs is
    mapped as a whole through the one body triangle nearest to its middle (continued as a plane), so that no face smears
    across the square. -> uv (W, 2) float32 in [0, 1], faces (F, 3) int32 into it.
    """
    table = np.asarray(body_uv, np.float64)[body_uv_faces]                       # (Fb, 3, 2)
    uv = np.einsum("nk,nkc->nc", near.bary, table[near.face])                    # (V, 2)
    corner = uv[faces]                                                           # (F, 3, 2)
    rows = np.nonzero(_torn(vertices, faces, corner, body_vertices, body_faces, table))[0]
    if len(rows):
        middle = vertices[faces[rows]].mean(1)
        a, b, c = (vertices[faces[rows, k]] for k in range(3))
        normal = np.cross(b - a, c - a)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-20)
        anchor = closest_points(middle, body_vertices, body_faces, normal)
        corner[rows] = _continue(vertices[faces[rows]] - middle[:, None] + anchor.point[:, None],
                                 np.asarray(body_vertices, np.float64)[body_faces[anchor.face]], table[anchor.face])
    corner = np.clip(corner, 0, 1)
    torn = np.zeros(len(faces), bool)
    torn[rows] = True
    whole = np.nonzero(~torn)[0]
    used, index = np.unique(faces[whole], return_inverse=True)                   # shared points where nothing is torn
    out = np.empty(faces.shape, np.int64)
    out[whole] = index.reshape(-1, 3)
    out[rows] = len(used) + np.arange(3 * len(rows)).reshape(-1, 3)
    points = np.concatenate([np.clip(uv[used], 0, 1), corner[rows].reshape(-1, 2)])
    return points.astype(np.float32), out.astype(np.int32)


def _torn(vertices, faces, corner, body_vertices, body_faces, table):
    """(F,) bool: the face is far larger in the body's UVs than its size in space explains."""
    tri = np.asarray(body_vertices, np.float64)[body_faces]
    space = np.linalg.norm(tri - np.roll(tri, 1, 1), axis=2).mean()
    flat = np.linalg.norm(table - np.roll(table, 1, 1), axis=2)
    density = np.quantile(flat / np.maximum(np.linalg.norm(tri - np.roll(tri, 1, 1), axis=2), 1e-6), 0.95)
    edge = np.linalg.norm(np.asarray(vertices, np.float64)[faces] - np.asarray(vertices, np.float64)[np.roll(faces, 1, 1)], axis=2)
    return (np.linalg.norm(corner - np.roll(corner, 1, 1), axis=2) > 2.0 * density * (edge + space)).any(1)


def _continue(points, tri, uv):
    """UV of (N, 3, 3) points by the affine map of triangles (N, 3, 3) with uv (N, 3, 2), at most 3 triangles away."""
    a = tri[:, None, 0]
    e1, e2, d = tri[:, None, 1] - a, tri[:, None, 2] - a, points - a
    d00, d01, d11 = (e1 * e1).sum(2), (e1 * e2).sum(2), (e2 * e2).sum(2)
    d20, d21 = (d * e1).sum(2), (d * e2).sum(2)
    det = np.maximum(d00 * d11 - d01 ** 2, 1e-20)
    s = np.clip((d11 * d20 - d01 * d21) / det, -3, 3)[..., None]
    t = np.clip((d00 * d21 - d01 * d20) / det, -3, 3)[..., None]
    return uv[:, None, 0] * (1 - s - t) + uv[:, None, 1] * s + uv[:, None, 2] * t
