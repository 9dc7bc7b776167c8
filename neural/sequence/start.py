"""Where the fit over a sequence begins: single frames, checked against their neighbours."""

from __future__ import annotations

import numpy as np

from ..body.lift import nearest_rotations
from ..body.rotations import axis_angle_from_matrix, matrix_from_axis_angle


def jumps(joints: np.ndarray, times: np.ndarray, fastest: float = 9.0, least: float = 0.04) -> np.ndarray:
    """(n, 24, 3) metres at times (n,) seconds -> (n,) bool: the frame lies apart from the median of the frames around it.

    A frame on which the body was found turned round, or another person was taken for it, is far from all of them. Judged relative to the
    pelvis: depth alone wanders. fastest: m/s that joints move against the pelvis; least: metres that are always allowed.
    """
    n = len(joints)
    if n < 3:
        return np.zeros(n, bool)
    own = joints - joints[:, :1]
    out = np.zeros(n, bool)
    for k in range(n):
        near = [i for i in range(max(k - 2, 0), min(k + 3, n)) if i != k]
        middle = np.median(own[near], axis=0)
        apart = np.median([np.linalg.norm(own[i] - own[k], axis=1).mean() for i in near])
        usual = np.median([np.linalg.norm(own[i] - middle, axis=1).mean() for i in near])
        wait = float(np.median(np.abs(times[near] - times[k])))
        out[k] = apart > least + min(2.5 * usual, fastest * wait)
    return out if not out.all() else np.zeros(n, bool)


def between(k: int, good: np.ndarray, times: np.ndarray, poses: np.ndarray, moves: np.ndarray, tilts: np.ndarray) -> tuple:
    """Pose (24, 3), translation, tilt of frame k on the way between the nearest good frames."""
    before, after = good[good < k], good[good > k]
    if not len(before) or not len(after):
        i = int(after[0]) if len(after) else int(before[-1])
        return poses[i].copy(), moves[i].copy(), tilts[i]
    a, b = int(before[-1]), int(after[0])
    t = (times[k] - times[a]) / (times[b] - times[a])
    ra, rb = matrix_from_axis_angle(poses[a]), matrix_from_axis_angle(poses[b])
    turn = axis_angle_from_matrix(np.swapaxes(ra, 1, 2) @ rb)
    return (axis_angle_from_matrix(ra @ matrix_from_axis_angle(t * turn)), (1 - t) * moves[a] + t * moves[b],
            (1 - t) * tilts[a] + t * tilts[b])


def smoothed(values: np.ndarray, trust: np.ndarray, times: np.ndarray, stiff: float | np.ndarray) -> np.ndarray:
    """(N, P) least squares between staying (trust (N,)) and not accelerating (stiff, scalar or (P,)): Whittaker's smoother, nothing lags.

    Rows of no trust are filled in from the others; at least two rows must have some.
    """
    n = len(times)
    if n < 3:
        return values.copy()
    step = np.diff(times)
    d = np.zeros((n - 2, n))
    row = np.arange(n - 2)
    d[row, row], d[row, row + 2] = 1 / step[:-1], 1 / step[1:]
    d[row, row + 1] = -d[row, row] - d[row, row + 2]
    d *= (2 / (step[:-1] + step[1:]))[:, None]
    stiff = np.broadcast_to(np.asarray(stiff, np.float64), values.shape[1:])
    weights = np.maximum(trust, 1e-6)                          # never quite nothing: the system stays solvable
    out = np.empty_like(values)
    for s in np.unique(stiff):
        columns = stiff == s
        out[:, columns] = np.linalg.solve(np.diag(weights) + s * (d.T @ d), weights[:, None] * values[:, columns])
    return out


def smoothed_rotations(rotations: np.ndarray, trust: np.ndarray, times: np.ndarray, stiff: np.ndarray) -> np.ndarray:
    """(N, J, 3, 3) likewise, stiff (J,): entries smoothed, then the nearest rotations."""
    n, j = rotations.shape[:2]
    return nearest_rotations(smoothed(rotations.reshape(n, j * 9), trust, times, np.repeat(stiff, 9)).reshape(n, j, 3, 3))
