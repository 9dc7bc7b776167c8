"""Fine folds that only tilt the normals: the same ones in the picture and in the labels."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Fragments, People
from .noise import noise_gradient, numbers

_OCTAVES = ((1.0, 1.15), (2.3, 0.55))
"""(frequency per fold, weight); the weights make the mean slope that of a sine of the same height and wavelength."""
_STEEPEST = 1.0
"""Tangent of the largest tilt (45 degrees)."""


def fine_normals(people: People, fragments: Fragments) -> Tensor:
    """(N, 3) float32 unit world normals, outward of their sheet, with the fine folds of the material (Materials.wrinkle).

    The folds are a height over the rest pose; its slope there is carried to the posed surface by the smallest rotation that turns
    the rest's normal to the posed one. Height zero: the smooth normal itself.
    """
    n = unit(fragments.interpolate(people.normals, people.faces))
    material = people.material[fragments.face]
    height = people.materials.wrinkle[material, 0]
    at = torch.nonzero(height > 0).view(-1)
    if not len(at):
        return n
    corner, bary, m = people.faces[fragments.face[at]], fragments.bary[at, :, None], material[at]
    both = (torch.cat([people.rest, people.rest_normals], 1)[corner] * bary).sum(1)
    axes = frames(people.materials.wrinkle[:, 1:], people.materials.seed)
    slope = height[at, None] * folds(both[:, :3], axes[m], people.materials.seed[m])
    rest = unit(both[:, 3:])
    tangent = slope - rest * (slope * rest).sum(1, keepdim=True)
    steep = tangent.norm(dim=1, keepdim=True)
    tangent = tangent * (_STEEPEST / (_STEEPEST ** 4 + steep ** 4) ** 0.25)      # flattens off smoothly, small slopes unchanged
    out = n.clone()
    out[at] = unit(n[at] - carried(rest, n[at], tangent))
    return out


def frames(shape: Tensor, seed: Tensor) -> Tensor:
    """(M, 3, 3) axes of the folds, in cells per metre: two across, one along them, `stretch` times coarser; a direction of the seed's
    choice. shape (M, 2): wavelength in metres, stretch; seed (M,)."""
    turn = numbers(seed, 3)
    z, a, b = 2 * turn[:, 0] - 1, 6.2831853 * turn[:, 1], 6.2831853 * turn[:, 2]
    r = (1 - z * z).clamp(min=0).sqrt()
    along = torch.stack([r * torch.cos(a), r * torch.sin(a), z], 1)
    side = torch.stack([-torch.sin(a), torch.cos(a), torch.zeros_like(a)], 1)    # level; a turn about `along` follows
    other = torch.linalg.cross(along, side)
    cells = 2 / shape[:, :1].clamp(min=1e-4)                           # two cells to a wave
    c, s = torch.cos(b)[:, None], torch.sin(b)[:, None]
    return torch.stack([(c * side + s * other) * cells, (c * other - s * side) * cells, along * cells / shape[:, 1:].clamp(min=1)], 1)


def folds(rest: Tensor, frame: Tensor, seed: Tensor) -> Tensor:
    """Gradient (N, 3), 1 / metres, of folds of height 1 at rest places (N, 3) with the axes (N, 3, 3) of `frames`."""
    p = (frame * rest[:, None]).sum(2)
    out = torch.zeros_like(rest)
    for k, (frequency, share) in enumerate(_OCTAVES):
        g = noise_gradient(p * frequency, seed + 7919 * k) * (share * frequency)
        out = out + (frame * g[:, :, None]).sum(1)
    return out


def carried(start: Tensor, end: Tensor, vectors: Tensor) -> Tensor:
    """Vectors (N, 3) turned by the smallest rotation that takes unit `start` (N, 3) to unit `end` (N, 3)."""
    axis = torch.linalg.cross(start, end)
    cosine = (start * end).sum(1, keepdim=True)
    turned = vectors * cosine + torch.linalg.cross(axis, vectors) + axis * ((axis * vectors).sum(1, keepdim=True) / (1 + cosine).clamp(min=1e-6))
    # exactly opposite: half a turn about any axis across; a tangent vector mirrored along `start` serves
    return torch.where(cosine > -1 + 1e-6, turned, vectors - 2 * start * (start * vectors).sum(1, keepdim=True))


def unit(v: Tensor) -> Tensor:
    """(N, 3) -> unit length; zero stays near zero."""
    return v / v.norm(dim=-1, keepdim=True).clamp(min=1e-12)
