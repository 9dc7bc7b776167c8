"""How far cloth stands off its fitted place: looseness and folds, as functions of the place on the body and of the pose.

Drape folds run along the limb (they hang), compression folds run across it where a joint is bent. Both are ridged gradient noise in
the limb's own coordinates, so that they stay where they are on the cloth when the person moves or has another shape.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .limbs import Coordinates, Limbs
from .noise import ridges
from .turn import angle_between

SQUEEZE_M = 0.11
"""Compression folds fade over this distance from a joint."""
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
    weight = (1 - 0.8 * up.clamp(min=0) + 0.5 * (-up).clamp(min=0)) * (1 - 0.6 * cloth.under)     # cloth lies on what is below it
    free = 0.1 + 0.9 * cloth.hold
    loose = cloth.loose * weight * free
    swing = cloth.hang * (where.down_leg / 0.5).clamp(0, 1.5)
    drape = (0.45 + 0.55 * (cloth.loose / 0.02).clamp(0, 1) + 2.0 * swing) * weight
    along = torch.stack([torch.ones_like(swing), torch.ones_like(swing), 1 / (cloth.stretch * (1 + 2.5 * swing))], 1)
    across = torch.stack([1 / cloth.stretch, 1 / cloth.stretch, torch.full_like(swing, 1.25)], 1)
    hangs = _both(neutral, where, along / (1.3 * cloth.length)[:, None], cloth.seed)
    pressed = _both(neutral, where, across / cloth.length[:, None], cloth.seed + 77)
    folds = cloth.fold * (0.25 + 0.75 * cloth.hold) * (1 - 0.5 * cloth.under) * (0.8 * drape * hangs + (0.25 + 2.2 * squeeze) * pressed)
    return loose + folds


def _both(neutral: Tensor, where: Coordinates, scale: Tensor, seed: Tensor) -> Tensor:
    """(V,) ridges in trunk coordinates and in the arm's, faded into each other over the shoulder."""
    out = torch.zeros_like(where.arm)
    side = seed + (neutral[:, 0] < 0).long() * 13
    for place, share, key in ((neutral, 1 - where.arm, seed), (where.along_arm, where.arm, side)):
        rows = torch.nonzero(share > 0.02).flatten()
        out[rows] += share[rows] * ridges(place[rows] * scale[rows], key[rows])
    return out
