"""The scene oracle: what Blender evaluates is the reconstructed surface, to 0.5 mm."""

from __future__ import annotations

import dataclasses
import json

import bpy
import numpy as np
import pytest

TOLERANCE_M = 0.0005


def evaluated(obj) -> np.ndarray:
    """(V, 3) world positions after all modifiers."""
    bpy.context.view_layer.update()
    shown = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = shown.to_mesh()
    co = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", co)
    shown.to_mesh_clear()
    world = np.array(obj.matrix_world)
    return co.reshape(-1, 3).astype(float) @ world[:3, :3].T + world[:3, 3]


def to_blender(points):
    """camera (x right, y down, z forward) -> blender axes, written out by hand."""
    return np.stack([points[:, 0], points[:, 2], -points[:, 1]], 1)


@pytest.fixture
def person(empty, figure, load):
    return load("addon.scene").build(figure[0])


def test_photo_pose_gives_the_surface_back(person, figure):
    got, want = evaluated(person.mesh), to_blender(figure[1]["surface_vertices"].astype(float))
    want -= want.mean(0) - got.mean(0)          # the floor decides the height, the pelvis the place
    assert np.abs(got - want).max() < TOLERANCE_M
    assert abs(got[:, 2].min()) < TOLERANCE_M   # soles on the floor
    pelvis = person.armature.pose.bones["pelvis"].matrix.translation
    assert abs(pelvis.x) < TOLERANCE_M and abs(pelvis.y) < TOLERANCE_M


def test_photo_pose_survives_a_frame_change(person, empty):
    before = evaluated(person.mesh)
    empty.frame_set(37)
    assert np.abs(evaluated(person.mesh) - before).max() < 1e-5


def test_stored_matrix_maps_the_camera(person, figure):
    m = np.array(person.armature["likeness_blender_from_camera"]).reshape(4, 4)
    want = figure[1]["surface_vertices"].astype(float) @ m[:3, :3].T + m[:3, 3]
    assert np.abs(evaluated(person.mesh) - want).max() < TOLERANCE_M


def test_rest_is_the_t_pose(person, figure, load):
    load("addon.rig").apply_pose(person.armature, None)
    got = evaluated(person.mesh)
    body = figure[1]["vertices"].astype(float)
    want = np.stack([body[:, 0], -body[:, 2], body[:, 1]], 1)
    want[:, 2] -= want[:, 2].min()
    want[:, 1] -= -figure[1]["rest_joints"][0, 2]
    want[:, 0] -= figure[1]["rest_joints"][0, 0]
    assert np.abs(got - want).max() < TOLERANCE_M
    bones = person.armature.data.bones
    assert bones["left_wrist"].head_local.x > 0.5 > -0.5 > bones["right_wrist"].head_local.x
    assert bones["left_foot"].tail_local.y < bones["left_ankle"].head_local.y   # toes forward: -Y


def test_a_pose_agrees_with_an_independent_lbs(person, figure, load):
    import figure as synthetic
    load("addon.rig").apply_pose(person.armature, person.a_pose)
    got, data = evaluated(person.mesh), figure[1]
    transforms = synthetic.chain(data["pose_a"], np.zeros(3))
    blend = np.einsum("vk,vkij->vij", data["weight_values"].astype(float), transforms[data["weight_joints"]])
    posed = np.einsum("vij,vj->vi", blend[:, :3, :3], data["vertices"].astype(float)) + blend[:, :3, 3]
    want = np.stack([posed[:, 0], -posed[:, 2], posed[:, 1]], 1)
    want -= want.mean(0) - got.mean(0)
    assert np.abs(got - want).max() < TOLERANCE_M
    assert abs(got[:, 2].min()) < TOLERANCE_M
    hand = person.armature.pose.bones["left_wrist"].matrix.translation
    assert hand.z < person.armature.pose.bones["left_shoulder"].matrix.translation.z - 0.2   # arms hang down


def test_photo_pose_from_axis_angles_is_the_same_as_from_matrices(figure, load):
    result, skeleton = figure[0], load("addon.skeleton")
    turns = skeleton.smpl_transforms(result.pose_photo, result.rest_joints, result.parents)
    assert np.abs(turns[:, :3, :3] - result.camera_from_rest[:, :3, :3]).max() < 1e-6


def test_bones(person, figure):
    bones = person.armature.data.bones
    assert {b.name for b in bones} == set(figure[0].joint_names) and len(bones) == 24
    for bone in bones:
        assert 0.03 < bone.length < 0.6, bone.name
    assert np.allclose(bones["left_knee"].tail_local, bones["left_ankle"].head_local, atol=1e-5)
    # positive X bends the natural way: elbows forward, knees backward, spine forward; the same on both sides
    for name, moved, axis, sign in (("left_elbow", "left_wrist", 1, -1), ("right_elbow", "right_wrist", 1, -1),
                                    ("left_knee", "left_ankle", 1, 1), ("right_knee", "right_ankle", 1, 1),
                                    ("spine1", "head", 1, -1)):
        for pb in person.armature.pose.bones:
            pb.location, pb.rotation_quaternion = (0, 0, 0), (1, 0, 0, 0)
        person.armature.animation_data.action = None
        bpy.context.view_layer.update()
        before = person.armature.pose.bones[moved].matrix.translation.copy()
        person.armature.pose.bones[name].rotation_quaternion = (np.cos(.25), np.sin(.25), 0, 0)
        bpy.context.view_layer.update()
        shift = person.armature.pose.bones[moved].matrix.translation - before
        assert shift[axis] * sign > 0.05, (name, shift)


