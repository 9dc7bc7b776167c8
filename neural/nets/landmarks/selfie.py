"""Silhouette network: every person in a square region, 256 x 256 (MediaPipe selfie segmentation)."""

from __future__ import annotations

import numpy as np

from .roi import Pyramid, Roi
from .runtime import LandmarkNets

SIDE = 256


def silhouette(nets: LandmarkNets, image: Pyramid, region: Roi) -> np.ndarray:
    """(256, 256) float32 probability of "a person" over the region, the mean of plain and mirrored."""
    pixels = image.cut(region, SIDE).astype(np.float32) / 255
    plain = nets.run("selfie", pixels)[0][..., 0]
    flipped = nets.run("selfie", pixels[:, ::-1])[0][..., 0]
    return (plain + flipped[:, ::-1]) / 2
