"""Affine warps between square canvases, computed only where something lands.

Normalised coordinates: -1 and 1 are the outer edges of a canvas (align_corners=False); x right, y down. An affine map is (2, 3).
Samples are bilinear, with zeros outside.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Box = tuple[int, int, int, int]
"""top, bottom, left, right in pixels of a canvas; bottom and right are exclusive."""


def centre_box(side: int, height: int, width: int) -> Box:
    """The rectangle in the middle of a canvas."""
    top, left = (side - height) // 2, (side - width) // 2
    return top, top + height, left, left + width


def inverse(maps: Tensor) -> Tensor:
    """(..., 2, 3) affine maps -> their inverses. In their own precision: at 2048 pixels its last bit moves normals by 1e-5."""
    linear = torch.linalg.inv(maps[..., :2])
    return torch.cat([linear, -linear @ maps[..., 2:]], -1)


def grid_of(maps: Tensor, side: int, box: Box) -> Tensor:
    """Where the pixel centres of `box` of a canvas go: maps (B, 2, 3) -> (B, h, w, 2) normalised.

    The same arithmetic as `F.affine_grid` on the whole canvas, so that results agree to the last bits.
    """
    top, bottom, left, right = box
    line = torch.linspace(-1, 1, side, device=maps.device, dtype=maps.dtype) * ((side - 1) / side)
    y, x = torch.meshgrid(line[top:bottom], line[left:right], indexing="ij")
    base = torch.stack([x, y, torch.ones_like(x)], -1).view(1, -1, 3).expand(len(maps), -1, -1)
    return base.bmm(maps.transpose(1, 2)).view(len(maps), bottom - top, right - left, 2)


def on_patch(grid: Tensor, side: int, box: Box) -> Tensor:
    """Normalised coordinates of a canvas -> those of the patch that is its rectangle `box`."""
    top, bottom, left, right = box
    pixel = ((grid + 1) * side - 1) / 2
    shift = pixel.new_tensor([left, top])
    size = pixel.new_tensor([right - left, bottom - top])
    return (2 * (pixel - shift) + 1) / size - 1


def sample(picture: Tensor, grid: Tensor) -> Tensor:
    """(B, C, H, W) at normalised places (B, h, w, 2) -> (B, C, h, w)."""
    return F.grid_sample(picture, grid.to(picture.dtype), mode="bilinear", padding_mode="zeros", align_corners=False)


def coverage(grid: Tensor, side: int) -> Tensor:
    """(B, h, w, 2) -> (B, 1, h, w): what sampling a canvas of ones would give there; falls from 1 to 0 within a pixel of its edge."""
    pixel = ((grid + 1) * side - 1) / 2
    near = torch.minimum(pixel + 1, side - pixel).clamp(0, 1)
    return (near[..., 0] * near[..., 1])[:, None]


def landing_box(maps: Tensor, side: int, box: Box) -> Box:
    """Pixels of the canvas where a rectangle lands under ONE map (2, 3) on the CPU; one pixel of margin. May be empty."""
    top, bottom, left, right = (2 * v / side - 1 for v in box)
    corners = maps.new_tensor([[left, top, 1], [right, top, 1], [left, bottom, 1], [right, bottom, 1]])
    pixel = ((corners @ maps.T + 1) * side / 2).clamp(-4, side + 4)
    low, high = (pixel.amin(0).floor() - 1).long().tolist(), (pixel.amax(0).ceil() + 1).long().tolist()
    return max(low[1], 0), max(min(high[1], side), 0), max(low[0], 0), max(min(high[0], side), 0)


def overlap(a: Box, b: Box) -> Box:
    """What two boxes share; empty when bottom <= top or right <= left."""
    return max(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), min(a[3], b[3])


def part_of(picture: Tensor, box: Box) -> Tensor:
    """(..., H, W) -> the box of it, a view."""
    return picture[..., box[0]:box[1], box[2]:box[3]]


def enlarged(picture: Tensor, times: int, box: Box) -> Tensor:
    """`box` of the picture (B, C, h, w) enlarged `times` (bilinear, align_corners=False), without enlarging the rest of it."""
    height, width = picture.shape[-2:]
    around = (max(box[0] // times - 1, 0), min(-(-box[1] // times) + 1, height), max(box[2] // times - 1, 0), min(-(-box[3] // times) + 1, width))
    out = F.interpolate(part_of(picture, around), scale_factor=times, mode="bilinear", align_corners=False)
    return part_of(out, (box[0] - around[0] * times, box[1] - around[0] * times, box[2] - around[2] * times, box[3] - around[2] * times))


def gaussian(size: int, sigma: float, like: Tensor) -> Tensor:
    """(size,) weights of sum 1."""
    x = torch.linspace(-(size - 1) / 2, (size - 1) / 2, size, device=like.device, dtype=like.dtype)
    w = torch.exp(-0.5 * (x / sigma) ** 2)
    return w / w.sum()


def blurred(picture: Tensor, size: int, sigma: float) -> Tensor:
    """(B, 1, H, W) with a separable Gaussian of `size` taps; zeros outside."""
    w = gaussian(size, sigma, picture)
    out = F.conv2d(picture, w.view(1, 1, -1, 1), padding=(size // 2, 0))
    return F.conv2d(out, w.view(1, 1, 1, -1), padding=(0, size // 2))
