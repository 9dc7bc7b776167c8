"""s02: the people in the photo; for the chosen one a square crop, a mask and landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..context import Context
from ..contract.frames import Camera
from .s01_photo import Photo

NAME = "s02_person"


@dataclass(frozen=True)
class Person:
    """The chosen person. Canvas side S = preset.canvas; all pixel coordinates are in frame `crop` unless said.

    boxes             (P, 4) float32 x0, y0, x1, y1 of every person found, frame `photo`, largest first.
    chosen            row of `boxes`.
    camera            the photo's camera seen through the crop (S x S).
    photo_from_crop   (3, 3) float64, axis-aligned scale and shift.
    crop              (S, S, 3) uint8 sRGB; where the canvas reaches beyond the photo: edge replicated.
    inside            (S, S) bool: the pixel lies within the photo.
    mask              (S, S) float32 in [0, 1]: the person's matte (hair and fingers included; 0 outside the photo).
    landmarks         (33, 2) float32, BlazePose order, crop pixels (may lie outside the canvas for cut-off limbs).
    visibility        (33,) float32 in [0, 1].
    landmarks_world   (33, 3) float32 metres, camera axes (x right, y down, z forward), mid-hip origin, lean corrected.
    face              (468, 3) float32 crop pixels (z in the same scale, smaller is nearer), or None.
    left_hand         (21, 3) float32 crop pixels likewise, the subject's left, or None.
    right_hand        idem.
    framing           "full", "knees" (cut at the legs), "upper" (cut at the waist) or "face".
    facing            "front", "back" or "side".
    """

    boxes: np.ndarray
    chosen: int
    camera: Camera
    photo_from_crop: np.ndarray
    crop: np.ndarray
    inside: np.ndarray
    mask: np.ndarray
    landmarks: np.ndarray
    visibility: np.ndarray
    landmarks_world: np.ndarray
    face: np.ndarray | None
    left_hand: np.ndarray | None
    right_hand: np.ndarray | None
    framing: str
    facing: str
    method: str = "blazepose+facemesh+grabcut"
