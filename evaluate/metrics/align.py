"""Similarity transforms: closed form for matched points, ICP for surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .closest import Surface


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + shift. rotation (3, 3), shift (3,)."""

    scale: float = 1.0
    rotation: np.ndarray = None  # type: ignore[assignment]
    shift: np.ndarray = None     # type: ignore[assignment]

    def __post_init__(self):
        if self.rotation is None:
            object.__setattr__(self, "rotation", np.eye(3))
        if self.shift is None:
            object.__setattr__(self, "shift", np.zeros(3))

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return self.scale * np.asarray(points, np.float64) @ self.rotation.T + self.shift

    def after(self, first: "Similarity") -> "Similarity":
        """The transform that applies `first`, then self."""
        return Similarity(self.scale * first.scale, self.rotation @ first.rotation, self(first.shift))

    @property
    def inverse(self) -> "Similarity":
        return Similarity(1 / self.scale, self.rotation.T, -self.rotation.T @ self.shift / self.scale)

    @property
    def matrix(self) -> np.ndarray:
        out = np.eye(4)
        out[:3, :3], out[:3, 3] = self.scale * self.rotation, self.shift
        return out

    @property
    def angle_deg(self) -> float:
        return float(np.degrees(np.arccos(np.clip((np.trace(self.rotation) - 1) / 2, -1, 1))))


def procrustes(source: np.ndarray, target: np.ndarray, with_scale: bool = True) -> Similarity:
    """Least-squares similarity of matched points (N, 3) -> (N, 3) (Umeyama 1991)."""
    ms, mt = source.mean(0), target.mean(0)
    s, t = source - ms, target - mt
    u, d, vt = np.linalg.svd(t.T @ s)
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((d * sign).sum() / max((s * s).sum(), 1e-20)) if with_scale else 1.0
    return Similarity(scale, rotation, mt - scale * rotation @ ms)


def icp(source: np.ndarray, source_surface: Surface, target: np.ndarray, target_surface: Surface,
        iterations: int = 40, with_scale: bool = True, tolerance_m: float = 1e-5) -> Similarity:
    """The similarity that lays the source on the target: symmetric ICP on exact closest points.

    source, target: samples (N, 3), (M, 3) of the surfaces. Both directions count: with one alone, a free scale shrinks
    the source where it lacks a part. Each step solves for small motion with the sum of squared distances along the
    normals and, at a tenth of the weight, across them (so that sliding along flat parts stays bounded).
    Stops when no sample moves more than `tolerance_m`.
    """
    state = Similarity()
    for step in range(iterations):
        moved = state(source)
        _, near_t, face_t = target_surface.closest(moved)
        _, near_s, face_s = source_surface.closest(state.inverse(target))
        p = np.concatenate([moved, state(near_s)])
        q = np.concatenate([near_t, target])
        normal = np.concatenate([_normal(target_surface, face_t), _normal(source_surface, face_s) @ state.rotation.T])
        weight = np.concatenate([np.full(len(moved), 1 / len(moved)), np.full(len(target), 1 / len(target))])
        change = procrustes(p, q, with_scale) if step < 5 else _small_motion(p, q, normal, weight, with_scale)
        state = change.after(state)
        if np.linalg.norm(change(p) - p, axis=1).max() < tolerance_m:
            break
    return state


def _normal(surface: Surface, face: np.ndarray) -> np.ndarray:
    return surface.normals[np.searchsorted(surface.rows, face)]


def _small_motion(p, q, normal, weight, with_scale, across: float = 0.1) -> Similarity:
    """One Gauss-Newton step: turn w, shift t, log-scale s with p + w x p' + t + s p' ~ q, about the centre."""
    centre = np.average(p, axis=0, weights=weight)
    r = p - centre
    gap = q - p
    jacobian = np.zeros((len(p), 3, 7))
    jacobian[:, 0, 1], jacobian[:, 0, 2] = r[:, 2], -r[:, 1]
    jacobian[:, 1, 0], jacobian[:, 1, 2] = -r[:, 2], r[:, 0]
    jacobian[:, 2, 0], jacobian[:, 2, 1] = r[:, 1], -r[:, 0]
    jacobian[:, [0, 1, 2], [3, 4, 5]] = 1
    jacobian[:, :, 6] = r if with_scale else 0
    along = np.einsum("nk,nkj->nj", normal, jacobian)
    left = np.einsum("n,ni,nj->ij", weight, along, along) + across * np.einsum("n,nki,nkj->ij", weight, jacobian, jacobian)
    right = np.einsum("n,ni,n->i", weight, along, (normal * gap).sum(1)) + across * np.einsum(
        "n,nki,nk->i", weight, jacobian, gap)
    if not with_scale:
        left[6, 6] = 1.0
    x = np.linalg.solve(left + 1e-12 * np.eye(7), right)
    rotation, scale = _rotation(x[:3]), float(np.exp(np.clip(x[6], -0.2, 0.2)))
    return Similarity(scale, rotation, centre + x[3:6] - scale * rotation @ centre)


def _rotation(w: np.ndarray) -> np.ndarray:
    """Axis-angle (3,) -> (3, 3)."""
    angle = np.linalg.norm(w)
    if angle < 1e-12:
        return np.eye(3)
    k = w / angle
    cross = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
