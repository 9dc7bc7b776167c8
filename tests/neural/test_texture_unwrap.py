"""UV unwrapping and packing: every texel belongs to one face, no face is lost."""

import numpy as np
import pytest

from neural.contract.frames import Camera
from neural.geometry.bake import texels
from neural.geometry.unwrap import BACK, FRONT, _repair, unwrap


def sphere(n=36, m=20, radius=0.4, centre=(0, 0, 2.5)):
    """Closed UV sphere, outward faces."""
    theta, phi = np.linspace(0, np.pi, m + 1)[1:-1], np.arange(n) * 2 * np.pi / n
    ring = np.stack([np.sin(theta)[:, None] * np.cos(phi), np.repeat(np.cos(theta)[:, None], n, 1),
                     np.sin(theta)[:, None] * np.sin(phi)], -1).reshape(-1, 3)
    v = np.concatenate([ring, [[0, 1, 0], [0, -1, 0]]])
    f = []
    for i in range(m - 2):
        for j in range(n):
            a, b, c, d = i * n + j, i * n + (j + 1) % n, (i + 1) * n + j, (i + 1) * n + (j + 1) % n
            f += [(a, b, c), (b, d, c)]
    for j in range(n):
        f += [(len(v) - 2, (j + 1) % n, j), (len(v) - 1, (m - 2) * n + j, (m - 2) * n + (j + 1) % n)]
    f = np.array(f)
    p = v[f]
    if (np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]) * p.mean(1)).sum() < 0:
        f = f[:, ::-1]
    return (v * radius + centre).astype(np.float32), np.ascontiguousarray(f).astype(np.int32)


def two_spheres():
    """The smaller one hides part of the larger one."""
    v1, f1 = sphere()
    v2, f2 = sphere(radius=0.12, centre=(0.15, 0.0, 1.9))
    return np.concatenate([v1, v2]), np.concatenate([f1, f2 + len(v1)])


CAMERA = Camera.from_fov(512, 512)
SIZE = 768


@pytest.fixture(scope="module")
def unwrapped():
    v, f = two_spheres()
    return v, f, unwrap(v, f, CAMERA, SIZE)


def test_all_faces_have_room_of_their_own(unwrapped):
    v, f, u = unwrapped
    size = SIZE
    assert u.faces.shape == f.shape and u.uv.min() >= 0 and u.uv.max() <= 1
    assert (u.vertex[u.faces] == f).all()                          # each corner still is its own vertex
    p = u.uv[u.faces].astype(np.float64) * size
    area = 0.5 * ((p[:, 1, 0] - p[:, 0, 0]) * (p[:, 2, 1] - p[:, 0, 1]) - (p[:, 1, 1] - p[:, 0, 1]) * (p[:, 2, 0] - p[:, 0, 0]))
    assert area.min() > 1e-3                                       # texels; and none is turned over
    first = texels(u.uv, u.faces, size)
    last = texels(u.uv, u.faces[::-1].copy(), size)                # ties and overlaps go to the other face here
    assert len(first) == len(last)
    other = len(f) - 1 - last.face
    differ = first.face != other                                   # only where a texel centre lies on a shared edge
    assert differ.mean() < 0.002
    assert (u.chart[first.face] == u.chart[other]).all()           # never two charts on one texel


def test_charts_keep_their_distance(unwrapped):
    v, f, u = unwrapped
    t = texels(u.uv, u.faces, SIZE)
    sheet = np.full((SIZE, SIZE), -1)
    sheet[t.row, t.column] = u.chart[t.face]
    for dy, dx in ((0, 1), (1, 0), (0, 3), (3, 0), (2, 2), (2, -2)):
        a, b = sheet, np.roll(sheet, (dy, dx), (0, 1))
        assert not ((a >= 0) & (b >= 0) & (a != b)).any()


def test_front_of_a_visible_sphere_is_one_chart():
    v, f = sphere()
    u = unwrap(v, f, CAMERA, 512)
    assert len(np.unique(u.chart[u.kind == FRONT])) == 1 and len(np.unique(u.chart[u.kind == BACK])) == 1
    middle = v[f].mean(1)
    facing = -(middle * (middle - (0, 0, 2.5))).sum(1)
    assert (facing[u.kind == FRONT] > 0).all() and (facing[u.kind == BACK] < 0).all()


def test_a_face_that_came_out_wrong_keeps_its_shape():
    """A turned-over triangle of 3 x 4 cm gets its own place at its true size; a sliver a small one; what is right stays."""
    v = np.array([[0, 0, 1.0], [0.03, 0, 1], [0, 0.04, 1], [0.03, 1e-7, 1]])
    f = np.array([[0, 1, 2], [0, 1, 3], [0, 1, 2]])
    uv = np.array([[0, 0], [0.03, 0], [0, 0.04], [0.03, 0]])
    corner = np.array([[0, 2, 1], [0, 1, 3], [0, 1, 2]])                    # turned over; without area; right
    label = np.zeros(3, np.int64)
    out, faces, owner = _repair(v, f, uv, corner, np.arange(4), label)
    sides = lambda k: np.sort(np.linalg.norm(out[faces[k]] - np.roll(out[faces[k]], 1, 0), axis=1))
    assert np.allclose(sides(0), [0.03, 0.04, 0.05]) and np.allclose(sides(1), np.sort([2e-3, 2e-3, 2e-3 * 2**0.5]))
    assert (faces[2] == corner[2]).all() and len(set(label)) == 3 and (owner[faces] == f).all()
    p, q, r = (out[faces[:, k]] for k in range(3))
    assert ((q - p)[:, 0] * (r - p)[:, 1] > (q - p)[:, 1] * (r - p)[:, 0]).all()
