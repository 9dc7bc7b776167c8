"""The 2K2K network: reads top to bottom like Fig. 4 of the paper. PAPER and COMPACT run the same lines; what only ours has is in ours.py.

Knows tensors only: what they mean in metres and camera axes is the business of door.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks.fold import folded
from ..blocks.unet import UNet, UNetConfig
from ..blocks.warp import Box, part_of
from . import ours
from .cascade import Cascade, Step
from .config import TwoKConfig
from .merge import Piece, Warps, back_on_canvas, blend, cut
from .ours import Body, Coarse
from .parts import GROUPS


@dataclass(frozen=True)
class Inputs:
    """B people on canvases of S x S pixels.

    image          (B, 3, S, S) in [-1, 1], RGB. PAPER: background -1. COMPACT: the photo as it is.
    part_to_image  (B, 12, 2, 3) float32 CPU, normalised units; present (B, 12) bool CPU: see parts.place.
    matte          (B, 1, S, S) in [0, 1], 0 outside the photo (COMPACT).
    rays           (B, 3): focal length, x and y of the principal point, in sides of the canvas (COMPACT).
    body           the fitted body (COMPACT).
    """

    image: Tensor
    part_to_image: Tensor
    present: Tensor
    matte: Tensor | None = None
    rays: Tensor | None = None
    body: Body | None = None


@dataclass(frozen=True)
class Output:
    """coarse; patches: group -> (N, C, h, w) in their own frames; warps: where they lie; normals (B, 6 or 8, S, S) merged: front, back and
    (ours) log uncertainties; raw (B, 3 or 5, S, S): front, back, mask logit and (ours) log uncertainties of the depths.

    PAPER: normals are 2K2K's pseudo-normals in [0, 1]; raw depths before relu6.
    COMPACT: unit outward normals, camera axes; raw depths from the pelvis in sides of the canvas at the pelvis (door.py has the metres).
    """

    coarse: Coarse
    patches: dict[str, Tensor]
    warps: Warps
    normals: Tensor
    raw: Tensor


class TwoK(nn.Module):
    def __init__(self, config: TwoKConfig):
        super().__init__()
        config.check()
        self.config = config
        extra, sure = (ours.INPUTS + 2 * config.embed, 2) if config.ours else (3, 0)
        shape = dict(style=config.style, stem=config.stem, head="linear" if config.ours else "relu")
        part = UNetConfig((ours.PART_INPUTS if config.ours else 6,), config.part, 6 + sure,
                          context=ours.CONTEXT if config.ours else 0, **shape)
        for name in ("part",) if config.ours else GROUPS:
            self.add_module(f"img2normal_{name}", UNet(part))
        self.img2normal_down = UNet(UNetConfig((extra,), config.normal, 6 + sure, **shape))
        self.ImgNorm_to_Dep = UNet(UNetConfig((extra, 6), config.depth, 3 + sure, config.style, config.stem))
        self.refine = Step(config.style, config.cascade) if config.ours else Cascade(config.style, config.cascade)
        if config.embed:
            self.embed = nn.Embedding(ours.LABELS, config.embed)
        self.tile: int | None = None

    def forward(self, inputs: Inputs) -> Output:
        coarse = self.coarse(inputs)                                        # §4.2, Eq. 6
        warps = self.warps(inputs)
        patches = self.part_normals(inputs, coarse, warps)                  # §4.1, Eq. 2-3
        normals = self.merged(patches, warps, coarse)                       # Eq. 4-5
        return Output(coarse, patches, warps, normals, self.fine(inputs, coarse, normals))   # §4.3, Eq. 7

    def for_inference(self, tile: int | None = 256, dtype: torch.dtype = torch.float32) -> "TwoK":
        """A copy that gives the same, faster (dtype bfloat16: about the same). The last network works on tiles of `tile` pixels, and
        COMPACT leaves out what is far from the person; None = all at once. Fastest on a CPU: 256 for PAPER, 512 for COMPACT.
        Use it under torch.inference_mode."""
        net = folded(self, dtype)
        net.tile = tile
        return net

    def warps(self, inputs: Inputs) -> Warps:
        return Warps(inputs.part_to_image, inputs.present, self.config.at(inputs.image.shape[-1]), inputs.image.device)

    def coarse(self, inputs: Inputs) -> Coarse:
        """Coarse normals, then coarse depth from image and normals."""
        canvas = inputs.image.shape[-1]
        side = self.config.at(canvas).coarse
        if self.config.ours:
            base = ours.base_of(inputs, side)
            seen = ours.coarse_inputs(inputs, base, self.embed, side)
            turned, raw, boxes = [], [], []
            for people, box in ours.whereabouts(inputs, side, self.config.stem * 2 ** (len(self.config.depth) - 1)):
                look = part_of(seen[people], box).contiguous(memory_format=torch.channels_last)
                turned.append(self.img2normal_down(look))
                raw.append(self.ImgNorm_to_Dep(look, ours.with_base(turned[-1], part_of(base.normals[people], box))[:, :6]))
                boxes.append(box)
            normals = ours.with_base(ours.placed(turned, boxes, side), base.normals)
            near = ours.person_near(inputs, side) if self.tile else None
            matte = ours.shrunk(inputs.matte, side)
            return Coarse(seen, normals, ours.raw_from(ours.placed(raw, boxes, side), base, matte), canvas, base, near)
        # the released code does not filter: this is the mean of the four pixels in the middle of each cell
        small = F.interpolate(inputs.image, (side, side), mode="bilinear", align_corners=False)
        normals = self.img2normal_down(small)
        return Coarse(small, normals, self.ImgNorm_to_Dep(small, normals), canvas)

    def part_inputs(self, inputs: Inputs, coarse: Coarse, warps: Warps) -> dict[str, Tensor]:
        """Group -> (N, C, h, w): what its network sees; groups that nobody has are left out."""
        groups = [g for g in GROUPS if warps.rows(g)]
        if self.config.ours:
            return {g: ours.part_inputs(inputs, coarse, warps, g) for g in groups}
        # the paper says all of N^l; the release takes the front, made as large as the canvas first
        guide = F.interpolate(coarse.normals[:, :3], inputs.image.shape[-2:], mode="bilinear", align_corners=False)
        return {g: cut([inputs.image, guide], warps, g) for g in groups}

    def part_normals(self, inputs: Inputs, coarse: Coarse, warps: Warps) -> dict[str, Tensor]:
        """Group -> (N, 6 or 8, h, w) normals of every patch, in its own frame; ours: what they change of the coarse ones (ours.changes)."""
        out = {}
        for g, seen in self.part_inputs(inputs, coarse, warps).items():
            out[g] = self.patch_normals(g, seen, warps.config.canvas)
            if self.config.ours:
                out[g] = ours.changes(out[g], seen)
        return out

    def patch_normals(self, group: str, seen: Tensor, canvas: int) -> Tensor:
        """The group's network on its inputs; canvas: side of the canvas that they are cut from."""
        if self.config.ours:
            net, context = self.img2normal_part, ours.context_of(group, seen, canvas)
            return ours.with_base(net(seen, context=context), seen[:, ours.PART_BASE])
        net = getattr(self, f"img2normal_{group}")
        if self.tile is None:
            return net(seen)
        return torch.cat([net(one[None].contiguous(memory_format=torch.channels_last)) for one in seen])

    def merged(self, patches: dict[str, Tensor], warps: Warps, coarse: Coarse) -> Tensor:
        """All patches on one canvas."""
        like, side = coarse.normals, warps.config.canvas
        pieces = self.pieces(patches, warps, coarse.box)
        if self.config.ours:
            return ours.merged(pieces, coarse, side)
        total, weight = blend(pieces, like.new_zeros(len(like), like.shape[1], side, side), (0, side, 0, side))
        return total.div_(weight.masked_fill_(weight == 0, 1))

    def pieces(self, patches: dict[str, Tensor], warps: Warps, within: Box | None = None) -> list[Piece]:
        if self.config.ours:
            patches = ours.turned_back(patches, warps)
        return back_on_canvas(patches, warps, within)

    def fine(self, inputs: Inputs, coarse: Coarse, normals: Tensor) -> Tensor:
        """Depth at the canvas's resolution."""
        if self.config.ours:
            return ours.climb(self.refine, inputs, coarse, normals, self.tile)
        return self.refine(clipped(coarse.raw), normals, self.tile)


