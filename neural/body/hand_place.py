"""Both hands of a fitted body: fingers and wrists from the hand points where they are seen, at ease where not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contract.frames import Camera
from ..contract.joints import JOINT
from . import hand_pose
from .hand_fit import FittedHand, HandConfig, fit_hand, wrist_angles
from .hands import MIRROR
from .model import BodyModel
from .rotations import axis_angle_from_matrix, matrix_from_axis_angle

FLIP = np.diag([-1.0, 1.0, 1.0])
MISSED = 0.10        # mean distance of the fitted points, of the hand's length: above, they are no hand of this body
SIZES = (0.64, 1.5)  # of the body's own hand; outside, the points are on something else
FOREARM_SHARE = 0.5  # of the forearm's twist: the rest twists at the wrist


@dataclass(frozen=True)
class PlacedHands:
    """pose (24, 3) axis-angle with the wrists (and the forearms' twist) of seen hands made anew; fingers (30, 3) axis-angle; at_ease (30, 3): idem at ease;

    found  for left and right "points", "rejected" (points were there, but do not fit a hand on this arm) or "unseen";
    fitted what was found, or None.
    """

    pose: np.ndarray
    fingers: np.ndarray
    at_ease: np.ndarray
    found: tuple[str, str]
    fitted: tuple[FittedHand | None, FittedHand | None]


def place_hands(model: BodyModel, pose: np.ndarray, betas: np.ndarray, translation: np.ndarray, camera: Camera,
                points: tuple[np.ndarray | None, np.ndarray | None], config: HandConfig = HandConfig()) -> PlacedHands:
    """pose (24, 3), betas, translation (3,) metres at scale 1: the body's fit; points: (21, 3) pixels of `camera`, z in the same scale
    (smaller is nearer), of the left and the right hand, or None. The model must have hands."""
    rest, joints = model.shaped(betas)
    _, placed, transforms = model.posed(pose, betas, 1.0, translation)
    knuckles, own = model.hands.shaped(betas), model.hands.points(rest)
    pose, fingers, at_ease = np.array(pose, np.float64), np.zeros((30, 3)), np.zeros((30, 3))
    found, fitted = ["unseen", "unseen"], [None, None]
    for side, name in enumerate(("left", "right")):
        wrist, elbow = JOINT[f"{name}_wrist"], JOINT[f"{name}_elbow"]
        chain = hand_pose.Chain.of(model.hands, side, knuckles, own, joints[wrist])
        angles = hand_pose.RELAXED
        if points[side] is not None:
            sight = _sight(camera, points[side][0])
            mirror = FLIP if side else np.eye(3)
            seen = _to_metres(camera, sight, points[side], float(placed[wrist] @ sight[2])) @ mirror
            bare = _without_twist(matrix_from_axis_angle(pose[elbow]))
            upper = sight @ transforms[JOINT[f"{name}_shoulder"], :3, :3]
            forearm = mirror @ upper @ bare @ mirror
            hand = fit_hand(chain, seen, forearm, mirror @ sight @ transforms[wrist, :3, :3] @ mirror, config)
            fits = hand.error < MISSED and SIZES[0] < hand.size < SIZES[1]
            found[side] = "points" if fits else "rejected"
            if fits:
                fitted[side], angles = hand, hand.angles
                _set_wrist(pose, side, name, bare, forearm.T @ hand.turn)
        fingers[15 * side:15 * side + 15] = hand_pose.pose_of(chain, angles, side)
        at_ease[15 * side:15 * side + 15] = hand_pose.pose_of(chain, hand_pose.RELAXED, side)
    return PlacedHands(pose, fingers, at_ease, tuple(found), tuple(fitted))


def _set_wrist(pose: np.ndarray, side: int, name: str, bare: np.ndarray, relative: np.ndarray) -> None:
    """Writes elbow, wrist and hand into pose so that the hand turns by `relative` (left-handed) against the untwisted forearm `bare`."""
    twist = FOREARM_SHARE * wrist_angles(relative)[0]
    turn = matrix_from_axis_angle(np.array([twist, 0, 0]))                # about x: the same for a mirrored arm
    own = axis_angle_from_matrix(turn.T @ relative) * (MIRROR if side else 1.0)
    pose[JOINT[f"{name}_elbow"]] = axis_angle_from_matrix(bare @ turn)
    pose[JOINT[f"{name}_wrist"]] = own
    pose[JOINT[f"{name}_hand"]] = 0.0


def _without_twist(turn: np.ndarray) -> np.ndarray:
    """The smallest rotation that takes the bone (along x) where `turn` takes it."""
    ahead = turn[:, 0]
    axis = np.cross([1.0, 0, 0], ahead)
    sine = np.linalg.norm(axis)
    if sine < 1e-9:
        return np.eye(3) if ahead[0] > 0 else turn
    return matrix_from_axis_angle(axis / sine * np.arctan2(sine, ahead[0]))


def _sight(camera: Camera, pixel: np.ndarray) -> np.ndarray:
    """(3, 3) rotation from camera axes to a frame whose z is the line of sight through the pixel, x level in the picture."""
    z = np.array([(pixel[0] - camera.cx) / camera.fx, (pixel[1] - camera.cy) / camera.fy, 1.0])
    z /= np.linalg.norm(z)
    x = np.cross([0, 1.0, 0], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def _to_metres(camera: Camera, sight: np.ndarray, points: np.ndarray, away: float) -> np.ndarray:
    """(21, 3) pixels and relative depth -> metres in the frame of sight at the distance `away`, the wrist at the origin."""
    p = np.asarray(points, np.float64)
    rays = np.stack([(p[:, 0] - camera.cx) / camera.fx, (p[:, 1] - camera.cy) / camera.fy, np.ones(len(p))], 1) @ sight.T
    flat = away * rays[:, :2] / rays[:, 2:]
    depth = away * (p[:, 2] - p[0, 2]) / camera.fx
    return np.column_stack([flat - flat[0], depth])
