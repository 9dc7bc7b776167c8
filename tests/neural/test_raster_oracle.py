"""The rasteriser against an independent ray caster (Moeller-Trumbore in numpy), nearest and farthest."""

import numpy as np
import pytest

from neural.contract.frames import Camera
from neural.geometry.raster import rasterize, rasterize_screen


def cast(vertices, faces, camera, farthest):
    """Every pixel's ray against every triangle: (H, W) depth, NaN where nothing is hit, and the face."""
    rays = camera.pixel_rays().reshape(-1, 3).astype(np.float64)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    e1, e2 = b - a, c - a
    p = np.cross(rays[:, None], e2[None])
    det = (p * e1).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        inv = 1 / det
        u = (p * -a).sum(-1) * inv
        q = np.cross(-a, e1)
        v = (rays[:, None] * q).sum(-1) * inv
        t = (e2 * q).sum(-1) * inv
    inside = (np.abs(det) > 1e-12) & (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
    t = np.where(inside, t, -np.inf if farthest else np.inf)
    face = t.argmax(1) if farthest else t.argmin(1)
    depth = np.take_along_axis(t, face[:, None], 1)[:, 0]
    shape = camera.height, camera.width
    return np.where(np.isfinite(depth), depth, np.nan).reshape(shape), face.reshape(shape)


@pytest.mark.parametrize("farthest", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_ray_casting(seed, farthest):
    rng = np.random.default_rng(seed)
    camera = Camera.from_fov(48, 40, 55)
    vertices = np.concatenate([rng.uniform(-1.2, 1.2, (60, 2)), rng.uniform(1.2, 4.0, (60, 1))], 1)
    faces = rng.integers(0, 60, (70, 3))
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    want, owner = cast(vertices, faces, camera, farthest)
    got = rasterize(vertices, faces, camera, farthest)
    assert np.isfinite(want).mean() > 0.5                       # the scene covers much of the canvas
    assert (np.isfinite(want) == got.hit).mean() > 0.999        # a ray through an edge may go either way
    both = np.isfinite(want) & got.hit
    assert np.abs(got.depth[both] - want[both]).max() < 1e-4
    assert (got.face[both] == owner[both]).mean() > 0.999
    # barycentrics give the hit point back
    point = np.einsum("nk,nkc->nc", got.bary[both], vertices[faces[got.face[both]]])
    ray = camera.pixel_rays()[both]
    assert np.abs(point - ray * want[both][:, None]).max() < 1e-4


def test_nearest_and_farthest_differ_on_a_box():
    v = np.array([[x, y, z] for x in (-.5, .5) for y in (-.5, .5) for z in (2.0, 3.0)])
    f = np.array([[0, 2, 4], [2, 6, 4], [1, 5, 3], [3, 5, 7], [0, 4, 1], [1, 4, 5], [2, 3, 6], [3, 7, 6],
                  [0, 1, 2], [1, 3, 2], [4, 6, 5], [5, 6, 7]])
    camera = Camera.from_fov(33, 33, 50)
    near, far = rasterize(v, f, camera), rasterize(v, f, camera, farthest=True)
    assert near.depth[16, 16] == pytest.approx(2.0) and far.depth[16, 16] == pytest.approx(3.0)
    assert (near.hit == far.hit).all() and (far.depth[near.hit] >= near.depth[near.hit]).all()


def test_behind_the_camera_and_off_canvas_draw_nothing():
    camera = Camera.from_fov(16, 16, 50)
    f = np.array([[0, 1, 2]])
    assert not rasterize(np.array([[-1, -1, -2.0], [1, -1, -2], [0, 1, -2]]), f, camera).hit.any()
    assert not rasterize(np.array([[50, 50, 2.0], [52, 50, 2], [51, 52, 2]]), f, camera).hit.any()
    assert not rasterize(np.zeros((0, 3)), np.zeros((0, 3), int), camera).hit.any()


def test_shared_edges_leave_no_gap_and_belong_to_one_triangle():
    # a square of two triangles whose diagonal runs exactly through pixel centres
    pixels = np.array([[0.5, 0.5], [8.5, 0.5], [8.5, 8.5], [0.5, 8.5]])
    got = rasterize_screen(pixels, np.ones(4), np.array([[0, 1, 2], [0, 2, 3]]), 10, 10)
    assert got.hit[:9, :9].all()
    assert (got.face[np.arange(9), np.arange(9)] == 0).all()
