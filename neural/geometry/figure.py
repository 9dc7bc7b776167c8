"""The body prior at full resolution, with face and folds, shared by the stages that ask for parts of it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from .compose import Composed, compose, normals_from_slopes
from .face_relief import apply_face
from .layers import PIECES
from .prior import Prior, build

__all__ = ["prior_of", "figure_of", "compose"]

_last: dict[str, tuple] = {}  # the results for the newest person only: stages s04, s05 and s06 ask one after the other


def _remembered(kind: str, person, body, make):
    known = _last.get(kind)
    if known is None or known[0] is not person or known[1] is not body:
        _last[kind] = known = (person, body, make())
    return known[2]


def prior_of(person, body, context) -> Prior:
    """The inflated pieces (a pure function of person and body; the newest is remembered)."""
    device = context.device if context.device == "cuda" else "cpu"
    return _remembered("prior", person, body, lambda: build(person, body, device=device))


def figure_of(person, body, context) -> Composed:
    """Front and back maps on the full canvas (S x S), as `prior_of`."""
    return _remembered("figure", person, body, lambda: _finished(person, prior_of(person, body, context)))


def _finished(person, prior: Prior) -> Composed:
    """Composed, with the face mesh's relief where there is one."""
    maps = compose(prior, person.camera, person.mask, person.inside)
    if person.face is None or person.facing == "back":
        return maps
    head = maps.mask & (maps.owner_front == PIECES.index("head"))
    laid = apply_face(maps.front, maps.back, head, person.face, person.camera)
    if laid is None:
        return maps
    front, weight = laid
    everywhere = (slice(None), slice(None))
    smooth = cv2.GaussianBlur(np.where(np.isfinite(front), front, 0).astype(np.float32), (0, 0), 0.8)
    dv, du = np.gradient(smooth)
    normals = normals_from_slopes(np.nan_to_num(front, nan=1.0), du, dv, person.camera, everywhere, -1)
    inner = (weight * (cv2.erode(head.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0))[..., None]
    mixed = (1 - inner) * maps.normal_front + inner * normals
    mixed /= np.maximum(np.linalg.norm(mixed, axis=-1, keepdims=True), 1e-9)
    return replace(maps, front=front, normal_front=np.where(maps.mask[..., None], mixed, 0).astype(np.float32))


def forget() -> None:
    """Drop what is remembered (called when the last stage has it)."""
    _last.clear()
