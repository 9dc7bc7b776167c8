"""What COMPACT has and the paper does not: the posed body as input and base, turned patches, uncertainties, scale-free refinement.

Lengths of depth are sides of the canvas, measured at the pelvis: 1 is as long as the canvas is wide there. So nothing depends on the
person's height or on the canvas's resolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks.fill import filled
from ..blocks.tiles import tiled
from ..blocks.warp import Box, enlarged, part_of
from .cascade import Step
from .merge import Piece, Warps, blend, cut, turned
from .parts import GROUPS

LABELS = 25
"""24 joints of SMPL, and nothing."""

INPUTS = 3 + 1 + 2 + 6 + 2 + 1
"""Coarse nets: image, matte, rays, body normals, body depths, where the body is; the codes of body parts come on top."""

PART_INPUTS = 3 + 1 + 6 + 6 + 1
"""Part net: image, matte, coarse normals, body normals, where the body is."""

PART_BASE = slice(4, 10)
"""Channels of the part net's input to which its output is added: the coarse normals."""

CONTEXT = len(GROUPS) + 1
"""Which group, and how fine the canvas is."""


@dataclass(frozen=True)
class Body:
    """The fitted body seen by the canvas's camera, front = nearest, back = farthest surface; M pixels a side, any resolution.

    normals (B, 6, M, M) unit outward, camera axes, front then back; depth (B, 2, M, M) from the pelvis, sides of the canvas; both 0 outside.
    hit (B, 1, M, M) float 0 or 1. part (B, 2, M, M) int64: SMPL joint + 1, 0 = nothing.
    """

    normals: Tensor
    depth: Tensor
    hit: Tensor
    part: Tensor


@dataclass(frozen=True)
class Base:
    """The body at the coarse resolution, carried on smoothly where it is not: normals (B, 6, c, c), depth (B, 2, c, c), hit (B, 1, c, c)."""

    normals: Tensor
    depth: Tensor
    hit: Tensor


@dataclass(frozen=True)
class Coarse:
    """seen: what the coarse nets saw. normals (B, 6, c, c), ours (B, 8, c, c) with log uncertainties of both sides.
    raw (B, 3, c, c): front, back, mask logit; ours (B, 5, c, c) with log uncertainties of both depths. base: ours.
    near (c, c) bool: the coarse pixels near the person, outside of which nothing is worked out finely; None = all. canvas: its side S."""

    seen: Tensor
    normals: Tensor
    raw: Tensor
    canvas: int
    base: Base | None = None
    near: np.ndarray | None = None

    @property
    def box(self) -> Box | None:
        """The part of the canvas that is worked on at full resolution, in its pixels; None = all of it."""
        return None if self.near is None else box_of(self.near, self.canvas // len(self.near))


def base_of(inputs, side: int) -> Base:
    """The body on the coarse canvas; outside it the nearest values spread."""
    body = inputs.body
    both = torch.cat([shrunk(t, side) for t in (body.normals, body.depth, body.hit)], 1)
    hit = both[:, 8:]
    full = filled(both[:, :8], hit)
    return Base(unit(full[:, :6]), full[:, 6:], hit)


def shrunk(picture: Tensor, side: int) -> Tensor:
    """(B, C, n, n) -> (B, C, side, side): means of blocks; repeated where n is smaller."""
    return F.interpolate(picture, (side, side), mode="area" if picture.shape[-1] > side else "nearest")


def unit(normals: Tensor) -> Tensor:
    """(B, 3 k, H, W) -> each of length 1."""
    n = normals.unflatten(1, (-1, 3))
    x, y, z = n.unbind(2)
    return (n * torch.rsqrt((x * x + y * y + z * z).clamp(min=1e-8))[:, :, None]).flatten(1, 2)   # F.normalize: five times slower on CPUs


def rays_of(inputs, side: int) -> Tensor:
    """(B, 2, side, side): x and y of the ray (z = 1) through every pixel's centre."""
    at = (torch.arange(side, device=inputs.rays.device, dtype=inputs.rays.dtype) + 0.5) / side
    x, y = ((at - inputs.rays[:, k:k + 1]) / inputs.rays[:, :1] for k in (1, 2))
    return torch.stack([x[:, None, :].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)], 1)


def coarse_inputs(inputs, base: Base, embed: nn.Embedding, side: int) -> Tensor:
    """(B, INPUTS + 2 x code, c, c)."""
    rows = (torch.arange(side, device=base.hit.device) * 2 + 1) * inputs.body.part.shape[-1] // (2 * side)
    part = inputs.body.part[:, :, rows][:, :, :, rows]
    code = embed(part).permute(0, 1, 4, 2, 3).flatten(1, 2)
    return torch.cat([shrunk(inputs.image, side), shrunk(inputs.matte, side), rays_of(inputs, side), base.normals, 4 * base.depth, base.hit, code], 1)


