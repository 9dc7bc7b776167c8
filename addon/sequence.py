"""What a sequence adds to a person: the motion as an Action, or a mesh for each frame (a cache, or objects that take turns)."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ..neural.contract.errors import InternalError
from ..neural.contract.sequences import MODES
from . import compat, export, material, mesh, result, rig, skeleton
from .result import PersonResult
from .scene import PersonObjects

FILE, FRAMES = "motion.npz", "frames"
ANIMATED, PER_FRAME = MODES


@dataclass(frozen=True)
class Motion:
    """mode: ANIMATED or PER_FRAME; numbers (N,) of the source's frames; fps; used (N,) bool; camera_from_rest (N, J, 4, 4); best: a number."""

    mode: str
    numbers: np.ndarray
    fps: float
    used: np.ndarray
    camera_from_rest: np.ndarray
    best: int


def load(folder: Path) -> Motion | None:
    """The motion in a job's folder, None when it was a photo. InternalError when it is not what it should be."""
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as data:
            found = Motion(str(data["mode"]), data["numbers"].astype(np.int64), float(data["fps"]), data["used"].astype(bool),
                           data["camera_from_rest"].astype(np.float64), int(data["best"]))
        n = len(found.numbers)
        sound = (found.mode in MODES and n > 0 and (np.diff(found.numbers) > 0).all() and 0.05 < found.fps < 2000 and found.used.shape == (n,)
                 and found.camera_from_rest.shape[0] == n and found.camera_from_rest.shape[2:] == (4, 4) and np.isfinite(found.camera_from_rest).all())
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as exc:
        raise InternalError("internal.result", f"The engine's motion cannot be used ({FILE}: {exc}).", "Please copy the report and send it to us.") from exc
    if not sound:
        raise InternalError("internal.result", f"The engine's motion cannot be used ({FILE} holds something else).", "Please copy the report and send it to us.")
    return found


def add(folder: Path, person: PersonResult, made: PersonObjects, cache: Path | None = None, own_scene: bool = False) -> None:
    """Adds what `folder` holds of a sequence to the person just built; nothing for a photo.

    cache: the .abc or .usdc file that per-frame meshes may be written to (None, or a Blender without such exporters: objects that take turns).
    own_scene: also the scene's rate and range are the sequence's.
    """
    motion = load(folder)
    if motion is None:
        return
    if motion.camera_from_rest.shape[1] != len(person.joint_names):
        raise InternalError("internal.result", "The engine's motion is of another skeleton.", "Please copy the report and send it to us.")
    scene = bpy.context.scene
    if own_scene:
        scene.frame_start, scene.frame_end = int(motion.numbers[0]), int(motion.numbers[-1])
        scene.render.fps = max(1, math.ceil(motion.fps))
        scene.render.fps_base = scene.render.fps / motion.fps
    else:
        scene.frame_end = max(scene.frame_end, int(motion.numbers[-1]))
    action = _action(motion, person, made)
    made.armature["likeness_motion"] = action
    if motion.mode == ANIMATED:
        rig.apply_pose(made.armature, action, float(motion.numbers[0]))
    else:
        _meshes(Path(folder) / FRAMES, motion, made, cache)
        for obj in (made.armature, made.mesh):
            obj.hide_viewport = obj.hide_render = True
    scene.frame_set(int(motion.numbers[0]))


# -- animated ----------------------------------------------------------------------------------------------------------


def _action(motion: Motion, person: PersonResult, made: PersonObjects) -> bpy.types.Action:
    """A key for every bone and frame, at the frame numbers of the source."""
    names, parents = person.joint_names, person.parents
    camera_from = np.array(made.armature["likeness_blender_from_camera"], np.float64).reshape(4, 4)
    body_from = skeleton.rest_placement(person.rest_joints[0], person.vertices, person.body_vertices)
    rest = rig.rest_matrices(made.armature, names)
    basis = np.stack([skeleton.basis_matrices(camera_from @ t @ np.linalg.inv(body_from), rest, parents) for t in motion.camera_from_rest])
    turns = continuous(skeleton.quaternions(basis[..., :3, :3]))
    action = compat.new_action(f"{made.collection.name} motion", made.armature.name)
    action.use_fake_user = True
    frames = motion.numbers.astype(np.float64)
    for j, bone in enumerate(names):
        path = f'pose.bones["{bpy.utils.escape_identifier(bone)}"]'
        if parents[j] < 0:
            for axis in range(3):
                compat.add_keys(action, f"{path}.location", axis, frames, basis[:, j, axis, 3], bone)
        for axis in range(4):
            compat.add_keys(action, f"{path}.rotation_quaternion", axis, frames, turns[:, j, axis], bone)
    return action


