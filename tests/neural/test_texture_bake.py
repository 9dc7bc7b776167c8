"""Baking: a sphere with a known pattern, photographed on magenta, comes back; nothing leaks, nothing is missing."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from neural.context import Context
from neural.contract.errors import TextureError
from neural.contract.frames import Camera
from neural.contract.job import JobOptions
from neural.geometry.normals import vertex_normals
from neural.geometry.raster import rasterize
from neural.geometry.view import atlas_at
from neural.stages.s10_texture import paint_texture

_spec = importlib.util.spec_from_file_location("unwrap_shapes", Path(__file__).with_name("test_texture_unwrap.py"))
_shapes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_shapes)
MAGENTA = (255, 0, 255)
SIZE, FINE = 256, 512


def pattern(points):
    """Smooth colours of space without any magenta: green is never far below red and blue."""
    x, y, z = (points - (0, 0, 2.5)).T * 6
    return np.stack([110 + 60 * np.sin(2 * x), 140 + 60 * np.cos(2 * y), 110 + 50 * np.sin(2 * z + x)], 1)


def scene(shape):
    v, f = shape
    camera = Camera.from_fov(SIZE, SIZE, 30)
    n = vertex_normals(v, f)
    fine = rasterize(v, f, camera.resized(FINE, FINE))
    picture = np.empty((FINE, FINE, 3))
    picture[:] = MAGENTA
    picture[fine.hit] = pattern(fine.interpolate(v, f)[fine.hit])
    mean = lambda a: a.reshape(SIZE, FINE // SIZE, SIZE, FINE // SIZE, -1).mean((1, 3))
    drawn = rasterize(v, f, camera)
    maps = drawn.interpolate(n, f)
    marks = np.full((33, 2), SIZE / 2, np.float32)
    person = SimpleNamespace(
        camera=camera, photo_from_crop=np.diag([FINE / SIZE, FINE / SIZE, 1.0]), crop=mean(picture).round().astype(np.uint8),
        mask=mean(fine.hit.astype(np.float32))[..., 0].astype(np.float32), face=None, landmarks=marks, facing="side")
    body = SimpleNamespace(vertices=v, faces=f, part=np.zeros(len(v), np.uint8), rest_vertices=v, weights=np.eye(24)[np.zeros(len(v), int)],
                           uv=np.random.default_rng(0).random((len(v), 2)).astype(np.float32), uv_faces=f)
    surface = SimpleNamespace(vertices=v, faces=f, normals=n, watertight=True)
    photo = SimpleNamespace(rgb=picture.round().astype(np.uint8))
    return photo, person, body, SimpleNamespace(front=maps, back=maps), surface


def paint(shape):
    parts = scene(shape)
    photo, person, body, normals, surface = parts
    return parts, paint_texture(photo, person, body, normals, None, surface, None, Context(JobOptions(preset="draft")))


@pytest.fixture(scope="module")
def ball():
    return paint(_shapes.sphere(72, 48))


@pytest.fixture(scope="module")
def pair():
    return paint(_shapes.two_spheres())


def test_the_front_comes_back(ball):
    (_, person, _, _, surface), texture = ball
    assert texture.albedo.shape == (1024, 1024, 3) and texture.normal_map.shape == (1024, 1024, 3)
    assert texture.psnr_db > 34                                     # the rim, mixed with magenta in the photo, included
    drawn = rasterize(surface.vertices, surface.faces, person.camera)
    well = cv2.erode((person.mask > 0.99).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    colour = atlas_at(texture.albedo, drawn.interpolate(texture.uv, texture.uv_faces)[well])
    assert np.abs(colour - person.crop[well]).max() < 6 and np.abs(colour - person.crop[well]).mean() < 0.7
    assert 0.25 < texture.seen_fraction < 0.5                       # less than half a ball can be seen


@pytest.mark.parametrize("shape", ["ball", "pair"])
def test_no_background_leaks(shape, request):
    _, texture = request.getfixturevalue(shape)
    for colours in (texture.albedo.reshape(-1, 3), texture.vertex_color):
        red, green, blue = colours.astype(int).T
        assert not ((red - green > 90) & (blue - green > 90)).any()
        assert (green > 40).all()                                   # nothing black or unset either


def test_confidence_is_full_only_where_a_ray_reaches(pair):
    (_, person, _, _, surface), texture = pair
    from neural.geometry.bake import texels
    t = texels(texture.uv, texture.uv_faces, 1024)
    sure = texture.confidence[t.row, t.column] == 255
    assert 0.1 < sure.mean() < 0.6
    xyz = t.interpolate(surface.vertices, surface.faces).astype(np.float64)
    blocked = np.zeros(len(xyz), bool)
    for centre, radius in (((0, 0, 2.5), 0.4), ((0.15, 0, 1.9), 0.12)):   # the segment eye - point against both balls
        c = np.array(centre)
        along = np.clip((xyz @ c) / (xyz * xyz).sum(1), 0, 1)
        gap = np.linalg.norm(along[:, None] * xyz - c, axis=1)
        inside = radius - gap
        own = np.abs(np.linalg.norm(xyz - c, axis=1) - radius) < 0.02
        front = ((xyz - c) * xyz).sum(1) < 0                         # this side of the own ball faces the eye
        blocked |= np.where(own, ~front, inside > 0.004)
    assert not (sure & blocked).any()
    outside = np.ones((1024, 1024), bool)
    outside[t.row, t.column] = False
    assert (texture.confidence[outside] == 0).all()


def test_detail_normals_are_flat_where_the_mesh_is_right(ball):
    _, texture = ball
    n = texture.normal_map.reshape(-1, 3).astype(float) / 127.5 - 1
    assert np.abs(n[:, :2]).mean() < 0.02 and n[:, 2].min() > 0.9


def test_normal_map_follows_the_convention():
    """Normals that lean up in the picture give green above the middle on the upright front chart; to the right: red."""
    photo, person, body, normals, surface = scene(_shapes.sphere(72, 48))
    lean = normals.front + np.array([0.25, -0.25, 0]) * (np.abs(normals.front).sum(-1, keepdims=True) > 0)
    lean /= np.maximum(np.linalg.norm(lean, axis=-1, keepdims=True), 1e-9)
    texture = paint_texture(photo, person, body, SimpleNamespace(front=lean.astype(np.float32), back=lean), None, surface, None,
                            Context(JobOptions(preset="draft")))
    sure = texture.confidence == 255
    red, green, _ = texture.normal_map[sure].astype(float).mean(0)
    assert red > 134 and green > 134


def test_nothing_to_paint_is_an_error():
    photo, person, body, normals, surface = scene(_shapes.sphere())
    surface.faces = surface.faces[:2]
    with pytest.raises(TextureError) as error:
        paint_texture(photo, person, body, normals, None, surface, None, Context(JobOptions(preset="draft")))
    assert error.value.code == "texture.empty"
    photo, person, body, normals, surface = scene(_shapes.sphere())
    person.mask = np.roll(np.eye(SIZE, dtype=np.float32)[:, :1] * np.ones((1, SIZE), np.float32), 2, 0)
    with pytest.raises(TextureError) as error:
        paint_texture(photo, person, body, normals, None, surface, None, Context(JobOptions(preset="draft")))
    assert error.value.code == "texture.unseen"
