"""What human joints do: resting values, spreads and limits of every joint, for the fit. Degrees here, radians outside.

Signs on the T-pose (SMPL axes): knee +x bends back; left elbow -y and right elbow +y bend forward; hip -x lifts the thigh forward;
left hip +z and right hip -z spread the legs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..contract.joints import JOINT
from . import poses
from .torch_skinning import twist

_FREE = (-180.0, 180.0)

# joint: three rows (x, y, z) of (spread, low, high); the mean is poses.RELAXED. Spread None = no pull (limits only).
_MIDDLE = {
    "spine1": ((7, -20, 30), (5, -20, 20), (5, -20, 20)),
    "spine2": ((6, -15, 25), (5, -20, 20), (5, -15, 15)),
    "spine3": ((6, -15, 20), (5, -20, 20), (5, -15, 15)),
    "neck": ((9, -30, 30), (12, -40, 40), (7, -25, 25)),
    "head": ((9, -30, 30), (14, -45, 45), (7, -25, 25)),
}
_LEFT = {
    "collar": ((4, -12, 12), (6, -20, 20), (6, -10, 30)),
    "shoulder": ((60, *_FREE), (45, *_FREE), (45, *_FREE)),
    "elbow": ((30, -80, 80), (45, -150, 0), (2, -4, 4)),
    "wrist": ((14, -40, 40), (15, -30, 30), (28, -75, 70)),
    "hand": ((1, -1, 1), (1, -1, 1), (1, -1, 1)),
    "hip": ((35, -125, 25), (14, -45, 45), (14, -20, 55)),
    "knee": ((40, -1, 150), (3, -8, 8), (1.5, -3, 3)),
    "ankle": ((11, -45, 35), (6, -20, 20), (5, -15, 15)),
    "foot": ((4, -35, 10), (1, -2, 2), (1, -2, 2)),
}
_TWIST = {"shoulder": (0, 35, -85, 75), "hip": (1, 12, -40, 40)}   # axis, spread, low, high about the bone itself (left side)


@dataclass(frozen=True)
class PosePrior:
    """mean, spread, low, high: (24, 3) float64 tensors, radians. twists: rows (joint, axis, mean, spread, low, high)."""

    mean: torch.Tensor
    spread: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor
    twists: tuple[tuple[int, int, float, float, float, float], ...]

    def energy(self, pose: torch.Tensor, trust: float = 1.0) -> torch.Tensor:
        """(24, 3) axis-angle -> scalar. trust: weight of the pull, not of the limits. Row 0 is free. Pull to the mean with a robust tail (a bent back costs less than
        quadratically), and a stiff wall at the limits."""
        pull = ((pose - self.mean) / self.spread)[1:] ** 2
        energy = (2 * (torch.sqrt(1 + pull) - 1)).sum() * 0.5 * trust
        wall = (torch.relu(pose - self.high) + torch.relu(self.low - pose))[1:] / _WALL
        energy = energy + (wall ** 2).sum()
        for joint, axis, mean, spread, low, high in self.twists:
            t = twist(pose[joint:joint + 1], axis)[0]
            energy = energy + 0.5 * trust * ((t - mean) / spread) ** 2
            energy = energy + ((torch.relu(t - high) + torch.relu(low - t)) / _WALL) ** 2
        return energy

    def violation(self, pose: np.ndarray) -> float:
        """Largest excess over a limit, radians (joints 1-23)."""
        low, high = self.low.numpy(), self.high.numpy()
        return float(np.maximum(np.maximum(pose - high, low - pose)[1:], 0).max())


_WALL = np.radians(1.5)


def _right(rows):
    """Mirror a left joint's rows: y and z change sign."""
    (sx, lx, hx), (sy, ly, hy), (sz, lz, hz) = rows
    return (sx, lx, hx), (sy, -hy, -ly), (sz, -hz, -lz)


def pose_prior(standing: tuple[bool, bool] = (False, False), hanging: tuple[bool, bool] = (False, False)) -> PosePrior:
    """The prior. `standing` (left, right): that leg is known to be straight and under the body, and held so; `hanging`: that arm is
    not seen, so nothing but the prior says where it is."""
    mean = poses.RELAXED.copy()
    rows = {0: ((180, *_FREE),) * 3}
    rows.update({JOINT[name]: value for name, value in _MIDDLE.items()})
    twists = []
    for side, upright, unseen in zip(("left", "right"), standing, hanging):
        s = 1.0 if side == "left" else -1.0
        for part, value in _LEFT.items():
            joint = JOINT[f"{side}_{part}"]
            if unseen and part in ("shoulder", "elbow"):
                value = tuple((min(spread, 8), low, high) for spread, low, high in value)
            if upright and part == "hip":
                value = ((7, -60, 25), (9, -45, 45), (8, -20, 55))
            if upright and part == "knee":
                value = ((4, -1, 150), (2, -8, 8), (1.5, -3, 3))
            if upright and part == "ankle":
                value = ((5, -45, 35), (5, -20, 20), (4, -15, 15))
            rows[joint] = value if s > 0 else _right(value)
        for part, (axis, spread, low, high) in _TWIST.items():
            sign = 1.0 if axis == 0 else s
            centre = float(mean[JOINT[f"{side}_{part}"], axis]) if part == "hip" else 0.0
            ends = sorted((sign * low, sign * high))
            twists.append((JOINT[f"{side}_{part}"], axis, centre, *(float(np.radians(v)) for v in (spread, *ends))))
    table = np.radians(np.array([rows[j] for j in range(24)], np.float64))
    t = lambda x: torch.as_tensor(np.ascontiguousarray(x))
    return PosePrior(t(mean), t(table[..., 0]), t(table[..., 1]), t(table[..., 2]), tuple(twists))