def clipped(raw: Tensor) -> Tensor:
    """Raw coarse depth (B, 3, h, w) -> (B, 2, h, w) as the release hands it on: background front 6, back 0, where the mask is below a half."""
    front, back = F.relu6(raw[:, 0:1]), F.relu6(raw[:, 1:2])
    person = torch.sigmoid(raw[:, 2:3]) > 0.5
    return torch.cat([torch.where(person, front, 6.0), torch.where(person, back, 0.0)], 1)


@dataclass(frozen=True)
class Final:
    """front, back (B, 1, S, S) in [0, 6] and mask (B, 1, S, S) in [0, 1] of PAPER, in 2K2K's units."""

    front: Tensor
    back: Tensor
    mask: Tensor

    def masked(self) -> "Final":
        """Eq. 7: depth times mask, as the paper has it; the release leaves it out and removes where front > back."""
        keep = self.mask > 0.5
        return replace(self, front=torch.where(keep, self.front, 6.0), back=torch.where(keep, self.back, 0.0))


def final(raw: Tensor) -> Final:
    """(B, 3, ...) raw outputs of PAPER -> depths and mask."""
    return Final(F.relu6(raw[:, 0:1]), F.relu6(raw[:, 1:2]), torch.sigmoid(raw[:, 2:3]))
