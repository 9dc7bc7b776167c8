"""Shape metrics against analytic cases and second implementations."""

import numpy as np
import pytest

from evaluate.metrics.align import Similarity, icp, procrustes
from evaluate.metrics.closest import Surface
from evaluate.metrics.distance import joint_errors, summary, surface_distances
from evaluate.metrics.maps import angle_deg, icon_l2, mask_iou, normal_error, normal_view
from evaluate.metrics.outside import look_from_outside, views_around, volume_iou
from evaluate.readers.mesh import smooth_normals


def sphere(radius=1.0, rings=48, centre=(0, 0, 0)):
    """UV sphere whose vertices lie on the radius; outward faces."""
    lat, lon = np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    a, b = np.meshgrid(lat, lon, indexing="ij")
    v = np.stack([np.sin(a) * np.cos(b), np.cos(a), np.sin(a) * np.sin(b)], -1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(rings), np.arange(2 * rings), indexing="ij")
    p, q = (i * 2 * rings + j).ravel(), (i * 2 * rings + (j + 1) % (2 * rings)).ravel()
    r, s = p + 2 * rings, q + 2 * rings
    north, south = i.ravel() == 0, i.ravel() == rings - 1            # at the poles one of the two has no area
    faces = np.concatenate([np.stack([p, q, r], 1)[~north], np.stack([q, s, r], 1)[~south]])
    return radius * v + np.array(centre), faces


def blob(seed=0):
    """An asymmetric bumpy closed surface about 1.6 m tall: no rotation maps it to itself."""
    v, f = sphere(1.0, 32)
    bump = 1 + 0.25 * np.sin(3 * v[:, 0] + 1) * np.cos(2 * v[:, 1]) + 0.2 * np.sin(4 * v[:, 2] + 2 * v[:, 1] + seed)
    return v * bump[:, None] * (0.3, 0.8, 0.2), f


def rotation(degrees, axis):
    k = np.array(axis, float) / np.linalg.norm(axis)
    a = np.radians(degrees)
    c = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    return np.eye(3) + np.sin(a) * c + (1 - np.cos(a)) * c @ c


def brute_force(points, vertices, faces):
    """Distances to the nearest triangle: dense sampling free, by constrained least squares over the seven features."""
    best = np.full(len(points), np.inf)
    for a, b, c in vertices[faces]:
        u, v = b - a, c - a
        gram = np.array([[u @ u, u @ v], [u @ v, v @ v]])
        st = np.linalg.solve(gram, np.stack([(points - a) @ u, (points - a) @ v]))
        inside = (st >= 0).all(0) & (st.sum(0) <= 1)
        foot = a + st.T @ np.stack([u, v])
        d = np.where(inside, np.linalg.norm(points - foot, axis=1), np.inf)
        for p, q in ((a, b), (b, c), (c, a)):
            t = np.clip((points - p) @ (q - p) / ((q - p) @ (q - p)), 0, 1)
            d = np.minimum(d, np.linalg.norm(points - p - t[:, None] * (q - p), axis=1))
        best = np.minimum(best, d)
    return best


def test_closest_points_agree_with_brute_force_on_triangles_of_all_sizes():
    rng = np.random.default_rng(3)
    size = 10 ** rng.uniform(-3, 0.3, 300)
    corner = rng.normal(0, 1, (300, 1, 3)) + rng.normal(0, 1, (300, 3, 3)) * size[:, None, None]
    vertices, faces = corner.reshape(-1, 3), np.arange(900).reshape(-1, 3)
    points = rng.normal(0, 1.5, (500, 3))
    distance, place, face = Surface(vertices, faces).closest(points)
    assert np.allclose(distance, brute_force(points, vertices, faces), atol=1e-9)
    assert np.allclose(np.linalg.norm(place - points, axis=1), distance)
    alone = [brute_force(points[i:i + 1], vertices, faces[face[i]:face[i] + 1])[0] for i in range(0, 500, 25)]
    assert np.allclose(alone, distance[::25], atol=1e-9)


