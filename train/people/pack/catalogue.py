"""What there is to choose from, without the meshes: names and parts. Casting draws from it; it is the same for a folder and its pack file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .. import split
from .folder import Source
from .world import clip_of

WORN = ("clothes", "hair", "eyebrows", "eyelashes", "eyes", "teeth", "tongue")
"""Kinds of the index that become items."""


@dataclass(frozen=True)
class Entry:
    """One thing by name. slot: as Item.slot, or "skin", "iris", "light", "background", "pose", "avatar"; sex "f", "m", "any"; age (skins): "young",
    "middleage", "old" or ""; tone (skins): "light", "dark" …; clip (poses); standing (poses)."""

    name: str
    slot: str
    part: str
    sex: str = "any"
    age: str = ""
    tone: str = ""
    clip: str = ""
    standing: bool = False
    licence: str = ""
    author: str = ""


@dataclass(frozen=True)
class Catalogue:
    """All entries, in a fixed order."""

    entries: tuple[Entry, ...]

    def of(self, *slots: str, part: str = "all", sex: str = "any") -> list[Entry]:
        """Entries of these slots that belong to a part ("shared" ones always) and fit a sex."""
        return [e for e in self.entries if e.slot in slots and (part == "all" or e.part in (part, "shared"))
                and (sex == "any" or e.sex in ("any", sex))]

    def find(self, name: str) -> Entry | None:
        return next((e for e in self.entries if e.name == name), None)


def worn_records(source: Source, part: str) -> list[dict]:
    """Records of the items of a part, in the order of Items (behind the body)."""
    return [r for kind in WORN for r in source.of(kind) if split.wanted(part, split.part_of_item(r))]


def irises(source: Source) -> list[tuple[str, str]]:
    """(name "iris blue", path) of the eye textures."""
    return [(f"iris {f.rsplit('.', 1)[0]}", f"{r['dir']}/{f}") for r in source.of("eye_textures") for f in sorted(r["files"])]


def part_of_iris(name: str) -> str:
    return split.part_of("iris", name.removeprefix("iris "))


@lru_cache(maxsize=4)
def catalogue(path: str | Path, part: str = "all") -> Catalogue:
    """Everything of a folder or pack file that belongs to a part ("train", "held" or "all")."""
    source = Source.open(path)
    out = [Entry("body", "body", "shared")]
    for r in worn_records(source, part):
        out.append(Entry(r["name"], r.get("slot") or r["kind"], split.part_of_item(r), r.get("sex") or "any", licence=r["licence"],
                         author=r.get("author", "")))
    for r in source.of("skin"):
        age = str(r.get("age") or "")
        age = next((a for a in ("young", "middle", "old") if a in age or f"_{a}" in r["name"]), "")
        out.append(Entry(r["name"], "skin", split.part_of("skin", r["name"]), r.get("sex") or "any", "middleage" if age == "middle" else age,
                         str(r.get("tone") or ""), licence=r["licence"], author=r.get("author", "")))
    out += [Entry(n, "iris", part_of_iris(n)) for n, _ in irises(source)]
    out += [Entry(r["name"], "light", split.part_of_place(r["name"]), licence=r["licence"]) for r in source.of("hdri")]
    out += [Entry(v, "background", split.part_of_place(v), licence=r["licence"]) for r in source.of("background")
            for v in (f.rsplit(".", 1)[0] for f in r["files"])]
    if source.has("poses/poses.npz"):
        data = source.arrays("poses/poses.npz", ("names", "standing", "licence"))
        out += [Entry(str(n), "pose", split.part_of_pose(str(n)), clip=clip_of(str(n)), standing=bool(s), licence=str(lic))
                for n, s, lic in zip(data["names"], data["standing"], data["licence"])]
    out += [Entry(r["name"], "avatar", split.part_of("avatar", r["name"]), r.get("sex") or "any", licence=r["licence"], author=r.get("author", ""))
            for r in source.of("avatar")]
    return Catalogue(tuple(e for e in out if split.wanted(part, e.part)))
