"""Who is who from frame to frame: where somebody is expected, and the colours of what they wear."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..contract.errors import PersonError
from ..contract.joints import LANDMARK

_CORE = tuple(LANDMARK[n] for n in ("left_shoulder", "right_shoulder", "right_hip", "left_hip"))
_PARTS = (("left_shoulder", "right_shoulder", "right_hip", "left_hip"), ("left_hip", "left_knee"), ("right_hip", "right_knee"))


class PersonLost(PersonError):
    """Nobody in this frame is the person who is followed."""

    def __init__(self) -> None:
        super().__init__("person.lost", "The person is not to be seen in this frame.", "The frames around it are used instead.")


@dataclass(frozen=True)
class TrackConfig:
    """reach: how far somebody may be from where they are expected, in sizes of the person; more for every second unseen (reach_s).
    colour: difference of clothes that counts as much as `reach`, CIE Lab; other: beyond it, it is somebody else."""

    reach: float = 0.5
    reach_s: float = 1.5
    colour: float = 25.0
    other: float = 40.0
    learn: float = 0.15


@dataclass(frozen=True)
class Candidate:
    """box (4,) photo pixels, points (33, 2), colours (3, 3) Lab of trunk, left and right thigh; NaN where not seen."""

    box: np.ndarray
    points: np.ndarray
    colours: np.ndarray


class Tracker:
    """Follows one person. `follow` says which candidate of the next frame it is; PersonLost when none."""

    def __init__(self, config: TrackConfig = TrackConfig()):
        self.config = config
        self._last: Candidate | None = None
        self._time, self._speed = 0.0, np.zeros(2)
        self._colours = np.full((3, 3), np.nan)

    @property
    def begun(self) -> bool:
        return self._last is not None

    def begin(self, chosen: Candidate, time: float) -> None:
        self._last, self._time, self._colours = chosen, time, chosen.colours

    def follow(self, candidates: list[Candidate], time: float) -> int:
        c, gone = self.config, max(time - self._time, 1e-3)
        size = _size(self._last)
        expected = _middle(self._last) + self._speed * min(gone, 0.5)          # nobody keeps a speed for longer
        cost = []
        for k in candidates:
            off = np.linalg.norm(_middle(k) - expected) / size + abs(np.log(_size(k) / size))
            apart = np.linalg.norm(k.colours - self._colours, axis=1)
            apart = float(np.nanmean(apart)) if np.isfinite(apart).any() else 0.5 * c.colour
            far = off > c.reach + c.reach_s * gone
            cost.append(np.inf if far or apart > c.other else off / c.reach + apart / c.colour)
        best = int(np.argmin(cost)) if cost else 0
        if not cost or not np.isfinite(cost[best]):
            raise PersonLost()
        chosen = candidates[best]
        speed = (_middle(chosen) - _middle(self._last)) / gone
        self._speed = 0.5 * self._speed + 0.5 * speed if gone < 0.3 else np.zeros(2)
        known = np.isfinite(self._colours)
        new = np.where(np.isfinite(chosen.colours), chosen.colours, self._colours)
        self._colours = np.where(known, (1 - c.learn) * self._colours + c.learn * new, new)
        self._last, self._time = chosen, time
        return best


def candidate(rgb: np.ndarray, box: np.ndarray, points: np.ndarray, visibility: np.ndarray) -> Candidate:
    """rgb (H, W, 3) uint8; the colours come from the middle of trunk and thighs, where arms and background are rare."""
    colours = np.full((3, 3), np.nan)
    width = max(2.0, 0.06 * np.linalg.norm(points[_CORE[0]] - points[_CORE[3]]))
    for row, names in enumerate(_PARTS):
        marks = [LANDMARK[n] for n in names]
        if visibility[marks].min() < 0.5:
            continue
        corner = points[marks]
        middle = corner.mean(0)
        low, high = np.floor(corner.min(0) - width).astype(int), np.ceil(corner.max(0) + width).astype(int) + 1
        low, high = np.maximum(low, 0), np.minimum(high, rgb.shape[1::-1])
        if (high - low < 2).any():
            continue
        inner = np.round((middle + 0.6 * (corner - middle) - low)).astype(np.int32)
        where = np.zeros((high - low)[::-1], np.uint8)
        if len(marks) > 2:
            cv2.fillConvexPoly(where, cv2.convexHull(inner)[:, 0], 1)
        cv2.polylines(where, [inner], len(marks) > 2, 1, max(int(width), 1))
        pixels = rgb[low[1]:high[1], low[0]:high[0]][where > 0]
        if len(pixels) > 4:
            lab = cv2.cvtColor((pixels / np.float32(255)).reshape(-1, 1, 3), cv2.COLOR_RGB2LAB)[:, 0]
            colours[row] = np.median(lab, axis=0)
    return Candidate(np.asarray(box, np.float64), np.asarray(points, np.float64), colours)


def _middle(c: Candidate) -> np.ndarray:
    return c.points[list(_CORE)].mean(0)


def _size(c: Candidate) -> float:
    """A length that changes little as limbs move: shoulders to hips, diagonals."""
    p = c.points[list(_CORE)]
    return 2.5 * float(max(np.linalg.norm(p[0] - p[2]), np.linalg.norm(p[1] - p[3]), 4.0))