def continuous(quaternions: np.ndarray) -> np.ndarray:
    """(N, J, 4) with signs such that no bone takes the long way from frame to frame."""
    out = quaternions.copy()
    for k in range(1, len(out)):
        out[k] *= np.where((out[k] * out[k - 1]).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    return out


# -- a mesh for each frame ---------------------------------------------------------------------------------------------


def _meshes(frames: Path, motion: Motion, made: PersonObjects, cache: Path | None) -> None:
    """The frames' results become a cache, or objects."""
    found = {int(f.name): f for f in sorted(frames.iterdir()) if f.is_dir() and f.name.isdigit()} if frames.is_dir() else {}
    found = {n: f for n, f in found.items() if n in set(motion.numbers.tolist())}
    if not found:
        raise InternalError("internal.result", "The engine gave no meshes of the frames.", "Please copy the report and send it to us.")
    if cache is not None and exporter(cache) is not None:
        _cached(found, motion, made, cache)
    else:
        _taking_turns(found, motion, made)


def exporter(cache: Path) -> Callable | None:
    """What writes this kind of cache in the Blender at hand; None: nothing does."""
    if cache.suffix == ".abc" and getattr(bpy.app.build_options, "alembic", False):
        return bpy.ops.wm.alembic_export
    return None


def _posed(folder: Path, made: PersonObjects) -> tuple[PersonResult, np.ndarray]:
    """A frame's result, and its surface in frame `blender` (all frames in the world of the best one)."""
    one = result.load(folder)
    camera_from = np.array(made.armature["likeness_blender_from_camera"], np.float64).reshape(4, 4)
    return one, one.surface_vertices.astype(np.float64) @ camera_from[:3, :3].T + camera_from[:3, 3]


def _taking_turns(found: dict[int, Path], motion: Motion, made: PersonObjects) -> None:
    """An object for each frame, textured, shown from its frame until the next one's."""
    numbers = sorted(found)
    for at, number in enumerate(numbers):
        one, vertices = _posed(found[number], made)
        name = f"{made.collection.name}_{number:04d}"
        data = mesh.new_mesh(name, vertices, one.faces)
        mesh.add_uv(data, "UVMap", one.uv)
        mesh.add_color(data, one.vertex_color)
        data.materials.append(material.new_material(name, one.albedo, one.normal_map))
        obj = bpy.data.objects.new(name, data)
        made.collection.objects.link(obj)
        until = numbers[at + 1] if at + 1 < len(numbers) else int(motion.numbers[-1]) + 1
        keys = ([(numbers[0] - 1, True)] if at else []) + [(number, False), (until, True)]
        for prop in ("hide_viewport", "hide_render"):
            for frame, hidden in keys:
                setattr(obj, prop, hidden)
                obj.keyframe_insert(prop, frame=frame)


def _cached(found: dict[int, Path], motion: Motion, made: PersonObjects, cache: Path) -> None:
    """One object that reads its mesh from the cache; a frame without a mesh of its own shows the one before. Only one frame is in memory."""
    name = f"{made.collection.name}_frames"
    data = bpy.data.meshes.new(name)
    obj = bpy.data.objects.new(name, data)
    made.collection.objects.link(obj)
    obj.modifiers.new("Triangulate", "TRIANGULATE")             # exporters take a mesh without modifiers for one that never changes
    numbers = np.array(sorted(found))
    shown = [0]

    def fill(scene, *_) -> None:
        number = int(numbers[max(int(np.searchsorted(numbers, scene.frame_current, "right")) - 1, 0)])
        if number == shown[0]:
            return
        shown[0] = number
        one, vertices = _posed(found[number], made)
        data.clear_geometry()
        mesh.fill(data, vertices, one.faces)
        mesh.add_uv(data, "UVMap", one.uv)
        corner = data.color_attributes.new("Color", "BYTE_COLOR", "CORNER")
        rgba = np.ones((one.faces.size, 4), np.float32)
        rgba[:, :3] = one.vertex_color[one.faces.ravel()].astype(np.float32) / 255
        corner.data.foreach_set("color_srgb", rgba.ravel())
        data.update_tag()

    scene = bpy.context.scene
    first, last, before = int(motion.numbers[0]), int(motion.numbers[-1]), scene.frame_current
    bpy.app.handlers.frame_change_pre.append(fill)
    try:
        scene.frame_set(first)
        for o in bpy.context.view_layer.objects:
            o.select_set(o is obj)
        export.whole(cache, lambda part: exporter(cache)(filepath=str(part), start=first, end=last, selected=True, vcolors=True, normals=True, uvs=True,
                                                         as_background_job=False))
    finally:
        bpy.app.handlers.frame_change_pre.remove(fill)
        scene.frame_set(before)
    obj.modifiers.clear()
    data.materials.append(material.new_material(name, None, None))
    file = compat.open_cache(cache)
    file.filepath = bpy.path.relpath(str(cache)) if bpy.data.filepath else f"//{cache.name}"
    modifier = obj.modifiers.new("Cache", "MESH_SEQUENCE_CACHE")
    modifier.cache_file, modifier.object_path = file, f"/{obj.name}/{data.name}"
    modifier.read_data = {"VERT", "POLY", "UV", "COLOR"}
