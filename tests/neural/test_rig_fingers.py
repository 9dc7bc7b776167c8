"""s11 with fingers: 54 joints that give the surface back, ten fingers straightened, mittens left whole, stiff bodies as before."""

from types import SimpleNamespace

import numpy as np
import pytest

from neural.body import hand_pose, poses
from neural.body.hands import bends, bent
from neural.body.model import BodyModel
from neural.body.skinning import joint_transforms, skin, unskin
from neural.context import Context
from neural.contract.joints import FINGER_JOINTS, JOINT, SMPL_JOINTS
from neural.geometry.fingers import rest_joints, split_fingers
from neural.geometry.normals import vertex_normals
from neural.stages.s03_body import Fingers
from neural.stages.s11_rig import bind_rig, pose_vertices


@pytest.fixture(scope="module")
def scene():
    """A body with half-closed hands in a bent pose, and itself (a little inflated) as surface, bound."""
    model = BodyModel.load()
    pose = np.array(poses.RELAXED)
    pose[0] = (np.pi - 0.1, 0.05, 0.1)
    pose[JOINT["left_wrist"]] = (0.4, 0, -0.3)
    rest, joints = model.shaped()
    at, points = model.hands.shaped(), model.hands.points(rest)
    angles = hand_pose.RELAXED.copy()
    angles[:4, 2:] += 0.3                                      # the thumb would run into the index finger
    ease, own = np.zeros((30, 3)), np.zeros((30, 3))
    for k in range(2):
        chain = hand_pose.Chain.of(model.hands, k, at, points, joints[JOINT["left_wrist"] + k])
        own[15 * k:15 * k + 15], ease[15 * k:15 * k + 15] = (hand_pose.pose_of(chain, a, k) for a in (angles, hand_pose.RELAXED))
    curled = bent(rest, model.hands.weights, bends(own, at))
    _, _, transforms = model.posed(pose, None, 1.0, np.array([0.1, 0.2, 2.6]))
    v = skin(curled, model.weights, transforms)
    fingers = Fingers(own, ease, at, model.hands.weights, rest, ("points", "points"))
    body = SimpleNamespace(vertices=v, faces=model.faces, weights=model.weights, rest_vertices=curled, rest_joints=joints,
                           camera_from_rest=transforms, pose=pose, uv=model.uv, uv_faces=model.uv_faces, fingers=fingers)
    normals = vertex_normals(v, model.faces)
    outer = (v + 0.002 * normals).astype(np.float32)
    surface = SimpleNamespace(vertices=outer, faces=model.faces, normals=normals, bind_vertices=outer, bind_from_rest=transforms)
    return model, body, surface, bind_rig(body, surface, Context())


def growth(before, after, faces):
    """How much longer the edges get (3 F,), short edges counted as a quarter of the mean one."""
    pairs = [(faces[:, k], faces[:, k - 1]) for k in range(3)]
    a, b = (np.concatenate([np.linalg.norm(v[i] - v[j], axis=1) for i, j in pairs]) for v in (before, after))
    return b / np.maximum(a, 0.25 * a.mean())


def test_fifty_four_joints_the_first_of_them_smpl(scene):
    _, _, surface, rig = scene
    assert rig.joint_names == SMPL_JOINTS + FINGER_JOINTS and rig.parents.shape == (54,) and (rig.parents[1:] < np.arange(1, 54)).all()
    assert rig.rest_joints.shape == rig.pose_photo.shape == rig.pose_a.shape == (54, 3) and rig.camera_from_rest.shape == (54, 4, 4)
    assert rig.weight_joints.shape == (len(surface.vertices), 6) and np.abs(rig.weight_values.sum(1) - 1).max() < 1e-6


def test_photo_pose_gives_the_surface_back(scene):
    _, _, surface, rig = scene
    stored = SimpleNamespace(weight_joints=rig.weight_joints, weight_values=rig.weight_values,
                             rest_vertices=rig.rest_vertices.astype(np.float32).astype(np.float64))
    assert np.abs(pose_vertices(stored, rig.camera_from_rest) - surface.vertices).max() < 0.0005
    again = joint_transforms(rig.pose_photo, rig.rest_joints, rig.parents)        # the same from the pose itself, as Blender does it
    again[:, :3, 3] += rig.camera_from_rest[0, :3, 3] - again[0, :3, 3]
    assert np.abs(again - rig.camera_from_rest).max() < 1e-5
    assert np.abs(pose_vertices(stored, again) - surface.vertices).max() < 0.0005


