"""The armature and its Actions, from a PersonResult."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Vector

from . import compat, skeleton
from .result import PersonResult

KEY_FRAME = 1.0


def new_armature(name: str, result: PersonResult, blender_from_body: np.ndarray,
                 collection: bpy.types.Collection) -> bpy.types.Object:
    """Armature object `<name>_rig` at the origin, bones at SMPL's T-pose, frame `blender`, metres."""
    def to_blender(points: np.ndarray) -> np.ndarray:
        return np.asarray(points, np.float64) @ blender_from_body[:3, :3].T + blender_from_body[:3, 3]

    heaviest = np.argmax(result.body_weight_values, axis=1) if len(result.body_vertices) else np.zeros(0, int)
    body_joint = np.take_along_axis(result.body_weight_joints, heaviest[:, None], 1)[:, 0] if len(heaviest) else heaviest
    places = skeleton.place_bones(result.joint_names, result.parents, to_blender(result.rest_joints),
                                  to_blender(result.body_vertices), body_joint)

    data = bpy.data.armatures.new(f"{name}_rig")
    obj = bpy.data.objects.new(f"{name}_rig", data)
    collection.objects.link(obj)
    data.display_type = "STICK"     # thin, so that the person stays visible although the bones lie in front
    obj.show_in_front = True

    layer = bpy.context.view_layer
    before = layer.objects.active
    layer.objects.active = obj
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        for place in places:
            bone = data.edit_bones.new(place.name)
            bone.head, bone.tail = Vector(place.head), Vector(place.tail)
            bone.align_roll(Vector(place.z_axis))
            if place.parent >= 0:
                bone.parent = data.edit_bones[places[place.parent].name]
                bone.use_connect = place.connected
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")
        layer.objects.active = before
    for bone in obj.pose.bones:
        bone.rotation_mode = "QUATERNION"
        bone.lock_location = (bone.parent is not None,) * 3
    _colour(obj)
    return obj


def _colour(obj: bpy.types.Object) -> None:
    """The usual colours: left, right and middle; and bone collections of the same names."""
    groups = {"Left": "THEME04", "Right": "THEME01", "Middle": "THEME09"}
    made = {n: obj.data.collections.new(n) for n in groups}
    for bone in obj.data.bones:
        side = "Left" if bone.name.startswith("left_") else "Right" if bone.name.startswith("right_") else "Middle"
        made[side].assign(bone)
        bone.color.palette = groups[side]


def rest_matrices(armature: bpy.types.Object, names: tuple[str, ...]) -> np.ndarray:
    """(J, 4, 4) float64: the bones' rest matrices in armature space, made exactly rigid."""
    out = np.array([np.array(armature.data.bones[n].matrix_local) for n in names], np.float64)
    for m in out:   # Blender keeps them in float32
        u, _, vt = np.linalg.svd(m[:3, :3])
        m[:3, :3] = u @ vt
    return out


def photo_deform(result: PersonResult, blender_from_camera: np.ndarray, blender_from_body: np.ndarray) -> np.ndarray:
    """(J, 4, 4): rest to photo pose, both in frame `blender`."""
    return blender_from_camera @ result.camera_from_rest @ np.linalg.inv(blender_from_body)


def pose_deform(pose: np.ndarray, result: PersonResult, blender_from_body: np.ndarray) -> np.ndarray:
    """(J, 4, 4): rest to an SMPL pose (J, 3) axis-angle whose root is given in frame `body`, both in `blender`.

    The person stays on the floor: the soles of the posed mesh are put back to z = 0.
    """
    turns = skeleton.smpl_transforms(pose, result.rest_joints, result.parents)
    deform = blender_from_body @ turns @ np.linalg.inv(blender_from_body)

    def heights(joints: np.ndarray, values: np.ndarray, points: np.ndarray) -> np.ndarray:
        posed = skeleton.skin(blender_from_body @ turns, joints, values, points)
        return posed[:, 2]

    floor = skeleton.floor_z(heights(result.weight_joints, result.weight_values, result.vertices),
                             heights(result.body_weight_joints, result.body_weight_values, result.body_vertices))
    deform[:, 2, 3] -= floor
    return deform


def new_pose_action(name: str, armature: bpy.types.Object, names: tuple[str, ...], parents: np.ndarray,
                    deform: np.ndarray) -> bpy.types.Action:
    """An Action that holds one pose: a key per bone rotation, and for the root's place.

    deform (J, 4, 4): rest to pose, armature space. Kept in the file though not always in use (fake user).
    """
    basis = skeleton.basis_matrices(deform, rest_matrices(armature, names), parents)
    quaternions = skeleton.quaternions(basis[:, :3, :3])
    action = compat.new_action(name, armature.name)
    action.use_fake_user = True
    for j, bone in enumerate(names):
        path = f'pose.bones["{bpy.utils.escape_identifier(bone)}"]'
        if parents[j] < 0:
            for axis in range(3):
                compat.add_curve(action, f"{path}.location", axis, KEY_FRAME, float(basis[j, axis, 3]), bone)
        for axis in range(4):
            compat.add_curve(action, f"{path}.rotation_quaternion", axis, KEY_FRAME, float(quaternions[j, axis]), bone)
    return action


def clear_pose(armature: bpy.types.Object) -> None:
    """All bones back to rest (SMPL's T-pose)."""
    for bone in armature.pose.bones:
        bone.location, bone.scale = (0, 0, 0), (1, 1, 1)
        bone.rotation_quaternion = (1, 0, 0, 0)
        bone.rotation_euler = (0, 0, 0)
        bone.rotation_axis_angle = (0, 0, 1, 0)


def apply_pose(armature: bpy.types.Object, action: bpy.types.Action | None, frame: float = KEY_FRAME) -> None:
    """Makes the Action the active one and shows it at once, as it is at `frame`; None: the rest pose, with no Action."""
    clear_pose(armature)
    compat.assign_action(armature, action)
    if action is not None:
        for curve in compat.all_fcurves(action):   # so that it also shows where no frame change comes
            path, _, prop = curve.data_path.rpartition(".")
            if path:
                getattr(armature.path_resolve(path), prop)[curve.array_index] = curve.evaluate(frame)
    armature.update_tag()
