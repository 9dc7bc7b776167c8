"""One hand fitted to its 21 points: turn of the hand, place, size and the angles of the fingers (Levenberg-Marquardt, exact derivatives).

The points come from a photo (MediaPipe): x and y are good, z is a rough guess, so it counts less. Everything is done for a left hand
seen along its own line of sight; `hands_of` in hand_place.py brings both hands there and back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .hand_pose import RANGES, Chain, in_order
from .rotations import axis_angle_from_matrix, matrix_from_axis_angle

PALM = np.array([0, 5, 9, 13, 17])
_CLOSE = ((0, 1), (1, 3), (3, 2))                            # fingers side by side, rows of FINGERS


@dataclass(frozen=True)
class HandConfig:
    """Expected errors: lengths as shares of the hand's length in the photo, angles in degrees."""

    across: float = 0.025        # of the points in the picture
    depth: float = 0.08          # of their depth; MediaPipe's z is a guess
    knee: float = 2.5            # spreads from which on a point counts less than quadratically
    size: float = 0.15           # of the logarithm of the hand's size
    place_m: float = 0.05        # of the wrist
    twist: tuple[float, float] = (45, 100)        # of the forearm: spread, limit either way
    flexion: tuple[float, float, float] = (30, -75, 70)
    sideways: tuple[float, float, float] = (14, -32, 32)
    wall: float = 3.0            # how softly limits are limits
    together: float = 25.0       # neighbouring fingers bend alike
    coupled: tuple[float, float] = (0.55, 14)     # the last joint bends with the middle one
    steps: int = 12


@dataclass(frozen=True)
class FittedHand:
    """turn (3, 3): sight from rest; angles (5, 5), see hand_pose.ANGLES; size: factor on the body's hand; error: mean distance
    of the points in the picture as a share of the hand's length; energy."""

    turn: np.ndarray
    angles: np.ndarray
    size: float
    error: float
    energy: float


def fit_hand(chain: Chain, points: np.ndarray, forearm: np.ndarray, now: np.ndarray, config: HandConfig = HandConfig()) -> FittedHand:
    """points (21, 3) metres in the frame of sight (x right, y down, z away; the wrist about 0), forearm (3, 3): the elbow joint's
    rotation without twist in that frame, and now (3, 3): the hand's rotation as the body has it."""
    best = None
    for start in (_palm_turn(chain, points), now):
        found = _minimise(chain, points, forearm, start, config)
        if best is None or found.energy < best.energy:
            best = found
    return best


def _palm_turn(chain: Chain, points: np.ndarray) -> np.ndarray:
    """Rotation that brings the resting palm upon the points' (Kabsch)."""
    rest = in_order(chain.bend(RANGES[..., 0])[0])[PALM]
    a, b = rest - rest.mean(0), points[PALM] - points[PALM].mean(0)
    u, _, vt = np.linalg.svd(b.T @ a)
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt


def wrist_angles(relative: np.ndarray) -> np.ndarray:
    """Rotation of the hand in the forearm's frame (left hand) -> (3,) twist of the forearm, flexion, sideways; radians.

    The forearm twists about its own axis x, then the wrist turns: relative = Rx(twist) S with S without twist.
    """
    turn = 2 * np.arctan2(relative[2, 1] - relative[1, 2], 1 + np.trace(relative)) if np.trace(relative) > -0.999 else np.pi
    swing = matrix_from_axis_angle(np.array([-turn, 0, 0])) @ relative
    small = axis_angle_from_matrix(swing)
    return np.array([np.arctan2(np.sin(turn), np.cos(turn)), small[2], small[1]])


def _minimise(chain: Chain, target: np.ndarray, forearm: np.ndarray, turn: np.ndarray, c: HandConfig) -> FittedHand:
    length = 0.19
    spread = np.array([c.across, c.across, c.depth]) * length
    angles, place, size = RANGES[..., 0].copy(), np.zeros(3), 0.0
    damp, state = 1e-2, None
    for step in range(c.steps):
        if state is None:
            state = _system(chain, target, forearm, turn, angles, place, size, spread, c)
        energy, a, b, _ = state
        for _ in range(3):
            move = -np.linalg.solve(a + damp * np.diag(np.diag(a)), b)
            new_turn = matrix_from_axis_angle(np.clip(move[:3], -0.7, 0.7)) @ turn
            new_angles = np.clip(angles + np.clip(move[7:].reshape(5, 5), -0.6, 0.6), RANGES[..., 2], RANGES[..., 3])
            new_place, new_size = place + move[3:6], float(np.clip(size + move[6], -0.5, 0.5))
            trial = _system(chain, target, forearm, new_turn, new_angles, new_place, new_size, spread, c)
            if trial[0] < energy:
                turn, angles, place, size, state = new_turn, new_angles, new_place, new_size, trial
                damp = max(damp * 0.2, 1e-5)
                break
            damp *= 6
        if trial[0] >= energy or energy - trial[0] < 1e-4 * energy:
            break
    miss = state[3][:, :2]
    return FittedHand(turn, angles, float(np.exp(size)), float(np.linalg.norm(miss, axis=1).mean() / length), state[0])


