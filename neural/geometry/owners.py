"""Which limb a predicted surface belongs to: the nearest part of the posed body, smoothed over the surface."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial import cKDTree

from ..contract.frames import Camera
from .layers import PIECES, piece_of_joint
from .normals import vertex_normals

LOOKS = 0.03     # body heights (5 cm) that a surface which looks the other way counts as farther off; half of it at a right angle
SMOOTH = 0.008   # body heights: how far the distances are averaged (1.4 cm)
CANVAS = 256     # pixels: the distances are measured on a canvas of at most this side


def owners(depth: np.ndarray, normals: np.ndarray, mask: np.ndarray, camera: Camera, body, height: float) -> np.ndarray:
    """(S, S) uint8 limb of every pixel of `mask`, index into layers.PIECES + 1; 0 outside.

    depth (S, S) metres, normals (S, S, 3) unit outward: one side. body: stages.s03_body.Body, posed as in the picture. height metres.
    """
    size = mask.shape[0]
    step = max(size // CANVAS, 1)
    pick = slice(step // 2, None, step)
    small, z, n = mask[pick, pick], depth[pick, pick], normals[pick, pick]
    if not small.any():
        return np.zeros(mask.shape, np.uint8)
    rays = camera.pixel_rays()[pick, pick]
    cost = _costs(rays[small] * z[small][:, None], n[small], body, height)
    sigma = SMOOTH * height * camera.fy / (step * float(np.median(z[small])))
    label = np.zeros(small.shape, np.uint8)
    label[small] = _smoothed(cost, small, z, sigma, 2 * SMOOTH * height) + 1
    return _enlarged(label, np.where(small, z, np.inf).astype(np.float32), depth, mask, step)


def _costs(points: np.ndarray, normals: np.ndarray, body, height: float) -> np.ndarray:
    """(N, 10) metres from every limb; 1000 from those that the body does not have."""
    reach = LOOKS * height / 2
    piece = piece_of_joint()[body.part]
    known = np.concatenate([body.vertices, reach * vertex_normals(body.vertices, body.faces)], 1)
    asked = np.concatenate([points, reach * normals], 1)
    out = np.full((len(points), len(PIECES)), 1e3, np.float32)
    for k in range(len(PIECES)):
        if (piece == k).any():
            out[:, k] = cKDTree(known[piece == k]).query(asked)[0]
    return out


def _smoothed(cost: np.ndarray, mask: np.ndarray, z: np.ndarray, sigma: float, apart: float) -> np.ndarray:
    """(N,) cheapest limb after averaging over the pixels around; not across jumps of depth by more than `apart` metres."""
    radius = max(int(np.ceil(sigma)), 1)
    rows, columns = np.nonzero(mask)
    index = np.full(mask.shape, -1)
    index[rows, columns] = np.arange(len(rows))
    pad, deep = np.pad(index, radius, constant_values=-1), z[rows, columns]
    total, weight = np.zeros_like(cost), np.zeros((len(cost), 1), np.float32)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            other = pad[rows + radius + dy, columns + radius + dx]
            share = np.exp(-(dx * dx + dy * dy) / (2 * max(sigma, 0.5) ** 2)) * ((other >= 0) & (np.abs(deep[other] - deep) < apart))
            total += share[:, None].astype(np.float32) * cost[other]
            weight += share[:, None].astype(np.float32)
    return np.argmin(total / weight, 1)


def _enlarged(label: np.ndarray, z: np.ndarray, depth: np.ndarray, mask: np.ndarray, step: int) -> np.ndarray:
    """(S, S) uint8: of the nine small pixels around, the label of the one whose depth is nearest; so borders lie where depth jumps."""
    shape = mask.shape[::-1]
    if step == 1:
        return label
    far = float(np.nanmax(np.where(np.isfinite(z), z, np.nan))) * 1e3
    away, out = np.full(mask.shape, np.inf, np.float32), np.zeros(mask.shape, np.uint8)
    for dy, dx in sorted(((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)), key=lambda d: abs(d[0]) + abs(d[1])):
        move = lambda a, fill: np.roll(np.pad(a, 1, constant_values=fill), (dy, dx), (0, 1))[1:-1, 1:-1]
        there = cv2.resize(np.minimum(move(z, far), far), shape, interpolation=cv2.INTER_NEAREST)
        own = cv2.resize(move(label, 0), shape, interpolation=cv2.INTER_NEAREST)
        off = np.abs(there - depth) + np.float32(0.002) * (abs(dy) + abs(dx))
        better = mask & (own > 0) & (off < away)
        away[better], out[better] = off[better], own[better]
    lost = mask & (out == 0)
    if lost.any():                                     # islands smaller than a small pixel
        from .inflate import spread
        out[lost] = spread(out, out > 0)[lost]
    return out
