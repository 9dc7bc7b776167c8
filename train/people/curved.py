"""A coarse mesh with smooth shading becomes the fine, curved surface that its shading pretends (curved PN triangles, Vlachos 2001).

Game characters have some thousand flat triangles, but are shaded as if they were round. A picture then shows normals that no
surface with those flat facets has: 5 degrees apart on average. After this the normals are those of the geometry.
"""

from __future__ import annotations

import numpy as np


def curved(vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray, weld: np.ndarray, pieces: int = 3, least_m: float = 0.010
           ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cut every triangle with an edge longer than least_m into pieces^2 on its cubic patch.

    vertices, normals (V, 3), unit; faces (F, 3); weld (V,): equal for vertices at one place. Only edges longer than least_m bend, so
    that no gap opens beside a triangle that is left whole; they bend alike on both sides, by the mean of the normals that meet at
    an end, or not at all where these look opposite ways (two sides of one sheet).
    Returns vertices (W, 3), normals (W, 3), faces (G, 3), and of every new vertex the three old ones (W, 3) and their weights
    (W, 3), so that whatever else vertices carry can be carried along; and of every new face the old one (G,).
    """
    vertices = np.asarray(vertices, np.float64)
    longest = np.linalg.norm(vertices[faces] - vertices[np.roll(faces, -1, 1)], axis=2).max(1)
    long = np.nonzero((longest > least_m) & (pieces > 1))[0]
    whole = np.setdiff1d(np.arange(len(faces)), long)
    bary, small = _grid(max(pieces, 1))
    count = len(bary)
    place = _patch(vertices[faces[long]], _shared(normals, weld)[faces[long]], bary, least_m).reshape(-1, 3)
    source = np.concatenate([np.repeat(faces[long][:, None], count, 1).reshape(-1, 3), np.repeat(faces[whole].reshape(-1, 1), 3, 1)])
    weight = np.concatenate([np.tile(bary, (len(long), 1)), np.tile([1.0, 0, 0], (3 * len(whole), 1))])
    place = np.concatenate([place, vertices[faces[whole]].reshape(-1, 3)])
    new = np.concatenate([(small[None] + np.arange(len(long))[:, None, None] * count).reshape(-1, 3),
                          np.arange(3 * len(whole)).reshape(-1, 3) + len(long) * count])
    of = np.concatenate([np.repeat(long, len(small)), whole])
    first, number = _merged(source, weight, len(vertices))
    place, source, weight, new = place[first], source[first], weight[first], number[new]
    return place, _geometric(place, new), new, source, weight, of


def _patch(p: np.ndarray, n: np.ndarray, bary: np.ndarray, least_m: float) -> np.ndarray:
    """Corners and normals (F, 3, 3) -> (F, K, 3): places on the cubic patches."""
    u, v, w = (bary[:, k][None, :, None] for k in range(3))                   # weights of corners 0, 1, 2
    a, b, c = (p[:, k, None] for k in range(3))
    ab, ba, bc, cb, ca, ac = (_control(p, n, i, j, least_m) for i, j in ((0, 1), (1, 0), (1, 2), (2, 1), (2, 0), (0, 2)))
    edges = (ab + ba + bc + cb + ca + ac) / 6
    middle = edges + (edges - p.mean(1, keepdims=True)) / 2
    return (a * u ** 3 + b * v ** 3 + c * w ** 3
            + 3 * (ab * u * u * v + ba * u * v * v + bc * v * v * w + cb * v * w * w + ca * w * w * u + ac * w * u * u)
            + 6 * middle * u * v * w)


def _merged(source: np.ndarray, weight: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices that are the same mixture of the same old ones: row of one of each, and number of every vertex."""
    order = np.argsort(np.where(weight > 0, source, count), axis=1)
    key = np.take_along_axis(np.where(weight > 0, source, count), order, 1)
    share = np.rint(1e4 * np.take_along_axis(weight, order, 1)).astype(np.int64)
    _, first, number = np.unique(np.concatenate([key, share], 1), axis=0, return_index=True, return_inverse=True)
    return first, number.reshape(-1)


def _shared(normals: np.ndarray, weld: np.ndarray) -> np.ndarray:
    """(V, 3) unit mean of the normals at one place; 0 where they cancel, so that edges there stay straight."""
    total = np.zeros((int(weld.max()) + 1, 3))
    np.add.at(total, weld, normals)
    number = np.bincount(weld, minlength=len(total))[:, None]
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(length > 0.5 * number, total / np.maximum(length, 1e-12), 0.0)[weld]


def _control(p: np.ndarray, n: np.ndarray, i: int, j: int, least_m: float) -> np.ndarray:
    """(F, 1, 3): the edge's control point next to corner i, in its tangent plane; at most 12 % of the edge's length off the edge
    (more would be a sharp corner, which is not round), and on the edge when it is short."""
    edge = p[:, j] - p[:, i]
    off = (edge * n[:, i]).sum(1, keepdims=True) * n[:, i] / 3
    length = np.linalg.norm(edge, axis=1, keepdims=True)
    off = off * np.minimum(1.0, 0.12 * length / np.maximum(np.linalg.norm(off, axis=1, keepdims=True), 1e-12)) * (length > least_m)
    return ((2 * p[:, i] + p[:, j]) / 3 - off)[:, None]


def _grid(pieces: int) -> tuple[np.ndarray, np.ndarray]:
    """Barycentric weights (K, 3) of a triangle's grid and its small triangles (pieces^2, 3), same orientation."""
    row = {}
    for i in range(pieces + 1):
        for j in range(pieces + 1 - i):
            row[i, j] = len(row)
    bary = np.array([[pieces - i - j, i, j] for i, j in row]) / pieces
    small = [[row[i, j], row[i + 1, j], row[i, j + 1]] for i, j in row if i + j < pieces]
    small += [[row[i + 1, j], row[i + 1, j + 1], row[i, j + 1]] for i, j in row if i + j < pieces - 1]
    return bary, np.array(small)


def _geometric(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(W, 3) unit normals of the curved geometry, averaged over the vertices at one place that look the same way."""
    corner = vertices[faces]
    face = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    own = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(own, faces[:, k], face)
    weld = np.unique(np.round(vertices, 5), axis=0, return_inverse=True)[1].reshape(-1)
    total = np.zeros((int(weld.max()) + 1, 3))
    np.add.at(total, weld, own)
    own, shared = (a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-20) for a in (own, total[weld]))
    return np.where((own * shared).sum(1, keepdims=True) > 0.5, shared, own)
