"""What a photo says about the body, in the form that the fit uses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contract.frames import Camera
from ..contract.joints import LANDMARK
from .lift import Attitude

BONES = (
    ("left_hip", "left_knee", 1.0), ("right_hip", "right_knee", 1.0), ("left_knee", "left_ankle", 1.0),
    ("right_knee", "right_ankle", 1.0), ("left_heel", "left_foot_index", 0.5), ("right_heel", "right_foot_index", 0.5),
    ("left_shoulder", "left_elbow", 1.0), ("right_shoulder", "right_elbow", 1.0), ("left_elbow", "left_wrist", 1.0),
    ("right_elbow", "right_wrist", 1.0), ("left_wrist", "left_index", 0.3), ("right_wrist", "right_index", 0.3),
    ("right_hip", "left_hip", 1.0), ("right_shoulder", "left_shoulder", 1.0),
)
"""Pairs of landmarks whose direction in space is compared, with how far the 3D landmarks may be trusted."""


FORWARD_BIAS = (("hip", "knee", 0.10), ("knee", "ankle", 0.15), ("shoulder", "elbow", 0.18), ("elbow", "wrist", 0.12))
"""By how much of their length BlazePose's limbs reach too far to the person's front (its people stand with bent knees and arms held out).
Set by hand from 22 synthetic people, 17 of them seen from the front: front views alone ask for about half as much again, the 2 back views
for less. A guess with a direction, not a calibration."""

_TIPS = {"wrist": ("pinky", "index", "thumb"), "ankle": ("heel", "foot_index")}


def without_forward_bias(world: np.ndarray) -> np.ndarray:
    """(33, 3) world landmarks with every limb moved back by FORWARD_BIAS; lengths of bones stay."""
    out = world.copy()
    across = (world[LANDMARK["left_hip"]] - world[LANDMARK["right_hip"]]
              + world[LANDMARK["left_shoulder"]] - world[LANDMARK["right_shoulder"]])
    front = np.cross(across, [0.0, -1.0, 0.0])                 # left x up
    front = front / max(float(np.linalg.norm(front)), 1e-6)
    for side in ("left", "right"):
        for a, b, bias in FORWARD_BIAS:
            i, j = LANDMARK[f"{side}_{a}"], LANDMARK[f"{side}_{b}"]
            bone = world[j] - world[i]
            length = float(np.linalg.norm(bone))
            bone = bone - bias * length * front
            out[j] = out[i] + bone * length / max(float(np.linalg.norm(bone)), 1e-6)
            for tip in _TIPS.get(b, ()):
                k = LANDMARK[f"{side}_{tip}"]
                out[k] = out[j] + world[k] - world[j]
    return out


@dataclass(frozen=True)
class Evidence:
    """All in the frame `crop` or `camera` of `view`; S = side of the canvas.

    view        camera of the canvas.
    pixels      (33, 2) float64 landmarks.       trust  (33,) float64 in [0, 1]; 0 = unseen, outside the photo.
    world       (33, 3) float64 metres, camera axes, mid-hip origin, lean corrected.
    mask        (S, S) float32 in [0, 1].        inside (S, S) bool.
    head        (3, 3) float64 rotation of the head in camera axes from the face mesh, or None.
    hands       (2, 2) float64 pixels of the middle knuckles of the left and right hand; NaN = not seen.
    facing      "front", "back" or "side".
    attitude    the lifter's answer, or None; then `world` are the landmarks of its body,
    plain       and these the 3D landmarks as without it (they say better who stands straight), else None.
    """

    view: Camera
    pixels: np.ndarray
    trust: np.ndarray
    world: np.ndarray
    mask: np.ndarray
    inside: np.ndarray
    head: np.ndarray | None
    hands: np.ndarray
    facing: str
    attitude: Attitude | None = None
    plain: np.ndarray | None = None

    def at(self, name: str) -> np.ndarray:
        """(3,) world landmark."""
        return self.world[LANDMARK[name]]

    def seen(self, name: str) -> float:
        return float(self.trust[LANDMARK[name]])

    def direction(self, a: str, b: str) -> np.ndarray:
        """Unit vector from a to b, camera axes."""
        d = self.at(b) - self.at(a)
        return d / max(float(np.linalg.norm(d)), 1e-6)

    def _plainly(self, a: str, b: str) -> np.ndarray:
        """Like direction, by the 3D landmarks themselves."""
        world = self.world if self.plain is None else self.plain
        d = world[LANDMARK[b]] - world[LANDMARK[a]]
        return d / max(float(np.linalg.norm(d)), 1e-6)

    @property
    def size_px(self) -> float:
        """About how tall the person would stand in this view, pixels: measured along the limbs, so that a crouch or a cut does not
        shrink it."""
        names = [("hip", "knee"), ("knee", "ankle"), ("shoulder", "hip"), ("shoulder", "elbow"), ("elbow", "wrist")]
        flat, deep = [], []
        for side in ("left", "right"):
            for a, b in names:
                i, j = LANDMARK[f"{side}_{a}"], LANDMARK[f"{side}_{b}"]
                if min(self.trust[i], self.trust[j]) > 0.3:
                    flat.append(np.linalg.norm(self.pixels[i] - self.pixels[j]))
                    deep.append(np.linalg.norm(self.world[i, :2] - self.world[j, :2]))
        if not flat:                                           # only a face: eyes to mouth is about 1/25 of the height
            eyes = self.pixels[[LANDMARK["left_eye"], LANDMARK["right_eye"]]].mean(0)
            mouth = self.pixels[[LANDMARK["mouth_left"], LANDMARK["mouth_right"]]].mean(0)
            return max(25.0 * float(np.linalg.norm(eyes - mouth)), 32.0)
        return max(1.7 * float(np.sum(flat) / max(np.sum(deep), 1e-3)), 32.0)

    def standing_leg(self, side: str) -> bool:
        """The leg is straight and below the body: in space and on the photo; an unseen leg counts as standing."""
        hip, knee, ankle = (LANDMARK[f"{side}_{n}"] for n in ("hip", "knee", "ankle"))
        if self.trust[knee] < 0.3 or self.trust[ankle] < 0.3:
            thigh_seen = min(self.trust[hip], self.trust[knee]) > 0.5
            return not thigh_seen or self._plainly(f"{side}_hip", f"{side}_knee")[1] > 0.7
        thigh, shin = self._plainly(f"{side}_hip", f"{side}_knee"), self._plainly(f"{side}_knee", f"{side}_ankle")
        a, b = self.pixels[knee] - self.pixels[hip], self.pixels[ankle] - self.pixels[knee]
        whole = self.pixels[ankle] - self.pixels[hip]
        bend = np.degrees(np.arccos(np.clip(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-6), -1, 1)))
        long = np.linalg.norm(whole) > 0.78 * 0.45 * self.size_px      # hip to ankle is 0.45 of the height
        down = whole[1] > 0.9 * np.linalg.norm(whole)
        return bool(thigh @ shin > 0.5 and bend < 25 and long and down and thigh[1] > 0.7 and shin[1] > 0.7)

    def bears(self, side: str) -> bool:
        """The leg is straight and below the body by the photo, and the lifter holds it for possible: the leg of one who stands on one."""
        if self.attitude is None or self.seen(f"{side}_ankle") < 0.3 or not self.standing_leg(side):
            return False
        return min(self.direction(f"{side}_{a}", f"{side}_{b}")[1] for a, b in (("hip", "knee"), ("knee", "ankle"))) > 0.85

    @property
    def stands(self) -> bool:
        """Upright on straight legs, as far as the photo shows: nothing speaks for a lean to or from the camera."""
        world = self.world if self.plain is None else self.plain
        at = lambda name: world[LANDMARK[name]]
        up = 0.5 * (at("left_shoulder") + at("right_shoulder") - at("left_hip") - at("right_hip"))
        up = up / max(float(np.linalg.norm(up)), 1e-6)
        hips = max(self.seen("left_hip"), self.seen("right_hip"))
        if self.attitude is not None and hips >= 0.3:          # the lifter, too, must hold it for possible
            down = [self.direction(f"{s}_{a}", f"{s}_{b}")[1] for s in ("left", "right") for a, b in (("hip", "knee"), ("knee", "ankle"))
                    if self.seen(f"{s}_{b}") >= 0.3]
            if min(down, default=1.0) < 0.85 or self.attitude.rotations[9, 1, 1] > -0.85:
                return False
        return bool(self.standing_leg("left") and self.standing_leg("right") and (up[1] < -0.94 or hips < 0.3))

    def wrist_in_front(self, side: str) -> bool:
        """The wrist is seen over the trunk: so it is nearer than the trunk."""
        i = LANDMARK[f"{side}_wrist"]
        corners = self.pixels[[LANDMARK[n] for n in ("left_shoulder", "right_shoulder", "right_hip", "left_hip")]]
        if self.trust[i] < 0.5:
            return False
        centre = corners.mean(0)
        poly = centre + 1.15 * (corners - centre)
        p, sign = self.pixels[i], []
        for a, b in zip(poly, np.roll(poly, -1, 0)):
            sign.append((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]))
        return bool(min(sign) > 0 or max(sign) < 0)
