"""Face mesh: 468 points on a head crop taken from the pose's eyes and mouth (Kartynnik et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...contract.joints import LANDMARK
from .anchors import FACE
from .pose import Pose, sigmoid
from .roi import Pyramid, Roi, detect
from .runtime import LandmarkNets

SIDE = 192
_EYES = (33, 133, 362, 263)        # corners of both eyes in the mesh
_MOUTH = (61, 291, 13, 14)         # corners and middle of the lips
_FROM_EYE_MOUTH = 4.0              # side of the region over the distance eyes-mouth: 1.5 x the face's height
_FROM_EXTENT = 1.5                 # side over the extent of the mesh (the network was trained so)


@dataclass(frozen=True)
class Face:
    """points (468, 3) float64 image pixels, z in the same scale, smaller is nearer; presence in [0, 1]."""

    points: np.ndarray
    presence: float


def _upright(eyes: np.ndarray, mouth: np.ndarray) -> float:
    """Angle of a region in which the mouth lies straight below the eyes."""
    d = mouth - eyes
    return float(np.arctan2(d[1], d[0]) - np.pi / 2)


def roi_from_pose(pose: Pose) -> Roi:
    """Head region from the pose's eyes and mouth."""
    p = pose.points
    eyes = (p[LANDMARK["left_eye"]] + p[LANDMARK["right_eye"]]) / 2
    mouth = (p[LANDMARK["mouth_left"]] + p[LANDMARK["mouth_right"]]) / 2
    middle = (eyes + mouth) / 2
    side = max(_FROM_EYE_MOUTH * np.hypot(*(mouth - eyes)), 8.0)
    return Roi(float(middle[0]), float(middle[1]), float(side), _upright(eyes, mouth))


def roi_from_mesh(points: np.ndarray) -> Roi:
    """Region for the next round from a mesh (468, >=2)."""
    xy = points[:, :2]
    angle = _upright(xy[list(_EYES)].mean(0), xy[list(_MOUTH)].mean(0))
    c, s = np.cos(angle), np.sin(angle)
    own = xy @ np.array([[c, -s], [s, c]])          # coordinates along the region's axes
    low, high = own.min(0), own.max(0)
    centre = np.array([[c, -s], [s, c]]) @ ((low + high) / 2)
    return Roi(float(centre[0]), float(centre[1]), float(_FROM_EXTENT * (high - low).max()), angle)


def mesh(nets: LandmarkNets, image: Pyramid, roi: Roi, rounds: int = 3) -> Face:
    """The mesh after some rounds, each on the region that the round before asks for."""
    for _ in range(rounds):
        raw, flag = nets.run("face_landmark", image.cut(roi, SIDE).astype(np.float32) / 255)
        points = raw.reshape(468, 3).astype(np.float64)
        m = roi.image_from_net(SIDE)
        points[:, :2] = points[:, :2] @ m[:2, :2].T + m[:2, 2]
        points[:, 2] *= roi.side / SIDE
        face = Face(points, float(sigmoid(flag.ravel()[0])))
        roi = roi_from_mesh(points)
        if roi.side < 8:
            break
    return face


def face_boxes(nets: LandmarkNets, image: Pyramid) -> list[np.ndarray]:
    """Boxes (4,) of all faces the detector sees in the whole image, best first; image pixels."""
    window = Roi(image.width / 2, image.height / 2, max(image.width, image.height))
    return [hit.box for hit in detect(nets, FACE, image, window)]
