"""Colours and other values spread over a mesh (not over its atlas, so that chart borders do not show)."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, diags
from scipy.sparse.linalg import splu


def mesh_edges(faces: np.ndarray) -> np.ndarray:
    """(F, 3) -> (E, 2) int64 vertex pairs, each once."""
    e = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1).astype(np.int64)
    key = np.unique(e[:, 0] * (int(faces.max()) + 1) + e[:, 1])
    return np.stack(np.divmod(key, int(faces.max()) + 1), 1)


def smooth(values: np.ndarray, edges: np.ndarray, steps: int, rate: float = 0.5,
           hold: np.ndarray | None = None) -> np.ndarray:
    """Umbrella smoothing of (V, C) or (V,) values; `hold` (V,) bool rows keep theirs."""
    flat = values.ndim == 1
    out = np.array(values.reshape(len(values), -1), np.float64)
    n = len(out)
    link = coo_matrix((np.ones(len(edges) * 2), (edges.ravel(), edges[:, ::-1].ravel())), shape=(n, n)).tocsr()
    degree = np.maximum(np.asarray(link.sum(1)), 1)
    for _ in range(steps):
        new = out + rate * (link @ out / degree - out)
        out = new if hold is None else np.where(hold[:, None], out, new)
    return out[:, 0] if flat else out


def guided_fill(target: np.ndarray, trust: np.ndarray, guide: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Colours on a mesh that keep to trusted ones and elsewhere follow a guide's differences, or are smooth.

    Minimises sum_edges |(C_i - C_j) - g_ij (T_i - T_j)|^2 + sum_i trust_i |C_i - T_i|^2 with uniform edge weights
    (cotangents are infinite on slivers), g_ij = min(guide_i, guide_j): gradient-domain blending where the guide holds,
    diffusion where it does not.

    target (V, C); trust (V,) >= 0, 0 = free; guide (V,) in [0, 1] -> (V, C) float64. A component of the mesh without any
    trust keeps close to its target.
    """
    n = len(target)
    target = np.asarray(target, np.float64)
    i, j = edges.T
    g = np.minimum(guide[i], guide[j])[:, None]
    step = g * (target[i] - target[j])
    right = np.stack([np.bincount(i, step[:, k], n) - np.bincount(j, step[:, k], n) for k in range(target.shape[1])], 1)
    weight = np.asarray(trust, np.float64) + 1e-6                  # keeps the matrix regular
    degree = np.bincount(edges.ravel(), minlength=n)
    matrix = diags(degree + weight) - coo_matrix((np.ones(2 * len(edges)), (edges.ravel(), edges[:, ::-1].ravel())),
                                                 shape=(n, n))
    return solve(csc_matrix(matrix), right + weight[:, None] * target)


def solve(matrix: csc_matrix, right: np.ndarray) -> np.ndarray:
    """Symmetric positive definite sparse solve, float64."""
    return splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}, diag_pivot_thresh=0.0).solve(right)


def value_noise(points: np.ndarray, cell: np.ndarray, seed: int = 0) -> np.ndarray:
    """Smooth noise in [-1, 1] at (N, 3) metres; `cell` (3,) is its grain along the axes, metres. Repeatable."""
    p = np.asarray(points, np.float64) / cell
    base = np.floor(p).astype(np.int64)
    t = p - base
    t = t * t * (3 - 2 * t)
    total = np.zeros(len(p))
    for corner in range(8):
        offset = np.array([corner & 1, corner >> 1 & 1, corner >> 2 & 1])
        weight = np.where(offset, t, 1 - t).prod(1)
        total += weight * _hash(base + offset, seed)
    return total


def strands(points: np.ndarray, radius: float = 0.09) -> np.ndarray:
    """Hair-like noise, standard deviation about 1, at (N, 3) metres from the crown (y down): long from the crown downwards,
    narrow around it, a little wavy, in three widths."""
    p = np.asarray(points, np.float64)
    away = np.linalg.norm(p, axis=1)
    around = np.arctan2(p[:, 0], p[:, 2] + 1e-9)
    ring = np.stack([np.sin(around), np.cos(around), np.zeros(len(p))], 1) * radius           # no seam at +-180 degrees
    ring[:, 2] = away
    wave = value_noise(ring, np.array([0.03, 0.03, 0.05]), 4)
    ring[:, :2] += 0.0025 * wave[:, None] * np.stack([np.cos(around), -np.sin(around)], 1)
    total = np.zeros(len(p))
    for number, (width, share) in enumerate(((0.0013, 1.0), (0.0027, 0.9), (0.0065, 0.5))):
        total += share * value_noise(ring, np.array([width, width, 14 * width + 0.02]), 5 + number)
    return 1.6 * total


def _hash(cell, seed):
    """(N, 3) integers -> [-1, 1]."""
    h = (cell.astype(np.uint64) * np.array([0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64))
    h = h[:, 0] ^ h[:, 1] ^ h[:, 2] ^ np.uint64(seed * 0x632BE5AB + 1)
    h = (h ^ (h >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(32))) >> np.uint64(40)
    return h.astype(np.float64) / (2 ** 23) - 1
