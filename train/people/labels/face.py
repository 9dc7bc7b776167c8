"""JIFF's face box: a square round the face, from the landmarks of the head; and the head's mask."""

from __future__ import annotations

import torch
from torch import Tensor

from neural.contract.joints import JOINT

from ..types import Cameras
from .points import landmark_names

MARGIN = 1.15
"""Side of the square over the larger side of the face's own box (JIFF takes MTCNN's box and adds a few pixels on all sides)."""

BROW_TO_TOP = 0.85
"""The hairline lies this part of the distance chin - eyes above the eyes (the face's thirds: chin - nose - brow - hairline)."""

_NAMES = ("left_eye_outer", "right_eye_outer", "left_ear", "right_ear", "nose", "chin", "mouth_left", "mouth_right")


def face_box(landmarks: Tensor, landmarks_px: Tensor, visible: Tensor, cameras: Cameras, least_px: float = 16.0,
             most_turn_deg: float = 75.0) -> dict[str, Tensor]:
    """landmarks (P, 53, 3) camera metres, landmarks_px (P, 53, 2), visible (P, 53) bool -> box (P, 4) left, top, right, bottom pixels (a
    square; it may reach over the canvas), valid (P,) bool: the face looks within `most_turn_deg` of the camera, its box is at least
    `least_px` wide, four fifths of the box lie on the canvas and three of nose, eyes and mouth's corners are seen; looks (P, 3) unit:
    where the face looks.
    """
    names = landmark_names()
    row = {name: names.index(name) for name in _NAMES}
    at = {name: landmarks[:, row[name]] for name in _NAMES}
    eyes = (at["left_eye_outer"] + at["right_eye_outer"]) / 2
    up = eyes - at["chin"]
    looks = torch.linalg.cross(up, at["right_eye_outer"] - at["left_eye_outer"])           # up x the subject's right = forward
    looks = torch.nn.functional.normalize(looks, dim=1, eps=1e-12)
    top = eyes + BROW_TO_TOP * up
    z = top[:, 2:].clamp(min=1e-3)
    top_px = top[:, :2] / z * cameras.focal[:, None] + cameras.centre
    around = torch.cat([landmarks_px[:, [row[n] for n in _NAMES]], top_px[:, None]], 1)
    low, high = around.amin(1), around.amax(1)
    half = (high - low).amax(1, keepdim=True) * MARGIN / 2
    middle = (low + high) / 2
    box = torch.cat([middle - half, middle + half], 1)
    to_camera = -torch.nn.functional.normalize(eyes, dim=1)
    ahead = (looks * to_camera).sum(1) > torch.cos(torch.deg2rad(torch.tensor(most_turn_deg)))
    inside = (box[:, 2:].clamp(max=cameras.size) - box[:, :2].clamp(min=0)).clamp(min=0).prod(1)
    shown = inside >= 0.8 * (2 * half[:, 0]) ** 2
    key = [row[n] for n in ("nose", "left_eye_outer", "right_eye_outer", "mouth_left", "mouth_right")]
    seen = visible[:, key].sum(1) >= 3
    return {"box": box, "valid": ahead & shown & seen & (2 * half[:, 0] >= least_px) & (eyes[:, 2] > 1e-3), "looks": looks}


def head_mask(part_front: Tensor) -> Tensor:
    """(P, S, S) uint8 SMPL parts -> bool: the head with hair and hat."""
    return part_front == JOINT["head"]