def with_base(out: Tensor, base: Tensor) -> Tensor:
    """Outputs (B, 8, H, W): differences of both normals from `base` (B, 6, H, W), log uncertainties -> unit normals, bounded logs."""
    return torch.cat([unit(base + out[:, :6]), out[:, 6:].clamp(-6, 3)], 1)


DEPTH_STEP = 0.05
"""The coarse net's answer of 1 is this part of the canvas's side (about 10 cm of a whole person): a fresh net starts near the body, and a
step of training does not move the depths by centimetres."""

LIKELY = 3.0
"""Mask logit that s02's matte is worth by itself, inside (+) and outside (-): the networks answer with differences from it."""


def raw_from(out: Tensor, base: Base, matte: Tensor) -> Tensor:
    """Answers (B, 5, c, c) of the coarse depth net, matte (B, 1, c, c) -> Coarse.raw: from differences to the body's depths and the matte."""
    return torch.cat([DEPTH_STEP * out[:, :2] + base.depth, out[:, 2:3] + likely(matte), out[:, 3:]], 1)


def likely(matte: Tensor) -> Tensor:
    """Matte in [0, 1] -> mask logit."""
    return LIKELY * (2 * matte - 1)


def part_inputs(inputs, coarse: Coarse, warps: Warps, group: str) -> Tensor:
    """(N, PART_INPUTS, h, w); normals turned into the patch's frame, so that a limb looks the same however it is held."""
    rows = warps.rows(group)
    picture, normals, posed, hit = cut([inputs.image, inputs.matte, coarse.normals[:, :6], inputs.body.normals, inputs.body.hit],
                                       warps, group).split((4, 6, 6, 1), 1)
    turns = warps.turns(rows)
    return torch.cat([picture, unit(turned(normals, turns)), turned(posed, turns), hit], 1)


def context_of(group: str, like: Tensor, canvas: int) -> Tensor:
    """(N, CONTEXT). Canvases beyond those of the training (512 and 1024) are told as the nearest: a number never heard means nothing."""
    out = like.new_zeros(len(like), CONTEXT)
    out[:, GROUPS.index(group)] = 1
    out[:, -1] = min(max(math.log2(canvas / 1024), -1.0), 0.0)
    return out


def changes(normals: Tensor, seen: Tensor) -> Tensor:
    """A patch's normals (N, 8, h, w) less the coarse ones among its inputs. Only these go back onto the canvas: what a patch leaves as it was
    keeps the coarse normals themselves, which being cut and laid back would blur (0.2 degrees of 17)."""
    return torch.cat([normals[:, :6] - seen[:, PART_BASE].to(normals.dtype), normals[:, 6:]], 1)


def turned_back(patches: dict[str, Tensor], warps: Warps) -> dict[str, Tensor]:
    """Normals of patches, or differences of normals, in camera axes again; uncertainties go along."""
    out = {}
    for group, values in patches.items():
        turns = warps.turns(warps.rows(group)).transpose(1, 2)
        out[group] = torch.cat([turned(values[:, :6], turns), values[:, 6:]], 1)
    return out


NEAR = 9
"""Coarse pixels round the person that are worked on too: as far as the steps see, so that nothing changes on the person."""


def covered(inputs, side: int) -> Tensor:
    """(B, c, c) bool: where each person's matte or body is."""
    return torch.maximum(F.adaptive_max_pool2d(inputs.matte, side), F.adaptive_max_pool2d(inputs.body.hit, side))[:, 0] > 0.02


def person_near(inputs, side: int) -> np.ndarray:
    """(c, c) bool: the coarse pixels near anybody's matte or body; all when there is nobody."""
    near = F.max_pool2d(covered(inputs, side).any(0).float()[None], 2 * NEAR + 1, 1, NEAR)[0] > 0
    return (near if near.any() else torch.ones_like(near)).cpu().numpy()


AROUND = 12
"""Coarse pixels round a person that the coarse nets see."""


def whereabouts(inputs, side: int, multiple: int) -> list[tuple[slice, Box]]:
    """(people, box on the coarse canvas, sides multiples of `multiple`): what the coarse nets look at. On a CPU everyone has an own box, half of
    the canvas in the mean; a GPU takes all at once, in a box that holds them all. All of the canvas where nobody is, and for meta tensors."""
    if inputs.matte.is_meta:
        return [(slice(0, len(inputs.matte)), (0, side, 0, side))]
    there = covered(inputs, side)
    people = [slice(k, k + 1) for k in range(len(there))] if there.device.type == "cpu" else [slice(0, len(there))]
    return [(p, _box(there[p].any(0).cpu().numpy(), multiple)) for p in people]


