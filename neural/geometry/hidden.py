"""The body's surface where two depth maps cannot see it: behind an arm, between crossed legs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contract.frames import Camera
from .layers import PIECES, Layer


def hidden_surface(layers: Sequence[Layer | None], camera: Camera, front: np.ndarray, back: np.ndarray, gap: float,
                   margin: float, only: frozenset[int] | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Oriented points of the fitted body strictly between two depth maps, on the walls of gaps between its limbs.

    layers       of the body, as layers.body_layers gives them for `camera`.
    camera       the canvas of front and back (H, W), metres, NaN outside the mask (no points there).
    gap          metres: narrower gaps between two limbs are left closed.
    margin       metres: nearer than this to a map's surface there is no point (the map knows better).
    only         indices into PIECES: the other pieces are not there.
    Returns xyz (N, 3) float32 and normals (N, 3) float32, camera frame, and piece (N,) uint8, index into PIECES + 1.

    Along every ray the limbs are intervals; where their union leaves a gap, the gap's two ends are points.
    """
    layers = [layer for k, layer in enumerate(layers)
              if layer is not None and (only is None or k in only)]
    number = np.array([PIECES.index(layer.name) + 1 for layer in layers], np.uint8)
    empty = np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), np.zeros(0, np.uint8)
    if len(layers) < 2:
        return empty
    several = (sum(layer.hit.astype(np.int8) for layer in layers) >= 2) & np.isfinite(front) & np.isfinite(back)
    rows, columns = np.nonzero(several)
    if not len(rows):
        return empty
    near = np.stack([np.where(layer.hit, layer.front, np.inf)[several] for layer in layers])      # (L, N)
    far = np.stack([np.where(layer.hit, layer.back, -np.inf)[several] for layer in layers])
    order = np.argsort(near, 0, kind="stable")
    near, far = np.take_along_axis(near, order, 0), np.take_along_axis(far, order, 0)
    reached = np.maximum.accumulate(far, 0)
    which = np.take_along_axis(order, _running_argmax(far), 0)
    ray = camera.rays(np.stack([columns + 0.5, rows + 0.5], 1))
    limits = front[several] + margin, back[several] - margin
    points, normals, pieces = [], [], []
    for k in range(len(layers) - 1):
        open_gap = np.isfinite(near[k + 1]) & (near[k + 1] - reached[k] > gap)
        ends = ((reached[k], which[k], "normal_back"), (near[k + 1], order[k + 1], "normal_front"))
        for z, owner, side in ends:
            keep = open_gap & (z > limits[0]) & (z < limits[1])
            at = np.nonzero(keep)[0]
            n = np.zeros((len(at), 3), np.float32)
            for j, layer in enumerate(layers):
                mine = owner[at] == j
                n[mine] = getattr(layer, side)[rows[at][mine], columns[at][mine]]
            good = np.abs(np.linalg.norm(n, axis=1) - 1) < 0.01
            points.append((ray[at] * z[at, None])[good])
            normals.append(n[good])
            pieces.append(number[owner[at][good]])
    return (np.concatenate(points).astype(np.float32), np.concatenate(normals).astype(np.float32),
            np.concatenate(pieces))


def _running_argmax(values: np.ndarray) -> np.ndarray:
    """(L, N) -> index of the maximum of values[:k + 1] for every k."""
    best = np.zeros(values.shape, np.int64)
    top = values[0].copy()
    for k in range(1, len(values)):
        better = values[k] > top
        best[k] = np.where(better, k, best[k - 1])
        top = np.where(better, values[k], top)
    return best
