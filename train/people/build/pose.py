"""Poses of people: limbs of several library poses put together, or standing for a photo; mirrored, jittered, with shaped hands."""

from __future__ import annotations

from typing import Sequence

import numpy as np
import torch
from torch import Tensor

from neural.contract.errors import OptionError

from ..recipe import PoseMix
from ..types import Base, Poses
from . import hands, photo_pose
from .arms import girdle, share_twist
from .skin import local_of, world_of
from .stance import PHOTO_POSES
from .turn import unit, vector_turn

__all__ = ["PHOTO_POSES", "HANDS", "pose_people"]
HANDS = tuple(hands.HANDS)

ARM = ("clavicle", "shoulder01", "upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist")
LEG = ("pelvis", "upperleg01", "upperleg02", "lowerleg01", "lowerleg02", "foot")
HEAD = ("neck01", "neck02", "neck03", "head")

_JITTER = {"root": (0.5, 0.5, 0.5), "spine05": (0.4, 0.3, 0.4), "spine03": (0.4, 0.3, 0.4), "spine01": (0.4, 0.3, 0.4), "neck01": (0.5, 0.4, 0.7),
           "head": (0.7, 0.5, 0.9), "clavicle": (0.2, 0.3, 0.3), "upperarm01": (1.0, 1.0, 1.0), "lowerarm01": (0.6, 0.6, 0.6),
           "wrist": (1.1, 1.1, 1.1),
           "upperleg01": (0.7, 0.5, 0.6), "lowerleg01": (0.5, 0.1, 0.1), "foot": (0.5, 0.3, 0.4)}
"""Part of PoseMix.jitter_deg about x, y, z."""


def pose_people(mixes: Sequence[PoseMix], poses: Poses, base: Base, heads: Tensor, vertices: Tensor | None = None) -> Tensor:
    """World rotations (P, B, 3, 3) relative to the base's rest.

    heads (P, B, 3) rest bone heads; vertices (P, N, 3) rest bodies, for hands that touch the body (None: the mean body's).
    OptionError for a name that is neither a library pose nor one of PHOTO_POSES (hands: also HANDS).
    """
    bone = {b: k for k, b in enumerate(base.bones)}
    local = _mixed(mixes, poses, base, bone)
    photo = [p for p, m in enumerate(mixes) if m.photo]
    if photo:
        at = torch.tensor(photo, device=local.device)
        body = base.mean.expand(len(photo), -1, -1) if vertices is None else vertices[at]
        world = photo_pose.stand([mixes[p] for p in photo], base, bone, heads[at], body)
        local[at] = local_of(world, base.parents)
    for side in ("L", "R"):
        _hand(local, mixes, heads, bone, side, photo)
    local = local @ _jitter(mixes, bone, local)
    return _mirrored(_calmed(world_of(local, base.parents), base, bone, heads), mixes, base, bone)


def _mixed(mixes: Sequence[PoseMix], poses: Poses, base: Base, bone: dict[str, int]) -> Tensor:
    """Local rotations (P, B, 3, 3) of the bodies with limbs of other poses."""
    number = {name: k for k, name in enumerate(poses.names)}
    count = len(base.bones)
    parts = {"left_arm": [f"{b}.L" for b in ARM], "right_arm": [f"{b}.R" for b in ARM], "head": list(HEAD),
             "legs": [b for b in base.bones if b[:-2] in LEG or b.startswith("toe")],
             "left_hand": hands.finger_bones("L"), "right_hand": hands.finger_bones("R")}
    columns = {k: np.array([bone[b] for b in v if b in bone], int) for k, v in parts.items()}
    source = np.zeros((len(mixes), count), int)
    for p, mix in enumerate(mixes):
        body = mix.body or (poses.names[0] if mix.photo else "")
        source[p] = _find(number, body)
        for part, at in columns.items():
            name = getattr(mix, part)
            if part.endswith("hand"):
                arm = getattr(mix, part.replace("hand", "arm"))
                name = name if name and name not in hands.HANDS else arm
            if name:
                source[p, at] = _find(number, name)
    used, inverse = np.unique(source, return_inverse=True)
    device = base.mean.device
    local = local_of(poses.rotation[torch.from_numpy(used).to(device)], base.parents)
    index = torch.from_numpy(inverse.reshape(source.shape)).to(device)
    return local[index, torch.arange(count, device=device)].clone()