def test_mesh_data(person, figure):
    obj, result = person.mesh, figure[0]
    assert [u.name for u in obj.data.uv_layers] == ["UVMap", "BodyUV"] and obj.data.uv_layers.active.name == "UVMap"
    uv = np.empty(len(obj.data.loops) * 2, np.float32)
    obj.data.uv_layers["UVMap"].data.foreach_get("uv", uv)
    assert np.allclose(uv.reshape(-1, 2), result.uv)
    seen = obj.data.attributes["seen"]
    assert (seen.domain, seen.data_type) == ("POINT", "FLOAT")
    assert abs(seen.data[5].value - result.seen[5]) < 1e-6
    assert obj.data.color_attributes["Color"].data[7].color_srgb[0] == pytest.approx(result.vertex_color[7, 0] / 255, abs=.01)
    assert {g.name for g in obj.vertex_groups} == set(result.joint_names)
    assert all(p.use_smooth for p in obj.data.polygons)
    vertex = obj.data.vertices[40]
    assert sum(g.weight for g in vertex.groups) == pytest.approx(1, abs=1e-4)
    assert obj.parent == person.armature and obj.modifiers[0].object == person.armature


def test_material_is_packed(person):
    tree = person.mesh.active_material.node_tree
    images = {n.label: n.image for n in tree.nodes if n.type == "TEX_IMAGE"}
    assert images["Albedo"].colorspace_settings.name == "sRGB"
    assert images["Normal map"].colorspace_settings.name == "Non-Color"
    for image in images.values():
        assert image.packed_file is not None and "job" not in image.filepath and image.size[0] == 64


def test_body_is_hidden_and_bound(person):
    body = person.body
    assert body.hide_viewport and body.hide_render and body.parent == person.armature
    assert body.modifiers[0].object == person.armature


def test_report_travels_with_the_person(person):
    for block in (person.collection, person.armature):
        assert json.loads(block["likeness"])["preset"] == "draft"


def test_actions_exist_and_survive_saving(person, tmp_path):
    assert person.armature.animation_data.action == person.photo_pose
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    names = [a.name for a in bpy.data.actions]
    assert "figure photo pose" in names and "figure A-pose" in names
    got = evaluated(bpy.data.objects["figure"])
    assert abs(got[:, 2].min()) < TOLERANCE_M


def test_two_people_of_one_name(empty, figure, load):
    scene = load("addon.scene")
    one, two = scene.build(figure[0]), scene.build(figure[0])
    assert (one.collection.name, two.collection.name) == ("figure", "figure.001")
    assert two.armature.name == "figure.001_rig" and two.photo_pose.name == "figure.001 photo pose"
    scene.remove(one.collection)
    assert "figure" not in bpy.data.objects and "figure_rig" not in bpy.data.armatures
    assert "figure photo pose" not in bpy.data.actions and "figure.001 photo pose" in bpy.data.actions


def test_failure_leaves_nothing(empty, figure, load, monkeypatch):
    scene = load("addon.scene")
    kinds = ("objects", "meshes", "armatures", "materials", "images", "actions", "collections")
    before = {k: len(getattr(bpy.data, k)) for k in kinds}

    def broken(*_):
        raise RuntimeError("no Actions today")

    monkeypatch.setattr(load("addon.rig"), "new_pose_action", broken)
    with pytest.raises(RuntimeError):
        scene.build(figure[0])
    assert {k: len(getattr(bpy.data, k)) for k in kinds} == before


def test_hand_over_that_is_broken(tmp_path, load):
    import figure as synthetic
    errors, result = load("neural.contract.errors"), load("addon.result")
    for change, value in (("faces", np.array([[0, 1, 10**6]], np.int32)), ("vertices", np.full((4, 3), np.nan)),
                          ("parents", np.arange(24)), ("uv", np.zeros((2, 2)))):
        data = synthetic.arrays() | {change: value}
        np.savez(tmp_path / "result.npz", **data)
        with pytest.raises(errors.InternalError):
            result.load(tmp_path)
    (tmp_path / "result.npz").write_bytes(b"half a file")
    with pytest.raises(errors.InternalError):
        result.load(tmp_path)


def test_a_pitched_camera_leaves_the_person_upright(empty, figure, load):
    """The photo was taken looking down by 15 degrees: what was up for the camera's world is +Z in Blender."""
    up = np.array([0.0, -np.cos(np.radians(15)), -np.sin(np.radians(15))])
    person = load("addon.scene").build(dataclasses.replace(figure[0], up=up))
    m = np.array(person.armature["likeness_blender_from_camera"]).reshape(4, 4)
    assert np.abs(m[:3, :3] @ up - [0, 0, 1]).max() < 1e-6
    want = figure[1]["surface_vertices"].astype(float) @ m[:3, :3].T + m[:3, 3]
    got = evaluated(person.mesh)
    assert np.abs(got - want).max() < TOLERANCE_M and abs(got[:, 2].min()) < TOLERANCE_M
