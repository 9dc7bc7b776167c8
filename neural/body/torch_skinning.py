"""Forward kinematics and skinning in torch, differentiable. Written apart from `skinning` (quaternion-free numpy matrices):
here joints are posed level by level and points are skinned from joint rotations and posed joints.
"""

from __future__ import annotations

import torch

from ..contract.joints import SMPL_PARENTS


def _levels() -> list[tuple[list[int], list[int]]]:
    depth = [0] * 24
    for j, p in enumerate(SMPL_PARENTS):
        depth[j] = 0 if p < 0 else depth[p] + 1
    return [([j for j in range(24) if depth[j] == d], [SMPL_PARENTS[j] for j in range(24) if depth[j] == d])
            for d in range(1, max(depth) + 1)]


_LEVELS = _levels()
_ORDER = [0] + [j for level, _ in _LEVELS for j in level]
_POSITION = [_ORDER.index(j) for j in range(24)]


def rotation_matrices(r: torch.Tensor) -> torch.Tensor:
    """(N, 3) axis-angle -> (N, 3, 3). Smooth at zero, where the gradient is exact too."""
    square = (r * r).sum(-1)
    small = square < 1e-8
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    a = torch.where(small, 1 - square / 6, torch.sin(angle) / angle)[:, None, None]
    b = torch.where(small, 0.5 - square / 24, (1 - torch.cos(angle)) / torch.where(small, torch.ones_like(square), square))
    zero = torch.zeros_like(square)
    x, y, z = r.unbind(-1)
    k = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).view(-1, 3, 3)
    outer = r[:, :, None] * r[:, None, :]
    eye = torch.eye(3, dtype=r.dtype, device=r.device)
    return eye + a * k + b[:, None, None] * (outer - square[:, None, None] * eye)


def forward_kinematics(rotations: torch.Tensor, joints: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Local rotations (24, 3, 3) and rest joints (24, 3) -> world rotations (24, 3, 3) and posed joints (24, 3).

    Joint 0 stays at its rest place.
    """
    world, place = [rotations[:1]], [joints[:1]]
    row = {0: (0, 0)}
    for depth, (level, parents) in enumerate(_LEVELS, start=1):
        above = [row[p][1] for p in parents]
        up_r, up_p = world[-1][above], place[-1][above]
        world.append(up_r @ rotations[level])
        place.append(up_p + (up_r @ (joints[level] - joints[parents])[..., None])[..., 0])
        row.update({j: (depth, i) for i, j in enumerate(level)})
    return torch.cat(world)[_POSITION], torch.cat(place)[_POSITION]


def skin(points: torch.Tensor, weights: torch.Tensor, rotations: torch.Tensor, rest_joints: torch.Tensor,
         joints: torch.Tensor) -> torch.Tensor:
    """Linear blend skinning: rest points (V, 3), weights (V, 24), world rotations, rest and posed joints -> (V, 3)."""
    shift = joints - (rotations @ rest_joints[..., None])[..., 0]
    blend = (weights @ rotations.reshape(24, 9)).view(-1, 3, 3)
    return (blend @ points[..., None])[..., 0] + weights @ shift


def twist(r: torch.Tensor, axis: int) -> torch.Tensor:
    """(N, 3) axis-angle -> (N,) twist angle about the joint's own axis 0, 1 or 2 (swing-twist), radians in (-2 pi, 2 pi)."""
    angle = torch.sqrt((r * r).sum(-1) + 1e-12)
    return 2 * torch.atan2(torch.sin(angle / 2) * r[:, axis] / angle, torch.cos(angle / 2))
