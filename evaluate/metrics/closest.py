"""Exact closest points on triangle meshes whose triangles may be of any sizes."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree


class Surface:
    """A triangle mesh (V, 3), (F, 3), prepared for closest-point queries. Degenerate triangles are left out."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray):
        tri = np.asarray(vertices, np.float64)[faces]
        normal = np.cross(tri[:, 1] - tri[:, 0], tri[:, 2] - tri[:, 0])
        area = np.linalg.norm(normal, axis=1)
        self.rows = np.nonzero(area > 1e-14)[0]
        self.triangles, self.normals = tri[self.rows], normal[self.rows] / area[self.rows, None]
        centre = (self.triangles.min(1) + self.triangles.max(1)) / 2
        radius = np.linalg.norm(self.triangles - centre[:, None], axis=2).max(1)
        # One tree a class of size: no point of a triangle lies further from its centre than the class's radius, so a
        # class is done as soon as the k-th centre is further away than the best distance plus that radius.
        level = np.floor(np.log2(np.maximum(radius, 1e-6))).astype(int)
        self.radius = radius
        self.classes = []
        for value in np.unique(level):
            rows = np.nonzero(level == value)[0]
            self.classes.append((rows, cKDTree(centre[rows]), float(radius[rows].max())))
        self.classes.sort(key=lambda c: -len(c[0]))

    def closest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(N, 3) -> distance (N,), point (N, 3), face (N,) row of the original faces. Exact."""
        points = np.asarray(points, np.float64)
        best = np.full(len(points), np.inf)
        place = np.zeros((len(points), 3))
        face = np.zeros(len(points), np.int64)
        for rows, tree, radius in self.classes:
            todo, k = np.arange(len(points)), 1
            while len(todo):
                k = min(k, len(rows))
                far, pick = tree.query(points[todo], k)
                far, pick = far.reshape(len(todo), k), rows[pick.reshape(len(todo), k)]   # all: ties change places
                who, column = np.nonzero(far - self.radius[pick] < best[todo, None])
                if len(who):
                    self._improve(points, todo[who], pick[who, column], best, place, face)
                todo = todo[(far[:, -1] <= best[todo] + radius) & (k < len(rows))]
                k = max(8, k * 3)
        return best, place, self.rows[face]

    def _improve(self, points, query, triangle, best, place, face) -> None:
        """Test (query, triangle) pairs; `query` is ascending. Keeps the nearest."""
        for start in range(0, len(query), 1_000_000):
            q, t = query[start:start + 1_000_000], triangle[start:start + 1_000_000]
            point = point_on_triangle(points[q], self.triangles[t])
            distance = np.linalg.norm(point - points[q], axis=1)
            order = np.lexsort((distance, q))
            first = order[np.concatenate([[True], q[order][1:] != q[order][:-1]])]
            first = first[distance[first] < best[q[first]]]
            best[q[first]], place[q[first]], face[q[first]] = distance[first], point[first], t[first]


def point_on_triangle(p: np.ndarray, tri: np.ndarray) -> np.ndarray:
    """Closest points of triangles (N, 3, 3) to points (N, 3): the plane's foot where inside, else the best edge's."""
    a, b, c = tri[:, 0], tri[:, 1], tri[:, 2]
    normal = np.cross(b - a, c - a)
    square = np.maximum((normal * normal).sum(1), 1e-300)
    foot = p - normal * (((p - a) * normal).sum(1) / square)[:, None]
    out = np.zeros(len(p), bool)
    for s, e in ((a, b), (b, c), (c, a)):
        out |= (np.cross(e - s, foot - s) * normal).sum(1) < 0
    rows = np.nonzero(out)[0]
    if len(rows):
        best = np.full(len(rows), np.inf)
        q = p[rows]
        for s, e in ((a, b), (b, c), (c, a)):
            edge = e[rows] - s[rows]
            t = np.clip(((q - s[rows]) * edge).sum(1) / np.maximum((edge * edge).sum(1), 1e-300), 0, 1)
            near = s[rows] + t[:, None] * edge
            gap = ((q - near) ** 2).sum(1)
            win = gap < best
            best[win], foot[rows[win]] = gap[win], near[win]
    return foot
