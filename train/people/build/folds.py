"""How far cloth stands off its fitted place: looseness and folds, as functions of the place on the body and of the pose.

Drape folds run along the limb (they hang), compression folds run across it where a joint is bent. Both are ridged gradient noise in
the limb's own coordinates, so that they stay where they are on the cloth when the person moves or has another shape.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .limbs import Coordinates, Limbs
from .noise import gradient_noise, ridges
from .turn import angle_between

SQUEEZE_M = 0.11
"""Compression folds fade over this distance from a joint."""
MOST_M = 0.04
"""However loose: cloth further off would look blown up."""
_FIRST_DEG, _LAST_DEG = 12.0, 95.0


@dataclass(frozen=True)
class Cloth:
    """Per vertex (V,): loose, fold, length (metres), stretch, seed (int64), hold 0 … 1, under 0 … 1 (1: covered by an outer piece),
    hang 0 … 1 (1: swings free below the hips)."""

    loose: Tensor
    fold: Tensor
    length: Tensor
    stretch: Tensor
    seed: Tensor
    hold: Tensor
    under: Tensor
    hang: Tensor


def bends(heads: Tensor, bone: dict[str, int]) -> Tensor:
    """Posed bone heads (P, B, 3) -> how far each of Limbs.joints is bent, radians (P, 9)."""
    at = lambda name: heads[:, bone[name]]
    out = []
    sides = ("L", "R")
    for s in sides:
        out.append(angle_between(at(f"lowerarm01.{s}") - at(f"upperarm01.{s}"), at(f"wrist.{s}") - at(f"lowerarm01.{s}")))
    for s in sides:
        out.append(angle_between(at(f"lowerleg01.{s}") - at(f"upperleg01.{s}"), at(f"foot.{s}") - at(f"lowerleg01.{s}")))
    trunk = at("spine03") - at("spine01")
    for s in sides:
        out.append(angle_between(trunk, at(f"lowerleg01.{s}") - at(f"upperleg01.{s}")))
    for s in sides:
        out.append(angle_between(-trunk, at(f"lowerarm01.{s}") - at(f"upperarm01.{s}")) * 0.5)
    pelvis = 0.5 * (at("upperleg01.L") + at("upperleg01.R"))
    out.append(1.6 * angle_between(pelvis - at("spine03"), at("spine03") - at("spine01")))
    return torch.stack(out, 1)


def squeezed(neutral: Tensor, normal: Tensor, limbs: Limbs, bend: Tensor) -> Tensor:
    """(V,) 0 … 1: how much the cloth at neutral (V, 3) with rest normals (V, 3) is squeezed by bends (V, 9) of its person."""
    t = ((bend - torch.pi * _FIRST_DEG / 180) / (torch.pi * (_LAST_DEG - _FIRST_DEG) / 180)).clamp(0, 1)
    near = torch.exp(-((neutral[:, None] - limbs.joints) ** 2).sum(-1) / SQUEEZE_M ** 2)
    inside = 0.65 + 0.35 * normal @ limbs.inner.T
    return (near * inside * torch.sqrt(t)).amax(1)


def stand_off(neutral: Tensor, posed_normal: Tensor, where: Coordinates, squeeze: Tensor, cloth: Cloth) -> Tensor:
    """(V,) metres along the normal, >= 0."""
    up = posed_normal[:, 2]
    weight = (1 - 0.8 * up.clamp(min=0) + 0.5 * (-up).clamp(min=0))     # cloth lies on what is below it
    loose = MOST_M * torch.tanh(cloth.loose / MOST_M) * weight * (0.1 + 0.9 * cloth.hold) * (1 - 0.85 * cloth.under)
    drape = (0.5 + 0.5 * (cloth.loose / 0.02).clamp(0, 1)) * weight
    one = torch.ones_like(up)
    along = torch.stack([one, one, 1 / cloth.stretch], 1) / (1.3 * cloth.length)[:, None]
    across = torch.stack([1 / cloth.stretch, 1 / cloth.stretch, 1.25 * one], 1) / cloth.length[:, None]
    bent, sleeve = _swayed(neutral, cloth), _swayed(where.along_arm, cloth)
    hangs = _both(neutral, bent, sleeve, where, along, cloth.seed)
    pressed = _both(neutral, bent, sleeve, where, across, cloth.seed + 77)
    folds = cloth.fold * (0.25 + 0.75 * cloth.hold) * (1 - 0.7 * cloth.under) * (1.4 * drape * hangs + (0.12 + 2.8 * squeeze) * pressed)
    return loose + folds + _pleats(neutral, where, cloth)


def _swayed(place: Tensor, cloth: Cloth) -> Tensor:
    """Places (V, 3) bent sideways and up and down in slow waves, so that folds run askew and end."""
    phase = (cloth.seed % 628).to(place.dtype) / 100
    x, y, z = (place / (2.2 * cloth.length)[:, None]).unbind(1)
    down = 1.2 * torch.sin(2.1 * x + phase) + torch.sin(1.9 * y + 3 * phase)
    wave = torch.stack([torch.sin(1.7 * z + phase), torch.sin(1.3 * z + 2 * phase), down], 1)
    return place + 0.45 * cloth.length[:, None] * wave


def _pleats(neutral: Tensor, where: Coordinates, cloth: Cloth) -> Tensor:
    """(V,) metres: waves of a skirt round the body, larger towards the hem."""
    out = torch.zeros_like(cloth.fold)
    at = torch.nonzero(cloth.hang * cloth.fold > 1e-4).flatten()
    if not len(at):
        return out
    p, length = neutral[at], cloth.length[at]
    turn = torch.atan2(p[:, 0], p[:, 1] + 0.02)
    count = torch.round(2 * torch.pi * 0.22 / (1.6 * length)).clamp(4, 30)    # whole waves: no jump behind
    slow = torch.cat([torch.stack([torch.cos(turn), torch.sin(turn)], 1) * 1.6, p[:, 2:] * 1.2], 1)
    phase = (cloth.seed[at] % 628).to(p.dtype) / 100
    wave = torch.sin(count * turn + 5.0 * gradient_noise(slow, cloth.seed[at] + 5) + phase)
    size = (0.35 + 1.3 * gradient_noise(slow * 1.7, cloth.seed[at] + 9).abs()) * (where.down_leg[at] / 0.35).clamp(0, 2)
    out[at] = cloth.hang[at] * cloth.fold[at] * 2.2 * size * (0.5 + 0.5 * wave)
    return out


def _both(neutral: Tensor, trunk: Tensor, sleeve: Tensor, where: Coordinates, scale: Tensor, seed: Tensor) -> Tensor:
    """(V,) ridges in trunk coordinates and in the arm's, faded into each other over the shoulder."""
    out = torch.zeros_like(where.arm)
    side = seed + (neutral[:, 0] < 0).long() * 13
    for place, share, key in ((trunk, 1 - where.arm, seed), (sleeve, where.arm, side)):
        rows = torch.nonzero(share > 0.02).flatten()
        out[rows] += share[rows] * ridges(place[rows] * scale[rows], key[rows])
    return out
