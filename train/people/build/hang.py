"""Skirts and coats below the hips, and long hair: cloth that belongs to no limb.

A skirt skinned like legs splits between them. Here its lower part follows both thighs, each side more its own, is then kept outside the
legs' hull (for every height the largest reach of the legs in every direction), and hangs down where nothing holds it up.
"""

from __future__ import annotations

import torch
from torch import Tensor

SPLIT_M = 0.13
"""A place this far to one side follows the thigh of that side alone."""
HEIGHTS, TURNS = 48, 48
def skirt_transforms(neutral: Tensor, person: Tensor, table: Tensor, count: int, bone: dict[str, int]) -> Tensor:
    """Blended transforms (V, 12) of skirt vertices. table (P * B, 12); person (V,)."""
    side = (neutral[:, 0] / SPLIT_M).clamp(-1, 1)
    left = 0.5 + 0.5 * side * (1.5 - 0.5 * side * side)
    down = ((0.02 - neutral[:, 2]) / 0.20).clamp(0, 1)                   # 0 at the hips … 1 at mid thigh
    legs = 0.85 * down * down * (3 - 2 * down)
    row = lambda name: table[person * count + bone[name]]
    thighs = left[:, None] * row("upperleg02.L") + (1 - left[:, None]) * row("upperleg02.R")
    return legs[:, None] * thighs + (1 - legs[:, None]) * row("root")


def stands(bend: Tensor) -> Tensor:
    """(P,) 1 for people who stand or walk … 0 for those whose hips are bent by `bend` radians, as in sitting: a skirt then lies on the thighs, and
    a hull of the legs would spread it like a tent."""
    return 1 - ((torch.rad2deg(bend) - 50) / 30).clamp(0, 1)


def outward(neutral: Tensor, root: Tensor, hips: Tensor) -> Tensor:
    """(V, 2) unit, level: where a skirt's vertex looks to, by its place round the mean body. root (V, 3, 3) the pelvis' world rotation; hips (3,)."""
    away = torch.cat([neutral[:, :2] - hips[:2] * neutral.new_tensor([0.0, 1]), torch.zeros_like(neutral[:, :1])], 1)
    turned = (root @ away[..., None])[:, :2, 0]
    return turned / turned.norm(dim=1, keepdim=True).clamp(min=1e-4)


def outside_legs(place: Tensor, out: Tensor, person: Tensor, share: Tensor, legs: Tensor, leg_person: Tensor, count: int,
                 gap: float = 0.008) -> Tensor:
    """Skirt vertices (V, 3), moved along `out` (V, 2) to the hull of the legs; legs (L, 3) posed vertices of hips, legs and feet.

    share (V,) 0 … 1 of the move that is made.
    """
    low = torch.full((count,), torch.inf, device=place.device).scatter_reduce_(0, leg_person, legs[:, 2], "amin")
    high = torch.full((count,), -torch.inf, device=place.device).scatter_reduce_(0, leg_person, legs[:, 2], "amax")
    step = (high - low).clamp(min=1e-3) / HEIGHTS
    level = lambda z, p: (z - low[p]) / step[p]
    turn = torch.arange(TURNS, device=place.device) * (2 * torch.pi / TURNS)
    ways = torch.stack([torch.cos(turn), torch.sin(turn)])
    bin_ = level(legs[:, 2], leg_person).long().clamp(0, HEIGHTS - 1) + leg_person * HEIGHTS
    axis = _axis(legs, bin_, count)
    reach = torch.full((count * HEIGHTS, TURNS), -torch.inf, device=place.device)
    reach.scatter_reduce_(0, bin_[:, None].expand(-1, TURNS), (legs[:, :2] - axis[bin_]) @ ways, "amax")
    reach = _filled(reach.view(count, HEIGHTS, TURNS))
    at = level(place[:, 2], person).clamp(0, HEIGHTS - 1.001)
    lower = at.long()
    part = at - lower
    here = lower + person * HEIGHTS
    next_ = (lower + 1).clamp(max=HEIGHTS - 1) + person * HEIGHTS
    centre = (1 - part)[:, None] * axis[here] + part[:, None] * axis[next_]
    radius = ((place[:, :2] - centre) * out).sum(1)
    angle = (torch.atan2(out[:, 1], out[:, 0]) / (2 * torch.pi / TURNS)) % TURNS
    a = angle.long() % TURNS
    b, f = (a + 1) % TURNS, angle - angle.floor()
    flat = reach.view(-1, TURNS)
    read = lambda rows: (1 - f) * flat[rows, a] + f * flat[rows, b]
    need = (1 - part) * read(here) + part * read(next_) + gap
    more = (need - radius).clamp(0, 0.5) * share
    return torch.cat([place[:, :2] + out * more[:, None], place[:, 2:]], 1)


def _axis(legs: Tensor, bin_: Tensor, count: int) -> Tensor:
    """(count * HEIGHTS, 2) middle of the legs at every height, smooth."""
    n = count * HEIGHTS
    big = torch.full((n, 2), torch.inf, device=legs.device)
    index = bin_[:, None].expand(-1, 2)
    low = big.clone().scatter_reduce_(0, index, legs[:, :2], "amin")
    high = (-big).scatter_reduce_(0, index, legs[:, :2], "amax")
    middle = torch.where(torch.isfinite(low), 0.5 * (low + high), torch.nan).view(count, HEIGHTS, 2)
    return _smooth(_fill_nan(middle)).view(n, 2)


def _fill_nan(x: Tensor) -> Tensor:
    """(P, H, C): empty heights take the value of the nearest filled one above, else below."""
    for order in (range(HEIGHTS - 2, -1, -1), range(1, HEIGHTS)):
        for k in order:
            near = x[:, k + 1] if order.step == -1 else x[:, k - 1]
            x[:, k] = torch.where(torch.isnan(x[:, k]), near, x[:, k])
    return x


def _filled(reach: Tensor) -> Tensor:
    return _smooth(_fill_nan(torch.where(torch.isfinite(reach), reach, torch.nan)), keep=True)


def _smooth(x: Tensor, keep: bool = False) -> Tensor:
    """(P, H, C) averaged over neighbouring heights; keep: never below the values themselves."""
    for _ in range(3):
        wide = torch.cat([x[:, :1], x, x[:, -1:]], 1)
        mean = 0.25 * wide[:, :-2] + 0.5 * x + 0.25 * wide[:, 2:]
        x = torch.maximum(x, mean) if keep else mean
    return x


def long_hair(neutral: Tensor, heads: Tensor, bone: dict[str, int]) -> Tensor:
    """(V,) 0 … 1: how much hair at these places of the mean body follows the trunk instead of the head; heads (B, 3) mean."""
    top, low = heads[bone["neck03"], 2], heads[bone["clavicle.L"], 2]
    t = ((top - neutral[:, 2]) / (top - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)
