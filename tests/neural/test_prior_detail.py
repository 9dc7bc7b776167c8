"""Folds from shading and the face mesh's relief on made-up pictures whose truth is known."""

from types import SimpleNamespace

import numpy as np
import pytest

from neural.contract.frames import Camera
from neural.contract.joints import JOINT
from neural.geometry.face_relief import CHEEKS, CHIN, LEFT, NOSE_TIP, RIGHT, TOP, apply_face
from neural.geometry.folds import FoldConfig, fold_relief
from neural.geometry.predicted import faced

SIDE = 256


def stripes(low, high, period=12):
    wave = (np.cos(np.arange(SIDE) * 2 * np.pi / period) + 1) / 2
    grey = np.repeat((low + (high - low) * wave)[None], SIDE, 0)
    return np.repeat(grey[..., None], 3, 2).astype(np.uint8)


def relief_of(crop, keep=1.0):
    mask = np.ones((SIDE, SIDE), bool)
    return fold_relief(crop, mask, np.full((SIDE, SIDE), keep, np.float32), 1000.0, 1.7)


def test_dark_is_deep_and_shallow():
    crop = stripes(105, 135)
    relief = relief_of(crop)[60:-60, 60:-60]
    tone = crop[60:-60, 60:-60, 0].astype(float)
    assert np.corrcoef(relief.ravel(), tone.ravel())[0, 1] < -0.9        # darker = farther
    assert 0.0003 < np.abs(relief).max() <= FoldConfig().height * 1.7
    assert abs(relief.mean()) < 0.1 * np.abs(relief).max()


def test_prints_and_the_face_get_less_or_nothing():
    plain = np.abs(relief_of(stripes(105, 135))).max() / np.ptp(np.log([105, 135]))
    printed = np.abs(relief_of(stripes(5, 250))[60:-60, 60:-60]).max() / np.ptp(np.log([5, 250]))
    assert printed < 0.4 * plain
    coloured = stripes(105, 135)
    coloured[..., 2] = 240 - coloured[..., 0]
    coloured[..., 0] = stripes(40, 220)[..., 0]
    assert np.abs(relief_of(coloured)[60:-60, 60:-60]).max() < np.abs(relief_of(stripes(40, 220))[60:-60, 60:-60]).max()
    assert not relief_of(stripes(105, 135), keep=0.0).any()


def face_mesh(turn=0.0):
    """468 points on the front of an ellipsoid with a nose, crop pixels, turned about the vertical axis (radians)."""
    k = np.arange(468)
    r, a = np.sqrt((k + 0.5) / 468), k * np.pi * (3 - 5 ** 0.5)
    x, y = r * np.cos(a), r * np.sin(a)
    for i, p in ((LEFT, (1, 0)), (RIGHT, (-1, 0)), (TOP, (0, -1)), (CHIN, (0, 1))):
        x[i], y[i] = p
    z = -30 * np.sqrt(np.maximum(1.05 - x * x - y * y, 0)) - 20 * np.exp(-(x ** 2 + y ** 2) / 0.02)
    p = np.stack([45 * x, 60 * y, z], 1)
    c, s = np.cos(turn), np.sin(turn)
    return p @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) + [128, 128, 0]


def test_the_nose_comes_out_where_the_mesh_has_it():
    camera = Camera.from_fov(SIDE, SIDE, 40)
    mask = np.ones((SIDE, SIDE), bool)
    front, back = np.full((SIDE, SIDE), 2.0, np.float32), np.full((SIDE, SIDE), 2.3, np.float32)
    out, weight = apply_face(front, back, mask, face_mesh(), camera)
    metre = 2.0 / camera.fx
    nose = out[110:146, 110:146]
    row, column = np.unravel_index(np.argmin(nose), nose.shape)
    assert abs(row - 18) <= 5 and abs(column - 18) <= 5
    cheek = out[128, 105]
    assert cheek - nose.min() == pytest.approx(20 * metre, rel=0.5)       # the bump keeps its height in metres
    assert (out[weight == 0] == 2.0).all() and weight[128, 128] == 1.0
    border = np.abs(np.diff(out, axis=0)).max(), np.abs(np.diff(out, axis=1)).max()
    assert max(border) < 0.05                                             # no seam


