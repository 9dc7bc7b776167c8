"""The renderer against geometry known by hand; image measures against known differences; the table."""

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from evaluate import turntable
from evaluate.degrade import KINDS, degraded, shot_of
from evaluate.errors import SuiteError
from evaluate.measure import measure
from evaluate.methods import Reconstruction
from evaluate.metrics.align import Similarity
from evaluate.metrics.identity import framed, same_person
from evaluate.metrics.image import edge_distance, psnr, ssim
from evaluate.pictures import sheet
from evaluate.readers.mesh import Material, Mesh, simple_mesh
from evaluate.render.camera import ShotConfig, place
from evaluate.render.picture import lit, novel_view, photograph, true_maps
from evaluate.render.shade import Light, linear
from evaluate.run import _plain
from evaluate.table import markdown, mean_rows
from evaluate.truth import MeasureConfig, prepare, upright
from neural.contract.frames import Camera
from neural.contract.joints import JOINT
from neural.geometry.srgb import srgb

SMALL = MeasureConfig(2500, 900, 20, 128, 96, 128, 0.03)


def person():
    """A textured egg-shaped person, 1.75 m tall, with a nose so that front and back differ; joints on its axis."""
    lat, lon = np.meshgrid(np.linspace(0.001, np.pi - 0.001, 40), np.linspace(0, 2 * np.pi, 64, endpoint=False), indexing="ij")
    x, y, z = np.sin(lat) * np.sin(lon), np.cos(lat), np.sin(lat) * np.cos(lon)
    nose = 1 + 0.5 * np.exp(-((lat - 0.5) ** 2 + (np.minimum(lon, 2 * np.pi - lon)) ** 2) * 20)
    vertices = np.stack([0.25 * x, 0.875 + 0.875 * y, 0.18 * z * nose], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(39), np.arange(64), indexing="ij")
    p, q = (i * 64 + j).ravel(), (i * 64 + (j + 1) % 64).ravel()
    faces = np.concatenate([np.stack([p, p + 64, q], 1), np.stack([q, p + 64, q + 64], 1)])
    colors = np.stack([0.3 + 0.2 * np.sin(9 * vertices[:, 1]), 0.2 + 0.1 * x.ravel(), np.full(len(vertices), 0.4)], 1)
    mesh = simple_mesh(vertices, faces, colors.astype(np.float32))
    joints, known = np.zeros((24, 3)), np.zeros(24, bool)
    for name, height in (("pelvis", 0.95), ("neck", 1.45), ("head", 1.55), ("left_knee", 0.5)):
        joints[JOINT[name]], known[JOINT[name]] = (0, height, 0), True
    return mesh, joints, known


@pytest.fixture(scope="module")
def truth():
    mesh, joints, known = person()
    return prepare(photograph(mesh, ShotConfig(long_side=256)), 1.75, joints, known, SMALL)


@pytest.mark.parametrize("yaw", [0.0, 35.0, 180.0])
def test_the_whole_person_is_in_the_frame_as_large_as_asked(yaw):
    vertices = person()[0].vertices
    config = ShotConfig(yaw_deg=yaw, long_side=1000)
    camera, pose = place(vertices, config)
    q = vertices @ pose[:3, :3].T + pose[:3, 3]
    xy = camera.project(q)
    assert np.ptp(xy[:, 1]) / camera.height == pytest.approx(config.fill, abs=0.01)
    assert (xy.max(0) + xy.min(0))[1] / 2 == pytest.approx(camera.cy, abs=5) and (q[:, 2] > 0.5).all()
    assert np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3)) and np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    eye = -pose[:3, :3].T @ pose[:3, 3]
    assert eye[1] == pytest.approx(config.eye * 1.75, abs=1e-6)
    assert np.allclose(upright(pose) @ pose[:3, 1], (0, -1, 0))      # the true vertical, without the camera's pitch


def test_facing_the_camera_means_that_the_front_is_seen():
    camera, pose = place(person()[0].vertices, ShotConfig())
    front = pose[:3, :3] @ np.array([0, 0, 1.0])
    left = pose[:3, :3] @ np.array([1.0, 0, 0])
    assert front[2] < -0.9 and left[0] > 0.9                          # the person's left is on the picture's right


