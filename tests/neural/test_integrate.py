"""Depth and normals of one side become one surface: shapes whose truth is known."""

import cv2
import numpy as np
import pytest

from neural.contract.frames import Camera
from neural.geometry.integrate import integrated


def sphere(side, centre=(0.05, -0.03, 2.2), radius=0.3, back=False):
    """camera, z (NaN outside), outward normals, mask."""
    camera = Camera.from_fov(side, side)
    ray, c = camera.pixel_rays().astype(np.float64), np.array(centre)
    a, b = (ray**2).sum(-1), ray @ c
    under = b * b - a * (c @ c - radius**2)
    mask = under > 0
    z = np.where(mask, (b + (1 if back else -1) * np.sqrt(np.maximum(under, 0))) / a, np.nan)
    return camera, z, np.nan_to_num((ray * z[..., None] - c) / radius).astype(np.float32), mask


def folded_sheet(side, step=0.03, deep=0.003, wave=0.03):
    """A sheet 2.2 m away with folds and, along a slanting line, a step: z, normals, z without folds, farther side."""
    camera = Camera.from_fov(side, side)
    ray = camera.pixel_rays().astype(np.float64)
    k = 2 * np.pi / wave * 2.2
    far = ray[..., 0] + 0.2 * ray[..., 1] > 0.02
    flat = 2.2 + step * far
    z, slope = flat + deep * np.sin(k * ray[..., 0]), deep * k * np.cos(k * ray[..., 0])
    n = np.stack([slope, 0 * slope, -(z + ray[..., 0] * slope)], -1)
    return camera, z, (n / np.linalg.norm(n, axis=-1, keepdims=True)).astype(np.float32), flat, far


@pytest.mark.parametrize("back", [False, True])
def test_a_sphere_of_rough_depth_becomes_round(back):
    camera, z, normals, mask = sphere(384, back=back)
    metre = 2.2 / camera.fx
    ripple = 0.006 * np.sin(np.arange(384)[None] * metre * 2 * np.pi / 0.02) * np.ones((384, 1))
    out = integrated(z + ripple, normals, mask, camera)
    far = 1e3 * np.abs(out - z)
    inner = cv2.erode(mask.astype(np.uint8), np.ones((7, 7))) > 0
    assert far[inner].mean() < 0.15 and np.percentile(far[inner], 99) < 1.0     # 6 mm of ripples before
    assert np.isnan(out[~mask]).all() and np.isfinite(out[mask]).all() and out.dtype == np.float32


def test_depth_keeps_the_long_waves():
    """Normals of a plane do not flatten a depth that bends over a metre; a shift of all depths stays."""
    camera = Camera.from_fov(256, 256)
    x = camera.pixel_rays()[..., 0] * 2.2
    z = 2.2 + 0.02 * np.sin(2 * np.pi * x / 1.0)
    normals = np.zeros((256, 256, 3), np.float32)
    normals[..., 2] = -1
    out = integrated(z, normals, np.ones((256, 256), bool), camera)
    assert np.abs(out - z)[:, 20:-20].max() < 0.002


@pytest.mark.parametrize("blur", [0.0, 2.0])
def test_folds_come_back_and_the_step_is_not_smeared(blur):
    camera, z, normals, low, far = folded_sheet(512)
    given = cv2.GaussianBlur(low, (0, 0), blur) if blur else low
    out = integrated(given, normals, np.ones(z.shape, bool), camera)
    error = 1e3 * np.abs(out - z)
    assert 1e3 * np.abs(given - z).mean() > 1.8 and error.mean() < 0.3
    edge = cv2.dilate(far.astype(np.uint8), np.ones((3, 3))) != cv2.erode(far.astype(np.uint8), np.ones((3, 3)))
    assert np.percentile(error[~edge], 99) < 1.2
    between = (out > 2.2 + 0.006) & (out < 2.2 + 0.024)                      # no pixel floats between the two sheets
    assert between.mean() < 1e-3 and (np.abs(given - 2.215) < 0.009).mean() > (5e-3 if blur else -1)


def test_nothing_and_single_pixels():
    camera = Camera.from_fov(64, 64)
    normals = np.zeros((64, 64, 3), np.float32)
    normals[..., 2] = -1
    assert np.isnan(integrated(np.full((64, 64), 2.0), normals, np.zeros((64, 64), bool), camera)).all()
    one = np.zeros((64, 64), bool)
    one[10, 10] = one[40, 50] = True
    out = integrated(np.where(one, 2.0, np.nan), normals, one, camera)
    assert np.isfinite(out).sum() == 2 and abs(out[10, 10] - 2) < 1e-5
    assert np.isnan(integrated(np.full((64, 64), np.nan), normals, one, camera)).all()


def test_poisson_believes_points_by_their_weight():
    """Two sheets of points 2 cm apart over the same half of a ball: the surface is the one that is believed."""
    from neural.geometry.poisson import screened_poisson
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(6000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    upper = normals[normals[:, 1] > 0]
    xyz, both = np.concatenate([0.3 * normals, 0.32 * upper]), np.concatenate([normals, upper])
    radii = []
    for outer in (0.25, 1.0):
        weight = np.concatenate([np.where(normals[:, 1] > 0, 1.25 - outer, 1.0), np.full(len(upper), outer)])
        vertices, faces = screened_poisson(xyz, both, 6, weight=weight)
        assert len(faces)
        radii.append(np.median(np.linalg.norm(vertices[vertices[:, 1] > 0.15], axis=1)))
    assert radii[0] < 0.307 and radii[1] > 0.313, radii
