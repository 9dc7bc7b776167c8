"""Hands are brought back to the fitted body's distance, with their relief; the trunk stays where the networks have it."""

import numpy as np

from neural.contract.joints import JOINT
from neural.geometry.anchor import MOST, SOFT, anchored

SIDE = 512


def scene():
    """An arm along a row of the picture in front of a trunk: networks have all at 2 m, with ripples; the body's hand is at 1.8 m."""
    part = np.zeros((256, 256), np.uint8)
    part[60:200, 40:100] = 1 + JOINT["spine2"]
    part[120:136, 100:150] = 1 + JOINT["left_shoulder"]
    part[120:136, 150:190] = 1 + JOINT["left_wrist"]
    part[120:136, 190:230] = 1 + JOINT["left_hand"]
    fitted = np.where(part > 0, 2.0, np.nan)
    fitted[120:136, 150:230] = 1.8
    fitted[60:200, 40:100] = 1.9
    ripples = 0.004 * np.sin(np.arange(SIDE) * 1.1)[None] * np.ones((SIDE, 1))
    mask = np.zeros((SIDE, SIDE), bool)
    mask[110:410, 70:470] = True
    return 2.0 + ripples, fitted, part, mask


def test_a_hand_goes_to_the_body_and_keeps_its_relief():
    depth, fitted, part, mask = scene()
    moved = anchored(depth, fitted, part, mask) - depth
    far = int(4 * SOFT)
    assert np.allclose(moved[256, 380 + far // 2:450], -0.2, atol=0.004)
    assert np.ptp(np.diff(moved[256, 260:450])) < 0.01                       # no step along the arm, no ripple taken
    assert np.abs(moved[130:230, 90:180]).max() < 1e-6 and np.abs(moved[300:390, 90:180]).max() < 1e-6
    assert (np.diff(moved[256, 210:440]) < 1e-3).all()                      # ever more towards the hand


def test_clothes_go_with_the_limb_beside_them():
    depth, fitted, part, mask = scene()
    moved = anchored(depth, fitted, part, mask) - depth
    assert np.allclose(moved[285, 430:450], moved[256, 430:450], atol=0.01)   # 13 pixels below the bare arm


def test_a_body_that_is_far_off_moves_a_limb_only_so_far():
    depth, fitted, part, mask = scene()
    fitted[120:136, 150:230] = 0.5
    assert np.abs(anchored(depth, fitted, part, mask) - depth).max() <= MOST + 0.01
    assert np.array_equal(anchored(depth, np.full_like(fitted, np.nan), part, mask), depth.astype(np.float32))
