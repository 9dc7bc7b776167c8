"""A copy of a network for inference: norms folded into convolutions, upsampling convolutions without their fourfold work."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conv import Block, Head, Up, WeightConv


def folded(net: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The same function, faster: for inference only. Its parameters have other names; the original is not touched.

    dtype: of all convolutions but the heads.
    """
    net = copy.deepcopy(net).eval().requires_grad_(False)
    _fold(net)
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and not isinstance(module, Head):
            module.to(dtype)
    return net.to(memory_format=torch.channels_last)


def _fold(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential):
            setattr(module, name, nn.Sequential(*_merged(list(child))))
        elif isinstance(child, WeightConv):
            setattr(module, name, _plain(child))
        else:
            _fold(child)
            if isinstance(child, Block) and child.residual:
                setattr(module, name, Sum(child.conv))
    if isinstance(module, Up):
        _, conv, *rest = module.up
        module.up = nn.Sequential(UpConv(conv), *rest)


def _merged(layers: list[nn.Module]) -> list[nn.Module]:
    """Without identities, with every batch norm inside the convolution before it. Places in the list stay for `Block`: it slices."""
    out: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            _absorb(out[-1], layer)
            out.append(nn.Identity())
        elif isinstance(layer, WeightConv):
            out.append(_plain(layer))
        else:
            _fold(layer)
            out.append(layer)
    return out


def _plain(conv: WeightConv) -> nn.Conv2d:
    out = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, padding=conv.padding)
    out.weight = nn.Parameter(conv.plain_weight().detach(), requires_grad=False)
    out.bias = nn.Parameter(conv.bias.detach(), requires_grad=False)
    return out


def _absorb(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Batch norm with running statistics is a scale and a shift per channel; computed in float64."""
    scale = norm.weight.double() * torch.rsqrt(norm.running_var.double() + norm.eps)
    bias = (conv.bias.double() - norm.running_mean.double()) * scale + norm.bias.double()
    conv.weight.copy_(conv.weight.double() * scale[:, None, None, None])
    conv.bias.copy_(bias)


class Sum(nn.Module):
    """A residual block with the scale of its sum inside the weights: leaky ReLU lets a positive factor through."""

    def __init__(self, layers: nn.Sequential):
        super().__init__()
        first, second = (nn.Sequential(*(m for m in part if not isinstance(m, nn.Identity))) for part in (layers[:3], layers[3:]))
        first[0].weight.mul_(0.5**0.5), first[0].bias.mul_(0.5**0.5), second[0].bias.mul_(0.5**0.5)
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.second(x).add_(x)


class UpConv(nn.Module):
    """Nearest x2 and a 3x3 convolution as one 2x2 convolution at the low resolution: 4 of 9 multiplications.

    Each of the four pixels that come out of one sees only 2 x 2 different pixels, with the sums of the weights that fall on the same one.
    """

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        w = conv.weight.detach().double()
        rows = (torch.stack([w[:, :, 0] + w[:, :, 1], w[:, :, 2]], 2), torch.stack([w[:, :, 0], w[:, :, 1] + w[:, :, 2]], 2))
        phases = []
        for r in rows:                                           # the window's lower pixel's upper half first, as pixel_shuffle wants
            phases += [torch.stack([r[..., 0] + r[..., 1], r[..., 2]], 3), torch.stack([r[..., 0], r[..., 1] + r[..., 2]], 3)]
        weight = torch.stack(phases, 1).flatten(0, 1).to(conv.weight.dtype)
        self.conv = nn.Conv2d(conv.in_channels, 4 * conv.out_channels, 2, padding=1)
        self.conv.weight = nn.Parameter(weight, requires_grad=False)
        self.conv.bias = nn.Parameter(conv.bias.detach().repeat_interleave(4), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x), 2)[:, :, 1:-1, 1:-1].contiguous(memory_format=torch.channels_last)
