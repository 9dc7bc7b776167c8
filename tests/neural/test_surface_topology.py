"""Topology, repair and decimation on shapes whose truth is known."""

import numpy as np
import pytest

from neural.geometry.decimate import decimate
from neural.geometry.repair import boundary_loops, closed_manifold
from neural.geometry.sampling import thin_out
from neural.geometry.topology import (
    face_components, has_manifold_vertices, is_watertight, largest_component, pinched_vertices, signed_volume,
    split_pinches)

TETRA = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
CORNERS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])


def ball(rings=24):
    """A latitude-longitude sphere of radius 1, closed."""
    theta = np.linspace(0, np.pi, rings + 1)[1:-1]
    phi = np.arange(2 * rings) * np.pi / rings
    body = np.stack([np.outer(np.sin(theta), np.cos(phi)), np.outer(np.sin(theta), np.sin(phi)),
                     np.repeat(np.cos(theta)[:, None], len(phi), 1)], -1).reshape(-1, 3)
    v = np.concatenate([body, [[0, 0, 1.0], [0, 0, -1.0]]])
    n, faces = len(phi), []
    for k in range(n):
        j = (k + 1) % n
        faces.append([len(body), k, j])
        faces.append([len(body) + 1, len(body) - n + j, len(body) - n + k])
        for r in range(len(theta) - 1):
            faces += [[r * n + k, r * n + n + k, r * n + n + j], [r * n + k, r * n + n + j, r * n + j]]
    return v, np.array(faces)


def test_watertight_means_every_edge_twice_and_opposite():
    assert is_watertight(TETRA) and has_manifold_vertices(TETRA)
    assert signed_volume(CORNERS, TETRA) == pytest.approx(1 / 6)
    assert not is_watertight(TETRA[:3])                             # a hole
    flipped = TETRA.copy()
    flipped[0] = flipped[0][::-1]
    assert not is_watertight(flipped)                               # one face turned
    assert not is_watertight(np.concatenate([TETRA, TETRA[:1]]))    # a face twice
    assert not is_watertight(np.zeros((0, 3), int))


def test_two_cones_in_one_point_are_found_and_split():
    other = np.where(TETRA == 0, 0, TETRA + 3)
    faces = np.concatenate([TETRA, other])
    vertices = np.concatenate([CORNERS, -CORNERS[1:]])
    assert is_watertight(faces) and list(pinched_vertices(faces)) == [0]
    v, f = split_pinches(vertices, faces)
    assert len(v) == 8 and has_manifold_vertices(f) and face_components(f, len(v))[0] == 2


def test_largest_component_drops_the_floater():
    v, f = ball()
    both_v, both_f = np.concatenate([CORNERS * 0.1 + 3, v]), np.concatenate([TETRA, f + 4])
    kept_v, kept_f = largest_component(both_v, both_f)
    assert len(kept_f) == len(f) and np.linalg.norm(kept_v, axis=1).max() < 1.001


def test_holes_are_closed_and_the_ball_stays_a_ball():
    v, f = ball()
    volume = signed_volume(v, f)
    broken = np.delete(f, np.arange(0, len(f), 17), 0)
    assert not is_watertight(broken) and len(boundary_loops(broken, len(v)))
    v2, f2, good = closed_manifold(v, broken)
    assert good and is_watertight(f2) and has_manifold_vertices(f2)
    assert signed_volume(v2, f2) == pytest.approx(volume, rel=0.01)


def test_double_and_flipped_faces_are_repaired():
    v, f = ball()
    spoiled = np.concatenate([f, f[:5], f[100:101, ::-1]])
    spoiled[300] = spoiled[300][::-1]
    v2, f2, good = closed_manifold(v, spoiled)
    assert good and face_components(f2, len(v2))[0] == 1 and signed_volume(v2, f2) > 4.0


@pytest.mark.parametrize("budget", [400, 1500])
def test_decimation_honours_the_budget_and_stays_closed(budget):
    v, f = ball(40)
    v2, f2, good = decimate(v, f, budget)
    assert good and is_watertight(f2) and has_manifold_vertices(f2)
    assert 0.8 * budget <= len(f2) <= budget + 2
    assert np.abs(np.linalg.norm(v2, axis=1) - 1).max() < 0.03
    again = decimate(v, f, budget)
    assert np.array_equal(v2, again[0]) and np.array_equal(f2, again[1])
    untouched = decimate(v, f, len(f))
    assert np.array_equal(untouched[1], f)


def test_thinning_keeps_both_sides_of_a_sheet():
    x, y = np.meshgrid(np.arange(40) * 0.01, np.arange(40) * 0.01)
    sheet = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], 1)
    xyz = np.concatenate([sheet, sheet + [0, 0, 1e-4]])
    normals = np.repeat([[0, 0, -1.0], [0, 0, 1.0]], x.size, 0)
    kept = thin_out(xyz, normals, 0.04)
    assert 150 <= len(kept) <= 300 and (normals[kept, 2] > 0).mean() == pytest.approx(0.5, abs=0.02)
    assert np.array_equal(kept, thin_out(xyz, normals, 0.04))
