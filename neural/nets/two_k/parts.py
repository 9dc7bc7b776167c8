"""The twelve body parts, and the similarity that brings each to its canonical place (2K2K §4.1, Eq. 2).

Places are in normalised units of the canvas (-1 … 1, x right, y down); left and right are the subject's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
    "left_hand_0", "left_hand_1", "left_hand_2", "left_hand_3", "right_hand_0", "right_hand_1", "right_hand_2", "right_hand_3",
)
"""The 31 joints of the release, in its order; the hand's are index to little finger, middle joint."""

INDEX = {name: i for i, name in enumerate(JOINTS)}
GROUPS = ("face", "upper", "arm", "leg", "shoe")
"""One normal network each in the paper."""


@dataclass(frozen=True)
class Part:
    """joints   names of JOINTS, or "left_hand"/"right_hand": the mean of that hand's points.
    targets  (x, y) of each joint in the canonical frame.
    limit    canonical length from the first to the last joint. A shorter limb keeps the photo's scale, a longer one is shrunk to it.
             None: always scaled to fit.
    right    a right limb: where the config says so it is shown to the network mirrored, as a left one.
    """

    name: str
    group: str
    joints: tuple[str, ...]
    targets: tuple[tuple[float, float], ...]
    limit: float | None
    right: bool = False


def _limbs(side: str) -> list[Part]:
    mirror, right = (1 if side == "left" else -1), side == "right"
    leg = -3 / 128 * mirror
    return [
        Part(f"{side}_upper_arm", "arm", (f"{side}_shoulder", f"{side}_elbow"), ((0, -3 / 16), (0, 1 / 16)), 1 / 4, right),
        Part(f"{side}_lower_arm", "arm", (f"{side}_elbow", f"{side}_wrist", f"{side}_hand"),
             ((0, -2 / 9), (0, 0), (0, 1 / 18)), 5 / 18, right),
        Part(f"{side}_upper_leg", "leg", (f"{side}_hip", f"{side}_knee"), ((leg, -5 / 32), (leg, 3 / 32)), 1 / 4, right),
        Part(f"{side}_lower_leg", "leg", (f"{side}_knee", f"{side}_ankle"), ((leg, -9 / 64), (leg, 9 / 64)), 9 / 32, right),
        Part(f"{side}_foot", "shoe", (f"{side}_big_toe", f"{side}_small_toe", f"{side}_heel", f"{side}_ankle"),
             ((0, 1 / 24), (0, 1 / 24), (0, -1 / 24), (0, -1 / 24)), None, right),
    ]


def _table() -> tuple[Part, ...]:
    head = Part("head", "face", ("right_ear", "left_ear"), ((-1 / 12, 1 / 24), (1 / 12, 1 / 24)), 1 / 6)
    torso = Part("torso", "upper", ("right_shoulder", "left_shoulder", "right_hip", "left_hip"),
                 ((-1 / 9, -1 / 6), (1 / 9, -1 / 6), (-1 / 12, 1 / 6), (1 / 12, 1 / 6)), None)
    left, right = _limbs("left"), _limbs("right")
    return (head, torso, *left[:2], *right[:2], *left[2:4], *right[2:4], left[4], right[4])


PARTS = _table()
"""In the release's order: head, torso, arms (left upper, left lower, right …), legs likewise, feet."""

OF_GROUP = {g: tuple(i for i, p in enumerate(PARTS) if p.group == g) for g in GROUPS}
"""Rows of PARTS that each network serves."""

LARGEST, SMALLEST, SHORTEST = 4.0, 1 / 16, 1 / 256   # scale of a part, distance of its joints from their mean: beyond, it says nothing


@dataclass(frozen=True)
class Placement:
    """image_to_part, part_to_image (12, 2, 3) float32 similarities in normalised units; present (12,) bool.

    An absent part has the identity, and must not be used.
    """

    image_to_part: np.ndarray
    part_to_image: np.ndarray
    present: np.ndarray


def place(joints: np.ndarray, released: bool = False) -> Placement:
    """joints (31, 2) normalised units, NaN = not detected -> the parts' similarities.

    A point that is missing is left out; a part that keeps fewer than two different points is absent, as is one that lies wholly off the
    canvas. released=True does as the release: a missing joint lies in the middle of the picture (only missing hand points are left
    out), and nothing is ever absent; ValueError where the release would die (a hand without points, a part whose joints coincide).
    """
    forward, back, present = np.tile(np.eye(2, 3), (12, 1, 1)), np.tile(np.eye(2, 3), (12, 1, 1)), np.zeros(12, bool)
    for i, part in enumerate(PARTS):
        source, target = _points(part, joints, released)
        matrix = _similarity(source, target, part.limit)
        if matrix is None or not (released or _usable(matrix, source)):
            if released:
                raise ValueError(f"the joints of '{part.name}' are missing")
            continue
        forward[i], present[i] = matrix, True
        inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
        back[i] = inverse[:2]
    return Placement(forward.astype(np.float32), back.astype(np.float32), present)


def _points(part: Part, joints: np.ndarray, released: bool) -> tuple[np.ndarray, np.ndarray]:
    """Complex places of the part's joints in the picture and their targets, without missing ones."""
    source = []
    for name in part.joints:
        if name in INDEX:
            point = joints[INDEX[name]]
            point = np.where(np.isnan(point), 0.0, point) if released else point
        else:
            hand = joints[[INDEX[f"{name}_{k}"] for k in range(4)]]
            hand = hand[~np.isnan(hand).any(1) & ((hand != 0).all(1) | (not released))]
            if released and not len(hand):
                raise ValueError(f"no point of the {name} is known")
            point = hand.mean(0) if len(hand) else np.full(2, np.nan)
        source.append(complex(*point))
    source, target = np.array(source), np.array([complex(*t) for t in part.targets])
    known = ~np.isnan(source)
    return source[known], target[known]


def _similarity(source: np.ndarray, target: np.ndarray, limit: float | None) -> np.ndarray | None:
    """Least squares (2, 3) from complex points to complex targets; None when the points do not define it."""
    if len(source) < 2:
        return None
    if limit is not None:
        length = abs(source[0] - source[-1])
        full = abs(target[0] - target[-1])               # a limb of which a point is missing is measured on what is there
        target = target * min(1.0, length / full)
    s, t = source - source.mean(), target - target.mean()
    spread = (abs(s) ** 2).sum()
    if spread < 1e-12:
        return None
    turn = (s.conj() * t).sum() / spread
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _usable(matrix: np.ndarray, source: np.ndarray) -> bool:
    scale = np.hypot(matrix[0, 0], matrix[1, 0])
    on = (abs(source.real) < 1) & (abs(source.imag) < 1)
    return SMALLEST < scale < LARGEST and abs(source - source.mean()).max() > SHORTEST and bool(on.any())
