"""Points to train implicit surfaces on: near the surface that is seen from outside, and anywhere around."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..types import People
from .occupancy import Views, bounds, occupancy


@dataclass(frozen=True)
class QueryConfig:
    """count: points of each person. uniform: part of them spread over the bounding box (JIFF 1/16, PIFu's code 1/17); the others are points
    of the surface moved by a normal distribution of `sigma` metres (PIFuHD: 5 cm coarse, 3 cm fine) in all directions, or, with
    `along_normal`, along the normal alone (JIFF's paper). margin: of the box, metres. deep: surface farther than this beneath what is seen
    is no surface (skin under cloth)."""

    count: int = 8000
    uniform: float = 1 / 16
    sigma: float = 0.05
    along_normal: bool = False
    margin: float = 0.1
    deep: float = 0.012
    spare: float = 2.0


def sample(people: People, views: Views, seeds: Tensor, config: QueryConfig = QueryConfig()) -> tuple[Tensor, Tensor, Tensor]:
    """seeds (P,) int64 -> points (P, Q, 3) world metres, inside (P, Q) bool, margin (P, Q) metres (occupancy.py). The same seeds give
    the same points on any device, whoever else is in the batch."""
    near = config.count - int(round(config.count * config.uniform))
    many = int(near * config.spare)
    surface, normal = _on_surface(people, seeds, many)
    hidden = occupancy(views, surface)[1] > config.deep
    order = torch.argsort(hidden.to(torch.uint8), dim=1, stable=True)[:, :near, None].expand(-1, -1, 3)
    surface, normal = surface.gather(1, order), normal.gather(1, order)
    noise = _normal(seeds, 3, near, 1 if config.along_normal else 3) * config.sigma
    points = surface + (noise * normal if config.along_normal else noise)
    low, high = bounds(people)
    low, high = low[:, None] - config.margin, high[:, None] + config.margin
    anywhere = low + _uniform(seeds, 5, config.count - near, 3) * (high - low)
    points = torch.cat([points, anywhere], 1)
    return points, *occupancy(views, points)


def _on_surface(people: People, seeds: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Points (P, count, 3) spread evenly over each person's triangles, and the triangles' unit normals."""
    corner = people.vertices[people.faces]
    cross = torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    area = torch.linalg.vector_norm(cross, dim=1)
    whole = (area * 1e9).round().to(torch.int64)                     # whole numbers add up the same on every device
    order = torch.argsort(people.face_owner, stable=True)
    total = torch.cumsum(whole[order], 0)
    last = torch.cumsum(torch.bincount(people.face_owner, minlength=people.count), 0) - 1
    end = total[last]
    start = torch.cat([end.new_zeros(1), end[:-1]])
    u = _uniform(seeds, 1, count, 3).double()
    target = start[:, None] + (u[..., 0] * (end - start)[:, None]).to(torch.int64)
    face = order[torch.searchsorted(total, target, right=True).clamp(max=len(order) - 1)]
    a, b = u[..., 1].sqrt().to(cross.dtype), u[..., 2].to(cross.dtype)
    bary = torch.stack([1 - a, a * (1 - b), a * b], -1)
    return (corner[face] * bary[..., None]).sum(2), torch.nn.functional.normalize(cross[face], dim=-1, eps=1e-20)


def _uniform(seeds: Tensor, stream: int, count: int, width: int) -> Tensor:
    """(P, count, width) float32 in [0, 1), from whole numbers only."""
    return (_hash(seeds, stream, count * width) >> 40 & 0xFFFFFF).to(torch.float32).view(len(seeds), count, width) * 2.0 ** -24


def _normal(seeds: Tensor, stream: int, count: int, width: int) -> Tensor:
    """(P, count, width) float32, standard normal to the eye: the sum of twelve numbers of 16 bits (within 6 deviations)."""
    total = torch.zeros((len(seeds), count * width), dtype=torch.int64, device=seeds.device)
    for k in range(3):
        bits = _hash(seeds, 16 * stream + k, count * width)
        for shift in (0, 16, 32, 48):
            total += bits >> shift & 0xFFFF
    return ((total - 6 * 65535).to(torch.float32) / 65536.0).view(len(seeds), count, width)


def _hash(seeds: Tensor, stream: int, count: int) -> Tensor:
    """(P, count) int64: splitmix64 of the running number, one sequence for each seed and stream."""
    number = torch.arange(1, count + 1, dtype=torch.int64, device=seeds.device)
    x = _mix(seeds + _signed(0x632BE59BD9B4E019 * (stream + 1)))[:, None] + number * _signed(0x9E3779B97F4A7C15)
    return _mix(x)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ (x >> 30 & (1 << 34) - 1)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> 27 & (1 << 37) - 1)) * _signed(0x94D049BB133111EB)
    return x ^ (x >> 31 & (1 << 33) - 1)


def _signed(x: int) -> int:
    """The 64 low bits of a whole number as a signed one."""
    x &= (1 << 64) - 1
    return x - (1 << 64) if x >= 1 << 63 else x
