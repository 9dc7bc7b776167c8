"""The body prior at full resolution, with face and folds, shared by the stages that ask for parts of it."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np

from .compose import Composed, compose
from .face_relief import apply_face, with_face
from .folds import fold_relief
from .layers import PIECES
from .prior import Prior, build

__all__ = ["prior_of", "figure_of", "compose", "remembered", "forget"]

_last: dict[str, tuple] = {}
"""The results for the newest person only (stages s04 to s07 ask one after the other), held no longer than the person
itself: when a job ends, fails or is cancelled, its person goes, and what is remembered goes with it."""


def remembered(kind: str, person, body, make):
    """make(), or what it gave the last time for the same two objects."""
    known = _last.get(kind)
    if known is None or known[0]() is not person or known[1]() is not body:
        _last.pop(kind, None)
        value = make()
        gone = lambda ref: _last.pop(kind) if any(ref is r for r in _last.get(kind, ())[:2]) else None
        _last[kind] = known = (weakref.ref(person, gone), weakref.ref(body, gone), value)
    return known[2]


def prior_of(person, body, context) -> Prior:
    """The inflated pieces (a pure function of person and body; the newest is remembered)."""
    device = context.device if context.device == "cuda" else "cpu"
    return remembered("prior", person, body, lambda: build(person, body, device=device))


def figure_of(person, body, context) -> Composed:
    """Front and back maps on the full canvas (S x S), as `prior_of`."""
    return remembered("figure", person, body, lambda: _finished(person, body, prior_of(person, body, context)))


def _finished(person, body, prior: Prior) -> Composed:
    """Composed, with the face mesh's relief where there is one, and folds from shading."""
    maps = compose(prior, person.camera, person.mask, person.inside)
    if not maps.mask.any():
        return maps
    free = np.ones(maps.mask.shape, np.float32)
    if person.face is not None and person.facing != "back":
        head = maps.mask & (maps.owner_front == PIECES.index("head"))
        laid = apply_face(maps.front, maps.back, head, person.face, person.camera)
        if laid is not None:
            mixed = with_face(maps.normal_front, *laid, head, person.camera)
            mixed[~maps.mask] = 0
            maps = replace(maps, front=laid[0], normal_front=mixed, method=maps.method + "+face")
            free = 1 - laid[1]
    return _with_folds(maps, person, body, free)


def _with_folds(maps: Composed, person, body, free) -> Composed:
    """Shallow relief from shading on the front; none on the face, and less towards the silhouette."""
    facing = np.clip(-maps.normal_front[..., 2] * 1.6 - 0.3, 0, 1)
    pixels = body.height_m * person.camera.fy / max(float(np.nanmedian(maps.front)), 0.1)
    relief = fold_relief(person.crop, maps.mask, free * facing, pixels, body.height_m)
    front = np.where(maps.mask, np.minimum(maps.front + relief, maps.back), np.nan).astype(np.float32)
    dv, du = np.gradient(relief)
    tilt = (np.abs(maps.normal_front[..., 2]) / np.nan_to_num(maps.front, nan=1.0))[..., None]
    bent = maps.normal_front + tilt * np.stack([du * person.camera.fx, dv * person.camera.fy, np.zeros_like(du)], -1)
    bent = _unit(bent)
    bent[~maps.mask] = 0
    return replace(maps, front=front, normal_front=bent.astype(np.float32), method=maps.method + "+shading")


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def forget(kind: str) -> None:
    """Drop "prior", "figure" or "two_k" early (called when the last stage has it)."""
    _last.pop(kind, None)
