"""Fingers of the default body: 15 joints a hand below the 24, in a file of their own (hands.npz). SMPL-X's names, our own numbers.

A finger joint at rest has the identity frame and hangs on left_hand or right_hand. Its weights split what the body gives to the hand
joint, so that with straight (identity) fingers the posed body is the 24-joint body to the last digit that counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..contract.errors import BodyError
from ..contract.joints import FINGER_JOINTS, FINGER_PARENTS, JOINT
from .rotations import matrix_from_axis_angle

DEFAULT_PATH = Path(__file__).with_name("hands.npz")
HANDS = (JOINT["left_hand"], JOINT["right_hand"])
MIRROR = np.array([1.0, -1.0, -1.0])
"""Axis-angle of a left joint times this is the same turn of its right partner."""


@dataclass(frozen=True)
class HandModel:
    """30 finger joints (FINGER_JOINTS, left hand first) of a body with V vertices. Metres; frame `body` (T-pose, palms down).

    joint_mean (30, 3), joint_directions (30, 3, B) float64.     weights (V, 30) float64; summed over a hand: the hand joint's weight.
    hinges  (30, 3, 3) float64, unit rows: flexion (positive bends into the palm), spreading, along the bone.
    point_index (42, 8) int64, point_weight (42, 8) float64: MediaPipe's 21 points of the left, then the right hand, from vertices.
    """

    joint_mean: np.ndarray
    joint_directions: np.ndarray
    weights: np.ndarray
    hinges: np.ndarray
    point_index: np.ndarray
    point_weight: np.ndarray

    @staticmethod
    def load(body_weights: np.ndarray, path: Path = DEFAULT_PATH) -> "HandModel":
        """The fingers that ship. body_weights (V, 24) of the body they belong to; BodyError when the files do not belong together."""
        try:
            with np.load(path, allow_pickle=False) as file:
                z = {k: file[k] for k in file.files}
            fits = tuple(z["joint_names"]) == FINGER_JOINTS and z["body_vertices"].item() == len(body_weights)
        except (OSError, ValueError, KeyError) as exc:
            raise BodyError("body.hands-unreadable", "The hands of the default body cannot be read.", "Install Likeness again.",
                            f"{type(exc).__name__}: {exc}") from exc
        if not fits:
            raise BodyError("body.hands-foreign", "The hands of the default body belong to another body.", "Install Likeness again.")
        weights = np.zeros(body_weights.shape[:1] + (30,))
        share = z["share"].astype(np.float64)
        rows = z["vertex"].astype(np.int64)
        np.add.at(weights, (rows[:, None], z["share_joint"].astype(np.int64)), share / share.sum(1, keepdims=True))
        side = np.arange(30) // 15
        weights *= np.asarray(body_weights, np.float64)[:, HANDS][:, side]
        wide = lambda name: z[name].astype(np.float64)                   # noqa: E731
        return HandModel(wide("J_mean"), wide("J_dirs"), weights, wide("hinges"), z["point_index"].astype(np.int64), wide("point_weight"))

    def shaped(self, betas: np.ndarray | None = None, scale: float = 1.0) -> np.ndarray:
        """(30, 3) float64 finger joints at rest of a shape."""
        if betas is None or not len(betas):
            return scale * self.joint_mean
        b = np.asarray(betas, np.float64)
        return scale * (self.joint_mean + self.joint_directions[..., :len(b)] @ b)

    def points(self, vertices: np.ndarray) -> np.ndarray:
        """(V, 3) -> (2, 21, 3): the hand points of the left and the right hand."""
        return np.einsum("lk,lkd->ld", self.point_weight, vertices[self.point_index]).reshape(2, 21, 3)


def bends(pose: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(30, 3) axis-angle and (30, 3) rest joints -> (30, 4, 4) float64: what the fingers do to a body whose 24 joints rest."""
    turn = matrix_from_axis_angle(pose)
    out = np.tile(np.eye(4), (30, 1, 1))
    out[:, :3, :3] = turn
    out[:, :3, 3] = joints - np.einsum("jab,jb->ja", turn, joints)
    for j, parent in enumerate(FINGER_PARENTS):
        if parent >= 24:
            out[j] = out[parent - 24] @ out[j]
    return out


def bent(rest: np.ndarray, weights: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Rest vertices (V, 3) with straight fingers, weights (V, 30), `bends` -> (V, 3) float64, still resting, fingers bent."""
    rest = np.asarray(rest, np.float64)
    out = rest.copy()
    rows = np.nonzero(weights.any(1))[0]
    w = np.asarray(weights, np.float64)[rows]
    blend = (w @ (moves - np.eye(4)).reshape(30, 16)).reshape(-1, 4, 4)   # the rest of the weight stays where it is
    out[rows] += np.einsum("vab,vb->va", blend[:, :3, :3], rest[rows]) + blend[:, :3, 3]
    return out


def with_fingers(transforms: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """(24, 4, 4) of the body and (30, 4, 4) `bends` -> (54, 4, 4) joint transforms of the body with fingers."""
    return np.concatenate([transforms, transforms[list(HANDS)].repeat(15, 0) @ moves])


def split_weights(body_weights: np.ndarray, finger_weights: np.ndarray) -> np.ndarray:
    """(V, 24), (V, 30) -> (V, 54): the hand joints' weight goes to the fingers."""
    out = np.concatenate([np.asarray(body_weights, np.float64), np.asarray(finger_weights, np.float64)], 1)
    for k, hand in enumerate(HANDS):
        out[:, hand] = np.maximum(out[:, hand] - out[:, 24 + 15 * k:39 + 15 * k].sum(1), 0)
    return out
