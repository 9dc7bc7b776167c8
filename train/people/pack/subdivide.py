"""One step of Catmull-Clark as rows of weights over the coarse vertices; texture coordinates go along linearly, seams stay where they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

ROW = 8
"""Most coarse vertices that a fine one depends on."""


@dataclass(frozen=True)
class Fine:
    """index (P, 8) int64, weight (P, 8) float32: fine place = sum of weight * coarse place. place, uv_index (F, 4) int64: corners of the fine
    faces as rows of the places and of uv (U, 2); -1 in the fourth column of a triangle. border (P,) bool: on an open edge."""

    index: np.ndarray
    weight: np.ndarray
    place: np.ndarray
    uv: np.ndarray
    uv_index: np.ndarray
    border: np.ndarray


def unchanged(count: int, faces: np.ndarray, uv: np.ndarray, uv_faces: np.ndarray) -> Fine:
    """The mesh as it is, in the same form."""
    index, weight = np.zeros((count, ROW), np.int64), np.zeros((count, ROW), np.float32)
    index[:, 0], weight[:, 0] = np.arange(count), 1
    edge, _, times = _edges(faces)
    border = np.zeros(count, bool)
    border[edge[times != 2]] = True
    return Fine(index, weight, faces, uv, uv_faces, border)


def subdivide(count: int, faces: np.ndarray, uv: np.ndarray, uv_faces: np.ndarray) -> Fine:
    """count coarse vertices, faces (F, 4) with -1 for triangles -> four (three) times as many quads.

    A vertex point uses its neighbours along edges only, weighted so that it equals Catmull-Clark's wherever faces are parallelograms: so that
    a row has at most eight entries. Open and non-manifold edges are creases; vertices of more than seven edges stay where they are.
    """
    corners = (faces >= 0).sum(1)
    edge, of_face, times = _edges(faces)
    f_mean = _mean(faces, corners, count)
    n_edge, n_face = len(edge), len(faces)
    ends = sparse.csr_matrix((np.full(2 * n_edge, 0.5), (np.repeat(np.arange(n_edge), 2), edge.ravel())), (n_edge, count))
    smooth = times == 2
    inner = of_face >= 0
    owner = np.nonzero(inner)[0]
    beside = sparse.csr_matrix((np.full(len(owner), 0.5), (of_face[inner], owner)), (n_edge, n_face)) @ f_mean
    half = sparse.diags(np.where(smooth, 0.5, 0.0))
    e_point = sparse.diags(np.where(smooth, 0.5, 1.0)) @ ends + half @ beside
    v_point = _vertex_points(count, edge, smooth)
    index, weight = _rows(sparse.vstack([v_point, e_point, f_mean]).tocsr())
    border = np.zeros(count + n_edge + n_face, bool)
    border[edge[~smooth]] = True
    border[count + np.nonzero(~smooth)[0]] = True
    place = _quads(faces, corners, of_face, count, n_edge)
    uv_edge, uv_of_face, _ = _edges(uv_faces)
    fine_uv = np.concatenate([uv, uv[uv_edge].mean(1), _mean(uv_faces, corners, len(uv)) @ uv]).astype(np.float32)
    return Fine(index, weight, place, fine_uv, _quads(uv_faces, corners, uv_of_face, len(uv), len(uv_edge)), border)


def triangles(quads: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(F, 4) with -1 for triangles, into places (P, 3) -> rows (T, 3) of (face, corner, corner, corner): corner numbers 0-3, cut along the
    shorter diagonal. Returns (T, 4) int64."""
    quad = np.nonzero(quads[:, 3] >= 0)[0]
    tri = np.nonzero(quads[:, 3] < 0)[0]
    p = places[quads[quad]]
    other = np.linalg.norm(p[:, 0] - p[:, 2], axis=1) > np.linalg.norm(p[:, 1] - p[:, 3], axis=1)
    first = np.where(other[:, None], [0, 1, 3], [0, 1, 2])
    second = np.where(other[:, None], [1, 2, 3], [0, 2, 3])
    rows = [np.c_[quad, first], np.c_[quad, second], np.c_[tri, np.tile([0, 1, 2], (len(tri), 1))]]
    out = np.concatenate(rows)
    return out[np.argsort(out[:, 0], kind="stable")].astype(np.int64)


def _edges(faces: np.ndarray):
    """-> edges (E, 2), the edge from corner i to the next (F, 4) or -1, and how many faces use each edge."""
    corners = (faces >= 0).sum(1)
    following = np.take_along_axis(faces, (np.arange(4) + 1) % np.maximum(corners, 1)[:, None], 1)
    live = np.arange(4) < corners[:, None]
    pair = np.sort(np.stack([faces[live], following[live]], 1), axis=1)
    edge, which, times = np.unique(pair, axis=0, return_inverse=True, return_counts=True)
    of_face = np.full(faces.shape, -1, np.int64)
    of_face[live] = which.reshape(-1)
    return edge, of_face, times


def _mean(faces: np.ndarray, corners: np.ndarray, count: int) -> sparse.csr_matrix:
    live = faces >= 0
    row = np.nonzero(live)[0]
    return sparse.csr_matrix((1.0 / corners[row], (row, faces[live])), (len(faces), count))


def _vertex_points(count: int, edge: np.ndarray, smooth: np.ndarray) -> sparse.csr_matrix:
    both = np.concatenate([edge, edge[:, ::-1]])
    use = np.concatenate([smooth, smooth])
    valence = np.bincount(both[:, 0], minlength=count)
    creases = np.bincount(both[~use][:, 0], minlength=count)
    inside = (creases == 0) & (valence >= 3) & (valence < ROW)
    along = (creases == 2) & (valence > 2)                                 # a corner of a sheet stays
    pull = np.where(inside[both[:, 0]], 2.0 / np.maximum(valence, 1)[both[:, 0]] ** 2, 0.0)
    pull = np.where(along[both[:, 0]] & ~use, 1 / 8, pull)
    own = 1 - np.bincount(both[:, 0], pull, count)
    rows = np.concatenate([both[:, 0], np.arange(count)])
    return sparse.csr_matrix((np.concatenate([pull, own]), (rows, np.concatenate([both[:, 1], np.arange(count)]))), (count, count))


def _rows(matrix: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    size = np.diff(matrix.indptr)
    assert size.max() <= ROW
    index, weight = np.zeros((len(size), ROW), np.int64), np.zeros((len(size), ROW), np.float32)
    at = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], size)
    row = np.repeat(np.arange(len(size)), size)
    index[row, at], weight[row, at] = matrix.indices, matrix.data
    return index, weight


def _quads(faces: np.ndarray, corners: np.ndarray, of_face: np.ndarray, count: int, n_edge: int) -> np.ndarray:
    """Corner, edge after it, middle, edge before it."""
    f, i = np.nonzero(faces >= 0)
    before = (i - 1) % corners[f]
    return np.stack([faces[f, i], count + of_face[f, i], count + n_edge + f, count + of_face[f, before]], 1)
