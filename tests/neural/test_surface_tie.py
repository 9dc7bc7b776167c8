"""Loose limbs are tied on, torn limbs are not cut off, decimation keeps normals: on shapes known by hand."""

import fast_simplification
import numpy as np
import pytest
from scipy.spatial import cKDTree

from neural.geometry.decimate import decimate
from neural.geometry.layers import PIECES
from neural.geometry.normals import vertex_normals
from neural.geometry.part_cut import _holds_on
from neural.geometry.poisson import screened_poisson
from neural.geometry.tie import TieConfig, tie_points
from neural.geometry.topology import face_components, is_watertight

TORSO, ARM, FOREARM, HEAD = (PIECES.index(n) + 1 for n in ("torso", "right_arm", "right_forearm", "head"))


def ball(centre, radius, spacing=0.012):
    count = int(4 * np.pi * (radius / spacing) ** 2)
    k = np.arange(count) + 0.5
    y, a = 1 - 2 * k / count, np.pi * (1 + 5 ** 0.5) * k
    r = np.sqrt(1 - y * y)
    n = np.stack([r * np.cos(a), y, r * np.sin(a)], 1)
    return np.array(centre) + radius * n, n


def hand_before_trunk(gap=0.20):
    """A trunk with a stump of an arm towards the viewer, and a hand further towards the viewer."""
    parts = [(*ball((0, 0, 3), 0.25), TORSO), (*ball((0.15, 0, 2.8), 0.07), ARM), (*ball((0.15, 0, 2.8 - 0.12 - gap), 0.05), FOREARM)]
    keep = [np.ones(len(p[0]), bool) for p in parts]
    for i, (centre, radius) in enumerate((((0.15, 0, 2.8), 0.07), ((0, 0, 3), 0.25))):
        keep[i] = np.linalg.norm(parts[i][0] - centre, axis=1) > radius          # what lies within the other ball is no surface
    xyz, normals = (np.concatenate([p[k][keep[i]] for i, p in enumerate(parts)]) for k in (0, 1))
    piece = np.concatenate([np.full(keep[i].sum(), p[2], np.uint8) for i, p in enumerate(parts)])
    return xyz, normals, piece


def test_a_hand_in_the_air_is_tied_to_its_arm():
    xyz, normals, piece = hand_before_trunk()
    v, f = screened_poisson(xyz, normals, 7)
    assert face_components(f, len(v))[0] == 2
    more, turned, stay = tie_points(v, f, xyz, normals, piece, 1.7, 0.012)
    assert np.allclose(np.linalg.norm(turned, axis=1), 1) and stay.mean() > 0.9
    axis = np.abs(more - [0.15, 0, 0])[:, :2]
    assert np.linalg.norm(axis, axis=1).max() < 0.08 and 2.48 < more[:, 2].min() and more[:, 2].max() < 2.8
    assert ((more - [0.15, 0, 0])[:, :2] * turned[:, :2]).sum(1).min() > 0      # outward
    v, f = screened_poisson(np.concatenate([xyz[stay], more]), np.concatenate([normals[stay], turned]), 7)
    assert face_components(f, len(v))[0] == 1
    middle = v[np.abs(v[:, 2] - (2.8 - 0.07 - 0.10)) < 0.02]
    radius = np.linalg.norm(middle[:, :2] - [0.15, 0], axis=1)
    assert 0.01 < radius.min() and radius.max() < 0.07                          # a forearm's thickness


@pytest.mark.parametrize("gap, loose", [(0.20, TORSO), (0.20, HEAD), (0.60, FOREARM)])
def test_what_is_no_limb_or_far_away_is_not_tied(gap, loose):
    xyz, normals, piece = hand_before_trunk(gap)
    piece = np.where(piece == FOREARM, loose, piece).astype(np.uint8)
    v, f = screened_poisson(xyz, normals, 7)
    assert tie_points(v, f, xyz, normals, piece, 1.7, 0.012) is None


def test_one_piece_and_unknown_limbs_need_no_tie():
    xyz, normals, piece = hand_before_trunk()
    v, f = screened_poisson(xyz, normals, 7)
    assert tie_points(v, f, xyz, normals, np.zeros(0, np.uint8), 1.7, 0.012) is None
    assert tie_points(v, f, xyz, normals, piece, 1.7, 0.012, TieConfig(least_share=0.9)) is None
    own = piece != FOREARM
    v, f = screened_poisson(xyz[own], normals[own], 7)
    assert tie_points(v, f, xyz[own], normals[own], piece[own], 1.7, 0.012) is None


def ribbon(n):
    """2 n triangles in a row: faces 0 .. 2n - 1 from one end to the other."""
    k = 2 * np.arange(n)[:, None]
    return np.concatenate([k + [[0, 1, 2]], k + [[2, 1, 3]]], 1).reshape(-1, 3)


@pytest.mark.parametrize("wide", [2, 8, 40])
def test_a_limb_that_hangs_on_torn_faces_alone_is_not_cut_off(wide):
    """A trunk of 60 faces, `wide` torn ones, a hand of 20: however wide the torn part is, what hangs on it stays on."""
    faces = ribbon((60 + wide + 20) // 2)
    cut = np.zeros(len(faces), bool)
    cut[60:60 + wide] = True
    held = _holds_on(faces, cut, int(faces.max()) + 1, 5)
    left = faces[~cut | held]
    assert face_components(left, int(faces.max()) + 1)[0] == 1 and not held[~cut].any()
    assert not _holds_on(faces, cut, int(faces.max()) + 1, 30)[cut].any()       # a crumb may go


def test_decimation_keeps_normals_and_the_budget():
    u, w = np.meshgrid(np.linspace(0, np.pi, 121), np.linspace(0, 2 * np.pi, 240, endpoint=False), indexing="ij")
    radius = 0.5 + 0.03 * np.sin(9 * u) * np.cos(7 * w) * np.sin(u) ** 2
    v = (radius[..., None] * np.stack([np.sin(u) * np.cos(w), np.cos(u), -np.sin(u) * np.sin(w)], -1)).reshape(-1, 3)
    i, j = (a.ravel() for a in np.meshgrid(np.arange(120), np.arange(240), indexing="ij"))
    p, q = i * 240 + j, i * 240 + (j + 1) % 240
    top, bottom = (p < 240), (p >= 119 * 240)
    weld = np.where(np.arange(len(v)) < 240, 0, np.where(np.arange(len(v)) >= 120 * 240, 120 * 240, np.arange(len(v))))
    faces = weld[np.concatenate([np.stack([p, p + 240, q], 1)[~bottom], np.stack([q, p + 240, q + 240], 1)[~top],
                                 np.stack([p, p + 240, q + 240], 1)[top], np.stack([p, p + 240, q], 1)[bottom]])]
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    assert is_watertight(faces)                                                # the test's own surface
    out, small, good = decimate(v, faces, 8000)
    assert good and is_watertight(small) and 7000 < len(small) <= 8000
    tree, true = cKDTree(v), vertex_normals(v, faces)

    def error(v2, f2):
        return np.degrees(np.arccos(np.clip((vertex_normals(v2, f2) * true[tree.query(v2)[1]]).sum(1), -1, 1))).mean()

    default = fast_simplification.simplify(v.astype(np.float32), faces.astype(np.int32), target_count=len(small), agg=7.0)
    assert error(out, small) < 0.85 * error(*default)
