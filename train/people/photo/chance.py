"""Random numbers without state: a hash of whole numbers, with the same bits on CPU and CUDA."""

from __future__ import annotations

import hashlib
from dataclasses import astuple

import numpy as np
import torch
from torch import Tensor

_MASK = 0xFFFFFFFF


def mix(x: Tensor) -> Tensor:
    """(…) int64 -> (…) int64 in [0, 2**32): a hash whose every bit hangs on every bit (Ellis' `lowbias32`)."""
    x = x & _MASK
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _MASK
    return x ^ (x >> 16)


def draws(seeds: Tensor, count: int, theme: int = 0) -> Tensor:
    """seeds (P,) int64 -> (P, count) float32 uniform in [0, 1), another row for every seed and theme."""
    at = torch.arange(count, device=seeds.device)
    return unit(mix(mix(seeds ^ mix(seeds >> 32))[:, None] + mix(at + 1013904223 * (theme + 1))))


def unit(h: Tensor) -> Tensor:
    """Hash -> float32 in [0, 1), 24 bits."""
    return (h >> 8).to(torch.float32) * (1.0 / (1 << 24))


def bell(u: Tensor) -> Tensor:
    """(…) uniform -> (…) normal (float32, within 5 standard deviations)."""
    return torch.special.ndtri(u.clamp(3e-7, 1 - 3e-7).double()).float()


def noise(seeds: Tensor, channels: int, height: int, width: int) -> Tensor:
    """(P,) int64 -> (P, channels, height, width) float32 nearly normal, independent: the sum of the four bytes of a hash."""
    at = torch.arange(channels * height * width, device=seeds.device)
    h = mix(mix(seeds ^ mix(seeds >> 32))[:, None] + at * 0x9E3779B1)
    total = (h & 255) + (h >> 8 & 255) + (h >> 16 & 255) + (h >> 24)
    return ((total.to(torch.float32) - 510.0) / 147.8).view(-1, channels, height, width)


def smooth_noise(seeds: Tensor, cell: Tensor, size: int, theme: int = 0) -> Tensor:
    """Normal noise with a correlation length: seeds (P,) int64, cell (P,) pixels -> (P, size, size) float32 of unit variance.

    A lattice of normals every `cell` pixels, blended by a cubic B-spline; the variance that the blend takes is given back.
    """
    p = torch.arange(size, device=seeds.device, dtype=torch.float32)
    start = 64 * draws(seeds, 2, theme + 101)
    rows, columns = (p / cell[:, None] + start[:, i:i + 1] for i in (0, 1))
    base = mix(mix(seeds ^ mix(seeds >> 32)) + 7919 * (theme + 1))[:, None]

    count = int(size / float(cell.min())) + 5
    low = [torch.floor(axis[:, :1]).long() - 1 for axis in (rows, columns)]
    i = torch.arange(count, device=seeds.device)
    lattice = bell(unit(mix(mix(base + (low[0] + i) * 0x2545F491)[:, :, None] + (low[1] + i)[:, None] * 0x27D4EB2F)))
    weights = []
    for axis, first in ((rows, low[0]), (columns, low[1])):
        away = (axis[:, :, None] - (first + i)[:, None].float()).abs()
        w = torch.where(away < 1, 2 / 3 - away.square() + 0.5 * away ** 3, (2 - away).clamp(min=0) ** 3 / 6)
        weights.append(w / w.square().sum(-1, keepdim=True).sqrt())
    return weights[0] @ lattice @ weights[1].mT


def seed_of(recipe: object) -> int:
    """A whole number (below 2**62) that only the values of a dataclass decide; for recipes without a seed of their own."""
    return int.from_bytes(hashlib.blake2b(repr(astuple(recipe)).encode(), digest_size=8).digest(), "little") >> 2


def generator(recipe: object) -> np.random.Generator:
    """Plain numbers for one recipe."""
    return np.random.default_rng(seed_of(recipe))
