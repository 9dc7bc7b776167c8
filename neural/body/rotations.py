"""Rotations in numpy: axis-angle, matrices, smallest rotations. Radians; matrices act on column vectors."""

from __future__ import annotations

import numpy as np


def matrix_from_axis_angle(r: np.ndarray) -> np.ndarray:
    """(..., 3) axis-angle -> (..., 3, 3) float64 (Rodrigues' formula; exact at zero)."""
    r = np.asarray(r, np.float64)
    angle = np.linalg.norm(r, axis=-1)[..., None, None]
    k = np.zeros((*r.shape[:-1], 3, 3))
    k[..., 2, 1], k[..., 0, 2], k[..., 1, 0] = r[..., 0], r[..., 1], r[..., 2]
    k -= np.swapaxes(k, -1, -2)
    half = np.sinc(angle / (2 * np.pi))                        # sin(a / 2) / (a / 2), smooth at zero
    return np.eye(3) + np.sinc(angle / np.pi) * k + 0.5 * half ** 2 * (k @ k)


def axis_angle_from_matrix(m: np.ndarray) -> np.ndarray:
    """(..., 3, 3) rotations -> (..., 3) axis-angle with angle in [0, pi], by way of the quaternion (stable everywhere)."""
    m = np.asarray(m, np.float64)
    t = np.stack([m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2], m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]], -1)
    best = t.argmax(-1)
    x = {(i, j): m[..., i, j] for i in range(3) for j in range(3)}
    one = 1.0 - t[..., 0]
    rows = np.stack([
        np.stack([1 + t[..., 0], x[2, 1] - x[1, 2], x[0, 2] - x[2, 0], x[1, 0] - x[0, 1]], -1),
        np.stack([x[2, 1] - x[1, 2], one + 2 * x[0, 0], x[0, 1] + x[1, 0], x[0, 2] + x[2, 0]], -1),
        np.stack([x[0, 2] - x[2, 0], x[0, 1] + x[1, 0], one + 2 * x[1, 1], x[1, 2] + x[2, 1]], -1),
        np.stack([x[1, 0] - x[0, 1], x[0, 2] + x[2, 0], x[1, 2] + x[2, 1], one + 2 * x[2, 2]], -1),
    ], -2)                                                     # each row is the quaternion (w, x, y, z) times a factor
    q = np.take_along_axis(rows, best[..., None, None], -2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    q = np.where(q[..., :1] < 0, -q, q)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, q[..., :1])
    return q[..., 1:] * np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 2.0)


def frame(x: np.ndarray | None = None, y: np.ndarray | None = None, z: np.ndarray | None = None) -> np.ndarray:
    """Rotation (3, 3) whose columns are right-handed axes, two of them given: the first given (in x, y, z order) is kept
    exactly, the second is made perpendicular to it."""
    unit = lambda v: np.asarray(v, np.float64) / np.linalg.norm(v)
    if x is not None and y is not None:
        x = unit(x); y = unit(y - (y @ x) * x); z = np.cross(x, y)
    elif x is not None and z is not None:
        x = unit(x); z = unit(z - (z @ x) * x); y = np.cross(z, x)
    elif y is not None and z is not None:
        y = unit(y); z = unit(z - (z @ y) * y); x = np.cross(y, z)
    else:
        raise ValueError("two axes are needed")
    return np.stack([x, y, z], 1)


def smallest(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Smallest rotation (3, 3) that turns direction a (3,) into direction b (3,)."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    axis, cos = np.cross(a, b), float(a @ b)
    if cos < -0.999999:                                        # opposite: half a turn about any perpendicular axis
        axis = np.cross(a, np.eye(3)[np.abs(a).argmin()])
        return matrix_from_axis_angle(np.pi * axis / np.linalg.norm(axis))
    sine = np.linalg.norm(axis)
    return matrix_from_axis_angle(axis / max(sine, 1e-12) * np.arctan2(sine, cos))
