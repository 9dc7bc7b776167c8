"""Labels of synthetic people: spheres and boxes in closed form, the posed body against the pipeline's own maps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neural.body import maps as shared
from neural.body.model import BodyModel
from neural.body.rotations import matrix_from_axis_angle
from neural.body.torch_skinning import forward_kinematics
from neural.contract.frames import BLENDER_FROM_BODY, BLENDER_FROM_CAMERA, Camera
from neural.stages.s03_body import render_maps
from train.people.draw.raster import rasterize
from train.people import preview
from train.people.labels import body as bodies
from train.people.labels import camera as cameras_of
from train.people.labels.check import check
from train.people.labels.face import face_box, head_mask
from train.people.labels.maps import NONE, PART14_OF_JOINT, PARTS14, crosses_seam, maps, part14
from train.people.labels.points import landmark_names
from train.people.labels.table import bare
from train.people.recipe import PersonRecipe, Recipe
from train.people.types import Cameras

torch.set_num_threads(1)


def _sphere(radius=0.5, middle=(0.0, 0.0, 1.0), rings=96):
    """(V, 3), (F, 3) outward: a sphere of latitude rings."""
    t, p = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False), indexing="ij")
    v = np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rings), np.arange(2 * rings), indexing="ij")
    a, b = i * 2 * rings + j, i * 2 * rings + (j + 1) % (2 * rings)
    c, d = a + 2 * rings, b + 2 * rings
    f = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    return radius * v + middle, f, v


def _box(half, middle):
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    v = np.concatenate([corners[list(q)] for q in quads])
    f = np.concatenate([[[4 * k, 4 * k + 1, 4 * k + 2], [4 * k, 4 * k + 2, 4 * k + 3]] for k in range(6)])
    n = np.repeat([np.cross(v[4 * k + 1] - v[4 * k], v[4 * k + 3] - v[4 * k]) for k in range(6)], 4, 0)
    return v * half + middle, f, n / np.linalg.norm(n, axis=1, keepdims=True)


def _people(v, f, n):
    single = lambda a: torch.as_tensor(np.asarray(a), dtype=torch.float32)
    return bare(single(v)[None], torch.as_tensor(f), single(n)[None])


def _camera(size=128, distance=4.0, height=1.0, fov=40.0, count=1):
    """In front of a person who faces -y, level."""
    turn = torch.as_tensor(BLENDER_FROM_CAMERA.T, dtype=torch.float32)
    eye = torch.tensor([0.0, -distance, height])
    focal = 0.5 * size / np.tan(np.radians(fov) / 2)
    return Cameras(turn.expand(count, 3, 3), (-turn @ eye).expand(count, 3), torch.full((count,), float(focal)),
                   torch.full((count, 2), size / 2), size)


def _labels(people, cameras):
    return maps(people, cameras, *rasterize(people, cameras, cameras.size))


def test_sphere_depth_and_normals_in_closed_form():
    people, cameras = _people(*_sphere()), _camera()
    labels = _labels(people, cameras)
    ray = cameras_of.rays(cameras)[0].double()
    middle = torch.tensor([0.0, 0.0, 4.0], dtype=torch.float64)
    b, c = (ray * middle[:, None, None]).sum(0) / (ray * ray).sum(0), (16 - 0.25) / (ray * ray).sum(0)
    root = b * b - c
    clear = root > 0.02                                            # away from the rim, where one facet's tilt matters
    assert (labels["mask"][0] == (root > 0)).float().mean() > 0.995
    for side, sign in (("front", -1), ("back", 1)):
        t = b + sign * root.clamp(min=0).sqrt()
        assert (labels[f"depth_{side}"][0] - t)[clear].abs().max() < 6e-4     # the facets' sagitta is 1.3e-4
        normal = (ray * t - middle[:, None, None]) / 0.5
        assert (labels[f"normal_{side}"][0] - normal)[:, clear].abs().max() < 0.01
    assert (labels["depth_front"][0][root < -0.01] == 0).all() and (labels["part_front"][0][root < -0.01] == NONE).all()
    assert (labels["depth_back"] >= labels["depth_front"]).all()


def test_box_seen_straight_on():
    half, middle = np.array([0.3, 0.2, 0.4]), np.array([0.0, 0.0, 1.0])
    labels = _labels(_people(*_box(half, middle)), _camera(distance=2.0))
    inner = labels["mask"][0, 64 - 10:64 + 10, 64 - 10:64 + 10]
    assert inner.all()
    for side, z, n in (("front", 1.8, -1.0), ("back", 2.2, 1.0)):
        patch = (0, slice(54, 74), slice(54, 74))
        assert (labels[f"depth_{side}"][patch] - z).abs().max() < 1e-5
        assert (labels[f"normal_{side}"][0, 2, 54:74, 54:74] - n).abs().max() < 1e-5


def test_inner_side_of_a_sheet_faces_the_camera():
    """One square seen from behind: its normals are turned over on the front, kept on the back."""
    v = np.array([[-0.4, 0, 0.6], [0.4, 0, 0.6], [0.4, 0, 1.4], [-0.4, 0, 1.4]])
    for faces, n in ((np.array([[0, 1, 2], [0, 2, 3]]), (0, -1.0, 0)), (np.array([[2, 1, 0], [3, 2, 0]]), (0, 1.0, 0))):
        labels = _labels(_people(v, faces, np.tile(n, (4, 1))), _camera())
        assert (labels["normal_front"][0, 2][labels["mask"][0]] + 1).abs().max() < 1e-6
        assert (labels["normal_back"][0, 2][labels["mask"][0]] - 1).abs().max() < 1e-6


def test_batch_is_the_same_as_one_by_one():
    a, b = _sphere(), _sphere(0.3, (0.2, 0.1, 1.2))
    both = bare(torch.tensor(np.stack([a[0], b[0]]), dtype=torch.float32), torch.as_tensor(a[1]),
                torch.tensor(np.stack([a[2], b[2]]), dtype=torch.float32))
    labels = _labels(both, _camera(count=2))
    for k, one in enumerate((a, b)):
        alone = _labels(_people(*one), _camera())
        for name, value in alone.items():
            assert torch.equal(value[0], labels[name][k]), name


def test_wrong_canvas_is_refused():
    people = _people(*_sphere(rings=8))
    with pytest.raises(ValueError):
        maps(people, _camera(128), *rasterize(people, _camera(64), 64))


def test_uv_across_a_seam_is_the_nearest_corners():
    uv = torch.tensor([[[0.1, 0.1], [0.12, 0.1], [0.9, 0.1]], [[0.1, 0.1], [0.12, 0.1], [0.11, 0.12]], [[0.1, 0.1], [0.3, 0.1], [0.2, 0.2]]])
    place = torch.tensor([[[0, 0, 0], [0.02, 0, 0], [0.01, 0.01, 0]]] * 2 + [[[0, 0, 0], [0.3, 0, 0], [0.2, 0.2, 0]]], dtype=torch.float32)
    assert crosses_seam(uv, place).tolist() == [True, False, False]
    people = _people(*_box(np.array([0.4, 0.1, 0.4]), np.array([0, 0, 1.0])))
    sides = torch.where(people.vertices[:, :1] > 0, 0.9, 0.1)
    people = replace(people, body_uv=torch.cat([sides, sides], 1), body_place=people.vertices * 0.01)
    found = _labels(people, _camera())["uv_front"][0, 0]
    assert set(np.unique(found.numpy().round(4))) <= {0.0, np.float32(0.1).round(4), np.float32(0.9).round(4)}


def test_points_and_their_visibility():
    """Landmarks on a sphere: near half seen, far half not; an occluder hides; pixels project to sub-pixel."""
    people, cameras = _people(*_sphere()), _camera(256)
    t = torch.linspace(0, 2 * np.pi, 54)[:-1]
    around = torch.stack([0.5 * torch.sin(t), -0.5 * torch.cos(t), torch.full_like(t, 1.0)], 1)
    people = replace(people, landmarks=around[None], joints=torch.tensor([0, 0, 1.0]).expand(1, 24, 3))
    drawn = rasterize(people, cameras, 256)
    labels = maps(people, cameras, *drawn)
    seen = cameras_of.seen(cameras, around[None])[0]
    px = seen[:, :2] / seen[:, 2:] * cameras.focal + 128
    assert (labels["landmarks_px"][0] - px).abs().max() < 1e-3
    facing = torch.cos(t)
    assert labels["landmarks_visible"][0][facing > 0.35].all() and not labels["landmarks_visible"][0][facing < -0.35].any()
    assert not labels["joints_visible"].any()                     # half a metre deep
    hidden = torch.zeros((1, 256, 256), dtype=torch.bool)
    hidden[:, :, :128] = True
    less = maps(people, cameras, *drawn, hidden=hidden)["landmarks_visible"][0]
    assert not less[px[:, 0] < 128].any() and torch.equal(less[px[:, 0] > 129], labels["landmarks_visible"][0][px[:, 0] > 129])


def test_parts_of_fourteen():
    assert len(PART14_OF_JOINT) == 24 and max(PART14_OF_JOINT) == len(PARTS14) - 1
    assert part14(torch.tensor([15, 20, 21, 10, NONE], dtype=torch.uint8)).tolist() == [0, 6, 7, 12, NONE]


def _posed(count=2, seed=0):
    """Random bodies in the camera frame, with the numpy model's own answer."""
    rng, model = np.random.default_rng(seed), BodyModel.load()
    out = []
    for _ in range(count):
        pose = rng.normal(0, 0.25, (24, 3))
        pose[0] = [np.pi, 0, 0]
        betas, scale, shift = rng.normal(0, 1, 10), float(rng.uniform(0.9, 1.1)), np.array([0.1, 0.0, 3.5])
        world, _ = forward_kinematics(torch.tensor(matrix_from_axis_angle(pose)), torch.tensor(model.joint_mean))
        out.append((world.numpy(), betas, scale, shift, *model.posed(pose, betas, scale, shift)[:2]))
    return model, [np.stack([o[k] for o in out]) for k in range(6)]


