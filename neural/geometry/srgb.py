"""The transfer curve of sRGB (IEC 61966-2-1)."""

from __future__ import annotations

import numpy as np

_STEP = np.arange(256) / 255
_LINEAR = np.where(_STEP <= 0.04045, _STEP / 12.92, ((_STEP + 0.055) / 1.055) ** 2.4).astype(np.float32)


def linear(rgb: np.ndarray) -> np.ndarray:
    """uint8 sRGB -> float32 linear in [0, 1]."""
    return _LINEAR[rgb]


def srgb(value: np.ndarray) -> np.ndarray:
    """Linear, cut to [0, 1] -> float32 sRGB in [0, 1]."""
    v = np.clip(value, 0, 1)
    return np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055).astype(np.float32)
