"""An arm that touches the trunk is swung away before the surface is solved, and brought back afterwards.

In the photo's pose a hand on a hip and the hip are one surface to any reconstruction. So the points of such an arm are
carried into an *opened* pose of the fitted body: the photo's, but for the shoulder (turned until the arm stands off the
trunk, as in an A-pose) and the elbow (nearly straight). Both turns are the smallest that do it, without twist, so that
linear blending stays far from collapse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..body.skinning import skin
from ..contract.joints import JOINT
from .fill import mesh_edges, smooth
from .layers import CHAIN_OF_PIECE, CHAINS, OVERLAP
from .normals import vertex_normals


@dataclass(frozen=True)
class OpeningConfig:
    """No paper: ours, by looking. Angles in degrees, lengths in body heights unless said."""

    off_trunk: tuple[float, float] = (60.0, 90.0)  # where between hanging (0) and T-pose (90) an opened arm may stand
    bend: float = 25.0           # an elbow bent further is straightened to this
    strip: float = 0.03          # beyond its border with the trunk (5 cm) both sides are carried by the same weights
    turn_cost_m: float = 0.04    # a normal turned by 60 degrees counts as this many metres, in the search for weights
    neighbours: int = 12         # body vertices that decide a point's weights
    touch_m: float = 0.025       # points of arm and trunk nearer than this touch ...
    apart: float = 0.07          # ... when the body at rest has at least this much (12 cm) between them
    far: float = 0.05            # nearer than this (9 cm) to the shoulder's border an arm is always joined to the trunk
    touch_area: float = 0.00015  # of body height squared (4 cm^2): less contact than this is none
    hidden_area: float = 0.0006  # ... (17 cm^2): less of the arm before or behind the trunk is none


@dataclass(frozen=True)
class Opening:
    """The opened pose. arms: some of limbs.CHAINS; bind_from_rest (24, 4, 4) float64, as Body.camera_from_rest;

    vertices (Vb, 3) float64: the fitted body in it, camera frame, metres.
    moves (C, 4, 4) float64: opened place from photo place, of what does not move and of each opened arm's upper arm and
    forearm; column (24,) int64: which of them each joint follows.
    """

    arms: tuple[str, ...]
    bind_from_rest: np.ndarray
    vertices: np.ndarray
    moves: np.ndarray
    column: np.ndarray

    def arm_vertices(self, body) -> np.ndarray:
        """(K, 3) the opened arms' part of `vertices`."""
        return self.vertices[own_chain(body, self.arms) > 0]


@dataclass(frozen=True)
class Shares:
    """How much each of N points follows each of Opening.moves: share (N, C) float64, rows sum to 1; points (N, 3) opened."""

    points: np.ndarray
    share: np.ndarray


def open_pose(body, arms: tuple[str, ...], config: OpeningConfig = OpeningConfig()) -> Opening | None:
    """`body` (stages.s03_body.Body) with `arms` ("left_arm", "right_arm") opened; None for no arms."""
    if not arms:
        return None
    transforms = np.array(body.camera_from_rest, np.float64)
    rest = np.asarray(body.rest_joints, np.float64)
    place = lambda j: transforms[j, :3, :3] @ rest[j] + transforms[j, :3, 3]
    trunk = transforms[JOINT["spine3"], :3, :3]
    moves, column, opened = [np.eye(4)], np.zeros(24, np.int64), transforms.copy()
    for arm in arms:
        side = arm.split("_")[0]
        shoulder, elbow, wrist, hand = (JOINT[f"{side}_{n}"] for n in ("shoulder", "elbow", "wrist", "hand"))
        upper, fore = place(elbow) - place(shoulder), place(wrist) - place(elbow)
        local = trunk.T @ _unit(upper)
        angle = np.clip(np.degrees(np.arccos(np.clip(-local[1], -1, 1))), *config.off_trunk)
        outward = 1.0 if side == "left" else -1.0
        target = trunk @ [outward * np.sin(np.radians(angle)), -np.cos(np.radians(angle)), 0.0]
        turn = between(upper, target)
        swing = _about(turn, place(shoulder))
        fore = turn @ fore
        bend = np.degrees(np.arccos(np.clip(_unit(fore) @ target, -1, 1)))
        goal = between(fore, target, share=max(0.0, 1 - config.bend / max(bend, 1e-6)))
        straight = _about(goal, swing[:3, :3] @ place(elbow) + swing[:3, 3]) @ swing
        column[shoulder], column[[elbow, wrist, hand]] = len(moves), len(moves) + 1
        moves += [swing, straight]
    moves = np.stack(moves)
    opened = moves[column] @ transforms
    return Opening(tuple(arms), opened, skin(body.rest_vertices, body.weights, opened), moves, column)


