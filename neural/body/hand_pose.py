"""How fingers bend: hinges, ranges, a resting hand; and the chain of one hand with its derivatives. Degrees in the tables, radians outside.

A finger has five angles: spreading, twist and flexion at its root, flexion at its two further joints. Everything is done for a left hand;
the right one is its mirror image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contract.joints import FINGERS
from .hands import MIRROR, HandModel
from .rotations import axis_angle_from_matrix, matrix_from_axis_angle

ANGLES = ("spread", "twist", "root", "middle", "end")
_LONG = ((0, 7, -20, 20), (0, 1, -2, 2), (15, 35, -25, 92), (22, 38, -4, 108), (12, 25, -6, 80))
_THUMB = ((0, 14, -32, 32), (0, 9, -25, 25), (4, 14, -25, 35), (6, 18, -15, 60), (8, 25, -20, 85))
RANGES = np.radians(np.array([_THUMB if finger == "thumb" else _LONG for finger in FINGERS], np.float64))
"""(5, 5, 4) finger, angle, (mean, spread, low, high): active ranges of motion of a hand, from anatomy books' usual figures, rounded."""

RELAXED = np.radians(np.array([
    (4, 0, 14, 20, 10), (0, 0, 20, 26, 13), (-9, 0, 27, 28, 14), (-5, 0, 24, 28, 14), (4, 0, 6, 8, 10)], np.float64))
"""(5, 5) a hand that hangs and does nothing: fingers curl a little, more so towards the small one, and close up."""


@dataclass(frozen=True)
class Chain:
    """One hand as a left hand, metres, frame `body`, wrist at the origin: joints (5, 3, 3), tips (5, 3), hinges (5, 3, 3, 3)."""

    joints: np.ndarray
    tips: np.ndarray
    hinges: np.ndarray

    @staticmethod
    def of(model: HandModel, side: int, joints: np.ndarray, points: np.ndarray, wrist: np.ndarray) -> "Chain":
        """side 0 left, 1 right; joints (30, 3), points (2, 21, 3) (HandModel.points at rest), wrist (3,), all at rest."""
        flip = np.array([-1.0 if side else 1.0, 1, 1])
        tips = points[side][[8, 12, 20, 16, 4]]                          # in the order of FINGERS
        axes = model.hinges[15 * side:15 * side + 15].reshape(5, 3, 3, 3) * flip
        axes[:, :, 0] *= -1.0 if side else 1.0                           # a cross product, which mirrors the other way
        return Chain((joints[15 * side:15 * side + 15].reshape(5, 3, 3) - wrist) * flip, (tips - wrist) * flip, axes)

    def bend(self, angles: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(5, 5) angles -> points (5, 4, 3) of joints and tip; derivatives (5, 4, 5, 3) by the finger's own angles;
        local rotations (5, 3, 3, 3) of its three joints."""
        turn = np.tile(np.eye(3), (5, 1, 1))
        at = self.joints[:, 0].copy()
        points, axis, origin, local = [at], [], [], []
        for level in range(3):
            own = np.tile(np.eye(3), (5, 1, 1))
            for column, hinge in ((0, 1), (1, 2), (2, 0)) if level == 0 else ((2 + level, 0),):
                about = self.hinges[:, level, hinge]
                axis.append(np.einsum("fab,fb->fa", turn, about))
                origin.append(at)
                step = matrix_from_axis_angle(about * angles[:, column, None])
                own, turn = own @ step, turn @ step
            local.append(own)
            ahead = (self.joints[:, level + 1] if level < 2 else self.tips) - self.joints[:, level]
            at = at + np.einsum("fab,fb->fa", turn, ahead)
            points.append(at)
        points, axis, origin = np.stack(points, 1), np.stack(axis, 1), np.stack(origin, 1)
        slope = np.cross(axis[:, None], points[:, :, None] - origin[:, None])
        first = np.array([1, 1, 1, 2, 3])                                # the first point that an angle moves
        slope *= (np.arange(4)[:, None] >= first)[None, :, :, None]
        return points, slope, np.stack(local, 1)


def pose_of(chain: Chain, angles: np.ndarray, side: int) -> np.ndarray:
    """(5, 5) angles -> (15, 3) axis-angle of the finger joints of that side."""
    pose = axis_angle_from_matrix(chain.bend(angles)[2]).reshape(15, 3)
    return pose * MIRROR if side else pose


def in_order(points: np.ndarray) -> np.ndarray:
    """(5, 4, ...) finger by finger as FINGERS -> (21, ...) as MediaPipe has them, the wrist (zeros) first."""
    wrist = np.zeros((1,) + points.shape[2:])
    return np.concatenate([wrist, *(points[FINGERS.index(f)] for f in ("thumb", "index", "middle", "ring", "pinky"))])
