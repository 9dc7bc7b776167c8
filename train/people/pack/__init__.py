"""All ingredients of the generator in memory: `load(path_or_folder)` gives types.Pack, `catalogue(path_or_folder)` the names in it.

Texture names: an item's own picture has the item's name; skins have theirs; eyes "iris blue" …; characters "NAME/1" ….
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Callable

from neural.contract.errors import OptionError

from .. import base as base_mesh
from .. import split
from ..types import Pack
from .catalogue import Catalogue, Entry, catalogue, irises, part_of_iris, worn_records
from .file import VERSION
from .folder import Source
from .items import build as build_items
from .people import build as build_people
from .people import textures_of
from .textures import table
from .world import poses, surroundings

__all__ = ["Catalogue", "Entry", "catalogue", "load"]

SKIN_SIDE, ITEM_SIDE = 1024, 512
"""Longest side of a texture in texels."""


@lru_cache(maxsize=2)
def load(path: str | Path, part: str = "train", people: bool = True, warn: Callable[[str], None] = print) -> Pack:
    """Everything of a part ("train" with the poses that choose settings, "held", or "all") of an asset folder or a pack file, on the CPU.

    people=False leaves out the whole characters (faster). OptionError "option.*" when something is missing or broken; `warn` gets a sentence for
    what could be mended. The same call gives the same Pack again.
    """
    if part not in ("train", "held", "all"):
        raise OptionError("option.part", f"There is no part '{part}'.", "Choose train, held or all.")
    source = Source.open(path)
    _fits(source, part)
    keep = lambda of: split.wanted(part, of)
    records = worn_records(source, part)
    avatars = [r for r in source.of("avatar") if people and keep(split.part_of("avatar", r["name"]))]
    jobs, missing = [], []
    for r in records:
        file = (r.get("textures") or {}).get("diffuse")
        if file:
            jobs.append((r["name"], f"{r['dir']}/{file}", ITEM_SIDE))
        elif (r.get("slot") or r["kind"]) != "eyes":
            missing.append(r["name"])
    for name in missing:
        warn(f"{name}: has no texture; it is drawn plain")
    skins = [r for r in source.of("skin") if keep(split.part_of("skin", r["name"]))]
    jobs += [(r["name"], f"{r['dir']}/{r['files'][0]}", SKIN_SIDE) for r in skins]
    jobs += [(n, file, 256) for n, file in irises(source) if keep(part_of_iris(n))]
    jobs += textures_of(source, avatars, ITEM_SIDE)
    rows = {name: row for row, (name, _, _) in enumerate(jobs)}
    iris = rows.get("iris brown", min((row for name, row in rows.items() if name.startswith("iris ")), default=-1))
    eyes = {r["name"] for r in records if (r.get("slot") or r["kind"]) == "eyes"}
    row = lambda name: rows.get(name, iris if name in eyes else -1)
    return Pack(
        base=base_mesh.load(),
        items=build_items(source, records, row, split.part_of_item, warn),
        people=build_people(source, avatars, rows),
        poses=poses(source, split.part_of_pose, keep),
        textures=table((name, source.picture(file), most) for name, file, most in jobs),
        surroundings=surroundings(source, split.part_of_place, keep))


def _fits(source: Source, part: str) -> None:
    held = source.header.get("part", part)
    if held not in (part, "all"):
        raise OptionError("option.part", f"The pack file holds the part '{held}' only, not '{part}'.",
                          f"Make another with 'dev.py train pack --part {part}', or give the asset folder.")
    if source.packed and (source.header.get("version"), source.header.get("split")) != (VERSION, split.digest()):
        raise OptionError("option.pack", "The pack file was made by another version of this program.", "Make it again with 'dev.py train pack'.")