def test_closest_points_agree_with_pymeshlab():
    pymeshlab = pytest.importorskip("pymeshlab", reason="pymeshlab is part of the engine's environment")
    v, f = blob()
    points = np.random.default_rng(0).normal(0, 0.6, (400, 3))
    work = pymeshlab.MeshSet()
    work.add_mesh(pymeshlab.Mesh(v, f))
    work.add_mesh(pymeshlab.Mesh(points))
    work.compute_scalar_by_distance_from_another_mesh_per_vertex(measuremesh=1, refmesh=0, signeddist=False)
    assert np.allclose(Surface(v, f).closest(points)[0], work.mesh(1).vertex_scalar_array(), atol=1e-5)


def test_concentric_spheres_are_their_difference_apart():
    (a, f), (b, g) = sphere(1.0, 80), sphere(0.9, 80)
    one, two = look_from_outside(a, f, 24, 160), look_from_outside(b, g, 24, 160)
    found = summary(*surface_distances(one.sample(4000).xyz, Surface(a, f), two.sample(4000).xyz, Surface(b, g)))
    for key in ("p2s_cm", "s2p_cm", "chamfer_cm"):
        assert found[key] == pytest.approx(10.0, abs=0.08)          # facets lie up to 0.08 cm below the sphere
    assert volume_iou(one, two, 0.03) == pytest.approx(0.9 ** 3, abs=0.015)


def test_a_shifted_plane_is_its_shift_apart():
    v, f = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0.0]]), np.array([[0, 1, 2], [0, 2, 3]])
    points = np.random.default_rng(0).uniform(-1, 1, (100, 3)) * (1, 1, 0) + (0, 0, 0.037)
    assert np.allclose(Surface(v, f).closest(points)[0], 0.037)


def test_shifted_boxes_have_the_known_volume_overlap():
    v = np.array(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), float).reshape(3, -1).T
    f = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6],
                  [0, 6, 4], [1, 5, 7], [1, 7, 3]])
    a, b = look_from_outside(v, f, 48, 160), look_from_outside(v + (0.25, 0, 0), f, 48, 160)
    assert volume_iou(a, b, 0.02) == pytest.approx(0.75 / 1.25, abs=0.02)


def winding(points, vertices, faces):
    """Generalised winding number by solid angles (van Oosterom & Strackee), brute force."""
    total = np.zeros(len(points))
    for a, b, c in vertices[faces]:
        a, b, c = a - points, b - points, c - points
        la, lb, lc = (np.linalg.norm(x, axis=1) for x in (a, b, c))
        over = (a * np.cross(b, c)).sum(1)
        under = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
        total += 2 * np.arctan2(over, under)
    return total / (4 * np.pi)


def test_the_carved_volume_agrees_with_winding_numbers_and_survives_a_hole():
    v, f = blob()
    points = np.random.default_rng(1).uniform(v.min(0), v.max(0), (1500, 3))
    outward = np.abs(winding(points, v, f)) > 0.5
    clear = Surface(v, f).closest(points)[0] > 0.012                # twice a pixel: nearer points may fall either way
    carved = look_from_outside(v, f, 48, 256).occupied(points)
    assert (carved == outward)[clear].mean() > 0.995
    open_mesh = look_from_outside(v, np.delete(f, np.arange(5), 0), 48, 256).occupied(points)
    assert (open_mesh == outward)[clear].mean() > 0.97


def test_a_moved_look_from_outside_is_the_look_at_the_moved_mesh():
    v, f = blob()
    move = Similarity(1.2, rotation(25, (1, 2, 0)), np.array([0.1, 0.2, -0.3]))
    points = move(np.random.default_rng(2).uniform(v.min(0), v.max(0), (2000, 3)))
    before = look_from_outside(v, f, 24, 160)
    drawn, moved = look_from_outside(move(v), f, 24, 160), before.moved(move)
    assert (drawn.occupied(points) == moved.occupied(points)).mean() > 0.97
    assert np.array_equal(before.occupied(move.inverse(points)), moved.occupied(points))
    assert moved.visible(move(v[f].mean(1)), _outward(move(v), f))[0].mean() > 0.95


def _outward(v, f):
    n = np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]])
    return n / np.linalg.norm(n, axis=1, keepdims=True)


def test_only_the_outside_is_sampled():
    (a, f), (b, g) = sphere(1.0, 40), sphere(0.5, 40)
    outside = look_from_outside(np.concatenate([a, b]), np.concatenate([f, g + len(a)]), 24, 160)
    assert outside.seen[:len(f)].mean() > 0.95 and not outside.seen[len(f):].any()
    points = outside.sample(2000)
    assert np.linalg.norm(points.xyz, axis=1).min() > 0.98
    assert ((points.normals * points.xyz).sum(1) > 0.9).all()


