"""The rim: points that close the silhouette between the two depth maps, and the flat cut at the photo's border."""

from __future__ import annotations

import numpy as np

from ..contract.frames import Camera
from .inflate import STEPS, shifted


def rim_points(front: np.ndarray, back: np.ndarray, mask: np.ndarray, inside: np.ndarray,
               camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Oriented points on the mask's edge, normals perpendicular to the view.

    front, back (H, W) metres; mask, inside (H, W) bool (inside = the pixel lies within the photo).
    Returns xyz (N, 3) float32, normals (N, 3) float32, camera frame.

    At an ordinary edge the surface turns round: between the two last depths the points bulge outwards like an ellipse
    that ends half a pixel further out. Where the person leaves the photo the body is cut: the points fill a flat plane.
    """
    xyz, normals = [], []
    for step in STEPS:
        outside = ~shifted(mask, step, False)
        beyond = ~shifted(inside, step, False)
        for edge, bulge in ((mask & outside & ~beyond, 0.5), (mask & outside & beyond, 0.0)):
            p, n = _wall(front, back, edge, step, bulge, camera)
            xyz.append(p)
            normals.append(n)
    return np.concatenate(xyz).astype(np.float32), np.concatenate(normals).astype(np.float32)


def _wall(front, back, edge, step, bulge, camera):
    rows, columns = np.nonzero(edge)
    near, far = front[rows, columns].astype(np.float64), back[rows, columns].astype(np.float64)
    spacing = np.median(near) / camera.fx if len(near) else 1.0
    count = np.clip(np.ceil((far - near) / spacing).astype(np.int64) - 1, 1, 4096)
    which = np.repeat(np.arange(len(rows)), count)
    place = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    t = 2 * (place + 1) / (count[which] + 1) - 1                         # -1 front ... 1 back
    out = 0.5 + bulge * np.sqrt(np.maximum(1 - t * t, 0.0)) if bulge else np.full(len(t), 0.5)
    pixel = np.stack([columns[which] + 0.5 + step[1] * out, rows[which] + 0.5 + step[0] * out], 1)
    z = near[which] + (t + 1) / 2 * (far - near)[which]
    normal = np.zeros((len(which), 3))
    normal[:, 0], normal[:, 1] = step[1], step[0]
    half = np.maximum((far - near)[which] / 2, 1e-6)
    if bulge:
        normal[:, 2] = t * np.minimum(spacing / half, 1.0)
    # perpendicular to the ray, not to the optical axis: the cut and the silhouette run along the view
    ray = camera.rays(pixel)
    unit = ray / np.linalg.norm(ray, axis=1, keepdims=True)
    flat = normal * [1, 1, 0]
    flat = flat - (flat * unit).sum(1, keepdims=True) * unit
    normal = flat + normal * [0, 0, 1]
    return ray * z[:, None], normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
