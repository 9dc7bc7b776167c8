"""Skeletons and skinning: bone rotations to posed heads, transforms, vertices, smooth normals."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from .turn import unit


@lru_cache(maxsize=64)
def _levels(parents: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    depth = {}
    for j in range(len(parents)):
        chain, k = [], j
        while k >= 0 and k not in depth:
            chain.append(k)
            k = parents[k]
        start = depth[k] if k >= 0 else -1
        for n, c in enumerate(reversed(chain)):
            depth[c] = start + 1 + n
    return tuple(tuple(j for j in depth if depth[j] == d) for d in range(1, max(depth.values()) + 1))


def levels(parents: Tensor) -> list[Tensor]:
    """Bones one, two, … steps from the root: what can be placed at once."""
    return [torch.tensor(level, device=parents.device) for level in _levels(tuple(parents.tolist()))]


def posed_heads(rotations: Tensor, heads: Tensor, parents: Tensor) -> Tensor:
    """World rotations (P, B, 3, 3) relative to rest, rest heads (P, B, 3) -> posed heads (P, B, 3); the root stays where it rests."""
    out = heads.clone()
    for level in levels(parents):
        up = parents[level]
        out[:, level] = out[:, up] + (rotations[:, up] @ (heads[:, level] - heads[:, up])[..., None])[..., 0]
    return out


def world_of(local: Tensor, parents: Tensor) -> Tensor:
    """Rotations relative to the parent's (P, B, 3, 3) -> world rotations."""
    out = local.clone()
    for level in levels(parents):
        out[:, level] = out[:, parents[level]] @ local[:, level]
    return out


def local_of(world: Tensor, parents: Tensor) -> Tensor:
    """The inverse of world_of."""
    up = parents.clamp(min=0)
    return torch.where((parents < 0)[:, None, None], world, world[:, up].transpose(-1, -2) @ world)


def transforms(rotations: Tensor, heads: Tensor, posed: Tensor) -> Tensor:
    """(P, B, 12): rows of [R | t] with x' = R x + t, each bone turned about its rest head."""
    shift = posed - (rotations @ heads[..., None])[..., 0]
    return torch.cat([rotations, shift[..., None]], -1).flatten(2)


def blend(table: Tensor, bone: Tensor, weight: Tensor) -> Tensor:
    """Transforms (T, 12), rows of it per vertex (V, K) and weights -> blended [R | t] (V, 3, 4)."""
    return embedding_bag(bone, table, per_sample_weights=weight, mode="sum").view(-1, 3, 4)


def move(matrix: Tensor, place: Tensor) -> Tensor:
    """(V, 3, 4), (V, 3) -> (V, 3)."""
    return (matrix[:, :, :3] * place[:, None]).sum(-1) + matrix[:, :, 3]


def turn(matrix: Tensor, direction: Tensor) -> Tensor:
    """(V, 3, 4), (V, 3) -> unit (V, 3)."""
    return unit((matrix[:, :, :3] * direction[:, None]).sum(-1))


def mix(values: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """sum_k weight[i, k] * values[index[i, k]]: values (R, C), index and weight (N, K) -> (N, C)."""
    return embedding_bag(index, values, per_sample_weights=weight, mode="sum")


def normals(vertices: Tensor, faces: Tensor, weld: Tensor) -> Tensor:
    """Smooth unit normals (V, 3). weld (V,): row that stands for all vertices at this place; where the two sides of a sheet
    cancel there, a vertex keeps the normal of its own faces."""
    corner = vertices[faces]
    face = torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    own = torch.zeros_like(vertices)
    for k in range(3):
        own.index_add_(0, faces[:, k], face)
    shared = torch.zeros_like(vertices).index_add_(0, weld, own)[weld]
    own, shared = unit(own), unit(shared)
    return torch.where((own * shared).sum(1, keepdim=True) > 0.3, shared, own)