def test_true_depth_and_normals_of_a_slanted_wall():
    """Plane z = 2 + 0.5 x: depth along each ray and the normal are known in closed form."""
    x, y = np.meshgrid([-2.0, 3.0], [-5.0, 5.0])
    wall = simple_mesh(np.stack([x, y, 2 + 0.5 * x], -1).reshape(-1, 3), np.array([[0, 1, 2], [1, 3, 2]]))
    camera = Camera.from_fov(64, 48, 50)
    maps = true_maps(wall, camera)
    rays = camera.pixel_rays()
    assert maps.mask.all() and np.allclose(maps.depth_front, 2 / (1 - 0.5 * rays[..., 0]), rtol=1e-5)
    normal = np.array([0.5, 0, -1]) / np.sqrt(1.25)
    assert np.allclose(maps.normal_front, normal, atol=1e-5) and np.allclose(maps.normal_back, -normal, atol=1e-5)


def test_texture_is_drawn_where_its_uvs_say():
    """A wall that fills the frame shows its own image."""
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    camera = Camera.from_fov(32, 32, 50)
    half = np.tan(np.radians(25)) * 2
    corner = np.array([[-half, -half, 2], [half, -half, 2], [half, half, 2], [-half, half, 2]])
    faces = np.array([[0, 2, 1], [0, 3, 2]], np.int32)
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)[faces]
    wall = Mesh(corner, faces, np.tile(np.float32([0, 0, -1]), (2, 3, 1)), uv, np.zeros(2, np.int32), (Material(image=image),))
    colour, alpha = lit(wall, camera, None, 1)
    assert alpha.min() == 1 and np.abs(srgb(colour) * 255 - image).max() < 0.6


def test_light_comes_from_its_direction_and_turns_with_the_person():
    light = Light(ambient=0.0, up=0.0, key=1.0, direction=(-1, 0, 0))
    assert np.allclose(light.shade(np.array([[-1.0, 0, 0], [1, 0, 0], [0, 0, -1]])), (1, 0, 0))
    mesh = person()[0]
    shot = photograph(mesh, ShotConfig(long_side=128, supersample=1, eye=0.5), light)
    still, _ = novel_view(shot.mesh, shot.camera, 0.0, np.array([0, 0, 2.0]), np.eye(3), light, 1)
    round_trip, _ = novel_view(shot.mesh, shot.camera, 360.0, np.array([0, 0, 2.0]), np.eye(3), light, 1)
    assert np.abs(still - round_trip).max() < 1e-3
    lit_side, dark_side = (novel_view(shot.mesh, shot.camera, d, shot.mesh.vertices.mean(0), np.eye(3), light, 1)[0].mean()
                           for d in (90.0, -90.0))
    assert abs(lit_side - dark_side) > 0.01


def test_a_turntable_goes_all_the_way_round(truth, tmp_path, monkeypatch, capsys):
    """The nose shows to one side after a quarter and to the other after three; a method that fails leaves a note in its row."""
    views = turntable.turned(truth, truth.shot.mesh, truth.shot.light)
    assert len(views) == 8 and {v.shape for v in views} == {(256, 128, 3)}
    middle = lambda v, rows: np.nonzero((np.ptp(v.astype(int), axis=2) > 12)[rows].any(0))[0].mean()           # the background is grey
    front, quarter, half, last = (middle(views[k], slice(30, 46)) - middle(views[k], slice(100, 150)) for k in (0, 2, 4, 6))     # nose from belly
    assert abs(front) < 1 and abs(half) < 1 and min(abs(quarter), abs(last)) > 1 and quarter * last < 0
    (tmp_path / "none").mkdir()
    assert turntable.main([str(tmp_path / "none"), "--out", str(tmp_path / "x.jpg")]) == 2 and capsys.readouterr().err
    assert turntable.main([str(tmp_path), "--out", "x.jpg", "--methods", "nonsense"]) == 2 and "nonsense" in capsys.readouterr().err
    shot = truth.shot
    monkeypatch.setattr(turntable, "photograph", lambda *_, **__: shot)
    item = SimpleNamespace(mesh=lambda: None, yaw_deg=0.0, height_m=1.75, joint_array=lambda: person()[1:], name="egg")

    def run(method, photo, truth):
        if method == "body":
            raise SuiteError("suite.x", "nothing there", "-")
        return SimpleNamespace(mesh=shot.mesh)

    rows = turntable.rows(item, 0, ("pipeline", "body", "true"), SimpleNamespace(run=run), "draft", tmp_path)
    assert [r.shape for r in rows] == [(256, 9 * 128, 3)] * 3
    assert np.abs(rows[0].astype(int)[:, 128:] - rows[2][:, 128:]).mean() > 1           # albedo against the photograph's light


def test_srgb_and_linear_are_inverse():
    x = np.linspace(0, 1, 101, dtype=np.float32)
    assert np.allclose(srgb(linear(x)), x, atol=1e-5) and linear(np.array([0.5]))[0] == pytest.approx(0.21404, abs=1e-4)


