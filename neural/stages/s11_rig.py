"""s11: skin weights, rest pose, photo pose and A-pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..context import Context
from .s03_body import Body
from .s09_surface import Surface

NAME = "s11_rig"


@dataclass(frozen=True)
class Rig:
    """J joints (24 SMPL). Metres. R = frame `body` (T-pose).

    joint_names    J names;   parents (J,) int32.
    rest_joints    (J, 3) float64, R.
    weight_joints  (V, K) int32, weight_values (V, K) float32 (K <= 6, rows sum to 1, 0-padded).
    rest_vertices  (V, 3) float64, R: the surface unposed by the exact inverse of its blended transforms.
    camera_from_rest  (J, 4, 4) float64: photo pose; sum_j w_j T_j rest gives the surface back to 0.5 mm.
    pose_photo     (J, 3) float64 axis-angle relative to the parent; joint 0 is camera_from_body's rotation.
    pose_a         (J, 3) float64 axis-angle of the A-pose (joint 0: identity).
    """

    joint_names: tuple[str, ...]
    parents: np.ndarray
    rest_joints: np.ndarray
    weight_joints: np.ndarray
    weight_values: np.ndarray
    rest_vertices: np.ndarray
    camera_from_rest: np.ndarray
    pose_photo: np.ndarray
    pose_a: np.ndarray
    method: str = "body-transfer+inpaint"
