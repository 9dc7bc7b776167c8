"""Which Anny bones make up the 24 SMPL-style joints, and how Anny's rest pose becomes SMPL's T-pose."""

from __future__ import annotations

import numpy as np

from neural.contract.joints import JOINT, SMPL_JOINTS, SMPL_PARENTS

BODY_FROM_ANNY = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
"""Rotation (3, 3): Anny (Z up, facing -Y) to frame `body` (Y up, facing +Z)."""

_MIDDLE_HEADS = {"pelvis": "root", "spine1": "spine04", "spine2": "spine03", "spine3": "spine02",
                 "neck": "neck01", "head": "head"}
_SIDE_HEADS = {"hip": "upperleg01", "knee": "lowerleg01", "ankle": "foot", "foot": "toe2-1", "collar": "clavicle",
               "shoulder": "upperarm01", "elbow": "lowerarm01", "wrist": "wrist", "hand": "finger3-1"}

_MIDDLE_WEIGHTS = {"root": "pelvis", "spine05": "pelvis", "spine04": "spine1", "spine03": "spine2", "spine02": "spine3",
                   "spine01": "spine3", "neck01": "neck", "neck02": "neck", "neck03": "neck", "head": "head"}
_SIDE_WEIGHTS = {"pelvis": "pelvis", "clavicle": "collar", "shoulder01": "collar", "upperarm01": "shoulder",
                 "upperarm02": "shoulder", "lowerarm01": "elbow", "lowerarm02": "elbow", "wrist": "wrist",
                 "metacarpal": "wrist", "finger": "hand", "upperleg01": "hip", "upperleg02": "hip",
                 "lowerleg01": "knee", "lowerleg02": "knee", "foot": "ankle", "toe": "foot", "eye": "head"}


def head_bones() -> list[str]:
    """For each of the 24 joints the Anny bone whose head is the joint."""
    out = []
    for name in SMPL_JOINTS:
        if name in _MIDDLE_HEADS:
            out.append(_MIDDLE_HEADS[name])
        else:
            side, part = name.split("_")
            out.append(f"{_SIDE_HEADS[part]}.{side[0].upper()}")
    return out


def joint_of_bone(bone: str) -> int:
    """SMPL joint that carries the skin weight of an Anny bone; KeyError for a bone we do not know."""
    if bone in _MIDDLE_WEIGHTS:
        return JOINT[_MIDDLE_WEIGHTS[bone]]
    stem, side = bone.rsplit(".", 1)
    part = next(_SIDE_WEIGHTS[k] for k in (stem, *_PREFIXES) if k in _SIDE_WEIGHTS and stem.startswith(k))
    return JOINT[part if part in JOINT else f"{'left' if side == 'L' else 'right'}_{part}"]


_PREFIXES = ("metacarpal", "finger", "toe")


def collapse_weights(indices: np.ndarray, values: np.ndarray, bones: list[str]) -> np.ndarray:
    """Anny's sparse weights (V, K) over its bones -> (V, 24) float64, rows sum to 1."""
    owner = np.array([joint_of_bone(b) for b in bones])
    out = np.zeros((len(indices), 24))
    np.add.at(out, (np.arange(len(indices))[:, None], owner[indices]), values)
    return out / out.sum(1, keepdims=True)


def minimal_rotation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, 3) directions a, (3,) unit direction b -> (N, 3, 3): the smallest rotation with R a parallel to b."""
    a = a / np.linalg.norm(a, axis=-1, keepdims=True)
    axis, cos = np.cross(a, b), a @ b
    k = np.zeros((len(a), 3, 3))
    k[:, 0, 1], k[:, 0, 2], k[:, 1, 2] = -axis[:, 2], axis[:, 1], -axis[:, 0]
    k -= k.transpose(0, 2, 1)
    return np.eye(3) + k + k @ k / (1 + cos)[:, None, None]      # never near cos = -1: rest poses differ by < 60 degrees


def t_pose_transforms(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Anny rest joints (N, 24, 3), frame `body` axes -> per-joint rigid transforms (N, 24, 4, 4) to the T-pose, and
    the T-pose joints (N, 24, 3), pelvis at the origin.

    Arms are aimed along +-X and legs along -Y, each joint by the smallest rotation after its parent's; the ankles keep
    the world orientation of the standing foot, so that soles are flat.
    """
    n = len(joints)
    rotation = np.tile(np.eye(3), (n, 24, 1, 1))
    place = np.zeros_like(joints)
    aims = {}
    for side, x in (("left", 1.0), ("right", -1.0)):
        for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand")):
            aims[JOINT[f"{side}_{a}"]] = (JOINT[f"{side}_{b}"], np.array([x, 0, 0]))
        for a, b in (("hip", "knee"), ("knee", "ankle")):
            aims[JOINT[f"{side}_{a}"]] = (JOINT[f"{side}_{b}"], np.array([0, -1.0, 0]))
    upright = {JOINT["left_ankle"], JOINT["right_ankle"]}
    for j in range(24):
        p = SMPL_PARENTS[j]
        if p < 0:
            continue
        place[:, j] = place[:, p] + np.einsum("nij,nj->ni", rotation[:, p], joints[:, j] - joints[:, p])
        rotation[:, j] = np.eye(3) if j in upright else rotation[:, p]
        if j in aims:
            child, target = aims[j]
            now = np.einsum("nij,nj->ni", rotation[:, j], joints[:, child] - joints[:, j])
            rotation[:, j] = minimal_rotation(now, target) @ rotation[:, j]
    out = np.tile(np.eye(4), (n, 24, 1, 1))
    out[..., :3, :3] = rotation
    out[..., :3, 3] = place - np.einsum("njab,njb->nja", rotation, joints)
    return out, place


def unpose(vertices: np.ndarray, weights: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    """(N, V, 3) at Anny's rest -> (N, V, 3) T-pose such that LBS from the T-pose back gives the input *exactly*.

    Skinning forward to the T-pose would bake its elbow and armpit artefacts into the template and meet them again, doubled,
    when arms come down; so the blended backward transform is inverted instead. Standing people get Anny's own shape.
    """
    out = np.empty_like(vertices)
    back = np.linalg.inv(transforms)
    for i in range(len(vertices)):
        blend = (weights @ back[i].reshape(24, 16)).reshape(-1, 4, 4)
        out[i] = np.linalg.solve(blend[:, :3, :3], (vertices[i] - blend[:, :3, 3])[..., None])[..., 0]
    return out
