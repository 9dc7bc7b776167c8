"""s06: full-resolution front and back depth (2K2K §4.3)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..context import Context
from ..contract.errors import SurfaceError
from ..geometry import figure
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


def fine_depth(person: Person, body: Body, coarse: Coarse, normals: Normals, nets, context: Context) -> Depths:
    """Depth on the full canvas. Method `body-prior`: the inflated body, no network (`+face`, `+shading`: see s05).

    Raises SurfaceError when nothing of the person is left.
    """
    context.step(0, 1)
    maps = figure.figure_of(person, body, context)
    figure.forget()
    mask = np.isfinite(maps.front) & np.isfinite(maps.back)
    if not mask.any():
        raise SurfaceError("surface.empty", "The person's outline and the fitted body do not meet.",
                           "Correct the mask of the person, or try another photo.")
    side = person.camera.width
    trust = cv2.resize(coarse.confidence, (side, side), interpolation=cv2.INTER_LINEAR)
    context.step(1, 1)
    return Depths(maps.front.astype(np.float32), maps.back.astype(np.float32), mask,
                  np.where(mask, np.clip(trust, 0, 1), 0).astype(np.float32), maps.method)
