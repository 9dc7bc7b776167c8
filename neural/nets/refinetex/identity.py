"""Features that tell people apart, in place of the paper's re-identification network (PCB on Market-1501, which may not be passed on).

A small network of our own: what it takes for the same person is what our generator makes the same (train/losses/refinetex.py, `same_person`).
Until it is trained its features mean little; the losses and measures that use them say so by the weights' name.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks.conv import Block, Head, Style
from .config import OURS


@dataclass(frozen=True)
class IdentityConfig:
    """widths: channels of the four stages, at 1/2, 1/4, 1/8, 1/16 of the picture; code: length of the code; bands: the last stage is also
    averaged over so many bands of rows (PCB's parts: head to feet)."""

    widths: tuple[int, int, int, int] = (32, 64, 128, 192)
    code: int = 256
    bands: int = 6
    style: Style = OURS


class Identity(nn.Module):
    """Pictures (B, 3, H, W) in [-1, 1] of one person each, upright, twice as high as wide (128 x 64 and more; multiples of 16)."""

    def __init__(self, config: IdentityConfig = IdentityConfig()):
        super().__init__()
        self.config = config
        self.stages = nn.ModuleList(Block(config.style, i, o) for i, o in zip((12, *config.widths), config.widths))
        self.code = Head(config.widths[-1] * config.bands, config.code, start=1.0)

    def features(self, image: Tensor) -> list[Tensor]:
        """Four maps, finest first; the first is that of the style loss."""
        x, out = F.pixel_unshuffle(image, 2), []
        for k, stage in enumerate(self.stages):
            x = stage(F.max_pool2d(x, 2) if k else x)
            out.append(x)
        return out

    def forward(self, image: Tensor) -> Tensor:
        """(B, code) of length 1: the cosine of two codes is how much two pictures show the same person."""
        last = self.features(image)[-1]
        bands = F.adaptive_avg_pool2d(last, (self.config.bands, 1)).flatten(1)
        return F.normalize(self.code(bands[:, :, None, None])[:, :, 0, 0], dim=1)
