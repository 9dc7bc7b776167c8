"""s05: full-resolution front and back normals (2K2K §4.1, Eq. 4-5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..context import Context
from ..geometry import figure
from .s02_person import Person
from .s03_body import Body
from .s04_coarse import Coarse

NAME = "s05_parts"


@dataclass(frozen=True)
class Normals:
    """(S, S, 3) float32 unit outward normals, camera frame; 0 outside the mask. Front has z < 0, back z > 0."""

    front: np.ndarray
    back: np.ndarray
    method: str = "body-prior"
    weights: tuple[str, ...] = ()


def part_normals(person: Person, body: Body, coarse: Coarse, nets, context: Context) -> Normals:
    """Normals on the full canvas. Method `body-prior`: those of the inflated body, no network; `+face`: the
    face mesh's relief on the head; `+shading`: shallow folds from the photo's shading."""
    context.step(0, 1)
    maps = figure.figure_of(person, body, context)
    context.step(1, 1)
    return Normals(maps.normal_front, maps.normal_back, maps.method)