def test_psnr_of_a_known_difference_and_only_in_the_mask():
    a = np.full((20, 20, 3), 0.5)
    b = a + 0.1
    mask = np.ones((20, 20), bool)
    assert psnr(a, b, mask) == pytest.approx(20.0)
    b[:, 10:] += 5
    mask[:, 10:] = False
    assert psnr(a, b, mask) == pytest.approx(20.0) and psnr(a, a, mask) == 99.0
    assert np.isnan(psnr(a, b, np.zeros_like(mask)))


def test_ssim_and_edge_distance_order_pictures_as_people_do():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:96, 0:96]
    a = np.stack([0.5 + 0.3 * np.sin(x / 4), 0.5 + 0.2 * np.sin(y / 6), 0.5 + 0.2 * np.sin((x + y) / 9)], -1)
    mask = np.ones((96, 96), bool)
    assert ssim(a, a, mask) == pytest.approx(1, abs=1e-5) and edge_distance(a, a, mask) == 0
    brighter, noisy, other = a + 0.05, a + rng.normal(0, 0.05, a.shape), a.transpose(1, 0, 2)[:, ::-1]
    assert edge_distance(a, brighter, mask) < edge_distance(a, noisy, mask) < edge_distance(a, other, mask) <= 1
    assert ssim(a, brighter, mask) > ssim(a, noisy, mask) > ssim(a, other, mask)


def reconstruction(truth, change: Similarity):
    mesh = truth.shot.mesh.moved(change.matrix)
    return Reconstruction("copy", mesh, change(truth.pelvis), change(truth.joints), 1.0)


def test_the_true_mesh_measures_as_perfect(truth):
    light = truth.shot.light
    numbers = measure(truth, reconstruction(truth, Similarity()), SMALL).numbers
    for key in ("as_is_p2s_cm", "as_is_s2p_cm", "aligned_p2s_cm", "aligned_head_p2s_cm", "mpjpe_mm", "face_l2_cm"):
        assert numbers[key] == pytest.approx(0, abs=2e-3), key
    assert numbers["silhouette_iou"] == 1 and numbers["as_is_volume_iou"] == 1
    assert numbers["aligned_normal_front_deg"] < 0.1 and numbers["aligned_normal_icon_l2"] < 0.01
    assert numbers["seen_psnr_db"] < 40 and light.ambient < 1       # unlit colours against the lit picture: not perfect


def test_scale_and_place_do_not_count_but_a_lean_does_until_aligned(truth):
    far = Similarity(1.3, shift=np.array([0.2, 0.1, 0.7]))
    numbers = measure(truth, reconstruction(truth, far), SMALL).numbers
    assert numbers["as_is_chamfer_cm"] < 0.01 and numbers["mpjpe_mm"] < 0.01
    a = np.radians(8)
    lean = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    numbers = measure(truth, reconstruction(truth, Similarity(1.0, lean)), SMALL).numbers
    assert numbers["as_is_chamfer_cm"] > 1.5 and numbers["aligned_chamfer_cm"] < 0.1
    assert numbers["icp_turn_deg"] == pytest.approx(8, abs=0.3)
    assert numbers["as_is_normal_front_deg"] > 4 and numbers["aligned_normal_front_deg"] < 1
    assert numbers["mpjpe_mm"] > 20 and numbers["pa_mpjpe_mm"] < 0.1


def test_a_missing_part_shows_in_s2p_and_not_in_p2s(truth):
    shot = truth.shot
    upper = shot.mesh.kept(truth.normalised(shot.mesh.vertices)[shot.mesh.faces].mean(1)[:, 1] < 0.65)
    ours = Reconstruction("cut", replace(upper), truth.pelvis, None, 1.0)
    numbers = measure(truth, ours, SMALL).numbers
    assert numbers["as_is_s2p_cm"] > 2 * numbers["as_is_p2s_cm"] or numbers["aligned_s2p_cm"] > 2 * numbers["aligned_p2s_cm"]


def test_the_head_is_above_the_neck(truth):
    xyz = truth.shape.samples.xyz
    head = truth.head(xyz)
    assert 0.02 < head.mean() < 0.3 and xyz[head][:, 1].max() < xyz[~head][:, 1].max()
    without = replace(truth, known=np.zeros(24, bool))
    assert without.head(xyz).any() and xyz[without.head(xyz)][:, 1].max() < -0.5


