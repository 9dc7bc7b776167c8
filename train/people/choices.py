"""What a recipe may choose from: names by slot and sex, bodies, poses, of the wanted parts of the split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import base
from .pack import Catalogue
from .types import Pack

SEXES = ("f", "m")
CLIMBING = "cmu_01_"
"""Clips on a playground's bars: upright, but nobody stands like that on a floor."""


@dataclass(frozen=True)
class Skin:
    """A skin texture. age: "young", "middleage", "old" or ""; dark: made for dark skin."""

    name: str
    sex: str
    age: str
    dark: bool


@dataclass(frozen=True)
class Choices:
    """Names only, in a fixed order, so that a recipe depends on its seed and these alone.

    worn: (slot, sex) -> items; skins; eyes; poses: all, standing: those on two feet; photo: standing-for-a-photo poses; people: whole
    characters; lights, views; expressions. bodies (S, K) float32 shapes, gender (0 man, 1 woman), age (0.67 young, 1 old), african (S,).
    cloth: items that may be inflated, folded and re-coloured.
    """

    worn: dict[tuple[str, str], tuple[str, ...]]
    skins: tuple[Skin, ...]
    eyes: tuple[str, ...]
    poses: tuple[str, ...]
    standing: tuple[str, ...]
    photo: tuple[str, ...]
    people: tuple[str, ...]
    lights: tuple[str, ...]
    views: tuple[str, ...]
    expressions: tuple[str, ...]
    bodies: np.ndarray
    gender: np.ndarray
    age: np.ndarray
    african: np.ndarray
    cloth: frozenset[str]

    @staticmethod
    def of(pack: Pack, catalogue: Catalogue, part: str = "train", photo: tuple[str, ...] = ()) -> "Choices":
        """part: "train", "val" (train's things, other poses) or "held". The pack must have been loaded with that part."""
        things, poses = ("held" if part == "held" else "train"), part
        items = [i for i in pack.items.items if i.part in (things, "shared")]
        slots = sorted({i.slot for i in items} - {"body"})
        worn = {(slot, sex): tuple(sorted(i.name for i in items if i.slot == slot and i.sex in (sex, "any"))) for slot in slots for sex in SEXES}
        entries = [e for e in catalogue.entries if e.part in (things, "shared")]
        names = lambda slot: tuple(sorted(e.name for e in entries if e.slot == slot))
        rows = [k for k, p in enumerate(pack.poses.part) if p in (poses, "shared")]
        s, bodies = pack.surroundings, base.bodies()
        return Choices(
            worn=worn, skins=tuple(Skin(e.name, e.sex, e.age, "dark" in e.name or "african" in e.name) for e in entries if e.slot == "skin"),
            eyes=names("iris"), poses=tuple(pack.poses.names[k] for k in rows),
            standing=tuple(pack.poses.names[k] for k in rows if pack.poses.standing[k] and not pack.poses.names[k].startswith(CLIMBING)),
            photo=photo, people=tuple(sorted(p.name for p in pack.people)),
            lights=tuple(n for n, p in zip(s.lights, s.light_part) if p in (things, "shared")),
            views=tuple(n for n, p in zip(s.background_names, s.background_part) if p in (things, "shared")),
            expressions=pack.base.expressions, bodies=bodies.k, gender=bodies.sliders["gender"], age=bodies.sliders["age"],
            african=bodies.sliders["african"], cloth=frozenset(i.name for i in items if i.cloth))
