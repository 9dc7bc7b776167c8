"""`build`: people as plain numbers become posed, clothed surfaces."""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

import torch
from torch import Tensor

from ..recipe import PersonRecipe
from ..types import Pack, People
from .clothed import clothed
from .part import joined
from .turn import about
from .whole import whole


def build(recipes: Sequence[PersonRecipe], pack: Pack) -> People:
    """The people of `recipes`, each on its own at the origin: turned by yaw_deg, the lowest point at z = 0, pelvis above (0, 0).

    A pure function of its arguments; tensors lie on the pack's device. OptionError for a name that the pack has not.
    """
    device = pack.base.mean.device
    number = lambda rows: torch.tensor(rows, dtype=torch.int64, device=device)
    plain = [p for p, r in enumerate(recipes) if not r.avatar]
    with torch.no_grad():
        parts = [clothed([recipes[p] for p in plain], number(plain), pack)] if plain else []
        parts += [whole(r, number([p]), pack) for p, r in enumerate(recipes) if r.avatar]
        return _placed(joined(parts), torch.tensor([r.yaw_deg for r in recipes], dtype=torch.float32, device=device))


def _placed(people: People, yaw_deg: Tensor) -> People:
    axis = yaw_deg.new_tensor([0.0, 0, 1]).expand(len(yaw_deg), 3)
    turn = about(axis, torch.deg2rad(yaw_deg))
    around = people.joints[:, 0].clone()
    used = torch.zeros(len(people.vertices), dtype=torch.bool, device=turn.device)
    used[people.faces.flatten()] = True                                # what is hidden may not carry a person
    floor = torch.full_like(yaw_deg, torch.inf)
    floor.scatter_reduce_(0, people.owner[used], people.vertices[used, 2], "amin")
    around[:, 2] = floor
    move = lambda x, p: (turn[p] @ (x - around[p])[..., None])[..., 0]
    who, everyone = people.owner, torch.arange(len(yaw_deg), device=turn.device)[:, None]
    return replace(
        people, vertices=move(people.vertices, who), normals=(turn[who] @ people.normals[..., None])[..., 0], joints=move(people.joints, everyone),
        landmarks=move(people.landmarks, everyone), rotations=turn[:, None] @ people.rotations)
