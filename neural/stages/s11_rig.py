"""s11: skin weights, rest pose, photo pose and A-pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..body.hands import split_weights, with_fingers
from ..body.poses import A_POSE
from ..body.skinning import skin
from ..context import Context
from ..contract.errors import RigError
from ..contract.joints import FINGER_JOINTS, FINGER_PARENTS, SMPL_JOINTS, SMPL_PARENTS
from ..geometry.closest import Closest, closest_points
from ..geometry.fill import mesh_edges
from ..geometry.fingers import Split, body_at_rest, rest_joints, split_fingers
from ..geometry.normals import vertex_normals
from ..geometry.transfer import PART_OF_JOINT, bridges, transfer_weights
from .s03_body import Body
from .s09_surface import Surface

NAME = "s11_rig"


@dataclass(frozen=True)
class Rig:
    """J joints: the 24 of SMPL, then the 30 of the fingers when the body has them. Metres. R = frame `body` (T-pose).

    joint_names    J names;   parents (J,) int32.
    rest_joints    (J, 3) float64, R.
    weight_joints  (V, K) int32, weight_values (V, K) float32 (K <= 6, rows sum to 1, 0-padded).
    rest_vertices  (V, 3) float64, R: the surface unposed by the exact inverse of its blended transforms.
    camera_from_rest  (J, 4, 4) float64: photo pose; sum_j w_j T_j rest gives the surface back to 0.5 mm.
    pose_photo     (J, 3) float64 axis-angle relative to the parent; joint 0 is camera_from_body's rotation.
    pose_a         (J, 3) float64 axis-angle of the A-pose (joint 0: identity; fingers at ease).
    body_vertices  (B, 3) float32, R: the fitted body, bound to the same joints by body_joints (B, 6) int32, body_values (B, 6) float32.

    A hand whose fingers the surface does not show apart rests as it was photographed: its finger joints lie there, unturned.
    """

    joint_names: tuple[str, ...]
    parents: np.ndarray
    rest_joints: np.ndarray
    weight_joints: np.ndarray
    weight_values: np.ndarray
    rest_vertices: np.ndarray
    camera_from_rest: np.ndarray
    pose_photo: np.ndarray
    pose_a: np.ndarray
    body_vertices: np.ndarray
    body_joints: np.ndarray
    body_values: np.ndarray
    method: str = "body-transfer+inpaint"


@dataclass(frozen=True)
class RigConfig:
    """Limits of what is said to be sound."""

    least_stretch: float = 0.25   # smallest singular value of a blended transform that is unposed as it is
    torn: float = 4.0             # an edge this many times longer at rest than in the photo counts as torn
    torn_share: float = 0.002     # share of torn faces from which on it is reported


def bind_rig(body: Body, surface: Surface, context: Context, config: RigConfig = RigConfig()) -> Rig:
    """Weights from the fitted body, the surface unposed by them, the two poses.

    Raises RigError ("rig.degenerate") when the surface cannot be unposed.
    """
    context.step(0, 4)
    near = _closest(body, surface)
    context.step(1, 4)
    apart = bridges(surface.bind_vertices, mesh_edges(surface.faces), near, body.faces, body.rest_vertices)
    moved = transfer_weights(surface.faces, near, body.faces, body.weights, PART_OF_JOINT, apart=apart)
    if moved.trusted.mean() < 0.25:
        context.warn("rig.far-from-body", f"Only {100 * moved.trusted.mean():.0f} % of the surface lies close to the fitted body; "
                     "the rest moves with what it hangs on.")
    context.step(2, 4)
    transforms = np.asarray(body.camera_from_rest, np.float64)
    weights, body_weights, skeleton, split = moved.weights, body.weights, _plain(body), None
    if body.fingers is not None:
        split = _split(body, surface, weights, transforms)
        weights, transforms = split.weights, with_fingers(transforms, split.moves)
        body_weights, skeleton = split_weights(body.weights, body.fingers.weights), _fingered(body, split)
    weights, mended = _sound(weights, transforms, config)
    if mended:
        context.warn("rig.mended", f"The weights of {mended} vertices were made simpler, since their joints turn against each other.")
    joints, values = _packed(weights)
    rest = _unpose(surface.vertices, joints, values, transforms)
    if not np.isfinite(rest).all():
        raise RigError("rig.degenerate", "The surface could not be brought into the rest pose.",
                       "Try another photo, or a pose in which the limbs do not cross.")
    torn = _torn_faces(rest, surface, config.torn)
    if torn > config.torn_share * len(surface.faces):
        context.warn("rig.stretched", f"{torn} faces are stretched more than {config.torn:g} times in the rest pose, mostly "
                     "under the arms and where parts touch in the photo.")
    context.step(4, 4)
    return Rig(*skeleton[:3], joints, values, rest, transforms, *skeleton[3:], *_packed(body_weights), _method(split))


def _plain(body: Body) -> tuple:
    """Names, parents, rest joints, photo pose, A-pose, body at rest: 24 joints."""
    return (SMPL_JOINTS, np.array(SMPL_PARENTS, np.int32), np.asarray(body.rest_joints, np.float64),
            np.asarray(body.pose, np.float64), np.array(A_POSE, np.float64), np.asarray(body.rest_vertices, np.float32))


def _fingered(body: Body, split: Split) -> tuple:
    """The same with fingers: 54 joints. Only hands with separate fingers have a pose of their own."""
    names, parents, joints, pose, a_pose, _ = _plain(body)
    fingers = body.fingers
    apart = np.repeat(split.apart, 15)[:, None]
    own, at = np.asarray(fingers.pose, np.float64), np.asarray(fingers.rest_joints, np.float64)
    return (names + FINGER_JOINTS, np.concatenate([parents, np.array(FINGER_PARENTS, np.int32)]),
            np.concatenate([joints, rest_joints(at, own, split)]), np.concatenate([pose, own * apart]),
            np.concatenate([a_pose, fingers.at_ease * apart]),
            body_at_rest(fingers.rest_vertices, fingers.weights, own, at, split).astype(np.float32))


def _split(body: Body, surface: Surface, weights: np.ndarray, transforms: np.ndarray) -> Split:
    fingers = body.fingers
    return split_fingers(surface.vertices, surface.faces, surface.normals, weights, body.vertices, body.faces, fingers.weights,
                         np.asarray(fingers.pose, np.float64), np.asarray(fingers.rest_joints, np.float64), transforms)


def _method(split: Split | None) -> str:
    """What was done about fingers: "fingers(left)" where the surface shows them apart, "mittens" elsewhere."""
    if split is None:
        return Rig.method
    said = [f"{word}({','.join(who)})" for word, who in (
        ("fingers", [n for n, apart in zip(("left", "right"), split.apart) if apart]),
        ("mittens", [n for n, apart in zip(("left", "right"), split.apart) if not apart])) if who]
    return "+".join([Rig.method, *said])


def _closest(body: Body, surface: Surface) -> Closest:
    """Points of the fitted body next to the surface's vertices, in the pose in which the surface was solved."""
    if np.array_equal(surface.bind_vertices, surface.vertices):
        return closest_points(surface.vertices, body.vertices, body.faces, surface.normals)
    posed = skin(body.rest_vertices, body.weights, surface.bind_from_rest)
    return closest_points(surface.bind_vertices, posed, body.faces, vertex_normals(surface.bind_vertices, surface.faces))


