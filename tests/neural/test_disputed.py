"""geometry/disputed.py on a flat belly with a flat arm before it."""

from __future__ import annotations

import numpy as np

from neural.contract.frames import Camera
from neural.geometry.disputed import in_profile, settled
from neural.geometry.layers import PIECES

SIDE, HEIGHT, BELLY, ARM = 256, 1.7, 3.0, 2.8
TORSO, FOREARM = PIECES.index("torso"), PIECES.index("left_forearm")


def scene(columns: slice, belly=BELLY, arm=ARM):
    """Depth, normals (all to the camera), owner of a belly with an arm down these columns; a margin is empty."""
    depth = np.full((SIDE, SIDE), np.nan, np.float32)
    depth[20:-20, 20:-20] = belly
    owner = np.where(np.isfinite(depth), TORSO, -1)
    depth[60:200, columns], owner[60:200, columns] = arm, FOREARM
    normals = np.where(np.isfinite(depth)[..., None], [0.0, 0.0, -1.0], 0.0).astype(np.float32)
    return depth, normals, owner


def run(predicted, body):
    depth, normals, owner = predicted
    return settled(depth, normals, (owner + 1).astype(np.uint8), *body, Camera.from_fov(SIDE, SIDE), HEIGHT)


def test_agreement_changes_nothing():
    given = scene(slice(100, 130))
    out = run(given, scene(slice(100, 130), belly=3.1, arm=2.7))
    assert np.array_equal(out.depth, given[0], equal_nan=True) and not out.share.any() and not out.normals.any()
    assert np.array_equal(out.piece, given[2] + 1)


def test_an_arm_beside_the_fitted_one_leaves_no_ridge():
    depth, normals, owner = scene(slice(100, 130))
    normals[60:200, 100:106] = np.array([-0.8, 0.0, -0.6], np.float32)          # the arm's round side, where the body has its belly
    out = run((depth, normals, owner), scene(slice(106, 136), belly=3.05, arm=2.75))
    assert np.array_equal(out.piece == FOREARM + 1, scene(slice(106, 136))[2] == FOREARM)
    belly, arm = out.piece == TORSO + 1, out.piece == FOREARM + 1
    assert np.abs(out.depth[belly] - BELLY).max() < 2e-3 and np.abs(out.depth[arm] - ARM).max() < 2e-3       # at the predicted distances
    assert np.allclose(out.normals[out.share > 0.999], [0, 0, -1], atol=1e-3) and (out.share[60:200, 100:106] > 0.999).all()
    assert np.isnan(out.depth[:20]).all() and not out.share[:, 180:].any() and not out.share[:40].any()


def test_normals_are_unit_and_come_back_smoothly():
    depth, normals, owner = scene(slice(100, 130))
    normals[..., 0], normals[..., 2] = np.where(np.isfinite(depth), 0.6, 0), np.where(np.isfinite(depth), -0.8, 0)
    out = run((depth, normals, owner), scene(slice(104, 134)))
    on = out.share > 0
    assert np.allclose(np.linalg.norm(out.normals[on], axis=-1), 1, atol=1e-5) and not out.normals[~on].any()
    steps = np.abs(np.diff(out.share[130], axis=0))
    assert 0 < steps.max() < 0.5


def test_an_arm_that_only_the_body_has_takes_the_belly_s_distance():
    """Nowhere do both see an arm: it lies before the belly as far as the body says, moved as nothing else is known."""
    given = scene(slice(0, 0))
    out = run(given, scene(slice(100, 130), belly=3.2, arm=3.0))
    inner = out.piece == FOREARM + 1
    assert inner.sum() > 3000 and np.abs(out.depth[inner] - 3.0).max() < 2e-3
    assert np.abs(out.depth[out.piece == TORSO + 1] - BELLY).max() < 2e-3


def test_a_side_view_is_known_by_its_shoulders():
    assert in_profile(np.array([[100.0, 50], [110, 52]]), 800) and not in_profile(np.array([[100.0, 50], [300, 52]]), 800)
    assert not in_profile(np.array([[300.0, 50], [100, 52]]), 800)          # from behind
