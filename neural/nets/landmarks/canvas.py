"""The square canvas around one person: whole photo pixels in, exact scale and shift out."""

from __future__ import annotations

import cv2
import numpy as np


def square_around(box: np.ndarray, margin: float) -> tuple[int, int, int]:
    """Whole-pixel square x0, y0, side around box (4,) x0 y0 x1 y1 with `margin` (fraction of its longer side) on
    every side. Whole pixels, so that resampling by area is exact."""
    side = int(np.ceil((box[2:] - box[:2]).max() * (1 + 2 * margin)))
    side = max(side, 16)
    x0, y0 = np.round((box[:2] + box[2:]) / 2 - side / 2).astype(int)
    return int(x0), int(y0), side


def photo_from_canvas(square: tuple[int, int, int], size: int) -> np.ndarray:
    """(3, 3) float64: canvas pixels -> photo pixels, half-pixel centres in both."""
    x0, y0, side = square
    return np.array([[side / size, 0, x0], [0, side / size, y0], [0, 0, 1.0]])


def cut(image: np.ndarray, square: tuple[int, int, int], size: int, replicate: bool = True) -> np.ndarray:
    """image (H, W[, 3]) -> (size, size[, 3]), same dtype; area-filtered when shrinking, cubic when growing. Beyond the
    image its edge is repeated, or zero."""
    x0, y0, side = square
    h, w = image.shape[:2]
    xa, ya, xb, yb = max(x0, 0), max(y0, 0), min(x0 + side, w), min(y0 + side, h)
    if xa >= xb or ya >= yb:
        raise ValueError("the square lies outside the image")
    part = image[ya:yb, xa:xb]
    pads = (ya - y0, y0 + side - yb, xa - x0, x0 + side - xb)
    if any(pads):
        part = cv2.copyMakeBorder(part, *pads, cv2.BORDER_REPLICATE if replicate else cv2.BORDER_CONSTANT)
    if side == size:
        return np.ascontiguousarray(part)
    return cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_CUBIC)


def inside(shape: tuple[int, int], square: tuple[int, int, int], size: int) -> np.ndarray:
    """(size, size) bool: canvas pixels whose centre lies within an image of shape (H, W)."""
    x0, y0, side = square
    centre = (np.arange(size) + 0.5) * side / size
    return ((centre + y0 >= 0) & (centre + y0 < shape[0]))[:, None] & ((centre + x0 >= 0) & (centre + x0 < shape[1]))
