"""Whole characters of the assets, ready to be posed by the library and anchored to our body."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from neural.body.model import BodyModel
from neural.contract.joints import JOINT, SMPL_JOINTS
from neural.geometry.normals import vertex_normals

from ...body.rig import BODY_FROM_ANNY, head_bones, t_pose_transforms
from .. import base as base_mesh
from ..assets import Avatar, PoseLibrary, welded
from ..posing import avatar_rotations, between, skin, smpl_joints
from ..types import WholePerson
from .anchors import Anchors, RestBody, distinct, limb_matrix, on_one_side, stood
from .folder import Source, _mesh

NEEDED = ("v", "f", "uv", "part", "part_tex", "joints", "weights", "bones", "parents", "heads")
_FINGERS = {"Thumb": 1, "Index": 2, "Middle": 3, "Ring": 4, "Pinky": 5}


def textures_of(source: Source, records: list[dict], most: int) -> list[tuple[str, str, int]]:
    """(texture name "NAME/1", path, longest side) of the characters."""
    return [(f"{r['name']}/{n}", f"{r['dir']}/{file}", most) for r in records for n, file in sorted(r["textures"].items())]


def build(source: Source, records: list[dict], rows: dict[str, int]) -> tuple[WholePerson, ...]:
    """The characters of the records; rows: texture name -> row of Textures."""
    if not records:
        return ()
    bone_map = source.json("avatars/bone_map.json")
    model, base = BodyModel.load(), base_mesh.load()
    library = _identity(base)
    return tuple(person(source, r, rows, bone_map, model, library, base) for r in records)


def person(source: Source, record: dict, rows: dict[str, int], bone_map: dict, model: BodyModel, library: PoseLibrary, base) -> WholePerson:
    """One character. OptionError "option.mesh" when its file is broken."""
    name = f"{record['dir']}/mesh.npz"
    data = source.arrays(name, NEEDED)
    if data["f"].max() >= len(data["v"]) or data["joints"].max() >= len(data["bones"]) or len(data["uv"]) != len(data["v"]):
        raise _mesh(name, "has faces, bones or texture coordinates that do not fit its vertices")
    avatar = _avatar(record, data)
    try:
        align = avatar_rotations(avatar, library, bone_map, library.pose("rest"))
        _smpl_bones(avatar)
    except (KeyError, ValueError) as error:
        raise _mesh(name, f"lacks a bone that posing needs ({error})") from None
    partner = partners(avatar, bone_map)
    for side, s in (("Left", "L"), ("Right", "R")):                         # without the drop of a hanging arm's shoulder
        bone = f"{side}Shoulder"
        head = dict(zip(avatar.bones, avatar.heads))
        align[avatar.bones.index(bone)] = between(head[f"{side}Arm"] - head[bone], library.rest[f"upperarm01.{s}"] - library.rest[f"clavicle.{s}"])
    found = np.array([base.bones.index(partner[b]) if b in partner else -1 for b in avatar.bones])
    betas, scale, faces, at, anchors = _anchor(avatar, align, model, library)
    texture = np.array([rows.get(f"{record['name']}/{n}", -1) for n in data["part_tex"]])[data["part"]]
    t = torch.as_tensor
    return WholePerson(
        name=record["name"], sex=record.get("sex") or "any", rest=t(avatar.vertices[at]),
        skin_bone=t(avatar.joints[at].astype(np.int64)), skin_weight=t(avatar.weights[at]), heads=t(avatar.heads.astype(np.float32)),
        parents=t(avatar.parents.astype(np.int64)), library_bone=t(found),
        align=t(align.astype(np.float32)), smpl_bone=t(_smpl_bones(avatar)), betas=t(betas.astype(np.float32)), scale=float(scale),
        faces=t(faces), uv=t(avatar.uv[at]), weld=t(avatar.weld[at].astype(np.int64)), face_texture=t(texture.astype(np.int64)),
        body_uv=t(anchors.uv), body_place=t(anchors.place), part=t(anchors.part), height=t(anchors.height))


def partners(avatar: Avatar, bone_map: dict) -> dict[str, str]:
    """Bone of the character -> bone of the library whose rotation it takes (as posing.avatar_rotations does it)."""
    out = dict(bone_map["bones"]) | {a: bone for a, (_, bone, _) in bone_map["limbs"].items()}
    for side, s in (("Left", "L"), ("Right", "R")):
        out |= {f"{side}Shoulder": f"clavicle.{s}", f"{side}Hand": f"wrist.{s}"}
        out |= {f"{side}Hand{f}{k}": f"finger{n}-{k}.{s}" for f, n in _FINGERS.items() for k in (1, 2, 3)}
    return {a: b for a, b in out.items() if a in avatar.bones}


def _anchor(avatar: Avatar, align: np.ndarray, model: BodyModel, library: PoseLibrary):
    """Our body fitted to the character's bones, both standing as the library rests -> betas, scale; faces (F, 3) into vertices that are split where
    the body's texture has a seam, the old vertex of each, and their anchors."""
    from ...lifter.errors import shape_of                                   # imports much; only characters need it

    vertices, heads = skin(avatar, align)
    joints = smpl_joints(avatar, heads)
    rest = np.stack([library.rest[b] for b in head_bones()]) @ BODY_FROM_ANNY.T
    turn = np.swapaxes(t_pose_transforms(rest[None])[0][0, :, :3, :3], 1, 2)       # from the T-pose to the library's rest, frame `body`
    betas, scale, shift = shape_of(model, turn, joints @ BODY_FROM_ANNY.T)
    body, _ = stood(model, BODY_FROM_ANNY.T @ turn @ BODY_FROM_ANNY, betas, scale)
    body = body + shift @ BODY_FROM_ANNY
    vertices = vertices.astype(np.float64)
    joint = _joint_of_bone(avatar)
    limbs = (avatar.weights[..., None] * limb_matrix()[joint][avatar.joints]).sum(1)
    _, first = np.unique(avatar.weld, return_index=True)
    normals = vertex_normals(vertices[first].astype(np.float32), avatar.weld[avatar.faces])[avatar.weld]
    near = RestBody(model, body)
    faces = avatar.faces.astype(np.int64)
    side, anchors = on_one_side(near, faces, vertices, limbs, normals, near.find(vertices, limbs, normals))
    first, local = distinct(faces.ravel(), side.ravel())
    at, row = faces.ravel()[first], side.ravel()[first]
    anchors = Anchors(*(x[row] for x in (anchors.uv, anchors.place, anchors.part, anchors.height, anchors.face)))
    return betas, scale, local.reshape(-1, 3), at, anchors


