"""A limb whose middle is hidden is tied on again: a hand that points at the camera hides its own forearm, and what no depth map
shows has no points. Between such a loose piece and its limb's stump a tube of points is laid before the surface is solved again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from .layers import CHAIN_OF_PIECE, PIECES
from .topology import face_components

_LIMBS = frozenset(k + 1 for k, name in enumerate(PIECES) if name not in ("torso", "head"))


@dataclass(frozen=True)
class TieConfig:
    """No paper: ours. Lengths in body heights."""

    least_share: float = 0.005   # of the surface's triangles: smaller pieces are crumbs
    farthest: float = 0.20       # a wider gap (35 cm) is not bridged
    end: float = 0.035           # the surface within this (6 cm) of an end decides the tube's middle and radius
    radius: tuple[float, float] = (0.010, 0.045)


def tie_points(vertices: np.ndarray, faces: np.ndarray, xyz: np.ndarray, normals: np.ndarray, piece: np.ndarray, height: float,
               spacing: float, config: TieConfig = TieConfig()) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Tubes from loose limbs of a surface (V, 3), (F, 3) to what they hang on.

    xyz, normals (N, 3), piece (N,) index into PIECES + 1: the points that it was made of.    height of the body, spacing of the
    tubes' points: metres.
    Returns xyz (K, 3) and normals (K, 3) of the new points, and which of the old ones stay (N,) bool (those inside a tube go);
    None when nothing is loose. Only pieces whose points belong to arms or legs are tied.
    """
    count, label = face_components(faces, len(vertices))
    if count < 2 or not len(piece):
        return None
    size = np.bincount(label)
    main = int(np.argmax(size))
    loose = [k for k in np.flatnonzero(size > config.least_share * len(faces)) if k != main]
    if not loose:
        return None
    at = cKDTree(xyz)
    parts = {k: np.unique(faces[label == k]) for k in (main, *loose)}
    limb = {k: piece[at.query(vertices[rows])[1]] for k, rows in parts.items()}
    new, stay = [], np.ones(len(xyz), bool)
    for k in sorted(loose, key=lambda k: -size[k]):
        whose = int(np.bincount(limb[k]).argmax())
        if whose not in _LIMBS:
            continue
        own = _related(limb[main], whose)
        ends = _ends(vertices[parts[k]], vertices[parts[main]][own], config, height)
        if ends is None:
            continue
        tube = _tube(*ends, spacing)
        inside = _inside_tube(xyz, *ends)
        clear = np.ones(len(tube[0]), bool)
        distance, near = at.query(tube[0])
        clear &= ((tube[0] - xyz[near]) * normals[near]).sum(1) > 0           # not within what is there already
        clear &= distance > spacing
        stay &= ~inside
        new.append([a[clear] for a in tube])
    if not new:
        return None
    return *(np.concatenate([n[i] for n in new]) for i in (0, 1)), stay


def _related(limb: np.ndarray, whose: int) -> np.ndarray:
    """(V,) bool: vertices of the same arm or leg; all when there is none of it."""
    chain = int(CHAIN_OF_PIECE[whose])
    side = PIECES[whose - 1].split("_")[0]
    same = CHAIN_OF_PIECE[limb] == chain if chain else np.isin(limb, [k + 1 for k, n in enumerate(PIECES)
                                                                     if n in (f"{side}_thigh", f"{side}_shin")])
    return same if same.any() else np.ones(len(limb), bool)


def _ends(loose: np.ndarray, main: np.ndarray, config: TieConfig, height: float):
    """Middle and radius at either end of the gap: (3,), metres, (3,), metres; None when it is too wide."""
    distance, near = cKDTree(main).query(loose)
    a = int(np.argmin(distance))
    if distance[a] > config.farthest * height:
        return None
    p, q = loose[a], main[near[a]]
    reach = config.end * height
    ends = [cloud[np.linalg.norm(cloud - place, axis=1) < reach] for cloud, place in ((loose, p), (main, q))]
    middle = [e.mean(0) for e in ends]
    axis = middle[1] - middle[0]
    axis /= max(float(np.linalg.norm(axis)), 1e-9)
    out = []
    for e, m in zip(ends, middle):
        off = (e - m) - ((e - m) @ axis)[:, None] * axis
        out += [m, float(np.clip(np.median(np.linalg.norm(off, axis=1)), *(r * height for r in config.radius)))]
    return out


def _tube(a, ra, b, rb, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Points and outward normals of a cone's side from a (radius ra) to b (radius rb)."""
    axis = b - a
    length = max(float(np.linalg.norm(axis)), 1e-6)
    axis = axis / length
    across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    across /= np.linalg.norm(across)
    up = np.cross(axis, across)
    t = np.linspace(0, 1, max(int(np.ceil(length / spacing)), 2))
    turn = np.arange(0, 2 * np.pi, spacing / max(ra, rb))
    t, turn = (g.ravel() for g in np.meshgrid(t, turn, indexing="ij"))
    out = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * up
    xyz = a + t[:, None] * (b - a) + (ra + t * (rb - ra))[:, None] * out
    normal = out + (ra - rb) / length * axis
    return xyz, normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _inside_tube(xyz: np.ndarray, a, ra, b, rb) -> np.ndarray:
    axis = b - a
    t = (xyz - a) @ axis / max(float(axis @ axis), 1e-12)
    off = np.linalg.norm(xyz - a - np.clip(t, 0, 1)[:, None] * axis, axis=1)
    return (t > 0.05) & (t < 0.95) & (off < 0.9 * (ra + np.clip(t, 0, 1) * (rb - ra)))
