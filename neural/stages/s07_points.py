"""s07: depth and normal maps become oriented points (2K2K "mesh generation"), the silhouette closed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..context import Context
from .s02_person import Person
from .s03_body import Body
from .s05_parts import Normals
from .s06_depth import Depths

NAME = "s07_points"

FRONT, BACK, RIM, BODY = 0, 1, 2, 3


@dataclass(frozen=True)
class Points:
    """xyz (N, 3) float32 camera metres; normals (N, 3) float32 unit outward; kind (N,) uint8 FRONT/BACK/RIM/BODY.

    BODY points are taken from the fitted body where the two depth maps cannot see (self-occlusion).
    """

    xyz: np.ndarray
    normals: np.ndarray
    kind: np.ndarray
    method: str = "depth-to-points"
