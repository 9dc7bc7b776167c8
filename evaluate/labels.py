"""Which limb the true surface belongs to: the oracle's depth maps need it, as the later stages take touching limbs apart by it.

Best first: the body parts in the file (`_PART`, our own suites); else the nearest bone between the suite's joints; else, for
suites that have neither, the fitted body. What was used is said in the row.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.spatial import cKDTree

from neural.contract.joints import JOINT, SMPL_PARENTS
from neural.geometry.layers import PIECES, piece_of_joint
from neural.geometry.raster import Fragments

from .readers.mesh import Mesh

RADIUS_M = {"torso": 0.11, "head": 0.09, "arm": 0.045, "forearm": 0.035, "thigh": 0.075, "shin": 0.05}
"""How far the skin is from the bone, for legs of _LEG_M; only differences matter."""

_LEG_M = 0.80       # hip to knee to ankle of somebody 1.75 m tall

_AWAY_M = 0.05      # a surface that looks towards a bone instead of away from it counts as this much farther off
_ROUNDS = 6         # of smoothing over the mesh
_CROWN = 1.5        # the head goes on beyond its joint by this many neck-to-head distances
_FINGERS = 0.9      # ... and a hand by this many wrist-to-hand distances


def limbs(mesh: Mesh, joints: np.ndarray, known: np.ndarray, body=None) -> tuple[np.ndarray, str]:
    """(V,) uint8 limb of each vertex, index into layers.PIECES + 1, and where it comes from ("file", "joints", "fitted body").

    mesh and joints (24, 3) in one frame; body: the fitted body in it (stages.s03_body.Body), asked when all else fails.
    """
    fallback, source = None, ""
    if known[[j for j in range(24) if j not in (JOINT["left_hand"], JOINT["right_hand"])]].all():
        fallback, source = from_joints(mesh, joints, known), "joints"
    elif body is not None:
        near = cKDTree(body.vertices).query(mesh.vertices)[1]
        fallback, source = (piece_of_joint()[body.part[near]] + 1).astype(np.uint8), "fitted body"
    if mesh.part is None:
        return (fallback if fallback is not None else np.zeros(len(mesh.vertices), np.uint8)), source or "none"
    out = np.where(mesh.part >= 0, piece_of_joint()[np.maximum(mesh.part, 0)] + 1, 0).astype(np.uint8)
    if (mesh.part < 0)[mesh.faces].any() and fallback is not None:
        return np.where(mesh.part < 0, fallback, out), f"file, {source}"
    return out, "file"


def from_joints(mesh: Mesh, joints: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(V,) uint8: the limb of the nearest bone whose far side the vertex is not on; single odd ones follow their neighbours."""
    start, end, piece = bones(joints, known)
    leg = [joints[[JOINT[f"{s}_{n}"] for n in ("hip", "knee", "ankle")]] for s in ("left", "right")]
    scale = float(np.mean([np.linalg.norm(np.diff(chain, axis=0), axis=1).sum() for chain in leg])) / _LEG_M
    radius = scale * np.array([RADIUS_M[PIECES[p].split("_")[-1]] for p in piece])
    normal = np.zeros_like(mesh.vertices)
    np.add.at(normal, mesh.faces, mesh.normals)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    cost = np.full((len(mesh.vertices), len(PIECES)), np.inf)
    for a, b, p, r in zip(start, end, piece, radius):
        axis = b - a
        t = np.clip((mesh.vertices - a) @ axis / max(float(axis @ axis), 1e-9), 0, 1)
        gap = mesh.vertices - (a + t[:, None] * axis)
        length = np.linalg.norm(gap, axis=1)
        looks = (gap * normal).sum(1) / np.maximum(length, 1e-9)
        cost[:, p] = np.minimum(cost[:, p], np.abs(length - r) + scale * _AWAY_M * np.clip(0.5 - looks, 0, 1))
    return (_smoothed(cost, mesh) + 1).astype(np.uint8)


def bones(joints: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Segments (B, 3), (B, 3) and their limbs (B,), index into PIECES. Head and hands go on beyond their last joint."""
    own = piece_of_joint()
    start, end, piece = [], [], []
    for child, parent in enumerate(SMPL_PARENTS):
        if parent >= 0 and known[child] and known[parent]:
            start.append(joints[parent])
            end.append(joints[child])
            piece.append(own[parent])
    neck, head = joints[JOINT["neck"]], joints[JOINT["head"]]
    start.append(head)
    end.append(head + _CROWN * (head - neck))
    piece.append(own[JOINT["head"]])
    for side in ("left", "right"):
        wrist, hand = JOINT[f"{side}_wrist"], JOINT[f"{side}_hand"]
        tip = joints[hand] if known[hand] else joints[wrist] + 0.3 * (joints[wrist] - joints[JOINT[f"{side}_elbow"]])
        start.append(tip)
        end.append(tip + _FINGERS * (tip - joints[wrist]))
        piece.append(own[hand])
    return np.stack(start), np.stack(end), np.array(piece)


def on_canvas(drawn: Fragments, mesh: Mesh, limb: np.ndarray) -> np.ndarray:
    """(H, W) uint8: the limb of the drawn surface (its face's nearest corner), 0 where nothing is."""
    out = np.zeros(drawn.face.shape, np.uint8)
    face, corner = drawn.face[drawn.hit], drawn.bary[drawn.hit].argmax(1)
    out[drawn.hit] = limb[mesh.faces[face, corner]]
    return out


def _smoothed(cost: np.ndarray, mesh: Mesh) -> np.ndarray:
    """(V,) cheapest limb after the costs were averaged over neighbours; vertices at one place (texture seams) count as one."""
    _, first, weld = np.unique(np.round(mesh.vertices, 5), axis=0, return_index=True, return_inverse=True)
    weld, cost = weld.reshape(-1), cost[first]
    f = weld[mesh.faces]
    a, b = np.concatenate([f, np.roll(f, -1, 1)]).reshape(-1), np.concatenate([np.roll(f, -1, 1), f]).reshape(-1)
    near = coo_matrix((np.ones(len(a)), (a, b)), shape=(len(first),) * 2).tocsr()
    count = np.maximum(np.asarray(near.sum(1)), 1)
    for _ in range(_ROUNDS):
        cost = 0.5 * cost + 0.5 * np.where(count > 1, near @ cost / count, cost)
    return np.argmin(cost, 1)[weld]

