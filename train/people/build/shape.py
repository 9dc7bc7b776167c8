"""Rest bodies of all people, and what they wear fitted to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import torch
from torch import Tensor

from neural.contract.errors import OptionError

from ..recipe import PersonRecipe
from ..types import Base, Items
from .rows import Rows
from .skin import mix


@dataclass(frozen=True)
class Shapes:
    """vertices (P, N, 3) rest bodies, heads (P, B, 3) rest bone heads, metres; betas (P, 10) of our body model."""

    vertices: Tensor
    heads: Tensor
    betas: Tensor


def shape_people(recipes: Sequence[PersonRecipe], base: Base) -> Shapes:
    """Mean, modes and expressions."""
    count, device = base.modes.shape[2], base.mean.device
    k = torch.zeros(len(recipes), count)
    face = torch.zeros(len(recipes), len(base.expressions))
    for p, recipe in enumerate(recipes):
        if len(recipe.shape) > count:
            raise OptionError("option.shape", f"A shape has {len(recipe.shape)} numbers, the body has {count} modes.",
                              f"Give at most {count} numbers.")
        k[p, :len(recipe.shape)] = torch.tensor(recipe.shape)
        for name, weight in recipe.expression:
            if name not in base.expressions:
                raise OptionError("option.expression", f"There is no expression called '{name}'.",
                                  f"Choose one of: {', '.join(base.expressions)}.")
            face[p, base.expressions.index(name)] = weight
    k, face = k.to(device), face.to(device)
    vertices = base.mean + (base.modes.view(-1, count) @ k.T).T.reshape(len(k), -1, 3)
    used = torch.nonzero(face.abs().amax(0)).flatten()
    if len(used):
        vertices = vertices + torch.einsum("pe,evd->pvd", face[:, used], base.expression[used])
    heads = base.heads + (base.head_modes.view(-1, count) @ k.T).T.reshape(len(k), -1, 3)
    return Shapes(vertices, heads, base.betas_mean + k @ base.betas)


def fit(shapes: Shapes, items: Items, rows: Rows) -> Tensor:
    """Rest places (V, 3) of every vertex of `rows`: coarse points from the body, fine ones from the coarse."""
    body = shapes.vertices
    count = body.shape[1]
    person = rows.person[rows.coarse_piece]
    place = mix(body.reshape(-1, 3), items.ref[rows.coarse] + (person * count)[:, None], items.mix[rows.coarse])
    coarse = place + items.offset[rows.coarse] * _scales(body, items, rows)[rows.coarse_piece]
    start = torch.tensor([i.coarse[0] for i in items.items], device=body.device)[rows.item]
    index = items.fine_index[rows.vertex] + (rows.first_coarse - start)[rows.piece][:, None]
    return mix(coarse, index, items.fine_weight[rows.vertex])


def _scales(body: Tensor, items: Items, rows: Rows) -> Tensor:
    """(W, 3): how much larger each piece's body is than the one it was made for, along x, y, z."""
    pair = items.scale_pair[rows.item]
    axis = torch.arange(3, device=body.device).expand(pair.shape[:2])
    at = lambda v: body[rows.person[:, None], v.clamp(min=0), axis]
    size = (at(pair[..., 0]) - at(pair[..., 1])).abs() / items.scale_length[rows.item].clamp(min=1e-9)
    return torch.where(pair[..., 0] < 0, torch.ones_like(size), size)
