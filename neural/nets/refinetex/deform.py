"""Deformable convolution (Dai et al. 2017) whose output is as large as its offsets, whatever the size of its input; plain torch.

Offsets are pixels of the input, added to the OUTPUT's pixel grid: output (i, j), tap (ky, kx) reads row i - 1 + ky + dy, column j - 1 + kx + dx.
Channels of offsets: 2 k is dy and 2 k + 1 is dx of tap k = 3 ky + kx. Outside the input there are zeros.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TAPS = 9


def flow_to_offsets(flow: Tensor, height: int, width: int) -> Tensor:
    """flow (B, 2, Ho, Wo), x then y, -1 and 1 the outer edges of an input of height x width -> (B, 2, Ho, Wo): dy, then dx."""
    y = ((flow[:, 1] + 1) * height - 1) / 2 - torch.arange(flow.shape[2], device=flow.device, dtype=flow.dtype)[:, None]
    x = ((flow[:, 0] + 1) * width - 1) / 2 - torch.arange(flow.shape[3], device=flow.device, dtype=flow.dtype)
    return torch.stack([y, x], 1)


def taps_at(x: Tensor, offsets: Tensor) -> Tensor:
    """x (B, C, H, W), offsets (B, 18, Ho, Wo) -> (B, C, 9, Ho, Wo): bilinear samples, gradients to both."""
    height, width = x.shape[2:]
    rows, columns = offsets.shape[2:]
    tap = torch.arange(3, device=x.device, dtype=x.dtype) - 1
    base = lambda count: torch.arange(count, device=x.device, dtype=x.dtype)
    d = offsets.unflatten(1, (3, 3, 2))
    y = d[:, :, :, 0] + tap[:, None, None, None] + base(rows)[:, None]
    x_at = d[:, :, :, 1] + tap[:, None, None] + base(columns)
    grid = torch.stack([(2 * x_at + 1) / width - 1, (2 * y + 1) / height - 1], -1).view(len(x), TAPS * rows, columns, 2)
    out = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return out.view(len(x), x.shape[1], TAPS, rows, columns)


def deform_conv(x: Tensor, offsets: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (B, C, H, W), offsets (B, 18, Ho, Wo), weight (O, C, 3, 3) -> (B, O, Ho, Wo). Samples are taken in the precision of the offsets
    (a coordinate in half precision is wrong by pixels), and summed in that of the weight."""
    seen = taps_at(x.to(offsets.dtype), offsets).flatten(1, 2)
    return F.conv2d(seen.to(weight.dtype), weight.flatten(1)[:, :, None, None], bias)


class DeformConv(nn.Conv2d):
    """3x3 deformable convolution; parameters as nn.Conv2d's."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor, offsets: Tensor) -> Tensor:
        return deform_conv(x, offsets, self.weight, self.bias)


def offset_conv(inputs: int) -> nn.Conv2d:
    """Makes the 18 channels; all zero at first, so that training starts with the usual 3x3 neighbourhood."""
    conv = nn.Conv2d(inputs, 2 * TAPS, 3, padding=1)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv
