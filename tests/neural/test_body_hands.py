"""Fingers: the file of hands, straight fingers change nothing, the fit gives known hands back, left and right agree, hands on a body."""

import numpy as np
import pytest

from neural.body import hand_pose
from neural.body.hand_fit import HandConfig, fit_hand, wrist_angles
from neural.body.hand_place import place_hands
from neural.body.hands import MIRROR, HandModel, bends, bent, split_weights, with_fingers
from neural.body.model import BodyModel
from neural.body.poses import RELAXED
from neural.body.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from neural.body.skinning import joint_transforms, skin
from neural.contract.errors import BodyError
from neural.contract.frames import Camera
from neural.contract.joints import FINGER_JOINTS, FINGER_PARENTS, FINGERS, JOINT, SMPL_PARENTS

CAMERA = Camera.from_fov(1024, 1024)
EXACT = HandConfig(across=0.002, depth=0.002, steps=30)      # for points without errors


@pytest.fixture(scope="module")
def model():
    return BodyModel.load()


@pytest.fixture(scope="module")
def chains(model):
    rest, joints = model.shaped()
    at, points = model.hands.shaped(), model.hands.points(rest)
    return [hand_pose.Chain.of(model.hands, k, at, points, joints[JOINT[f"{side}_wrist"]]) for k, side in enumerate(("left", "right"))]


def some_angles(rng):
    """A natural hand: neighbouring joints bend together."""
    mean, spread, low, high = np.moveaxis(hand_pose.RANGES, -1, 0)
    angles = mean + rng.normal(0, 0.5, (5, 5)) * spread
    angles[:, 1] = 0
    angles[:4, 2:4] = mean[:4, 2:4] + rng.uniform(-0.3, 1.3, 2) + rng.normal(0, 0.1, (4, 2))
    angles[:4, 4] = 0.55 * angles[:4, 3]
    return np.clip(angles, low, high)


def test_names_and_tree():
    assert len(FINGER_JOINTS) == 30 and FINGER_JOINTS[:3] == ("left_index1", "left_index2", "left_index3")
    assert FINGER_JOINTS[12:16] == ("left_thumb1", "left_thumb2", "left_thumb3", "right_index1")
    parents = tuple(SMPL_PARENTS) + FINGER_PARENTS
    assert all(parents[j] < j for j in range(54))
    assert {FINGER_PARENTS[i] for i in range(0, 15, 3)} == {JOINT["left_hand"]}


def test_weights_split_the_hand_joint(model):
    hands = [JOINT["left_hand"], JOINT["right_hand"]]
    assert np.abs(model.hands.weights.reshape(-1, 2, 15).sum(2) - model.weights[:, hands]).max() < 1e-12
    whole = split_weights(model.weights, model.hands.weights)
    assert whole.min() >= 0 and np.abs(whole.sum(1) - 1).max() < 1e-9 and whole[:, hands].max() < 1e-12


def test_straight_fingers_are_the_body_of_24_joints(model):
    pose, rng = np.array(RELAXED), np.random.default_rng(0)
    pose[:] += rng.normal(0, 0.2, pose.shape)
    betas = rng.normal(0, 1, model.betas_count)
    plain, _, transforms = model.posed(pose, betas)
    rest, _ = model.shaped(betas)
    moves = bends(np.zeros((30, 3)), model.hands.shaped(betas))
    assert np.abs(skin(bent(rest, model.hands.weights, moves), model.weights, transforms) - plain).max() < 1e-9
    full = skin(rest, split_weights(model.weights, model.hands.weights), with_fingers(transforms, moves))
    assert np.abs(full - plain).max() < 1e-9


def test_chain_of_transforms_agrees_with_plain_forward_kinematics(model):
    """`with_fingers` against the general kinematics with 54 parents, written apart."""
    rng = np.random.default_rng(1)
    pose = rng.normal(0, 0.3, (54, 3))
    _, joints = model.shaped()
    at = model.hands.shaped()
    whole = joint_transforms(pose, np.concatenate([joints, at]), tuple(SMPL_PARENTS) + FINGER_PARENTS)
    ours = with_fingers(joint_transforms(pose[:24], joints), bends(pose[24:], at))
    assert np.abs(whole - ours).max() < 1e-12


