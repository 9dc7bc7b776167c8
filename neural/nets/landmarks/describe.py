"""What can be said of a pose in words: which way the person faces, what the photo cuts off; and the lean of the
network's 3D landmarks, taken out."""

from __future__ import annotations

import numpy as np

from ...contract.joints import LANDMARK
from .pose import Pose

# Lean of the shoulder-ankle line towards the camera, degrees. 12 on 21 photos of people facing it (libraries.md §3), of
# which about half is the network's (6 on our synthetic people) and half the usual downward tilt of the camera; both go,
# since the camera is taken as level. Seen from behind it is within the noise, from the side the lean is seen in 2D.
LEAN_FRONT_DEG = 12.0


def yaw_cosine(world: np.ndarray) -> float:
    """1 when the person faces the camera, -1 seen from behind, 0 from the side; world (33, 3)."""
    left = world[[LANDMARK["left_shoulder"], LANDMARK["left_hip"]]].sum(0)
    right = world[[LANDMARK["right_shoulder"], LANDMARK["right_hip"]]].sum(0)
    across = left - right
    return float(across[0] / max(np.hypot(across[0], across[2]), 1e-9))


def without_lean(world: np.ndarray) -> np.ndarray:
    """(33, 3) camera axes (x right, y down, z forward): turned about X so that the shoulders of a person who
    faces the camera move away from it."""
    angle = np.radians(LEAN_FRONT_DEG * max(yaw_cosine(world), 0.0))
    cos, sin = np.cos(angle), np.sin(angle)
    # shoulders have y < 0; with z' = z - sin y they go to larger z: away from the camera
    return world @ np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]]).T


def facing(world: np.ndarray, face_seen: bool) -> str:
    """"front", "back" or "side"."""
    c = yaw_cosine(world)
    if c < -0.5 and not face_seen:
        return "back"
    if abs(c) <= 0.5:
        return "side"
    return "front" if c > 0 or face_seen else "back"


def in_photo(pose: Pose, width: int, height: int) -> np.ndarray:
    """(33,) bool: the landmark lies within the photo."""
    p = pose.points
    return (p[:, 0] >= 0) & (p[:, 1] >= 0) & (p[:, 0] < width) & (p[:, 1] < height)


def framing(pose: Pose, width: int, height: int) -> str:
    """"full" (an ankle in the photo; the other may be hidden), "knees", "upper" (the chest) or "face"."""
    inside = in_photo(pose, width, height)
    for name, label in (("ankle", "full"), ("knee", "knees")):
        if inside[LANDMARK[f"left_{name}"]] or inside[LANDMARK[f"right_{name}"]]:
            return label
    shoulders, hips = (pose.points[[LANDMARK[f"left_{n}"], LANDMARK[f"right_{n}"]]].mean(0) for n in ("shoulder", "hip"))
    x, y = shoulders + 0.35 * (hips - shoulders)
    return "upper" if 0 <= x < width and 0 <= y < height else "face"


PARTS = {
    "head": ("nose", "left_ear", "right_ear"), "shoulders": ("left_shoulder", "right_shoulder"),
    "left arm": ("left_elbow",), "right arm": ("right_elbow",),
    "left hand": ("left_wrist", "left_index"), "right hand": ("right_wrist", "right_index"),
    "hips": ("left_hip", "right_hip"), "left knee": ("left_knee",), "right knee": ("right_knee",),
    "left foot": ("left_ankle", "left_foot_index"), "right foot": ("right_ankle", "right_foot_index"),
}
"""Names for people -> the landmarks that must lie within the photo."""


def cut_off(inside: np.ndarray) -> list[str]:
    """Names of the parts that the photo does not show, wholly or in part; pairs are named once."""
    lost = [name for name, marks in PARTS.items() if not all(inside[LANDMARK[m]] for m in marks)]
    out: list[str] = []
    for name in lost:
        side, _, part = name.partition(" ")
        if side == "left" and f"right {part}" in lost:
            out.append({"arm": "both arms", "hand": "both hands", "knee": "both knees", "foot": "both feet"}[part])
        elif not (side == "right" and f"left {part}" in lost):
            out.append(f"the {name}")
    return out


def joined(words: list[str]) -> str:
    """"a, b and c"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


