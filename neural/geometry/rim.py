"""The rim: points that close the silhouette between the two depth maps, and the flat cut at the photo's border."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ..contract.frames import Camera
from .inflate import STEPS, shifted

ROUND, WALL = 0.5, 2.0  # how far the side of a figure looks outwards: where it ends before the background, and beside another figure
BULGE = 0.5  # pixels by which the silhouette lies beyond the last pixel centre, in the mean


class Rim(NamedTuple):
    """xyz, normals (N, 3) float32, camera frame; pixel (N, 2) int32 row and column of the mask's edge pixel;

    depth_share (N,) float32 in (-1, 1): from the front to the back surface.
    """

    xyz: np.ndarray
    normals: np.ndarray
    pixel: np.ndarray
    depth_share: np.ndarray


def rim_points(front: np.ndarray, back: np.ndarray, mask: np.ndarray, inside: np.ndarray, camera: Camera,
               normal_front: np.ndarray, normal_back: np.ndarray) -> Rim:
    """Oriented points on the mask's edge.

    front, back (H, W) metres; mask, inside (H, W) bool (inside = the pixel lies within the photo);
    normal_front, normal_back (H, W, 3) unit.

    At an ordinary edge the surface turns round from the last front normal to the last back normal; between them the
    points bulge outwards like an ellipse. Where the person leaves the photo the body is cut: points on a flat plane.
    """
    outside = np.zeros(mask.shape, bool)
    for step in STEPS:
        outside |= ~shifted(mask, step, False) & shifted(inside, step, False)
    parts = [_turn(front, back, mask, inside, mask & outside, camera, normal_front, normal_back)]
    for step in STEPS:
        parts.append(_cut(front, back, mask & ~shifted(inside, step, False), step, camera))
    kinds = (np.float32, np.float32, np.int32, np.float32)
    return Rim(*(np.concatenate([p[k] for p in parts]).astype(kind) for k, kind in enumerate(kinds)))


def inner_rim(front: np.ndarray, back: np.ndarray, whole: np.ndarray, camera: Camera, normal_front: np.ndarray,
              normal_back: np.ndarray) -> Rim:
    """Oriented points where a figure ends within the person: the inner side of an arm beside the trunk, and the trunk's flank there.

    front, back (H, W) metres, NaN where the figure is not; whole (H, W) bool: the person; normals (H, W, 3) unit.
    """
    mask = np.isfinite(front) & np.isfinite(back)
    edge = np.zeros(mask.shape, bool)
    for step in STEPS:
        edge |= ~shifted(mask, step, False) & shifted(whole, step, False)
    found = _turn(front, back, mask, whole, mask & edge, camera, normal_front, normal_back, WALL)
    return Rim(*(a.astype(kind) for a, kind in zip(found, (np.float32, np.float32, np.int32, np.float32))))


def _columns(front, back, rows, columns, camera):
    """For every edge pixel evenly spaced places between its two depths: pixel number, t in (-1, 1), z."""
    near, far = front[rows, columns].astype(np.float64), back[rows, columns].astype(np.float64)
    spacing = float(np.median(near)) / camera.fx if len(near) else 1.0
    count = np.clip(np.ceil((far - near) / spacing).astype(np.int64) - 1, 1, 4096)
    which = np.repeat(np.arange(len(rows)), count)
    place = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    t = 2 * (place + 1) / (count[which] + 1) - 1
    return which, t, near[which] + (t + 1) / 2 * (far - near)[which]


def _turn(front, back, mask, inside, edge, camera, normal_front, normal_back, outwards=ROUND):
    rows, columns = np.nonzero(edge)
    which, t, z = _columns(front, back, rows, columns, camera)
    soft = cv2.GaussianBlur((mask | ~inside).astype(np.float32), (0, 0), 2.0)
    dy, dx = np.gradient(soft)
    out = -np.stack([dx[rows, columns], dy[rows, columns]], 1).astype(np.float64)
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)
    pixel = np.stack([columns, rows], 1)[which] + 0.5 + out[which] * (BULGE * np.sqrt(np.maximum(1 - t * t, 0)))[:, None]
    share = ((t + 1) / 2)[:, None]
    normal = (1 - share) * normal_front[rows, columns][which] + share * normal_back[rows, columns][which]
    normal[:, :2] += outwards * (1 - np.abs(t))[:, None] * out[which]
    unit = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    return camera.rays(pixel) * z[:, None], unit, np.stack([rows, columns], 1)[which], t


def _cut(front, back, edge, step, camera):
    rows, columns = np.nonzero(edge)
    which, t, z = _columns(front, back, rows, columns, camera)
    pixel = np.stack([columns, rows], 1)[which] + 0.5 + np.array([step[1], step[0]]) * 0.5
    ray = camera.rays(pixel)
    normal = np.zeros((len(which), 3)) + [step[1], step[0], 0]
    normal[:, 2] = -(ray[:, :2] * normal[:, :2]).sum(1)                  # the photo's border is a plane through the eye
    unit = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    return ray * z[:, None], unit, np.stack([rows, columns], 1)[which], t
