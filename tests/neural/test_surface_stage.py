"""Depth maps of analytic shapes through points, Poisson and stitch, and back."""

from dataclasses import dataclass

import numpy as np
import pytest

from neural.context import Context
from neural.contract.errors import EngineError, SurfaceError
from neural.contract.frames import Camera
from neural.contract.job import JobOptions, Preset
from neural.geometry import poisson
from neural.geometry.compose import normals_from_slopes
from neural.geometry.rim import rim_points
from neural.geometry.stitch import stitch
from neural.geometry.topology import face_components, has_manifold_vertices, is_watertight, signed_volume
from neural.stages.s06_depth import Depths
from neural.stages.s07_points import BACK, FRONT, RIM, Points
from neural.stages.s09_surface import solve_surface

SIDE, RADIUS, CENTRE = 160, 0.5, np.array([0.08, -0.05, 2.2])
CAMERA = Camera.from_fov(SIDE, SIDE, 35)


@dataclass(frozen=True)
class Small(Context):
    """The same stage with a small octree and budget."""

    @property
    def sizes(self):
        return Preset("test", SIDE, 6, 3000, 256)


@dataclass
class View:
    camera: Camera
    inside: np.ndarray


def sphere_maps():
    ray = CAMERA.pixel_rays().astype(np.float64)
    a, b = (ray ** 2).sum(-1), ray @ CENTRE
    root = b * b - a * (CENTRE @ CENTRE - RADIUS ** 2)
    mask = root > 0
    root = np.sqrt(np.maximum(root, 0))
    front, back = np.where(mask, (b - root) / a, np.nan), np.where(mask, (b + root) / a, np.nan)
    normals = [np.where(mask[..., None], (ray * z[..., None] - CENTRE) / RADIUS, 0) for z in (front, back)]
    return front, back, mask, normals


def sphere_points():
    front, back, mask, normals = sphere_maps()
    ray = CAMERA.pixel_rays()[mask]
    rim, rim_normals, *_ = rim_points(front, back, mask, np.ones_like(mask), CAMERA, *normals)
    xyz = np.concatenate([ray * front[mask][:, None], ray * back[mask][:, None], rim]).astype(np.float32)
    directions = np.concatenate([normals[0][mask], normals[1][mask], rim_normals]).astype(np.float32)
    kind = np.repeat(np.array([FRONT, BACK, RIM], np.uint8), [mask.sum(), mask.sum(), len(rim)])
    depths = Depths(front.astype(np.float32), back.astype(np.float32), mask, mask.astype(np.float32))
    return depths, Points(xyz, directions, kind)


def check_sphere(surface, tolerance):
    assert surface.watertight and is_watertight(surface.faces) and has_manifold_vertices(surface.faces)
    assert face_components(surface.faces, len(surface.vertices))[0] == 1
    distance = np.linalg.norm(surface.vertices - CENTRE, axis=1)
    assert np.abs(distance - RADIUS).max() < tolerance * RADIUS
    assert signed_volume(surface.vertices, surface.faces) == pytest.approx(4 / 3 * np.pi * RADIUS ** 3, rel=0.02)
    assert len(surface.faces) <= 3002
    outward = ((surface.vertices - CENTRE) * surface.normals).sum(1) / distance
    assert outward.min() > 0.6 and np.median(outward) > 0.99 and surface.faces.dtype == np.int32 and surface.vertices.dtype == np.float32


def test_rim_lies_on_the_sphere_and_looks_sideways():
    front, back, mask, maps = sphere_maps()
    xyz, normals, *_ = rim_points(front, back, mask, np.ones_like(mask), CAMERA, *maps)
    assert np.abs(np.linalg.norm(xyz - CENTRE, axis=1) - RADIUS).max() < 0.02 * RADIUS
    outward = ((xyz - CENTRE) / RADIUS * normals).sum(1)
    assert np.median(outward) > 0.85 and (outward > 0.5).mean() > 0.95


def test_sphere_through_poisson():
    depths, points = sphere_points()
    first = solve_surface(View(CAMERA, depths.mask), None, depths, points, Small())
    assert first.method == "screened-poisson"
    check_sphere(first, 0.01)
    again = solve_surface(View(CAMERA, depths.mask), None, depths, points, Small())
    assert np.array_equal(first.vertices, again.vertices) and np.array_equal(first.faces, again.faces)


