"""How the pieces look, as rows of Materials."""

from __future__ import annotations

from typing import Sequence

import torch

from neural.contract.errors import OptionError

from ..recipe import FABRICS, Fabric, PersonRecipe
from ..types import Items, Materials, Textures
from .rows import Rows

SKIN_GLOSS, EYE_GLOSS, TOOTH_GLOSS = 0.25, 0.8, 0.5


def materials(recipes: Sequence[PersonRecipe], rows: Rows, items: Items, textures: Textures) -> Materials:
    """One row per piece of `rows`, in their order."""
    number = {name: k for k, name in enumerate(textures.names)}
    kind, texture, fabric, wrinkle, alpha = [], [], [], [], []
    for person, k, worn in zip(rows.person.tolist(), rows.item.tolist(), rows.worn):
        item, recipe = items.items[k], recipes[person]
        look = worn.fabric if worn else Fabric(tint=recipe.skin_tint, gloss=SKIN_GLOSS)
        picture = item.texture
        if item.slot == "body":
            picture = _named(number, recipe.skin) if recipe.skin else picture
        elif item.slot == "eyes":
            picture = _named(number, recipe.eyes) if recipe.eyes else picture
            look = Fabric(gloss=EYE_GLOSS)
        elif item.slot in ("teeth", "tongue"):
            look = Fabric(gloss=TOOTH_GLOSS)
        if look.kind not in FABRICS:
            raise OptionError("option.fabric", f"There is no fabric called '{look.kind}'.", f"Choose one of: {', '.join(FABRICS)}.")
        plain = look.kind == "texture" and picture < 0
        kind.append(FABRICS.index("plain" if plain else look.kind))
        texture.append(picture)
        fabric.append(look)
        wrinkle.append((worn.wrinkle_m, worn.wrinkle_length_m, worn.fold_stretch) if worn else (0.0, 0.03, 1.0))
        alpha.append(item.alpha)
    return _table(kind, texture, fabric, wrinkle, alpha, items.ref.device)


def whole_materials(fabrics: Sequence[Fabric], textures: Sequence[int], device) -> Materials:
    """Rows that show a picture each (whole characters)."""
    return _table([0] * len(textures), list(textures), list(fabrics), [(0.0, 0.03, 1.0)] * len(textures), [False] * len(textures), device)


def _table(kind, texture, fabric, wrinkle, alpha, device) -> Materials:
    t = lambda x, d=torch.float32: torch.tensor(x, dtype=d).to(device)
    return Materials(
        kind=t(kind, torch.int64), texture=t(texture, torch.int64), colours=t([f.colours for f in fabric]).view(-1, 3, 3),
        tint=t([f.tint for f in fabric]).view(-1, 3), scale=t([f.scale_m for f in fabric]), angle=t([f.angle for f in fabric]),
        seed=t([f.seed for f in fabric], torch.int64), gloss=t([f.gloss for f in fabric]), alpha=t(alpha, torch.bool), wrinkle=t(wrinkle).view(-1, 3))


def _named(number: dict[str, int], name: str) -> int:
    if name not in number:
        raise OptionError("option.texture", f"There is no picture called '{name}' in this pack.",
                          "Take a name from the pack's textures, or make the pack again from assets that hold it.")
    return number[name]
