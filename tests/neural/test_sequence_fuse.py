"""Textures of several frames, on a ball whose colours are known: what one picture hides another shows, in its place and its exposure."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from neural.contract.frames import Camera
from neural.geometry.bake import cosines, sight, texels
from neural.geometry.normals import vertex_normals
from neural.geometry.plate import make_plate, sample
from neural.geometry.raster import rasterize
from neural.sequence.fuse import best_weights, coverage, fuse, view_of
from neural.stages.s01_photo import Photo
from neural.stages.s10_texture import Texture
from neural.stages.s10_unseen import seen_weight

SIDE, ATLAS = 256, 256
CAMERA = Camera.from_fov(SIDE, SIDE)
PLACE = np.array([0.0, 0.0, 3.0])


def _ball(n: int = 48) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (rest, radius 1), faces, uv and uv_faces of a globe."""
    v, u = np.meshgrid(np.linspace(0.02, 0.98, n // 2), np.linspace(0, 1, n + 1), indexing="ij")
    around, down = 2 * np.pi * u, np.pi * v
    points = np.stack([np.sin(down) * np.cos(around), -np.cos(down), np.sin(down) * np.sin(around)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(n // 2 - 1), np.arange(n), indexing="ij")
    a = (i * (n + 1) + j).ravel()
    faces = np.concatenate([np.stack([a, a + 1, a + n + 1], 1), np.stack([a + 1, a + n + 2, a + n + 1], 1)]).astype(np.int32)
    if (vertex_normals(points, faces) * points).sum(1).mean() < 0:
        faces = faces[:, ::-1].copy()
    return points, faces, np.stack([0.02 + 0.96 * u, 0.02 + 0.96 * v], -1).reshape(-1, 2).astype(np.float32), faces


def _colour(points: np.ndarray) -> np.ndarray:
    """True colours of places on the resting ball, sRGB 0..255: smooth, and different on all sides."""
    return 128 + 90 * points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)


def _turned(angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]], PLACE
    return out


def _picture(points: np.ndarray, faces: np.ndarray, transform: np.ndarray, exposure: float = 1.0) -> tuple[Photo, SimpleNamespace]:
    """A photo of the ball turned so, and who s02 would have found."""
    posed = points @ transform[:3, :3].T + transform[:3, 3]
    drawn = rasterize(posed, faces, CAMERA)
    rgb = np.full((SIDE, SIDE, 3), 255, np.uint8)                  # a white background that must not bleed in
    rgb[drawn.hit] = np.clip(np.round(exposure * _colour(drawn.interpolate(points, faces)[drawn.hit])), 0, 255)
    person = SimpleNamespace(mask=drawn.hit.astype(np.float32), camera=CAMERA, photo_from_crop=np.eye(3))
    return Photo("ball", rgb, None, None), person


@pytest.fixture(scope="module")
def ball():
    """The ball as the stages after s10 know it, textured from the front, black behind."""
    points, faces, uv, uv_faces = _ball()
    front = _turned(0.0)
    posed = points @ front[:3, :3].T + front[:3, 3]
    normals = vertex_normals(posed, faces)
    surface = SimpleNamespace(vertices=posed.astype(np.float32), faces=faces, normals=normals.astype(np.float32))
    photo, person = _picture(points, faces, front)
    plate = make_plate(photo.rgb, person.mask, np.eye(3), 1.0, 3.0)
    at, look = texels(uv, uv_faces, ATLAS), sight(posed, faces, CAMERA)
    xyz, n = at.interpolate(posed, faces), at.interpolate(normals, faces)
    pixels = plate.at(CAMERA.project(xyz.astype(float)))
    seen = seen_weight(xyz.astype(float), cosines(xyz, n), look, plate, pixels)
    albedo, confidence = np.zeros((ATLAS, ATLAS, 3), np.uint8), np.zeros((ATLAS, ATLAS), np.uint8)
    albedo[at.row, at.column] = np.round(seen[:, None] * sample(plate.rgb, pixels))
    confidence[at.row, at.column] = np.where(seen > 0.995, 255, np.where(seen > 0, 96 + 144 * seen, 16))
    texture = Texture(uv, uv_faces, uv, uv_faces, albedo, confidence, np.zeros((ATLAS, ATLAS, 3), np.uint8),
                      np.zeros((len(points), 3), np.uint8), np.zeros(len(points), np.float32), 0.0, 0.0)
    rig = SimpleNamespace(weight_joints=np.zeros((len(points), 1), np.int32), weight_values=np.ones((len(points), 1), np.float32), rest_vertices=points)
    return SimpleNamespace(points=points, faces=faces, surface=surface, texture=texture, rig=rig, at=at)


def _view(ball, degrees: float, exposure: float = 1.0):
    transform = _turned(np.radians(degrees))
    photo, person = _picture(ball.points, ball.faces, transform, exposure)
    return view_of(int(degrees), transform[None], ball.rig, ball.surface, photo, person)


def _error(ball, albedo: np.ndarray, where: np.ndarray) -> float:
    true = _colour(ball.at.interpolate(ball.points, ball.faces))
    return float(np.abs(albedo[ball.at.row, ball.at.column].astype(float) - true)[where].mean())


def test_another_view_fills_what_the_first_hides(ball):
    back = ball.at.interpolate(ball.points, ball.faces)[:, 2] > 0.75
    assert best_weights(ball.texture, ball.at)[back].max() == 0 and _error(ball, ball.texture.albedo, back) > 60
    fused, covered = fuse(ball.texture, ball.surface, [_view(ball, 180)])
    assert _error(ball, fused.albedo, back) < 3 and covered[1] > 1.8 * covered[0]
    assert fused.seen_fraction == covered[-1] and fused.confidence[ball.at.row, ball.at.column][back].min() == 255
    assert fused.method.endswith("+1 views")
    behind = ball.points[:, 2] > 0.8
    assert np.abs(fused.vertex_color[behind].astype(float) - _colour(ball.points[behind])).mean() < 3 and fused.vertex_seen[behind].min() > 0.9


def test_what_the_best_frame_shows_stays_as_it_is(ball):
    sure = best_weights(ball.texture, ball.at) >= 1
    fused, _ = fuse(ball.texture, ball.surface, [_view(ball, 120), _view(ball, 240)])
    assert np.array_equal(fused.albedo[ball.at.row, ball.at.column][sure], ball.texture.albedo[ball.at.row, ball.at.column][sure])


def test_coverage_grows_with_views_and_no_background_bleeds_in(ball):
    fused, covered = fuse(ball.texture, ball.surface, [_view(ball, 90), _view(ball, 180), _view(ball, 270)])
    assert all(b > a for a, b in zip(covered, covered[1:])) and covered[-1] > 0.65
    assert covered[-1] == pytest.approx(coverage(ball.surface, ball.at, fused.confidence[ball.at.row, ball.at.column] / 255.0), abs=0.02)
    seen = fused.confidence[ball.at.row, ball.at.column] == 255
    true = _colour(ball.at.interpolate(ball.points, ball.faces))
    off = np.abs(fused.albedo[ball.at.row, ball.at.column].astype(float) - true)[seen].max(1)
    assert np.quantile(off, 0.99) < 12 and (off > 25).mean() < 0.002             # white would be off by 60 to 220


def test_a_darker_view_is_brought_to_the_best_ones_exposure(ball):
    side = ball.at.interpolate(ball.points, ball.faces)[:, 0]
    fused, _ = fuse(ball.texture, ball.surface, [_view(ball, 90, exposure=0.8)])
    hidden = (best_weights(ball.texture, ball.at) == 0) & (fused.confidence[ball.at.row, ball.at.column] == 255)
    assert hidden.sum() > 500 and np.abs(side[hidden]).max() > 0.5
    plain = np.abs(0.8 * _colour(ball.at.interpolate(ball.points, ball.faces)) - _colour(ball.at.interpolate(ball.points, ball.faces)))[hidden].mean()
    assert _error(ball, fused.albedo, hidden) < 0.4 * plain


def test_without_views_nothing_changes(ball):
    fused, covered = fuse(ball.texture, ball.surface, [])
    assert fused is ball.texture and len(covered) == 1