def _system(chain, target, forearm, turn, angles, place, size, spread, c):
    """Energy, Gauss-Newton matrix (32, 32), gradient (32,) and misses (21, 3) metres.

    Unknowns: 3 turn (before the present one), 3 place, 1 log size, 25 angles.
    """
    local, slope, _ = chain.bend(angles)
    grow = np.exp(size)
    p = grow * in_order(local) @ turn.T
    jac = np.zeros((21, 3, 32))
    jac[:, 0, 1], jac[:, 0, 2] = p[:, 2], -p[:, 1]            # omega x p
    jac[:, 1, 0], jac[:, 1, 2] = -p[:, 2], p[:, 0]
    jac[:, 2, 0], jac[:, 2, 1] = p[:, 1], -p[:, 0]
    jac[:, 0, 3] = jac[:, 1, 4] = jac[:, 2, 5] = 1.0
    jac[:, :, 6] = p
    wide = np.zeros((5, 4, 5, 5, 3))
    wide[np.arange(5), :, np.arange(5)] = slope               # a finger's angles move that finger only
    moved = in_order(wide.reshape(5, 4, 25, 3))               # (21, 25, 3)
    jac[:, :, 7:] = grow * np.einsum("ab,pkb->pak", turn, moved)
    miss = p + place - target
    r = miss / spread
    square = (r[:, :2] ** 2).sum(1), r[:, 2] ** 2
    energy, weight = 0.0, np.ones((21, 3))
    for k, columns in ((0, slice(0, 2)), (1, slice(2, 3))):    # Charbonnier: quadratic, then linear
        root = np.sqrt(1 + square[k] / c.knee ** 2)
        energy += (c.knee ** 2 * (root - 1)).sum()
        weight[:, columns] = (1 / root)[:, None]
    jr = (jac / spread[:, None]).reshape(63, 32)
    a, b = jr.T @ (jr * weight.reshape(63, 1)), jr.T @ (weight * r).ravel()
    extra, slopes = _beliefs(angles, place, size, c)
    energy += 0.5 * (extra ** 2).sum()
    a, b = a + slopes.T @ slopes, b + slopes.T @ extra
    wrist, tilt = _wrist(forearm, turn, c)
    energy += 0.5 * (wrist ** 2).sum()
    a[:3, :3] += tilt.T @ tilt
    b[:3] += tilt.T @ wrist
    return energy, a, b, miss


def _beliefs(angles, place, size, c):
    """Residuals of what hands do, and their derivatives by the 32 unknowns."""
    mean, spread = RANGES[..., 0], RANGES[..., 1]
    rows = [((angles - mean) / spread).ravel(), place / c.place_m, [size / c.size]]
    slopes = [np.concatenate([np.zeros((25, 7)), np.diag(1 / spread.ravel())], 1), np.eye(3, 32, 3) / c.place_m, np.eye(1, 32, 6) / c.size]
    pairs = [(7 + 5 * f + k, 7 + 5 * g + k, 1.0, np.radians(c.together)) for f, g in _CLOSE for k in (2, 3)]
    pairs += [(7 + 5 * f + 4, 7 + 5 * f + 3, c.coupled[0], np.radians(c.coupled[1])) for f in range(4)]
    flat = np.concatenate([np.zeros(7), angles.ravel()])
    for i, j, factor, give in pairs:
        rows.append([(flat[i] - factor * flat[j]) / give])
        row = np.zeros((1, 32))
        row[0, i], row[0, j] = 1 / give, -factor / give
        slopes.append(row)
    return np.concatenate(rows), np.concatenate(slopes)


def _wrist(forearm, turn, c):
    """Residuals of the wrist (pull and limits) and their derivatives by a small turn."""
    def residual(t):
        angle = np.degrees(wrist_angles(forearm.T @ t))
        low = np.array([-c.twist[1], c.flexion[1], c.sideways[1]])
        high = np.array([c.twist[1], c.flexion[2], c.sideways[2]])
        pull = angle / np.array([c.twist[0], c.flexion[0], c.sideways[0]])
        return np.concatenate([pull, np.maximum(angle - high, 0) / c.wall, np.maximum(low - angle, 0) / c.wall])

    here = residual(turn)
    tiny = 1e-4
    return here, np.stack([(residual(matrix_from_axis_angle(tiny * e) @ turn) - here) / tiny for e in np.eye(3)], 1)
