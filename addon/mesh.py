"""Mesh objects from arrays: vertex groups, UV layers, attributes. All positions are given in frame `blender`."""

from __future__ import annotations

import bpy
import numpy as np


def new_mesh(name: str, vertices: np.ndarray, faces: np.ndarray) -> bpy.types.Mesh:
    """Triangle mesh, smooth. vertices (V, 3) float, metres; faces (F, 3) int, counter-clockwise from outside."""
    mesh = bpy.data.meshes.new(name)
    fill(mesh, vertices, faces)
    return mesh


def fill(mesh: bpy.types.Mesh, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Gives an empty mesh its triangles."""
    count = len(faces)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(vertices, np.float32).ravel())
    mesh.loops.add(count * 3)
    mesh.loops.foreach_set("vertex_index", np.ascontiguousarray(faces, np.int32).ravel())
    mesh.polygons.add(count)
    mesh.polygons.foreach_set("loop_start", np.arange(0, count * 3, 3, dtype=np.int32))
    mesh.update(calc_edges=True)
    mesh.shade_smooth()


def add_uv(mesh: bpy.types.Mesh, name: str, uv: np.ndarray) -> None:
    """A UV layer; uv (F*3, 2), a row per loop corner, v up."""
    layer = mesh.uv_layers.new(name=name, do_init=False)
    layer.data.foreach_set("uv", np.ascontiguousarray(uv, np.float32).ravel())


def add_seen(mesh: bpy.types.Mesh, seen: np.ndarray) -> None:
    """Point attribute `seen` (V,) in [0, 1]: how surely the photo shows this place."""
    mesh.attributes.new("seen", "FLOAT", "POINT").data.foreach_set("value", np.ascontiguousarray(seen, np.float32))


def add_color(mesh: bpy.types.Mesh, color: np.ndarray) -> None:
    """Point attribute `Color` from (V, 3) uint8 sRGB."""
    rgba = np.ones((len(color), 4), np.float32)
    rgba[:, :3] = color.astype(np.float32) / 255
    attribute = mesh.color_attributes.new("Color", "BYTE_COLOR", "POINT")
    attribute.data.foreach_set("color_srgb", rgba.ravel())
    mesh.color_attributes.active_color = attribute


def add_weights(obj: bpy.types.Object, names: tuple[str, ...], joints: np.ndarray, values: np.ndarray) -> None:
    """Vertex groups of the bones' names. joints (V, K) int, values (V, K); a joint may occur twice in a row."""
    groups = [obj.vertex_groups.new(name=n) for n in names]
    values = np.asarray(values, np.float64)
    values = values / np.maximum(values.sum(1, keepdims=True), 1e-12)
    dense = np.zeros((len(names), len(joints)), np.float32)
    for k in range(joints.shape[1]):
        np.add.at(dense, (joints[:, k], np.arange(len(joints))), values[:, k].astype(np.float32))
    for group, weights in zip(groups, dense):
        used = np.flatnonzero(weights > 1e-6)
        whole = used[weights[used] >= 1.0]
        if len(whole):
            group.add(whole.tolist(), 1.0, "REPLACE")
        partly = used[weights[used] < 1.0]
        for vertex, weight in zip(partly.tolist(), weights[partly].tolist()):   # the API takes one weight a call
            group.add((vertex,), weight, "REPLACE")


def bind(obj: bpy.types.Object, armature: bpy.types.Object) -> None:
    """Parent to the armature, deformed by it: plain linear blending, as SMPL is defined."""
    obj.parent = armature
    modifier = obj.modifiers.new("Armature", "ARMATURE")
    modifier.object = armature
    modifier.use_deform_preserve_volume = False
