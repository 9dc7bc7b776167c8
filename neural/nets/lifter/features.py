"""What the lifter is told: landmarks without place, size and viewing direction, so that few examples teach much.

The frame is `virtual`: the camera turned (no roll) so that it looks straight at the person's middle. There, the same body in the same
attitude looks the same wherever it stands in the photo.
"""

from __future__ import annotations

import numpy as np
import torch

from ...contract.joints import LANDMARK

CHAIN = tuple((LANDMARK[f"{s}_{a}"], LANDMARK[f"{s}_{b}"]) for s in ("left", "right") for a, b in
              (("shoulder", "elbow"), ("elbow", "wrist"), ("shoulder", "hip"), ("hip", "knee"), ("knee", "ankle")))
"""Bones whose added length is the unit of size."""
SIZE = 33 * 2 + 33 * 3 + 33 + 2
_HIPS = [LANDMARK["left_hip"], LANDMARK["right_hip"]]


def view_direction(rays: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """(33, 3) rays with z = 1 and trust (33,) -> (3,) unit ray to the person's middle: the hips, or what is seen when they are not."""
    if min(trust[_HIPS]) > 0.3:
        middle = rays[_HIPS].mean(0)
    else:
        middle = np.average(rays, axis=0, weights=trust + 1e-6)
    return middle / np.linalg.norm(middle)


def virtual_from_camera(direction: np.ndarray) -> np.ndarray:
    """(3, 3) rotation that takes `direction` to +z, first by yaw about the camera's y axis, then by pitch: it adds no roll."""
    x, y, z = direction / np.linalg.norm(direction)
    a, b = np.arctan2(x, z), np.arcsin(np.clip(y, -1, 1))
    yaw = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    pitch = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return pitch @ yaw


def features(flat: torch.Tensor, world: torch.Tensor, trust: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """-> (B, SIZE) float32.

    flat   (B, 33, 2) landmarks on the plane z = 1 of the virtual camera.     world (B, 33, 3) s02's 3D landmarks, virtual axes.
    trust  (B, 33) in [0, 1]; what is 0 is not looked at.                     down  (B,) sine of the angle by which the person's middle
    lies below the real camera's axis.
    """
    a, b = ([pair[k] for pair in CHAIN] for k in (0, 1))
    unit = (world[:, a] - world[:, b]).norm(dim=-1).sum(1).clamp(min=1e-3)
    world = world * (4.0 / unit)[:, None, None]
    world = world - 0.5 * (world[:, _HIPS[:1]] + world[:, _HIPS[1:]])
    w = (trust + 1e-4)[..., None]
    w = w / w.sum(1, keepdim=True)
    p, q = flat - (w * flat).sum(1, keepdim=True), world[..., :2] - (w * world[..., :2]).sum(1, keepdim=True)
    size = ((w * p * p).sum((1, 2)) / (w * q * q).sum((1, 2)).clamp(min=1e-6)).sqrt().clamp(min=1e-4)   # of the 3D points' unit on the plane
    placed = p / size[:, None, None] + (w * world[..., :2]).sum(1, keepdim=True)
    known = (trust / 0.1).clamp(max=1.0)[..., None]
    return torch.cat([(placed * known).flatten(1), (world * known).flatten(1), trust, size.log()[:, None] + 2.0, down[:, None] * 3], 1)
