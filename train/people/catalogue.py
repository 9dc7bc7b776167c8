"""What a recipe may choose from: names by slot, sex and part of the split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .types import Pack

SEXES = ("f", "m")


@dataclass(frozen=True)
class Catalogue:
    """Names only, sorted, so that a choice depends on the seed and the catalogue alone.

    worn: (slot, sex) -> items; skins: sex -> textures; poses: all, standing ones; people: whole characters; modes: K of the base.
    traits: readouts of gender, age, … (types.Base). thin: items of skin-tight cloth that must not be inflated (hair, glasses, shoes).
    """

    worn: dict[tuple[str, str], tuple[str, ...]]
    skins: dict[str, tuple[str, ...]]
    eyes: tuple[str, ...]
    poses: tuple[str, ...]
    standing: tuple[str, ...]
    hands: tuple[str, ...]
    photo: tuple[str, ...]
    people: tuple[str, ...]
    lights: tuple[str, ...]
    views: tuple[str, ...]
    expressions: tuple[str, ...]
    modes: int
    traits: dict[str, np.ndarray]
    cloth: frozenset[str]

    @staticmethod
    def of(pack: Pack, parts: tuple[str, ...] = ("train",)) -> "Catalogue":
        """The named parts of a pack. parts: "train", "val", "held"."""
        from .build.pose import PHOTO_POSES

        items = [i for i in pack.items.items if i.part in parts]
        slots = sorted({i.slot for i in items})
        worn = {(slot, sex): tuple(sorted(i.name for i in items if i.slot == slot and i.sex in (sex, "any")))
                for slot in slots for sex in SEXES}
        textures = pack.textures
        names = [n for n, p in zip(textures.names, textures.part or ("train",) * len(textures.names)) if p in parts]
        skins = {sex: tuple(sorted(n for n in names if n.startswith("skins/") and _sex_of_skin(n) == sex)) for sex in SEXES}
        rows = [k for k, p in enumerate(pack.poses.part) if p in parts]
        s = pack.surroundings
        return Catalogue(
            worn=worn, skins=skins, eyes=tuple(sorted(n for n in names if n.startswith("eyes/"))),
            poses=tuple(pack.poses.names[k] for k in rows), standing=tuple(pack.poses.names[k] for k in rows if pack.poses.standing[k]),
            hands=tuple(pack.poses.names[k] for k in rows), photo=tuple(PHOTO_POSES), people=tuple(sorted(p.name for p in pack.people)),
            lights=tuple(n for n, p in zip(s.lights, s.light_part) if p in parts),
            views=tuple(n for n, p in zip(s.background_names, s.background_part) if p in parts),
            expressions=pack.base.expressions, modes=pack.base.modes.shape[2],
            traits={k: v.cpu().numpy() for k, v in pack.base.traits.items()}, cloth=frozenset(i.name for i in items if i.cloth))


def _sex_of_skin(name: str) -> str:
    return "f" if "female" in name else "m"
