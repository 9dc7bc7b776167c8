"""The body prior on shapes whose truth is known: discs, strips, boxes, and the body that ships."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from neural.contract.frames import Camera
from neural.contract.joints import JOINT
from neural.geometry.compose import compose
from neural.geometry.hidden import hidden_surface
from neural.geometry.inflate import boundary_weights, signed_distance, solve, walking_distance
from neural.geometry.layers import PIECES, body_layers
from neural.geometry.normals import vertex_normals
from neural.geometry.prior import build
from neural.geometry.raster import rasterize

BODY = Path(__file__).resolve().parents[2] / "neural" / "body" / "body.npz"


def person(mask, camera, inside=None):
    side = camera.width
    return SimpleNamespace(camera=camera, mask=mask.astype(np.float32), face=None, facing="front",
                           inside=np.ones((side, side), bool) if inside is None else inside,
                           landmarks=np.zeros((33, 2)), visibility=np.zeros(33))


def t_pose(distance=2.6):
    data = np.load(BODY)
    rest = data["v_template"].astype(np.float32)
    turned = rest * [1, -1, -1] + [0, 0, distance]                   # y up, facing +z -> camera axes, facing the camera
    joints = data["J_mean"] * [1, -1, -1] + [0, 0, distance]
    return SimpleNamespace(vertices=turned.astype(np.float32), faces=data["f"], part=data["part"], rest_vertices=rest,
                           height_m=float(np.ptp(rest[:, 1])), joints=joints, weights=data["weights"])


def box(centre, half):
    corner = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half + centre
    faces = np.array([[0, 1, 2], [1, 3, 2], [4, 6, 5], [5, 6, 7], [0, 4, 1], [1, 4, 5], [2, 3, 6], [3, 7, 6],
                      [0, 2, 4], [2, 6, 4], [1, 5, 3], [3, 5, 7]])
    return corner.astype(np.float32), faces


def two_boxes():
    """A trunk and, 0.4 m in front of it, a forearm: one body."""
    v1, f1 = box(np.array([0, 0, 2.5]), np.array([0.3, 0.5, 0.12]))
    v2, f2 = box(np.array([0.05, 0, 2.0]), np.array([0.1, 0.1, 0.05]))
    part = np.repeat([JOINT["spine2"], JOINT["left_elbow"]], 8).astype(np.uint8)
    vertices = np.concatenate([v1, v2])
    return SimpleNamespace(vertices=vertices, faces=np.concatenate([f1, f2 + 8]), part=part,
                           rest_vertices=vertices, height_m=1.7, joints=np.zeros((24, 3)) + [0, 0, 2.5],
                           weights=np.eye(24, dtype=np.float32)[part])


def grid(side):
    return np.meshgrid(np.arange(side) + 0.5, np.arange(side) + 0.5)


def inflated(matte, laplacian):
    distance = signed_distance(matte)
    domain = distance > 0
    pull = boundary_weights(distance, np.ones(matte.shape, bool)).sum(0)
    zero = np.zeros(matte.shape)
    return domain, solve(domain, np.full(matte.shape, laplacian), pull, zero, zero)


def test_a_disc_inflates_to_a_ball():
    x, y = grid(96)
    r = np.hypot(x - 48.3, y - 47.6)
    matte = np.clip(30 - r + 0.5, 0, 1)
    domain, s = inflated(matte, -4.0)
    half, truth = np.sqrt(s), np.sqrt(np.maximum(30 ** 2 - r ** 2, 0))
    assert np.abs(half - truth)[r < 27].max() < 0.02 * 30           # a spheroid within 2 % of its radius
    assert domain.sum() == pytest.approx(np.pi * 900, rel=0.01)


def test_a_strip_inflates_to_a_cylinder():
    x, y = grid(80)
    across = np.abs(x - 40.2)
    matte = np.clip(15 - across + 0.5, 0, 1)                        # runs out of the canvas above and below
    _, s = inflated(matte, -2.0)
    truth = np.sqrt(np.maximum(15 ** 2 - across ** 2, 0))
    assert np.abs(np.sqrt(s) - truth)[across < 13].max() < 0.02 * 15


def test_signed_distance_is_subpixel_and_ignores_the_photo_border():
    x, y = grid(64)
    d = signed_distance(np.clip(20.3 - x + 0.5, 0, 1))
    assert np.abs(d - (20.3 - x))[:, 12:30].max() < 0.6
    assert np.abs(d - (20.3 - x))[:, 19:22].max() < 0.35
    inside = x < 10                                                  # the photo ends within the person: no contour there
    assert signed_distance((x < 10).astype(np.float32), inside)[32, 8] > 20


def test_walking_does_not_cross_the_background():
    domain = np.ones((20, 40), bool)
    domain[2:, 18:22] = False                                        # two lobes, joined only at the top
    start = np.zeros_like(domain)
    start[19, 5] = True
    d = walking_distance(start, domain, 80)
    assert d[19, 17] == pytest.approx(12, abs=1) and d[19, 25] > 30 and not np.isfinite(d[10, 20])


def test_a_step_in_depth_stays_a_step():
    body, camera = two_boxes(), Camera.from_fov(256, 256, 40)
    drawn = rasterize(body.vertices, body.faces, camera)
    p = person(drawn.hit, camera)
    maps = compose(build(p, body), camera, p.mask, p.inside)
    fore = drawn.face >= 12
    row = 128
    columns = np.nonzero(fore[row])[0]
    front = maps.front[row]
    inner, outer = front[columns[-1] - 3], front[columns[-1] + 4]
    assert outer - inner > 0.25                                      # within seven pixels the step is there
    assert front[columns[len(columns) // 2]] == pytest.approx(1.95, abs=0.03)
    assert outer == pytest.approx(2.38, abs=0.06)
    assert (maps.owner_front[fore] == PIECES.index("left_forearm")).mean() > 0.9
    assert np.nanmax(np.abs(maps.back[128, 110:146] - 2.62)) < 0.06  # the back knows nothing of the forearm


def test_hidden_surfaces_lie_on_the_gap_between_the_boxes():
    body, camera = two_boxes(), Camera.from_fov(256, 256, 40)
    front = rasterize(body.vertices, body.faces, camera).depth
    back = rasterize(body.vertices, body.faces, camera, farthest=True).depth
    xyz, normals, piece = hidden_surface(body_layers(body, camera), camera, front, back, 0.02, 0.01)
    looks_back, looks_front = normals[:, 2] > 0.5, normals[:, 2] < -0.5
    assert looks_back.sum() > 50 and looks_front.sum() > 50
    assert np.abs(xyz[looks_back, 2] - 2.05).max() < 0.01            # the forearm's back
    assert np.abs(xyz[looks_front, 2] - 2.38).max() < 0.01           # the chest behind it
    none, _, _ = hidden_surface(body_layers(body, camera), camera, front, back, 0.5, 0.01)   # a gap narrower than asked for stays closed
    assert len(none) == 0


def test_pieces_together_are_the_body():
    body, camera = t_pose(), Camera.from_fov(192, 192, 50)
    layers = [layer for layer in body_layers(body, camera) if layer is not None]
    assert len(layers) == len(PIECES)
    near = np.nanmin(np.stack([np.where(layer.hit, layer.front, np.inf) for layer in layers]), 0)
    whole = rasterize(body.vertices, body.faces, camera)
    both = whole.hit & np.isfinite(near)
    assert both.sum() > 0.98 * whole.hit.sum()
    assert np.abs(near - whole.depth)[both].mean() < 0.002


def test_the_bodys_own_mask_gives_the_body_back():
    body, camera = t_pose(), Camera.from_fov(384, 384, 50)
    front = rasterize(body.vertices, body.faces, camera)
    back = rasterize(body.vertices, body.faces, camera, farthest=True)
    p = person(front.hit, camera)
    maps = compose(build(p, body), camera, p.mask, p.inside)
    assert maps.mask.sum() == pytest.approx(front.hit.sum(), rel=0.01)
    for got, want in ((maps.front, front.depth), (maps.back, back.depth)):
        error = np.abs(got - want)[maps.mask & front.hit]
        assert error.mean() < 0.006 and np.percentile(error, 90) < 0.014
    assert (maps.back[maps.mask] >= maps.front[maps.mask]).all()
    assert maps.normal_front[maps.mask][:, 2].max() < 0 < maps.normal_back[maps.mask][:, 2].min()


def test_clothes_make_the_body_thicker_all_round():
    body, camera = t_pose(), Camera.from_fov(256, 256, 50)
    offset = 0.03
    shell = body.vertices + offset * vertex_normals(body.vertices, body.faces)
    front, back = (rasterize(shell, body.faces, camera, farthest=far) for far in (False, True))
    bare = rasterize(body.vertices, body.faces, camera)
    p = person(front.hit, camera)
    maps = compose(build(p, body), camera, p.mask, p.inside)
    legs = maps.mask & bare.hit & np.isin(maps.owner_front, [k for k, n in enumerate(PIECES) if "thigh" in n or "shin" in n])
    thicker = (maps.back - maps.front)[legs].mean() - (back.depth - front.depth)[legs].mean()
    assert abs(thicker) < 0.02                                       # of 2 x 3 cm of cloth
    again = compose(build(p, body), camera, p.mask, p.inside)
    assert np.array_equal(maps.front, again.front, equal_nan=True)


def test_nothing_is_invented_beyond_the_photo():
    body, camera = t_pose(), Camera.from_fov(192, 192, 50)
    hit = rasterize(body.vertices, body.faces, camera).hit
    inside = np.ones_like(hit)
    inside[110:] = False
    p = person(hit & inside, camera, inside)
    maps = compose(build(p, body), camera, p.mask, p.inside)
    assert not maps.mask[110:].any() and maps.mask[100:110].any()
    thickness = maps.back - maps.front
    assert np.nanmax(thickness[109]) > 0.8 * np.nanmax(thickness[103])  # cut flat, not rounded off
