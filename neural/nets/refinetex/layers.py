"""What Texformer is made of. Submodules are named as in the released checkpoint, so that its tensors load by name."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def unit(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """Convolution 3x3, batch norm, ReLU."""
    return [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class Convs(nn.Module):
    """Layers one after the other, (B, C, H, W) -> (B, C', H', W')."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


def single(inputs: int, outputs: int) -> Convs:
    return Convs(*unit(inputs, outputs))


def double(width: int, outputs: int | None = None) -> Convs:
    return Convs(*unit(width, outputs or width), *unit(outputs or width, outputs or width))


def down(width: int) -> Convs:
    """Half as large: the first convolution has stride 2."""
    return Convs(*unit(width, width, 2), *unit(width, width))


def up(width: int) -> Convs:
    """Twice as large: nearest, then two convolutions."""
    return Convs(nn.Upsample(scale_factor=2, mode="nearest"), *unit(width, width), *unit(width, width))


def positions(channels: int, height: int, width: int, like: Tensor) -> Tensor:
    """Sine code of the place (DETR; Carion et al. 2020): (channels, height, width), half of the channels for y, then half for x."""
    half = channels // 2
    rate = 10000.0 ** (torch.arange(half, device=like.device, dtype=like.dtype).div(2, rounding_mode="floor") * 2 / half)

    def line(count: int) -> Tensor:
        at = torch.arange(1, count + 1, device=like.device, dtype=like.dtype)
        angle = at / (count + 1e-6) * (2 * torch.pi) / rate[:, None]
        return torch.where((torch.arange(half, device=like.device) % 2 == 0)[:, None], angle.sin(), angle.cos())

    y, x = line(height), line(width)
    return torch.cat([y[:, :, None].expand(-1, -1, width), x[:, None, :].expand(-1, height, -1)])


def softmax_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q (B, heads, C, h, w), k and v (B, heads, C, h', w') -> (B, heads, C, h, w). Scores are divided by the root of the number of keys,
    as released (not of C)."""
    keys, values = k.flatten(3), v.flatten(3)
    score = torch.einsum("bncq,bnck->bnqk", q.flatten(3), keys) / keys.shape[3] ** 0.5
    return torch.einsum("bnqk,bnck->bncq", score.softmax(3), values).unflatten(3, q.shape[3:])


def linear_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """As softmax_attention, without the softmax: cost grows with the number of keys, not with keys times queries."""
    keys, values = k.flatten(3), v.flatten(3)
    table = torch.einsum("bnck,bndk->bncd", keys, values) / keys.shape[3]
    return torch.einsum("bncq,bncd->bndq", q.flatten(3), table).unflatten(3, q.shape[3:])


class Heads(nn.Module):
    """Attention of several heads with 1x1 projections without bias."""

    def __init__(self, width: int, heads: int, softmax: bool):
        super().__init__()
        self.heads, self.attention = heads, softmax_attention if softmax else linear_attention
        for name in ("w_qs", "w_ks", "w_vs", "fc"):
            self.add_module(name, nn.Conv2d(width, width, 1, bias=False))

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        split = lambda x: x.unflatten(1, (self.heads, -1))
        return self.fc(self.attention(split(self.w_qs(q)), split(self.w_ks(k)), split(self.w_vs(v))).flatten(1, 2))


class AttentionUnit(nn.Module):
    """Attention, two 1x1 convolutions beside it, batch norm. What q itself holds reaches the output only through the attention."""

    def __init__(self, width: int, heads: int, softmax: bool):
        super().__init__()
        self.attn = Heads(width, heads, softmax)
        self.linear1, self.linear2 = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q (B, C, h, w), k and v (B, C, h', w') -> (B, C, h, w)."""
        placed = lambda x: x + positions(x.shape[1], *x.shape[2:], x)
        x = self.attn(placed(q), placed(k), v)
        return self.norm(x + self.linear2(self.linear1(x).relu_()))
