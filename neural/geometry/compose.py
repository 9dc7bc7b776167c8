"""Inflated pieces become front and back depth and normals on a canvas of any size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..contract.frames import Camera
from .inflate import signed_distance, spread
from .layers import PIECES, joined
from .prior import Prior, capped

STEEPEST = 0.03  # smallest |n_z| kept: a normal exactly along the silhouette has no side
SINK = 0.06      # metres: surfaces of linked pieces nearer than this are one surface


@dataclass(frozen=True)
class Composed:
    """(S, S) maps. depth metres (NaN outside), normals unit camera frame (0 outside), owner: index into PIECES, -1."""

    front: np.ndarray
    back: np.ndarray
    normal_front: np.ndarray
    normal_back: np.ndarray
    owner_front: np.ndarray
    owner_back: np.ndarray
    mask: np.ndarray
    method: str = "body-prior"


def compose(prior: Prior, camera: Camera, matte: np.ndarray, inside: np.ndarray,
            only: frozenset[int] | None = None) -> Composed:
    """Put all pieces together on the canvas of `camera` (S x S); matte (S, S) in [0, 1], inside (S, S) bool.

    only   indices into PIECES: these pieces alone, also where others hide them; the mask is then where they are.
    """
    size, scale = camera.width, camera.width / prior.camera.width
    distance = np.where(inside, signed_distance(np.where(inside, matte, 0.0), inside), -1.0)
    mask = distance > 0
    near_to_edge = capped(distance / scale, prior.cap).astype(np.float32)
    drawn = [_draw(piece, camera, scale, mask, near_to_edge) for piece in prior.pieces
             if only is None or piece.index in only]
    front, normal_front, owner_front = _union(drawn, size, -1)
    back, normal_back, owner_back = _union(drawn, size, 1)
    found = np.isfinite(front) & np.isfinite(back) & mask
    if not found.any():
        nothing = np.full((size, size), np.nan, np.float32)
        return Composed(nothing, nothing, normal_front, normal_back, owner_front, owner_back, found)
    if only is not None:
        mask = found
    hole = mask & ~found                                     # slivers between pieces: the nearest pixel's values
    if hole.any():
        front, back, normal_front, normal_back, owner_front, owner_back = (
            np.where(hole.reshape(hole.shape + (1,) * (a.ndim - 2)), spread(a, found), a)
            for a in (front, back, normal_front, normal_back, owner_front, owner_back))
    front, back = np.where(mask, front, np.nan), np.where(mask, np.maximum(back, front), np.nan)
    for normal in (normal_front, normal_back):
        normal[~mask] = 0
    return Composed(front, back, normal_front, normal_back, owner_front, owner_back, mask)


@dataclass(frozen=True)
class _Drawn:
    """One piece on the large canvas within `box`: domain (h, w) bool, weight (h, w), and per side (-1, 1) z, normals."""

    index: int
    box: tuple[slice, slice]
    domain: np.ndarray
    weight: np.ndarray
    z: dict[int, np.ndarray]
    normal: dict[int, np.ndarray]


def _draw(piece, camera: Camera, scale: float, mask: np.ndarray, near_to_edge: np.ndarray) -> _Drawn:
    box, (ratio, middle, domain, weight, *relief) = _enlarged(piece, scale, camera.width)
    half2 = np.maximum(ratio * near_to_edge[box], 1e-8)
    half = np.sqrt(half2)
    base = {-1: middle + relief[0], 1: middle + relief[1]}
    z = {side: base[side] + side * half for side in base}
    normal = {side: normals_from_slopes(z[side], *_slopes(base[side], half2, half, side), camera, box, side) for side in z}
    return _Drawn(piece.index, box, (domain > 0.5) & mask[box], np.clip(weight, 0.01, 1), z, normal)


def _union(drawn: list[_Drawn], size: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The outermost piece on one side; pieces that run into it are blended with it by their weights."""
    rank = np.full((size, size), np.inf, np.float32)
    best = np.full((size, size), np.nan, np.float32)
    owner = np.full((size, size), -1, np.int8)
    for d in drawn:
        key = -side * d.z[side] + (1 - d.weight) * SINK
        better = d.domain & (key < rank[d.box])
        for target, value in ((rank, key), (best, d.z[side]), (owner, d.index)):
            target[d.box] = np.where(better, value, target[d.box])
    total = np.zeros((size, size), np.float32)
    depth, normal = np.zeros((size, size), np.float32), np.zeros((size, size, 3), np.float32)
    for d in drawn:
        kin = np.array([j == d.index or joined(j, d.index) for j in range(len(PIECES))] + [False])[owner[d.box]]
        away = (d.z[side] - best[d.box]) / SINK
        share = np.where(d.domain & kin, d.weight * np.clip(1 - away * away, 0, 1) ** 2, 0)
        share = np.where(d.domain & (owner[d.box] == d.index), np.maximum(share, 0.01), share).astype(np.float32)
        total[d.box] += share
        depth[d.box] += share * np.where(share > 0, d.z[side], 0)
        normal[d.box] += share[..., None] * d.normal[side]
    known = total > 0
    depth = np.where(known, depth / np.maximum(total, 1e-9), np.inf if side < 0 else -np.inf).astype(np.float32)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    return depth, normal, owner