def _single(*arrays):
    return [torch.as_tensor(np.asarray(a), dtype=torch.float32) for a in arrays]


def test_posed_body_is_the_models_own():
    model, (rotations, betas, scale, shift, vertices, joints) = _posed()
    body = shared.tables(model)
    v, j = shared.pose(body, *_single(rotations, betas, scale, shift))
    assert np.abs(v.numpy() - vertices).max() < 1e-5 and np.abs(j.numpy() - joints).max() < 1e-5


def test_body_maps_are_those_of_the_stage():
    model, (rotations, betas, scale, shift, vertices, _) = _posed()
    size, focal = 128, 200.0
    cameras = Cameras(torch.eye(3).expand(2, 3, 3), torch.zeros(2, 3), torch.full((2,), focal), torch.full((2, 2), size / 2), size)
    ours = bodies.body_maps(cameras, *_single(rotations, betas, scale, shift))
    for k in range(2):
        stage = shared.from_stage(render_maps(vertices[k], model, Camera(size, size, focal, focal, size / 2, size / 2)))
        same = ours["mask"][k] & stage["mask"][0]
        assert same.sum() > 0.99 * stage["mask"].sum() and same.sum() > 500
        for side in ("front", "back"):
            close = (ours[f"depth_{side}"][k] - stage[f"depth_{side}"][0])[same].abs() < 1e-3
            assert close.float().mean() > 0.98
            assert (ours[f"part_{side}"][k] == stage[f"part_{side}"][0])[same].float().mean() > 0.98
            for name, tolerance in (("normal", 0.05), ("uv", 0.005)):
                error = (ours[f"{name}_{side}"][k] - stage[f"{name}_{side}"][0]).abs().amax(0)[same]
                assert (error < tolerance).float().mean() > 0.97, name
        net = shared.network_input({n: ours[n][k:k + 1] for n in stage}, ours["joints"][k:k + 1, 0, 2])
        other = shared.network_input(stage, ours["joints"][k:k + 1, 0, 2])
        assert net.shape == (1, len(shared.CHANNELS), size, size) and net.abs().max() < 2
        assert ((net - other).abs().amax((0, 1)) < 0.05)[same].float().mean() > 0.95


