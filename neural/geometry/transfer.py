"""Skin weights for a mesh around a body: copied where the body is close and alike, inpainted elsewhere.

After "Robust Skin Weights Transfer via Weight Inpainting" (Abdrashitov et al., 2023): closest point, a test of distance
and normal, bi-Laplacian inpainting; with a uniform Laplacian, since cotangents are infinite on slivers. Two additions for
meshes that are glued together where parts of the body touch: patches that contradict their surroundings are not
trusted, and joints that never meet on the body may not meet on a vertex.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, diags
from scipy.sparse.csgraph import connected_components

from ..contract.joints import SMPL_JOINTS
from .closest import Closest
from .fill import mesh_edges, solve

TRUNK, LEFT_LEG, RIGHT_LEG, LEFT_ARM, RIGHT_ARM, HEAD = range(6)
PART_OF_JOINT = np.array([
    next((part for names, part in (
        (("left_hip", "left_knee", "left_ankle", "left_foot"), LEFT_LEG),
        (("right_hip", "right_knee", "right_ankle", "right_foot"), RIGHT_LEG),
        (("left_shoulder", "left_elbow", "left_wrist", "left_hand"), LEFT_ARM),
        (("right_shoulder", "right_elbow", "right_wrist", "right_hand"), RIGHT_ARM),
        (("neck", "head"), HEAD)) if name in names), TRUNK) for name in SMPL_JOINTS])
"""(24,) the limb of each joint, for patches that contradict their surroundings."""


@dataclass(frozen=True)
class TransferConfig:
    """Distances in metres. Abdrashitov et al. §4 test distance and normal; the numbers are ours, measured."""

    reach_m: float = 0.03
    angle_deg: float = 35.0
    loose_m: float = 0.05        # cloth further away than this (a skirt) may hang between two legs
    island: float = 0.04         # a patch smaller than this share of its part's largest patch is not trusted
    meet: float = 0.02           # joints that share a body vertex with at least this weight each may meet
    bridge_ratio: float = 4.0    # an edge is a bridge when its ends are this many times further apart on the body at rest
    bridge_m: float = 0.05       # ... and at least this far
    smoothing: int = 3
    influences: int = 6


@dataclass(frozen=True)
class Transferred:
    """weights (V, J) float64, at most `influences` a row, rows sum to 1; trusted (V,) bool: copied from the body."""

    weights: np.ndarray
    trusted: np.ndarray


def bridges(vertices: np.ndarray, edges: np.ndarray, near: Closest, body_faces: np.ndarray, body_rest: np.ndarray,
            config: TransferConfig = TransferConfig()) -> np.ndarray:
    """(E,) bool: edges whose ends lie next to each other here but far apart on the body at rest (an arm and the waist that it
    touches). vertices (V, 3) metres; body_rest (Vb, 3) the body in its rest pose."""
    rest = near.interpolate(body_rest, body_faces)
    here = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    there = np.linalg.norm(rest[edges[:, 0]] - rest[edges[:, 1]], axis=1)
    return there > np.maximum(config.bridge_ratio * here, config.bridge_m)


def transfer_weights(faces: np.ndarray, near: Closest, body_faces: np.ndarray, body_weights: np.ndarray,
                     part_of_joint: np.ndarray, config: TransferConfig = TransferConfig(),
                     apart: np.ndarray | None = None) -> Transferred:
    """faces (F, 3) of the mesh; near: closest body points of its vertices, found with normals; body_weights (Vb, J);

    part_of_joint (J,) int: limbs and trunk as numbers, for the test of patches; apart: what `bridges` says of
    mesh_edges(faces): nothing is continued across these edges.
    """
    weights = near.interpolate(body_weights, body_faces)
    weights /= np.maximum(weights.sum(1, keepdims=True), 1e-12)
    edges = mesh_edges(faces)
    if apart is not None:
        edges = edges[~apart]
    trusted = (near.distance <= config.reach_m) & (near.cosine >= np.cos(np.radians(config.angle_deg)))
    if trusted.sum() < 50:                                         # a poor fit: the nearest tenth must do
        trusted = near.distance <= np.quantile(near.distance, 0.1)
    meets = joints_that_meet(body_weights, config.meet)
    trusted &= ~_islands(weights, trusted, edges, part_of_joint, config)
    trusted &= ~_contradicted(weights, trusted, edges)
    weights = _inpaint(weights, trusted, edges)
    loose = near.distance > config.loose_m
    weights = _separate(weights, meets, loose, part_of_joint)
    weights = _soften(weights, meets, edges, config.smoothing)
    weights = _separate(weights, meets, loose, part_of_joint)
    return Transferred(keep_largest(weights, config.influences), trusted)


def joints_that_meet(body_weights: np.ndarray, least: float) -> np.ndarray:
    """(J, J) bool: the two joints share a vertex of the body; symmetric, true on the diagonal."""
    strong = (np.asarray(body_weights) >= least).astype(np.float32)
    return ((strong.T @ strong) > 0) | np.eye(strong.shape[1], dtype=bool)


def keep_largest(weights: np.ndarray, count: int) -> np.ndarray:
    """Zero all but the `count` largest weights of each row, and tiny ones; rows sum to 1."""
    out = np.where(weights < 1e-3, 0.0, weights)
    if out.shape[1] > count:
        least = np.partition(out, -count, axis=1)[:, -count][:, None]
        out = np.where(out >= np.maximum(least, 1e-12), out, 0.0)
        extra = np.nonzero((out > 0).sum(1) > count)[0]            # ties
        for row in extra:
            out[row, np.argsort(-out[row], kind="stable")[count:]] = 0.0
    return out / out.sum(1, keepdims=True)


def _islands(weights, trusted, edges, part_of_joint, config):
    """(V,) bool: trusted vertices in small patches of a limb amid another (a thigh's spot on a hand)."""
    part = part_of_joint[np.argmax(weights, 1)]
    i, j = edges.T
    link = trusted[i] & trusted[j] & (part[i] == part[j])
    n = len(weights)
    patch = connected_components(coo_matrix((np.ones(link.sum()), (i[link], j[link])), shape=(n, n)), directed=False)[1]
    size = np.bincount(patch, trusted)
    largest = np.zeros(int(part_of_joint.max()) + 1)
    np.maximum.at(largest, part, size[patch])
    return trusted & (size[patch] < config.island * largest[part])


def _contradicted(weights, trusted, edges):
    """(V,) bool: weights that hardly overlap with those of the trusted neighbours."""
    i, j = edges[trusted[edges].all(1)].T
    common = np.minimum(weights[i], weights[j]).sum(1)
    n = len(weights)
    total = np.bincount(i, common, n) + np.bincount(j, common, n)
    count = np.bincount(i, minlength=n) + np.bincount(j, minlength=n)
    return trusted & (count > 0) & (total < 0.4 * count)


def _laplacian(edges, n, strength=None):
    w = np.ones(len(edges)) if strength is None else strength
    link = coo_matrix((np.tile(w, 2), (edges.ravel(order="F"), edges[:, ::-1].ravel(order="F"))), shape=(n, n)).tocsr()
    degree = np.asarray(link.sum(1))[:, 0]
    return diags(degree) - link, link, degree


def _inpaint(weights, trusted, edges):
    """Bi-Laplacian continuation of the trusted weights; then clipped and normalised."""
    free, fixed = np.nonzero(~trusted)[0], np.nonzero(trusted)[0]
    if not len(free) or not len(fixed):
        return weights
    lap, _, degree = _laplacian(edges, len(weights))
    even = diags(1.0 / np.maximum(degree, 1)) @ lap                # random-walk Laplacian: even pull at any valence
    square = (even.T @ even + 0.01 * lap).tocsr()                  # a little membrane: less overshoot
    used = np.nonzero(weights[fixed].max(0) > 0)[0]
    hold = 1e-6                                                    # pieces without any trusted vertex keep their copy
    right = hold * weights[np.ix_(free, used)] - square[free][:, fixed] @ weights[np.ix_(fixed, used)]
    inner = csc_matrix(square[free][:, free] + diags(np.full(len(free), hold)))
    out = weights.copy()
    out[free] = 0.0
    out[np.ix_(free, used)] = solve(inner, right)
    out = np.clip(out, 0, None)
    total = out.sum(1, keepdims=True)
    return np.where(total > 1e-6, out / np.maximum(total, 1e-6), weights)


def _separate(weights, meets, loose, part_of_joint):
    """Drop joints that never meet the strongest one on the body (a hand's from the thigh that it touches)."""
    top = np.argmax(weights, 1)
    allowed = meets[top]
    hanging = loose[:, None] & (part_of_joint[top] <= 2)[:, None] & (part_of_joint <= 2)[None, :]   # trunk and legs
    out = np.where(allowed | hanging, weights, 0.0)
    return out / out.sum(1, keepdims=True)


def _soften(weights, meets, edges, steps):
    """Smooth along edges between vertices whose strongest joints meet: no leak where parts merely touch."""
    top = np.argmax(weights, 1)
    strength = meets[top[edges[:, 0]], top[edges[:, 1]]].astype(np.float64)
    _, link, degree = _laplacian(edges, len(weights), strength)
    scale = diags(1.0 / np.maximum(degree, 1))
    keep = (degree == 0)[:, None]
    out = weights
    for _ in range(steps):
        out = np.where(keep, out, 0.5 * out + 0.5 * (scale @ (link @ out)))
    return out / out.sum(1, keepdims=True)