def test_hinges_bend_into_the_palm_and_mirror(model, chains):
    assert np.abs(chains[0].joints - chains[1].joints).max() < 1e-4 and np.abs(chains[0].hinges - chains[1].hinges).max() < 1e-3
    angles = np.zeros((5, 5))
    angles[:4, 2:] = np.radians(40)
    tips = chains[0].bend(angles)[0][:4, 3]
    assert (tips[:, 1] < chains[0].bend(np.zeros((5, 5)))[0][:4, 3, 1] - 0.015).all()        # palms face down at rest
    left, right = (hand_pose.pose_of(chains[k], angles, k) for k in (0, 1))
    assert np.abs(left - right * MIRROR).max() < 1e-3
    v = bent(model.template, model.hands.weights, bends(np.concatenate([left, right]), model.hands.shaped()))
    points = model.hands.points(v)
    assert np.abs(points[0] * [-1, 1, 1] - points[1]).max() < 2e-3
    assert np.linalg.norm(points[0][[8, 12, 20, 16]] - (tips + model.joint_mean[JOINT["left_wrist"]]), axis=1).max() < 0.006   # skin follows bones


def test_derivatives(chains):
    angles = some_angles(np.random.default_rng(2))
    points, slope, _ = chains[0].bend(angles)
    for k in range(5):
        step = angles.copy()
        step[:, k] += 1e-6
        assert np.abs((chains[0].bend(step)[0] - points) / 1e-6 - slope[:, :, k]).max() < 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_known_hand_is_given_back(chains, seed):
    rng = np.random.default_rng(seed)
    angles, turn = some_angles(rng), matrix_from_axis_angle(rng.normal(0, 1, 3))
    forearm = turn @ matrix_from_axis_angle([rng.normal(0, 0.4), 0, rng.normal(0, 0.3)]).T
    points = 1.1 * hand_pose.in_order(chains[0].bend(angles)[0]) @ turn.T
    wrong = turn @ matrix_from_axis_angle(rng.normal(0, 0.5, 3))
    exact = fit_hand(chains[0], points, forearm, wrong, EXACT)
    error = np.degrees(np.abs(exact.angles - angles))[:, [0, 2, 3, 4]]
    assert error.max() < 5 and error.mean() < 1 and abs(exact.size - 1.1) < 0.01
    assert np.degrees(np.linalg.norm(axis_angle_from_matrix(exact.turn @ turn.T))) < 1
    noisy = fit_hand(chains[0], points + rng.normal(0, 1, points.shape) * [0.003, 0.003, 0.008], forearm, wrong)   # as photos are
    error = np.degrees(np.abs(noisy.angles - angles))[:, [2, 3]]
    assert np.median(error) < 10 and np.degrees(np.linalg.norm(axis_angle_from_matrix(noisy.turn @ turn.T))) < 12
    assert (noisy.angles >= hand_pose.RANGES[..., 2]).all() and (noisy.angles <= hand_pose.RANGES[..., 3]).all()


def test_one_wild_point_does_not_turn_the_hand(chains):
    rng = np.random.default_rng(5)
    angles, turn = some_angles(rng), matrix_from_axis_angle([0.3, 2.8, 0.2])
    points = hand_pose.in_order(chains[0].bend(angles)[0]) @ turn.T
    before = fit_hand(chains[0], points, turn, turn)
    points[8] += [0.08, -0.05, 0.0]
    after = fit_hand(chains[0], points, turn, turn)
    assert np.degrees(np.linalg.norm(axis_angle_from_matrix(after.turn @ before.turn.T))) < 8
    others = [i for i, finger in enumerate(FINGERS) if finger not in ("index", "middle")]
    assert np.degrees(np.abs(after.angles - before.angles))[others].max() < 15


def test_wrist_angles():
    for twist, flexion in ((0.5, -0.6), (-1.2, 0.3), (1.5, 0.0)):
        turn = matrix_from_axis_angle([twist, 0, 0]) @ matrix_from_axis_angle([0, 0.1, flexion])
        assert np.abs(wrist_angles(turn) - [twist, flexion, 0.1]).max() < 0.05