def test_samples_spread_evenly_and_normals_point_out_of_inverted_meshes():
    v, f = sphere(1.0, 40)
    samples = look_from_outside(v, f[:, ::-1], 24, 160).sample(8000)
    assert ((samples.normals * samples.xyz).sum(1) > 0.9).all()
    share = [(samples.xyz[:, k] > 0.5).mean() for k in range(3)]    # a cap of a sphere holds (1 - 0.5) / 2 of its area
    assert np.allclose(share, 0.25, atol=0.02)


def test_views_are_rotations():
    turn = views_around(20)
    assert np.allclose(turn @ turn.transpose(0, 2, 1), np.eye(3)) and np.allclose(np.linalg.det(turn), 1)


def test_icp_recovers_a_known_similarity():
    v, f = blob()
    known = Similarity(1.07, rotation(11, (0.3, 1, 0.2)), np.array([0.05, -0.08, 0.04]))
    moved = known(v)
    a, b = look_from_outside(v, f, 16, 160), look_from_outside(moved, f, 16, 160)
    found = icp(a.sample(1500).xyz, Surface(v, f), b.sample(1500, seed=5).xyz, Surface(moved, f), iterations=60)
    assert found.scale == pytest.approx(1.07, abs=1e-3)
    assert np.abs(found(v) - moved).max() < 2e-3
    assert found.after(found.inverse).angle_deg < 1e-4


def test_icp_without_scale_keeps_the_scale():
    v, f = blob()
    found = icp(v[::3], Surface(v, f), 1.05 * v[::3], Surface(1.05 * v, f), 10, with_scale=False)
    assert found.scale == 1.0


def test_procrustes_and_joint_errors():
    rng = np.random.default_rng(0)
    true = rng.normal(0, 0.4, (24, 3))
    ours = Similarity(0.9, rotation(20, (0, 1, 0)), np.array([1.0, 2, 3]))(true)
    errors = joint_errors(ours, true)
    assert errors["pa_mpjpe_mm"] < 1e-6
    by_hand = np.mean([np.linalg.norm((ours[j] - ours[0]) - (true[j] - true[0])) for j in range(24)])
    assert errors["mpjpe_mm"] == pytest.approx(1000 * by_hand)
    off = true.copy()
    off[5] += (0.024, 0, 0)
    assert joint_errors(off, true)["mpjpe_mm"] == pytest.approx(1.0)
    mirrored = true * (-1, 1, 1)
    assert np.linalg.det(procrustes(true, mirrored).rotation) == pytest.approx(1.0)


@pytest.mark.parametrize("degrees", [5.0, 20.0])
def test_a_known_rotation_gives_the_known_normal_error(degrees):
    """A flat wall turned by some degrees shows exactly that error, in degrees and as ICON's L2."""
    v, f = np.array([[-2, -2, 0], [2, -2, 0], [2, 2, 0], [-2, 2, 0.0]]), np.array([[0, 2, 1], [0, 3, 2]])
    turned = v @ rotation(degrees, (1, 0, 0)).T
    views = [normal_view(p, f, smooth_normals(p, f), 0.0, np.zeros(3), 1.0, 64) for p in (v, turned)]
    assert views[0].hit.all() and views[1].hit.all()
    assert normal_error(views[1], views[0]) == pytest.approx(degrees, abs=1e-3)
    assert icon_l2([views[1]], [views[0]]) == pytest.approx(2 * np.sin(np.radians(degrees) / 2), abs=1e-5)


def test_normals_look_at_the_viewer_whatever_the_winding():
    v, f = sphere(0.4, 24)
    for faces in (f, f[:, ::-1]):
        for degrees in (0, 90, 180):
            view = normal_view(v, faces, smooth_normals(v, faces), degrees, np.zeros(3), 1.0, 96)
            assert (view.normals[view.hit][:, 2] <= 0).all()
    assert view.hit.mean() == pytest.approx(np.pi * 0.16, abs=0.01)


def test_small_measures():
    assert angle_deg(np.array([1.0, 0, 0]), np.array([0, 1.0, 0])) == pytest.approx(90)
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:2], b[1:3] = True, True
    assert mask_iou(a, b) == pytest.approx(1 / 3)
