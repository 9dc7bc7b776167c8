"""Filters with a setting of its own for every picture: Gaussian, motion, resampling."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian(pictures: Tensor, sigma: Tensor, most: float) -> Tensor:
    """pictures (P, C, H, W), sigma (P,) pixels, none above `most` -> blurred, the border repeated. sigma 0 leaves a picture as it is."""
    reach = max(int(math.ceil(3 * most)), 1)
    at = torch.arange(-reach, reach + 1, device=pictures.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (at / sigma[:, None].clamp(min=0.05)).square())
    kernel = kernel * (at.abs() <= torch.ceil(3 * sigma)[:, None])     # the same picture whoever else is blurred with it
    kernel = (kernel / kernel.sum(1, keepdim=True)).to(pictures.dtype)
    p, c, h, w = pictures.shape
    kernel = kernel.repeat_interleave(c, 0)[:, None]
    x = pictures.reshape(1, p * c, h, w)
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="replicate"), kernel[:, :, None, :], groups=p * c)
    x = F.conv2d(F.pad(x, (0, 0, reach, reach), mode="replicate"), kernel[:, :, :, None], groups=p * c)
    return x.view(p, c, h, w)


def wide_gaussian(pictures: Tensor, sigma: Tensor, most: float) -> Tensor:
    """As gaussian, for large sigma: worked out on a grid so coarse that its sigma is about 2 to 3 pixels."""
    step = 1
    while most / (2 * step) >= 2 and pictures.shape[-1] % (2 * step) == 0:
        step *= 2
    if step == 1:
        return gaussian(pictures, sigma, most)
    small = F.avg_pool2d(pictures, step)
    rest = (sigma.square() / step ** 2 - (1 - step ** -2) / 12 - 0.15).clamp(min=0).sqrt()   # the box and the tent blur, too
    small = gaussian(small, rest, most / step)
    return F.interpolate(small, size=pictures.shape[-2:], mode="bilinear", align_corners=False)


def motion(pictures: Tensor, length: Tensor, angle: Tensor, most: float) -> Tensor:
    """Smeared along a line: length (P,) pixels, none above `most`, angle (P,) radians from x to y."""
    reach = int(math.ceil(most / 2 + 0.5))
    at = torch.arange(-reach, reach + 1, device=pictures.device, dtype=torch.float32)
    c, s = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    along = (at * c + at[:, None] * s).abs()
    aside = (at[:, None] * c - at * s).abs()
    kernel = (length[:, None, None] / 2 + 0.5 - along).clamp(0, 1) * (1 - aside).clamp(min=0)
    kernel = kernel / kernel.sum((1, 2), keepdim=True)
    p, ch, h, w = pictures.shape
    x = F.pad(pictures.reshape(1, p * ch, h, w), (reach,) * 4, mode="replicate")
    return F.conv2d(x, kernel.repeat_interleave(ch, 0)[:, None], groups=p * ch).view(p, ch, h, w)


def cubic(x: Tensor, a: float = -0.75) -> Tensor:
    """OpenCV's bicubic kernel (a = -0.75); it overshoots at edges."""
    x = x.abs()
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    outer = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, inner, torch.where(x < 2, outer, 0.0))


def lanczos(x: Tensor) -> Tensor:
    """Lanczos with three lobes: halos on both sides of an edge."""
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)


def resampling(source: Tensor, target: Tensor, size: int, kernel, widen: bool) -> Tensor:
    """(P, size, size) matrices that turn the first `source` pixels of a row into the first `target`; the rest repeats the last.

    source, target (P,) whole numbers up to size; widen: the kernel grows with the step when shrinking (no aliasing).
    """
    at = torch.arange(size, device=source.device, dtype=torch.float32)
    step = source.float() / target.float()
    row = torch.minimum(at[None], target[:, None].float() - 1)
    place = (row + 0.5) * step[:, None] - 0.5
    away = place[:, :, None] - at[None, None]
    spread = step[:, None, None].clamp(min=1) if widen else torch.ones_like(step)[:, None, None]
    w = kernel(away / spread)
    last = (source - 1)[:, None, None]
    column = torch.arange(size, device=source.device)[None, None]
    w = w + (column == last) * (torch.where(column > last, w, 0.0).sum(-1, keepdim=True))    # beyond the border: the last pixel again
    first = kernel((place[:, :, None] + 1 + torch.arange(8 * 3, device=source.device)) / spread).sum(-1, keepdim=True)
    w = torch.where(column > last, 0.0, w + (column == 0) * first)
    return w / w.sum(-1, keepdim=True)


def resample(pictures: Tensor, matrix: Tensor) -> Tensor:
    """Both directions of (P, C, S, S) by the same matrix (P, S, S)."""
    return matrix[:, None] @ pictures @ matrix[:, None].mT


def linear_from_srgb(x: Tensor) -> Tensor:
    """sRGB in [0, 1] -> linear."""
    return torch.where(x <= 0.04045, x / 12.92, ((x.clamp(min=0.0) + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(x: Tensor) -> Tensor:
    """Linear in [0, 1] -> sRGB."""
    return torch.where(x <= 0.0031308, 12.92 * x, 1.055 * x.clamp(min=1e-8) ** (1 / 2.4) - 0.055)
