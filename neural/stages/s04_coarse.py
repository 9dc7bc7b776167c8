"""s04: coarse front and back normals and depth (2K2K §4.2)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..context import Context
from ..geometry import figure
from ..geometry.predicted import outline
from ..nets.two_k.passes import method_of, passes_of
from .s02_person import Person
from .s03_body import Body

NAME = "s04_coarse"


@dataclass(frozen=True)
class Coarse:
    """Maps on a C x C canvas, camera.resized(C, C): C = S / 4, of the networks their own coarse side, 256. Front = nearest, back = farthest.

    depth_front, depth_back     (C, C) float32 metres (z), NaN outside the mask.
    normal_front, normal_back   (C, C, 3) float32 unit outward normals, camera frame; 0 outside.
    mask                        (C, C) float32 in [0, 1]; of the networks: how probably the pixel is the person's, everywhere.
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


def coarse_maps(person: Person, body: Body, nets, context: Context) -> Coarse:
    """Front and back on the small canvas (nets: models.Models; None = no networks).

    Method `2k2k(compact)` or `2k2k(paper)`: the networks that JobOptions.depth means. `body-prior`: the fitted body inflated to the mask.
    This stage chooses; s05 and s06 go on with the same method. Raises OptionError option.depth-unavailable, WeightsError.
    """
    context.step(0, 2)
    model = nets.two_k(context.options.depth) if nets is not None else None
    if model is not None:
        return _networks(person, body, model, context)
    side = person.camera.width // 4
    prior = figure.prior_of(person, body, context)
    context.step(1, 2)
    matte = cv2.resize(person.mask, (side, side), interpolation=cv2.INTER_AREA)
    inside = cv2.resize(person.inside.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) > 0.5
    maps = figure.compose(prior, person.camera.resized(side, side), matte, inside)
    trust = np.where(maps.mask, cv2.resize(prior.trust, (side, side), interpolation=cv2.INTER_AREA), 0)
    context.step(2, 2)
    return Coarse(maps.front.astype(np.float32), maps.back.astype(np.float32), maps.normal_front, maps.normal_back,
                  np.where(inside, matte, 0).astype(np.float32), trust.astype(np.float32))


def _networks(person: Person, body: Body, model, context: Context) -> Coarse:
    context.step(1, 2)
    maps = passes_of(model, person, body, context).coarse_maps()
    probability, trust = (m[0, 0].float().cpu().numpy() for m in (maps.mask, maps.confidence))
    mask = outline(person, probability)
    front, back = (np.where(mask, z, np.nan).astype(np.float32) for z in maps.depth[0].float().cpu().numpy())
    normals = maps.normals[0].unflatten(0, (2, 3)).permute(0, 2, 3, 1).float().cpu().numpy() * mask[..., None]
    context.step(2, 2)
    return Coarse(front, np.maximum(front, back), *normals, probability.astype(np.float32),
                  np.where(mask, trust, 0).astype(np.float32), method_of(model), (model.file,))
