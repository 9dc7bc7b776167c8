"""Poses for the lifter, as local rotations of the 24 joints: the library's, limbs mixed between them, people who stand for a photo.

All in frame `body` (T-pose, Y up, facing +Z). Knees and elbows are made hinges, as neural/body/prior.py wants them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from neural.body import poses as named
from neural.body.rotations import matrix_from_axis_angle
from neural.contract.frames import BLENDER_FROM_BODY
from neural.contract.joints import JOINT, SMPL_JOINTS, SMPL_PARENTS, mirrored

from ..body.rig import BODY_FROM_ANNY, head_bones, joint_of_bone, t_pose_transforms
from ..people.assets import PoseLibrary, load_poses
from ..people.build.pose import pose_people
from ..people.build.readout import model_rotations
from ..people.casting import CastConfig, random_body, random_pose
from .split import part_of_pose

MIRROR = np.array(mirrored(SMPL_JOINTS))
ARMS = {s: [JOINT[f"{s}_{n}"] for n in ("collar", "shoulder", "elbow", "wrist", "hand")] for s in ("left", "right")}
LEGS = [JOINT[f"{s}_{n}"] for s in ("left", "right") for n in ("hip", "knee", "ankle", "foot")]
HEAD = [JOINT["neck"], JOINT["head"]]
TRUNK = [JOINT[n] for n in ("spine1", "spine2", "spine3")]


def world_of(local: np.ndarray) -> np.ndarray:
    """(..., 24, 3, 3) local -> world rotations."""
    out = local.copy()
    for j, p in enumerate(SMPL_PARENTS):
        if p >= 0:
            out[..., j, :, :] = out[..., p, :, :] @ local[..., j, :, :]
    return out


def local_of(world: np.ndarray) -> np.ndarray:
    out = world.copy()
    for j, p in enumerate(SMPL_PARENTS):
        if p >= 0:
            out[..., j, :, :] = np.swapaxes(world[..., p, :, :], -1, -2) @ world[..., j, :, :]
    return out


def mirror(local: np.ndarray) -> np.ndarray:
    """The pose seen in a mirror (left and right change places)."""
    m = np.diag([-1.0, 1, 1])
    return m @ local[..., MIRROR, :, :] @ m


def _t_pose(library: PoseLibrary) -> np.ndarray:
    """(24, 3, 3) rotations from the library's rest pose to the T-pose."""
    rest = np.stack([library.rest[b] for b in head_bones()]) @ BODY_FROM_ANNY.T
    return t_pose_transforms(rest[None])[0][0, :, :3, :3]


def from_library(library: PoseLibrary, names: list[str]) -> np.ndarray:
    """(N, 24, 3, 3) local rotations with hinges."""
    rows = [library.names.index(n) for n in names]
    r = library.rotations[rows][:, [library.bones.index(b) for b in head_bones()]]
    world = BODY_FROM_ANNY @ r @ BODY_FROM_ANNY.T @ np.swapaxes(_t_pose(library), -1, -2)
    for side in ("left", "right"):                             # toes and fingers of the model are stiff
        world[:, JOINT[f"{side}_hand"]] = world[:, JOINT[f"{side}_wrist"]]
    return local_of(np.stack([hinged(w) for w in world]))


def to_library(library: PoseLibrary, local: np.ndarray, name: str) -> PoseLibrary:
    """A library that holds one pose (24, 3, 3), so that an avatar can take it; hands are flat."""
    bones = world_of(local) @ _t_pose(library)
    owner = np.array([_owner(b) for b in library.bones])
    rotations = BODY_FROM_ANNY.T @ bones[owner] @ BODY_FROM_ANNY
    return PoseLibrary((name,), library.bones, rotations[None], np.array([True]), ("",), library.rest)


def _owner(bone: str) -> int:
    try:
        return joint_of_bone(bone)
    except (KeyError, StopIteration, ValueError):
        return JOINT["spine3"] if bone.startswith("breast") else JOINT["head"]


