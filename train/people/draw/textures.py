"""Looking up pictures: bilinear, in the mip level that fits a face's size on the screen."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..types import Textures


def screen_levels(textures: Textures, texture: Tensor, uv: Tensor, faces: Tensor, pixels: Tensor) -> Tensor:
    """Mip level (F,) int64 at which a texel of each face is about as large as a pixel.

    texture (F,) row or -1; uv (V, 2); faces (F, 3); pixels (V, 2) of the canvas. The level follows from the face's area in both.
    """
    row = texture.clamp(min=0)
    a, b = _area(uv.double()[faces]), _area(pixels.double()[faces])
    texels = a * (textures.width[row, 0] * textures.height[row, 0])
    twice = torch.frexp((2 * texels / b.clamp(min=1e-6)).clamp(min=1e-9)).exponent.long() - 1     # floor(log2(2 texels / pixels))
    return (twice >> 1).clamp(0, textures.width.shape[1] - 1)


def sample(textures: Textures, texture: Tensor, level: Tensor, uv: Tensor) -> Tensor:
    """(N, 4) float32: linear RGB and opacity in [0, 1]. texture, level (N,) int64; uv (N, 2), v up, repeated beyond [0, 1]."""
    table = linear_table(textures.texels.device)
    out = torch.zeros((len(uv), 4), dtype=torch.float32, device=uv.device)
    w, h, offset = (t[texture, level] for t in (textures.width, textures.height, textures.offset))
    for word, weight in _texels(textures, w, h, offset, uv[:, 0], uv[:, 1]):
        for c in range(3):
            out[:, c] += weight * table[(word >> (8 * c)) & 255]
        out[:, 3] += weight * (((word >> 24) & 255) * (1 / 255))
    return out


def opacity(textures: Textures, width: Tensor, height: Tensor, offset: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """(N,) float32 in [0, 1]: the alpha that `sample` finds, in levels given by their size and first texel."""
    out = torch.zeros_like(u)
    for word, weight in _texels(textures, width, height, offset, u, v):
        out += weight * (((word >> 24) & 255) * (1 / 255))
    return out


def linear_table(device: torch.device | str = "cpu") -> Tensor:
    """(256,) float32: the linear value of each sRGB byte."""
    x = torch.arange(256, dtype=torch.float64) / 255
    return torch.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).float().to(device)


def _texels(textures: Textures, w: Tensor, h: Tensor, offset: Tensor, u: Tensor, v: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The four texels (N,) around each place, as words of four bytes (one gather instead of four), and their weights (N,)."""
    v = 1 - v
    x, y = (u - torch.floor(u)) * w - 0.5, (v - torch.floor(v)) * h - 0.5
    left, top = torch.floor(x), torch.floor(y)
    fx, fy = x - left, y - top
    around = lambda i, n: torch.where(i < 0, i + n, torch.where(i >= n, i - n, i))
    columns = [around(left.long() + k, w) for k in (0, 1)]
    rows = [offset + around(top.long() + k, h) * w for k in (0, 1)]
    words = textures.texels.view(torch.int32).view(-1)
    for row, wy in zip(rows, (1 - fy, fy)):
        for column, wx in zip(columns, (1 - fx, fx)):
            yield words[row + column], wx * wy


def _area(corner: Tensor) -> Tensor:
    """(F, 3, 2) -> (F,) twice the area."""
    a, b = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    return (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).abs()
