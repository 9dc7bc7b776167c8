"""Forward kinematics and linear blend skinning in numpy (float64). `torch_skinning` does the same in torch, written apart.

SMPL's convention: at rest every joint frame is the identity; joint j turns about its own rest place, after its parents.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contract.joints import SMPL_PARENTS
from .rotations import matrix_from_axis_angle


def joint_transforms(pose: np.ndarray, joints: np.ndarray, parents: Sequence[int] = SMPL_PARENTS) -> np.ndarray:
    """Rest-to-posed rigid transforms of all joints, the 24 or as many as `parents` (parents first) has.

    pose (J, 3) axis-angle relative to the parent; joints (J, 3) metres at rest -> (J, 4, 4) float64 with
    posed point = T_j @ rest point for a point glued to joint j. No translation is added: joint 0 stays where it is.
    """
    rotation = matrix_from_axis_angle(pose)
    joints = np.asarray(joints, np.float64)
    out = np.zeros((len(joints), 4, 4))
    for j, parent in enumerate(parents):
        local = np.eye(4)
        local[:3, :3] = rotation[j]
        local[:3, 3] = joints[j] - rotation[j] @ joints[j]     # turn about the joint's rest place
        out[j] = local if parent < 0 else out[parent] @ local
    return out


def skin(vertices: np.ndarray, weights: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    """sum_j w_j T_j v: (V, 3), (V, 24), (24, 4, 4) -> (V, 3) float64."""
    blend = np.asarray(weights, np.float64) @ transforms.reshape(len(transforms), 16)
    blend = blend.reshape(-1, 4, 4)
    return np.einsum("vij,vj->vi", blend[:, :3, :3], np.asarray(vertices, np.float64)) + blend[:, :3, 3]


def unskin(vertices: np.ndarray, weights: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    """The exact inverse of `skin`: posed (V, 3) -> rest (V, 3) float64."""
    blend = (np.asarray(weights, np.float64) @ transforms.reshape(len(transforms), 16)).reshape(-1, 4, 4)
    return np.linalg.solve(blend[:, :3, :3], (vertices - blend[:, :3, 3])[..., None])[..., 0]