def test_real_fingers_are_straightened(scene):
    model, _, _, rig = scene
    assert "fingers(left,right)" in rig.method
    rows = model.hands.weights.sum(1) > 0.9
    error = np.linalg.norm(rig.rest_vertices - model.template, axis=1)[rows]
    assert np.median(error) < 0.005 and np.quantile(error, 0.95) < 0.015          # 2 mm of it is the inflation
    assert np.abs(rig.body_vertices - model.template).max() < 1e-5 and rig.body_joints.max() == 53
    tip = model.hands.point_index[8, 0]                                            # left index
    moves = joint_transforms((np.arange(54)[:, None] == 24) * [0, 0, -0.8], rig.rest_joints, rig.parents)
    moved = np.linalg.norm(pose_vertices(rig, moves) - rig.rest_vertices, axis=1)
    assert moved[tip] > 0.03 and moved[model.hands.point_index[[12, 16, 20], 0]].max() < 0.005


def test_a_mitten_stays_whole(scene):
    """A closed bag round the four fingers of the left hand: it rests as it was, and no finger that moves tears it."""
    model, body, _, _ = scene
    hand = np.nonzero(model.weights[:, JOINT["left_hand"]] > 0.5)[0]
    points = body.vertices[hand]
    middle = points.mean(0)
    _, _, axes = np.linalg.svd(points - middle, full_matrices=False)
    half = 0.55 * np.ptp((points - middle) @ axes.T, axis=0)
    rows, around = 40, 40
    up, turn = np.meshgrid(np.linspace(0.02, np.pi - 0.02, rows), np.arange(around) * 2 * np.pi / around, indexing="ij")
    ball = np.stack([np.cos(up), np.sin(up) * np.cos(turn), np.sin(up) * np.sin(turn)], -1).reshape(-1, 3)
    v = middle + (ball * half) @ axes
    i = np.arange(rows - 1)[:, None] * around + np.arange(around)
    j = np.arange(rows - 1)[:, None] * around + (np.arange(around) + 1) % around
    faces = np.concatenate([np.stack([i, j, j + around], -1).reshape(-1, 3), np.stack([i, j + around, i + around], -1).reshape(-1, 3)])
    weights = np.zeros((len(v), 24))
    weights[:, JOINT["left_hand"]] = 1.0
    f = body.fingers
    out = split_fingers(v, faces, vertex_normals(v, faces), weights, body.vertices, body.faces, f.weights, f.pose, f.rest_joints,
                        body.camera_from_rest)
    assert out.apart == (False, False) and np.array_equal(out.moves, np.tile(np.eye(4), (30, 1, 1)))
    assert np.abs(out.weights.sum(1) - 1).max() < 1e-9 and (out.weights > 0).sum(1).max() <= 6
    assert out.weights[:, 24:39].sum(1).min() > 0.99
    resting, at = unskin(v, weights, body.camera_from_rest), rest_joints(f.rest_joints, f.pose, out)
    for finger in range(5):
        pose = np.zeros((30, 3))
        pose[3 * finger:3 * finger + 3, 2] = -0.35 if finger == 4 else -0.6      # a thumb turns less
        whole = np.concatenate([np.tile(np.eye(4), (24, 1, 1)), bends(pose, at)])
        longer = growth(resting, skin(resting, out.weights, whole), faces)
        assert np.quantile(longer, 0.995) < 3.0 and longer.max() < 8, finger


def test_a_body_with_stiff_hands_has_24_joints(scene):
    _, body, surface, _ = scene
    stiff = SimpleNamespace(**{**vars(body), "fingers": None})
    rig = bind_rig(stiff, surface, Context())
    assert rig.joint_names == SMPL_JOINTS and rig.camera_from_rest.shape == (24, 4, 4) and rig.method == "body-transfer+inpaint"
    assert np.abs(rig.body_vertices - body.rest_vertices).max() < 1e-6 and rig.body_joints.max() == 23
    assert np.abs(pose_vertices(rig, rig.camera_from_rest) - surface.vertices).max() < 0.0005
