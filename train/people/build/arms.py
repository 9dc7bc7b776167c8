"""Arms from directions or from where the hand shall be: anatomically sane rotations of clavicle, upper arm, forearm and hand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .hands import palm_frame
from .turn import about, between, twist, unit

_LIFT_DEG = ((0.0, -9.0), (45.0, 0.0), (90.0, 9.0), (180.0, 30.0))
"""How far the shoulder girdle turns up for an arm's angle from hanging; it rests at 45 degrees."""
_FORWARD_DEG = 12.0
_PRONATION = (-1.6, 1.5)
_CLOSED = 0.85
"""Cosine of the smallest angle inside an elbow (32 degrees)."""


@dataclass(frozen=True)
class ArmGoal:
    """P arms of one side. upper, fore, palm, hand (P, 3) unit directions in the chest's frame (palm: where the palm faces; hand: where the
    fingers point; 0 = as it comes); reach (P,) bool: the wrist goes to `wrist` (P, 3), world, with the elbow towards `pole` (P, 3), chest's
    frame, instead of upper and fore."""

    upper: Tensor
    fore: Tensor
    palm: Tensor
    hand: Tensor
    reach: Tensor
    wrist: Tensor
    pole: Tensor


def girdle(upper: Tensor, side: float) -> Tensor:
    """Rotation (P, 3, 3) of the clavicle in the chest's frame for an upper arm that points along `upper` (P, 3)."""
    angle = torch.rad2deg(torch.acos((-upper[:, 2]).clamp(-1, 1)))
    lift = torch.zeros_like(angle)
    for (a, x), (b, y) in zip(_LIFT_DEG, _LIFT_DEG[1:]):
        lift = torch.where((angle >= a), x + (y - x) * ((angle - a) / (b - a)).clamp(0, 1), lift)
    forward = _FORWARD_DEG * (-upper[:, 1]).clamp(-0.5, 1)
    z, y = upper.new_tensor([0.0, 0, 1]).expand_as(upper), upper.new_tensor([0.0, 1, 0]).expand_as(upper)
    return about(z, -side * torch.deg2rad(forward)) @ about(y, -side * torch.deg2rad(lift))


def arm(goal: ArmGoal, chest: Tensor, root: Tensor, heads: Tensor, bone: dict[str, int], side: str) -> dict[str, Tensor]:
    """World rotations (P, 3, 3) of one arm's bones. chest (P, 3, 3) world rotation of spine01; root (P, 3) posed head of the clavicle; heads
    (P, B, 3) rest."""
    s = 1.0 if side == "L" else -1.0
    at = lambda name: heads[:, bone[f"{name}.{side}"]]
    u0, f0 = at("lowerarm01") - at("upperarm01"), at("wrist") - at("lowerarm01")
    l1, l2 = u0.norm(dim=1), f0.norm(dim=1)
    u0, f0 = unit(u0), unit(f0)
    upper, fore = unit(goal.upper), unit(goal.fore)
    for _ in range(3):                                                  # the shoulder moves with the arm
        clavicle = chest @ girdle(upper, s)
        shoulder = root + (clavicle @ (at("upperarm01") - at("clavicle"))[..., None])[..., 0]
        u, f = _reach(shoulder, goal.wrist, (chest @ goal.pole[..., None])[..., 0], l1, l2)
        back = lambda v: (chest.transpose(1, 2) @ v[..., None])[..., 0]
        upper = torch.where(goal.reach[:, None], back(u), upper)
        fore = torch.where(goal.reach[:, None], back(f), fore)
    world = lambda v: (chest @ v[..., None])[..., 0]
    u, f = world(upper), world(fore)
    hinge0 = unit(torch.linalg.cross(u0, f0))
    hinge = torch.linalg.cross(u, f)
    bent = hinge.norm(dim=1, keepdim=True)
    natural = (between(u0, u) @ hinge0[..., None])[..., 0]
    share = ((bent - 0.1) / 0.25).clamp(0, 1)
    hinge = share * unit(hinge) + (1 - share) * natural
    hinge = unit(hinge - (hinge * u).sum(1, keepdim=True) * u)
    r_upper = _frame(u, hinge) @ _frame(u0, hinge0).transpose(1, 2)
    across = unit(hinge - (hinge * f).sum(1, keepdim=True) * f)
    r_fore = _frame(f, across) @ _frame(f0, hinge0).transpose(1, 2)
    along0, _, palm0 = palm_frame(heads, bone, side)
    palm = (r_fore @ palm0[..., None])[..., 0]
    wanted = world(goal.palm)
    flat = lambda v: unit(v - (v * f).sum(1, keepdim=True) * f)
    a, b = flat(palm), flat(wanted)
    angle = torch.atan2((torch.linalg.cross(a, b) * f).sum(1), (a * b).sum(1)).clamp(*_PRONATION) * (goal.palm.norm(dim=1) > 0)
    hand = about(f, angle) @ r_fore
    fingers = (hand @ along0[..., None])[..., 0]
    aim = torch.where(goal.hand.norm(dim=1, keepdim=True) > 0, unit(world(goal.hand)), fingers)
    turn = torch.atan2(torch.linalg.cross(fingers, aim).norm(dim=1), (fingers * aim).sum(1))
    axis = unit(torch.linalg.cross(fingers, aim))
    wrist = about(axis, turn.clamp(max=1.0)) @ hand
    out = {"clavicle": clavicle, "shoulder01": clavicle, "upperarm02": r_upper, "lowerarm01": about(f, 0.3 * angle) @ r_fore,
           "lowerarm02": about(f, 0.7 * angle) @ r_fore, "wrist": wrist}
    out["upperarm01"] = share_twist(clavicle, r_upper, u0, 0.45)
    return {f"{k}.{side}": v for k, v in out.items()}


def share_twist(parent: Tensor, rotation: Tensor, axis: Tensor, part: float) -> Tensor:
    """World rotation of a limb's first bone, when the limb's end has `rotation` (…, 3, 3): all of its swing, `part` of its twist about
    the rest direction `axis` (…, 3)."""
    local = parent.transpose(-1, -2) @ rotation
    angle = twist(local, axis)
    return parent @ local @ about(axis, -(1 - part) * angle)


def _reach(shoulder: Tensor, wrist: Tensor, pole: Tensor, l1: Tensor, l2: Tensor) -> tuple[Tensor, Tensor]:
    """Unit directions of upper arm and forearm (two bones, elbow towards the pole)."""
    away = wrist - shoulder
    d = away.norm(dim=1).clamp(min=1e-4)
    line = away / d[:, None]
    d = torch.minimum(torch.maximum(d, torch.sqrt(l1 ** 2 + l2 ** 2 - 2 * l1 * l2 * _CLOSED)), 0.998 * (l1 + l2))
    cosine = ((l1 ** 2 + d ** 2 - l2 ** 2) / (2 * l1 * d)).clamp(-1, 1)
    side = unit(pole - (pole * line).sum(1, keepdim=True) * line)
    u = cosine[:, None] * line + torch.sqrt(1 - cosine ** 2)[:, None] * side
    return u, unit(d[:, None] * line - l1[:, None] * u)


def _frame(a: Tensor, b: Tensor) -> Tensor:
    """Columns a, b, a x b."""
    return torch.stack([a, b, torch.linalg.cross(a, b)], -1)
