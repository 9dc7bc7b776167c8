"""s05: full-resolution front and back normals (2K2K §4.1, Eq. 4-5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..context import Context
from ..geometry import figure
from ..geometry.predicted import enlarged, faced, outline
from ..nets.two_k.passes import method_of, passes_of
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
    """Normals on the full canvas. Method `2k2k(...)`, where s04's was: twelve parts, merged. `body-prior`: those of the inflated body.
    `+face`: the face mesh's relief on the head; `+shading`: shallow folds from the photo's shading."""
    context.step(0, 1)
    model = nets.two_k(context.options.depth) if coarse.method.startswith("2k2k") else None
    if model is not None:
        both = passes_of(model, person, body, context).normals().unflatten(0, (2, 3)).permute(0, 2, 3, 1).float().cpu().numpy()
        mask = outline(person, enlarged(coarse.mask, person.camera.width))
        front, back = (np.where(mask[..., None], n, 0).astype(np.float32) for n in both)
        face = faced(person, body, coarse.depth_front, front, mask)
        context.step(1, 1)
        return Normals(front if face is None else face, back, method_of(model) + ("" if face is None else "+face"), (model.file,))
    maps = figure.figure_of(person, body, context)
    context.step(1, 1)
    return Normals(maps.normal_front, maps.normal_back, maps.method)
