"""Gradient noise (Perlin 1985) on an integer hash: the same bits on every device, no tables of permutations."""

from __future__ import annotations

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_TURN = 2.399963229728653


def hashed(x: Tensor, y: Tensor, z: Tensor, seed: Tensor) -> Tensor:
    """Integers (int64) -> int64 in [0, 2**32), well mixed."""
    h = (x * 374761393 + y * 668265263 + z * 1440662683 + seed * 1274126177) & _MASK
    h = ((h ^ (h >> 15)) * 739982445) & _MASK
    h = ((h ^ (h >> 12)) * 695872825) & _MASK
    return h ^ (h >> 15)


def _directions(device: torch.device, count: int = 64) -> Tensor:
    """(count, 3) unit vectors spread evenly on the sphere (golden spiral)."""
    k = torch.arange(count, dtype=torch.float64)
    z = 1 - (2 * k + 1) / count
    r = torch.sqrt(1 - z * z)
    return torch.stack([r * torch.cos(_TURN * k), r * torch.sin(_TURN * k), z], 1).float().to(device)


def gradient_noise(place: Tensor, seed: Tensor) -> Tensor:
    """place (N, 3) in periods, seed (N,) int64 -> (N,) about -0.7 … 0.7, mean 0, smooth, 0 at whole numbers."""
    cell = torch.floor(place)
    f = place - cell
    c = cell.to(torch.int64)
    table = _directions(place.device)
    fade = f * f * f * (f * (f * 6 - 15) + 10)
    out = torch.zeros_like(f[:, 0])
    for corner in range(8):
        d = [(corner >> k) & 1 for k in range(3)]
        g = table[hashed(c[:, 0] + d[0], c[:, 1] + d[1], c[:, 2] + d[2], seed) & 63]
        w = torch.ones_like(out)
        dot = torch.zeros_like(out)
        for k in range(3):
            w = w * (fade[:, k] if d[k] else 1 - fade[:, k])
            dot = dot + g[:, k] * (f[:, k] - d[k])
        out = out + w * dot
    return out


def ridges(place: Tensor, seed: Tensor) -> Tensor:
    """(N,) in 0 … 1: rounded crests with flatter valleys between, as cloth folds have them."""
    n = gradient_noise(place, seed)
    crest = 1 - (2.2 * n).abs().clamp(max=1)
    return crest * crest * (3 - 2 * crest)
