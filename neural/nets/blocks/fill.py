"""Carrying values smoothly into what is empty."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def filled(values: Tensor, weight: Tensor) -> Tensor:
    """Push-pull (Gortler et al. 1996): values (B, C, n, n) already multiplied by weight (B, 1, n, n) in [0, 1] -> the same, everywhere.

    Where weight is 1 the value stays; elsewhere that of ever larger surroundings comes in. All empty: zeros. n even until 1 or odd.
    """
    side = values.shape[-1]
    if side % 2 or side <= 1:
        total = weight.sum((2, 3), keepdim=True)
        mean = values.sum((2, 3), keepdim=True) / total.clamp(min=1e-6)
        return values + (1 - weight) * mean
    below, there = F.avg_pool2d(values, 2), F.avg_pool2d(weight, 2)
    more = (4 * there).clamp(max=1)                              # one full pixel of four is enough to speak for all
    low = filled(below * (more / there.clamp(min=1e-6)), more)
    return values + (1 - weight) * F.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False)
