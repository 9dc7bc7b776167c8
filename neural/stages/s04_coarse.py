"""s04: coarse front and back normals and depth (2K2K §4.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..context import Context
from .s02_person import Person
from .s03_body import Body

NAME = "s04_coarse"


@dataclass(frozen=True)
class Coarse:
    """Maps on a C x C canvas (C = S / 4), camera.resized(C, C). Front = nearest, back = farthest surface.

    depth_front, depth_back     (C, C) float32 metres (z), NaN outside the mask.
    normal_front, normal_back   (C, C, 3) float32 unit outward normals, camera frame; 0 outside.
    mask                        (C, C) float32 in [0, 1].
    confidence                  (C, C) float32 in [0, 1].
    """

    depth_front: np.ndarray
    depth_back: np.ndarray
    normal_front: np.ndarray
    normal_back: np.ndarray
    mask: np.ndarray
    confidence: np.ndarray
    method: str = "body-prior"
    weights: tuple[str, ...] = ()
