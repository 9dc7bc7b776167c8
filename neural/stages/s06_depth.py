"""s06: full-resolution front and back depth (2K2K §4.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..context import Context
from .s02_person import Person
from .s03_body import Body
from .s04_coarse import Coarse
from .s05_parts import Normals

NAME = "s06_depth"


@dataclass(frozen=True)
class Depths:
    """front, back (S, S) float32: z in metres, NaN outside; back >= front everywhere.

    mask        (S, S) bool: where both are finite.
    confidence  (S, S) float32 in [0, 1].
    """

    front: np.ndarray
    back: np.ndarray
    mask: np.ndarray
    confidence: np.ndarray
    method: str = "body-prior"
    weights: tuple[str, ...] = ()
