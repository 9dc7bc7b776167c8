"""Pictures of the assets as one table of texels with mip levels."""

from __future__ import annotations

from typing import Iterable

import cv2
import numpy as np
import torch

from ..types import Textures

_LINEAR = np.where(np.arange(256) <= 10.31475, np.arange(256) / 255 / 12.92, ((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4).astype(np.float32)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """uint8 sRGB -> float32 linear light in [0, 1]."""
    return _LINEAR[srgb]


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """float linear light -> uint8 sRGB, rounded."""
    x = np.clip(linear, 0, 1)
    return np.round(255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 0.0031308) ** (1 / 2.4) - 0.055)).astype(np.uint8)


def levels(picture: np.ndarray, most: int) -> list[np.ndarray]:
    """(H, W, 4) uint8 sRGB and alpha -> mip levels, the first with no side above `most`.

    Averages are taken in linear light and weighted by alpha, so that what is cut away does not colour the edges; colours where nothing is
    visible are spread from what is, so that interpolation finds no dark rim.
    """
    see_through = bool((picture[..., 3] < 255).any())
    cover = picture[..., 3:].astype(np.float32) / 255
    light = to_linear(picture[..., :3]) * cover if see_through else to_linear(picture[..., :3])
    height, width = picture.shape[:2]
    k = max(height, width) / most
    if k > 1:
        height, width = max(1, round(height / k)), max(1, round(width / k))
        light, cover = _box(light, width, height), _box(cover, width, height)
    stack = [(light, cover)]
    while max(height, width) > 1:
        height, width = max(1, height // 2), max(1, width // 2)
        stack.append((_box(stack[-1][0], width, height), _box(stack[-1][1], width, height)))
    if not see_through:
        return [np.concatenate([to_srgb(p), np.full((*p.shape[:2], 1), 255, np.uint8)], 2) for p, _ in stack]
    out, under = [], np.full((1, 1, 3), 0.5, np.float32)
    for p, c in reversed(stack):                                           # coarse to fine: hidden texels take the colour round them
        below = cv2.resize(under, (p.shape[1], p.shape[0]), interpolation=cv2.INTER_NEAREST).reshape(p.shape)
        under = np.where(c > 1 / 512, p / np.maximum(c, 1 / 512), below)
        out.append(np.concatenate([to_srgb(under), np.round(255 * c).astype(np.uint8)], 2))
    return out[::-1]


def table(pictures: Iterable[tuple[str, np.ndarray, int]]) -> Textures:
    """(name, picture, longest side) in order -> Textures; levels beyond the smallest repeat it."""
    names, rows, shape = [], [], []
    for name, picture, most in pictures:
        stack = levels(picture, most)
        names.append(name)
        rows.append(np.concatenate([s.reshape(-1, 4) for s in stack]))
        shape.append([s.shape[1::-1] for s in stack])
    most = max(map(len, shape), default=1)
    width, height, offset = (np.zeros((len(names), most), np.int64) for _ in range(3))
    at = 0
    for t, sizes in enumerate(shape):
        for level in range(most):
            w, h = sizes[min(level, len(sizes) - 1)]
            width[t, level], height[t, level], offset[t, level] = w, h, at
            at += w * h if level < len(sizes) - 1 else 0
        at += sizes[-1][0] * sizes[-1][1]
    texels = np.concatenate(rows) if rows else np.zeros((0, 4), np.uint8)
    return Textures(torch.as_tensor(texels), torch.as_tensor(offset), torch.as_tensor(width), torch.as_tensor(height), tuple(names))


def _box(image: np.ndarray, width: int, height: int) -> np.ndarray:
    out = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return out.reshape(height, width, image.shape[2])
