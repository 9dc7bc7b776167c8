"""The energy that the fit makes small: SMPLify's terms (Bogo et al. 2016, §3: landmarks, pose prior, shape prior) with what a photo
of a person needs besides: 3D bone directions, a level world, floor, face, hands in front, trunk not pierced, silhouette.

Every residual is divided by the spread we expect of it, so that weights are statements about measurement errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..contract.joints import JOINT, LANDMARK
from .evidence import BONES, Evidence
from .lift import BONE_JOINT
from .model import BodyModel
from .prior import PosePrior
from .torch_skinning import forward_kinematics, rotation_matrices, skin


@dataclass(frozen=True)
class Spreads:
    """Expected errors (one standard deviation). 2D in shares of the person's height; angles in degrees."""

    landmark: float = 0.008       # libraries.md §3: 1.2 % to OpenPose, half of it definition
    direction: float = 16.0       # 3D bone directions; libraries.md §4: 55 mm PA-MPJPE
    stand: float = 1.2            # how far a person who stands leans to or from the camera
    trunk_depth: float = 8.0      # the same for the trunk of one who does not plainly stand; may be given up
    leg_depth: float = 5.0
    tilt: float = 1.5             # camera pitch when the feet, and so the floor, are not seen: about level
    tilt_seen: float = 3.0        # added to what the camera's unknown height makes of it
    camera_m: tuple[float, float] = (1.35, 0.35)   # height of the camera above the floor: most photos are taken by somebody who stands
    tilt_share: float = 0.6       # how much of it is believed: the field of view is a guess, and photos are cropped
    head: float = 6.0             # face mesh
    head_level: float = 6.0       # no face mesh: the head is held level
    foot_flat: float = 6.0
    floor: float = 0.015          # metres between the two soles
    hand_front: float = 0.03      # metres
    pierce: float = 0.08          # of a trunk radius
    silhouette: float = 0.006
    contour: float = 0.012
    betas: float = 1.0
    lifted: float = 0.5           # the lifter's own uncertainties are multiplied by this (chosen on val pictures, as are the next)
    lifted_least: float = 3.0     # degrees: below this it is not believed
    lifted_upright: float = 1.0   # weights of the hand-set assumptions when the lifter speaks about depth
    lifted_floor: float = 1.0
    lifted_prior: float = 0.5


TORSO = (("pelvis", 0.06), ("spine2", 0.0), ("spine3", 0.07))
"""Joints round which an ellipse bounds the trunk, with the height of its middle above the joint in metres."""


TURNED = ("pelvis", "spine3", "head", "left_ankle", "right_ankle")
"""Joints whose whole rotation the lifter says; of the others only the direction of the bone counts."""


@dataclass(frozen=True)
class Posed:
    """pose (24, 3), betas (B,); world (24, 3, 3) rotations, joints (24, 3), marks (L, 3) landmarks, skin (P, 3) vertices for the silhouette
    or None, up (3,) the world's up: camera frame, metres."""

    pose: torch.Tensor
    betas: torch.Tensor
    world: torch.Tensor
    joints: torch.Tensor
    marks: torch.Tensor
    skin: torch.Tensor | None
    up: torch.Tensor


