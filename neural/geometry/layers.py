"""The fitted body cut into ten overlapping pieces, each seen by the camera on its own.

Two depth maps cannot tell an arm in front of the chest from the chest; a map per limb can. Neighbouring pieces share
a strip of surface round their joint, so that their union is the body again, without seams.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..contract.frames import Camera
from ..contract.joints import JOINT
from .normals import vertex_normals
from .raster import rasterize

PIECES = ("torso", "head", "left_arm", "right_arm", "left_forearm", "right_forearm",
          "left_thigh", "right_thigh", "left_shin", "right_shin")

CHAINS = ("trunk", "left_arm", "right_arm")
"""What may be moved apart: everything that is no arm, and the two arms with their hands."""

CHAIN_OF_PIECE = np.array([0] + [1 if n in ("left_arm", "left_forearm") else 2 if n in ("right_arm", "right_forearm")
                                 else 0 for n in PIECES])
"""(11,) index into CHAINS of each piece number (index into PIECES + 1); 0 also for pieces not known."""

_JOINTS_OF = {
    "torso": ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar"),
    "head": ("neck", "head"),
    "left_arm": ("left_shoulder",), "right_arm": ("right_shoulder",),
    "left_forearm": ("left_elbow", "left_wrist", "left_hand"),
    "right_forearm": ("right_elbow", "right_wrist", "right_hand"),
    "left_thigh": ("left_hip",), "right_thigh": ("right_hip",),
    "left_shin": ("left_knee", "left_ankle", "left_foot"), "right_shin": ("right_knee", "right_ankle", "right_foot"),
}

LINKS = (("torso", "head"), ("torso", "left_arm"), ("torso", "right_arm"), ("left_arm", "left_forearm"),
         ("right_arm", "right_forearm"), ("torso", "left_thigh"), ("torso", "right_thigh"),
         ("left_thigh", "left_shin"), ("right_thigh", "right_shin"), ("left_thigh", "right_thigh"))
"""Pieces whose surfaces run into each other."""

OVERLAP = 0.06  # width of the shared strip beyond the cut, in body heights (10 cm at 1.75 m: over a thigh's radius)

FACING = 0.75   # |n_z| of a cut's flat cap from which it counts as facing the camera


@dataclass(frozen=True)
class Layer:
    """One piece on a canvas (H, W). Outside the piece: NaN, 0 or False.

    front, back      (H, W) float32 z in metres: nearest and farthest surface of this piece alone.
    normal_front, normal_back   (H, W, 3) float32 unit outward normals, camera frame (zero outside).
    part             (H, W) uint8 SMPL joint + 1 on the front side.
    cut              (H, W) bool: where the piece was cut from its neighbour (the cut's flat cap is in view).
    """

    name: str
    front: np.ndarray
    back: np.ndarray
    normal_front: np.ndarray
    normal_back: np.ndarray
    part: np.ndarray
    to_cut: np.ndarray

    @property
    def hit(self) -> np.ndarray:
        return np.isfinite(self.front)


def piece_of_joint() -> np.ndarray:
    """(24,) index into PIECES of every SMPL joint."""
    out = np.zeros(24, np.int64)
    for k, name in enumerate(PIECES):
        for joint in _JOINTS_OF[name]:
            out[JOINT[joint]] = k
    return out


def linked(a: int, b: int) -> bool:
    """Whether two pieces (indices) run into each other."""
    return (PIECES[a], PIECES[b]) in LINKS or (PIECES[b], PIECES[a]) in LINKS


def joined(a: int, b: int) -> bool:
    """Whether two pieces (indices) are neighbours on the skeleton, so that where they meet they are one surface."""
    return linked(a, b) and {PIECES[a], PIECES[b]} != {"left_thigh", "right_thigh"}


def body_layers(body, camera: Camera, device: str = "cpu") -> list[Layer | None]:
    """Every piece of `body` (stages.s03_body.Body: vertices, faces, part, rest_vertices, height_m) seen by `camera`.

    In the order of PIECES; None where a piece lies outside the canvas.
    """
    normals = vertex_normals(body.vertices, body.faces)
    piece = piece_of_joint()[body.part]
    reach = OVERLAP * max(float(np.ptp(body.rest_vertices[:, 1])), 1e-3)
    pixels = camera.project(np.where(body.vertices[:, 2:3] > 1e-3, body.vertices, 1.0))
    out: list[Layer | None] = []
    for k, name in enumerate(PIECES):
        chosen = _with_strips(body, piece, k, reach)
        faces = body.faces[chosen[body.faces].all(1)]
        out.append(_draw(name, body, faces, normals, pixels, camera, device) if len(faces) else None)
    return out


def _with_strips(body, piece: np.ndarray, k: int, reach: float) -> np.ndarray:
    """(V,) bool: the piece's vertices and those of its neighbours within `reach` of it (measured at rest)."""
    own = piece == k
    corners = own[body.faces]
    border = np.unique(body.faces[corners.any(1) & ~corners.all(1)])
    border = border[own[border]]
    if not len(border):
        return own
    near = cKDTree(body.rest_vertices[border]).query(body.rest_vertices, distance_upper_bound=reach)[0] <= reach
    friends = np.array([j == k or joined(j, k) for j in range(len(PIECES))])
    return own | (near & friends[piece])


def _draw(name, body, faces, normals, pixels, camera, device) -> Layer | None:
    corner = pixels[faces]
    if not ((corner.max(1) > 0).all(1) & (corner.min(1) < [camera.width, camera.height]).all(1)).any():
        return None
    caps, centres = _caps(body.vertices, faces)
    vertices = np.concatenate([body.vertices, centres]) if len(centres) else body.vertices
    extended = np.concatenate([normals, np.zeros((len(centres), 3), np.float32)]) if len(centres) else normals
    closed = np.concatenate([faces, caps]) if len(caps) else faces
    near = rasterize(vertices, closed, camera, device=device)
    if not near.hit.any():
        return None
    far = rasterize(vertices, closed, camera, farthest=True, device=device)
    to_cut = np.full(near.face.shape, np.inf, np.float32)
    if len(caps):
        loop = np.unique(caps[caps < len(body.vertices)])
        away = cKDTree(body.rest_vertices[loop]).query(body.rest_vertices)[0]
        away = np.concatenate([away, np.zeros(len(centres))]).astype(np.float32)[:, None]
        facing = np.ones(len(closed), bool)
        cap = vertices[caps]
        n = np.cross(cap[:, 1] - cap[:, 0], cap[:, 2] - cap[:, 0])
        facing[len(faces):] = np.abs(n[:, 2]) > FACING * np.linalg.norm(n, axis=1)
        for side in (near, far):
            fair = (side.face >= len(faces)) & facing[np.maximum(side.face, 0)]
            distance = np.where(side.hit & ~fair, side.interpolate(away, closed)[..., 0], np.inf)
            to_cut = np.minimum(to_cut, distance)
    part = np.zeros(near.face.shape, np.uint8)
    sides = []
    for side in (near, far):
        n = side.interpolate(extended, closed)
        sides.append(n / np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-6))
    first = closed[np.maximum(near.face, 0), 0]
    known = near.hit & (first < len(body.part))
    part[known] = body.part[first[known]] + 1
    return Layer(name, near.depth, far.depth, *sides, part, to_cut)


def _caps(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fans that close the open borders of `faces`, each border component to its own centre."""
    from .repair import boundary_loops
    new, centres = [], []
    for loop in boundary_loops(faces.astype(np.int64), len(vertices)):
        if len(loop) < 3:
            continue
        new.append(np.stack([loop, np.roll(loop, -1), np.full(len(loop), len(vertices) + len(centres))], 1))
        centres.append(vertices[loop].mean(0))
    if not new:
        return np.zeros((0, 3), faces.dtype), np.zeros((0, 3), vertices.dtype)
    return np.concatenate(new).astype(faces.dtype), np.asarray(centres, vertices.dtype)
