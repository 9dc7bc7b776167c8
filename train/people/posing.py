"""Poses of the library put on an avatar's skeleton, and linear blend skinning.

A library pose gives each bone's world rotation relative to the library's rest (an A-pose). An avatar rests in a
T-pose, so a limb bone first turns from the avatar's rest direction to the library's, then by the library's rotation.
Hands and fingers are aligned by two directions (along the hand, and across the knuckles), so that palms face right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neural.contract.joints import SMPL_JOINTS
from neural.geometry.normals import vertex_normals

from .assets import Avatar, PoseLibrary

_FINGERS = {"Thumb": "finger1", "Index": "finger2", "Middle": "finger3", "Ring": "finger4", "Pinky": "finger5"}

_SHOULDER_DROP_DEG = 14.0
"""How far a shoulder sinks between a horizontal and a hanging arm (the scapula's part of the movement); by eye."""

_JOINT_BONE = {
    "pelvis": "Hips", "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2", "neck": "Neck", "head": "Head",
    "left_hip": "LeftUpLeg", "left_knee": "LeftLeg", "left_ankle": "LeftFoot", "left_foot": "LeftToeBase",
    "left_collar": "LeftShoulder", "left_shoulder": "LeftArm", "left_elbow": "LeftForeArm",
    "left_wrist": "LeftHand", "left_hand": "LeftHandMiddle1",
}


@dataclass(frozen=True)
class Posed:
    """A posed avatar, world frame (metres, z up), feet on z = 0.

    vertices, normals (V, 3) float32; heads (J, 3) float64 bone heads; rotations (J, 3, 3) float64; joints (24, 3) float64 in
    SMPL's order, at the avatar's own bone heads (its pelvis and spine lie up to 3 cm from where SMPL would put them).
    """

    vertices: np.ndarray
    normals: np.ndarray
    heads: np.ndarray
    rotations: np.ndarray
    joints: np.ndarray


def pose_avatar(avatar: Avatar, library: PoseLibrary, bone_map: dict, name: str) -> Posed:
    """The avatar in a pose of the library, lowest vertex on the floor, pelvis above the origin."""
    rotations = avatar_rotations(avatar, library, bone_map, library.pose(name))
    vertices, heads = skin(avatar, rotations)
    root = heads[avatar.bones.index("Hips")]
    shift = -np.array([root[0], root[1], vertices[:, 2].min()])
    vertices, heads = (vertices + shift).astype(np.float32), heads + shift
    normals = smooth_normals(vertices, avatar.faces, avatar.weld)
    return Posed(vertices, normals, heads, rotations, smpl_joints(avatar, heads))


def skin(avatar: Avatar, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World rotations (J, 3, 3) about the bones' heads -> posed vertices (V, 3) float64 and heads (J, 3) float64."""
    rest, heads = avatar.heads, avatar.heads.copy()
    for j, parent in enumerate(avatar.parents):                        # parents come before their children
        if parent >= 0:
            heads[j] = heads[parent] + rotations[parent] @ (rest[j] - rest[parent])
    offset = heads - np.einsum("jab,jb->ja", rotations, rest)
    v = avatar.vertices.astype(np.float64)
    out = np.zeros_like(v)
    for k in range(avatar.joints.shape[1]):
        j = avatar.joints[:, k]
        out += avatar.weights[:, k:k + 1] * (np.einsum("vab,vb->va", rotations[j], v) + offset[j])
    return out, heads


def smooth_normals(vertices: np.ndarray, faces: np.ndarray, weld: np.ndarray) -> np.ndarray:
    """(V, 3) float32 unit normals, the same on both sides of a texture seam.

    Vertices with the same `weld` number share a normal, except where theirs differ by more than 60 degrees: there the
    seam is a real edge, or one place carries the two sides of a sheet.
    """
    own = vertex_normals(vertices, faces)
    _, first = np.unique(weld, return_index=True)
    shared = vertex_normals(vertices[first], weld[faces])[weld]
    return np.where((own * shared).sum(1, keepdims=True) > 0.5, shared, own).astype(np.float32)


def smpl_joints(avatar: Avatar, heads: np.ndarray) -> np.ndarray:
    """(J, 3) bone heads -> (24, 3) in SMPL's order."""
    return heads[smpl_bones(avatar)]


def smpl_bones(avatar: Avatar) -> list[int]:
    """24 rows of `avatar.bones`, in SMPL's order."""
    def bone(joint: str) -> str:
        return _JOINT_BONE[joint.replace("right_", "left_")].replace("Left", "Right") if joint.startswith("right_") \
            else _JOINT_BONE[joint]

    return [avatar.bones.index(bone(j)) for j in SMPL_JOINTS]


def avatar_rotations(avatar: Avatar, library: PoseLibrary, bone_map: dict, pose: dict[str, np.ndarray]) -> np.ndarray:
    """(J, 3, 3) world rotations of the avatar's bones; a bone without a partner moves with its parent."""
    rest = dict(zip(avatar.bones, avatar.heads))
    found = {a: pose[b] for a, b in bone_map["bones"].items()}
    for a, (child, bone, end) in bone_map["limbs"].items():
        found[a] = pose[bone] @ between(rest[child] - rest[a], library.rest[end] - library.rest[bone])
    for side, s in (("Left", "L"), ("Right", "R")):
        found[f"{side}Shoulder"] = pose[f"clavicle.{s}"] @ between(
            rest[f"{side}Arm"] - rest[f"{side}Shoulder"],
            library.rest[f"upperarm01.{s}"] - library.rest[f"clavicle.{s}"]
        ) @ _drop(found[f"{side}Arm"] @ (rest[f"{side}ForeArm"] - rest[f"{side}Arm"]), pose["spine01"], side)
        found |= _hand(rest, library.rest, pose, side, s)
    out = np.empty((len(avatar.bones), 3, 3))
    for j, (bone, parent) in enumerate(zip(avatar.bones, avatar.parents)):
        out[j] = found.get(bone, out[parent] if parent >= 0 else np.eye(3))
    return out


def _drop(arm: np.ndarray, chest: np.ndarray, side: str) -> np.ndarray:
    """Lowers the shoulder (3, 3) as the arm hangs: skinning alone leaves the raised shoulder of the T-pose."""
    angle = np.radians(_SHOULDER_DROP_DEG) * max(0.0, -float((chest.T @ _unit(arm))[2]))
    c, s = np.cos(angle), np.sin(angle) * (1 if side == "Left" else -1)
    return np.array([[c, 0, s], [0, 1.0, 0], [-s, 0, c]])


def _hand(rest: dict, library: dict, pose: dict, side: str, s: str) -> dict[str, np.ndarray]:
    """World rotations of one hand and its fingers."""
    def frame(root, middle, index, pinky) -> np.ndarray:
        along = _unit(middle - root)
        across = index - pinky
        across = _unit(across - along * (across @ along))
        return np.stack([along, across, np.cross(along, across)], 1)

    a = [rest[f"{side}Hand{n}"] for n in ("", "Middle1", "Index1", "Pinky1")]
    b = [library[n] for n in (f"wrist.{s}", f"finger3-1.{s}", f"finger2-1.{s}", f"finger5-1.{s}")]
    align = frame(*b) @ frame(*a).T
    out = {f"{side}Hand": pose[f"wrist.{s}"] @ align}
    for avatar_name, name in _FINGERS.items():
        for k in (1, 2, 3):
            bone, end = f"{side}Hand{avatar_name}{k}", f"{side}Hand{avatar_name}{k + 1}"
            partner = f"{name}-{k}.{s}"
            if bone not in rest or partner not in pose:
                continue
            if k < 3:
                turn = between(align @ (rest[end] - rest[bone]), library[f"{name}-{k + 1}.{s}"] - library[partner])
            out[bone] = pose[partner] @ turn @ align                   # the last phalanx keeps the turn of the one before
    return out


def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotation (3, 3) that turns direction a to direction b."""
    a, b = _unit(a), _unit(b)
    axis, cosine = np.cross(a, b), float(a @ b)
    if cosine < -1 + 1e-9:                                             # opposite: half a turn about any normal
        normal = _unit(np.cross(a, [1.0, 0, 0] if abs(a[0]) < 0.9 else [0, 1.0, 0]))
        return 2 * np.outer(normal, normal) - np.eye(3)
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + k + k @ k / (1 + cosine)


def _unit(x) -> np.ndarray:
    return np.asarray(x, np.float64) / np.linalg.norm(x)
