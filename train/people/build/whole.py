"""Whole characters: other artists' people on skeletons of their own, posed by the same library."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from neural.contract.errors import OptionError
from neural.contract.joints import JOINT

from ..recipe import Fabric, PersonRecipe
from ..types import Pack, WholePerson
from . import readout
from .conform import conform
from .materials import whole_materials
from .part import Part
from .pose import pose_people
from .skin import blend, mix, move, normals, posed_heads, transforms
from .turn import about, unit

DROP_DEG = 14.0
"""How far a shoulder sinks between a horizontal and a hanging arm: their rest is a T-pose (as train/people/posing.py)."""


def whole(recipe: PersonRecipe, person: Tensor, pack: Pack) -> Part:
    """One character; person (1,) its place in the call. OptionError when the pack has none of that name."""
    who = next((p for p in pack.people if p.name == recipe.avatar), None)
    if who is None:
        raise OptionError("option.avatar", f"There is no character called '{recipe.avatar}' in this pack.",
                          f"Choose one of: {', '.join(p.name for p in pack.people)}.")
    base, device = pack.base, pack.base.mean.device
    bone = {b: k for k, b in enumerate(base.bones)}
    pose = pose_people([recipe.pose], pack.poses, base, base.heads[None])
    rotations = _rotations(who, pose[0], bone)[None]
    heads = posed_heads(rotations, who.heads[None], who.parents)
    matrix = blend(transforms(rotations, who.heads[None], heads)[0], who.skin_bone, who.skin_weight)
    place = move(matrix, who.rest)
    weld, rest_normals, mark, share = _fixed(who)
    pictures, face_material = torch.unique(who.face_texture, return_inverse=True)
    zero = torch.zeros(len(place), dtype=torch.int64, device=device)
    joints = heads[:, who.smpl_bone]
    size = torch.full((1,), who.scale, device=device)
    turned = conform(readout.model_rotations(pose, base, bone), joints, who.betas[None], size)
    return Part(
        person=person, vertices=place, normals=normals(place, who.faces, weld), owner=zero, faces=who.faces,
        face_owner=torch.zeros_like(face_material),
        material=face_material, uv=who.uv, rest=who.rest, rest_normals=rest_normals, body_uv=who.body_uv, body_place=who.body_place, part=who.part,
        height=who.height, layer=torch.zeros_like(face_material), joints=joints, rotations=turned, betas=who.betas[None],
        scale=size, landmarks=mix(place, mark, share)[None],
        stature=(who.rest[:, 2].max() - who.rest[:, 2].min())[None],
        materials=whole_materials([Fabric(gloss=0.15)] * len(pictures), pictures.tolist(), device))


def _rotations(who: WholePerson, pose: Tensor, bone: dict[str, int]) -> Tensor:
    """World rotations (J, 3, 3): the library's bone after the alignment of the rests; a bone without a partner moves with its parent."""
    out = torch.empty(len(who.parents), 3, 3, device=pose.device)
    partner = who.library_bone.tolist()
    for j, p in enumerate(who.parents.tolist()):                        # parents come before their children
        if partner[j] >= 0:
            out[j] = pose[partner[j]] @ who.align[j]
        else:
            out[j] = out[p] if p >= 0 else torch.eye(3, device=pose.device)
    chest = pose[bone["spine01"]]
    for side, s in (("left", 1.0), ("right", -1.0)):
        collar, arm, elbow = (int(who.smpl_bone[JOINT[f"{side}_{n}"]]) for n in ("collar", "shoulder", "elbow"))
        down = (chest.T @ unit(out[arm] @ (who.heads[elbow] - who.heads[arm])))[2]
        angle = s * torch.deg2rad(torch.tensor(DROP_DEG)) * (-down).clamp(min=0)
        own = pose[bone["clavicle.L" if s > 0 else "clavicle.R"]]
        lifted = torch.acos((((chest.T @ own).trace() - 1) / 2).clamp(-1, 1))    # a girdle that already moves needs no more
        share = (1 - lifted / torch.deg2rad(torch.tensor(8.0))).clamp(0, 1)
        out[collar] = out[collar] @ about(torch.tensor([0.0, 1, 0], device=pose.device), angle * share)
    return out


def _first(who: WholePerson) -> Tensor:
    """(V,) row that stands for all vertices at its place."""
    first = torch.full((int(who.weld.max()) + 1,), len(who.weld), dtype=torch.int64, device=who.weld.device)
    first.scatter_reduce_(0, who.weld, torch.arange(len(who.weld), device=who.weld.device), "amin")
    return first[who.weld]


@lru_cache(maxsize=128)
def _fixed(who: WholePerson) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What does not depend on the pose: weld rows, rest normals, landmark rows and weights."""
    weld = _first(who)
    index, weight = readout.landmark_rows(who.body_uv, who.body_place)
    return weld, normals(who.rest, who.faces, weld), index, weight
