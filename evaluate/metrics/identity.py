"""How much two pictures show the same person: cosine of our own re-identification features (train/refinetex, phase `identity`), which stand
for the networks that may not be passed on. identity.safetensors: trained by our code on people of the generator (identity.md)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch

from neural.nets.refinetex.identity import Identity
from neural.nets.refinetex.paper_door import narrow
from neural.nets.refinetex.weights import load

FILE = Path(__file__).with_name("identity.safetensors")
HEIGHT, MARGIN = 128, 1.12
"""Pixels of the encoder's picture; its side over the person's height, as in training."""


@lru_cache(maxsize=1)
def encoder(file: Path = FILE) -> Identity:
    return load(file).eval()


@torch.inference_mode()
def same_person(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    """Cosine in [-1, 1] of two (H, W, 3) float pictures in [0, 1], sRGB; mask (H, W): where either shows the person. NaN where none does."""
    if not mask.any():
        return float("nan")
    codes = [encoder()(framed(picture, mask)) for picture in (a, b)]
    return float((codes[0] * codes[1]).sum())


def framed(picture: np.ndarray, mask: np.ndarray) -> torch.Tensor:
    """(1, 3, HEIGHT, HEIGHT / 2) in [-1, 1]: the person of `mask` in the middle; what lies outside of the picture goes on as its border."""
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    scale = HEIGHT / (MARGIN * (rows[-1] + 1 - rows[0]))
    middle = np.array([columns[0] + columns[-1] + 1, rows[0] + rows[-1] + 1]) / 2
    move = np.array([[scale, 0, HEIGHT / 2 - scale * middle[0] - 0.5 + 0.5 * scale], [0, scale, HEIGHT / 2 - scale * middle[1] - 0.5 + 0.5 * scale]])
    soft = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 0.5 / scale) if scale < 1 else picture.astype(np.float32)
    square = cv2.warpAffine(soft, move, (HEIGHT, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return narrow(torch.as_tensor(2 * np.clip(square, 0, 1) - 1).permute(2, 0, 1)[None])
