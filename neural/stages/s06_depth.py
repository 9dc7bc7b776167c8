"""s06: full-resolution front and back depth (2K2K §4.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from ..context import Context
from ..contract.errors import SurfaceError
from ..geometry import figure
from ..geometry.anchor import anchored
from ..geometry.compose import compose
from ..geometry.predicted import outline, sides
from ..geometry.turning import STRAND, without_strands
from ..nets.two_k.passes import method_of, passes_of
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
    piece_front, piece_back  (S, S) uint8: limb that the surface belongs to, index into layers.PIECES + 1; 0 outside.
                (0, 0) when nobody knows: then parts that touch stay joined.
    settled_front, settled_back  (S, S, 3) float32: unit normals where arm or trunk was disputed and depth, limb and normals are the
                body's, 0 elsewhere; (0, 0, 0): nowhere.
    """

    front: np.ndarray
    back: np.ndarray
    mask: np.ndarray
    confidence: np.ndarray
    method: str = "body-prior"
    weights: tuple[str, ...] = ()
    piece_front: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    piece_back: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    settled_front: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))
    settled_back: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))


def fine_depth(person: Person, body: Body, coarse: Coarse, normals: Normals, nets, context: Context) -> Depths:
    """Depth on the full canvas. Method `2k2k(...)`, where s04's was: low frequencies of the high-resolution network, detail of the
    normals; `+body-limbs`: hands, feet and forearms at the fitted body's distance;
    `+body-arms`: the body where both disagree about a forearm or hand. `body-prior`: the inflated body (`+face`, `+shading`: see s05).

    Raises SurfaceError when nothing of the person is left.
    """
    context.step(0, 1)
    model = nets.two_k(context.options.depth) if coarse.method.startswith("2k2k") else None
    if model is not None:
        return _networks(person, body, normals, model, context)
    maps = figure.figure_of(person, body, context)
    figure.forget("figure")
    mask = np.isfinite(maps.front) & np.isfinite(maps.back)
    if not mask.any():
        raise _nothing()
    side = person.camera.width
    trust = cv2.resize(coarse.confidence, (side, side), interpolation=cv2.INTER_LINEAR)
    context.step(1, 1)
    owners = (np.where(mask, owner + 1, 0).astype(np.uint8) for owner in (maps.owner_front, maps.owner_back))
    return Depths(maps.front.astype(np.float32), maps.back.astype(np.float32), mask,
                  np.where(mask, np.clip(trust, 0, 1), 0).astype(np.float32), maps.method, (), *owners)


def _nothing() -> SurfaceError:
    return SurfaceError("surface.empty", "The person's outline and the fitted body do not meet.",
                        "Correct the mask of the person, or try another photo.")


def _networks(person: Person, body: Body, normals: Normals, model, context: Context) -> Depths:
    maps = passes_of(model, person, body, context).maps()
    figure.forget("two_k")
    context.step(0.6, 1)
    probability, trust = (m[0, 0].float().cpu().numpy() for m in (maps.mask, maps.confidence))
    front, back = maps.depth[0].float().cpu().numpy()
    known = (normals.front != 0).any(-1) & (normals.back != 0).any(-1) & (front > 0) & (back > 0)
    mask = outline(person, probability) & known
    if not mask.any():
        raise _nothing()
    mask = without_strands(mask, STRAND * max(body.height_m, 0.3), float(np.median(front[mask])) / person.camera.fx)
    posed, method = body.maps, method_of(model)
    if model.kind == "compact":                                  # told of the body; the paper's network is not, and its depth has no such place
        front, back = (anchored(z, fitted, part, mask) for z, fitted, part in
                       ((front, posed.depth_front, posed.part_front), (back, posed.depth_back, posed.part_back)))
        method += "+body-limbs"
    inflated = compose(figure.prior_of(person, body, context), person.camera, person.mask, person.inside)
    done = sides(person, body, front, back, normals.front, normals.back, mask, inflated, model.device)
    if done.settled_front.any() or done.settled_back.any():
        method += "+body-arms"
    context.step(1, 1)
    return Depths(done.front, done.back, mask, np.where(mask, np.clip(trust, 0, 1), 0).astype(np.float32), method, (model.file,),
                  done.piece_front, done.piece_back, done.settled_front, done.settled_back)