def _box(there: np.ndarray, multiple: int) -> Box:
    """The smallest box with all that is `there` and AROUND it."""
    if not there.any():
        return 0, len(there), 0, len(there)
    ends = []
    for axis in (1, 0):
        k = np.nonzero(there.any(axis))[0]
        ends += [max(int(k[0]) - AROUND, 0) // multiple * multiple, min(-(-(int(k[-1]) + 1 + AROUND) // multiple) * multiple, len(there))]
    return tuple(ends)


def placed(answers: list[Tensor], boxes: list[Box], side: int) -> Tensor:
    """Answers (b, C, h, w) on their boxes -> (B, C, side, side), 0 elsewhere: no difference from the body."""
    return torch.cat([F.pad(a, (x0, side - x1, y0, side - y1)) for a, (y0, y1, x0, x1) in zip(answers, boxes)])


def box_of(near: np.ndarray, times: int) -> Box:
    """The smallest box of the canvas with all of `near`, whose pixels are `times` larger."""
    rows, columns = np.nonzero(near.any(1))[0], np.nonzero(near.any(0))[0]
    return rows[0] * times, (rows[-1] + 1) * times, columns[0] * times, (columns[-1] + 1) * times


def merged(pieces: list[Piece], coarse: Coarse, side: int) -> Tensor:
    """(B, 8, S, S): the coarse normals with what the parts change (`changes`). A part's weight falls to 0 at its edge: so there is no seam, and a
    missing part leaves no hole. Uncertainties are the parts' as far as their weights go, then the coarse ones. 0 outside the box."""
    like = coarse.normals
    box = coarse.box or (0, side, 0, side)
    out = like.new_zeros(len(like), like.shape[1], side, side)
    total, weight = blend(pieces, part_of(out, box), box)
    large, lacking = enlarged(like, side // like.shape[-1], box), (1 - weight).clamp(min=0)
    total = total / weight.clamp_(min=1)
    if torch.is_grad_enabled():                                  # gradients forbid to write where the sum was made
        out = torch.zeros_like(out)
    part_of(out, box)[:, :6] = unit(large[:, :6] + total[:, :6])
    part_of(out, box)[:, 6:] = torch.addcmul(total[:, 6:], large[:, 6:], lacking)
    return out


def slopes(normals: Tensor, rays: Tensor) -> Tensor:
    """Normals (B, 6, H, W) as depth sees them: x, y, and the share along the pixel's ray; -x / share is the slope of depth per pixel."""
    n = normals.unflatten(1, (2, 3))
    along = n[:, :, 0] * rays[:, :1] + n[:, :, 1] * rays[:, 1:] + n[:, :, 2]
    return torch.stack([n[:, :, 0], n[:, :, 1], along], 2).flatten(1, 2)


HALO = 12
"""Fine pixels that a Step sees: three convolutions, the local mean and the upsampling, at half the resolution."""

NOBODY = -12.0
"""Mask logit where nothing was worked out."""


def climb(step: Step, inputs, coarse: Coarse, normals: Tensor, tile: int | None) -> Tensor:
    """Coarse depth -> (B, 5, S, S), doubling until the canvas is reached; every level sees the merged normals of its own size."""
    size, side = coarse.raw.shape[-1], normals.shape[-1]
    box = coarse.box or (0, side, 0, side)
    cells = tuple(v * size // side for v in box)
    live = None if coarse.near is None else coarse.near[cells[0]:cells[1], cells[2]:cells[3]]
    x = part_of(coarse.raw, cells).clone()
    x[:, :2] *= size                                             # depth in pixels
    x[:, 2:3] -= likely(part_of(shrunk(inputs.matte, size), cells))   # every level adds its own matte: a finer outline
    seen = torch.cat([slopes(part_of(normals[:, :6], box), part_of(rays_of(inputs, side), box)), part_of(inputs.matte, box)], 1)
    levels = [seen]
    while levels[-1].shape[-1] > 2 * x.shape[-1]:
        levels.append(F.avg_pool2d(levels[-1], 2))
    for level in reversed(levels if side > size else []):
        size *= 2
        x = tiled(step, x, level, tile, HALO, live)
    x[:, :2] /= size
    x[:, 2:3] += likely(part_of(shrunk(inputs.matte, size), tuple(v * size // side for v in box)))
    if coarse.near is None:
        return x
    out = x.new_zeros(len(x), 5, side, side)
    out[:, 2] = NOBODY
    part_of(out, box).copy_(x)
    there = torch.as_tensor(coarse.near, device=x.device)[None, None]
    return _only(out, there)


def _only(out: Tensor, there: Tensor) -> Tensor:
    """Mask logits are NOBODY where nothing was worked out: there (1, 1, c, c)."""
    k = out.shape[-1] // there.shape[-1]
    cells = out[:, 2].unflatten(1, (-1, k)).unflatten(3, (-1, k))
    cells.masked_fill_(~there[0, :, :, None, :, None], NOBODY)
    return out
