"""Some of the people of a call."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Sequence

import torch
from torch import Tensor

from ..types import Materials, People


@dataclass(frozen=True, kw_only=True)
class Part(People):
    """People with person (P,) int64: their places in the call. Vertices stand where the rig put them, unturned."""

    person: Tensor


_PERSON = ("joints", "rotations", "betas", "scale", "landmarks", "stature")


def joined(parts: Sequence[Part]) -> People:
    """Parts together, people in the order of the call."""
    vertex = material = 0
    moved = []
    for p in parts:
        moved.append(replace(p, owner=p.person[p.owner], face_owner=p.person[p.face_owner], faces=p.faces + vertex, material=p.material + material))
        vertex, material = vertex + len(p.vertices), material + len(p.materials.kind)
    cat = lambda name: moved[0].__dict__[name] if len(moved) == 1 else torch.cat([m.__dict__[name] for m in moved])
    order = torch.argsort(cat("person"))
    looks = Materials(**{f.name: torch.cat([getattr(p.materials, f.name) for p in parts]) for f in fields(Materials)})
    values = {f.name: cat(f.name) for f in fields(People) if f.name != "materials"}
    values |= {k: values[k][order] for k in _PERSON}
    return People(**values, materials=looks)
