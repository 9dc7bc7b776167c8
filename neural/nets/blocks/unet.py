"""AU-Net with one encoder (Oktay et al. 2018) or two (D-AU-Net: 2K2K §4.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conv import Block, Gate, Head, Mix, Style, Up


@dataclass(frozen=True)
class UNetConfig:
    """inputs   channels of each encoder's picture: one or two encoders.
    widths   channels of each level, of one encoder; the decoder is as wide as all encoders together.
    outputs  channels of the result.
    stem     pictures enter as blocks of stem x stem pixels (space to depth) and leave likewise: thin at full resolution.
    head     "relu" (the paper's normals) or "linear".
    context  length of a vector that is the same for the whole picture, 0 = none.
    """

    inputs: tuple[int, ...]
    widths: tuple[int, ...]
    outputs: int
    style: Style = Style()
    stem: int = 1
    head: str = "linear"
    context: int = 0

    @property
    def multiple(self) -> int:
        """Sides of the pictures must be multiples of this."""
        return self.stem * 2 ** (len(self.widths) - 1)


class UNet(nn.Module):
    """Pictures (B, inputs[k], H, W) -> (B, outputs, H, W)."""

    def __init__(self, config: UNetConfig):
        super().__init__()
        self.config = config
        count, style, blocks = len(config.inputs), config.style, config.stem**2
        self.levels = len(config.widths)
        for e, channels in enumerate(config.inputs, 1):
            before = channels * blocks
            for level, width in enumerate(config.widths, 1):
                self.add_module(self._encoder(level, e), Block(style, before, width))
                before = width
        wide = [count * w for w in config.widths]
        for level in range(self.levels, 1, -1):
            low, high = wide[level - 1], wide[level - 2]
            self.add_module(f"Up{level}", Up(style, low, high))
            if style.attention:
                self.add_module(f"Att{level}", Gate(style, high, high // 2))
            self.add_module(f"Up_conv{level}", Block(style, 2 * high, high))
        if config.head == "relu":
            self.Conv_1x1 = Mix(style, wide[0], config.outputs * blocks)
        else:
            self.Conv_1x1 = Head(wide[0], config.outputs * blocks)
        if config.context:
            self.context = nn.Linear(config.context, config.widths[0])

    def _encoder(self, level: int, encoder: int) -> str:
        return f"Conv{level}" if len(self.config.inputs) == 1 else f"Conv{level}_{encoder}"

    def _dtype(self) -> torch.dtype:
        return next(getattr(self, self._encoder(1, 1)).parameters()).dtype

    def forward(self, *pictures: Tensor, context: Tensor | None = None) -> Tensor:
        """context (B, config.context) when the network was built with one."""
        stem = self.config.stem
        features = []
        for e, x in enumerate(pictures, 1):
            x = (F.pixel_unshuffle(x, stem) if stem > 1 else x).to(self._dtype())
            skips = []
            for level in range(1, self.levels + 1):
                x = getattr(self, self._encoder(level, e))(F.max_pool2d(x, 2) if level > 1 else x)
                if level == 1 and e == 1 and context is not None:
                    x = x + self.context(context)[:, :, None, None].to(x.dtype)
                skips.append(x)
            features.append(skips)
        merged = [torch.cat(level, 1) if len(level) > 1 else level[0] for level in zip(*features)]
        x = merged.pop()
        for level in range(self.levels, 1, -1):
            x, skip = getattr(self, f"Up{level}")(x), merged.pop()
            if self.config.style.attention:
                skip = getattr(self, f"Att{level}")(x, skip)
            x = getattr(self, f"Up_conv{level}")(torch.cat([skip, x], 1))
        x = self.Conv_1x1(x)
        return F.pixel_shuffle(x, stem) if stem > 1 else x
