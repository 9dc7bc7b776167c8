"""Weights of finger bones for a mesh whose hands may be anything from ten fingers to a mitten.

A hand's weight is split among its fingers as on the closest part of the body. Whether the mesh really has fingers is looked at (does it run
across from one finger to the next beyond the knuckles?) and tried out: they are straightened and moved against each other, and the faces
that this tears are counted. A hand that has none gets shares that run smoothly from finger to finger and along them, so that it bends like
a mitten, and it rests as it was photographed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, diags

from ..body.hands import HANDS, bends, bent, with_fingers
from ..body.skinning import skin, unskin
from ..contract.joints import FINGERS
from .closest import closest_points
from .fill import mesh_edges
from .transfer import keep_largest

_ACROSS = [FINGERS.index(name) for name in ("index", "middle", "ring", "pinky")]


@dataclass(frozen=True)
class FingerConfig:
    """Lengths in metres; found by looking at 20 thousand to 200 thousand triangle meshes of the project's photos."""

    fine_m: float = 0.003        # how far shares run along the surface: fingers that are fingers
    coarse_m: float = 0.025      # idem: a mitten
    torn: float = 3.0            # an edge this many times longer counts as torn
    torn_share: float = 0.02     # of a hand's faces; above, it has no fingers
    across: float = 0.04         # share of the fingers' edges that run from one to another; above, it has no fingers
    fewest: int = 80             # such edges that fingers need at all
    known: float = 0.05          # least hand weight of the closest body point whose shares are believed
    scissors: float = 0.6        # radians by which every other finger is bent in the trial
    turn_cost_m: float = 0.008   # a normal turned by 60 degrees counts as this far away
    influences: int = 6


@dataclass(frozen=True)
class Split:
    """weights (V, 54) float64, rows sum to 1. apart: per hand, whether the mesh has separate fingers there.

    moves (30, 4, 4): what the fingers do between the rig's rest pose and the photo: the identity for a hand that rests as photographed.
    torn: per hand the share of faces that tear when fingers move against each other.
    """

    weights: np.ndarray
    apart: tuple[bool, bool]
    moves: np.ndarray
    torn: tuple[float, float]


def split_fingers(vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray, weights: np.ndarray, body_vertices: np.ndarray,
                  body_faces: np.ndarray, finger_weights: np.ndarray, pose: np.ndarray, joints: np.ndarray, transforms: np.ndarray,
                  config: FingerConfig = FingerConfig()) -> Split:
    """vertices (V, 3), normals (V, 3) and body_vertices (Vb, 3), all posed; weights (V, 24); finger_weights (Vb, 30), pose (30, 3) and rest joints (30, 3)
    of the body's fingers; transforms (24, 4, 4) rest to posed."""
    edges = mesh_edges(faces)
    out = np.concatenate([weights, np.zeros((len(weights), 30))], 1)
    moves, apart, torn = bends(pose, joints), [], []
    for side, hand in enumerate(HANDS):
        mine = slice(15 * side, 15 * side + 15)
        rows = np.nonzero(weights[:, hand] > 0)[0]
        is_apart, share_torn = False, 0.0
        if len(rows):
            found = np.zeros((len(weights), 15))
            found[rows] = _looked_up(vertices[rows], normals[rows], body_vertices, body_faces, finger_weights[:, mine], config)
            fused = _fused(found, edges, config)
            for reach in (config.coarse_m,) if fused else (config.fine_m, config.coarse_m):
                share = _spread(found[rows], rows, vertices, edges, reach, config.known)
                trial = moves.copy()
                if reach == config.coarse_m:
                    trial[mine] = np.eye(4)
                if reach == config.coarse_m:
                    share = _mitten(share)
                row_weights = keep_largest(_given(out[rows], share, hand, side), config.influences)
                rest_at = joints if reach == config.fine_m else _moved(bends(pose, joints), joints)
                share_torn = _trial(vertices, faces, rows, row_weights, with_fingers(transforms, trial), rest_at, mine, config)
                is_apart = reach == config.fine_m and share_torn <= config.torn_share
                if is_apart:
                    break
            out[rows], moves = row_weights, trial
        else:
            moves[mine] = np.eye(4)
        apart.append(is_apart)
        torn.append(share_torn)
    return Split(out, tuple(apart), moves, tuple(torn))


def _looked_up(points, normals, body_vertices, body_faces, finger_weights, config):
    """(N, 15) finger weights of the closest points on the body's hand. The next finger is nearer than a turned normal is worth: a search
    as for whole limbs would take the back of one finger for that of another."""
    own = body_faces[finger_weights.any(1)[body_faces].any(1)]
    return closest_points(points, body_vertices, own, normals, turn_cost_m=config.turn_cost_m).interpolate(finger_weights, own)


def _fused(found: np.ndarray, edges: np.ndarray, config: FingerConfig) -> bool:
    """The mesh runs from finger to finger beyond the first joints, or is too coarse there to say. found (V, 15): the body's weights."""
    by = found.reshape(-1, 5, 3)[:, _ACROSS]
    beyond = by[:, :, 1:].sum((1, 2)) > 0.5
    finger = by.sum(2).argmax(1)
    i, j = edges[beyond[edges].all(1)].T
    return len(i) < config.fewest or bool((finger[i] != finger[j]).mean() > config.across)


