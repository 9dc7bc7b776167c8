"""Shapes of hands, as local rotations of the finger bones."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .turn import about, unit

HANDS = {
    # finger: flexion in degrees of its three phalanges from index to little finger; thumb likewise; spread: degrees between fingers
    "relaxed": (((14, 24, 14), (20, 30, 18), (26, 34, 20), (30, 36, 22)), (4, 10, 14), 0.0),
    "flat": (((2, 3, 2), (2, 3, 2), (2, 3, 2), (3, 4, 2)), (0, 2, 4), 0.0),
    "fist": (((62, 88, 55), (68, 92, 58), (72, 92, 58), (76, 88, 55)), (14, 32, 44), 0.0),
    "half": (((34, 46, 26), (40, 52, 30), (46, 54, 32), (50, 54, 32)), (8, 18, 24), 0.0),
    "spread": (((0, 4, 2), (0, 4, 2), (0, 4, 2), (0, 4, 2)), (-10, 0, 0), 11.0),
    "point": (((0, 3, 2), (66, 90, 55), (70, 90, 55), (74, 88, 55)), (14, 36, 40), 0.0),
    "victory": (((0, 3, 2), (0, 3, 2), (70, 92, 58), (74, 88, 55)), (16, 40, 40), 9.0),
    "thumb": (((66, 90, 56), (70, 92, 58), (72, 92, 58), (76, 88, 55)), (-22, -8, -4), 0.0),
}
"""Shapes by name."""

_SIDE = {"L": 1.0, "R": -1.0}


def palm_frame(heads: Tensor, bone: dict[str, int], side: str) -> tuple[Tensor, Tensor, Tensor]:
    """Rest heads (P, B, 3) -> unit (P, 3): along the hand, across it towards the thumb, out of the palm."""
    at = lambda name: heads[:, bone[f"{name}.{side}"]]
    along = unit(at("finger3-1") - at("wrist"))
    across = at("finger2-1") - at("finger5-1")
    across = unit(across - (across * along).sum(-1, keepdim=True) * along)
    return along, across, _SIDE[side] * torch.linalg.cross(along, across)


def finger_bones(side: str) -> list[str]:
    return [f"finger{k}-{n}.{side}" for k in range(1, 6) for n in (1, 2, 3)] + [f"metacarpal{k}.{side}" for k in range(1, 5)]


def shaped_hand(heads: Tensor, bone: dict[str, int], side: str, names: list[str], seeds: list[int]) -> dict[str, Tensor]:
    """Local rotations (P, 3, 3) of one hand's bones for P shapes by name; seeds vary every finger a little."""
    along, across, palm = palm_frame(heads, bone, side)
    count, device = len(names), heads.device
    degrees = torch.zeros(count, 5, 3)
    spread = torch.zeros(count)
    for p, (name, seed) in enumerate(zip(names, seeds)):
        rng = np.random.default_rng([seed, 17 if side == "L" else 18])
        fingers, thumb, spread[p] = HANDS[name]
        table = np.array([thumb, *fingers], float)
        degrees[p] = torch.from_numpy(table * rng.uniform(0.75, 1.25) * rng.normal(1, 0.08, (5, 1)) + rng.normal(0, 2.0, (5, 3)))
    angle = torch.deg2rad(degrees).to(device)
    spread = torch.deg2rad(spread).to(device)
    out = {f"metacarpal{k}.{side}": torch.eye(3, device=device).expand(count, 3, 3) for k in range(1, 5)}
    for k in range(1, 6):
        chain = [heads[:, bone[f"finger{k}-{n}.{side}"]] for n in (1, 2, 3)]
        direction = unit(chain[1] - chain[0])
        towards = palm if k > 1 else unit(palm - 0.8 * across)          # the thumb closes over the palm
        axis = unit(torch.linalg.cross(direction, towards))
        for n in (1, 2, 3):
            turn = about(axis, angle[:, k - 1, n - 1])
            if n == 1 and k > 1:                                        # fingers open like a fan about the palm's normal
                turn = about(palm, _SIDE[side] * spread * (2.5 - (k - 1))) @ turn
            out[f"finger{k}-{n}.{side}"] = turn
    return out
