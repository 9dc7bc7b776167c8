"""Folds of cloth from shading: a shallow relief where the photo is a little darker or lighter than its surroundings.

Dark is deep: true for folds and strands of hair under light from everywhere, wrong for prints and patterns. So the
relief is small, and fades out where contrast is strong or the colour itself changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class FoldConfig:
    """No paper. Lengths in body heights, contrasts in natural logarithms of luminance."""

    coarse: float = 0.014        # folds wider than this (2.5 cm) are the body's shape or the light's direction
    fine: float = 0.0012         # what is finer is noise and weave
    height: float = 0.0022       # relief at full contrast (4 mm)
    contrast: float = 0.22       # contrast at which the relief is at two thirds
    print_contrast: float = 0.24  # local contrast from which it is taken to be a print
    print_colour: float = 6.0    # local spread of a and b (CIELAB units) likewise


def fold_relief(crop: np.ndarray, mask: np.ndarray, keep: np.ndarray, body_px: float, height_m: float,
                config: FoldConfig = FoldConfig()) -> np.ndarray:
    """(S, S) float32 metres to add to the front depth (positive = farther), zero mean over a few centimetres.

    crop (S, S, 3) uint8 sRGB; mask (S, S) bool; keep (S, S) float32 in [0, 1]: 0 where no relief is wanted (face, edge);
    body_px: the body's height in pixels of the crop.
    """
    size = max(body_px, 64.0)
    lab = cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    tone = np.log(np.maximum(lab[..., 0], 0) / 100 + 0.08)
    weight = cv2.erode(mask.astype(np.float32), np.ones((3, 3)))
    wide, narrow = config.coarse * size, max(config.fine * size, 0.7)

    def mean(values, sigma):
        return cv2.GaussianBlur(values * weight, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 0.05)

    band = mean(tone, narrow) - mean(tone, wide)
    contrast = np.sqrt(np.maximum(mean(band * band, wide), 0))
    colour = np.sqrt(sum(np.maximum(mean(lab[..., k] ** 2, wide) - mean(lab[..., k], wide) ** 2, 0) for k in (1, 2)))
    plain = 1 / (1 + (contrast / config.print_contrast) ** 4) / (1 + (colour / config.print_colour) ** 4)
    relief = -config.height * height_m * np.tanh(band / config.contrast) * plain * keep * weight
    return relief.astype(np.float32)
