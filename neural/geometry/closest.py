"""Closest points on a triangle mesh, with or without regard to the normal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree


@dataclass(frozen=True)
class Closest:
    """For N queries: face (N,) int64; bary (N, 3) float64 inside it; point (N, 3); distance (N,) metres;

    cosine (N,) between the query's normal and the face's (1 when no normals were given).
    """

    face: np.ndarray
    bary: np.ndarray
    point: np.ndarray
    distance: np.ndarray
    cosine: np.ndarray

    def interpolate(self, values: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """(V, C) values at the mesh's vertices (or corners) -> (N, C) at the points found."""
        return np.einsum("nk,nkc->nc", self.bary, np.asarray(values, np.float64)[faces[self.face]])


def closest_points(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray | None = None,
                   turn_cost_m: float = 0.06, candidates: int = 10) -> Closest:
    """Closest points of (N, 3) `points` on the mesh (V, 3), (F, 3).

    With `normals` (N, 3) unit, a face whose normal differs is as good as one `turn_cost_m` * |n - n'| metres further
    away, so that the side of the chest is not taken for the arm that touches it. Candidates are the `candidates` faces
    with the nearest centres in position and, with normals, as many in position + normal: exact where triangles are of
    similar size, as in a body model.
    """
    p = np.asarray(points, np.float64)
    tri = np.asarray(vertices, np.float64)[faces]
    centre = tri.mean(1)
    face_normal = np.cross(tri[:, 1] - tri[:, 0], tri[:, 2] - tri[:, 0])
    face_normal /= np.maximum(np.linalg.norm(face_normal, axis=1, keepdims=True), 1e-20)
    k = min(candidates, len(faces))
    pick = cKDTree(centre).query(p, k)[1].reshape(len(p), k)
    if normals is not None:
        unit = np.asarray(normals, np.float64)
        tree = cKDTree(np.concatenate([centre, face_normal * turn_cost_m], 1))
        pick = np.concatenate([pick, tree.query(np.concatenate([p, unit * turn_cost_m], 1), k)[1].reshape(len(p), k)], 1)
    n, k = pick.shape
    bary, point = _on_triangle(np.repeat(p, k, 0), tri[pick.ravel()])
    distance = np.linalg.norm(point - np.repeat(p, k, 0), axis=1).reshape(n, k)
    cost = distance
    if normals is not None:
        turn = np.linalg.norm(unit[:, None] - face_normal[pick], axis=2)
        cost = np.hypot(distance, turn_cost_m * turn)
    best = np.argmin(cost, 1)
    row, flat = np.arange(n), np.arange(n) * k + best
    face = pick[row, best]
    cosine = np.ones(n) if normals is None else (unit * face_normal[face]).sum(1)
    return Closest(face, bary[flat], point[flat], distance[row, best], cosine)


def _on_triangle(p, tri):
    """Closest point of each triangle (N, 3, 3) to each p (N, 3) -> barycentrics (N, 3), point (N, 3)."""
    a, b, c = tri[:, 0], tri[:, 1], tri[:, 2]
    ab, ac, ap = b - a, c - a, p - a
    d00, d01, d11 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    d20, d21 = (ap * ab).sum(1), (ap * ac).sum(1)
    det = np.maximum(d00 * d11 - d01 * d01, 1e-30)
    v, w = (d11 * d20 - d01 * d21) / det, (d00 * d21 - d01 * d20) / det
    bary = np.stack([1 - v - w, v, w], 1)
    out = np.nonzero((bary < 0).any(1))[0]                         # outside: the best of the three edges
    if len(out):
        best = np.full(len(out), np.inf)
        for i, j in ((0, 1), (1, 2), (2, 0)):
            s, e = tri[out, i], tri[out, j]
            edge = e - s
            t = np.clip(((p[out] - s) * edge).sum(1) / np.maximum((edge * edge).sum(1), 1e-30), 0, 1)
            gap = np.linalg.norm(p[out] - s - t[:, None] * edge, axis=1)
            rows = np.nonzero(gap < best)[0]
            best[rows] = gap[rows]
            new = np.zeros((len(rows), 3))
            new[:, i], new[:, j] = 1 - t[rows], t[rows]
            bary[out[rows]] = new
    return bary, np.einsum("nk,nkc->nc", bary, tri)
