"""What COMPACT is made of: an encoder and decoder over four sizes, and attention from texels to the photo and among themselves."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks.conv import Block, Style, Up, conv

STEM = 4
"""Pictures enter as blocks of 4 x 4 pixels."""


class Pyramid(nn.Module):
    """U-Net over sizes 1, 1/2, 1/4, 1/8; `between` is applied to the third of them before the fourth is made."""

    def __init__(self, style: Style, inputs: int, widths: tuple[int, ...]):
        super().__init__()
        self.down = nn.ModuleList(Block(style, i, o) for i, o in zip((inputs, *widths), widths))
        self.up = nn.ModuleList(Up(style, low, high) for low, high in zip(widths[1:], widths))
        self.join = nn.ModuleList(Block(style, 2 * high, high) for high in widths[:-1])

    def encode(self, x: Tensor, between=None) -> list[Tensor]:
        """(B, inputs, H, W) -> four maps, the largest first."""
        out = []
        for k, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if k else x)
            if k == 2 and between is not None:
                x = between(x)
            out.append(x)
        return out

    def decode(self, levels: list[Tensor]) -> list[Tensor]:
        """The four maps of `encode` -> four of the same sizes, the largest first."""
        out = [levels[-1]]
        for k in reversed(range(len(self.up))):
            out.insert(0, self.join[k](torch.cat([levels[k], self.up[k](out[0])], 1)))
        return out


class Attention(nn.Module):
    """Every place of x looks at all places of `memory`; what it finds is added. Scores are cosines times a learnt scale, so that nothing
    has to be normalised beforehand."""

    def __init__(self, style: Style, width: int, memory: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key = conv(style, width, width, 1), conv(style, memory, width, 1)
        self.value, self.out = conv(style, memory, width, 1), conv(style, width, width, 1)
        self.scale = nn.Parameter(torch.full((heads, 1, 1), 2.0))

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """x (B, C, h, w), memory (B, M, h', w') -> (B, C, h, w)."""
        split = lambda t: t.flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)
        q, k = (F.normalize(split(t).float(), dim=-1) for t in (self.query(x), self.key(memory)))
        q, v = q * self.scale.clamp(max=4.6).exp(), split(self.value(memory))
        found = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, scale=1.0)
        return x + self.out(found.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:]))
