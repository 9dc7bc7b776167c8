"""Puts the stances of stance.py on bodies: legs and trunk by angles, arms by directions or by where the hands touch the body."""

from __future__ import annotations

from typing import Sequence

import numpy as np
import torch
from torch import Tensor

from neural.contract.errors import OptionError

from ..recipe import PoseMix
from ..types import Base
from .arms import ArmGoal, arm
from .skin import posed_heads
from .stance import LEGS, PHOTO_POSES, Arm
from .turn import vector_turn

_SKIN = 13380
"""Base vertices below this number are the body's skin (MakeHuman's hm08)."""

_POINTS = {
    # name: bone it moves with, height of the band (bone, metres above it), half height, direction it lies furthest in, range of x
    "hip": ("root", "spine04", -0.005, 0.02, (1.0, 0.15, 0.0), (0.05, 0.26)),
    "pocket": ("root", "upperleg01.L", -0.02, 0.02, (0.85, -0.5, 0.0), (0.05, 0.26)),
    "seat": ("root", "upperleg01.L", 0.0, 0.02, (0.45, 0.9, 0.0), (0.04, 0.26)),
    "belly": ("root", "spine05", 0.03, 0.02, (0.0, -1.0, 0.0), (-0.02, 0.02)),
    "back": ("root", "spine05", 0.03, 0.02, (0.0, 1.0, 0.0), (0.0, 0.10)),
    "breast": ("spine01", "spine02", 0.10, 0.02, (0.0, -1.0, 0.0), (0.06, 0.11)),
    "chin": ("head", "neck03", -0.03, 0.015, (0.0, -1.0, -0.6), (-0.02, 0.02)),
    "cheek": ("head", "head", 0.02, 0.02, (1.0, 0.0, 0.0), (0.02, 0.12)),
}


def touch_points(base: Base, bone: dict[str, int]) -> dict[str, int]:
    """Skin vertices of the left half that hands touch, found on the mean body."""
    place = base.mean[:_SKIN].cpu().numpy()
    out = {}
    for name, (_, level, above, half, direction, (low, high)) in _POINTS.items():
        z = float(base.heads[bone[level], 2]) + above
        rows = np.nonzero((np.abs(place[:, 2] - z) < half) & (place[:, 0] > low) & (place[:, 0] < high))[0]
        if not len(rows):
            raise ValueError(f"no skin where '{name}' should be")
        out[name] = int(rows[np.argmax(place[rows] @ np.array(direction))])
    return out


def stand(mixes: Sequence[PoseMix], base: Base, bone: dict[str, int], heads: Tensor, vertices: Tensor) -> Tensor:
    """World rotations (P, B, 3, 3). mixes with `photo` set; heads (P, B, 3), vertices (P, N, 3) at rest."""
    device, count = heads.device, len(mixes)
    rngs = [np.random.default_rng([m.seed, 2]) for m in mixes]
    for m in mixes:
        if m.photo not in PHOTO_POSES:
            raise OptionError("option.pose", f"There is no pose for photos called '{m.photo}'.", f"Choose one of: {', '.join(PHOTO_POSES)}.")
    legs, trunk = (np.array(v, np.float32) for v in zip(*(_numbers(m.photo, r) for m, r in zip(mixes, rngs))))
    turn = lambda degrees: vector_turn(torch.deg2rad(torch.from_numpy(np.asarray(degrees, np.float32))).to(device))
    out = torch.eye(3, device=device).repeat(count, len(base.bones), 1, 1)
    root = turn(trunk[:, 0])
    out[:] = root[:, None]
    _legs(out, root, legs, bone, turn)
    chest = root
    for n, b in enumerate(("spine05", "spine04", "spine03", "spine02", "spine01")):
        chest = chest @ turn(trunk[:, 1] / 5)
        out[:, bone[b]] = chest
    above = [k for b, k in bone.items() if not b.startswith(("root", "pelvis", "upperleg", "lowerleg", "foot", "toe", "spine"))]
    out[:, above] = chest[:, None]
    head, neck = chest, {"neck01": 0.3, "neck02": 0.25, "neck03": 0.15, "head": 0.3}
    for b, part in neck.items():
        head = head @ turn(part * trunk[:, 2])
        out[:, bone[b]] = head
    face = _below(base, bone["head"])
    out[:, face] = head[:, None]
    posed = posed_heads(out, heads, base.parents)
    points = touch_points(base, bone)
    tall = (vertices[:, :_SKIN, 2].amax(1) - vertices[:, :_SKIN, 2].amin(1)) / 1.7
    for k, side in enumerate(("L", "R")):
        goal = _goal([PHOTO_POSES[m.photo][k] for m in mixes], rngs, side, points, base, bone, heads, vertices, out, posed, tall)
        got = arm(goal, chest, posed[:, bone[f"clavicle.{side}"]], heads, bone, side)
        for name, rotation in got.items():
            out[:, bone[name]] = rotation
        for b in _below(base, bone[f"wrist.{side}"]):
            out[:, b] = got[f"wrist.{side}"]
    return out


