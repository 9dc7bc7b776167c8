"""The skeleton as numbers: where bones lie, how SMPL rotations become bone rotations. numpy only, no bpy.

Frames (neural/contract/frames.py): `body` is SMPL's T-pose (Y up, facing +Z); `blender` is +Z up, facing -Y.
All matrices act on column vectors, float64, metres, radians.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..neural.contract.frames import BLENDER_FROM_BODY, blender_from_camera
from ..neural.contract.joints import FINGER_JOINTS, FINGERS

MAIN_CHILD = {
    "pelvis": "spine1", "spine1": "spine2", "spine2": "spine3", "spine3": "neck", "neck": "head",
    "left_hip": "left_knee", "left_knee": "left_ankle", "left_ankle": "left_foot",
    "right_hip": "right_knee", "right_knee": "right_ankle", "right_ankle": "right_foot",
    "left_collar": "left_shoulder", "left_shoulder": "left_elbow", "left_elbow": "left_wrist",
    "left_wrist": "left_hand", "right_collar": "right_shoulder", "right_shoulder": "right_elbow",
    "right_elbow": "right_wrist", "right_wrist": "right_hand",
}
MAIN_CHILD |= {f"{side}_{finger}{k}": f"{side}_{finger}{k + 1}" for side in ("left", "right") for finger in FINGERS for k in (1, 2)}
"""The child a bone points to; the other children (hips, collars) hang off without being connected."""

FINGER_HINGE = {"left": np.array([0.0, 1.0, 0.0]), "right": np.array([0.0, -1.0, 0.0])}
THUMB_HINGE = {"left": np.array([0.1, -0.65, 0.75]), "right": np.array([0.1, 0.65, -0.75])}
"""About which axis a finger bends into the palm when the hands rest with the palms down, frame `blender`."""
ARM_PARTS = ("collar", "shoulder", "elbow", "wrist", "hand")
SOLE_REACH_M = 0.15  # a surface whose lowest point is further than this from the body's soles has no feet of its own


@dataclass(frozen=True)
class BonePlace:
    """One bone at rest, frame `blender`, metres.

    head, tail  (3,) float64.   z_axis  (3,) unit: where the bone's Z shall point, so that +X bends the joint the
    natural way (elbow forward, knee backward, spine forward).   connected  True when `head` is the parent's tail.
    """

    name: str
    parent: int
    head: np.ndarray
    tail: np.ndarray
    z_axis: np.ndarray
    connected: bool


def rotation(axis_angle: np.ndarray) -> np.ndarray:
    """(..., 3) axis-angle -> (..., 3, 3) rotation (Rodrigues)."""
    axis_angle = np.asarray(axis_angle, np.float64)
    angle = np.linalg.norm(axis_angle, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(axis_angle, -1, 0)
    o = np.zeros_like(x)
    k = np.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*x.shape, 3, 3)
    small = angle < 1e-8
    safe = np.where(small, 1.0, angle)
    a = np.where(small, 1.0, np.sin(safe) / safe)
    b = np.where(small, 0.5, (1 - np.cos(safe)) / safe**2)
    return np.eye(3) + a * k + b * (k @ k)


def quaternions(rotations: np.ndarray) -> np.ndarray:
    """(..., 3, 3) rotations -> (..., 4) unit quaternions w, x, y, z with w >= 0 (Shepperd's method)."""
    m = np.asarray(rotations, np.float64)
    d = np.diagonal(m, axis1=-2, axis2=-1)
    trace = d.sum(-1)
    candidates = np.stack([1 + trace, 1 - trace + 2 * d[..., 0], 1 - trace + 2 * d[..., 1], 1 - trace + 2 * d[..., 2]], -1)
    s = [m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]]
    p = [m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]]
    c = np.moveaxis(candidates, -1, 0)
    rows = np.stack([
        np.stack([c[0], s[0], s[1], s[2]], -1), np.stack([s[0], c[1], p[0], p[1]], -1),
        np.stack([s[1], p[0], c[2], p[2]], -1), np.stack([s[2], p[1], p[2], c[3]], -1),
    ], -2)
    best = np.argmax(candidates, -1)
    q = np.take_along_axis(rows, best[..., None, None], -2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(q[..., :1] < 0, -q, q)


def affine(rotation_: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """(..., 3, 3) and (..., 3) -> (..., 4, 4)."""
    out = np.zeros((*np.shape(rotation_)[:-2], 4, 4))
    out[..., :3, :3], out[..., :3, 3], out[..., 3, 3] = rotation_, translation, 1.0
    return out


def skin(transforms: np.ndarray, weight_joints: np.ndarray, weight_values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Linear blend skinning: (J, 4, 4), (V, K), (V, K), (V, 3) -> (V, 3) float64."""
    points = np.asarray(points, np.float64)
    values = np.asarray(weight_values, np.float64)
    values = values / np.maximum(values.sum(1, keepdims=True), 1e-12)
    out = np.zeros_like(points)
    for k in range(values.shape[1]):
        t = transforms[weight_joints[:, k]]
        out += values[:, k, None] * (np.einsum("vij,vj->vi", t[:, :3, :3], points) + t[:, :3, 3])
    return out


def smpl_transforms(pose: np.ndarray, rest_joints: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """(J, 3) axis-angle, (J, 3) rest joints -> (J, 4, 4) joint transforms in the rest frame's own axes."""
    turns = rotation(pose)
    out = np.zeros((len(parents), 4, 4))
    for j, parent in enumerate(parents):
        about = affine(turns[j], rest_joints[j] - turns[j] @ rest_joints[j])
        out[j] = about if parent < 0 else out[parent] @ about
    return out


def basis_matrices(deform: np.ndarray, rest: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Bone-local pose matrices (what Blender calls matrix_basis).

    deform  (J, 4, 4): takes points at rest to posed points, frame `blender`.
    rest    (J, 4, 4): the bones' rest matrices in armature space.
    Blender poses a bone as  pose_j = pose_p rest_p^-1 rest_j basis_j  and skins with pose_j rest_j^-1 = deform_j,
    so basis_j = rest_j^-1 deform_p^-1 deform_j rest_j.
    """
    out = np.zeros_like(np.asarray(deform, np.float64))
    for j, parent in enumerate(parents):
        local = deform[j] if parent < 0 else np.linalg.inv(deform[parent]) @ deform[j]
        out[j] = np.linalg.inv(rest[j]) @ local @ rest[j]
    return out


def floor_z(mesh_z: np.ndarray, body_z: np.ndarray) -> float:
    """Height of the soles: the surface's lowest point, or the body's where the surface has no feet (cut photos)."""
    low = float(np.min(mesh_z))
    if len(body_z) == 0:
        return low
    body = float(np.min(body_z))
    return low if abs(low - body) <= SOLE_REACH_M else min(low, body)


def rest_placement(pelvis: np.ndarray, vertices: np.ndarray, body_vertices: np.ndarray) -> np.ndarray:
    """(4, 4) blender_from_body: pelvis over the origin, soles at z = 0. All inputs in frame `body`."""
    turn = BLENDER_FROM_BODY
    z = floor_z(vertices @ turn[2], body_vertices @ turn[2])
    at = turn @ pelvis
    return affine(turn, np.array([-at[0], -at[1], -z]))


def photo_placement(pelvis: np.ndarray, vertices: np.ndarray, body_vertices: np.ndarray, up: np.ndarray) -> np.ndarray:
    """(4, 4) blender_from_camera: pelvis over the origin, soles at z = 0, `up` along +Z. All inputs posed, frame `camera`."""
    turn = blender_from_camera(up)
    z = floor_z(vertices @ turn[2], body_vertices @ turn[2])
    at = turn @ pelvis
    return affine(turn, np.array([-at[0], -at[1], -z]))


def _leaf_tail(name: str, head: np.ndarray, came_from: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Tail of a bone without children, from the body's points it moves: crown, toe tips, finger tips."""
    length = float(np.linalg.norm(head - came_from))
    least = 0.03
    if name in FINGER_JOINTS:
        direction, fallback, least = (head - came_from) / max(length, 1e-9), 0.9 * length, 0.008
    elif name == "head":
        direction, fallback = np.array([0.0, 0.0, 1.0]), 1.6 * length
    elif name.endswith("foot"):
        direction, fallback = np.array([0.0, -1.0, 0.0]), 0.6 * length
    else:
        direction, fallback = (head - came_from) / max(length, 1e-9), 1.1 * length
    reach = float(((own - head) @ direction).max()) if len(own) else 0.0
    return head + direction * (reach if reach > least else max(fallback, 0.01 if name in FINGER_JOINTS else 0.05))


def _with_fingers(name: str, names: tuple[str, ...], j: int) -> list[int]:
    """Rows of the joints whose vertices end a bone: its own, and the fingers' for a hand."""
    side = name.split("_")[0]
    return [j] + ([i for i, n in enumerate(names) if n in FINGER_JOINTS and n.startswith(side)] if name.endswith("_hand") else [])


def place_bones(names: tuple[str, ...], parents: np.ndarray, joints: np.ndarray,
                body_vertices: np.ndarray, body_joint: np.ndarray) -> list[BonePlace]:
    """Bones from joints, all in frame `blender`.

    joints (J, 3);  body_vertices (B, 3);  body_joint (B,) the joint with the largest weight of each body vertex.
    """
    index = {n: i for i, n in enumerate(names)}
    out: list[BonePlace] = []
    for j, name in enumerate(names):
        head, parent = joints[j], int(parents[j])
        child = MAIN_CHILD.get(name)
        if child in index:
            tail = joints[index[child]]
        else:
            came_from = joints[parent] if parent >= 0 else head - np.array([0, 0, 0.1])
            tail = _leaf_tail(name, head, came_from, body_vertices[np.isin(body_joint, _with_fingers(name, names, j))])
        if np.linalg.norm(tail - head) < 0.01:  # Blender drops bones of no length
            tail = head + np.array([0, 0, 0.05])
        along = (tail - head) / np.linalg.norm(tail - head)
        if name in FINGER_JOINTS:
            side, finger = name.split("_")
            z_axis = np.cross((THUMB_HINGE if finger.startswith("thumb") else FINGER_HINGE)[side], along)
        elif name.split("_")[-1] in ARM_PARTS:
            z_axis = np.array([0.0, -1.0, 0.0])
        else:
            z_axis = np.cross(np.array([1.0, 0.0, 0.0]), along)
        z_axis = z_axis - along * (z_axis @ along)
        connected = parent >= 0 and MAIN_CHILD.get(names[parent]) == name
        out.append(BonePlace(name, parent, head, tail, z_axis / np.linalg.norm(z_axis), connected))
    return out
