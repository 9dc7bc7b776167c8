"""Writing people to glTF and FBX, with bone names that other programs expect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from ..neural.contract import files
from . import bone_names, compat
from .person import actions_of, mesh_of

FORMATS = ("glb", "fbx")


@contextmanager
def renamed_bones(armatures: list[bpy.types.Object], convention: str) -> Iterator[None]:
    """Bones (and with them vertex groups and all Actions of the rigs) bear the other names inside the block only."""
    names = [bone_names.table(convention, fingers="left_index1" in a.data.bones) for a in armatures]
    try:
        for armature, table in zip(armatures, names):
            _rename(armature, table)
        yield
    finally:
        for armature, table in zip(armatures, names):
            _rename(armature, {v: k for k, v in table.items()})


def _rename(armature: bpy.types.Object, names: dict[str, str]) -> None:
    # in two steps, because a new name may be the old name of another bone ("left_hand" is not, but "head" may be)
    present = [n for n in names if n in armature.data.bones]
    for step in ({n: f"~{n}" for n in present}, {f"~{n}": names[n] for n in present}):
        for old, new in step.items():
            armature.data.bones[old].name = new     # Blender renames vertex groups and assigned Actions with it
        for action in actions_of(armature):
            for curve in compat.all_fcurves(action):
                for old, new in step.items():       # Actions that are not assigned stay behind otherwise
                    if curve.data_path.startswith(f'pose.bones["{old}"]'):
                        curve.data_path = curve.data_path.replace(f'"{old}"', f'"{new}"', 1)
                        break


@contextmanager
def _selected(objects: list[bpy.types.Object]) -> Iterator[None]:
    layer = bpy.context.view_layer
    before, active = [o for o in layer.objects if o.select_get()], layer.objects.active
    hidden = [o for o in objects if o.hide_viewport]            # what is hidden cannot be selected
    try:
        for obj in hidden:
            obj.hide_viewport = False
        layer.update()
        for obj in layer.objects:
            obj.select_set(obj in objects)
        layer.objects.active = objects[0]
        yield
    finally:
        for obj in layer.objects:
            obj.select_set(obj in before)
        layer.objects.active = active
        for obj in hidden:
            obj.hide_viewport = True


def write(path: Path, armatures: list[bpy.types.Object], convention: str = "SMPL") -> None:
    """Exports these people (rig and mesh, without the hidden body). The suffix decides the format.

    Both poses go along as animations. OSError, or Blender's own RuntimeError, when it cannot be written.
    """
    if bpy.context.object is not None and bpy.context.object.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    objects = [o for a in armatures for o in (a, mesh_of(a)) if o is not None]
    if not objects:
        raise ValueError("no person to export")
    with renamed_bones(armatures, convention), _selected(objects):
        whole(path, _write)


def whole(path: Path, make: Callable[[Path], object]) -> None:
    """`path` appears, or changes, only when `make` has written all of it (under another name beside it)."""
    part = files.part_of(path.absolute(), path.suffix)
    try:
        make(part)
        files.replace_file(part, path)
    finally:
        part.unlink(missing_ok=True)


def _write(path: Path) -> None:
    if path.suffix.lower() == ".fbx":
        bpy.ops.export_scene.fbx(
            filepath=str(path), use_selection=True, object_types={"ARMATURE", "MESH"}, add_leaf_bones=False,
            path_mode="COPY", embed_textures=True, bake_anim=True, bake_anim_use_all_actions=True,
            bake_anim_use_nla_strips=False, mesh_smooth_type="FACE", use_armature_deform_only=True)
    else:
        bpy.ops.export_scene.gltf(
            filepath=str(path), export_format="GLB", use_selection=True, export_animations=True,
            export_animation_mode="ACTIONS", export_rest_position_armature=False, export_yup=True,
            export_tangents=True, export_attributes=False, export_force_sampling=True)
