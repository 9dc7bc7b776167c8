"""Rotations as (..., 3, 3) tensors."""

from __future__ import annotations

import torch
from torch import Tensor


def unit(v: Tensor) -> Tensor:
    """(..., 3) -> the same direction of length 1; 0 stays 0."""
    return v / v.norm(dim=-1, keepdim=True).clamp(min=1e-9)


def about(axis: Tensor, angle: Tensor) -> Tensor:
    """Rotation by `angle` (...) radians about the unit `axis` (..., 3), right-handed."""
    c, s = torch.cos(angle)[..., None, None], torch.sin(angle)[..., None, None]
    eye = torch.eye(3, dtype=axis.dtype, device=axis.device)
    return c * eye + s * cross_matrix(axis) + (1 - c) * axis[..., :, None] * axis[..., None, :]


def vector_turn(v: Tensor) -> Tensor:
    """Rotation vectors (..., 3), radians -> (..., 3, 3)."""
    return about(unit(v), v.norm(dim=-1))


def cross_matrix(v: Tensor) -> Tensor:
    """(..., 3) -> (..., 3, 3): its product with x is v x x."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).view(*v.shape[:-1], 3, 3)


def between(a: Tensor, b: Tensor) -> Tensor:
    """The smallest rotation that turns unit a to unit b (..., 3); opposite directions give half a turn about some normal."""
    axis, cosine = torch.linalg.cross(a, b), (a * b).sum(-1, keepdim=True)
    k = cross_matrix(axis)
    eye = torch.eye(3, dtype=a.dtype, device=a.device)
    out = eye + k + k @ k / (1 + cosine).clamp(min=1e-6)[..., None]
    other = torch.where(a[..., :1].abs() < 0.9, a.new_tensor([1.0, 0, 0]), a.new_tensor([0, 1.0, 0]))
    normal = unit(torch.linalg.cross(a, other))
    return torch.where((cosine < -1 + 1e-5)[..., None], 2 * normal[..., :, None] * normal[..., None, :] - eye, out)


def twist(rotation: Tensor, axis: Tensor) -> Tensor:
    """(..., 3, 3), unit (..., 3) -> (...) radians: how far the rotation turns about `axis` (rotation = swing @ about(axis, twist))."""
    r = rotation
    w = 1 + r[..., 0, 0] + r[..., 1, 1] + r[..., 2, 2]
    v = torch.stack([r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]], -1)
    return 2 * torch.atan2((v * axis).sum(-1), w.clamp(min=1e-9))


def angle_between(a: Tensor, b: Tensor) -> Tensor:
    """(..., 3), (..., 3) -> (...) radians in [0, pi]."""
    return torch.atan2(torch.linalg.cross(a, b).norm(dim=-1), (a * b).sum(-1))


def nearest(matrix: Tensor) -> Tensor:
    """The rotation nearest to a (..., 3, 3) matrix."""
    u, _, v = torch.linalg.svd(matrix)
    sign = torch.det(u @ v)
    fix = torch.ones(*sign.shape, 3, dtype=matrix.dtype, device=matrix.device)
    fix[..., 2] = sign
    return (u * fix[..., None, :]) @ v