def _as_people(count=1, seed=3):
    """Bare bodies as People, everything that labels need taken from the body model."""
    model, (rotations, betas, scale, shift, vertices, joints) = _posed(count, seed)
    turn = BLENDER_FROM_CAMERA
    world = (vertices - shift[:, None]) @ turn.T + [0, 0, 1.0]
    body = shared.tables(model)
    own = torch.zeros(len(model.template), 2)
    own[body.drawn.flatten()] = body.uv[body.uv_faces.flatten()]
    flat = torch.as_tensor(world, dtype=torch.float32)
    people = bare(flat, body.drawn, shared.vertex_normals(body, flat))
    rows = lambda t: t.repeat(count, *[1] * (t.dim() - 1))
    return model, replace(
        people, body_uv=rows(own), body_place=rows(body.template), part=rows(body.part.to(torch.uint8)),
        joints=torch.as_tensor((joints - shift[:, None]) @ turn.T + [0, 0, 1.0], dtype=torch.float32),
        rotations=torch.as_tensor(turn @ rotations @ BLENDER_FROM_BODY.T, dtype=torch.float32),
        betas=torch.as_tensor(betas, dtype=torch.float32), scale=torch.as_tensor(scale, dtype=torch.float32),
        landmarks=torch.as_tensor(np.stack([model.landmarks(w) for w in world]), dtype=torch.float32))