def shares(opening: Opening, body, xyz: np.ndarray, normals: np.ndarray, piece: np.ndarray,
           config: OpeningConfig = OpeningConfig()) -> tuple[np.ndarray, np.ndarray, Shares]:
    """Carry oriented points into the opened pose: xyz (N, 3), normals (N, 3), and what brings vertices back.

    body    as the points lie on it (stages.s03_body.Body, perhaps nudged); piece (N,) as in stages.s07_points.Points.
    A point follows the body nearest to it, in place and normal, of its own limb alone; round the shoulder, of both.
    """
    chain = CHAIN_OF_PIECE[piece]
    chain = np.where(np.isin(chain, [CHAINS.index(a) for a in opening.arms]), chain, 0)
    mine, shoulder = own_chain(body, opening.arms), to_shoulder(body, opening.arms)
    follow = np.zeros((len(body.weights), len(opening.moves)))
    np.add.at(follow.T, opening.column, np.asarray(body.weights, np.float64).T)
    follow /= follow.sum(1, keepdims=True)
    turned = vertex_normals(body.vertices, body.faces)
    share = np.zeros((len(xyz), len(opening.moves)))
    share[:, 0] = 1.0
    for k in np.unique(chain):
        allowed = np.nonzero((mine == k) | (shoulder <= config.strip * body.height_m))[0]
        rows = np.nonzero(chain == k)[0]
        if k == 0:                                                   # only those near to something that moves
            moving = cKDTree(body.vertices[allowed[follow[allowed, 0] < 0.999]])
            rows = rows[np.isfinite(moving.query(xyz[rows], distance_upper_bound=0.08 * body.height_m)[0])]
        if len(rows) and len(allowed):
            share[rows] = _nearest(body.vertices[allowed], turned[allowed], follow[allowed], xyz[rows], normals[rows], config)
    blend = np.einsum("nc,cab->nab", share, opening.moves)
    moved = np.einsum("nab,nb->na", blend[:, :3, :3], xyz) + blend[:, :3, 3]
    bent = np.linalg.solve(np.swapaxes(blend[:, :3, :3], 1, 2), np.asarray(normals, np.float64)[..., None])[..., 0]
    bent /= np.maximum(np.linalg.norm(bent, axis=1, keepdims=True), 1e-9)
    still = share[:, 0] >= 1 - 1e-9
    moved[still], bent[still] = xyz[still], normals[still]
    return moved, bent, Shares(moved, share)


def carry_back(opening: Opening, carried: Shares, vertices: np.ndarray, faces: np.ndarray, near_m: float) -> np.ndarray:
    """Vertices (V, 3) of a surface through the opened points -> (V, 3) float64 in the photo's pose.

    A vertex goes back the way its nearest points came, so that the surface returns to where they were seen. Farther
    than near_m from any point (a closed gap) the way is continued smoothly over the mesh.
    """
    distance, index = cKDTree(carried.points).query(vertices, 6)
    share = _blended(distance, carried.share[index])
    lost = distance[:, 0] > near_m
    if lost.any():
        share = smooth(share, mesh_edges(faces), 40, hold=~lost)
        share /= share.sum(1, keepdims=True)
    blend = np.einsum("nc,cab->nab", share, opening.moves)
    out = np.linalg.solve(blend[:, :3, :3], (vertices - blend[:, :3, 3])[..., None])[..., 0]
    return np.where((share[:, 0] >= 1 - 1e-9)[:, None], vertices, out)


def touching_arms(body, limbs, camera, config: OpeningConfig = OpeningConfig()) -> tuple[str, ...]:
    """Arms that touch, cover or are covered by another limb. limbs: three limbs.Limb in the order of CHAINS; body as they
    lie on it; camera of their canvas."""
    mine, shoulder = own_chain(body, CHAINS[1:]), to_shoulder(body, CHAINS[1:])
    ray, height = camera.pixel_rays(), body.height_m
    clouds = [np.concatenate([ray[m.hit] * z[m.hit][:, None] for z in m.depth]) for m in limbs]
    whose = []
    for k, cloud in enumerate(clouds):
        rows = np.nonzero(mine == k)[0]
        whose.append(rows[cKDTree(body.vertices[rows]).query(cloud)[1]] if len(rows) and len(cloud) else np.zeros(0, int))
    found = []
    for k, name in enumerate(CHAINS[1:], 1):
        if not len(whose[k]):
            continue
        far = shoulder[whose[k]] > config.far * height
        pixel = np.median(clouds[k][:, 2]) ** 2 / (camera.fx * camera.fy) / height ** 2
        others = [j for j in range(3) if j != k and len(clouds[j])]
        both = limbs[k].hit & np.any([limbs[j].hit for j in others], 0) if others else limbs[k].hit & False
        covered = both[limbs[k].hit] & far[:int(limbs[k].hit.sum())]
        touched = 0
        for j in others:
            distance, at = cKDTree(clouds[j]).query(clouds[k][far], distance_upper_bound=config.touch_m)
            near = np.isfinite(distance)
            a, b = whose[k][far][near], whose[j][at[near]]
            away = np.linalg.norm(body.rest_vertices[a] - body.rest_vertices[b], axis=1)
            touched += int((away > config.apart * height).sum())
        if touched * pixel > config.touch_area or covered.sum() * pixel > config.hidden_area:
            found.append(name)
    return tuple(found)


