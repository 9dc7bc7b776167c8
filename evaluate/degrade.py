"""Pictures made worse, as people's photos are: for the `degraded` rows."""

from __future__ import annotations

import cv2
import numpy as np

from .errors import SuiteError
from .render.shade import linear, srgb

KINDS = ("none", "dark", "blur", "jpeg", "mixed")


def degraded(rgb: np.ndarray, kind: str, seed: int) -> np.ndarray:
    """(H, W, 3) uint8 sRGB -> the same shape. dark: two stops under, noise and a warm cast; blur: motion blur of 1 % of
    the width; jpeg: a third of the size and quality 25; mixed: one of these by turns of `seed`."""
    if kind not in KINDS:
        raise SuiteError("suite.degrade", f"There is no degradation '{kind}'.", f"Choose one of {', '.join(KINDS)}.")
    kind = ("dark", "blur", "jpeg")[seed % 3] if kind == "mixed" else kind
    rng = np.random.default_rng([seed, 11])
    height, width = rgb.shape[:2]
    if kind == "dark":
        light = linear(rgb / 255) * np.float32([0.30, 0.25, 0.18])
        noise = rng.normal(0, 1, rgb.shape) * np.sqrt(0.0004 * light + 0.00001)
        return np.rint(srgb(light + noise) * 255).astype(np.uint8)
    if kind == "blur":
        size = max(3, round(width * 0.01)) | 1
        kernel = np.zeros((size, size), np.float32)
        kernel[size // 2] = 1 / size
        turn = cv2.getRotationMatrix2D((size // 2, size // 2), float(rng.uniform(0, 180)), 1)
        kernel = cv2.warpAffine(kernel, turn, (size, size))
        return np.rint(srgb(cv2.filter2D(linear(rgb / 255), -1, kernel / kernel.sum())) * 255).astype(np.uint8)
    if kind == "jpeg":
        small = cv2.resize(rgb, (width // 3, height // 3), interpolation=cv2.INTER_AREA)
        data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 25])[1]
        large = cv2.resize(cv2.imdecode(data, cv2.IMREAD_COLOR), (width, height), interpolation=cv2.INTER_LINEAR)
        return large[..., ::-1].copy()
    return rgb