def _given(weights: np.ndarray, share: np.ndarray, hand: int, side: int) -> np.ndarray:
    """(N, 54) weights whose hand column has gone to the fingers by `share` (N, 15); what no finger claims stays with the hand."""
    out = weights.copy()
    out[:, 24 + 15 * side:39 + 15 * side] = weights[:, [hand]] * share
    out[:, hand] = weights[:, hand] * (1 - share.sum(1)).clip(0, 1)
    return out


def _spread(found, rows, vertices, edges, reach, known):
    """(N, 15) shares of the rows: the body's where it has a hand, carried on over the mesh, then smoothed over `reach` metres."""
    n = len(rows)
    place = np.full(len(vertices), -1)
    place[rows] = np.arange(n)
    i, j = place[edges].T
    inside = (i >= 0) & (j >= 0)
    i, j = i[inside], j[inside]
    link = coo_matrix((np.ones(2 * len(i)), (np.r_[i, j], np.r_[j, i])), shape=(n, n)).tocsr()
    even = diags(1 / np.maximum(np.asarray(link.sum(1))[:, 0], 1)) @ link
    total = found.sum(1)
    sure = total > known
    share = np.where(sure[:, None], found / np.maximum(total, 1e-9)[:, None], 0.0)
    mass = sure.astype(float)
    for _ in range(40):                                       # the body's hand ends before the mesh's: its shares go on
        if mass.all():
            break
        add, more = even @ share, even @ mass
        fresh = (mass == 0) & (more > 0)
        share[fresh] = add[fresh] / more[fresh, None]
        mass[fresh] = 1.0
    lonely = mass == 0
    length = np.linalg.norm(vertices[rows[i]] - vertices[rows[j]], axis=1).mean() if len(i) else 1.0
    for _ in range(int(np.clip(np.ceil(2 * (reach / length) ** 2), 1, 200))):
        share = 0.5 * share + 0.5 * (even @ share)
    share[lonely] = 0.0
    return share


def _mitten(share: np.ndarray) -> np.ndarray:
    """(N, 15) smooth shares -> (N, 15) that are as smooth with few bones each: two neighbouring fingers, two neighbouring joints, the thumb."""
    by = share.reshape(-1, 5, 3)
    total = np.maximum(share.sum(1), 1e-9)
    side_by_side = by[:, _ACROSS].sum(2)
    across = (side_by_side @ np.arange(4)) / np.maximum(side_by_side.sum(1), 1e-9)
    along = (by.sum(1) @ np.arange(3)) / total
    thumb = by[:, 4].sum(1) / total
    hat = lambda x, n: np.maximum(1 - np.abs(x[:, None] - np.arange(n)), 0)      # noqa: E731
    finger = np.zeros((len(share), 5))
    finger[:, _ACROSS] = hat(across, 4) * (1 - thumb)[:, None]
    finger[:, 4] = thumb
    return (finger[:, :, None] * hat(along, 3)[:, None] * (share.sum(1) > 0)[:, None, None]).reshape(-1, 15)


def _moved(moves: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.einsum("jab,jb->ja", moves[:, :3, :3], points) + moves[:, :3, 3]


def _trial(vertices, faces, rows, weights, transforms, joints, mine, config) -> float:
    """Share of the hand's faces that tear between photo, rest, a fist and fingers bent against each other."""
    place = np.full(len(vertices), -1)
    place[rows] = np.arange(len(rows))
    f = place[faces]
    f = f[(f >= 0).all(1)]
    if not len(f):
        return 0.0
    posed = np.asarray(vertices, np.float64)[rows]
    rest = unskin(posed, weights, transforms)
    torn = _stretched(posed, rest, f, config.torn)
    side = -1.0 if mine.start == 0 else 1.0                   # about z: down, into the palm, at rest
    for pattern in ((1, 1, 1, 1, 0), (1, 0, 0, 1, 0), (0, 1, 0, 0, 1)):
        pose = np.zeros((30, 3))
        pose[mine, 2] = side * config.scissors * np.repeat(pattern, 3)
        whole = np.concatenate([np.tile(np.eye(4), (24, 1, 1)), bends(pose, joints)])
        torn |= _stretched(rest, skin(rest, weights, whole), f, config.torn)
    return float(torn.mean())


def _stretched(before, after, f, limit):
    """(F,) bool: faces with an edge `limit` times longer after than before (short edges count as a quarter of the mean one)."""
    a = np.stack([np.linalg.norm(before[f[:, k]] - before[f[:, k - 1]], axis=1) for k in range(3)], 1)
    b = np.stack([np.linalg.norm(after[f[:, k]] - after[f[:, k - 1]], axis=1) for k in range(3)], 1)
    return (b > limit * np.maximum(a, 0.25 * a.mean())).any(1)


def rest_joints(joints: np.ndarray, pose: np.ndarray, split: Split) -> np.ndarray:
    """(30, 3) finger joints at the rig's rest: straight, or, for a hand that rests as photographed, where the photo has them."""
    return np.where(np.repeat(split.apart, 15)[:, None], joints, _moved(bends(pose, joints), joints))


def body_at_rest(straight: np.ndarray, finger_weights: np.ndarray, pose: np.ndarray, joints: np.ndarray, split: Split) -> np.ndarray:
    """(V, 3) the fitted body as the rig rests: hands with separate fingers straight, the others as photographed."""
    stay = np.repeat([not apart for apart in split.apart], 15)
    return bent(straight, finger_weights, bends(pose * stay[:, None], joints))