def seen(model, pose, fingers, move):
    """Pixels of both hands as MediaPipe would give them without error, and the posed joints."""
    rest, _ = model.shaped()
    v = bent(rest, model.hands.weights, bends(fingers, model.hands.shaped()))
    _, joints, transforms = model.posed(pose, None, 1.0, move)
    wrists = joints[[JOINT["left_wrist"], JOINT["right_wrist"]]]
    at = with_fingers(transforms, bends(fingers, model.hands.shaped()))
    place = np.einsum("jab,jb->ja", at[24:, :3, :3], model.hands.shaped()) + at[24:, :3, 3]
    tips = model.hands.points(skin(v, model.weights, transforms))[:, [8, 12, 20, 16, 4]]
    out = []
    for k in range(2):
        chain = np.concatenate([place[15 * k:15 * k + 15].reshape(5, 3, 3), tips[k][:, None]], 1)
        p = np.concatenate([wrists[k][None], *(chain[FINGERS.index(f)] for f in ("thumb", "index", "middle", "ring", "pinky"))])
        out.append(np.column_stack([CAMERA.fx * p[:, 0] / p[:, 2] + CAMERA.cx, CAMERA.fy * p[:, 1] / p[:, 2] + CAMERA.cy,
                                    CAMERA.fx * (p[:, 2] - p[0, 2]) / p[0, 2]]))
    return tuple(out), joints


def test_palms_and_fingers_on_a_body(model, chains):
    """Forearms twisted and wrists bent by a known amount; the fit starts from a body whose wrists know nothing of it."""
    rng = np.random.default_rng(7)
    blunt = np.array(RELAXED)
    blunt[0] = (np.pi, 0, 0)
    true = blunt.copy()
    for k, (side, mirror) in enumerate((("left", np.ones(3)), ("right", MIRROR))):
        true[JOINT[f"{side}_wrist"]] = np.array([0.5, 0.05, -0.3]) * mirror
    angles = some_angles(rng)
    fingers = np.concatenate([hand_pose.pose_of(chains[k], angles, k) for k in (0, 1)])
    move = np.array([0.0, 0.0, 2.6])
    points, joints = seen(model, true, fingers, move)
    out = place_hands(model, blunt, np.zeros(10), move, CAMERA, points, EXACT)
    assert out.found == ("points", "points")
    _, got, transforms = model.posed(out.pose, None, 1.0, move)
    _, _, wanted = model.posed(true, None, 1.0, move)
    assert np.abs(got[:22] - joints[:22]).max() < 1e-6                      # nothing but hands moves
    for side in ("left", "right"):
        j = JOINT[f"{side}_wrist"]
        off = transforms[j, :3, :3] @ wanted[j, :3, :3].T
        assert np.degrees(np.linalg.norm(axis_angle_from_matrix(off))) < 4
    assert np.degrees(np.abs(out.fitted[0].angles - angles))[:, 2:].mean() < 5            # points carry true perspective
    assert np.abs(out.fingers[:15] - out.fingers[15:] * MIRROR).max() < 0.1  # a mirrored person gives mirrored hands
    none = place_hands(model, blunt, np.zeros(10), move, CAMERA, (None, None))
    assert none.found == ("unseen", "unseen") and np.array_equal(none.pose, blunt) and np.array_equal(none.fingers, none.at_ease)
    assert 0.05 < np.linalg.norm(none.at_ease, axis=1).mean() < 0.6


def test_points_of_something_else_are_rejected(model):
    pose = np.array(RELAXED)
    pose[0] = (np.pi, 0, 0)
    rng = np.random.default_rng(3)
    points, _ = seen(model, pose, np.zeros((30, 3)), np.array([0, 0, 2.6]))
    noise = np.column_stack([points[0][:, :2] + rng.normal(0, 60, (21, 2)), rng.normal(0, 60, 21)])
    out = place_hands(model, pose, np.zeros(10), np.array([0, 0, 2.6]), CAMERA, (noise, None))
    assert out.found == ("rejected", "unseen") and np.array_equal(out.pose, pose)


def test_bad_files(model, tmp_path):
    broken = tmp_path / "hands.npz"
    broken.write_bytes(b"no zip")
    with pytest.raises(BodyError, match="cannot be read"):
        HandModel.load(model.weights, broken)
    with pytest.raises(BodyError, match="another body"):
        HandModel.load(model.weights[:100])
