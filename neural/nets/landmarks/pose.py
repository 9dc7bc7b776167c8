"""Pose: 33 landmarks in 2D and 3D and a rough mask per person (BlazePose, Bazarevsky et al. 2020; BlazePose GHUM)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...contract.joints import LANDMARKS, mirrored
from .roi import Detection, Pyramid, Roi, warp
from .runtime import LandmarkNets

SIDE, HEAT = 256, 64
_HEAT_WINDOW = 3        # half of the 7 x 7 window
_HEAT_MIN = 0.5
_ROI_SCALE = 1.25       # BlazePose: the circle through the body plus a quarter


@dataclass(frozen=True)
class Pose:
    """One person. Frame: image pixels unless said.

    roi         region the landmark network saw.
    presence    probability that a person is there, in [0, 1].
    points      (33, 2) float64; depth (33,) relative depth in the same pixels, smaller is nearer, 0 at the hips.
    visibility  (33,) probability that the landmark is inside the region and not hidden.
    inside      (33,) probability that the landmark lies inside the region (hidden or not).
    world       (33, 3) float64 metres, x right, y down, z forward, mid-hip origin; not lean corrected.
    next_roi    region for another round, from this round's landmarks.
    mask_net    (256, 256) float32 probability of person over `roi`.
    """

    roi: Roi
    presence: float
    points: np.ndarray
    depth: np.ndarray
    visibility: np.ndarray
    inside: np.ndarray
    world: np.ndarray
    next_roi: Roi
    mask_net: np.ndarray

    def mask_on(self, target_from_image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """(h, w) float32 probability of person on another canvas of size (width, height); 0 outside `roi`."""
        net_from_target = np.linalg.inv(target_from_image @ self.roi.image_from_net(SIDE))
        return warp(self.mask_net, net_from_target, size)


def roi_from_circle(centre: np.ndarray, top: np.ndarray, scale: float = _ROI_SCALE) -> Roi:
    """Region around the hips whose up direction points to `top`, a point on the circle around the body."""
    d = top - centre
    return Roi(float(centre[0]), float(centre[1]), float(2 * scale * np.hypot(*d)),
               float(np.arctan2(d[1], d[0]) + np.pi / 2))


def roi_from_detection(hit: Detection) -> Roi:
    """Keypoint 0 is the middle of the hips, keypoint 1 a point on the circle around the whole body."""
    return roi_from_circle(hit.keypoints[0], hit.keypoints[1])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def refine_on_heatmap(points: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """points (N, 2) in units of heat cells, heat (64, 64, N) logits -> points moved to the weighted mean of a 7 x 7
    window around them, where the map is sure (its maximum in the window >= 0.5)."""
    out = points.copy()
    h, w = heat.shape[:2]
    for i, (x, y) in enumerate(points):
        col, row = int(x), int(y)
        if not (0 <= col < w and 0 <= row < h):
            continue
        c0, c1 = max(col - _HEAT_WINDOW, 0), min(col + _HEAT_WINDOW + 1, w)
        r0, r1 = max(row - _HEAT_WINDOW, 0), min(row + _HEAT_WINDOW + 1, h)
        p = sigmoid(heat[r0:r1, c0:c1, i])
        if p.max() < _HEAT_MIN:
            continue
        out[i] = ((p.sum(0) * np.arange(c0, c1)).sum() / p.sum(), (p.sum(1) * np.arange(r0, r1)).sum() / p.sum())
    return out


def landmarks(nets: LandmarkNets, image: Pyramid, roi: Roi) -> Pose:
    """One round of the landmark network on a region."""
    raw, flag, mask, heat, world = nets.run("pose_landmark", image.cut(roi, SIDE).astype(np.float32) / 255)
    raw, world = raw.reshape(39, 5).astype(np.float64), world.reshape(39, 3).astype(np.float64)
    xy = refine_on_heatmap(raw[:, :2] * HEAT / SIDE, heat) * SIDE / HEAT
    m = roi.image_from_net(SIDE)
    xy = xy @ m[:2, :2].T + m[:2, 2]
    c, s = np.cos(roi.angle), np.sin(roi.angle)
    world[:, :2] = world[:, :2] @ np.array([[c, -s], [s, c]]).T
    return Pose(roi, float(flag[0]), xy[:33], raw[:33, 2] * roi.side / SIDE, sigmoid(raw[:33, 3]),
                sigmoid(raw[:33, 4]), world[:33] - (world[23] + world[24]) / 2, roi_from_circle(xy[33], xy[34]),
                sigmoid(mask[..., 0]).astype(np.float32))


def track(nets: LandmarkNets, image: Pyramid, roi: Roi, rounds: int = 2, min_presence: float = 0.5) -> Pose | None:
    """The landmark network on a region, then on the region its own landmarks ask for; None when nobody is there."""
    best = None
    for _ in range(rounds):
        pose = landmarks(nets, image, roi)
        if pose.presence < min_presence or pose.next_roi.side < 8:
            return best
        best, roi = pose, pose.next_roi
    return best


_PARTNER = np.array(mirrored(LANDMARKS))


def landmarks_both_ways(nets: LandmarkNets, image: Pyramid, roi: Roi) -> tuple[Pose, float]:
    """The network on a region and on its mirror image, averaged: -15 % error against OpenPose on the two photos that
    have it. Second value: mean distance of the two answers in pixels of the network's input, large when it guesses."""
    plain = landmarks(nets, image, roi)
    pixels = np.ascontiguousarray(image.cut(roi, SIDE)[:, ::-1])
    flipped = landmarks(nets, Pyramid(pixels, SIDE), Roi(SIDE / 2, SIDE / 2, SIDE))
    # mirror back: inside the region first (its own axes), then to the image like the plain answer
    m = roi.image_from_net(SIDE)
    xy = flipped.points[_PARTNER] * [-1, 1] + [SIDE, 0]
    points = xy @ m[:2, :2].T + m[:2, 2]
    c, s = np.cos(roi.angle), np.sin(roi.angle)
    world = flipped.world[_PARTNER] * [-1, 1, 1]
    world[:, :2] = world[:, :2] @ np.array([[c, -s], [s, c]]).T
    spread = float(np.hypot(*(plain.points - points).T).mean() * SIDE / roi.side)
    mean = replace(
        plain,
        presence=min(plain.presence, flipped.presence),
        points=(plain.points + points) / 2,
        depth=(plain.depth + flipped.depth[_PARTNER] * roi.side / SIDE) / 2,
        visibility=(plain.visibility + flipped.visibility[_PARTNER]) / 2,
        inside=(plain.inside + flipped.inside[_PARTNER]) / 2,
        world=(plain.world + world) / 2,
        mask_net=(plain.mask_net + flipped.mask_net[:, ::-1]) / 2,
    )
    return mean, spread
