"""A body in known motion and what a detector would say of it, frame by frame: for the tests of sequences."""

from __future__ import annotations


import numpy as np

from neural.body import poses
from neural.body.evidence import Evidence
from neural.body.model import BodyModel
from neural.contract.frames import Camera
from neural.contract.joints import JOINT, LANDMARK
from neural.geometry.raster import rasterize

SIDE = 256
FPS = 24.0


def eased(t: np.ndarray) -> np.ndarray:
    """0 to 1 with no speed and no acceleration at the ends."""
    t = np.clip(t, 0, 1)
    return t ** 3 * (10 - 15 * t + 6 * t ** 2)


def motion(n: int = 24, fps: float = FPS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses (n, 24, 3), places (n, 3), times (n,): a person who waves with one arm, lifts the other, and turns the trunk a little; feet stay."""
    times = np.arange(n) / fps
    share = eased(times / times[-1])
    pose = np.repeat(poses.RELAXED[None], n, 0)
    pose[:, 0] = (np.pi, 0, 0)
    pose[:, JOINT["right_shoulder"]] += share[:, None] * (np.array([0, 0.2, -0.3]) - poses.RELAXED[JOINT["right_shoulder"]])
    pose[:, JOINT["right_elbow"], 1] += 1.0 * share
    pose[:, JOINT["left_shoulder"], 2] += 0.7 * share
    pose[:, JOINT["spine2"], 1] = 0.15 * share
    pose[:, JOINT["head"], 1] = -0.2 * share
    return pose, np.repeat([[0.05, 0.10, 2.6]], n, 0), times


def evidence_of_motion(model: BodyModel, pose: np.ndarray, place: np.ndarray, rng: np.random.Generator | None = None, pixel: float = 0.006,
                       metre: float = 0.035) -> tuple[list[Evidence], np.ndarray]:
    """What a detector says, and the true joints (n, 24, 3). pixel: noise of the 2D landmarks, share of the height; metre: of the 3D ones."""
    camera = Camera.from_fov(SIDE, SIDE)
    out, joints = [], []
    for p, t in zip(pose, place):
        vertices, at, _ = model.posed(p, translation=t)
        marks = model.landmarks(vertices)[:33]
        world = marks - marks[[LANDMARK["left_hip"], LANDMARK["right_hip"]]].mean(0)
        pixels = camera.project(marks)
        if rng is not None:
            pixels = pixels + rng.normal(0, pixel * np.ptp(pixels[:, 1]), pixels.shape)
            world = world + rng.normal(0, metre, world.shape)
        mask = rasterize(vertices, model.faces, camera).hit.astype(np.float32)
        out.append(Evidence(camera, pixels, np.ones(33), world, mask, np.ones((SIDE, SIDE), bool), None, np.full((2, 2), np.nan), "front"))
        joints.append(at)
    return out, np.stack(joints)


def acceleration_error(joints: np.ndarray, truth: np.ndarray, fps: float = FPS) -> float:
    """Mean difference of accelerations, m/s2 (Kanazawa et al. 2019)."""
    second = lambda x: (x[2:] - 2 * x[1:-1] + x[:-2]) * fps ** 2          # noqa: E731
    return float(np.linalg.norm(second(joints) - second(truth), axis=2).mean())


def mpjpe(joints: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance of joints, pelvis on pelvis, metres."""
    own = lambda x: x - x[:, :1]                                          # noqa: E731
    return float(np.linalg.norm(own(joints) - own(truth), axis=2).mean())


