"""Turns a PersonResult into objects. With rig, mesh and material (its parts) the only writer of bpy.data."""

from __future__ import annotations

import json
from dataclasses import dataclass

import bpy
import numpy as np

from . import mesh, rig, skeleton
from .material import new_material
from .person import TAG, actions_of
from .result import PersonResult

PHOTO_POSE, A_POSE = "photo pose", "A-pose"
_KINDS = ("objects", "meshes", "armatures", "materials", "images", "actions", "collections")


@dataclass(frozen=True)
class PersonObjects:
    """What one person consists of in the file."""

    collection: bpy.types.Collection
    armature: bpy.types.Object
    mesh: bpy.types.Object
    body: bpy.types.Object | None
    photo_pose: bpy.types.Action
    a_pose: bpy.types.Action


def _free_name(wanted: str) -> str:
    """`wanted`, or with a number, such that none of the person's data would be renamed by Blender."""
    base = wanted.strip()[:40] or "Person"
    for n in range(10_000):
        name = base if n == 0 else f"{base}.{n:03d}"
        taken = (name in bpy.data.collections or any(o in bpy.data.objects for o in (name, f"{name}_rig", f"{name}_body"))
                 or f"{name} {PHOTO_POSE}" in bpy.data.actions or f"{name}_rig" in bpy.data.armatures)
        if not taken:
            return name
    return base


def build(result: PersonResult, scene: bpy.types.Scene | None = None) -> PersonObjects:
    """Adds the person to the scene, in the photo's pose, soles on the floor, pelvis over the origin.

    When anything fails, all that was made is taken away again and the exception goes on.
    """
    before = {kind: set(getattr(bpy.data, kind)[:]) for kind in _KINDS}
    context = bpy.context
    if context.object is not None and context.object.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    try:
        return _build(result, scene or context.scene)
    except BaseException:
        for kind in _KINDS:
            data = getattr(bpy.data, kind)
            for block in set(data[:]) - before[kind]:
                data.remove(block)
        raise


def _build(result: PersonResult, scene: bpy.types.Scene) -> PersonObjects:
    name = _free_name(result.name)
    collection = bpy.data.collections.new(name)
    scene.collection.children.link(collection)

    pelvis = result.rest_joints[0]
    body_from = skeleton.rest_placement(pelvis, result.vertices, result.body_vertices)
    posed_body = skeleton.skin(result.camera_from_rest, result.body_weight_joints, result.body_weight_values,
                               result.body_vertices)
    posed_pelvis = result.camera_from_rest[0, :3, :3] @ pelvis + result.camera_from_rest[0, :3, 3]
    camera_from = skeleton.photo_placement(posed_pelvis, result.surface_vertices, posed_body, result.up)

    armature = rig.new_armature(name, result, body_from, collection)
    person = _mesh_object(name, result, body_from, collection)
    mesh.bind(person, armature)
    body = _body_object(name, result, body_from, collection)
    if body is not None:
        mesh.bind(body, armature)
        body.hide_viewport = body.hide_render = True

    def action(suffix: str, deform: np.ndarray) -> bpy.types.Action:
        return rig.new_pose_action(f"{name} {suffix}", armature, result.joint_names, result.parents, deform)

    photo = action(PHOTO_POSE, rig.photo_deform(result, camera_from, body_from))
    a_pose = action(A_POSE, rig.pose_deform(result.pose_a, result, body_from))
    rig.apply_pose(armature, photo)

    report = json.dumps(result.report, ensure_ascii=False)
    for block in (collection, armature):
        block[TAG] = report
    armature["likeness_height_m"] = float(result.height_m)
    armature["likeness_photo_pose"], armature["likeness_a_pose"] = photo, a_pose
    armature["likeness_blender_from_camera"] = [float(x) for x in camera_from.ravel()]   # to match the photo's camera

    _select(person)
    return PersonObjects(collection, armature, person, body, photo, a_pose)


def _mesh_object(name: str, result: PersonResult, body_from: np.ndarray,
                 collection: bpy.types.Collection) -> bpy.types.Object:
    vertices = result.vertices.astype(np.float64) @ body_from[:3, :3].T + body_from[:3, 3]
    data = mesh.new_mesh(name, vertices, result.faces)
    mesh.add_uv(data, "UVMap", result.uv)
    mesh.add_uv(data, "BodyUV", result.body_uv)
    data.uv_layers["UVMap"].active = data.uv_layers["UVMap"].active_render = True
    mesh.add_seen(data, result.seen)
    mesh.add_color(data, result.vertex_color)
    data.materials.append(new_material(name, result.albedo, result.normal_map))
    obj = bpy.data.objects.new(name, data)
    collection.objects.link(obj)
    mesh.add_weights(obj, result.joint_names, result.weight_joints, result.weight_values)
    return obj


def _body_object(name: str, result: PersonResult, body_from: np.ndarray,
                 collection: bpy.types.Collection) -> bpy.types.Object | None:
    """The fitted body under the clothes: hidden, for cloth simulation, retargeting and re-weighting."""
    if not len(result.body_vertices):
        return None
    vertices = result.body_vertices.astype(np.float64) @ body_from[:3, :3].T + body_from[:3, 3]
    data = mesh.new_mesh(f"{name}_body", vertices, result.body_faces)
    mesh.add_uv(data, "UVMap", result.fitted_uv)
    obj = bpy.data.objects.new(f"{name}_body", data)
    obj["likeness_body"] = True
    collection.objects.link(obj)
    mesh.add_weights(obj, result.joint_names, result.body_weight_joints, result.body_weight_values)
    return obj


def _select(person: bpy.types.Object) -> None:
    layer = bpy.context.view_layer
    layer.update()      # else it does not know the new objects yet
    if person.name not in layer.objects:
        return          # built into another scene than the one that is shown
    for obj in layer.objects:
        obj.select_set(False)
    person.select_set(True)
    layer.objects.active = person


def rename(person: PersonObjects, wanted: str) -> None:
    """Gives a person (all its data) another name, if that is free."""
    old = person.collection.name
    new = _free_name(wanted)
    blocks = [person.collection, *actions_of(person.armature)]
    for obj in (person.armature, person.mesh, person.body):
        if obj is not None:
            blocks += [obj, obj.data]
    for material in person.mesh.data.materials:
        blocks += [material, *(n.image for n in material.node_tree.nodes if getattr(n, "image", None))]
    for block in blocks:
        if block.name.startswith(old):
            block.name = new + block.name[len(old):]


def remove(collection: bpy.types.Collection) -> None:
    """Takes a person out of the file, with all that only this person uses."""
    objects = list(collection.objects)
    actions = {a for o in objects for a in actions_of(o)} | {o.animation_data.action for o in objects if o.animation_data and o.animation_data.action}
    caches = {m.cache_file for o in objects for m in o.modifiers if m.type == "MESH_SEQUENCE_CACHE" and m.cache_file}
    datas = {o.data for o in objects if o.data is not None}
    materials = {m for d in datas for m in getattr(d, "materials", ()) if m is not None}
    images = {n.image for m in materials if m.node_tree for n in m.node_tree.nodes if getattr(n, "image", None)}
    for obj in objects:
        bpy.data.objects.remove(obj)
    # in this order: a block has a user less when what used it has gone
    for blocks in ({d for d in datas if isinstance(d, (bpy.types.Mesh, bpy.types.Armature))}, materials, images, caches, actions):
        bpy.data.batch_remove([b for b in blocks if b.users - int(b.use_fake_user) <= 0])
    bpy.data.collections.remove(collection)
