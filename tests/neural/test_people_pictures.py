"""Pictures and their truth agree: with the committed photos (no assets), and in a scene made here or from the assets."""

import dataclasses
import os

import numpy as np
import pytest
from PIL import Image

from neural.contract.frames import Camera
from neural.geometry.raster import rasterize
from tests.support import bad_images
from tests.support.photos import NAMES, photo_points, photo_truth
from train.people import assets
from train.people.studio import picture, scene, truth

UPPER = ("head", "neck", "left_shoulder", "right_shoulder", "spine1", "spine2", "spine3")


@pytest.mark.parametrize("name", NAMES)
def test_joints_fall_inside_the_mask(name):
    from neural.contract.joints import SMPL_JOINTS

    t = photo_truth(name)
    with Image.open(t.path) as image:
        assert image.size == (t.camera.width, t.camera.height) and t.path.stat().st_size <= 150_000
    inside = 0
    for person, mask in enumerate(t.mask):
        at = t.camera.project(t.joints[person].astype(float))
        for joint, (x, y) in zip(SMPL_JOINTS, at):
            if 0 <= x < t.camera.width and 0 <= y < t.camera.height:
                near = mask[max(int(y) - 12, 0):int(y) + 13, max(int(x) - 12, 0):int(x) + 13]
                assert near.any(), (person, joint)
                inside += mask[int(y), int(x)]
            else:
                assert joint not in UPPER
    assert inside >= 14


@pytest.mark.parametrize("name", ("man_front", "woman_arms"))
def test_true_depth_lies_within_the_mask_and_round_the_skeleton(name):
    t = photo_truth(name)
    points = photo_points(name)
    pixels = t.camera.project(points).astype(int)
    assert t.mask[0][pixels[:, 1], pixels[:, 0]].mean() > 0.999
    assert len(points) == pytest.approx(2 * t.mask[0][2::4, 2::4].sum(), rel=0.01)
    pelvis = t.joints[0, 0].astype(float)
    near = points[np.linalg.norm(points[:, :2] - pelvis[:2], axis=1) < 0.03][:, 2]
    assert 0.03 < pelvis[2] - near.min() < 0.25 and 0.0 < near.max() - pelvis[2] < 0.25   # belly before it, back behind it
    assert 1.5 < t.height_m[0] < 2.0 and abs(np.ptp(points[:, 1]) - t.height_m[0]) < 0.2


def test_camera_frames_what_it_is_told_to():
    rng = np.random.default_rng(0)
    points = rng.uniform([-0.4, -0.3, 0], [0.5, 0.2, 1.8], (400, 3))
    camera = Camera.from_fov(300, 400, 40)
    for pitch, roll in ((0, 0), (12, 0), (-10, 5)):
        pose = scene.place_camera(camera, points, pitch, roll, 0.8)
        assert np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12) and np.linalg.det(pose[:3, :3]) > 0
        at = camera.project(points @ pose[:3, :3].T + pose[:3, 3])
        assert np.abs((at.min(0) + at.max(0)) / 2 - [150, 200]).max() < 0.5
        assert abs((np.ptp(at, axis=0) / [300, 400]).max() - 0.8) < 1e-3
        down = pose[:3, :3] @ np.array([0, 0, -1.0])
        assert down[1] > 0.9                                            # world down is image down
        ahead = pose[:3, :3] @ np.array([0, 1.0, 0])
        assert np.sign(-ahead[1] * np.cos(np.radians(roll))) == np.sign(pitch) or pitch == 0


def test_bad_images_are_pictures():
    for make in (bad_images.animal, bad_images.landscape, bad_images.noise, bad_images.plain):
        image = make()
        assert image.dtype == np.uint8 and image.ndim == 3 and np.array_equal(image, make())


@pytest.fixture(scope="module")
def small():
    if not os.environ.get(assets.VARIABLE):
        pytest.skip(f"{assets.VARIABLE} is not set: no avatars to photograph")
    root = assets.assets_root()
    names = assets.avatar_names(root)
    shot = scene.Shot((scene.Subject(names[0], "mhc_StandingNatural", 20.0, -0.4), scene.Subject(names[9], "mh_standing04",
                                                                                                 0, 0.3, 0.3)),
                      width=160, height=160, light="kloppenheim_05_1k", ambient_samples=8, key_samples=2)
    return root, shot, scene.build(shot, root)


def test_same_seed_same_picture(small):
    root, shot, built = small
    first = picture.photograph(shot, built, root)
    assert np.array_equal(first, picture.photograph(shot, scene.build(shot, root), root))
    assert not np.array_equal(first, picture.photograph(dataclasses.replace(shot, seed=5), built, root))
    person = truth.truth_of(built).visible > 0
    assert first[person].mean() > 30 and first[person].std() > 15       # lit, and not flat


def test_depth_agrees_with_the_vertices(small, tmp_path):
    """A drawn depth lies between those of its triangle's corners; in front of the back; normals face the right way."""
    root, shot, built = small
    t = truth.truth_of(built)
    for k in range(2):
        drawn = rasterize(t.vertices, built.faces_of(k), t.camera)
        corners = t.vertices[built.faces_of(k)[drawn.face[drawn.hit]], 2]
        depth = t.depth_front[k][drawn.hit]
        assert (depth >= corners.min(1) - 1e-4).all() and (depth <= corners.max(1) + 1e-4).all()
        assert (t.depth_back[k] >= t.depth_front[k] - 1e-5)[t.mask[k]].all()
        assert np.isnan(t.depth_front[k][~t.mask[k]]).all()
        rays = t.camera.pixel_rays()
        front = (t.normal_front[k] * rays).sum(-1)[t.mask[k]]
        back = (t.normal_back[k] * rays).sum(-1)[t.mask[k]]
        assert (front < 0.1).mean() > 0.97 and (back > -0.1).mean() > 0.9
    both = t.mask.all(0)
    assert ((t.visible == 1) == (t.depth_front[0] <= t.depth_front[1]))[both].all()
    truth.save_truth(tmp_path / "t.npz", t, shot)
    again, data = truth.load_truth(tmp_path / "t.npz")
    assert again.camera == t.camera and np.array_equal(again.vertices, t.vertices) and data["seed"] == shot.seed
