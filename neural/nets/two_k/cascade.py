"""The high-resolution depth network (2K2K §4.3): coarse depth and merged normals -> fine depth, twice as large at every step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks.conv import Block, Head, Mix, Single, Style, Up
from ..blocks.tiles import tiled


class Cascade(nn.Module):
    """The paper's: three blocks with weights of their own. Depth (B, 2, s, s), normals (B, 6, 8s, 8s) -> (B, 3, 8s, 8s):
    front, back, mask before their activations."""

    def __init__(self, style: Style, width: int):
        super().__init__()
        for k, depth in enumerate((2, 2 * width, 2 * width), 1):
            self.add_module(f"depth{k}", Up(style, depth, width))
            self.add_module(f"normal{k}", Single(style, 6, width))
            self.add_module(f"merge{k}_1", Block(style, 2 * width, 2 * width))
        self.merge1_2 = Mix(style, 2 * width, 2 * width)
        self.merge2_2 = Mix(style, 2 * width, 2 * width)
        self.merge3_2 = Head(2 * width, 3)

    def forward(self, depth: Tensor, normals: Tensor, tile: int | None = None) -> Tensor:
        """tile: side of the pieces that are computed at once (same result, less memory, faster on a CPU); None = all at once."""
        levels = (normals[:, :, 1::4, 1::4], normals[:, :, ::2, ::2], normals)
        for k, level in enumerate(levels, 1):
            depth = tiled(lambda x, n: self._step(k, x, n), depth, level, tile, halo=4)
        return depth

    def _step(self, k: int, x: Tensor, normals: Tensor) -> Tensor:
        x, normals = (t.contiguous(memory_format=torch.channels_last) for t in (x, normals))
        x = torch.cat([getattr(self, f"depth{k}")(x), getattr(self, f"normal{k}")(normals)], 1)
        return getattr(self, f"merge{k}_2")(getattr(self, f"merge{k}_1")(x))


def squash(x: Tensor) -> Tensor:
    """Any real number to (-1, 1), steepest at 0."""
    return x / (1 + x.abs())


SIDES = 2
"""Front and back."""

BILINEAR = (9 / 16, 3 / 16, 3 / 16, 1 / 16)
"""Shares of the four coarse pixels in a fine one, nearest first."""


class Step(nn.Module):
    """Ours: one step that doubles any resolution.

    Depth is in pixels of the finer canvas (a depth of 1 is as long as a pixel is wide, at the pelvis), so that normals say the same about
    slopes at every resolution, and only differences of depth go in. Each fine pixel mixes the four coarse ones around it, with
    weights that the network chooses (bilinear at first: Teed and Deng 2020, convex upsampling), and a correction is added.
    """

    MIX = 4 * 4 * SIDES          # four fine pixels, four neighbours each
    INPUTS = 4 * 6 + 4 + 4 + 2 + 2 + 1 + 2

    def __init__(self, style: Style, width: int):
        super().__init__()
        self.first = Single(style, self.INPUTS, width)
        self.second = Block(style, width, width)
        self.last = Head(width, self.MIX + 4 * (SIDES + 1 + SIDES), start=0.02)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """coarse (B, 5, s, s): depths in coarse pixels, mask logit, log uncertainty of both; fine (B, 7, 2s, 2s): normals as slopes see
        them (x, y, along the ray), matte -> (B, 5, 2s, 2s) likewise in fine pixels."""
        depth, rest = 2 * coarse[:, :SIDES], coarse[:, SIDES:]
        wide = F.pad(depth, (2, 2, 2, 2), mode="replicate")
        around = wide[:, :, 1:-1, 1:-1]
        dx = (around[:, :, 1:-1, 2:] - around[:, :, 1:-1, :-2]) / 4
        dy = (around[:, :, 2:, 1:-1] - around[:, :, :-2, 1:-1]) / 4
        bump = depth - (wide[:, :, 2:-2, 4:] + wide[:, :, 2:-2, :-4] + wide[:, :, 4:, 2:-2] + wide[:, :, :-4, 2:-2]) / 4
        thick = (depth[:, 1:] - depth[:, :1]) / 64
        x = torch.cat([F.pixel_unshuffle(fine, 2), squash(dx), squash(dy), squash(bump), squash(thick), squash(thick / 8), rest], 1)
        x = self.last(self.second(self.first(x.to(self.first.conv[0].weight.dtype))))
        choice, change = x[:, :self.MIX], F.pixel_shuffle(x[:, self.MIX:], 2)
        return torch.cat([self._upsampled(around, choice) + change[:, :SIDES],
                          F.interpolate(rest, scale_factor=2, mode="bilinear") + change[:, SIDES:]], 1)

    @staticmethod
    def _upsampled(around: Tensor, choice: Tensor) -> Tensor:
        """around (B, 2, h + 2, w + 2): depth with one more pixel on each side."""
        b, _, h, w = choice.shape
        logits = choice.view(b, SIDES, 4, 4, h, w)
        out = []
        for k in range(4):                                     # fine pixel (k // 2, k % 2) of each coarse one
            dy, dx = 2 * (k // 2), 2 * (k % 2)
            near = lambda i, j: around[:, :, i:i + h, j:j + w]
            four = torch.stack([near(1, 1), near(1, dx), near(dy, 1), near(dy, dx)], 2)
            share = (logits[:, :, k] + logits.new_tensor(BILINEAR).log().view(4, 1, 1)).softmax(2)
            out.append((share * four).sum(2))
        return F.pixel_shuffle(torch.stack(out, 2).flatten(1, 2), 2)
