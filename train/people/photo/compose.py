"""One picture from its layers: background, shadow on the floor, people behind, the person, people and things in front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..recipe import BackgroundRecipe
from ..types import Cameras, Surroundings
from .background import backgrounds
from .occluders import occluders


@dataclass(frozen=True)
class Others:
    """C companions, drawn each on a canvas of their own: layer (C, 4, S, S) linear RGB premultiplied by alpha, and alpha; picture (C,) int64:
    whose picture; offset (C, 2) of their middle in canvas parts, size (C,) relative to the layer, front (C,) bool: before the person."""

    layer: Tensor
    picture: Tensor
    offset: Tensor
    size: Tensor
    front: Tensor


@dataclass(frozen=True)
class Composed:
    """picture (P, 3, S, S) float32 linear; visible (P, S, S) float32: what of the person shows (its coverage less what stands in front);
    hidden (P, S, S): coverage of what stands in front."""

    picture: Tensor
    visible: Tensor
    hidden: Tensor


def compose(recipes: Sequence[BackgroundRecipe], surroundings: Surroundings, cameras: Cameras, person: Tensor, others: Others | None = None,
            shadow: Tensor | None = None, gain: Tensor | None = None) -> Composed:
    """person (P, 4, S, S) linear RGB premultiplied by coverage, and coverage; shadow (P, S, S) part of the light left on floor and wall;
    gain (P,) or (P, 3): exposure (and tint) of background and things in front, which the person's light has had already."""
    scene = backgrounds(recipes, surroundings, cameras)
    factor = 1.0 if gain is None else (gain[:, None] if gain.dim() == 1 else gain)[:, :, None, None]
    scene = scene * factor
    if shadow is not None:
        scene = scene * shadow[:, None]
    if others is not None and len(others.picture):
        scene = _add(scene, others, ~others.front)[0]
    alpha = person[:, 3]
    scene = person[:, :3] + scene * (1 - alpha[:, None])
    clear = torch.ones_like(alpha)
    if others is not None and len(others.picture):
        scene, clear = _add(scene, others, others.front)
    which = [i for i, r in enumerate(recipes) if r.occluder]
    if which:
        rows = torch.tensor(which, device=person.device)
        seeds = torch.tensor([recipes[i].seed for i in which], dtype=torch.int64, device=person.device)
        colour, cover = occluders([recipes[i].occluder for i in which], seeds, _boxes(alpha[rows]), cameras.size)
        if gain is not None:
            colour = colour * factor[rows]
        cover = cover[:, None]
        scene = scene.index_copy(0, rows, colour * cover + scene[rows] * (1 - cover))
        clear = clear.index_copy(0, rows, clear[rows] * (1 - cover[:, 0]))
    return Composed(scene, alpha * clear, 1 - clear)


def _add(scene: Tensor, others: Others, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """The chosen layers over the scene, in their order; and what of each pixel (P, S, S) stays clear of them."""
    clear = scene.new_ones(len(scene), *scene.shape[-2:])
    rows = chosen.nonzero()[:, 0]
    if not len(rows):
        return scene, clear
    moved = _moved(others.layer[rows], others.offset[rows], others.size[rows])
    owner = others.picture[rows]
    rank = (torch.tril(owner[:, None] == owner[None], -1)).sum(1)    # how many of the same picture come before
    for k in range(int(rank.max()) + 1):
        now = rank == k
        at, layer = owner[now], moved[now]
        left = 1 - layer[:, 3]
        scene = scene.index_copy(0, at, layer[:, :3] + scene[at] * left[:, None])
        clear = clear.index_copy(0, at, clear[at] * left)
    return scene, clear


def _moved(layer: Tensor, offset: Tensor, size: Tensor) -> Tensor:
    """Layers shrunk or enlarged about the canvas's middle and shifted."""
    theta = torch.zeros(len(layer), 2, 3, device=layer.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / size
    theta[:, :, 2] = -2 * offset / size[:, None]
    small = size < 0.6
    if bool(small.any()):                                          # halved first: no aliasing
        rows = small.nonzero()[:, 0]
        half = F.interpolate(F.avg_pool2d(layer[rows], 2), scale_factor=2, mode="bilinear", align_corners=False)
        layer = layer.index_copy(0, rows, half)
    grid = F.affine_grid(theta, list(layer.shape), align_corners=False)
    return F.grid_sample(layer, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _boxes(alpha: Tensor) -> Tensor:
    """(N, S, S) -> (N, 4) x0, y0, x1, y1 of what is covered; the whole canvas where nothing is."""
    size = alpha.shape[-1]
    at = torch.arange(size, device=alpha.device, dtype=torch.float32)
    sides = []
    for axis in (1, 2):                                            # columns, rows
        some = (alpha > 0.5).any(axis)
        none = ~some.any(1)
        low, high = torch.where(some, at, size).amin(1), torch.where(some, at + 1, 0).amax(1)
        sides.append((torch.where(none, 0.0, low), torch.where(none, float(size), high)))
    (x0, x1), (y0, y1) = sides
    return torch.stack([x0, y0, x1, y1], 1)
