"""World, camera and pixels of many people at once."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Cameras


def seen(cameras: Cameras, points: Tensor) -> Tensor:
    """(P, K, 3) world -> (P, K, 3) camera metres."""
    return torch.einsum("pij,pkj->pki", cameras.rotation, points) + cameras.shift[:, None]


def pixels(cameras: Cameras, points: Tensor) -> Tensor:
    """(P, K, 3) camera metres -> (P, K, 2) pixels of the cameras' canvas; z is kept above 1 mm."""
    z = points[..., 2:].clamp(min=1e-3)
    return points[..., :2] / z * cameras.focal[:, None, None] + cameras.centre[:, None]


def directions(cameras: Cameras, picture: Tensor, vectors: Tensor) -> Tensor:
    """(N,) which camera, (N, 3) world vectors -> (N, 3) camera axes."""
    return (cameras.rotation[picture] @ vectors[..., None])[..., 0]


def rays(cameras: Cameras) -> Tensor:
    """(P, 3, S, S) directions with z = 1 through all pixel centres, camera frame."""
    steps = torch.arange(cameras.size, device=cameras.focal.device, dtype=torch.float32) + 0.5
    x = (steps[None] - cameras.centre[:, :1]) / cameras.focal[:, None]
    y = (steps[None] - cameras.centre[:, 1:]) / cameras.focal[:, None]
    x = x[:, None, :].expand(-1, cameras.size, -1)
    y = y[:, :, None].expand(-1, -1, cameras.size)
    return torch.stack([x, y, torch.ones_like(x)], 1)


def world_points(cameras: Cameras, depth: Tensor) -> Tensor:
    """(P, S, S) z metres -> (P, 3, S, S) world points."""
    camera = rays(cameras) * depth[:, None] - cameras.shift[:, :, None, None]
    return torch.einsum("pji,pjhw->pihw", cameras.rotation, camera)
