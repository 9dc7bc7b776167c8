"""Shapes that are printed on cloth, and letters of an alphabet that means nothing. All our own drawing."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .noise import numbers, uniform

_GLYPHS, _ROWS, _COLUMNS = 40, 9, 7


def motif(u: Tensor, v: Tensor, seed: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
    """How much of a pixel a motif of about one unit across covers at (u, v), v up, and how much its inner part: (N,) in [0, 1] each.

    seed (N,) chooses among discs, rings, stars, polygons, hearts, hills, bars and blots; pixel (N,): units a pixel spans.
    """
    chance = numbers(seed + 101, 6)
    kind = torch.floor(chance[:, 0] * 8)
    turn = (chance[:, 1] - 0.5) * 0.6
    r, angle = (u * u + v * v).sqrt(), torch.atan2(u, v) + turn
    sides = torch.floor(3 + 6 * chance[:, 2])
    wedge = 3.1415927 / sides
    within = torch.remainder(angle + wedge, 2 * wedge) - wedge         # of the nearest corner's direction
    disc = r - 0.42
    ring = (r - 0.36).abs() - 0.08
    star = r - 0.46 * (0.62 + 0.38 * (1 - 2 * within.abs() / wedge))
    polygon = r * torch.cos(wedge - within.abs()) - 0.42 * torch.cos(wedge)
    heart = ((u.abs() - 0.22) ** 2 * 1.2 + (v + 0.05 - 0.62 * u.abs()) ** 2 + 0.25 * u * u).sqrt() - 0.34
    hills = torch.maximum(v - 0.30 * torch.cos(5 * u + 6.28 * chance[:, 3]) * (1 - 1.3 * u.abs()), torch.maximum(-0.32 - v, u.abs() - 0.55))
    bars = torch.maximum((torch.remainder(v * 5, 1) - 0.5).abs() * 0.2 - 0.06, torch.maximum(u.abs() - 0.5 + 0.2 * (v * 3).abs(), v.abs() - 0.42))
    blot = r - 0.3 * (1 + 0.35 * torch.cos(3 * angle + 6.28 * chance[:, 4]) + 0.25 * torch.cos(5 * angle + 6.28 * chance[:, 5]))
    shape = disc
    for k, other in enumerate((ring, star, polygon, heart, hills, bars, blot), 1):
        shape = torch.where(kind == k, other, shape)
    w = pixel.clamp(min=1e-3)
    cover = (0.5 - shape / w).clamp(0, 1)
    eyes = torch.minimum(((u.abs() - 0.14) ** 2 + (v - 0.1) ** 2).sqrt() - 0.05, torch.maximum((r - 0.24).abs() - 0.03, v + 0.06))
    core = torch.where(chance[:, 3] > 0.5, eyes, shape + 0.10 + 0.1 * chance[:, 4])
    return cover, (0.5 - core / w).clamp(0, 1)


@lru_cache(maxsize=1)
def alphabet() -> np.ndarray:
    """(40, 9, 7) float32 in [0, 1]: letters of two to four strokes between points of a small grid; the border is empty."""
    rng = np.random.Generator(np.random.PCG64(20))
    out = np.zeros((_GLYPHS, _ROWS, _COLUMNS), np.float32)
    stops = np.array([(x, y) for x in (1, 3, 5) for y in (1, 4, 7)])
    for glyph_image in out:
        for _ in range(rng.integers(2, 5)):
            a, b = stops[rng.choice(len(stops), 2, replace=False)]
            if rng.random() < 0.75:                                    # mostly upright or level strokes
                b = np.where(rng.random() < 0.6, [a[0], b[1]], [b[0], a[1]])
            for t in np.linspace(0, 1, 16):
                x, y = np.round(a + t * (b - a)).astype(int)
                glyph_image[y, x] = 1
    return out


def glyph(x: Tensor, y: Tensor, seed: Tensor, pixel: Tensor) -> Tensor:
    """(N,) cover of letters one unit wide and high in rows y (downwards), columns x; about one in six is a gap."""
    table = torch.from_numpy(alphabet()).to(x.device)
    i, j = torch.floor(x), torch.floor(y)
    a, b = i.to(torch.int32), j.to(torch.int32)
    pick = uniform(a, b, torch.full_like(a, 77), seed.to(torch.int32))
    letter = (pick * 1.2 * _GLYPHS).long()
    gx, gy = (x - i) * _COLUMNS - 0.5, (y - j) * _ROWS - 0.5
    left, top = torch.floor(gx), torch.floor(gy)
    out = torch.zeros_like(x)
    for dy in (0, 1):
        for dx in (0, 1):
            weight = (gx - left if dx else 1 - gx + left) * (gy - top if dy else 1 - gy + top)
            c, r = (left + dx).long().clamp(0, _COLUMNS - 1), (top + dy).long().clamp(0, _ROWS - 1)
            out = out + weight * table[letter.clamp(max=_GLYPHS - 1), r, c]
    sharp = (1 / (pixel * _ROWS).clamp(min=0.3)).clamp(1, 3)           # a steeper edge where letters are large on the screen
    return ((out - 0.5) * sharp + 0.5).clamp(0, 1) * (letter < _GLYPHS)
