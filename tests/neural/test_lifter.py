"""The lifter: its frame, its inputs, its rotations, its training data, and the file that ships."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from neural.body import poses as named
from neural.body.lift import lift, lifter
from neural.body.model import BodyModel
from neural.body.rotations import matrix_from_axis_angle
from neural.contract.frames import Camera
from neural.contract.joints import JOINT, LANDMARK, LANDMARKS, mirrored
from neural.nets.lifter import Lifter, rotations_from_6d
from neural.nets.lifter.features import SIZE, features, virtual_from_camera
from neural.nets.lifter.net import WEIGHTS, directions
from train.lifter import errors, people, pictures, poses, split, train
from train.people.assets import PoseLibrary

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return BodyModel.load()


def _standing(model: BodyModel, yaw: float = 0.3, at=(0.2, 0.1, 3.0), pose: np.ndarray = named.RELAXED):
    """World rotation of the root, posed landmarks in camera axes."""
    c, s = np.cos(yaw), np.sin(yaw)
    root = np.diag([1.0, -1, -1]) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    from neural.body.rotations import axis_angle_from_matrix
    full = pose.copy()
    full[0] = axis_angle_from_matrix(root)
    return root, model.landmarks(model.posed(full, translation=np.array(at))[0])[:33]


def test_six_numbers_become_rotations():
    r = rotations_from_6d(torch.randn(50, 6, generator=torch.Generator().manual_seed(0)).double())
    assert torch.allclose(r @ r.transpose(1, 2), torch.eye(3, dtype=r.dtype).expand(50, 3, 3), atol=1e-9)
    assert torch.allclose(torch.linalg.det(r), torch.ones(50, dtype=r.dtype))


def test_virtual_camera_looks_at_the_person_and_does_not_roll():
    direction = np.array([0.4, -0.3, 1.0])
    turn = virtual_from_camera(direction)
    assert np.allclose(turn @ turn.T, np.eye(3))
    assert np.allclose(turn @ direction, [0, 0, np.linalg.norm(direction)])
    assert abs(turn[0, 1]) < 1e-12                             # level stays level


def test_place_and_size_do_not_matter(model):
    _, marks = _standing(model)
    trust = np.ones(33)
    row = lambda a: torch.as_tensor(np.asarray(a)).float()[None]
    world = marks - marks[23:25].mean(0)
    flat = marks[:, :2] / marks[:, 2:]
    a = features(row(flat), row(world), row(trust), torch.zeros(1))
    b = features(row(flat * 0.4 + 0.1), row(world * 1.3), row(trust), torch.zeros(1))
    assert a.shape == (1, SIZE)
    assert torch.allclose(a[:, :-2], b[:, :-2], atol=1e-4)
    assert b[0, -2] - a[0, -2] == pytest.approx(np.log(0.4), abs=1e-3)


def test_what_is_not_trusted_is_not_looked_at(model):
    _, marks = _standing(model)
    trust = np.ones(33)
    hand = [LANDMARK[f"left_{n}"] for n in ("pinky", "index", "thumb")]
    trust[hand] = 0
    row = lambda a: torch.as_tensor(np.asarray(a)).float()[None]
    wrong = marks.copy()
    wrong[hand] += 5.0
    both = [features(row(m[:, :2] / 3), row(m - marks[23:25].mean(0)), row(trust), torch.zeros(1)) for m in (marks, wrong)]
    assert torch.allclose(*both, atol=2e-3)


def test_directions_of_exact_landmarks_are_the_bones(model):
    root, marks = _standing(model, yaw=0.0, pose=named.T_POSE)
    row = lambda a: torch.as_tensor(np.asarray(a)).float()[None]
    x = features(row(marks[:, :2] / marks[:, 2:]), row(marks - marks[23:25].mean(0)), row(np.ones(33)), torch.zeros(1))
    axes = directions(x)[0].numpy().reshape(24, 2, 3)
    for name, k in (("left_elbow", 0), ("right_elbow", 0), ("left_shoulder", 0), ("left_knee", 1), ("right_hip", 1), ("spine3", 1), ("pelvis", 0)):
        assert axes[JOINT[name], k] @ root[:, k] > 0.97, name


def test_bones_and_points_are_inverse():
    points = torch.randn(4, 33, 3, generator=torch.Generator().manual_seed(1))
    points = points - points[:, [23, 24]].mean(1, keepdim=True)
    assert torch.allclose(errors.points_of(errors.bones_of(points)), points, atol=1e-5)


@pytest.mark.parametrize("file", train.ERRORS, ids=lambda f: f.stem)
def test_no_measured_error_comes_twice(file):
    bank = errors.Errors.load(file)
    g = torch.Generator().manual_seed(0)
    points = torch.randn(1, 33, 3, generator=g).expand(6, -1, -1)
    world, flat, trust = bank.make(points, g)
    assert torch.isfinite(world).all() and trust.shape == (6, 33)
    assert (world[0] - world[1:]).abs().amax((1, 2)).min() > 0.01 and (flat[0] - flat[1:]).abs().amax((1, 2)).min() > 0.002


def _library() -> PoseLibrary:
    heads = json.loads((ROOT / "train/people/library_rest.json").read_text())["heads"]
    bones = tuple(heads)
    return PoseLibrary(("rest",), bones, np.tile(np.eye(3), (1, len(bones), 1, 1)), np.array([True]), ("",), {k: np.array(v) for k, v in heads.items()})


def test_pose_goes_to_the_library_and_back():
    pose = named.RELAXED.copy()
    pose[JOINT["left_elbow"], 1], pose[JOINT["right_knee"], 0], pose[JOINT["right_hip"], 0] = -1.2, 0.9, -0.7
    local = matrix_from_axis_angle(pose)
    library = poses.to_library(_library(), local, "p")
    assert np.abs(poses.from_library(library, ["p"])[0] - local).max() < 1e-6


def test_hinges_keep_the_bones():
    world = poses.world_of(matrix_from_axis_angle(np.random.default_rng(2).normal(0, 0.4, (24, 3))))
    out = poses.hinged(world)
    for side in ("left", "right"):
        for name, axis in (("shoulder", 0), ("hip", 1)):
            j = JOINT[f"{side}_{name}"]
            assert np.allclose(out[j][:, axis], world[j][:, axis])
            assert np.allclose(out[j].T @ out[j], np.eye(3)) and np.linalg.det(out[j]) > 0


def test_mirror_twice_is_nothing():
    local = matrix_from_axis_angle(np.random.default_rng(3).normal(0, 0.5, (2, 24, 3)))
    assert np.allclose(poses.mirror(poses.mirror(local)), local)


def test_split_keeps_clips_whole():
    assert split.part_of_pose("cmu_02_08_900") == split.part_of_pose("cmu_02_08_30") == "test"
    assert split.part_of_pose("mh_standing01") == "test" and split.part_of_pose("mhc_Lotus") == "train"
    assert split.part_of_avatar("X_AIAN_F_1_Casual") == "test" and len(set(split.TEST_AVATARS)) == len(split.TEST_AVATARS)


def test_pictures_come_back_from_disk(tmp_path):
    from types import SimpleNamespace
    camera = Camera.from_fov(300, 400, 40)
    person = SimpleNamespace(camera=camera, landmarks=np.ones((33, 2)), landmarks_world=np.zeros((33, 3)), mask=None, facing="side", framing="full")
    data = {"person": person, "camera": camera.resized(30, 40), "shot": pictures.Shot((pictures.Subject("A", "p", 12.0),), 300, 400, roll_deg=2.0),
            "trust": np.ones(33), "local": np.zeros((24, 3, 3)), "joints": np.zeros((24, 3)), "camera_from_world": np.eye(4), "height": 1.7}
    pictures.save_picture(tmp_path / "a.npz", data)
    back = pictures.load_picture(tmp_path / "a.npz")
    assert back["shot"] == data["shot"] and back["camera"] == data["camera"] and back["person"].camera == camera
    assert back["person"].mask is None and back["person"].facing == "side" and back["height"] == 1.7


def test_a_person_and_its_mirror_image_are_lifted_alike(model):
    _, marks = _standing(model, pose=_bent())
    net, view = lifter(), Camera.from_fov(800, 800)
    swap, flip = np.array(mirrored(LANDMARKS)), np.array([-1.0, 1, 1])
    trust = np.linspace(0.4, 1, 33)
    world = marks - marks[23:25].mean(0)
    one = lift(net, model, view, view.project(marks), trust, world)
    two = lift(net, model, view, view.project((marks * flip)[swap]), trust[swap], (world * flip)[swap])
    m = np.diag(flip)
    assert np.allclose(m @ two.rotations[poses.MIRROR] @ m, one.rotations, atol=1e-4)
    assert np.allclose(two.turn[poses.MIRROR], one.turn, atol=1e-4) and np.allclose(two.betas, one.betas, atol=1e-4)
    assert np.allclose(one.rotations @ one.rotations.swapaxes(1, 2), np.eye(3), atol=1e-9) and np.allclose(np.linalg.det(one.rotations), 1)


def _bent() -> np.ndarray:
    pose = named.RELAXED.copy()
    pose[JOINT["left_knee"], 0], pose[JOINT["right_elbow"], 1] = 0.8, 1.2
    return pose


def test_measured_pictures_of_generated_people_are_half_of_the_measured_ones(model, tmp_path):
    g = np.random.default_rng(0)
    truth = {"rotations": np.tile(np.eye(3), (5, 24, 1, 1)), "betas": np.full((5, 10), 1.5), "flat": g.normal(0, 0.2, (5, 33, 2)),
             "world": g.normal(0, 0.5, (5, 33, 3)), "trust": np.ones((5, 33)), "down": np.zeros(5)}
    np.savez(tmp_path / "train_pairs_00000.npz", **truth)
    with np.load(train.ERRORS[0]) as z:
        avatars = {k: z[k] for k in z.files} | {f"pair_{k}": np.repeat(v[:1], 40, 0) * (0.0 if k == "betas" else 1) for k, v in truth.items()}
    np.savez(tmp_path / "errors.npz", **avatars)
    pool = np.tile(matrix_from_axis_angle(named.RELAXED), (8, 1, 1, 1))
    crowd = people.People(model, pool, tmp_path / "errors.npz", people.CameraConfig(real=0.999), pairs=[tmp_path / "train_pairs_00000.npz"])
    batch = crowd.batch(400)
    assert 0.4 < float((batch.betas[:, 0] > 1).float().mean()) < 0.6
    assert torch.isfinite(batch.x).all()


def test_training_learns(model):
    torch.manual_seed(0)
    pool = np.tile(matrix_from_axis_angle(named.RELAXED), (8, 1, 1, 1))
    crowd = people.People(model, pool, train.ERRORS)
    net = Lifter()
    solver, seen = torch.optim.Adam(net.parameters(), 1e-3), []
    for _ in range(25):
        batch = crowd.batch(64)
        loss, numbers = train.loss_of(net(batch.x), batch, crowd, 4.0)
        solver.zero_grad()
        loss.backward()
        solver.step()
        seen.append(float(loss.detach()))
    assert np.mean(seen[-5:]) < np.mean(seen[:5]) - 0.5
    assert torch.allclose(batch.world @ batch.world.transpose(2, 3), torch.eye(3), atol=1e-2)


def test_without_the_assets_it_says_so(monkeypatch, capsys):
    monkeypatch.delenv("LIKENESS_ASSETS", raising=False)
    assert train.main(["--minutes", "1"]) == 2
    assert "LIKENESS_ASSETS" in capsys.readouterr().err


def test_shipped_weights_are_the_ones_listed():
    entry = tomllib.loads((WEIGHTS.parent / "weights.toml").read_text())["lifter"]
    data = WEIGHTS.read_bytes()
    assert entry["bytes"] == len(data) <= 4_000_000 and entry["sha256"] == hashlib.sha256(data).hexdigest()
    assert lifter() is not None and lifter("/nowhere/lifter.safetensors") is None


def test_shipped_lifter_understands_a_standing_person(model):
    camera = Camera.from_fov(1024, 1024)
    root, marks = _standing(model)
    a = lift(lifter(), model, camera, camera.project(marks), np.ones(33), marks - marks[23:25].mean(0))
    angle = np.degrees(np.arccos(np.clip((np.trace(a.rotations[0].T @ root) - 1) / 2, -1, 1)))
    assert angle < 20
    for name in ("left_knee", "right_knee", "left_hip", "right_hip"):
        assert a.rotations[JOINT[name]][:, 1] @ root[:, 1] > np.cos(np.radians(25)), name   # it corrects errors that exact landmarks lack
    assert (a.turn > 0).all() and np.allclose(a.local[0], a.rotations[0])