def _unit(v: np.ndarray) -> np.ndarray:
    return v / max(float(np.linalg.norm(v)), 1e-9)


def hinged(world: np.ndarray) -> np.ndarray:
    """(24, 3, 3) world rotations -> the same bone directions, with elbows turning about y and knees about x only."""
    out = world.copy()
    for side, s in (("left", 1.0), ("right", -1.0)):
        a, b, c = (JOINT[f"{side}_{n}"] for n in ("shoulder", "elbow", "wrist"))
        upper, fore = s * world[a][:, 0], s * world[b][:, 0]
        out[a], bend = _hinge(world[a], upper, fore, 1, -s)
        turned = out[a] @ matrix_from_axis_angle(np.array([0, -s * min(bend, 2.5), 0]))
        rest = turned.T @ world[c]                             # half of the hand's turn about the arm belongs to the forearm
        turn = 2 * np.arctan2(rest[2, 1] - rest[1, 2], np.trace(rest) + 1.0) if np.trace(rest) > -0.9 else 0.0
        out[b] = turned @ matrix_from_axis_angle(np.array([np.clip(0.6 * turn, -1.2, 1.2), 0, 0]))
        a, b = JOINT[f"{side}_hip"], JOINT[f"{side}_knee"]
        thigh, shin = -world[a][:, 1], -world[b][:, 1]
        out[a], bend = _hinge(world[a], thigh, shin, 0, 1.0)
        out[b] = out[a] @ matrix_from_axis_angle(np.array([min(bend, 2.6), 0, 0]))
    return out


def _hinge(turn: np.ndarray, upper: np.ndarray, lower: np.ndarray, axis: int, sign: float) -> tuple[np.ndarray, float]:
    """Turn the upper bone about itself until the hinge `axis` is normal to both bones; less so for a nearly straight limb."""
    normal = np.cross(upper, lower)
    sine = float(np.linalg.norm(normal))
    bend = float(np.arctan2(sine, upper @ lower))
    keep = turn[:, axis]
    share = np.clip((bend - 0.15) / 0.3, 0, 1)
    want = _unit(share * sign * normal / max(sine, 1e-9) + (1 - share) * keep)
    along = turn[:, 1 - axis]                                  # arms: x is the bone, y the hinge; legs: y the bone, x the hinge
    want = _unit(want - (want @ along) * along)
    columns = [None, None, None]
    columns[axis], columns[1 - axis] = want, along
    columns[2] = np.cross(columns[0], columns[1])
    return np.stack(columns, 1), bend


