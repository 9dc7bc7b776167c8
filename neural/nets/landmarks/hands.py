"""Hands: 21 points each on crops taken from the pose's wrists (Zhang et al. 2020, MediaPipe Hands)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...contract.joints import LANDMARK
from .anchors import PALM
from .pose import Pose
from .roi import Pyramid, Roi, detect
from .runtime import LandmarkNets

SIDE = 224
_PALM_TO_HAND = 2.6                # palm box -> hand region, pushed half a box towards the fingers
_PALM_SHIFT = 0.5
_HAND_SCALE = 2.0                  # extent of wrist and finger bases -> hand region of the next round
_MIN_SIDE = 0.1                    # least probability of being the hand of the side asked for
_BASES = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)


@dataclass(frozen=True)
class Hand:
    """points (21, 3) float64 image pixels, z in the same scale, smaller is nearer; presence in [0, 1];
    leftness in [0, 1]: how much the network thinks this is the subject's left hand."""

    points: np.ndarray
    presence: float
    leftness: float


def _aimed(centre: np.ndarray, up: np.ndarray, side: float, shift: float) -> Roi:
    """Region whose up direction is `up`, its centre pushed by `shift` sides along it."""
    d = up / max(np.hypot(*up), 1e-9)
    c = centre + d * shift * side
    return Roi(float(c[0]), float(c[1]), float(side), float(np.arctan2(d[1], d[0]) + np.pi / 2))


def roi_from_points(points: np.ndarray) -> Roi:
    """Region for the next round from hand points (21, >=2)."""
    xy = points[:, :2]
    up = (xy[5] + xy[13]) / 4 + xy[9] / 2 - xy[0]
    angle = np.arctan2(up[1], up[0]) + np.pi / 2
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    own = xy[list(_BASES)] @ turn
    low, high = own.min(0), own.max(0)
    side = _HAND_SCALE * (high - low).max()
    return _aimed(turn @ ((low + high) / 2), up, side, 0.1)


def _pose_points(pose: Pose, side: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Wrist, middle of the knuckles, and a length that hands scale with, of one side; image pixels."""
    p = pose.points
    wrist, elbow = p[LANDMARK[f"{side}_wrist"]], p[LANDMARK[f"{side}_elbow"]]
    knuckles = (2 * p[LANDMARK[f"{side}_index"]] + p[LANDMARK[f"{side}_pinky"]]) / 3
    world = pose.world
    # metres per pixel from the torso, which is the part seen best: a hand is about 0.19 m long
    names = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    i = [LANDMARK[n] for n in names]
    spread_px = np.hypot(*(p[i] - p[i].mean(0)).T).mean()
    spread_m = np.hypot(*(world[i] - world[i].mean(0))[:, :2].T).mean()
    hand = 0.19 * spread_px / max(spread_m, 1e-3)
    if np.hypot(*(knuckles - wrist)) < 0.15 * hand:      # seen end on: go on along the forearm
        d = wrist - elbow
        knuckles = wrist + d / max(np.hypot(*d), 1e-9) * 0.3 * hand
    return wrist, knuckles, float(hand)


def find(nets: LandmarkNets, image: Pyramid, pose: Pose, side: str, rounds: int = 3,
         min_presence: float = 0.5) -> Hand | None:
    """The hand of one side ("left" or "right", the subject's), or None where none is seen with confidence."""
    wrist, knuckles, length = _pose_points(pose, side)
    if length < 6:
        return None
    middle = wrist + 0.7 * (knuckles - wrist)
    starts = [_aimed(middle, knuckles - wrist, 2.2 * length, 0.05)]
    for hit in detect(nets, PALM, image, Roi(float(middle[0]), float(middle[1]), 3.5 * length)):
        palm_wrist, palm_middle = hit.keypoints[0], hit.keypoints[2]
        if np.hypot(*(palm_wrist - wrist)) > 0.8 * length:
            continue
        extent = (hit.box[2:] - hit.box[:2]).max()
        starts.insert(0, _aimed((hit.box[:2] + hit.box[2:]) / 2, palm_middle - palm_wrist, _PALM_TO_HAND * extent,
                                _PALM_SHIFT / _PALM_TO_HAND))
    best = None
    for roi in starts:
        hand = _rounds(nets, image, roi, rounds)
        if hand is None or hand.presence < min_presence or not _belongs(hand, wrist, length):
            continue
        if (hand.leftness if side == "left" else 1 - hand.leftness) < _MIN_SIDE:
            continue            # the other hand, lying near this wrist
        if best is None or hand.presence > best.presence + 0.05:
            best = hand
    return best


def _rounds(nets: LandmarkNets, image: Pyramid, roi: Roi, rounds: int) -> Hand | None:
    """The surest round: on fists and thin hands a later round may lose what an earlier one had."""
    best = None
    for _ in range(rounds):
        raw, flag, handed, _ = nets.run("hand_landmark", image.cut(roi, SIDE).astype(np.float32) / 255)
        points = raw.reshape(21, 3).astype(np.float64)
        m = roi.image_from_net(SIDE)
        points[:, :2] = points[:, :2] @ m[:2, :2].T + m[:2, 2]
        points[:, 2] *= roi.side / SIDE
        hand = Hand(points, float(flag[0]), float(1 - handed[0]))      # the network's own output is "right"
        if best is None or hand.presence > best.presence:
            best = hand
        roi = roi_from_points(points)
        if roi.side < 4:
            break
    return best


def _belongs(hand: Hand, wrist: np.ndarray, length: float) -> bool:
    """The hand starts near the pose's wrist and has a believable size."""
    xy = hand.points[:, :2]
    extent = np.hypot(*(xy - xy[0]).T).max()
    return bool(np.hypot(*(xy[0] - wrist)) < 0.7 * length and 0.25 * length < extent < 1.8 * length)