def _enlarged(piece, scale: float, size: int):
    """The piece's box and fields on the large canvas (pixel centres mapped exactly)."""
    rows, columns = piece.box
    top, left = int(rows.start * scale), int(columns.start * scale)
    bottom = min(size, int(np.ceil((rows.start + piece.half2.shape[0]) * scale)))
    right = min(size, int(np.ceil((columns.start + piece.half2.shape[1]) * scale)))
    to_small = np.array([[1 / scale, 0, (left + 0.5) / scale - 0.5 - columns.start],
                         [0, 1 / scale, (top + 0.5) / scale - 0.5 - rows.start]])
    fields = [cv2.warpAffine(a, to_small, (right - left, bottom - top), flags=how | cv2.WARP_INVERSE_MAP,
                             borderMode=cv2.BORDER_REPLICATE)
              for a, how in ((piece.half2, cv2.INTER_CUBIC), (piece.middle, cv2.INTER_CUBIC),
                             (piece.domain, cv2.INTER_LINEAR), (piece.weight, cv2.INTER_LINEAR),
                             (piece.relief[0], cv2.INTER_CUBIC), (piece.relief[1], cv2.INTER_CUBIC))]
    return (slice(top, bottom), slice(left, right)), fields


def _slopes(middle, half2, half, side):
    """dz/du, dz/dv (metres per pixel) of middle + side * sqrt(half2)."""
    out = []
    for axis in (1, 0):
        if middle.shape[axis] < 2:
            out.append(np.zeros_like(middle))
            continue
        out.append(np.gradient(middle, axis=axis) + side * np.gradient(half2, axis=axis) / (2 * half))
    return out


def normals_from_slopes(z: np.ndarray, du: np.ndarray, dv: np.ndarray, camera: Camera, box, side: int) -> np.ndarray:
    """Unit outward normals (h, w, 3) of the surface z(u, v) seen by `camera`; side -1 = front (n_z < 0), 1 = back."""
    rows = np.arange(*box[0].indices(camera.height), dtype=np.float32) + 0.5
    columns = np.arange(*box[1].indices(camera.width), dtype=np.float32) + 0.5
    x, y = ((columns - camera.cx) / camera.fx)[None, :], ((rows - camera.cy) / camera.fy)[:, None]
    # cross product of the two tangents of the point ray(u, v) * z(u, v), divided by z / (fx fy)
    n = np.stack([-du * camera.fx, -dv * camera.fy, z + x * du * camera.fx + y * dv * camera.fy], -1)
    n *= np.float32(side)
    n /= np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-9)
    n[..., 2] = side * np.maximum(side * n[..., 2], STEEPEST)
    return (n / np.linalg.norm(n, axis=-1, keepdims=True)).astype(np.float32)
