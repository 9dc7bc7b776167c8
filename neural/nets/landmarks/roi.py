"""Rotated square regions of an image and how a network sees them.

Pixel centres lie at (i + 0.5, j + 0.5), as in contract/frames.py. cv2.warpAffine counts centres at integers: the
half pixels are put in and taken out here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .runtime import LandmarkNets
from .anchors import DetectorSpec, decode, suppress


@dataclass(frozen=True)
class Roi:
    """Square region: centre and side in image pixels, `angle` in radians (positive turns x towards y)."""

    cx: float
    cy: float
    side: float
    angle: float = 0.0

    def image_from_net(self, n: int) -> np.ndarray:
        """(3, 3) float64: pixel coordinates of an n x n network input -> image coordinates."""
        c, s = np.cos(self.angle) * self.side / n, np.sin(self.angle) * self.side / n
        return np.array([[c, -s, self.cx - (c - s) * n / 2], [s, c, self.cy - (s + c) * n / 2], [0, 0, 1.0]])


class Pyramid:
    """An image and its halves, so that networks never see aliasing however large the photo."""

    def __init__(self, rgb: np.ndarray, smallest: int = 128):
        """rgb (H, W, 3) uint8."""
        self.levels = [rgb]
        self.height, self.width = rgb.shape[:2]
        while max(self.levels[-1].shape[:2]) >= 2 * smallest and min(self.levels[-1].shape[:2]) >= 4:
            h, w = self.levels[-1].shape[:2]
            self.levels.append(cv2.resize(self.levels[-1], ((w + 1) // 2, (h + 1) // 2), interpolation=cv2.INTER_AREA))

    def cut(self, roi: Roi, n: int) -> np.ndarray:
        """(n, n, 3) uint8: the region as a network sees it; black outside the image."""
        octave = int(np.clip(np.floor(np.log2(max(roi.side / n, 1.0))), 0, len(self.levels) - 1))
        level = self.levels[octave]
        h, w = level.shape[:2]
        level_from_image = np.diag([w / self.width, h / self.height, 1.0])
        return warp(level, level_from_image @ roi.image_from_net(n), (n, n))


def warp(source: np.ndarray, source_from_target: np.ndarray, size: tuple[int, int], flags: int = cv2.INTER_LINEAR,
         border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
    """Resample `source` on a canvas of size (width, height) by a (3, 3) affine between half-pixel-centre frames."""
    m = source_from_target.copy()
    m[:2, 2] += m[:2, :2] @ np.array([0.5, 0.5]) - 0.5
    return cv2.warpAffine(source, m[:2], size, flags=flags | cv2.WARP_INVERSE_MAP, borderMode=border)


@dataclass(frozen=True)
class Detection:
    """One hit of an SSD detector. box (4,), keypoints (K, 2) in image pixels."""

    score: float
    box: np.ndarray
    keypoints: np.ndarray


def detect(nets: LandmarkNets, spec: DetectorSpec, image: Pyramid, window: Roi) -> list[Detection]:
    """All hits in a square window (what reaches beyond the image is black), best first, suppressed."""
    pixels = image.cut(window, spec.side).astype(np.float32)
    pixels = pixels / 127.5 - 1 if spec.minus_one_to_one else pixels / 255
    raw, logits = nets.run(spec.net, pixels)
    scores, boxes, keypoints = suppress(*decode(spec, raw, logits), spec.min_iou)
    m = window.image_from_net(1)
    found = []
    for score, box, points in zip(scores, boxes, keypoints):
        corners = np.array([box[[0, 1]], box[[2, 1]], box[[2, 3]], box[[0, 3]]]) @ m[:2, :2].T + m[:2, 2]
        found.append(Detection(float(score), np.concatenate([corners.min(0), corners.max(0)]),
                               points @ m[:2, :2].T + m[:2, 2]))
    return found