class Sampler:
    """Random poses made of those of one part ("train", "val" or "test") of the library."""

    def __init__(self, root: Path, part: str):
        library = load_poses(root)
        names = [n for n in library.names if part_of_pose(n) == part]
        one = from_library(library, names)
        self.poses = np.concatenate([one, mirror(one)])
        clip = ["_".join(n.split("_")[:3]) if n.startswith("cmu") else n for n in names] * 2
        count = {c: clip.count(c) for c in clip}
        weight = np.array([min(count[c], 6) / count[c] for c in clip])     # a long clip does not drown single poses
        self.weight = weight / weight.sum()
        self.relaxed = matrix_from_axis_angle(named.RELAXED)

    def pick(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self.poses[rng.choice(len(self.poses), n, p=self.weight)]

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, 24, 3, 3) local rotations: a sixth from the library, half mixed, the rest standing for a photo; nearly all a little changed."""
        kind = rng.random(n)
        out = self.pick(n, rng).copy()
        mixed = np.nonzero((kind > 0.16) & (kind < 0.68))[0]
        left, right = LEGS[:4], LEGS[4:]
        for part in (ARMS["left"], ARMS["right"], HEAD, left + [0], right, TRUNK):
            move = mixed[rng.random(len(mixed)) < 0.6]
            out[np.ix_(move, part)] = self.pick(len(move), rng)[:, part]
        stand = np.nonzero(kind >= 0.68)[0]
        out[stand] = self._standing(len(stand), rng)
        for part, rate in ((ARMS["left"], 0.25), (ARMS["right"], 0.25)):     # free arms everywhere
            move = np.nonzero(rng.random(n) < rate)[0]
            arms = free_arms(len(move), rng)
            out[np.ix_(move, part)] = arms if part is ARMS["left"] else _mirrored_arms(arms)
        bent = np.nonzero((kind < 0.68) & (rng.random(n) < 0.25))[0]       # trunks that lean any way
        lean = matrix_from_axis_angle(np.radians(rng.normal(0, 1, (len(bent), 3)) * (25, 15, 10)))
        out[bent, 0] = lean @ out[bent, 0]
        return jittered(out, rng)

    def _standing(self, n: int, rng: np.random.Generator) -> np.ndarray:
        out = np.tile(self.relaxed, (n, 1, 1, 1))
        turn = lambda sd: matrix_from_axis_angle(np.radians(rng.normal(0, 1, (n, 3)) * sd))
        for side, s in (("left", 1.0), ("right", -1.0)):
            out[:, JOINT[f"{side}_hip"]] = turn((4, 7, 4)) @ out[:, JOINT[f"{side}_hip"]]
            spread = np.zeros((n, 3))
            spread[:, 2] = s * np.abs(rng.normal(0, np.radians(6), n))
            out[:, JOINT[f"{side}_hip"]] = matrix_from_axis_angle(spread) @ out[:, JOINT[f"{side}_hip"]]
            bend = np.zeros((n, 3))
            easy = rng.random(n) < 0.3                         # the leg that bears no weight
            bend[:, 0] = np.abs(rng.normal(0, np.where(easy, np.radians(16), np.radians(2.5)), n))
            out[:, JOINT[f"{side}_knee"]] = matrix_from_axis_angle(bend) @ out[:, JOINT[f"{side}_knee"]]
            out[:, JOINT[f"{side}_hip"]] = matrix_from_axis_angle(-0.5 * bend) @ out[:, JOINT[f"{side}_hip"]]
            out[:, JOINT[f"{side}_ankle"]] = matrix_from_axis_angle(-0.5 * bend) @ out[:, JOINT[f"{side}_ankle"]]
        out[:, 0] = turn((2, 3, 2)) @ out[:, 0]
        out[:, JOINT["spine1"]] = turn((3, 3, 3)) @ out[:, JOINT["spine1"]]
        out[:, JOINT["head"]] = turn((6, 12, 5)) @ out[:, JOINT["head"]]
        for side in ("left", "right"):
            hang = turn((12, 10, 10)) @ out[:, JOINT[f"{side}_shoulder"]]
            out[:, JOINT[f"{side}_shoulder"]] = hang
        borrow = np.nonzero(rng.random(n) < 0.25)[0]           # arms of another pose
        both = ARMS["left"] + ARMS["right"]
        out[np.ix_(borrow, both)] = self.pick(len(borrow), rng)[:, both]
        return out


def generated(generator, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(n, 24, 3, 3) local rotations of poses as train/people casts them (standing for a photo, mixed limbs, library), with hinges, and
    (n, 10) shapes of its bodies. generator: a train.people.generator.Generator."""
    cast, base, choices = CastConfig(mixed_limbs=0.5), generator.pack.base, generator.choices
    bone = {b: k for k, b in enumerate(base.bones)}
    worlds, betas = [], []
    for first in range(0, n, 256):
        many = min(256, n - first)
        with torch.no_grad():
            turned = pose_people([random_pose(rng, choices, cast) for _ in range(many)], generator.pack.poses, base, base.heads.expand(many, -1, -1))
            worlds.append(model_rotations(turned, base, bone).double().numpy())
        k = np.stack([random_body(rng, choices, cast)[0] for _ in range(many)])
        betas.append(base.betas_mean.numpy() + k @ base.betas.numpy())
    world = BLENDER_FROM_BODY.T @ np.concatenate(worlds) @ BLENDER_FROM_BODY
    return local_of(np.stack([hinged(w) for w in world])), np.concatenate(betas)


