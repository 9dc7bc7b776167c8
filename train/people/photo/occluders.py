"""Things in front of the person: furniture and door frames, posts and railings, leaves."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor

from neural.contract.errors import OptionError

from . import chance

KINDS = ("box", "bar", "plant")
LEAVES = 36


def occluders(kinds: Sequence[str], seeds: Tensor, box: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """kinds (N of KINDS), seeds (N,) int64, box (N, 4) the person's place in pixels -> colour (N, 3, S, S) linear, alpha (N, S, S).

    They hide some of the person, never most of it: a fifth on average, at the most about a half.
    """
    unknown = [k for k in kinds if k not in KINDS]
    if unknown:
        raise OptionError("option.occluder", f"There is no occluder called '{unknown[0]}'.", f"Choose one of: {', '.join(KINDS)}.")
    device = seeds.device
    at = torch.arange(size, device=device, dtype=torch.float32) + 0.5
    span = (box[:, 2:] - box[:, :2]).amax(1)
    x = (at[None, None, :] - ((box[:, 0] + box[:, 2]) / 2)[:, None, None]) / span[:, None, None]   # the person: about -0.5 to 0.5
    y = (at[None, :, None] - ((box[:, 1] + box[:, 3]) / 2)[:, None, None]) / span[:, None, None]
    wide = ((box[:, 2] - box[:, 0]) / span)[:, None, None]
    away = x.new_full((len(seeds), size, size), 1.0)
    for kind, draw in (("box", _boxes), ("bar", _bars), ("plant", _plants)):
        rows = torch.tensor([i for i, k in enumerate(kinds) if k == kind], dtype=torch.long, device=device)
        if len(rows):
            away = away.index_copy(0, rows, draw(x[rows], y[rows], wide[rows], seeds[rows]))
    u = chance.draws(seeds, 12, 31)
    soft = (0.7 + 3 * u[:, 0].square())[:, None, None] / span[:, None, None]      # things near the lens are blurred
    alpha = (0.5 - away / soft).clamp(0, 1)
    tone = 0.02 + 0.8 * u[:, 1:2].square()
    colour = tone * torch.exp(0.7 * (u[:, 2:5] - 0.5))
    plant = torch.tensor([k == "plant" for k in kinds], device=device)[:, None]
    green = tone * torch.tensor([0.35, 0.6, 0.15], device=device) * torch.exp(0.6 * (u[:, 2:5] - 0.5))
    colour = torch.where(plant, green, colour)
    slope = (u[:, 5, None, None] - 0.5) * x + (u[:, 6, None, None] - 0.5) * y
    grain = chance.smooth_noise(seeds, size * (0.008 + 0.06 * u[:, 7]), size, 32)
    shade = (1 + 0.8 * slope) * torch.exp(0.35 * u[:, 8, None, None] * grain)
    shade = torch.where(plant[..., None], shade * (0.45 + (-14 * away).clamp(0, 1)), shade)
    return colour[:, :, None, None] * shade[:, None].clamp(min=0.05), alpha


def _one(t: Tensor) -> Tensor:
    return t[:, None, None]


def _slab(x: Tensor, y: Tensor, cx: Tensor, cy: Tensor, angle: Tensor, half: Tensor, tall: Tensor) -> Tensor:
    """Signed distance to rotated rectangles, all (N,) parameters."""
    c, s = _one(torch.cos(angle)), _one(torch.sin(angle))
    dx, dy = x - _one(cx), y - _one(cy)
    a, b = (dx * c + dy * s).abs() - _one(half), (dy * c - dx * s).abs() - _one(tall)
    return torch.hypot(a.clamp(min=0), b.clamp(min=0)) + torch.maximum(a, b).clamp(max=0)


def _boxes(x: Tensor, y: Tensor, wide: Tensor, seeds: Tensor) -> Tensor:
    """A table before the legs, a door frame or a wall's edge at one side, a case on the floor."""
    u = chance.draws(seeds, 7, 33)
    side = torch.where(u[:, 0] < 0.5, -1.0, 1.0)
    kind = (u[:, 1] * 3).long()
    w = wide[:, 0, 0]
    pick = lambda a, b, c: torch.where(kind == 0, a, torch.where(kind == 1, b, c))
    cx = pick(0.6 * (u[:, 2] - 0.5), side * (0.5 * w * (0.55 + 0.4 * u[:, 2]) + 0.5), side * 0.35 * u[:, 2])
    cy = pick(0.5 - 0.02 - 0.33 * u[:, 3] + 0.5, torch.zeros_like(w), 0.5 - 0.12 * u[:, 3])
    half = pick(0.3 + 0.7 * u[:, 4], torch.full_like(w, 0.5), 0.06 + 0.12 * u[:, 4])
    tall = pick(torch.full_like(w, 0.5), torch.full_like(w, 1.5), 0.05 + 0.12 * u[:, 5])
    return _slab(x, y, cx, cy, 0.16 * (u[:, 6] - 0.5), half, tall)


def _bars(x: Tensor, y: Tensor, wide: Tensor, seeds: Tensor) -> Tensor:
    """One to four parallel bars: a post, a railing, ropes."""
    u = chance.draws(seeds, 6, 34)
    upright = u[:, 0] < 0.5
    angle = torch.where(upright, 1.5708, 0.0) + 0.5 * (u[:, 1] - 0.5) * (u[:, 1] < 0.4)
    gap = 0.07 + 0.2 * u[:, 3]
    start = torch.where(upright, (u[:, 2] - 0.5) * 0.6 * wide[:, 0, 0], -0.2 + 0.65 * u[:, 2])
    out = torch.full_like(x * y, 1.0)
    for k in range(4):
        off = start + k * gap
        zero = torch.zeros_like(off)
        d = _slab(x, y, torch.where(upright, off, zero), torch.where(upright, zero, off), angle, zero + 3, 0.006 + 0.035 * u[:, 4].square())
        out = torch.where(_one(k <= (u[:, 5] ** 1.5 * 4).long()), torch.minimum(out, d), out)
    return out


def _plants(x: Tensor, y: Tensor, wide: Tensor, seeds: Tensor) -> Tensor:
    """Leaves fanning out from a place below or beside the person: curved, tapering strokes."""
    u = chance.draws(seeds, 6, 35)
    side = torch.where(u[:, 0] < 0.5, -1.0, 1.0)
    rx, ry = side * wide[:, 0, 0] * (0.15 + 0.5 * u[:, 1]), 0.5 + 0.1 * u[:, 2]
    v = chance.draws(seeds, 4 * LEAVES, 36).view(-1, LEAVES, 4)
    length, broad = 0.15 + 0.35 * u[:, 3], 0.008 + 0.028 * u[:, 4]
    dx, dy = x - _one(rx), y - _one(ry)
    out = torch.full_like(dx * dy, 1.0)
    for k in range(LEAVES):
        a = (v[:, k, 0] - 0.5) * 2.6
        c, s = _one(torch.sin(a)), _one(-torch.cos(a))
        long = _one(length * (0.4 + 0.6 * v[:, k, 1]))
        t = ((dx * c + dy * s) / long)
        bend = _one((v[:, k, 2] - 0.5) * 0.8) * long * t.square()
        width = _one(broad * (0.6 + 0.8 * v[:, k, 3])) * (4 * t * (1 - t)).clamp(min=0) ** 0.7
        inside = (dy * c - dx * s - bend).abs() - width
        out = torch.minimum(out, torch.where((t > 0) & (t < 1), inside, 1.0))
    return out
