"""Frames, joints and job options: the tables and conversions that everybody relies on."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neural.contract import frames, job, joints
from neural.contract.errors import OptionError
from neural.contract.frames import Camera

ROOT = Path(__file__).resolve().parents[2]


# -- frames ------------------------------------------------------------------------------------------------------------

def a_camera() -> Camera:
    return Camera(320, 200, 310.0, 290.0, 150.5, 97.25)


def some_points(n=50) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([rng.uniform(-1, 1, n), rng.uniform(-1, 1, n), rng.uniform(0.5, 5, n)], -1)


def test_project_against_the_matrix():
    points = some_points()
    homogeneous = points @ a_camera().matrix.T
    np.testing.assert_allclose(a_camera().project(points), homogeneous[:, :2] / homogeneous[:, 2:], atol=1e-9)


def test_project_and_rays_are_inverse():
    points = some_points()
    back = a_camera().rays(a_camera().project(points)) * points[:, 2:]
    np.testing.assert_allclose(back, points, atol=1e-12)


def test_backproject_lands_on_pixel_centres():
    camera = a_camera()
    depth = np.random.default_rng(1).uniform(1, 3, (200, 320)).astype(np.float32)
    depth[3, 5] = np.nan
    points = camera.backproject(depth)
    assert points.shape == (200, 320, 3) and np.isnan(points[3, 5]).all() and np.isnan(points).sum() == 3
    pixels = camera.project(points[[0, 0, 199, 120], [0, 319, 0, 77]].astype(np.float64))
    np.testing.assert_allclose(pixels, [[0.5, 0.5], [319.5, 0.5], [0.5, 199.5], [77.5, 120.5]], atol=1e-3)


def test_fov_spans_the_longer_side():
    for w, h in ((400, 300), (300, 400)):
        camera = Camera.from_fov(w, h, 50.0)
        edge = np.array([[0.0, camera.cy], [camera.cx, 0.0]])
        angles = np.degrees(np.arctan(np.linalg.norm(camera.rays(edge)[:, :2], axis=1)))
        assert angles.max() == pytest.approx(25.0)


def test_crop_and_resize_see_the_same_rays():
    camera = a_camera()
    crop_from_photo = np.array([[2.5, 0, -100.0], [0, 2.5, 40.0], [0, 0, 1]])
    crop = camera.cropped(crop_from_photo, 512, 512)
    pixels = np.array([[10.0, 20.0], [300.0, 150.0], [0.5, 199.5]])
    np.testing.assert_allclose(crop.rays(frames.apply_2d(crop_from_photo, pixels)), camera.rays(pixels), atol=1e-12)
    half = camera.resized(160, 100)
    np.testing.assert_allclose(half.rays(pixels / 2), camera.rays(pixels), atol=1e-12)
    assert (crop.width, crop.height, half.width, half.height) == (512, 512, 160, 100)


def test_camera_json_round_trip():
    assert Camera.from_json(json.loads(json.dumps(a_camera().to_json()))) == a_camera()


def test_axes_to_blender():
    for rotation in (frames.BLENDER_FROM_CAMERA, frames.BLENDER_FROM_BODY):
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3))
        assert np.linalg.det(rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(frames.BLENDER_FROM_CAMERA @ [0, -1, 0], [0, 0, 1])   # up in the photo is up
    np.testing.assert_allclose(frames.BLENDER_FROM_CAMERA @ [0, 0, -1], [0, -1, 0])  # towards the camera is -Y


def test_a_pitched_camera_is_levelled():
    """A camera that looks down by 20 degrees: what is up in the world becomes +Z, right stays right."""
    np.testing.assert_allclose(frames.blender_from_camera(), frames.BLENDER_FROM_CAMERA, atol=1e-12)
    pitch = np.radians(20)
    up = np.array([0, -np.cos(pitch), -np.sin(pitch)])
    turn = frames.blender_from_camera(up)
    np.testing.assert_allclose(turn @ up, [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(turn @ [1, 0, 0], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(turn @ [0, 0, 1], [0, np.cos(pitch), -np.sin(pitch)], atol=1e-12)  # it looks down
    np.testing.assert_allclose(frames.BLENDER_FROM_BODY @ [0, 1, 0], [0, 0, 1])
    np.testing.assert_allclose(frames.BLENDER_FROM_BODY @ [0, 0, 1], [0, -1, 0])     # the body's front is -Y


def test_apply_3d_is_the_matrix_on_columns():
    matrix = np.eye(4)
    matrix[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    matrix[:3, 3] = [1, 2, 3]
    np.testing.assert_allclose(frames.apply_3d(matrix, np.array([1.0, 0, 0])), [1, 3, 3])


# -- joints ------------------------------------------------------------------------------------------------------------

def test_joints_form_one_tree_in_order():
    assert len(joints.SMPL_JOINTS) == len(set(joints.SMPL_JOINTS)) == len(joints.SMPL_PARENTS) == 24
    assert joints.SMPL_PARENTS[0] == -1 and all(0 <= p < i for i, p in enumerate(joints.SMPL_PARENTS) if i)


def test_joint_chains_are_anatomical():
    def chain(name):
        names = [name]
        while (p := joints.SMPL_PARENTS[joints.JOINT[names[-1]]]) >= 0:
            names.append(joints.SMPL_JOINTS[p])
        return names

    assert chain("left_hand") == ["left_hand", "left_wrist", "left_elbow", "left_shoulder", "left_collar", "spine3",
                                  "spine2", "spine1", "pelvis"]
    assert chain("right_foot") == ["right_foot", "right_ankle", "right_knee", "right_hip", "pelvis"]
    assert chain("head") == ["head", "neck", "spine3", "spine2", "spine1", "pelvis"]


@pytest.mark.parametrize("names", [joints.SMPL_JOINTS, joints.LANDMARKS], ids=["joints", "landmarks"])
def test_mirror_is_an_involution_that_keeps_the_tree(names):
    partner = joints.mirrored(names)
    assert [partner[p] for p in partner] == list(range(len(names)))
    assert all(("left" in names[i]) == ("right" in names[p]) for i, p in enumerate(partner))
    if names is joints.SMPL_JOINTS:
        for i, p in enumerate(joints.SMPL_PARENTS[1:], 1):
            assert joints.SMPL_PARENTS[partner[i]] == partner[p]


def test_landmarks_are_the_33_of_blazepose():
    assert len(set(joints.LANDMARKS)) == 33 and joints.LANDMARK["nose"] == 0
    assert (joints.LANDMARK["left_hip"], joints.LANDMARK["right_foot_index"]) == (23, 32)


# -- jobs --------------------------------------------------------------------------------------------------------------

def test_options_round_trip():
    options = job.JobOptions("high", "cpu", body="b.npz", face=False, height_m=1.8, seed=3, person_at=(10.0, 20.5))
    assert job.JobOptions.from_json(json.loads(json.dumps(options.to_json()))) == options
    assert job.JobOptions.from_json({}) == job.JobOptions()


@pytest.mark.parametrize("wrong, code", [
    ({"preset": "ultra"}, "option.preset"), ({"device": "tpu"}, "option.device"), ({"surface": "nerf"}, "option.surface"),
    ({"depth": "lidar"}, "option.depth"), ({"texture": "paint"}, "option.texture"),
    ({"texture": "refinetex", "body": "mine.npz"}, "option.texture-body"),
    ({"height_m": 175}, "option.height"), ({"height_m": float("nan")}, "option.height"), ({"person": -1}, "option.person"),
    ({"presett": "draft"}, "option.unknown"),
])
def test_wrong_options_are_named(wrong, code):
    with pytest.raises(OptionError) as caught:
        job.JobOptions.from_json(wrong)
    assert caught.value.code == code and caught.value.remedy


def test_stages_have_labels_and_presets_grow():
    assert set(job.STAGES) < set(job.STAGE_LABELS) and all(job.STAGE_LABELS.values())
    sizes = [job.PRESETS[p] for p in ("draft", "standard", "high")]
    assert [s.canvas for s in sizes] == [512, 1024, 2048]
    assert sorted(sizes, key=lambda s: (s.faces, s.atlas, s.poisson_depth)) == sizes
    assert all(s.name == name for name, s in job.PRESETS.items())


# -- the package -------------------------------------------------------------------------------------------------------

def test_contract_runs_on_stdlib_and_numpy_alone():
    """Imports every module of the contract while everything else that is not standard is refused."""
    code = """
import importlib, pkgutil, sys
import numpy
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] not in sys.stdlib_module_names and name.split('.')[0] not in ('neural', 'numpy'):
            raise ImportError('refused: ' + name)
sys.meta_path.insert(0, Refuse())
import neural.contract
names = [m.name for m in pkgutil.iter_modules(neural.contract.__path__)]
for name in names:
    importlib.import_module('neural.contract.' + name)
print(len(names))
"""
    done = subprocess.run([sys.executable, "-s", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 6
