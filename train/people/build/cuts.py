"""Sleeves and legs cut short."""

from __future__ import annotations

import torch
from torch import Tensor

from .limbs import Coordinates, Limbs
from .prepare import Prepared
from .rows import Rows
from .turn import unit

KEEP_ARM_M, KEEP_LEG_M = 0.09, 0.12
"""A cut leaves at least this much of a sleeve, of a leg or skirt."""
NO_ARM = ("bottom", "socks")


def limits(rows: Rows, ready: Prepared) -> Tensor:
    """(W, 2): how far along arm and leg a piece may reach, metres; inf where it is whole."""
    out = torch.full((len(rows.worn), 2), torch.inf)
    for w, (worn, k) in enumerate(zip(rows.worn, rows.item.tolist())):
        if worn is None or worn.cut <= 0 or not ready.pack.items.items[k].cloth:
            continue
        for axis, (reach, keep) in enumerate(zip(ready.reach[k], (KEEP_ARM_M, KEEP_LEG_M))):
            if reach > keep + 0.02:
                out[w, axis] = reach - min(worn.cut, 1.0) * (reach - keep)
    return out.to(rows.vertex.device)


def trim(rest: Tensor, where: Coordinates, limit: Tensor, neutral: Tensor, limbs: Limbs) -> tuple[Tensor, Tensor]:
    """Rest places (V, 3) with vertices beyond their limits (V, 2) slid back onto the edge, and which ones those are (V,) bool."""
    on_arm = where.arm > 0.5
    beyond = torch.where(on_arm, where.down_arm - limit[:, 0], where.down_leg - limit[:, 1])
    gone = torch.isfinite(beyond) & (beyond > 0)
    at = torch.nonzero(gone).flatten()
    if not len(at):
        return rest, gone
    upper, fore = unit(limbs.elbow - limbs.shoulder), unit(limbs.wrist - limbs.elbow)
    length = (limbs.elbow - limbs.shoulder).norm()
    mirror = torch.where(neutral[at, :1] < 0, rest.new_tensor([-1.0, 1, 1]), rest.new_tensor([1.0, 1, 1]))
    down = torch.where(on_arm[at][:, None], torch.where((limit[at, 0] > length)[:, None], fore, upper) * mirror, rest.new_tensor([0.0, 0, -1]))
    return rest.index_copy(0, at, rest[at] - beyond[at][:, None].clamp(max=0.04) * down), gone