def test_sphere_through_stitch():
    depths, points = sphere_points()
    context = Small(JobOptions(stitch=True))
    first = solve_surface(View(CAMERA, depths.mask), None, depths, points, context)
    assert first.method == "height-field-stitch"
    check_sphere(first, 0.0175)                                  # one pixel: a grid knows no more
    again = solve_surface(View(CAMERA, depths.mask), None, depths, points, context)
    assert np.array_equal(first.vertices, again.vertices) and np.array_equal(first.faces, again.faces)


@pytest.mark.parametrize("radius, code", [(0.03, "surface.floaters"), (0.1, "surface.limb-lost")])
def test_floater_is_removed_and_said(radius, code):
    """A crumb is a crumb; a piece as large as a hand is more than that, and the person is told so."""
    depths, points = sphere_points()
    rng = np.random.default_rng(0)
    d = rng.normal(size=(3000, 3))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    xyz = np.concatenate([points.xyz, (CENTRE + [0.75, 0, 0] + radius * d).astype(np.float32)])
    cloud = Points(xyz, np.concatenate([points.normals, d.astype(np.float32)]), np.zeros(len(xyz), np.uint8))
    said = []
    surface = solve_surface(View(CAMERA, depths.mask), None, depths, cloud, Small(warn=lambda c, m: said.append(c)))
    assert said == [code] and surface.watertight
    assert np.abs(np.linalg.norm(surface.vertices - CENTRE, axis=1) - RADIUS).max() < 0.02 * RADIUS


def test_the_photo_border_gives_a_flat_cut():
    front, back, mask, maps = sphere_maps()
    inside = np.ones_like(mask)
    inside[90:] = False                                          # the photo ends through the sphere's middle
    xyz, normals, *_ = rim_points(front, back, mask & inside, inside, CAMERA, *maps)
    cut = np.abs(CAMERA.project(xyz.astype(np.float64))[:, 1] - 90) < 1e-3
    plane = CAMERA.rays(np.array([[SIDE / 2, 90.0]]))[0]
    assert cut.sum() > 2000
    assert np.abs(normals[cut] @ plane).max() < 1e-5 and normals[cut, 1].min() > 0.99
    assert np.ptp(xyz[cut, 2]) > 1.8 * 0.9 * RADIUS              # filled from the front to the back


def test_stitch_closes_any_mask():
    rng = np.random.default_rng(3)
    mask = rng.random((40, 40)) > 0.25
    depth = np.full(mask.shape, 2.0)
    v, f = stitch(depth - 0.1, depth + 0.1, mask, Camera.from_fov(40, 40, 50))
    assert is_watertight(f) and signed_volume(v, f) > 0


def test_normals_from_slopes_on_a_plane_and_a_sphere():
    camera = Camera.from_fov(64, 64, 40)
    everywhere = (slice(None), slice(None))
    tilt = np.array([0.3, -0.2, -1.0]) / np.linalg.norm([0.3, -0.2, -1.0])
    ray = camera.pixel_rays().astype(np.float64)
    z = (tilt @ [0, 0, 2.0]) / (ray @ tilt)
    dv, du = np.gradient(z)
    n = normals_from_slopes(z, du, dv, camera, everywhere, -1)
    assert np.degrees(np.arccos(np.clip(n[2:-2, 2:-2] @ tilt, -1, 1))).max() < 0.5
    front, back, mask, want = sphere_maps()
    core = np.zeros_like(mask)
    core[50:100, 60:100] = True
    for z, truth, side in ((front, want[0], -1), (back, want[1], 1)):
        dv, du = np.gradient(z)
        n = normals_from_slopes(z, du, dv, CAMERA, everywhere, side)
        assert np.degrees(np.arccos(np.clip((n * truth).sum(-1)[core], -1, 1))).max() < 1.0


def test_nothing_to_build_from_is_a_coded_error():
    empty = Points(np.zeros((5, 3), np.float32), np.zeros((5, 3), np.float32), np.zeros(5, np.uint8))
    nothing = np.zeros((SIDE, SIDE), bool)
    depths = Depths(np.full(nothing.shape, np.nan), np.full(nothing.shape, np.nan), nothing, nothing.astype(float))
    for options in (JobOptions(), JobOptions(stitch=True)):
        with pytest.raises(SurfaceError) as caught:
            solve_surface(View(CAMERA, ~nothing), None, depths, empty, Small(options))
        assert caught.value.code == "surface.too-few-points" and caught.value.remedy


def test_missing_pymeshlab_is_an_engine_error(monkeypatch):
    import sys
    monkeypatch.setitem(sys.modules, "pymeshlab", None)
    with pytest.raises(EngineError) as caught:
        poisson.load_pymeshlab()
    assert caught.value.code == "engine.pymeshlab" and "libgl1" in caught.value.remedy