def _joint_of_bone(avatar: Avatar) -> np.ndarray:
    """(J,) SMPL joint of each bone: its own, or that of the nearest ancestor which is one."""
    own = {int(b): j for j, b in reversed(list(enumerate(_smpl_bones(avatar))))}
    out = []
    for b in range(len(avatar.bones)):
        at = b
        while at not in own and avatar.parents[at] >= 0:
            at = avatar.parents[at]
        out.append(own.get(at, JOINT["pelvis"]))
    return np.array(out)


def _smpl_bones(avatar: Avatar) -> np.ndarray:
    """(24,) bone at each SMPL joint."""
    ids = smpl_joints(avatar, np.repeat(np.arange(len(avatar.bones), dtype=np.float64)[:, None], 3, 1))
    assert len(ids) == len(SMPL_JOINTS)
    return ids[:, 0].astype(np.int64)


def _identity(base) -> PoseLibrary:
    """A library with one pose: its rest."""
    heads = json.loads((Path(__file__).parent.parent / "library_rest.json").read_text(encoding="utf-8"))["heads"]
    rest = {k: np.array(v) for k, v in heads.items()}
    return PoseLibrary(("rest",), base.bones, np.tile(np.eye(3), (1, len(base.bones), 1, 1)), np.array([True]), ("",), rest)


def _avatar(record: dict, data: dict[str, np.ndarray]) -> Avatar:
    weights = data["weights"].astype(np.float32)
    return Avatar(
        name=record["name"], sex=record.get("sex", ""), licence=record["licence"], author=record.get("author", ""),
        vertices=data["v"].astype(np.float32), faces=data["f"].astype(np.int32), uv=data["uv"].astype(np.float32), texture=data["part"], textures=(),
        joints=data["joints"].astype(np.int32), weights=weights / weights.sum(1, keepdims=True), bones=tuple(map(str, data["bones"])),
        parents=data["parents"].astype(np.int32), heads=data["heads"].astype(np.float64), weld=welded(data["v"]))
