"""A first pose straight from the landmarks: every limb is turned into the direction of its 3D landmarks, hinges as hinges."""

from __future__ import annotations

import numpy as np

from ..contract.joints import JOINT, SMPL_PARENTS
from . import poses
from .evidence import Evidence
from .model import BodyModel
from .rotations import axis_angle_from_matrix, frame, matrix_from_axis_angle

UP = np.array([0.0, -1.0, 0.0])
"""Up in camera axes for a level camera."""


LIFTED = ("pelvis", "spine1", "spine2", "spine3", "neck", "head", "left_collar", "right_collar", "left_ankle", "right_ankle")
"""Joints that start as the lifter turns them; limbs follow its bones, hinges as hinges."""


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))


def first_pose(e: Evidence) -> np.ndarray:
    """(24, 3) axis-angle. Limbs that are not seen hang or stand as in poses.RELAXED."""
    world: dict[int, np.ndarray] = {}
    across = e.direction("right_hip", "left_hip") + e.direction("right_shoulder", "left_shoulder")
    up = _trunk_up(e)
    root = frame(x=None, y=up, z=np.cross(across, up))          # left = +X, up = +Y -> front = +Z
    local = matrix_from_axis_angle(poses.RELAXED)
    local[0] = root
    if e.attitude is not None:
        for name in LIFTED:
            local[JOINT[name]] = e.attitude.local[JOINT[name]]
    for j in range(24):
        world[j] = local[j] if j == 0 else world[SMPL_PARENTS[j]] @ local[j]
        target = _limb(e, j, world[SMPL_PARENTS[j]] if j else root)
        if target is not None:
            world[j] = target
    pose = np.stack([world[j] if j == 0 else world[SMPL_PARENTS[j]].T @ world[j] for j in range(24)])
    return axis_angle_from_matrix(pose)


def _trunk_up(e: Evidence) -> np.ndarray:
    """Trunk axis; its lean in depth is the weakest part of the landmarks, so a small one is taken away."""
    shoulders = 0.5 * (e.at("left_shoulder") + e.at("right_shoulder"))
    hips = 0.5 * (e.at("left_hip") + e.at("right_hip"))
    if min(e.seen("left_hip"), e.seen("right_hip")) < 0.3 and max(e.seen("left_hip"), e.seen("right_hip")) < 0.5:
        return UP
    up = shoulders - hips
    up = up / max(np.linalg.norm(up), 1e-6)
    depth = up[2]
    up[2] = np.sign(depth) * max(abs(depth) - 0.25, 0.0)
    return up / np.linalg.norm(up)


def _limb(e: Evidence, joint: int, above: np.ndarray) -> np.ndarray | None:
    """World rotation of a shoulder, elbow, hip or knee; None when not seen."""
    for side, s in (("left", 1.0), ("right", -1.0)):
        n = lambda part: f"{side}_{part}"
        if joint in (JOINT[n("shoulder")], JOINT[n("elbow")]):
            if min(e.seen(n("elbow")), e.seen(n("shoulder"))) < 0.3:
                return None
            upper = e.direction(n("shoulder"), n("elbow"))
            fore = e.direction(n("elbow"), n("wrist")) if e.seen(n("wrist")) > 0.3 else upper
            bend = _angle(upper, fore)
            if joint == JOINT[n("shoulder")]:
                ahead = fore - (fore @ upper) * upper if bend > 0.35 else above @ np.array([0, 0, 1.0])
                if np.linalg.norm(np.cross(ahead, upper)) < 0.1:
                    ahead = above @ np.array([0, 1.0, 0])
                return frame(x=s * upper, z=ahead)
            return above @ matrix_from_axis_angle(np.array([0, -s * min(bend, 2.5), 0]))   # bends forward only
        if joint in (JOINT[n("hip")], JOINT[n("knee")]):
            if e.standing_leg(side) and e.seen(n("ankle")) < 0.3 or min(e.seen(n("hip")), e.seen(n("knee"))) < 0.3:
                return None
            thigh = e.direction(n("hip"), n("knee"))
            shin = e.direction(n("knee"), n("ankle")) if e.seen(n("ankle")) > 0.3 else thigh
            bend = _angle(thigh, shin)
            straight = e.standing_leg(side)
            if joint == JOINT[n("hip")]:
                if straight:
                    thigh = thigh + shin
                    thigh = thigh / np.linalg.norm(thigh)
                front = above @ np.array([0, 0, 1.0])
                behind = shin - (shin @ thigh) * thigh
                ahead = front if straight or bend < 0.35 or behind @ front > 0 else -behind
                if np.linalg.norm(np.cross(ahead, thigh)) < 0.2:
                    ahead = above @ np.array([0, 1.0, 0])      # thigh level: the kneecap looks up
                return frame(y=-thigh, z=ahead)
            return above @ matrix_from_axis_angle(np.array([0.04 if straight else min(bend, 2.5), 0, 0]))
    return None


def first_translation(e: Evidence, model: BodyModel, pose: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """(3,) metres: least squares placing of the posed body so that its landmarks fall on the seen ones."""
    vertices, _, _ = model.posed(pose, scale=scale)
    points = model.landmarks(vertices)[:33]
    w = np.sqrt(e.trust)
    if w.sum() < 1e-6:
        return np.array([0.0, 0.0, 3.0])
    ray = e.view.rays(e.pixels)[:, :2]
    rows, rhs = [], []
    for k in range(2):                                         # x + tx = ray * (z + tz)
        a = np.zeros((33, 3))
        a[:, k], a[:, 2] = 1.0, -ray[:, k]
        rows.append(w[:, None] * a)
        rhs.append(w * (ray[:, k] * points[:, 2] - points[:, k]))
    t = np.linalg.lstsq(np.concatenate(rows), np.concatenate(rhs), rcond=None)[0]
    nearest = 0.3 - points[:, 2].min()                         # the whole body stays before the camera
    size = 1.7 * scale * e.view.fy / e.size_px                 # depth from the size alone
    if not size * 0.4 < t[2] < size * 2.5 or t[2] < nearest:
        t[2] = max(size, nearest)
        t[:2] = np.average(ray * (points[:, 2:] + t[2]) - points[:, :2], axis=0, weights=w)
    return t
