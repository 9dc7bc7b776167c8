"""Noise from an integer hash: the same bits on every machine, no state."""

from __future__ import annotations

import torch
from torch import Tensor

_CORNERS = tuple((i, j, k) for k in (0, 1) for j in (0, 1) for i in (0, 1))


def hashed(*keys: Tensor) -> Tensor:
    """int32 tensors of one shape -> int32, well mixed (32-bit arithmetic that wraps around)."""
    h = torch.zeros_like(keys[0])
    for key, factor in zip(keys, (-1918454973, -669632447, -887442657, 461845907, 1597334677)):
        h = (h ^ (key * factor)) * 739982445
        h = h ^ ((h >> 15) & 0x1FFFF)
    h = h * 695872825
    return h ^ ((h >> 12) & 0xFFFFF)


def uniform(*keys: Tensor) -> Tensor:
    """As `hashed`, float32 in [0, 1)."""
    return (hashed(*keys) & 0xFFFFFF).float() * (1.0 / (1 << 24))


def numbers(seed: Tensor, count: int) -> Tensor:
    """(N,) int64 seeds -> (N, count) float32 in [0, 1): the same few numbers wherever a seed occurs."""
    s = seed.to(torch.int32)[:, None].expand(-1, count)
    return uniform(s, torch.arange(count, dtype=torch.int32, device=seed.device).expand_as(s))


def noise(points: Tensor, seed: Tensor) -> Tensor:
    """(N, 3) places in cells, (N,) seeds -> (N,) float32 in [0, 1]: smooth value noise of period one cell."""
    return _noise(points, seed, False)[0]


def noise_gradient(points: Tensor, seed: Tensor) -> Tensor:
    """As `noise` -> its gradient (N, 3), exact; continuous, and zero at the cells' corners."""
    return _noise(points, seed, True)[1]


def _noise(points: Tensor, seed: Tensor, slope: bool) -> tuple[Tensor, Tensor | None]:
    cell = torch.floor(points)
    f = (points - cell).t()
    c, s = cell.to(torch.int32).t(), seed.to(torch.int32)
    v = torch.stack([uniform(c[0] + i, c[1] + j, c[2] + k, s) for i, j, k in _CORNERS])
    u = f * f * f * (f * (f * 6 - 15) + 10)
    dx = v[1::2] - v[0::2]                                             # (4, N): along x at the four other corners
    a = v[0::2] + dx * u[0]
    dy = a[1::2] - a[0::2]
    b = a[0::2] + dy * u[1]
    value = b[0] + (b[1] - b[0]) * u[2]
    if not slope:
        return value, None
    du = 30 * f * f * (f * (f - 2) + 1)
    gx = dx[0::2] + (dx[1::2] - dx[0::2]) * u[1]
    return value, torch.stack([(gx[0] + (gx[1] - gx[0]) * u[2]) * du[0], (dy[0] + (dy[1] - dy[0]) * u[2]) * du[1], (b[1] - b[0]) * du[2]], 1)
