"""A sample as a mirror shows it: left and right of the picture, of the camera, of the normals and of the person change places."""

from __future__ import annotations

import torch
from torch import Tensor

from neural.contract.joints import LANDMARKS, SMPL_JOINTS, mirrored

_PICTURES = ("image", "visible", "mask_seen", "depth_front", "depth_back", "body_depth_front", "body_depth_back")
_NORMALS = ("normal_front", "normal_back", "body_normal_front", "body_normal_back")
_PARTS = ("body_part_front", "body_part_back")
_LANDMARKS = torch.tensor(mirrored(LANDMARKS))
_JOINTS = torch.tensor(mirrored(SMPL_JOINTS))
_PART = torch.cat([torch.zeros(1, dtype=torch.long), 1 + _JOINTS]).to(torch.uint8)
"""Parts of body maps are joint + 1; 0 = nothing."""

_SAME = ("metres", "assumed_focal")


def mirror(sample: dict[str, Tensor], which: Tensor) -> dict[str, Tensor]:
    """Fields of data.FIELDS; which (B,) bool: the rows that are mirrored. KeyError for a field that it does not know."""
    side = sample["image"].shape[-1]
    return {name: torch.where(which.view(-1, *[1] * (value.dim() - 1)), _mirrored(name, value, side), value) for name, value in sample.items()}


def _mirrored(name: str, value: Tensor, side: int) -> Tensor:
    if name in _PICTURES:
        return value.flip(-1)
    if name in _NORMALS:
        return value.flip(-1) * value.new_tensor([-1.0, 1.0, 1.0]).view(3, 1, 1)
    if name in _PARTS:
        return _PART.to(value.device)[value.flip(-1).long()]
    if name in ("joints", "body_joints"):
        return value[:, _JOINTS.to(value.device)] * value.new_tensor([-1.0, 1.0, 1.0])
    if name == "landmarks_seen":
        out = value[:, _LANDMARKS.to(value.device)].clone()
        out[..., 0] = side - out[..., 0]
        return out
    if name == "landmarks_trust":
        return value[:, _LANDMARKS.to(value.device)]
    if name == "centre":
        return torch.stack([side - value[:, 0], value[:, 1]], 1)
    if name == "border":
        x0, y0, x1, y1 = value.unbind(1)
        return torch.stack([side - x1, y0, side - x0, y1], 1)
    if name in _SAME:
        return value
    raise KeyError(name)