def _hand(local: Tensor, mixes: Sequence[PoseMix], heads: Tensor, bone: dict[str, int], side: str, photo: list[int]) -> None:
    """Hands by name; fingers that a library pose leaves straight (motion capture) relax."""
    columns = [bone[b] for b in hands.finger_bones(side)]
    cosine = (local[:, columns].diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    stiff = (cosine > 0.9986).all(1).tolist()                           # 3 degrees
    rows, names, seeds = [], [], []
    for p, mix in enumerate(mixes):
        given = mix.left_hand if side == "L" else mix.right_hand
        if given in hands.HANDS:
            name = given
        elif given and not stiff[p]:
            continue
        elif mix.photo:
            name = PHOTO_POSES[mix.photo][0 if side == "L" else 1].shape
        elif stiff[p]:
            rng = np.random.default_rng([mix.seed, 3 if side == "L" else 4])
            name = str(rng.choice(["relaxed", "half", "flat", "fist"], p=[0.62, 0.2, 0.1, 0.08]))
        else:
            continue
        rows.append(p), names.append(name), seeds.append(mix.seed)
    if not rows:
        return
    at = torch.tensor(rows, device=local.device)
    for name, turn in hands.shaped_hand(heads[at], bone, side, names, seeds).items():
        local[at, bone[name]] = turn


def _jitter(mixes: Sequence[PoseMix], bone: dict[str, int], local: Tensor) -> Tensor:
    angle = np.zeros((len(mixes), local.shape[1], 3), np.float32)
    for p, mix in enumerate(mixes):
        if mix.jitter_deg > 0:
            rng = np.random.default_rng([mix.seed, 5])
            for name, part in _JITTER.items():
                for b in ((name,) if name in bone else (f"{name}.L", f"{name}.R")):
                    draw = np.clip(rng.normal(0, 1, 3), -2, 2) * part
                    angle[p, bone[b]] = np.radians(min(mix.jitter_deg, 20.0)) * draw * (0.35 if mix.photo else 1.0)
    return vector_turn(torch.from_numpy(angle).to(local.device))


def _calmed(world: Tensor, base: Base, bone: dict[str, int], heads: Tensor) -> Tensor:
    """Shoulders that move with the arms where the pose leaves them stiff; twists spread along the limbs (else skin wrings at one place)."""
    out = world.clone()
    chest = world[:, bone["spine01"]]
    for side, s in (("L", 1.0), ("R", -1.0)):
        b = lambda name: bone[f"{name}.{side}"]
        rest = lambda p, q: unit(heads[:, b(q)] - heads[:, b(p)])
        own = chest.transpose(1, 2) @ world[:, b("shoulder01")]
        stiff = (own.diagonal(dim1=-2, dim2=-1).sum(-1) > 2.995)[:, None, None]
        upper = (chest.transpose(1, 2) @ world[:, b("upperarm02")] @ rest("upperarm01", "lowerarm01")[..., None])[..., 0]
        lifted = chest @ girdle(unit(upper), s)
        for name in ("clavicle", "shoulder01"):
            out[:, b(name)] = torch.where(stiff, lifted, world[:, b(name)])
        out[:, b("upperarm01")] = share_twist(out[:, b("shoulder01")], world[:, b("upperarm02")], rest("upperarm01", "lowerarm01"), 0.45)
        out[:, b("upperleg01")] = share_twist(world[:, b("pelvis")], world[:, b("upperleg02")], rest("upperleg01", "lowerleg01"), 0.45)
        axis = rest("lowerarm01", "wrist")
        fore = share_twist(out[:, b("upperarm02")], world[:, b("lowerarm02")], axis, 0.35)
        out[:, b("lowerarm01")] = fore
        out[:, b("lowerarm02")] = fore @ _part_twist(fore, world[:, b("lowerarm02")], axis, 0.6)
        out[:, b("lowerleg01")] = share_twist(world[:, b("upperleg02")], world[:, b("lowerleg02")], rest("lowerleg01", "foot"), 0.5)
    return out


def _part_twist(start: Tensor, end: Tensor, axis: Tensor, part: float) -> Tensor:
    from .turn import about, twist

    return about(axis, part * twist(start.transpose(1, 2) @ end, axis))


def _mirrored(world: Tensor, mixes: Sequence[PoseMix], base: Base, bone: dict[str, int]) -> Tensor:
    """Left and right exchanged for those who want it."""
    flags = torch.tensor([m.mirror for m in mixes], device=world.device)
    other = [bone[b[:-1] + {"L": "R", "R": "L"}[b[-1]]] if b[-2:] in (".L", ".R") else k for k, b in enumerate(base.bones)]
    m = world.new_tensor([-1.0, 1, 1])
    return torch.where(flags[:, None, None, None], world[:, other] * m[:, None] * m, world)


def _find(number: dict[str, int], name: str) -> int:
    if name not in number:
        raise OptionError("option.pose", f"There is no pose called '{name}' in this pack.",
                          "Take a name from the pack's poses, or one of the poses for photos.")
    return number[name]