def on_own_side(body, arms: tuple[str, ...], xyz: np.ndarray, piece: np.ndarray) -> np.ndarray:
    """(N,) bool: hidden points that lie on their own limb, not on the strip of the neighbour that layers carry along."""
    chain = CHAIN_OF_PIECE[piece]
    chain = np.where(np.isin(chain, [CHAINS.index(a) for a in arms]), chain, 0)
    mine, strip = own_chain(body, arms), to_shoulder(body, arms) <= OVERLAP * body.height_m
    out = np.ones(len(xyz), bool)
    for k in np.unique(chain):
        rows, allowed = np.nonzero(chain == k)[0], np.nonzero((mine == k) | strip)[0]
        if len(allowed):
            out[rows] = mine[allowed[cKDTree(body.vertices[allowed]).query(xyz[rows])[1]]] == k
    return out


def off_shoulder(body, arms: tuple[str, ...], xyz: np.ndarray, piece: np.ndarray, config: OpeningConfig = OpeningConfig()) -> np.ndarray:
    """(N,) bool: points that lie farther from the border between an opened arm and the trunk than arm and trunk are one."""
    chain = CHAIN_OF_PIECE[piece]
    chain = np.where(np.isin(chain, [CHAINS.index(a) for a in arms]), chain, 0)
    mine, shoulder = own_chain(body, arms), to_shoulder(body, arms)
    out = np.zeros(len(xyz), bool)
    for k in np.unique(chain):
        rows, allowed = np.nonzero(chain == k)[0], np.nonzero(mine == k)[0]
        if len(allowed):
            out[rows] = shoulder[allowed[cKDTree(body.vertices[allowed]).query(xyz[rows])[1]]] > config.strip * body.height_m
    return out


def own_chain(body, arms: tuple[str, ...]) -> np.ndarray:
    """(Vb,) index into CHAINS of every body vertex; arms not named count as trunk."""
    out = np.zeros(len(body.part), np.int64)
    for arm in arms:
        side = arm.split("_")[0]
        joints = [JOINT[f"{side}_{n}"] for n in ("shoulder", "elbow", "wrist", "hand")]
        out[np.isin(body.part, joints)] = CHAINS.index(arm)
    return out


def to_shoulder(body, arms: tuple[str, ...]) -> np.ndarray:
    """(Vb,) metres at rest from every body vertex to the nearest border between an arm and the trunk."""
    mine = own_chain(body, arms)[body.faces]
    border = np.unique(body.faces[(mine != mine[:, :1]).any(1)])
    if not len(border):
        return np.full(len(body.part), np.inf)
    return cKDTree(body.rest_vertices[border]).query(body.rest_vertices)[0]


def _nearest(vertices, turned, values, xyz, normals, config) -> np.ndarray:
    tree = cKDTree(np.concatenate([vertices, turned * config.turn_cost_m], 1))
    distance, index = tree.query(np.concatenate([xyz, normals * config.turn_cost_m], 1), min(config.neighbours, len(vertices)))
    return _blended(distance.reshape(len(xyz), -1), values[index.reshape(len(xyz), -1)])


def _blended(distance: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(N, K) ascending distances, (N, K, C) values -> (N, C): weights that fall to 0 at the last, so nothing jumps."""
    reach = np.maximum(distance[:, -1:], 1e-9) * 1.001
    weight = (1 - distance / reach) ** 2 / (0.05 * reach + distance)
    return np.einsum("nk,nkc->nc", weight / weight.sum(1, keepdims=True), values)


def between(a: np.ndarray, b: np.ndarray, share: float = 1.0) -> np.ndarray:
    """(3, 3): the smallest rotation from direction a to direction b, or a share of it."""
    a, b = _unit(a), _unit(b)
    axis = np.cross(a, b)
    sine, cosine = float(np.linalg.norm(axis)), float(a @ b)
    if sine < 1e-9:
        if cosine > 0:
            return np.eye(3)
        axis, sine = np.cross(a, np.eye(3)[np.argmin(np.abs(a))]), 0.0
    k = _unit(axis)
    angle = share * np.arctan2(sine, cosine)
    cross = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _unit(v: np.ndarray) -> np.ndarray:
    return v / max(float(np.linalg.norm(v)), 1e-12)


def _about(rotation: np.ndarray, centre: np.ndarray) -> np.ndarray:
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = rotation, centre - rotation @ centre
    return out
