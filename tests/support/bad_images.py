"""Pictures with nobody in them, made in code, for tests of bad input. All are (H, W, 3) uint8 sRGB."""

from __future__ import annotations

import numpy as np


def animal(width: int = 900, height: int = 700) -> np.ndarray:
    """A brown quadruped of shaded ellipsoids, seen from the side, on grass under a sky."""
    image = landscape(width, height, seed=1).astype(np.float64)
    y, x = np.mgrid[0:height, 0:width]
    depth = np.full((height, width), -np.inf)
    unit = width / 9.0
    # centre x, y, z and radii, in units; z towards the eye
    parts = [(4.5, 3.4, 0, 1.9, 0.75, 0.8), (2.6, 2.6, 0, 0.75, 0.5, 0.5), (1.9, 2.15, 0, 0.62, 0.45, 0.42),
             (1.3, 2.35, 0, 0.42, 0.24, 0.26), (2.05, 1.65, 0.25, 0.13, 0.32, 0.1), (2.25, 1.68, -0.25, 0.13, 0.3, 0.1),
             (6.7, 2.9, 0, 0.75, 0.13, 0.13)]
    parts += [(cx, 4.6, cz, 0.24, 1.15, 0.26) for cx, cz in ((3.1, 0.4), (3.5, -0.4), (5.6, 0.4), (6.0, -0.4))]
    sun = np.array([-0.4, -0.8, 0.45])
    sun /= np.linalg.norm(sun)
    for cx, cy, cz, rx, ry, rz in parts:
        u, v = (x / unit - cx) / rx, (y / unit - cy) / ry
        inside = u * u + v * v < 1
        w = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
        z = cz + rz * w
        normal = np.stack([u / rx, v / ry, w / rz], -1)
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
        light = 0.35 + 0.65 * np.clip(normal @ sun, 0, 1)
        here = inside & (z > depth)
        depth[here] = z[here]
        image[here] = (np.array([150, 104, 62]) * light[..., None])[here]
    eye = (x / unit - 1.72) ** 2 + (y / unit - 2.05) ** 2 < 0.07 ** 2
    image[eye] = 15
    return np.clip(image, 0, 255).astype(np.uint8)


def landscape(width: int = 900, height: int = 600, seed: int = 0) -> np.ndarray:
    """A sky that pales towards the horizon, hills, and a meadow: smooth, with a little noise."""
    rng = np.random.default_rng(seed)
    y = np.linspace(0, 1, height)[:, None, None]
    x = np.linspace(0, 1, width)[None, :, None]
    sky = np.array([90, 140, 215]) * (1 - y / 0.6) + np.array([215, 225, 235]) * (y / 0.6)
    meadow = np.array([96, 138, 60]) * (1.25 - 0.5 * y) + 0 * x
    ridge = 0.52 + 0.04 * np.sin(7 * x + 1.0) + 0.02 * np.sin(17 * x)
    hills = np.array([112, 130, 142]) + 0 * x + 0 * y
    image = np.where(y < ridge, sky + 0 * x, np.where(y < 0.6, hills, meadow))
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def noise(width: int = 640, height: int = 480, seed: int = 0) -> np.ndarray:
    """Independent uniform noise in every pixel and channel."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def plain(width: int = 640, height: int = 480, value: int = 128) -> np.ndarray:
    """One grey."""
    return np.full((height, width, 3), value, np.uint8)
