"""COMPACT: RefineTex on the layout of our body at 512 x 512 texels and more.

As in the paper, texels attend to the photo, a flow says where each of them is copied from, a mask where it is invented, and a deformable
convolution at the flow refines all of it. What differs: the flow starts where the fitted body's own projection has the texel (and its
mirror image), so that the network only corrects it; copies read the photo at its full resolution; a size twice as large is one more head.

Knows tensors only: cameras and bodies are the business of door.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks.conv import LEAK, Block, Head, Single
from ..blocks.fold import folded
from .config import COMPACT, CompactConfig
from .deform import DeformConv, flow_to_offsets, offset_conv
from .layout import Layout
from .pyramid import STEM, Attention, Pyramid

PICTURE = 18
"""Channels of Inputs.picture (door.py lists them)."""

PARTS = 25
"""24 joints of SMPL, and nothing."""

REACH, FINE = 0.5, 8.0
"""A flow can be corrected by a quarter of the canvas; the head's unit is about a FINE-th of that, so that training starts near no correction."""

TAPS_ON = 512
"""Taps of the deformable convolution lie as far apart as the pixels of a canvas of this size, whatever the photo's."""

LOG_RANGE = (-6.0, 1.0)


@dataclass(frozen=True)
class Texels:
    """What the fitted body says about T x T texels of B people; K sources: the texel itself, and the same place of the other side.

    flow    (B, K, 2, T, T): where the source lies in the photo, seen or not; x, y, -1 and 1 the canvas's outer edges.
    seen    (B, K, T, T) in [0, 1]: how surely the photo shows it there.
    facing  (B, K, T, T): cosine between the surface's normal and the direction to the camera; below 0 it looks away.
    layout  of size T.
    """

    flow: Tensor
    seen: Tensor
    facing: Tensor
    layout: Layout

    def first(self, count: int) -> "Texels":
        """Only the first sources."""
        return Texels(self.flow[:, :count], self.seen[:, :count], self.facing[:, :count], self.layout)


@dataclass(frozen=True)
class Inputs:
    """photo (B, 4, S, S): colours in [-1, 1], carried on beyond the person, and the matte in [0, 1]: what is copied, any S.
    picture (B, PICTURE, s, s) and part (B, s, s) int64 (SMPL joint + 1 of the body, 0 = none): what the encoder sees, s <= 512, a
    multiple of 32 (door.py makes both). texels: at the network's size; fine: at twice that, or None."""

    photo: Tensor
    picture: Tensor
    part: Tensor
    texels: Texels
    fine: Texels | None = None


@dataclass(frozen=True)
class Guess:
    """A texture of T x T texels. flow (B, K, 2, T, T): where each source is copied from; share (B, K + 1, T, T): how much of every source,
    and last how much is invented, sum 1; copied (B, K, 3, T, T) and rgb (B, 3, T, T) in [-1, 1]; log_scale (B, 1, T, T): log of the
    expected absolute error of `texture`, same units. raw: the head's numbers behind all that."""

    flow: Tensor
    share: Tensor
    copied: Tensor
    rgb: Tensor
    log_scale: Tensor
    raw: Tensor

    @property
    def mask(self) -> Tensor:
        """(B, 1, T, T): how much is copied (M of Eq. 1)."""
        return 1 - self.share[:, -1:]

    @property
    def texture(self) -> Tensor:
        """(B, 3, T, T) in [-1, 1]: Eq. 1."""
        return (self.share[:, :-1, None] * self.copied).sum(1) + self.share[:, -1:] * self.rgb


@dataclass(frozen=True)
class Output:
    """early: before the refinement (it gets losses as well); last; fine: twice as large, or None."""

    early: Guess
    last: Guess
    fine: Guess | None


