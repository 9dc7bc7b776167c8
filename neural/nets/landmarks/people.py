"""All people in a photo: the pose detector on the whole photo and on sliding crops; every hit is verified by the
landmark network, seen both as it is and mirrored, since the detector alone sees people in texture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable

import numpy as np

from ...contract.joints import LANDMARK
from .anchors import POSE
from .face import mesh, roi_from_pose
from .pose import Pose, landmarks_both_ways, roi_from_detection, track
from .roi import Pyramid, Roi, detect
from .runtime import LandmarkNets
from .selfie import SIDE as SELFIE_SIDE, silhouette


@dataclass(frozen=True)
class FindConfig:
    """Measured on the photos of this project; the smallest size is libraries.md §3 (below it: hits on texture)."""

    min_presence: float = 0.8       # of the landmark network, the worse of plain and mirrored; 0.5 passed a motorcycle
    max_spread: float = 14.0        # network pixels between plain and mirrored answer; real people had 1 to 9
    sure_spread: float = 4.0        # above it a face must be seen: a cat had 10, a coffee cup 8, an astronaut 6
    min_face: float = 0.5           # presence of the face mesh
    min_agreement: float = 0.4      # IoU of pose mask and selfie mask: people had 0.65 to 0.96, a cat 0
    min_side_px: float = 64.0       # region of a person: smaller is not even looked at
    verify_at_most: int = 24        # hits sent to the landmark network, largest x surest first
    same_person: float = 0.25       # mean distance of head and torso over torso length


@dataclass(frozen=True)
class Found:
    """A verified person; box (4,) x0 y0 x1 y1 and pose in image pixels; spread as in `landmarks_both_ways`."""

    pose: Pose
    spread: float
    box: np.ndarray

    @property
    def size(self) -> float:
        return float((self.box[2:] - self.box[:2]).prod())


def windows(width: int, height: int, part: float) -> list[Roi]:
    """Square crops of side `part` x the longer side, half overlapping, that cover the image."""
    side = part * max(width, height)

    def line(length: int) -> np.ndarray:
        if length <= side:
            return np.array([length / 2])
        n = int(np.ceil((length - side) / (side / 2) - 1e-9)) + 1
        return np.linspace(side / 2, length - side / 2, n)

    return [Roi(float(x), float(y), side) for y in line(height) for x in line(width)]


def find_people(nets: LandmarkNets, image: Pyramid, step: Callable[[], None] = lambda: None,
                config: FindConfig = FindConfig()) -> list[Found]:
    """Everyone, largest first. `step` is called between network runs (cancel)."""
    found: list[Found] = []
    tried: list[Roi] = []
    for part in (1.0, 0.5, 0.25):
        if part == 0.25 and found:
            break               # quarter crops find people of an eighth of the photo: only when there is nobody else
        hits = []
        for window in windows(image.width, image.height, part):
            step()
            hits += detect(nets, POSE, image, window)
        rois = [(roi_from_detection(h), h.score) for h in hits]
        rois = [(r, s) for r, s in rois if r.side >= config.min_side_px]
        rois.sort(key=lambda rs: -rs[0].side * rs[1])
        for roi, _ in rois:
            if len(tried) >= config.verify_at_most:
                break
            if any(_close(roi, other) for other in tried):
                continue
            tried.append(roi)
            step()
            person = verify(nets, image, roi, config)
            if person is None:
                continue
            twin = next((i for i, f in enumerate(found) if _same(f.pose, person.pose, config)), None)
            if twin is None:
                found.append(person)
    return sorted(found, key=lambda f: -f.size)


def verify(nets: LandmarkNets, image: Pyramid, roi: Roi, config: FindConfig = FindConfig()) -> Found | None:
    """The person in a region, or None when the landmark network does not believe in one."""
    pose = track(nets, image, roi)
    if pose is None or pose.next_roi.side < config.min_side_px:
        return None
    pose, spread = landmarks_both_ways(nets, image, pose.next_roi)
    if pose.presence < config.min_presence or spread > config.max_spread:
        return None
    box = person_box(pose, image.width, image.height)
    if box is None or agreement(nets, image, pose, box) < config.min_agreement:
        return None
    if spread > config.sure_spread and mesh(nets, image, roi_from_pose(pose)).presence < config.min_face:
        return None
    return Found(pose, spread, box)


def agreement(nets: LandmarkNets, image: Pyramid, pose: Pose, box: np.ndarray) -> float:
    """Intersection over union of the pose's mask and the silhouette network's, two independent opinions."""
    centre, side = (box[:2] + box[2:]) / 2, 1.3 * (box[2:] - box[:2]).max()
    region = Roi(float(centre[0]), float(centre[1]), float(side))
    theirs = silhouette(nets, image, region) > 0.5
    ours = pose.mask_on(np.linalg.inv(region.image_from_net(SELFIE_SIDE)), (SELFIE_SIDE, SELFIE_SIDE)) > 0.5
    return float((theirs & ours).sum() / max((theirs | ours).sum(), 1))


def person_box(pose: Pose, width: int, height: int) -> np.ndarray | None:
    """(4,) x0 y0 x1 y1 of the pose's mask and its seen landmarks within the image; None when nothing is inside."""
    m = pose.roi.image_from_net(256)
    rows, cols = np.nonzero(pose.mask_net > 0.5)
    points = [np.stack([cols + 0.5, rows + 0.5], -1) @ m[:2, :2].T + m[:2, 2], pose.points[pose.visibility > 0.5]]
    p = np.concatenate(points)
    p = p[(p[:, 0] >= 0) & (p[:, 1] >= 0) & (p[:, 0] <= width) & (p[:, 1] <= height)]
    if len(p) < 3:
        return None
    low, high = p.min(0), p.max(0)
    return np.concatenate([low, high]) if (high - low).min() >= 4 else None


def touches(a: np.ndarray, b: np.ndarray) -> bool:
    """Two boxes (4,) overlap."""
    return bool((np.maximum(a[:2], b[:2]) < np.minimum(a[2:], b[2:])).all())


def _close(a: Roi, b: Roi) -> bool:
    return abs(np.log(a.side / b.side)) < 0.25 and np.hypot(a.cx - b.cx, a.cy - b.cy) < 0.06 * (a.side + b.side)


_CORE = [LANDMARK[n] for n in ("nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip")]


def _same(a: Pose, b: Pose, config: FindConfig) -> bool:
    pa, pb = a.points[_CORE], b.points[_CORE]
    torso = min(np.hypot(*(p[1:3].mean(0) - p[3:].mean(0))) + np.hypot(*(p[1] - p[2])) for p in (pa, pb))
    head = np.hypot(*(pa[0] - pb[0]))
    return bool(np.hypot(*(pa - pb).T).mean() < config.same_person * torso or head < 0.12 * torso)


def pose_mask(nets: LandmarkNets, image: Pyramid, pose: Pose, target_from_image: np.ndarray, size: int) -> np.ndarray:
    """(size, size) float32 probability of person: the mean of the pose's mask and those of two tighter regions, where
    each reaches. On composites the border was off by 3.2 / 3.0 pixels at 2048, with one region by 3.7 / 4.2."""
    total = np.zeros((size, size), np.float32)
    weight = np.full((size, size), 1e-6, np.float32)
    for scale in (1.0, 0.85, 0.75):
        p = pose if scale == 1 else landmarks_both_ways(nets, image, replace(pose.roi, side=pose.roi.side * scale))[0]
        total += p.mask_on(target_from_image, (size, size))
        weight += replace(p, mask_net=np.ones_like(p.mask_net)).mask_on(target_from_image, (size, size))
    return total / np.maximum(weight, 1.0)
