"""What a JPEG file leaves of a picture: colour planes at half resolution, 8 x 8 cosine blocks, quantised. ITU-T T.81, annex K.

Only the loss is imitated, in torch and for many pictures of different quality at once; nothing is encoded. Agrees with libjpeg to
the rounding of single pixels (tests/neural/test_people_photo_jpeg.py).
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

_LUMA = (16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
         18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99)
_CHROMA = (17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
           *[99] * 32)
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168735892, -0.331264108, 0.5), (0.5, -0.418687589, -0.081312411))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))


def compressed(pictures: Tensor, quality: Tensor, halved: bool = True) -> Tensor:
    """pictures (P, 3, H, W) float32 sRGB in [0, 1], H and W multiples of 16; quality (P,) 1 to 100 -> the same after JPEG.

    halved: colour at half resolution (4:2:0), as nearly every program does.
    """
    if pictures.shape[-1] % 16 or pictures.shape[-2] % 16:
        raise ValueError("the sides of the pictures must be multiples of 16")
    table = lambda m: torch.tensor(m, device=pictures.device, dtype=torch.float32)
    x = (pictures.clamp(0, 1) * 255 + 0.5).floor()
    ycc = torch.einsum("ij,pjhw->pihw", table(_TO_YCC), x)
    luma, colour = ycc[:, :1].round(), (ycc[:, 1:] + 128).round()
    if halved:
        up = torch.tensor([0.25, 0.5], device=pictures.device).repeat(colour.shape[-1] // 4)
        colour = (F.avg_pool2d(colour, 2) + up).floor()            # libjpeg rounds down and up in turn
    luma = _blocks(luma - 128, _tables(_LUMA, quality)) + 128
    colour = _blocks(colour - 128, _tables(_CHROMA, quality)) + 128
    luma, colour = luma.round().clamp(0, 255), colour.round().clamp(0, 255)
    if halved:
        colour = F.interpolate(colour, scale_factor=2, mode="bilinear", align_corners=False).round()
    out = torch.einsum("ij,pjhw->pihw", table(_TO_RGB), torch.cat([luma, colour - 128], 1))
    return out.round().clamp(0, 255) / 255


def _tables(base: tuple[int, ...], quality: Tensor) -> Tensor:
    """(P, 64) steps of quantisation for quality (P,), as libjpeg scales them."""
    q = quality.float().clamp(1, 100)
    percent = torch.where(q < 50, (5000 / q).floor(), 200 - 2 * q)
    steps = torch.tensor(base, device=quality.device, dtype=torch.float32)
    return ((steps * percent[:, None] + 50) / 100).floor().clamp(1, 255)


@lru_cache(maxsize=4)
def _cosines(device: torch.device) -> Tensor:
    """(64, 64) orthonormal: row k is the k-th cosine pattern of a block, both row by row."""
    k = torch.arange(8, dtype=torch.float64)
    one = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) * torch.where(k == 0, math.sqrt(1 / 8), 0.5)[:, None]
    return torch.kron(one, one).float().to(device)


def _blocks(planes: Tensor, steps: Tensor) -> Tensor:
    """planes (P, C, H, W) about 0, steps (P, 64) -> planes whose cosine coefficients are multiples of the steps."""
    p, c, h, w = planes.shape
    basis = _cosines(planes.device)
    x = planes.view(p, c, h // 8, 8, w // 8, 8).permute(0, 1, 2, 4, 3, 5).reshape(p, -1, 64)
    k = x @ basis.T
    k = (k / steps[:, None]).round() * steps[:, None]
    return (k @ basis).view(p, c, h // 8, w // 8, 8, 8).permute(0, 1, 2, 4, 3, 5).reshape(p, c, h, w)