def test_an_error_sheet_is_written(truth, tmp_path):
    ours = reconstruction(truth, Similarity(1.0, shift=np.array([0.0, 0, 0.1])))
    sheet(tmp_path / "a/sheet.png", truth, ours, measure(truth, ours, SMALL), "a title")
    assert (tmp_path / "a/sheet.png").stat().st_size > 20_000


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "crop"])
def test_degraded_pictures_are_repeatable_and_differ(kind):
    rgb = np.random.default_rng(0).integers(0, 255, (400, 300, 3)).astype(np.uint8)
    one, two = degraded(rgb, kind, 3), degraded(rgb, kind, 3)
    assert one.dtype == np.uint8 and np.array_equal(one, two)
    assert one.shape == ((256, 192, 3) if kind == "lowres" else rgb.shape)
    if kind != "lowres":
        assert np.array_equal(one, rgb) == (kind == "none")
    if kind == "dark":
        assert one.mean() < 0.75 * rgb.mean()
    if kind in ("dark", "noise", "blur"):
        assert not np.array_equal(one, degraded(rgb, kind, 4))         # another person, another grain or direction


def test_noise_is_as_strong_as_said_and_keeps_the_mean():
    grey = np.full((240, 240, 3), 118, np.uint8)
    noisy = degraded(grey, "noise", 0).astype(float)
    assert noisy.mean() == pytest.approx(118, abs=3) and 0.05 < noisy.mean(2).std() / 255 < 0.12


def test_a_cropped_picture_shows_the_person_down_to_the_knees_and_only_that_counts():
    mesh, joints, known = person()
    shot = shot_of(mesh, ShotConfig(long_side=256), "crop", 0)
    whole = photograph(mesh, ShotConfig(long_side=256))
    low = (shot.mesh.vertices[np.unique(shot.mesh.faces)] - shot.camera_from_world[:3, 3]) @ shot.camera_from_world[:3, :3]
    assert low[:, 1].max() == pytest.approx(1.75, abs=0.02) and 0.15 < low[:, 1].min() / 1.75 < 0.4
    assert shot.alpha[-1].max() > 0.99 and whole.alpha[-1].max() == 0  # the person leaves the frame below
    truth = prepare(shot, 1.75, joints, known, SMALL)
    numbers = measure(truth, Reconstruction("copy", shot.mesh, truth.pelvis, truth.joints, 1.0), SMALL).numbers
    assert numbers["as_is_chamfer_cm"] < 0.01
    with pytest.raises(SuiteError, match="no degradation"):
        shot_of(mesh, ShotConfig(long_side=64), "rain", 0)


def test_the_table_averages_what_is_there_and_counts_failures():
    rows = [{"method": "pipeline", "numbers": {"aligned_p2s_cm": 1.0, "seen_psnr_db": 30.0}},
            {"method": "pipeline", "numbers": {"aligned_p2s_cm": 2.0, "seen_psnr_db": float("nan")}},
            {"method": "pipeline", "numbers": None}, {"method": "body", "numbers": {"aligned_p2s_cm": 3.0}}]
    means = mean_rows(rows)
    assert means["pipeline"]["aligned_p2s_cm"] == 1.5 and means["pipeline"]["seen_psnr_db"] == 30.0
    text = markdown(means, "head")
    assert "| pipeline | 2 (1 failed) | 1.50 |" in text and "| body | 1 | 3.00 |" in text
    assert _plain({"a": [float("nan"), np.float32(2)]}) == {"a": [None, 2.0]}


def test_identity_is_one_for_the_same_picture_and_knows_frames():
    """The same person at another place of the picture, and half as large, is framed alike; another colour is less the same."""
    rng = np.random.default_rng(0)
    picture, mask = np.full((300, 240, 3), 0.5, np.float32), np.zeros((300, 240), bool)
    mask[40:240, 80:150] = True
    picture[mask] = cv2.resize(rng.random((10, 4, 3)).astype(np.float32), (70, 200), interpolation=cv2.INTER_NEAREST).reshape(-1, 3)
    assert same_person(picture, picture, mask) == pytest.approx(1, abs=1e-5)
    moved, there = np.roll(picture, (30, -40), (0, 1)), np.roll(mask, (30, -40), (0, 1))
    assert torch.allclose(framed(moved, there), framed(picture, mask), atol=1e-5)
    small = cv2.resize(picture, (120, 150), interpolation=cv2.INTER_AREA)
    assert (framed(small, mask[::2, ::2]) - framed(picture, mask)).abs().mean() < 0.03
    frame = framed(picture, mask)
    assert frame.shape == (1, 3, 128, 64) and abs(float((frame[0].std(0) > 0.02).any(1).float().sum()) - 128 / 1.12) < 4
    other = np.where(mask[..., None], 1 - picture, picture)
    assert same_person(picture, other, mask) < 0.9
    assert np.isnan(same_person(picture, picture, np.zeros_like(mask)))
