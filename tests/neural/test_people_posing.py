"""Posing: a skeleton made here (no assets), and the real avatars where they are."""

import os

import numpy as np
import pytest

from neural.contract.errors import OptionError
from neural.contract.joints import SMPL_JOINTS
from train.people import assets, posing


def _arm(n: int = 40) -> assets.Avatar:
    """A bar of two bones along x, joint at x = 0.5; weights blend over 0.4 to 0.6."""
    x = np.linspace(0, 1, n)
    v = np.stack([x, 0.02 * np.cos(7 * x), 0.02 * np.sin(5 * x)], 1).astype(np.float32)
    second = np.clip((x - 0.4) / 0.2, 0, 1).astype(np.float32)
    return assets.Avatar("arm", "", "", "", v, np.zeros((0, 3), np.int32), np.zeros((n, 2), np.float32),
                         np.zeros(0, np.int32), (), np.tile(np.int32([[0, 1]]), (n, 1)),
                         np.stack([1 - second, second], 1), ("upper", "lower"), np.array([-1, 0]),
                         np.array([[0.0, 0, 0], [0.5, 0, 0]]), np.arange(n, dtype=np.int32))


def _about_z(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def test_identity_reproduces_rest():
    arm = _arm()
    v, heads = posing.skin(arm, np.tile(np.eye(3), (2, 1, 1)))
    assert np.abs(v - arm.vertices).max() < 1e-7
    assert np.array_equal(heads, arm.heads)


def test_bent_elbow_is_exact_where_one_bone_rules():
    arm, turn = _arm(), _about_z(np.pi / 2)
    v, heads = posing.skin(arm, np.stack([np.eye(3), turn]))
    rigid = (arm.vertices - arm.heads[1]) @ turn.T + arm.heads[1]
    assert np.abs(v - rigid)[arm.weights[:, 1] == 1].max() < 1e-7
    assert np.abs(v - arm.vertices)[arm.weights[:, 0] == 1].max() < 1e-7
    half = arm.weights[:, 1:] * rigid + arm.weights[:, :1] * arm.vertices   # the blend in between is linear
    assert np.abs(v - half).max() < 1e-6


def test_children_follow_their_parent():
    arm, turn = _arm(), _about_z(0.7)
    v, heads = posing.skin(arm, np.stack([turn, turn]))
    assert np.abs(v - arm.vertices @ turn.T).max() < 1e-6                  # a whole turn is rigid
    assert np.allclose(heads[1], turn @ arm.heads[1])


@pytest.mark.parametrize("a, b", [((1, 0, 0), (0, 1, 0)), ((1, 2, 3), (-2, 0.5, 1)), ((0, 0, 2), (0, 0, -3))])
def test_between_is_the_smallest_rotation(a, b):
    r = posing.between(np.array(a, float), np.array(b, float))
    assert np.allclose(r @ r.T, np.eye(3), atol=1e-9) and np.isclose(np.linalg.det(r), 1)
    unit_a, unit_b = np.array(a) / np.linalg.norm(a), np.array(b) / np.linalg.norm(b)
    assert np.allclose(r @ unit_a, unit_b, atol=1e-9)
    angle = np.arccos(np.clip((np.trace(r) - 1) / 2, -1, 1))
    assert np.isclose(angle, np.arccos(np.clip(unit_a @ unit_b, -1, 1)), atol=1e-6)


def test_quaternions_agree_with_a_known_turn():
    half = np.radians(70) / 2
    assert np.allclose(assets.matrices(np.array([0, 0, np.sin(half), np.cos(half)])), _about_z(np.radians(70)))


def test_missing_assets_say_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv(assets.VARIABLE, raising=False)
    with pytest.raises(OptionError) as caught:
        assets.assets_root()
    assert caught.value.code == "option.assets" and assets.VARIABLE in caught.value.remedy
    with pytest.raises(OptionError, match="poses.npz"):
        assets.assets_root(tmp_path)


@pytest.fixture(scope="module")
def root():
    if not os.environ.get(assets.VARIABLE):
        pytest.skip(f"{assets.VARIABLE} is not set: no avatars to pose")
    return assets.assets_root()


def test_avatar_at_rest(root):
    for name in assets.avatar_names(root)[::8]:
        avatar = assets.load_avatar(root, name)
        v, _ = posing.skin(avatar, np.tile(np.eye(3), (len(avatar.bones), 1, 1)))
        assert np.abs(v - avatar.vertices).max() < 1e-5
        assert 1.5 < avatar.height_m < 2.0


def test_posed_avatar_stands_like_the_library(root):
    """Limbs point where the library's own posed skeleton points, feet are on the floor, left is left."""
    library, bone_map = assets.load_poses(root), assets.load_bone_map(root)
    avatar = assets.load_avatar(root, assets.avatar_names(root)[0])
    for name in ("mhc_StandingNatural", "mh_standing04", "cmu_02_02_60"):
        posed, pose = posing.pose_avatar(avatar, library, bone_map, name), library.pose(name)
        assert abs(posed.vertices[:, 2].min()) < 1e-6
        joint = dict(zip(SMPL_JOINTS, posed.joints))
        for a, b, bone, end in (("left_knee", "left_ankle", "lowerleg01.L", "foot.L"),
                                ("right_elbow", "right_wrist", "lowerarm01.R", "wrist.R"),
                                ("right_hip", "right_knee", "upperleg01.R", "lowerleg01.R")):
            ours = joint[b] - joint[a]
            theirs = pose[bone] @ (library.rest[end] - library.rest[bone])
            cosine = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
            assert cosine > np.cos(np.radians(0.5))
        assert joint["left_hip"][0] > joint["right_hip"][0]
        assert joint["head"][2] > joint["neck"][2] > joint["pelvis"][2] > joint["left_knee"][2]


def test_unknown_names_list_what_there_is(root):
    with pytest.raises(OptionError, match="nobody"):
        assets.load_avatar(root, "nobody")
    with pytest.raises(OptionError, match="handstand"):
        assets.load_poses(root).pose("handstand")
    with pytest.raises(OptionError):
        assets.load_light(root, "torch")
