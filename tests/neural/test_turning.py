"""geometry/turning.py: what must come together at the outline, and what must stay."""

from __future__ import annotations

import numpy as np

from neural.geometry.turning import turned_in, without_strands

SIDE, FOCAL, Z = 300, 600.0, 3.0          # 5 mm a pixel
TURN = 0.02                               # 4 pixels


def slab(mask: np.ndarray, half: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.where(mask, Z + side * half, np.nan) for side in (-1, 1))


def test_a_wall_becomes_an_ellipse_and_the_rest_stays():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[100:200, 100:200] = True
    front, back = turned_in(*slab(mask), np.ones_like(mask), TURN, FOCAL)
    half = (back - front) / 2
    away = (np.arange(5) + 0.5) * 0.005                                  # metres of the pixels' centres from the outline
    want = 0.05 * np.sqrt(1 - np.clip(1 - away / TURN, 0, 1) ** 2)
    assert np.allclose(half[150, 100:105], want, atol=0.003) and np.allclose(half[150, 199:194:-1], want, atol=0.003)
    assert np.allclose(half[106:194, 106:194], 0.05) and np.allclose((front + back)[mask] / 2, Z, atol=1e-6)
    assert np.isnan(front[~mask]).all() and np.isnan(back[~mask]).all()


def test_a_strand_is_not_deeper_than_twice_its_width():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[50:250, 150:152] = True                                          # 1 cm wide
    mask[100:200, 40:80] = True
    front, back = turned_in(*slab(mask), np.ones_like(mask), TURN, FOCAL)
    assert (back - front)[60:240, 150:152].max() < 0.025
    assert np.allclose((back - front)[150, 50:70], 0.1)


def test_what_the_photo_cuts_off_stays_cut():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[100:200, 100:200] = True
    inside = np.ones_like(mask)
    inside[:, 200:] = False
    front, back = turned_in(*slab(mask), inside, TURN, FOCAL)
    assert np.allclose((back - front)[110:190, 199], 0.1) and (back - front)[150, 100] < 0.06


def test_a_ball_s_own_roundness_hardly_changes():
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2
    r2 = (x * x + y * y) * 0.005 ** 2
    half = np.sqrt(np.clip(0.3 ** 2 - r2, 0, None))
    given = tuple(np.where(r2 < 0.3 ** 2, Z + s * half, np.nan) for s in (-1, 1))
    front, back = turned_in(*given, np.ones((SIDE, SIDE), bool), TURN, FOCAL)
    on = np.isfinite(front)
    change = np.abs(front - given[0])[on]
    assert np.median(change) < 1e-6 and (change > 0.01).mean() < 0.15       # only beside the outline


def test_single_hairs_have_no_surface():
    mask = np.zeros((60, 60), bool)
    mask[20:60, 20:40] = True                                              # down to the edge of the picture
    hair = mask.copy()
    hair[5:20, 30:32] = True
    out = without_strands(hair, 0.003, 0.001)
    assert not out[:19].any() and (out & mask).sum() > 0.98 * mask.sum() and out[59, 25:35].all()
    assert np.array_equal(without_strands(hair, 0.003, 0.004), hair)       # thinner than a pixel
    assert not without_strands(np.zeros((9, 9), bool), 0.003, 0.001).any()


def test_nobody_is_no_error():
    nothing = np.full((20, 20), np.nan)
    front, _ = turned_in(nothing, nothing, np.ones((20, 20), bool), TURN, FOCAL)
    assert np.isnan(front).all()