def test_bare_body_has_the_labels_of_its_own_maps():
    """A naked person and the true body's maps are the same surface: whole chain world -> camera -> maps, twice."""
    model, people = _as_people()
    cameras = _camera(192, 4.0, 1.0, 32.0)
    labels = _labels(people, cameras)
    body = shared.tables(model)
    truth = bodies.body_maps(cameras, *bodies.true_body(people, cameras, body), body)
    assert (truth["joints"] - labels["joints"]).abs().max() < 1e-4
    both = labels["mask"] & truth["mask"]
    assert both.sum() > 0.995 * labels["mask"].sum()
    assert (labels["depth_front"] - truth["depth_front"])[both].abs().median() < 1e-5
    assert (labels["part_front"] + 1 == truth["part_front"])[both].float().mean() > 0.99
    assert ((labels["uv_front"] - truth["uv_front"]).abs().amax(1) < 0.01)[both].float().mean() > 0.97
    numbers = check(people, cameras, labels)
    assert numbers["holes"] == 0 and numbers["crossed"] == 0 and numbers["facing"] == 0 and numbers["unit"] < 1e-5
    assert numbers["surface_mm"] < 0.5 and numbers["normal_deg"] < 4 and numbers["joints_off_px"] < 0.5 and numbers["uv_sides"] < 0.005


@pytest.mark.parametrize("break_it, name, least", [
    (lambda l: l | {"depth_front": l["depth_front"] + 0.05 * l["mask"]}, "surface_mm", 4),
    (lambda l: l | {"normal_front": l["normal_front"].flip(3)}, "normal_deg", 3),
    (lambda l: l | {"depth_front": l["depth_back"], "depth_back": l["depth_front"]}, "crossed", 0.5),
    (lambda l: l | {"part_front": l["part_front"].flip(2), "uv_front": l["uv_front"]}, "uv_sides", 0.2),
    (lambda l: l | {"joints_px": l["joints_px"] + 40}, "joints_off_px", 5),
])
def test_check_notices_what_is_broken(break_it, name, least):
    _, people = _as_people()
    cameras = _camera(128, 4.0, 1.0, 32.0)
    labels = _labels(people, cameras)
    assert check(people, cameras, labels)[name] < least * 0.6
    assert check(people, cameras, break_it(labels))[name] > least


def test_face_box_surrounds_the_face():
    _, people = _as_people()
    cameras = _camera(256, 4.0, 1.0, 32.0)
    labels = _labels(people, cameras)
    names = landmark_names()
    for turn, valid in ((0.0, True), (np.pi, False)):
        spin = torch.tensor([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]], dtype=torch.float32)
        moved = replace(people, vertices=people.vertices @ spin.T, normals=people.normals @ spin.T, landmarks=people.landmarks @ spin.T)
        labels = _labels(moved, cameras)
        face = face_box(labels["landmarks"], labels["landmarks_px"], labels["landmarks_visible"], cameras)
        left, top, right, bottom = face["box"][0]
        assert abs((right - left) - (bottom - top)) < 1e-3
        assert bool(face["valid"][0]) == valid
        px = labels["landmarks_px"][0, [names.index(n) for n in ("nose", "chin", "left_ear", "right_ear", "lip_top", "left_lid_top")]]
        assert (px > face["box"][0, :2]).all() and (px < face["box"][0, 2:]).all()
        head = torch.nonzero(head_mask(labels["part_front"])[0])
        assert 0.6 < (right - left) / (head[:, 0].max() - head[:, 0].min()) < 1.3
        assert (face["looks"][0, 2] < -0.5) == valid                # looks at the camera when turned to it


def test_pictures_of_all_labels():
    _, people = _as_people(2)
    cameras = _camera(64, 4.0, 1.0, 32.0, 2)
    labels = _labels(people, cameras)
    noise = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    sample = labels | {"image": noise, "albedo": noise, "mask_seen": noise[:, 0], "face_box": torch.tensor([[10.0, 5, 30, 25]] * 2), "face_valid": torch.tensor([True] * 2)}
    shown = preview.row_of({k: v.numpy() for k, v in sample.items()}, 1)
    assert {"photo", "albedo", "mask seen", "normal front", "normal back", "depth front", "depth back", "parts", "parts back", "body UV", "points"} == set(shown)
    for name, picture in shown.items():
        assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8 and len(np.unique(picture)) > 1, name
    assert preview.sheet(sample, [Recipe(k, PersonRecipe()) for k in range(2)]).size == (len(shown) * 64, 2 * 64 + 18)


def test_face_box_off_canvas_or_tiny_is_not_valid():
    _, people = _as_people()
    cameras = _camera(256, 4.0, 1.0, 32.0)
    moved = replace(cameras, centre=cameras.centre + torch.tensor([0.0, -150.0]))
    for seen in (moved, _camera(64, 9.0, 1.0, 60.0)):
        labels = _labels(people, seen)
        assert not face_box(labels["landmarks"], labels["landmarks_px"], labels["landmarks_visible"], seen)["valid"].any()
