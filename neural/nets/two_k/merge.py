"""Patches out of pictures, and normals of patches back onto the canvas: Eq. 2, 4 and 5."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..blocks.warp import Box, blurred, centre_box, coverage, grid_of, inverse, landing_box, on_patch, overlap, sample
from .config import TwoKConfig
from .parts import OF_GROUP, PARTS


@dataclass(frozen=True)
class Warps:
    """Where the parts of B people lie.

    part_to_image (B, 12, 2, 3) float32, normalised units, on the CPU (boxes are counted there); present (B, 12) bool, on the CPU.
    device: where the pictures are.
    """

    part_to_image: Tensor
    present: Tensor
    config: TwoKConfig
    device: torch.device

    @cached_property
    def image_to_part(self) -> Tensor:
        return inverse(self.part_to_image)

    def rows(self, group: str) -> list[tuple[int, int]]:
        """(person, part) of the group's patches that exist; by person, then by part."""
        return [(b, p) for b in range(len(self.present)) for p in OF_GROUP[group] if self.present[b, p]]

    def grid(self, group: str) -> Tensor:
        """(N, h, w, 2): where the pixels of the group's N patches lie on the canvas. Mirrored for right limbs where ours."""
        rows = self.rows(group)
        maps = torch.stack([self.part_to_image[b, p] for b, p in rows]).to(self.device)
        grid = grid_of(maps, self.config.canvas, centre_box(self.config.canvas, *self.config.patch(rows[0][1])))
        flip = self.mirrored(rows).to(self.device)
        return torch.where(flip[:, None, None, None], grid.flip(2), grid) if self.config.ours else grid

    def mirrored(self, rows: list[tuple[int, int]]) -> Tensor:
        """(N,) bool, on the CPU."""
        return torch.tensor([self.config.ours and PARTS[p].right for _, p in rows])

    def turns(self, rows: list[tuple[int, int]]) -> Tensor:
        """(N, 2, 2): x and y of a vector on the canvas -> in the patch: its rotation, and its mirror."""
        linear = torch.stack([self.image_to_part[b, p, :, :2] for b, p in rows])
        turn = linear / torch.linalg.det(linear).sqrt()[:, None, None]
        flip = torch.where(self.mirrored(rows), -1.0, 1.0)
        return (torch.stack([flip, torch.ones_like(flip)], 1)[:, :, None] * turn).to(self.device)


def turned(normals: Tensor, turns: Tensor) -> Tensor:
    """Normals (N, 3 k, H, W), x y z of each in turn, rotated in the picture plane by (N, 2, 2)."""
    n = normals.unflatten(1, (-1, 3))
    xy = torch.einsum("nij,nkjhw->nkihw", turns.to(n.dtype), n[:, :, :2])
    return torch.cat([xy, n[:, :, 2:]], 2).flatten(1, 2)


def cut(pictures: list[Tensor], warps: Warps, group: str) -> Tensor:
    """Pictures (B, C, h, w), each of any resolution of the canvas -> (N, sum C, H, W) patches of a group (Eq. 2)."""
    grid = warps.grid(group)
    who = [b for b, _ in warps.rows(group)]                  # one by one: cheaper than copies of the canvas
    return torch.cat([torch.cat([sample(p[b:b + 1], g[None]) for b, g in zip(who, grid)]) for p in pictures], 1)


def say(warps: Warps, group: str) -> Tensor:
    """(N, 1, H, W) G * phi_i of Eq. 5 in the patch's own frame: where the patch lies on the canvas, shrunk and blurred."""
    config = warps.config
    cover = coverage(warps.grid(group), config.canvas)
    m = config.shrink // 2
    inner = torch.zeros_like(cover)
    inner[..., m:-m, m:-m] = cover[..., m:-m, m:-m]
    return blurred(inner, *config.blur)


@dataclass(frozen=True)
class Piece:
    """A part's share of the canvas of person `owner`: values (1, C, h, w) and weight (1, 1, h, w) within `box`."""

    owner: int
    part: int
    box: Box
    values: Tensor
    weight: Tensor


def back_on_canvas(patches: dict[str, Tensor], warps: Warps, within: Box | None = None) -> list[Piece]:
    """Patches (N, C, H, W) of each group -> pieces, in the order of people and PARTS. Only where they land, and only in `within`."""
    within = within or (0, warps.config.canvas, 0, warps.config.canvas)
    pieces = []
    for group, values in patches.items():
        rows = warps.rows(group)
        config = warps.config
        stack = torch.cat([values, say(warps, group).to(values.dtype)], 1)
        stack = torch.where(warps.mirrored(rows).to(stack.device)[:, None, None, None], stack.flip(3), stack) if config.ours else stack
        for (b, p), patch in zip(rows, stack):
            frame = centre_box(config.canvas, *config.patch(p))
            box = overlap(landing_box(warps.part_to_image[b, p], config.canvas, frame), within)
            if box[0] < box[1] and box[2] < box[3]:
                there = grid_of(warps.image_to_part[b, p][None].to(warps.device), config.canvas, box)
                out = sample(patch[None], on_patch(there, config.canvas, frame))
                pieces.append(Piece(b, p, box, out[:, :-1], out[:, -1:]))
    return sorted(pieces, key=lambda k: (k.owner, k.part))


def blend(pieces: list[Piece], total: Tensor, within: Box) -> tuple[Tensor, Tensor]:
    """Adds weight x value of every piece to `total` (B, C, h, w), the zeros of a box of the canvas; returns it and the sum of weights
    (B, 1, h, w): numerator and denominator of Eq. 4-5."""
    weight = total.new_zeros(len(total), 1, *total.shape[2:])
    for piece in pieces:
        top, bottom, left, right = piece.box
        at = (slice(piece.owner, piece.owner + 1), slice(None), slice(top - within[0], bottom - within[0]),
              slice(left - within[2], right - within[2]))
        total[at].addcmul_(piece.weight, piece.values)
        weight[at] += piece.weight
    return total, weight