class Compact(nn.Module):
    def __init__(self, config: CompactConfig = COMPACT):
        super().__init__()
        self.config, style, blocks = config, config.style, STEM**2
        self.embed = nn.Embedding(PARTS, config.embed)
        self.picture = Pyramid(style, (PICTURE + config.embed) * blocks, config.picture)
        known = config.sources * 8 + 7 + config.embed
        self.texture = Pyramid(style, known * blocks + config.sources * config.picture[0], config.texture)
        self.to_photo = Attention(style, config.texture[2], config.picture[2], config.heads)
        self.to_texels = Attention(style, config.texture[2], config.texture[2], config.heads)
        self.outputs = 2 * config.sources + (config.sources + 1) + 3 + 1
        self.head = Head(config.texture[0], self.outputs * blocks, start=0.02)
        if config.refine != "none":
            deform = config.refine == "deform"
            self.jitter = offset_conv(self.outputs) if deform else None
            self.read = DeformConv(4, config.width) if deform else nn.Conv2d(4, config.width, 3, padding=1)
            self.mix = Block(style, config.width + self.outputs + 3 * config.sources, config.width)
            self.update = Head(config.width, self.outputs, start=0.02)
        if config.fine:
            self.enlarge = Single(style, config.width if config.refine != "none" else self.outputs, config.width)
            self.details = Head(config.width, 4 * (config.sources + 1 + 3), start=0.02)

    def forward(self, inputs: Inputs) -> Output:
        k = self.config.sources
        inputs = replace(inputs, texels=inputs.texels.first(k), fine=inputs.fine and inputs.fine.first(k))
        early = self.guess(self.deep(inputs), inputs.texels, inputs.photo)
        last, x = self.refined(inputs, early)
        return Output(early, last, None if inputs.fine is None else self.larger(inputs, last, x))

    def for_inference(self, dtype: torch.dtype = torch.float32) -> "Compact":
        """A copy that gives the same, faster (dtype bfloat16: about the same). Use it under torch.inference_mode."""
        return folded(self, dtype)

    def deep(self, inputs: Inputs) -> Tensor:
        """The attention network: (B, outputs, T, T) raw."""
        dtype = next(self.picture.parameters()).dtype
        code = self.embed(inputs.part).permute(0, 3, 1, 2)
        seen = F.pixel_unshuffle(torch.cat([inputs.picture, code], 1), STEM).to(dtype)
        photo = self.picture.decode(self.picture.encode(seen))
        x = torch.cat([F.pixel_unshuffle(self.known(inputs), STEM).to(dtype), *gathered(photo[0], inputs.texels)], 1)
        x = self.texture.encode(x, lambda y: self.to_texels(y := self.to_photo(y, photo[2]), y))
        return F.pixel_shuffle(self.head(self.texture.decode(x)[0]), STEM)

    def known(self, inputs: Inputs) -> Tensor:
        """(B, ., T, T): all that is known of a texel without a network."""
        texels, layout = inputs.texels, inputs.texels.layout
        count = len(texels.flow)
        code = self.embed(layout.part).permute(2, 0, 1) * layout.charts
        fixed = torch.cat([layout.place, layout.normal, layout.charts, code])
        found = copies(inputs.photo, texels.flow)
        each = torch.cat([found, texels.seen[:, :, None], texels.facing[:, :, None], texels.flow.clamp(-1, 1)], 2)
        return torch.cat([each.flatten(1, 2) * layout.charts, fixed.expand(count, -1, -1, -1)], 1)

    def guess(self, raw: Tensor, texels: Texels, photo: Tensor) -> Guess:
        """The head's numbers (B, outputs, T, T), float32, as a texture. Before it has learnt anything: what the photo shows is copied."""
        k, raw = self.config.sources, raw.float()
        flow = texels.flow + REACH * squash(raw[:, :2 * k].unflatten(1, (k, 2)) / FINE)
        own = texels.seen[:, :1]
        first = torch.cat([8 * own - 4, 6 * (1 - own) * texels.seen[:, 1:] - 4, torch.zeros_like(own)], 1)
        share = (raw[:, 2 * k:3 * k + 1] + first).softmax(1)
        rest = raw[:, 3 * k + 1:]
        return Guess(flow, share, copies(photo[:, :3], flow), torch.tanh(rest[:, :3]), rest[:, 3:].clamp(*LOG_RANGE), raw)

    def refined(self, inputs: Inputs, early: Guess) -> tuple[Guess, Tensor]:
        """The refinement at the layout's full size, and its features."""
        if self.config.refine == "none":
            return early, early.raw
        if self.jitter is not None:
            x = self.read(inputs.photo, self.offsets(early, inputs.photo.shape[-1]))
        else:
            x = self.read(copies(inputs.photo, early.flow[:, :1])[:, 0].to(self.read.weight.dtype))
        x = F.leaky_relu(x, LEAK)
        x = self.mix(torch.cat([x, early.raw.to(x.dtype), early.copied.flatten(1, 2).to(x.dtype)], 1))
        return self.guess(early.raw + self.update(x), inputs.texels, inputs.photo), x

    def offsets(self, early: Guess, side: int) -> Tensor:
        """(B, 18, T, T) pixels of the photo: every tap at the flow, TAPS_ON apart, and moved by what a convolution says."""
        step = side / TAPS_ON
        tap = torch.arange(3, device=early.flow.device, dtype=torch.float32) - 1
        spread = torch.stack(torch.meshgrid(tap, tap, indexing="ij"), -1).view(1, 18, 1, 1) * (step - 1)
        base = flow_to_offsets(early.flow[:, 0], side, side).repeat(1, 9, 1, 1)
        return base + spread + step * self.jitter(early.raw.to(self.jitter.weight.dtype)).float()

    def larger(self, inputs: Inputs, last: Guess, x: Tensor) -> Guess:
        """Twice the size: the body's own projection there, the corrections of the flow enlarged, shares and invented colours with new detail."""
        k = self.config.sources
        new = F.pixel_shuffle(self.details(self.enlarge(x.to(next(self.enlarge.parameters()).dtype))), 2).float()
        raw = F.interpolate(last.raw, scale_factor=2, mode="bilinear", align_corners=False)
        still = torch.zeros_like(raw[:, :2 * k])
        return self.guess(raw + torch.cat([still, new, torch.zeros_like(raw[:, -1:])], 1), inputs.fine, inputs.photo)


def squash(x: Tensor) -> Tensor:
    """Any real number to (-1, 1), steepest at 0."""
    return x / (1 + x.abs())


def copies(photo: Tensor, flow: Tensor) -> Tensor:
    """The photo (B, C, S, S) at flows (B, K, 2, T, T) -> (B, K, C, T, T); 0 outside. Coordinates are never rounded to half precision."""
    count, sources, _, rows, columns = flow.shape
    grid = flow.permute(0, 1, 3, 4, 2).reshape(count, sources * rows, columns, 2)
    out = F.grid_sample(photo.float(), grid.float(), mode="bilinear", padding_mode="zeros", align_corners=False)
    return out.unflatten(2, (sources, rows)).transpose(1, 2)


def gathered(features: Tensor, texels: Texels) -> list[Tensor]:
    """The photo's features (B, C, s/4, s/4) where every block of 4 x 4 texels has each source, one (B, C, T/4, T/4) a source."""
    on = F.avg_pool2d(texels.layout.charts[None], STEM)
    flow = F.avg_pool2d(texels.flow.flatten(1, 2) * texels.layout.charts, STEM) / on.clamp(min=1e-6)
    found = copies(features, flow.unflatten(1, (-1, 2))) * (on > 0)
    return [one.to(features.dtype) for one in found.unbind(1)]
