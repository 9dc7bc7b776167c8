"""A sample on a canvas of half the side, as if it had been drawn there: so that large samples serve small canvases too."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from neural.nets.two_k.ours import unit

_SOFT = ("image", "visible", "mask_seen")
_DEPTHS = ("depth_front", "depth_back", "body_depth_front", "body_depth_back")
_NORMALS = ("normal_front", "normal_back", "body_normal_front", "body_normal_back")
_PARTS = ("body_part_front", "body_part_back")
_PIXELS = ("centre", "border", "landmarks_seen", "assumed_focal")
_SAME = ("metres", "joints", "body_joints", "landmarks_trust")

SAME_SURFACE_M = 0.05
"""Depths of a block's four pixels that lie nearer together than this are of one surface."""


def halved(sample: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fields of data.FIELDS, S x S with S even -> S / 2 x S / 2. A pixel is the person's where two of its four are. KeyError for others."""
    return {name: _halved(name, value) for name, value in sample.items()}


def _halved(name: str, value: Tensor) -> Tensor:
    if name in _SOFT:
        return F.avg_pool2d(value if value.dim() == 4 else value[:, None], 2).view(*value.shape[:-2], value.shape[-2] // 2, value.shape[-1] // 2)
    if name in _DEPTHS:
        return _depth(value, nearest=name.endswith("front"))
    if name in _NORMALS:
        total = 4 * F.avg_pool2d(value, 2)
        covered = 4 * F.avg_pool2d((value.square().sum(1, keepdim=True) > 0.25).to(value.dtype), 2)
        return unit(total) * (covered > 1.5)
    if name in _PARTS:
        return _four(value).amax(1) * (_four(value).gt(0).sum(1) > 1)
    if name in _PIXELS:
        return value / 2
    if name in _SAME:
        return value
    raise KeyError(name)


def _four(value: Tensor) -> Tensor:
    """(B, S, S) -> (B, 4, S / 2, S / 2)."""
    return torch.stack([value[:, j::2, k::2] for j in (0, 1) for k in (0, 1)], 1)


def _depth(value: Tensor, nearest: bool) -> Tensor:
    """Mean of the surface that is nearest (or farthest) in each block: nothing floats between an arm and the chest. 0 = nothing."""
    four = _four(value)
    there = four > 0
    far = torch.where(there, four, torch.inf if nearest else -torch.inf)
    edge = far.amin(1, keepdim=True) if nearest else far.amax(1, keepdim=True)
    same = there & ((four - edge).abs() < SAME_SURFACE_M)
    mean = (four * same).sum(1) / same.sum(1).clamp(min=1)
    return torch.where(there.sum(1) > 1, mean, 0)
