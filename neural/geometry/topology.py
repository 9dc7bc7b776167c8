"""What a triangle mesh must be before it may leave the surface stage: one closed, oriented, two-manifold piece.

Plain numpy and scipy.sparse. Faces are (F, 3) int, counter-clockwise seen from outside.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def directed_edges(faces: np.ndarray) -> np.ndarray:
    """(F, 3) -> (3F, 2) directed edges, corner by corner."""
    f = np.asarray(faces, np.int64)
    return np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]]])


def _keys(edges: np.ndarray, count: int) -> np.ndarray:
    return edges[:, 0] * np.int64(count) + edges[:, 1]


def is_watertight(faces: np.ndarray) -> bool:
    """True when every edge has exactly two faces, run through in opposite directions, and no face is degenerate."""
    f = np.asarray(faces, np.int64)
    if not len(f) or (f[:, 0] == f[:, 1]).any() or (f[:, 1] == f[:, 2]).any() or (f[:, 2] == f[:, 0]).any():
        return False
    n = int(f.max()) + 1
    edges = directed_edges(f)
    forward = np.sort(_keys(edges, n))
    if (forward[1:] == forward[:-1]).any():
        return False
    return bool(np.array_equal(forward, np.sort(_keys(edges[:, ::-1], n))))


def has_manifold_vertices(faces: np.ndarray) -> bool:
    """True when the faces at every vertex form one fan (no two cones that touch in a point). Needs a closed mesh."""
    return not len(pinched_vertices(faces))


def pinched_vertices(faces: np.ndarray) -> np.ndarray:
    """Vertices whose faces form more than one fan. (K,) int64."""
    f = np.asarray(faces, np.int64)
    n = int(f.max()) + 1
    # one node per (face, corner); two corners at the same vertex are joined when their faces share an edge there
    edges = directed_edges(f)
    m = len(f)
    start = np.concatenate([np.arange(m), np.arange(m) + m, np.arange(m) + 2 * m])       # corner of the edge's tail
    end = np.concatenate([np.arange(m) + m, np.arange(m) + 2 * m, np.arange(m)])         # corner of its head
    forward, backward = _keys(edges, n), _keys(edges[:, ::-1], n)
    order = np.argsort(forward)
    at = np.searchsorted(forward[order], backward)
    at = np.minimum(at, len(order) - 1)
    twin = order[at]
    good = forward[twin] == backward
    a = np.concatenate([start[good], end[good]])
    b = np.concatenate([end[twin[good]], start[twin[good]]])
    graph = coo_matrix((np.ones(len(a), np.int8), (a, b)), shape=(3 * m, 3 * m))
    fans, label = connected_components(graph, directed=False)
    vertex_of_fan = np.zeros(fans, np.int64)
    vertex_of_fan[label] = np.concatenate([f[:, 0], f[:, 1], f[:, 2]])
    count = np.bincount(vertex_of_fan, minlength=n)
    return np.nonzero(count > 1)[0]


def face_components(faces: np.ndarray, vertices: int) -> tuple[int, np.ndarray]:
    """Number of components and the component of every face, connected through shared vertices."""
    edges = directed_edges(faces)
    graph = coo_matrix((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(vertices, vertices))
    _, label = connected_components(graph, directed=False)
    used, of_face = np.unique(label[np.asarray(faces)[:, 0]], return_inverse=True)
    return len(used), of_face


def largest_component(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The component with the largest area, unused vertices dropped."""
    count, label = face_components(faces, len(vertices))
    if count > 1:
        v = np.asarray(vertices, np.float64)
        area = np.linalg.norm(np.cross(v[faces[:, 1]] - v[faces[:, 0]], v[faces[:, 2]] - v[faces[:, 0]]), axis=1)
        faces = faces[label == np.argmax(np.bincount(label, area))]
    return compact(vertices, faces)


def compact(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop vertices that no face uses."""
    used = np.zeros(len(vertices), bool)
    used[np.asarray(faces).ravel()] = True
    index = np.cumsum(used) - 1
    return vertices[used], index[faces].astype(np.int32)


def signed_volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Cubic metres; positive when faces look outward."""
    v = np.asarray(vertices, np.float64)
    v = v - v.mean(0)
    return float(np.einsum("ij,ij->i", v[faces[:, 0]], np.cross(v[faces[:, 1]], v[faces[:, 2]])).sum() / 6)


def split_pinches(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give every fan of a pinched vertex a vertex of its own (the surface keeps its shape and stays closed)."""
    f = np.asarray(faces, np.int64).copy()
    extra: list[np.ndarray] = []
    count = len(vertices)
    for vertex in pinched_vertices(f):
        rows = np.nonzero((f == vertex).any(1))[0]
        others = [set(f[r]) - {vertex} for r in rows]
        left = list(range(len(rows)))
        first = True
        while left:
            fan, reach = [left.pop(0)], set()
            reach |= others[fan[0]]
            grown = True
            while grown:
                grown = False
                for k in list(left):
                    if others[k] & reach:
                        fan.append(k)
                        reach |= others[k]
                        left.remove(k)
                        grown = True
            if not first:
                f[rows[fan]] = np.where(f[rows[fan]] == vertex, count, f[rows[fan]])
                extra.append(vertices[vertex])
                count += 1
            first = False
    if extra:
        vertices = np.concatenate([vertices, np.asarray(extra, vertices.dtype)])
    return vertices, f.astype(np.int32)
