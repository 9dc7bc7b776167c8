"""s09: a watertight mesh from oriented points (screened Poisson), cleaned and decimated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..context import Context
from .s02_person import Person
from .s03_body import Body
from .s06_depth import Depths
from .s07_points import Points

NAME = "s09_surface"


@dataclass(frozen=True)
class Surface:
    """vertices (V, 3) float32 camera metres; faces (F, 3) int32, outward; normals (V, 3) float32 unit.

    watertight  every edge has exactly two faces; one component.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    watertight: bool
    method: str = "screened-poisson"
