"""2K2K's forward written straight down, module by module on whole canvases: what the fast one is measured against, and checked with.

Nothing is folded, cut or skipped; tensors keep PyTorch's own layout; every part is warped on the full canvas, as the description says.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from neural.nets.two_k.net import Inputs, TwoK, clipped
from neural.nets.two_k.parts import GROUPS, OF_GROUP


def forward(net: TwoK, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Merged normals (B, 6, S, S) and raw depth (B, 3, S, S) of a PAPER network in eval mode; B people, all parts present."""
    side = inputs.image.shape[-1]
    config = net.config.at(side)
    low = F.interpolate(inputs.image, (config.coarse, config.coarse), mode="bilinear", align_corners=False)
    low_normals = net.img2normal_down(low)
    raw = net.ImgNorm_to_Dep(low, low_normals)
    large = F.interpolate(low_normals[:, :3], (side, side), mode="bilinear", align_corners=False)
    whole = torch.cat([inputs.image, large], 1)

    normals, weights = [None] * 12, [None] * 12
    for group in GROUPS:
        height, width = config.patch(OF_GROUP[group][0])
        top, left = (side - height) // 2, (side - width) // 2
        canonical = []
        for part in OF_GROUP[group]:
            grid = F.affine_grid(inputs.part_to_image[:, part], list(whole.shape), align_corners=False)
            canonical.append(F.grid_sample(whole, grid, align_corners=False)[:, :, top:top + height, left:left + width])
            ones = F.grid_sample(torch.ones_like(whole[:, :1]), grid, align_corners=False)
            weights[part] = _returned(_smoothed(ones, height, width, config), inputs.part_to_image[:, part])
        out = getattr(net, f"img2normal_{group}")(torch.cat(canonical))
        for part, patch in zip(OF_GROUP[group], out.chunk(len(canonical))):
            on_canvas = F.pad(patch, (left, side - width - left, top, side - height - top))
            normals[part] = _returned(on_canvas, inputs.part_to_image[:, part])
    total = sum(weights)
    total = torch.where(total == 0, 1, total)
    merged = sum(n * (w / total) for n, w in zip(normals, weights))
    return merged, net.refine(clipped(raw), merged)


def _smoothed(cover: Tensor, height: int, width: int, config) -> Tensor:
    side, (taps, sigma) = cover.shape[-1], config.blur
    height, width = height - config.shrink, width - config.shrink
    top, left = (side - height) // 2, (side - width) // 2
    inner = torch.zeros_like(cover)
    inner[..., top:top + height, left:left + width] = cover[..., top:top + height, left:left + width]
    x = torch.arange(taps) - taps // 2
    w = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = (w[:, None] * w[None]) / w.sum() ** 2
    return F.conv2d(F.pad(inner, (taps // 2,) * 4, mode="reflect"), kernel[None, None].to(cover))


def _returned(canonical: Tensor, part_to_image: Tensor) -> Tensor:
    linear = torch.linalg.inv(part_to_image[..., :2])
    back = torch.cat([linear, -linear @ part_to_image[..., 2:]], -1)
    return F.grid_sample(canonical, F.affine_grid(back, list(canonical.shape), align_corners=False), align_corners=False)
