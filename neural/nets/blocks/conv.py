"""Convolution blocks of AU-Net (Oktay et al. 2018) in two styles: the paper's, with batch norm, and ours, without any norm that can drift.

Names of submodules are those of the released 2K2K checkpoint, so that its tensors load by name.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAK = 0.1
GAIN = (0.5 * (1 + LEAK**2) - (1 - LEAK) ** 2 / (2 * torch.pi)) ** -0.5
"""Keeps the variance of a unit normal through leaky ReLU (NF-ResNets, Brock et al. 2021, §4.1)."""


@dataclass(frozen=True)
class Style:
    """How blocks are built.

    norm       "batch": BatchNorm2d and ReLU (the paper). "weight": standardised weights and leaky ReLU; no statistics of batches, so
               nothing can drift while a part is frozen, and no unit can die. Folds into plain convolutions like batch norm.
    attention  gates on the skips (the paper).
    residual   the second convolution of a block adds to the first.
    """

    norm: str = "batch"
    attention: bool = True
    residual: bool = False

    def __post_init__(self):
        if self.norm not in ("batch", "weight"):
            raise ValueError(f"unknown norm {self.norm!r}")


class WeightConv(nn.Conv2d):
    """Convolution with standardised weights: each filter has mean 0 and norm 1, times a learnt gain, so that variance stays 1."""

    def __init__(self, inputs: int, outputs: int, size: int = 3):
        super().__init__(inputs, outputs, size, padding=size // 2)
        self.gain = nn.Parameter(torch.full((outputs, 1, 1, 1), GAIN))
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    def plain_weight(self) -> Tensor:
        """(out, in, k, k): the filter that is really used."""
        centred = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self.gain * centred * torch.rsqrt(centred.square().sum((1, 2, 3), keepdim=True) + 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.plain_weight().to(x.dtype), self.bias.to(x.dtype), padding=self.padding)


def conv(style: Style, inputs: int, outputs: int, size: int = 3) -> nn.Conv2d:
    """A convolution that keeps the picture's size."""
    if style.norm == "weight":
        return WeightConv(inputs, outputs, size)
    out = nn.Conv2d(inputs, outputs, size, padding=size // 2)
    nn.init.normal_(out.weight, std=(2 / (size * size * outputs)) ** 0.5)
    return out


def norm(style: Style, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if style.norm == "batch" else nn.Identity()


def activation(style: Style) -> nn.Module:
    return nn.ReLU(inplace=True) if style.norm == "batch" else nn.LeakyReLU(LEAK, inplace=True)


class Block(nn.Module):
    """(conv 3x3, norm, activation) twice."""

    def __init__(self, style: Style, inputs: int, outputs: int):
        super().__init__()
        self.residual = style.residual
        self.conv = nn.Sequential(conv(style, inputs, outputs), norm(style, outputs), activation(style),
                                  conv(style, outputs, outputs), norm(style, outputs), activation(style))

    def forward(self, x: Tensor) -> Tensor:
        if not self.residual:
            return self.conv(x)
        first = self.conv[:3](x)
        return (first + self.conv[3:](first)) * 0.5**0.5


class Single(nn.Module):
    """conv 3x3, norm, activation."""

    def __init__(self, style: Style, inputs: int, outputs: int):
        super().__init__()
        self.conv = nn.Sequential(conv(style, inputs, outputs), norm(style, outputs), activation(style))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Mix(nn.Module):
    """1x1 convolution and ReLU, without norm: the normal heads, and the ends of the cascade's blocks."""

    def __init__(self, style: Style, inputs: int, outputs: int):
        super().__init__()
        self.conv = nn.Sequential(conv(style, inputs, outputs, 1), activation(style))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Up(nn.Module):
    """Nearest x2, conv 3x3, norm, activation."""

    def __init__(self, style: Style, inputs: int, outputs: int):
        super().__init__()
        self.up = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), conv(style, inputs, outputs),
                                norm(style, outputs), activation(style))

    def forward(self, x: Tensor) -> Tensor:
        return self.up(x)


class Gate(nn.Module):
    """Attention gate: g (B, C, h, w) says where the skip x (B, C, h, w) matters; returns x times that."""

    def __init__(self, style: Style, channels: int, inner: int):
        super().__init__()
        self.W_g = nn.Sequential(conv(style, channels, inner, 1), norm(style, inner))
        self.W_x = nn.Sequential(conv(style, channels, inner, 1), norm(style, inner))
        self.psi = nn.Sequential(conv(style, inner, 1, 1), norm(style, 1), nn.Sigmoid())

    def forward(self, g: Tensor, x: Tensor) -> Tensor:
        return x * self.psi((self.W_g(g) + self.W_x(x)).relu_())


class Head(nn.Conv2d):
    """1x1 convolution that always computes in float32, so that depths keep their last digits where the rest runs in bfloat16."""

    def __init__(self, inputs: int, outputs: int, start: float = 0.1):
        """start: size of the first outputs; ours are added to a base, so they begin small."""
        super().__init__(inputs, outputs, 1)
        nn.init.normal_(self.weight, std=start * inputs**-0.5)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "meta":                            # counting operations: knows no autocast
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())
