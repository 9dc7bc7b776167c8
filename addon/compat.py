"""The differences between Blender 4.2 LTS and 5.x, in one place. Nothing else asks for a version."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bpy


def has_slots() -> bool:
    """Actions have slots and layers since 4.4."""
    return hasattr(bpy.types, "ActionSlot")


def new_action(name: str, slot_name: str) -> bpy.types.Action:
    """An Action for one object; where Blender has slots, with one slot, layer and keyframe strip."""
    action = bpy.data.actions.new(name)
    if has_slots():
        action.slots.new(id_type="OBJECT", name=slot_name)
        action.layers.new("Layer").strips.new(type="KEYFRAME")
    else:
        action.id_root = "OBJECT"   # else an Action that is not assigned is of no kind, and exporters skip it
    return action


def action_fcurves(action: bpy.types.Action):
    """The collection of the (only) slot's f-curves: `.new(path, index=)`, iteration."""
    if has_slots() and action.layers:
        return action.layers[0].strips[0].channelbag(action.slots[0], ensure=True).fcurves
    return action.fcurves


def all_fcurves(action: bpy.types.Action) -> list[bpy.types.FCurve]:
    """Every f-curve of any action, also one made by the person."""
    if has_slots():
        return [curve for layer in action.layers for strip in layer.strips
                for bag in getattr(strip, "channelbags", ()) for curve in bag.fcurves]
    return list(action.fcurves)


def add_curve(action: bpy.types.Action, data_path: str, index: int, frame: float, value: float, group: str) -> None:
    """One f-curve with one key."""
    add_keys(action, data_path, index, (frame,), (value,), group)


def add_keys(action: bpy.types.Action, data_path: str, index: int, frames: Sequence[float], values: Sequence[float], group: str) -> None:
    """One f-curve with a key for each frame, straight lines between."""
    if has_slots():
        bag = action.layers[0].strips[0].channelbag(action.slots[0], ensure=True)
        groups = bag.groups
        curve = bag.fcurves.new(data_path, index=index)
    else:
        groups = action.groups
        curve = action.fcurves.new(data_path, index=index)
    curve.group = groups.get(group) or groups.new(group)
    keys = curve.keyframe_points
    keys.add(len(frames))
    keys.foreach_set("co", [x for pair in zip(frames, values) for x in pair])
    if len(frames) > 1:
        linear = keys[0].bl_rna.properties["interpolation"].enum_items["LINEAR"].value
        keys.foreach_set("interpolation", [linear] * len(frames))
    curve.update()


def open_cache(file: Path) -> bpy.types.CacheFile:
    """The data-block of an Alembic or USD file."""
    before = set(bpy.data.cache_files)
    bpy.ops.cachefile.open(filepath=str(file))
    return next(c for c in bpy.data.cache_files if c not in before)


def assign_action(obj: bpy.types.Object, action: bpy.types.Action | None) -> None:
    """Makes `action` (and its slot) the active one of `obj`; None takes it away."""
    data = obj.animation_data or obj.animation_data_create()
    data.action = action
    if action is not None and has_slots() and action.slots:
        data.action_slot = action.slots[0]


def use_nodes(material: bpy.types.Material) -> bpy.types.NodeTree:
    """The material's node tree. From 5.0 it is always there, and setting use_nodes warns."""
    if bpy.app.version < (5, 0, 0):
        material.use_nodes = True
    return material.node_tree


def set_socket(node: bpy.types.Node, names: Sequence[str], value) -> None:
    """Sets the first input socket of these names that this Blender has."""
    for name in names:
        if name in node.inputs:
            node.inputs[name].default_value = value
            return


def shade_smooth(mesh: bpy.types.Mesh) -> None:
    """Smooth faces, no custom edges."""
    mesh.shade_smooth()


def online_access() -> bool:
    """Whether the person lets Blender use the network (Preferences, System)."""
    return bool(getattr(bpy.app, "online_access", True))
