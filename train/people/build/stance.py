"""People who stand for a photo: legs, trunk and head, and what the arms do, as numbers in the body's own directions.

Directions: x to the person's left, -y to the front, z up; written for the left arm, mirrored for the right. Degrees.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Arm:
    """upper, fore: directions; or wrist: (point of the body, offset in metres for a person of 1.7 m) and pole: where the elbow goes.
    palm, hand: where the palm faces and the fingers point (None = as it comes); shape: of the hand."""

    upper: tuple[float, float, float] = (0.16, 0.05, -1.0)
    fore: tuple[float, float, float] = (0.06, -0.2, -1.0)
    palm: tuple[float, float, float] | None = (-1.0, 0.25, 0.0)
    hand: tuple[float, float, float] | None = None
    shape: str = "relaxed"
    wrist: tuple[str, tuple[float, float, float]] | None = None
    pole: tuple[float, float, float] = (1.0, 0.5, -0.5)


HANG = Arm()
LOOSE = Arm((0.27, 0.02, -1.0), (0.14, -0.28, -1.0), (-1.0, 0.35, -0.1))
ON_HIP = Arm(wrist=("hip", (0.050, 0.045, 0.015)), pole=(1.0, 0.55, -0.35), palm=(-0.9, -0.1, -0.4), hand=(-0.3, -0.9, -0.45), shape="flat")
FIST_ON_HIP = Arm(wrist=("hip", (0.085, 0.01, 0.0)), pole=(1.0, 0.5, -0.3), palm=(-0.5, 0.4, -0.7), hand=(-0.9, -0.3, -0.3), shape="fist")
POCKET = Arm(wrist=("pocket", (0.025, 0.012, 0.075)), pole=(0.9, 0.8, -0.3), palm=(-0.9, 0.35, 0.0), hand=(-0.22, -0.10, -1.0), shape="flat")
BACK_POCKET = Arm(wrist=("seat", (0.03, 0.03, 0.09)), pole=(0.9, 0.9, -0.2), palm=(-0.3, -0.9, 0.0), hand=(-0.25, -0.1, -1.0), shape="flat")
CROSS_UNDER = Arm(wrist=("breast", (-0.135, -0.035, -0.105)), pole=(0.9, -0.15, -1.0), palm=(-0.1, 0.95, 0.0), hand=(-1.0, 0.45, 0.3), shape="half")
CROSS_OVER = Arm(wrist=("breast", (-0.150, -0.085, -0.075)), pole=(0.9, -0.15, -1.0), palm=(-0.1, 0.95, 0.0), hand=(-1.0, 0.35, 0.15), shape="half")
TO_CHIN = Arm(wrist=("chin", (-0.005, -0.045, -0.115)), pole=(0.25, -0.35, -1.0), palm=(-0.1, 0.8, 0.5), hand=(0.0, 0.25, 1.0), shape="half")
HOLD_ELBOW = Arm(wrist=("belly", (-0.045, -0.045, 0.085)), pole=(0.9, 0.1, -0.8), palm=(0.0, 0.8, 0.5), hand=(-1.0, -0.1, 0.1), shape="half")
CLASPED_OVER = Arm(wrist=("belly", (0.045, -0.075, -0.085)), pole=(1.0, 0.5, -0.3), palm=(-0.1, 1.0, 0.2), hand=(-0.75, -0.1, -0.7), shape="relaxed")
CLASPED_UNDER = Arm(wrist=("belly", (0.050, -0.050, -0.085)), pole=(1.0, 0.5, -0.3), palm=(-0.1, 1.0, 0.2), hand=(-0.75, -0.1, -0.7), shape="relaxed")
BEHIND = Arm(wrist=("back", (0.035, 0.055, 0.03)), pole=(1.0, 0.6, 0.0), palm=(0.0, 0.9, 0.1), hand=(-0.9, 0.0, -0.3), shape="relaxed")
BEHIND_OVER = Arm(wrist=("back", (0.035, 0.085, 0.03)), pole=(1.0, 0.6, 0.0), palm=(0.0, -0.9, 0.1), hand=(-0.9, 0.0, -0.3), shape="relaxed")
WAVE = Arm((0.80, -0.25, -0.25), (0.25, -0.3, 1.0), (0.0, -1.0, 0.1), None, "spread")
RAISED = Arm((0.45, -0.15, 0.85), (0.05, -0.25, 1.0), (-0.3, -1.0, 0.0), None, "flat")
POINT = Arm((0.30, -0.95, -0.15), (0.05, -1.0, 0.08), (-0.6, 0.0, -0.8), None, "point")
PHONE = Arm(wrist=("cheek", (0.060, -0.030, -0.125)), pole=(0.25, -0.8, -1.0), palm=(-1.0, 0.1, 0.0), hand=(-0.2, 0.2, 1.0), shape="half")
SELFIE = Arm((0.55, -0.85, 0.05), (0.20, -0.9, 0.42), (0.0, 1.0, 0.0), None, "half")
STRAP = Arm(wrist=("breast", (0.015, -0.055, 0.015)), pole=(0.7, 0.15, -1.0), palm=(0.0, 0.9, -0.2), hand=(-0.45, -0.1, 0.9), shape="fist")
OPEN = Arm((0.60, -0.25, -0.75), (0.55, -0.85, 0.0), (-0.1, -0.3, 1.0), None, "flat")
HOLD = Arm((0.22, 0.05, -1.0), (0.05, -0.95, 0.12), (-0.6, 0.1, 0.7), None, "half")
T_ARM = Arm((1.0, 0.02, 0.0), (1.0, -0.06, 0.0), (0.0, 0.0, -1.0), None, "flat")
A_ARM = Arm((0.72, 0.02, -0.7), (0.70, -0.1, -0.72), (-0.7, 0.1, -0.7), None, "flat")
SWING_FRONT = Arm((0.16, -0.35, -1.0), (0.0, -0.75, -0.8), (-1.0, 0.1, 0.1), None, "relaxed")
SWING_BACK = Arm((0.20, 0.45, -1.0), (0.12, 0.1, -1.0), (-1.0, 0.2, 0.0), None, "relaxed")
THUMB_UP = Arm((0.25, -0.15, -1.0), (0.0, -0.9, 0.35), (-1.0, 0.1, 0.1), None, "thumb")
VICTORY = Arm((0.40, -0.30, -0.9), (0.20, -0.45, 0.9), (-0.1, -1.0, 0.1), None, "victory")

PHOTO_POSES: dict[str, tuple[Arm, Arm]] = {
    "arms_hanging": (HANG, HANG), "arms_loose": (LOOSE, LOOSE), "hands_on_hips": (ON_HIP, ON_HIP),
    "fists_on_hips": (FIST_ON_HIP, FIST_ON_HIP), "hand_on_hip": (ON_HIP, HANG), "arms_crossed": (CROSS_OVER, CROSS_UNDER),
    "hands_in_pockets": (POCKET, POCKET), "hand_in_pocket": (POCKET, LOOSE), "back_pockets": (BACK_POCKET, BACK_POCKET),
    "hand_on_chin": (TO_CHIN, HOLD_ELBOW), "hands_clasped": (CLASPED_OVER, CLASPED_UNDER), "hands_behind": (BEHIND_OVER, BEHIND),
    "waving": (WAVE, HANG), "arms_raised": (RAISED, RAISED), "arm_raised": (RAISED, HANG), "pointing": (POINT, LOOSE),
    "phone": (PHONE, HANG), "selfie": (SELFIE, HANG), "strap": (STRAP, HANG), "open_arms": (OPEN, OPEN), "holding": (HOLD, HOLD),
    "t_pose": (T_ARM, T_ARM), "a_pose": (A_ARM, A_ARM), "walking": (SWING_BACK, SWING_FRONT), "contrapposto": (HANG, ON_HIP),
    "thumb_up": (THUMB_UP, LOOSE), "victory": (VICTORY, POCKET), "pocket_and_hip": (POCKET, ON_HIP),
}
"""Left and right arm by name of the pose."""

LEGS: dict[str, dict[str, tuple[float, ...]]] = {
    # thigh: flexion, away from the middle, turned out; knee: bend; foot: turned out, heel up; pelvis: forward, to its left side up, turn
    "even": {"left": (1, -2, 6, 2, 8, 0), "right": (1, -2, 6, 2, 8, 0), "pelvis": (0, 0, 0)},
    "together": {"left": (1, -5, 3, 2, 5, 0), "right": (1, -5, 3, 2, 5, 0), "pelvis": (0, 0, 0)},
    "apart": {"left": (2, 6, 10, 3, 14, 0), "right": (2, 6, 10, 3, 14, 0), "pelvis": (0, 0, 0)},
    "rest": {"left": (16, 3, 14, 26, 18, 4), "right": (0, -5, 4, 0, 6, 0), "pelvis": (0, -5, 4)},
    "step": {"left": (14, 0, 5, 12, 7, 0), "right": (-8, 0, 6, 8, 8, 10), "pelvis": (0, 0, -3)},
    "walk": {"left": (25, -2, 3, 10, 4, -12), "right": (-17, -2, 3, 22, 4, 36), "pelvis": (2, 0, -6)},
    "crossed": {"left": (8, -8, 4, 14, 6, 8), "right": (-2, -4, 4, 0, 6, 0), "pelvis": (0, -3, 0)},
}
"""Legs by name; the pose "walking" walks, "contrapposto" rests, "t_pose" and "a_pose" stand even, the others take any but "walk"."""