def _blend(joints: np.ndarray, values: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    """(V, K) joints and weights -> (V, 4, 4) float64 blended transforms."""
    return np.einsum("vk,vkab->vab", values.astype(np.float64), transforms[joints])


def pose_vertices(rig: Rig, transforms: np.ndarray) -> np.ndarray:
    """The rigged surface under joint transforms (J, 4, 4): (V, 3) float64."""
    blend = _blend(rig.weight_joints, rig.weight_values, transforms)
    return np.einsum("vab,vb->va", blend[:, :3, :3], rig.rest_vertices) + blend[:, :3, 3]


def _unpose(vertices: np.ndarray, joints: np.ndarray, values: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    blend = _blend(joints, values, transforms)
    return np.linalg.solve(blend[:, :3, :3], (np.asarray(vertices, np.float64) - blend[:, :3, 3])[..., None])[..., 0]


def _packed(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(V, J) -> the largest 6: joints (V, 6) int32, values (V, 6) float32 that sum to 1, zeros last."""
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :6]
    values = np.take_along_axis(weights, joints, 1)
    values = (values / values.sum(1, keepdims=True)).astype(np.float32)
    return np.where(values > 0, joints, 0).astype(np.int32), values


def _sound(weights: np.ndarray, transforms: np.ndarray, config: RigConfig) -> tuple[np.ndarray, int]:
    """Weights whose blended transforms can be undone, and how many rows were changed: sharpened step by step."""
    weights, changed = weights.copy(), np.zeros(len(weights), bool)
    for _ in range(6):
        blend = np.einsum("vj,jab->vab", weights, transforms[:, :3, :3])
        bad = np.nonzero(np.linalg.svd(blend, compute_uv=False)[:, 2] < config.least_stretch)[0]
        if not len(bad):
            break
        sharp = weights[bad] ** 2
        weights[bad] = sharp / sharp.sum(1, keepdims=True)
        changed[bad] = True
    return weights, int(changed.sum())


def _torn_faces(rest: np.ndarray, surface: Surface, limit: float) -> int:
    """Number of faces with an edge `limit` times longer at rest than in the photo."""
    f = surface.faces
    longest = np.zeros(len(f))
    mean = np.linalg.norm(surface.vertices[f[:, 0]] - surface.vertices[f[:, 1]], axis=1).mean()
    for i, j in ((0, 1), (1, 2), (2, 0)):
        before = np.linalg.norm(surface.vertices[f[:, i]] - surface.vertices[f[:, j]], axis=1)
        after = np.linalg.norm(rest[f[:, i]] - rest[f[:, j]], axis=1)
        longest = np.maximum(longest, after / np.maximum(before, 0.25 * mean))
    return int((longest > limit).sum())
