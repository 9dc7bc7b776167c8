"""The body model: the shipped file, skinning against independent oracles, rotations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neural.body import poses, skinning
from neural.body.model import BodyModel
from neural.body.rotations import axis_angle_from_matrix, frame, matrix_from_axis_angle, smallest
from neural.body.torch_skinning import forward_kinematics, rotation_matrices, skin, twist
from neural.contract.joints import JOINT, LANDMARKS, SMPL_JOINTS, SMPL_PARENTS, mirrored


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return BodyModel.load()


def test_the_shipped_body_is_sane(model):
    assert model.warnings == () and model.landmark_names[:33] == LANDMARKS
    assert np.abs(model.weights.sum(1) - 1).max() < 1e-6 and model.weights.min() >= 0
    assert np.abs(model.landmark_weight.sum(1) - 1).max() < 1e-5
    assert 1.55 < model.standing_height() < 1.75
    assert np.abs(model.joint_mean[0]).max() < 1e-6            # pelvis at the origin
    assert model.uv.min() >= 0 and model.uv.max() <= 1 and len(model.uv_faces) == len(model.faces)


def test_t_pose_arms_are_horizontal_left_is_plus_x_and_it_faces_plus_z(model):
    j = model.joint_mean
    for side, s in (("left", 1), ("right", -1)):
        chain = j[[JOINT[f"{side}_{n}"] for n in ("shoulder", "elbow", "wrist", "hand")]]
        assert (np.diff(s * chain[:, 0]) > 0.05).all() and np.ptp(chain[:, 1]) < 1e-3 and np.ptp(chain[:, 2]) < 1e-3
        leg = j[[JOINT[f"{side}_{n}"] for n in ("hip", "knee", "ankle")]]
        assert (np.diff(leg[:, 1]) < -0.3).all() and np.ptp(leg[:, 0]) < 1e-3
    marks = dict(zip(model.landmark_names, model.landmarks(model.template)))
    assert marks["nose"][2] > j[JOINT["head"]][2] + 0.05
    assert marks["left_foot_index"][2] > marks["left_heel"][2] + 0.15
    assert marks["left_wrist"][0] > 0.5 > -0.5 > marks["right_wrist"][0]


def test_the_template_and_its_joints_are_mirror_symmetric(model):
    from scipy.spatial import cKDTree

    flip = np.array([-1.0, 1, 1])
    assert cKDTree(model.template).query(model.template * flip)[0].max() < 2e-4
    assert np.abs(model.joint_mean * flip - model.joint_mean[list(mirrored(SMPL_JOINTS))]).max() < 2e-4


def test_the_skin_is_closed_and_faces_look_outward(model):
    edges = np.sort(np.concatenate([model.faces[:, [0, 1]], model.faces[:, [1, 2]], model.faces[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    a, b, c = (model.template[model.faces[:, k]] for k in range(3))
    volume = np.einsum("fi,fi->f", a, np.cross(b, c)).sum() / 6
    assert 0.04 < volume < 0.09                                # cubic metres: 40 to 90 litres


def test_the_first_shape_direction_is_size(model):
    up, down = (model.standing_height(np.array([s])) for s in (1.0, -1.0))
    assert 0.1 < abs(up - down) < 0.5


def test_rest_pose_gives_the_template_back(model):
    vertices, joints, transforms = model.posed(poses.T_POSE)
    assert np.abs(vertices - model.template).max() < 1e-12 and np.abs(joints - model.joint_mean).max() < 1e-12
    assert np.abs(transforms - np.eye(4)).max() < 1e-12


def test_turning_only_the_root_is_a_rigid_motion(model):
    pose = np.zeros((24, 3))
    pose[0] = (0.3, -1.1, 0.7)
    move = np.array([0.1, -0.2, 3.0])
    vertices, _, _ = model.posed(pose, translation=move)
    r = matrix_from_axis_angle(pose[0])
    expected = (model.template - model.joint_mean[0]) @ r.T + model.joint_mean[0] + move
    assert np.abs(vertices - expected).max() < 1e-9


def test_a_bent_elbow_turns_the_hand_about_the_elbow_and_leaves_the_rest(model):
    pose = np.zeros((24, 3))
    pose[JOINT["left_elbow"], 1] = -np.pi / 2
    vertices, joints, _ = model.posed(pose)
    elbow, wrist = JOINT["left_elbow"], JOINT["left_wrist"]
    arm = model.joint_mean[wrist] - model.joint_mean[elbow]
    assert np.allclose(joints[wrist], model.joint_mean[elbow] + [arm[2], arm[1], arm[0]], atol=1e-4)   # forward: +x -> +z
    still = model.weights[:, [elbow, wrist, JOINT["left_hand"]]].sum(1) == 0
    assert np.abs(vertices[still] - model.template[still]).max() < 1e-12


def test_numpy_and_torch_skinning_agree(model):
    rng = np.random.default_rng(1)
    pose, betas = rng.normal(0, 0.6, (24, 3)), rng.normal(0, 1, 10)
    rest, joints = model.shaped(betas)
    vertices, posed, _ = model.posed(pose, betas)
    world, place = forward_kinematics(rotation_matrices(torch.tensor(pose)), torch.tensor(joints))
    again = skin(torch.tensor(rest), torch.tensor(model.weights), world, torch.tensor(joints), place)
    assert np.abs(place.numpy() - posed).max() < 1e-10 and np.abs(again.numpy() - vertices).max() < 1e-10


def test_unskin_is_the_inverse_of_skin(model):
    rng = np.random.default_rng(2)
    transforms = skinning.joint_transforms(rng.normal(0, 0.3, (24, 3)), model.joint_mean)
    posed = skinning.skin(model.template, model.weights, transforms)
    assert np.abs(skinning.unskin(posed, model.weights, transforms) - model.template).max() < 1e-9


def test_a_pose_lowers_both_arms_by_45_degrees(model):
    _, joints, _ = model.posed(poses.A_POSE)
    for side, s in (("left", 1), ("right", -1)):
        d = joints[JOINT[f"{side}_wrist"]] - joints[JOINT[f"{side}_shoulder"]]
        assert np.allclose(d / np.linalg.norm(d), [s * np.sqrt(0.5), -np.sqrt(0.5), 0], atol=2e-3)


def test_scale_is_uniform(model):
    small, joints = model.shaped(np.ones(3), 0.5)
    large, more = model.shaped(np.ones(3), 1.0)
    assert np.allclose(2 * small, large) and np.allclose(2 * joints, more)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 1.0, 3.0, np.pi - 1e-7])
def test_axis_angle_survives_the_round_trip(angle):
    axis = np.array([0.6, -0.64, 0.48])
    r = axis * angle
    m = matrix_from_axis_angle(r)
    assert np.allclose(m @ m.T, np.eye(3), atol=1e-12) and np.isclose(np.linalg.det(m), 1)
    assert np.allclose(matrix_from_axis_angle(axis_angle_from_matrix(m)), m, atol=1e-9)
    assert np.allclose(rotation_matrices(torch.tensor(r[None]))[0].numpy(), m, atol=1e-8)


def test_smallest_rotation_and_frames():
    a, b = np.array([1.0, 2, 3]), np.array([-2.0, 1, 0.5])
    r = smallest(a, b)
    assert np.allclose(r @ a / np.linalg.norm(a), b / np.linalg.norm(b))
    assert np.allclose(smallest(a, -a) @ a, -a)
    f = frame(y=a, z=b)
    assert np.allclose(f.T @ f, np.eye(3)) and np.isclose(np.linalg.det(f), 1) and f[:, 1] @ a > 0


def test_twist_about_the_bone_is_separated_from_the_swing():
    swing, turn = matrix_from_axis_angle(np.array([0, 0.7, -1.0])), matrix_from_axis_angle(np.array([0.5, 0, 0]))
    r = torch.tensor(axis_angle_from_matrix(swing @ turn)[None])
    assert abs(float(twist(r, 0)) - 0.5) < 1e-6


def test_rotations_have_a_finite_gradient_at_zero():
    r = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    rotation_matrices(r)[:, 0, 1].sum().backward()
    assert torch.allclose(r.grad, torch.tensor([[0, 0, -1.0], [0, 0, -1.0]], dtype=torch.float64))


def test_parents_come_before_children():
    assert all(p < j for j, p in enumerate(SMPL_PARENTS))
