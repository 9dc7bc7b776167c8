"""The lifter's answer for one person, in camera axes: how every joint is probably turned, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from ..contract.frames import Camera
from ..contract.joints import JOINT, LANDMARK, LANDMARKS, SMPL_JOINTS, SMPL_PARENTS, mirrored
from ..nets.lifter import Lifter, load
from ..nets.lifter.features import features, view_direction, virtual_from_camera
from ..nets.lifter.net import WEIGHTS
from .model import BodyModel
from .rotations import axis_angle_from_matrix


@dataclass(frozen=True)
class Attitude:
    """rotations (24, 3, 3) float64 of the joints against the T-pose, camera axes (not against their parents).
    axis (24,) expected distance of the unit vector along the bone from the true one; turn (24,) expected angle of the whole rotation, radians.
    betas (6,) shape. landmarks (33, 3) of a body that stands so, metres, mid-hip origin."""

    rotations: np.ndarray
    axis: np.ndarray
    turn: np.ndarray
    betas: np.ndarray
    landmarks: np.ndarray

    @property
    def local(self) -> np.ndarray:
        """(24, 3, 3) rotations against the parents."""
        return np.stack([r if p < 0 else self.rotations[p].T @ r for r, p in zip(self.rotations, SMPL_PARENTS)])


_SWAP, _MIRROR = np.array(mirrored(LANDMARKS)), np.array(mirrored(SMPL_JOINTS))
_FLIP = np.diag([-1.0, 1, 1])


@lru_cache(maxsize=2)
def lifter(path: Path = WEIGHTS) -> Lifter | None:
    """The network, or None when its weights are not there."""
    return load(path) if Path(path).is_file() else None


def lift(net: Lifter, model: BodyModel, view: Camera, pixels: np.ndarray, trust: np.ndarray, world: np.ndarray) -> Attitude:
    """pixels (33, 2) on the canvas of `view`, trust (33,), world (33, 3) s02's 3D landmarks as it gives them -> Attitude."""
    rays = view.rays(pixels)
    direction = view_direction(rays, trust)
    virtual = virtual_from_camera(direction)
    flat = rays @ virtual.T
    flat = flat[:, :2] / np.maximum(flat[:, 2:], 0.2)
    rows = lambda a, b: torch.as_tensor(np.stack([a, b]).astype(np.float32))
    with torch.inference_mode():                               # the person and its mirror image: their mean errs less
        out = net(features(rows(flat, flat[_SWAP] * [-1, 1]), rows(world, world[_SWAP] * [-1, 1, 1]), rows(trust, trust[_SWAP]),
                           torch.full((2,), float(direction[1]))))
    found = out.world.double().numpy()
    rotations = virtual.T @ nearest_rotations(found[0] + _FLIP @ found[1][_MIRROR] @ _FLIP)
    betas = np.clip(out.betas.double().numpy().mean(0), -2.5, 2.5)
    local = np.stack([r if p < 0 else rotations[p].T @ r for r, p in zip(rotations, SMPL_PARENTS)])
    marks = model.landmarks(model.posed(axis_angle_from_matrix(local), betas[:model.betas_count])[0])[:33]
    marks = marks - marks[[LANDMARK["left_hip"], LANDMARK["right_hip"]]].mean(0)
    both = lambda a: 0.5 * (a[0] + a[1][_MIRROR]).double().numpy()
    return Attitude(rotations, both(out.axis), both(out.turn), betas, marks)


def nearest_rotations(m: np.ndarray) -> np.ndarray:
    """(..., 3, 3) -> the rotations nearest to them."""
    u, _, vt = np.linalg.svd(m)
    u[..., 2] *= np.linalg.det(u @ vt)[..., None]
    return u @ vt


BONE_JOINT = {(f"{s}_{a}", f"{s}_{b}"): JOINT[f"{s}_{j}"] for s in ("left", "right") for a, b, j in (
    ("hip", "knee", "hip"), ("knee", "ankle", "knee"), ("shoulder", "elbow", "shoulder"), ("elbow", "wrist", "elbow"),
    ("heel", "foot_index", "ankle"), ("wrist", "index", "wrist"))} | {
    ("right_hip", "left_hip"): JOINT["pelvis"], ("right_shoulder", "left_shoulder"): JOINT["spine3"]}
"""Which joint's uncertainty a pair of landmarks has."""