def _numbers(photo: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Degrees of the legs (2, 6) and of trunk (3, 3): pelvis, spine, head as rotation vectors."""
    if photo == "walking":
        name = "walk"
    elif photo in ("t_pose", "a_pose"):
        name = "even"
    elif photo == "contrapposto":
        name = "rest"
    else:
        name = str(rng.choice(["even", "together", "apart", "rest", "step", "crossed"], p=[0.3, 0.1, 0.2, 0.24, 0.12, 0.04]))
    legs = np.array([LEGS[name]["left"], LEGS[name]["right"]], float)
    forward, up, around = LEGS[name]["pelvis"]
    if rng.random() < 0.5 and name not in ("walk", "even") and photo != "contrapposto":
        legs, up, around = legs[::-1], -up, -around
    legs = legs + rng.normal(0, 1, (2, 6)) * (1.5, 1.2, 3.0, 1.0, 3.0, 0.3)
    legs[:, 3] = np.maximum(legs[:, 3], 0)
    pelvis = np.array([forward, -up, around]) + rng.normal(0, 1, 3) * (1.5, 0.8, 2.5)
    spine = np.array([-0.6 * forward, 1.3 * up, -0.8 * around]) + rng.normal(0, 1, 3) * (2.5, 1.5, 4.0)
    head = rng.normal(0, 1, 3) * (6.0, 4.0, 11.0) - np.array([0, 0.5 * pelvis[1] + 0.3 * spine[1], 0.0])
    return legs, np.stack([pelvis, spine, head])


def _legs(out: Tensor, root: Tensor, legs: np.ndarray, bone: dict[str, int], turn) -> None:
    for k, (side, s) in enumerate((("L", 1.0), ("R", -1.0))):
        flex, away, outward, knee, toe, heel = legs[:, k].T
        zero = np.zeros_like(flex)
        vec = lambda x, y, z: turn(np.stack([x, y, z], 1))
        thigh = root @ vec(zero, zero, s * outward) @ vec(zero, -s * away, zero) @ vec(-flex, zero, zero)
        shin = thigh @ vec(knee, zero, zero)
        sole = vec(zero, zero, s * toe) @ vec(heel, zero, zero)         # feet stand in the world, not on the shin
        for name, rotation in (("upperleg01", thigh), ("upperleg02", thigh), ("lowerleg01", shin), ("lowerleg02", shin), ("foot", sole)):
            out[:, bone[f"{name}.{side}"]] = rotation
        toes = vec(zero, zero, s * toe) @ vec(np.minimum(heel, 0), zero, zero)
        for b, j in bone.items():
            if b.startswith("toe") and b.endswith(side):
                out[:, j] = toes


def _goal(arms: list[Arm], rngs, side: str, points: dict[str, int], base: Base, bone: dict[str, int], heads: Tensor, vertices: Tensor, out: Tensor,
          posed: Tensor, tall: Tensor) -> ArmGoal:
    """Directions and targets of one side, each a little different."""
    flip = np.array([1.0 if side == "L" else -1.0, 1, 1])
    rows = {k: np.zeros((len(arms), 3), np.float32) for k in ("upper", "fore", "palm", "hand", "wrist", "pole")}
    reach = np.array([a.wrist is not None for a in arms])
    device = heads.device
    target = torch.zeros(len(arms), 3, device=device)
    for p, (a, rng) in enumerate(zip(arms, rngs)):
        noise = lambda sd: np.clip(rng.normal(0, sd, 3), -2 * sd, 2 * sd)
        for key, sd in (("upper", 0.05), ("fore", 0.07), ("palm", 0.1), ("hand", 0.06), ("pole", 0.12)):
            value = getattr(a, key)
            drawn = noise(sd)
            rows[key][p] = 0 if value is None else flip * (np.array(value) + drawn)
        drawn = noise(0.006)
        if a.wrist is None:
            continue
        name, offset = a.wrist
        j = bone[_POINTS[name][0]]
        on_skin = vertices[p, points[name]] * torch.tensor(flip, dtype=torch.float32, device=device)
        local = on_skin - heads[p, j] + tall[p] * torch.tensor(flip * (np.array(offset) + drawn), dtype=torch.float32, device=device)
        target[p] = posed[p, j] + out[p, j] @ local
    t = lambda k: torch.from_numpy(rows[k]).to(device)
    return ArmGoal(t("upper"), t("fore"), t("palm"), t("hand"), torch.from_numpy(reach).to(device), target, t("pole"))


def _below(base: Base, top: int) -> list[int]:
    """All bones that hang on `top`."""
    parents, found = base.parents.tolist(), {top}
    for _ in range(len(parents)):
        more = {j for j, p in enumerate(parents) if p in found} - found
        if not more:
            break
        found |= more
    return sorted(found - {top})
