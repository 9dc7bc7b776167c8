"""Named poses, (24, 3) float64 axis-angle (radians) on SMPL's T-pose."""

from __future__ import annotations

import numpy as np

from ..contract.joints import JOINT

T_POSE = np.zeros((24, 3))
"""Arms along +-X."""

A_POSE = np.zeros((24, 3))
"""Arms 45 degrees down, in the plane of the body."""
A_POSE[JOINT["left_shoulder"], 2] = -np.pi / 4
A_POSE[JOINT["right_shoulder"], 2] = np.pi / 4

RELAXED = np.zeros((24, 3))
"""A person standing at ease: arms hang, elbows slightly bent, feet a little turned out. The centre of the pose prior."""
for _side, _s in (("left", 1.0), ("right", -1.0)):
    RELAXED[JOINT[f"{_side}_shoulder"]] = (0.0, -0.10 * _s, -1.20 * _s)
    RELAXED[JOINT[f"{_side}_elbow"]] = (0.0, -0.30 * _s, 0.0)
    RELAXED[JOINT[f"{_side}_hip"]] = (0.0, 0.06 * _s, 0.04 * _s)
    RELAXED[JOINT[f"{_side}_knee"]] = (0.04, 0.0, 0.0)
for _pose in (T_POSE, A_POSE, RELAXED):
    _pose.setflags(write=False)
