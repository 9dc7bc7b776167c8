"""Surfaces turn round at the silhouette: front and back meet there, which maps of a few hundred pixels cannot show.

A predicted depth ends at the mask with a wall of some centimetres between front and back, of which every ragged pixel of the outline would
make a rib. Within TURN of the outline both sides come together like an ellipse. What is thinner in the picture than that, a strand of hair
for one, is hardly deeper than it is wide.
"""

from __future__ import annotations

import cv2
import numpy as np

TURN = 0.010     # body heights: 1.7 cm from the outline the surface is what was predicted
STRAND = 0.0015  # body heights: radius (2.5 mm) of the thinnest thing that has a surface
LEVELS = 10      # widths of thin things that are told apart


def turned_in(front: np.ndarray, back: np.ndarray, inside: np.ndarray, turn_m: float, focal: float) -> tuple[np.ndarray, np.ndarray]:
    """front, back (S, S) metres, NaN outside the person; inside (S, S) bool: the photo; turn_m metres, focal pixels.

    Returns both (float32), nearer to each other at the outline. Where the person leaves the photo the body is cut, and nothing is changed.
    """
    mask = np.isfinite(front) & np.isfinite(back)
    if not mask.any():
        return front.astype(np.float32), back.astype(np.float32)
    metres = float(np.median(front[mask])) / focal                      # of a pixel
    reach = max(turn_m / metres, 1.0)
    away = np.maximum(cv2.distanceTransform((mask | ~inside).astype(np.uint8), cv2.DIST_L2, 5) - 0.5, 0)   # of the pixel's centre
    near = np.clip(away / reach, 0, 1)
    wide = _half_width(away, reach)
    most = metres * 2 * wide / np.maximum(1 - wide / reach, 1e-3)        # 2 : 1, and without limit from TURN on
    middle, half = (front + back) / 2, (back - front) / 2
    half = np.minimum(half, most) * np.sqrt(near * (2 - near))
    return (middle - half).astype(np.float32), (middle + half).astype(np.float32)


def without_strands(mask: np.ndarray, radius_m: float, metres: float) -> np.ndarray:
    """(S, S) bool less what no disc of that radius fits into: single hairs, for which no network knows a depth. metres: of a pixel; what is
    thinner than a pixel is left."""
    radius = int(radius_m / metres)
    if radius < 1 or not mask.any():
        return mask
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    kept = cv2.morphologyEx(np.pad(mask.astype(np.uint8), radius, mode="edge"), cv2.MORPH_OPEN, disc)[radius:-radius, radius:-radius] > 0
    return kept if kept.any() else mask


def _half_width(away: np.ndarray, reach: float) -> np.ndarray:
    """(S, S) pixels: radius of the largest disc within the person that covers the pixel, up to `reach`."""
    out = np.minimum(away, reach)
    for radius in np.linspace(0, reach, LEVELS + 1)[1:]:
        size = 2 * int(np.ceil(radius)) + 1
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        out = np.maximum(out, radius * cv2.dilate((away >= radius).astype(np.uint8), disc))
    return np.minimum(out, reach)