def free_arms(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 5, 3, 3) local rotations of a left arm (collar … hand): directions at random, within what a shoulder can turn."""
    got: list[np.ndarray] = []
    while len(got) < n:
        u, f = (_unit(v) for v in rng.normal(0, 1, (2, 3)))
        bend = float(np.arctan2(np.linalg.norm(np.cross(u, f)), u @ f))
        if u[0] < -0.25 or u[2] < -0.5 or not 0.1 < bend < 2.4 or f[2] < -0.6 or (u[1] > 0.3 and rng.random() < 0.5):
            continue
        lift = np.array([0, 0, 0.3 * max(u[1], 0.0) + 0.05])
        collar = matrix_from_axis_angle(lift)
        ahead = _unit(f - (f @ u) * u)
        shoulder = collar.T @ np.stack([u, np.cross(ahead, u), ahead], 1)
        q = np.array([np.sqrt(max(1 + np.trace(shoulder), 1e-9)) / 2, 0.0])
        q[1] = (shoulder[2, 1] - shoulder[1, 2]) / (4 * q[0])
        twist = (2 * np.arctan2(q[1], q[0]) + np.pi) % (2 * np.pi) - np.pi
        wrist_at = np.array([0.17, 0.0, 0.0]) + 0.28 * u + 0.25 * f        # from the chest: not inside it
        if not np.radians(-85) < twist < np.radians(75) or (abs(wrist_at[0]) < 0.14 and wrist_at[2] < 0.13 and -0.45 < wrist_at[1] < 0.1):
            continue
        hand = matrix_from_axis_angle(np.radians(rng.normal(0, 1, 3) * (12, 10, 14)))
        fore = matrix_from_axis_angle(np.array([0, -bend, 0])) @ matrix_from_axis_angle(np.array([np.radians(rng.normal(0, 35)), 0, 0]))
        got.append(np.stack([collar, shoulder, fore, hand, np.eye(3)]))
    return np.stack(got) if n else np.zeros((0, 5, 3, 3))


def _mirrored_arms(arms: np.ndarray) -> np.ndarray:
    m = np.diag([-1.0, 1, 1])
    return m @ arms @ m


def jittered(local: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Nearly all poses a little changed, hinges staying hinges."""
    out, n = local.copy(), len(local)
    size = (rng.random((n, 1)) < 0.9) * rng.uniform(0.3, 1.6, (n, 1))
    for j, name in enumerate(SMPL_JOINTS):
        part = name.split("_")[-1]
        sd = {"pelvis": (3, 4, 3), "spine1": (3, 3, 3), "spine2": (3, 3, 3), "spine3": (3, 3, 3), "neck": (4, 6, 4), "head": (6, 9, 5),
              "collar": (2, 3, 3), "shoulder": (10, 10, 10), "wrist": (10, 8, 12), "hip": (9, 6, 6), "ankle": (6, 3, 2), "foot": (2, 0, 0),
              "elbow": (10, 0, 0), "knee": (0, 0, 0), "hand": (0, 0, 0)}[part]
        a = np.radians(rng.normal(0, 1, (n, 3)) * sd) * size
        if part == "elbow":
            a[:, 1] = (-1 if name.startswith("left") else 1) * np.abs(np.radians(rng.normal(0, 10, n))) * size[:, 0]
        if part == "knee":
            a[:, 0] = np.abs(np.radians(rng.normal(0, 8, n))) * size[:, 0]
        out[:, j] = (matrix_from_axis_angle(a) @ out[:, j]) if part not in ("elbow", "knee") else out[:, j] @ matrix_from_axis_angle(a)
    return out