def test_a_face_turns_predicted_normals():
    """Both sides of the nose look aside; nothing changes away from the face, under a hand, from behind, or in profile."""
    camera = Camera.from_fov(SIDE, SIDE, 40)
    mask, flat = np.ones((SIDE, SIDE), bool), np.tile(np.float32([0, 0, -1]), (SIDE, SIDE, 1))
    depth = np.full((64, 64), 2.0, np.float32)
    depth[:, :8] = np.nan
    part = np.zeros((64, 64), np.uint8)
    made = lambda mesh=face_mesh(), facing="front": faced(SimpleNamespace(face=mesh, facing=facing, camera=camera),
                                                           SimpleNamespace(maps=SimpleNamespace(part_front=part)), depth, flat, mask)
    out = made()
    assert np.allclose(np.linalg.norm(out, axis=-1), 1, atol=1e-5) and np.allclose(out[:50], flat[:50])
    assert out[128, 120, 0] < -0.15 and out[128, 136, 0] > 0.15
    assert made(facing="back") is None and made(None) is None and made(face_mesh(1.3)) is None
    part[30:35, 28:36] = 1 + JOINT["left_hand"]
    assert np.allclose(made()[122:138, 116:140], flat[122:138, 116:140])


def test_a_profile_is_left_alone():
    camera = Camera.from_fov(SIDE, SIDE, 40)
    front = np.full((SIDE, SIDE), 2.0, np.float32)
    assert apply_face(front, front + 0.3, np.ones((SIDE, SIDE), bool), face_mesh(1.3), camera) is None


def ball_head(depth=2.0):
    """Front of a head without features: a paraboloid under the face mesh of `face_mesh`, metres."""
    y, x = np.indices((SIDE, SIDE)) + 0.5
    metre = depth / Camera.from_fov(SIDE, SIDE, 40).fx
    return (depth + 30 * metre * np.minimum(((x - 128) / 45) ** 2 + ((y - 128) / 60) ** 2, 3) * 0.5).astype(np.float32)


def test_a_mesh_pitched_against_the_head_is_turned_onto_it():
    """The mesh net takes heads for level: a wrong nod of 12 degrees must neither push chin nor brow off the head."""
    camera = Camera.from_fov(SIDE, SIDE, 40)
    mask, front = np.ones((SIDE, SIDE), bool), ball_head()
    level, nodding = face_mesh(), face_mesh()
    nodding[:, 2] += 0.21 * (nodding[:, 1] - 128)
    outs = [apply_face(front, front + 0.3, mask, m, camera)[0] for m in (level, nodding)]
    metre = 2.0 / camera.fx
    assert np.abs(outs[0] - outs[1]).max() < 2.5 * metre                   # 12 pixels at brow and chin before
    flat = np.abs(outs[0] - front)
    flat[100:156, 100:156] = 0
    assert flat.max() < 6 * metre                                         # beyond the nose it lies on the head


def test_a_nose_longer_than_noses_are_is_shortened():
    camera = Camera.from_fov(SIDE, SIDE, 40)
    mask, front = np.ones((SIDE, SIDE), bool), ball_head()
    mesh = face_mesh()
    for index, at in ((NOSE_TIP, (128, 128)), (CHEEKS[0], (108, 128)), (CHEEKS[1], (148, 128))):
        mesh[index, :2] = at
        mesh[index, 2] = -30 * np.sqrt(1.05 - ((at[0] - 128) / 45) ** 2) - 20 * np.exp(-((at[0] - 128) / 45) ** 2 / 0.02)
    long = mesh.copy()
    long[:, 2] -= 25 * np.exp(-(((mesh[:, 0] - 128) / 45) ** 2 + ((mesh[:, 1] - 128) / 60) ** 2) / 0.02)
    tip = [float(apply_face(front, front + 0.3, mask, m, camera)[0][120:136, 120:136].min()) for m in (mesh, long)]
    metre = 2.0 / camera.fx
    assert tip[0] - tip[1] < 5 * metre                                    # of 21