class Objective:
    """Holds the tensors of one person. `x` (86,) = turn of the root 3, pose 23 x 3, translation 3, betas 10, camera tilt 1."""

    def __init__(self, model: BodyModel, e: Evidence, prior: PosePrior, root: np.ndarray, betas: int = 10,
                 spreads: Spreads = Spreads(), outline: int = 1500, distance: float | None = None):
        t = lambda a: torch.as_tensor(np.ascontiguousarray(a, np.float64))
        self.e, self.prior, self.s, self.model = e, prior, spreads, model
        self.n = min(betas, model.betas_count)
        self.root = t(root)
        used, rows = np.unique(model.landmark_index, return_inverse=True)
        self.rows, self.mix = torch.as_tensor(rows.reshape(model.landmark_index.shape)), t(model.landmark_weight)
        visible = np.nonzero(~model.inner & (model.part < JOINT["left_hand"]))[0]
        self.outline = visible[:: max(1, len(visible) // outline)]
        self.base = {k: (t(model.template[i]), t(model.directions[i][..., :self.n]), t(model.weights[i]))
                     for k, i in (("marks", used), ("skin", self.outline))}
        self.joint_base = (t(model.joint_mean), t(model.joint_directions[..., :self.n]))
        self.pixels, self.size = t(e.pixels), e.size_px
        self.mark_weight = t(e.trust * _importance())
        pairs = [(LANDMARK[a], LANDMARK[b]) for a, b, _ in BONES]
        self.a, self.b = (torch.tensor(k) for k in zip(*pairs))
        self.bone_dir = t(np.stack([e.direction(a, b) for a, b, _ in BONES]))
        self.bone_trust = t([w * min(e.seen(a), e.seen(b)) * (0.2 if e.standing_leg(a.split("_")[0]) and a[-3:] in ("hip", "nee") else 1.0)
                             for a, b, w in BONES])            # the 3D landmarks bend the knees of everybody who stands
        self.bone_spread = t(np.full(len(BONES), self.s.direction * np.pi / 180))
        self.attitude = None
        if e.attitude is not None:
            a = e.attitude
            self.bone_spread = t([_spread(a.axis[BONE_JOINT[x, y]], 1.25, self.s) for x, y, _ in BONES])
            legs = lambda x: x[-3:] in ("hip", "nee") and (e.stands or e.bears(x.split("_")[0]))
            self.bone_trust = t([w * (0.2 if legs(x) else 1.0) for x, _, w in BONES])   # its uncertainty already knows what is not seen
            rows = [JOINT[n] for n in TURNED if n == "head" or not e.stands]
            self.attitude = (rows, t(a.rotations[rows]), t([_spread(a.turn[j], 1.6, self.s) for j in rows]))
        self.standing = tuple(e.standing_leg(s) for s in ("left", "right"))
        self.stands = e.stands
        self.front = tuple(e.wrist_in_front(s) for s in ("left", "right"))
        self.head = t(e.head) if e.head is not None else None
        self.ellipses = _trunk(model)
        self.feet = min(e.trust[LANDMARK[n]] for n in ("left_ankle", "right_ankle", "left_foot_index", "right_foot_index"))
        self.sole = _sole(model)
        self.tilt = self._expected_tilt(distance)

    def _expected_tilt(self, distance: float | None) -> tuple[float, float]:
        """Mean and spread, radians, of the camera's tilt (negative: it looks down). Where the feet are in the picture says under which
        angle the floor is seen there; a camera at the usual height and at that distance sees it under another; the
        difference is the camera's pitch."""
        level = 0.0, float(np.radians(self.s.tilt))
        if distance is None or self.feet <= 0.3:
            return level
        feet = np.mean([self.e.pixels[LANDMARK[f"{side}_heel"], 1] for side in ("left", "right")])
        below = np.arctan((feet - self.e.view.cy) / self.e.view.fy)
        height, unsure = self.s.camera_m
        pitch = np.arctan2(height, distance) - below
        spread = np.hypot(unsure / distance / (1 + (height / distance) ** 2), np.radians(self.s.tilt_seen)) * self.s.tilt_share
        return -self.s.tilt_share * float(np.clip(pitch, np.radians(-8), np.radians(15))), float(spread)

    def start(self, pose: np.ndarray, translation: np.ndarray) -> np.ndarray:
        x = np.zeros(3 + 69 + 3 + self.n + 1)
        x[3:72] = pose[1:].ravel()
        x[72:75] = translation
        x[-1] = self.tilt[0]
        return x

    def steps(self) -> torch.Tensor:
        """(86,) about how far each parameter moves for one unit of energy: L-BFGS works on x / steps, where the energy is round.
        (Without this the betas, a hundred times flatter than the rotations, hardly move.)"""
        landmark = 1.7 * self.s.landmark                       # metres
        turn = 1 / torch.sqrt((0.3 / landmark) ** 2 + 1 / self.prior.spread ** 2)
        width = torch.as_tensor(np.sqrt((self.model.directions[..., :self.n] ** 2).sum(1).mean(0)))
        place = torch.tensor([0.2, 0.2, 0.8], dtype=torch.float64) * landmark
        betas = 1 / torch.sqrt(1 / self.s.betas ** 2 + 10 * (width / landmark) ** 2)
        tilt = torch.tensor([self.tilt[1]], dtype=torch.float64)
        return torch.cat([turn[0] / 2, turn[1:].ravel(), place, betas, tilt])

    def split(self, x: torch.Tensor):
        """-> pose rotations (24, 3, 3), pose (24, 3) with a zero root, translation, betas, tilt."""
        pose = torch.cat([torch.zeros(1, 3, dtype=x.dtype), x[3:72].view(23, 3)])
        local = rotation_matrices(torch.cat([x[None, :3], pose[1:]]))
        local = torch.cat([(local[0] @ self.root)[None], local[1:]])
        return local, pose, x[72:75], x[75:75 + self.n], x[-1]

    def posed(self, x: torch.Tensor, outline: bool) -> Posed:
        local, pose, move, betas, tilt = self.split(x)
        rest = self.joint_base[0] + self.joint_base[1] @ betas
        world, joints = forward_kinematics(local, rest)

        def points(kind):
            base, dirs, weights = self.base[kind]
            return skin(base + dirs @ betas, weights, world, rest, joints) + move

        marks = (points("marks")[self.rows] * self.mix[..., None]).sum(1)
        up = torch.stack([torch.zeros_like(tilt), -torch.cos(tilt), torch.sin(tilt)])
        return Posed(pose, betas, world, joints + move, marks, points("skin") if outline else None, up)

    def project(self, p: torch.Tensor) -> torch.Tensor:
        c = self.e.view
        z = p[:, 2].clamp(min=0.05)
        return torch.stack([c.fx * p[:, 0] / z + c.cx, c.fy * p[:, 1] / z + c.cy], 1)

    def terms(self, x: torch.Tensor, silhouette=None) -> dict[str, torch.Tensor]:
        """Named energies. silhouette: a `Silhouette`, or None in the first rounds."""
        b = self.posed(x, silhouette is not None)
        s, rad = self.s, np.pi / 180
        out = {}
        miss = ((self.project(b.marks[:33]) - self.pixels) / (s.landmark * self.size)) ** 2
        out["landmarks"] = (self.mark_weight * _soft(miss.sum(1), 4.0)).sum()
        d = b.marks[self.b] - b.marks[self.a]
        d = d / d.norm(dim=1, keepdim=True)
        out["directions"] = 0.5 * (self.bone_trust * _soft(((d - self.bone_dir) ** 2).sum(1) / self.bone_spread ** 2, 2.0)).sum()
        if self.attitude is not None:
            rows, turned, spread = self.attitude
            out["attitude"] = 0.5 * _soft(0.5 * ((b.world[rows] - turned) ** 2).sum((1, 2)) / spread ** 2, 2.0).sum()
        trust = (1.0, 1.0, 1.0) if self.attitude is None or self.stands else (s.lifted_prior, s.lifted_upright, s.lifted_floor)
        out["prior"] = self.prior.energy(b.pose, trust[0])
        out["betas"] = 0.5 * ((b.betas / s.betas) ** 2).sum()
        out["tilt"] = 0.5 * ((x[-1] - self.tilt[0]) / self.tilt[1]) ** 2
        out["upright"] = trust[1] * self._upright(b, rad)
        out["floor"] = trust[2] * self._floor(b, rad)
        out["head"] = self._head(b, rad)
        out["hands"] = self._hands(b)
        if silhouette is not None:
            out["silhouette"] = silhouette.energy(self.project(b.skin), self.size, s)
        return out

    def _upright(self, b: Posed, rad: float) -> torch.Tensor:
        """Trunk and standing legs do not lean to or from the camera; a clear lean (bending, a lunge) is let go."""
        side = torch.linalg.cross(b.up, torch.tensor([1.0, 0, 0], dtype=b.up.dtype))       # level, away from or to the camera

        def lean(a, c, spread, give):
            d = c - a
            return _give_up(((d @ side) / d.norm() / (spread * rad)) ** 2, give)

        neck, pelvis = b.joints[JOINT["neck"]], b.joints[JOINT["pelvis"]]
        if self.stands:
            feet = 0.5 * (b.joints[JOINT["left_ankle"]] + b.joints[JOINT["right_ankle"]])
            return 0.5 * (lean(pelvis, neck, self.s.stand, 1e6) + lean(feet, pelvis, self.s.stand, 1e6)
                          + lean(b.joints[JOINT["left_ankle"]], b.joints[JOINT["right_ankle"]], 10.0, 9.0)
                          + ((b.world[0][:, 1] @ side) / (5 * rad)) ** 2)
        one = any(self.standing)                                # on one straight leg people hold the trunk upright, too
        energy = lean(pelvis, neck, (0.5 if one else 1.0) * self.s.trunk_depth, 16.0 if one else 9.0)
        # the pelvis itself: its own up axis, so that a straight back is not made of a tipped pelvis and a bent spine
        tip = b.world[0][:, 1] @ side
        energy = energy + 0.5 * _give_up((tip / (6 * rad)) ** 2, 12.0)
        for name, standing in zip(("left", "right"), self.standing):
            if standing:
                energy = energy + lean(b.joints[JOINT[f"{name}_ankle"]], b.joints[JOINT[f"{name}_hip"]], self.s.leg_depth, 16.0)
        return 0.5 * energy

    def _floor(self, b: Posed, rad: float) -> torch.Tensor:
        """Soles flat, both at one height, when the photo shows both feet and they may both stand."""
        energy = torch.zeros((), dtype=b.up.dtype)
        low = []
        for side in ("left", "right"):
            heel, toe = (b.marks[LANDMARK[f"{side}_{n}"]] @ b.up for n in ("heel", "foot_index"))
            heel, toe = heel - self.sole[0], toe - self.sole[1]
            energy = energy + _give_up(((heel - toe) / (0.2 * self.s.foot_flat * rad)) ** 2, 20.0)
            cross = b.world[JOINT[f"{side}_ankle"]][:, 0] @ b.up     # the sole does not roll sideways
            energy = energy + 0.5 * _give_up((cross / (self.s.foot_flat * rad)) ** 2, 12.0)
            low.append(torch.minimum(heel, toe))
        if self.feet > 0.3:
            energy = energy + _give_up(((low[0] - low[1]) / self.s.floor) ** 2, 25.0)
        return 0.5 * energy

    def _head(self, b: Posed, rad: float) -> torch.Tensor:
        head = b.world[JOINT["head"]]
        if self.head is not None:
            return 0.25 * _soft(((head - self.head) ** 2).sum() / (self.s.head * rad) ** 2, 6.0)
        up = head[:, 1]
        return 0.5 * _soft(((up - b.up) ** 2).sum() / (self.s.head_level * rad) ** 2, 3.0)

    def _hands(self, b: Posed) -> torch.Tensor:
        """Forearms stay out of the trunk; wrists seen over the trunk stay before it; hands do not go behind the back."""
        energy = torch.zeros((), dtype=b.up.dtype)
        for side, front in zip(("left", "right"), self.front):
            elbow, wrist, hand = (b.joints[JOINT[f"{side}_{n}"]] for n in ("elbow", "wrist", "hand"))
            probes = torch.stack([elbow, 0.5 * (elbow + wrist), wrist, hand])
            for joint, lift, rx, rz, z0, reach in self.ellipses:
                local = (probes - b.joints[joint]) @ b.world[joint]
                inside = torch.relu(1.0 - torch.sqrt((local[:, 0] / rx) ** 2 + ((local[:, 2] - z0) / rz) ** 2 + 1e-6))
                level = torch.exp(-((local[:, 1] - lift) / reach) ** 2)
                energy = energy + (level * (inside / self.s.pierce) ** 2).sum()
            chest, _, rx, rz, z0, _ = self.ellipses[1]
            local = (torch.stack([wrist, hand]) - b.joints[chest]) @ b.world[chest]
            over = torch.sigmoid((rx * 1.2 - local[:, 0].abs()) / 0.02)
            sight = b.world[chest][2, 2] < 0                    # the body's front faces the camera
            behind = torch.relu(-(local[:, 2] - z0)) / self.s.hand_front
            energy = energy + _give_up((behind / 2) ** 2, 6.0).sum()   # even beside the hips, hands hang before the spine
            if front:
                depth = b.joints[chest][2] - torch.stack([wrist, hand])[:, 2]
                energy = energy + (torch.relu(rz + 0.02 - depth) / self.s.hand_front).pow(2).sum()
            elif bool(sight):
                energy = energy + (over * behind ** 2).sum()
        hands = self.e.hands
        for k, side in enumerate(("left", "right")):
            if np.isfinite(hands[k]).all():
                knuckle = self.project(b.joints[JOINT[f"{side}_hand"]][None])[0]
                miss = ((knuckle - torch.as_tensor(hands[k])) / (self.s.landmark * self.size)) ** 2
                energy = energy + 2.0 * _soft(miss.sum(), 3.0)
        return 0.5 * energy


def _spread(expected: float, mean: float, s: Spreads) -> float:
    """Expected error -> spread, radians. mean: expected length of a normal vector of spread 1 (2 degrees of freedom: 1.25; 3: 1.6)."""
    return s.lifted * max(expected / mean, np.radians(s.lifted_least))


def _soft(square: torch.Tensor, knee: float) -> torch.Tensor:
    """Squared residual -> quadratic up to about `knee` spreads, then linear (Charbonnier)."""
    return 2 * knee ** 2 * (torch.sqrt(1 + square / knee ** 2) - 1)


def _give_up(square: torch.Tensor, most: float) -> torch.Tensor:
    """Squared residual -> quadratic, levelling off at `most` (Geman-McClure): the assumption may simply be wrong."""
    return most * square / (most + square)


def _importance() -> np.ndarray:
    """(33,) weights: many face points count as one; hips are defined differently; finger points are rough."""
    w = np.ones(33)
    w[:11] = 0.25
    for side in ("left", "right"):
        for name, value in (("pinky", 0.3), ("index", 0.3), ("thumb", 0.15), ("hip", 0.5), ("heel", 0.6), ("foot_index", 0.8)):
            w[LANDMARK[f"{side}_{name}"]] = value
    return w


def _trunk(model: BodyModel) -> list[tuple[int, float, float, float, float, float]]:
    """Ellipses of the mean body's trunk: (joint, lift, radius x, radius z, middle z, half height), metres, joint frame."""
    trunk = np.isin(model.part, [JOINT[n] for n in ("pelvis", "spine1", "spine2", "spine3", "left_hip", "right_hip")])
    out = []
    for name, lift in TORSO:
        j = JOINT[name]
        at = model.joint_mean[j] + [0, lift, 0]
        band = model.template[trunk & (np.abs(model.template[:, 1] - at[1]) < 0.04)] - model.joint_mean[j]
        if len(band) < 8:
            continue
        rx, z = np.percentile(np.abs(band[:, 0]), 95), np.percentile(band[:, 2], [2, 98])
        out.append((j, lift, float(rx), float(np.ptp(z) / 2), float(z.mean()), 0.12))
    return out


def _sole(model: BodyModel) -> tuple[float, float]:
    """Height of the heel and toe landmarks above the sole at rest, metres."""
    marks = model.landmarks(model.template)
    ground = model.template[:, 1].min()
    return tuple(float(marks[LANDMARK[f"left_{n}"], 1] - ground) for n in ("heel", "foot_index"))
