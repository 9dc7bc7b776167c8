"""Which assets train, which choose settings (poses only), which are only measured with. The table is split.toml; fixed, nothing may move.

Poses and characters agree with train/lifter/split.py. An asset that the table does not name (a folder of one's own) is held when a hash
of its kind and name says so: about one in five, the same on every machine and whatever else lies in the folder.
"""

from __future__ import annotations

import hashlib
import tomllib
from functools import lru_cache
from pathlib import Path

PATH = Path(__file__).with_name("split.toml")
PARTS = ("train", "val", "held")

SHA256 = "d25ba9e540a71460d29fa529e9046c90913109ea329c374a5e2811decc28c7f9"
"""Of the table's text: a change must be made on purpose, and all networks trained before be named as trained with the older one."""


@lru_cache(maxsize=1)
def table() -> dict[str, dict[str, str]]:
    """Group (a slot of clothes, "skin", "iris", "place", "avatar", "clip") -> name -> part."""
    data = tomllib.loads(PATH.read_text(encoding="utf-8"))
    return {group: {name: part for part, names in parts.items() for name in names} for group, parts in data.items() if isinstance(parts, dict)}


@lru_cache(maxsize=1)
def shared() -> tuple[str, ...]:
    """Slots that every person needs; they belong to all parts."""
    return tuple(tomllib.loads(PATH.read_text(encoding="utf-8"))["shared"])


def part_of(group: str, name: str) -> str:
    """"train", "val", "held" or, for parts of every body, "shared"."""
    if group in shared():
        return "shared"
    known = table().get(group, {}).get(name)
    return known or ("held" if hashlib.sha256(f"{group}/{name}".encode()).digest()[0] < 51 else "train")


def part_of_item(record: dict) -> str:
    """Part of a record of index.json that is worn."""
    return part_of(record.get("slot") or record["kind"], record["name"])


def part_of_pose(name: str) -> str:
    """A motion clip is never cut in two: cmu_02_01_240 goes where cmu_02_01 goes."""
    return part_of("clip", "_".join(name.split("_")[:3]) if name.startswith("cmu_") else name)


def part_of_place(name: str) -> str:
    """Of a light (place_1k) or a view of the place (place_1k_3)."""
    stem, _, number = name.rpartition("_")
    return part_of("place", stem if stem and number.isdigit() and name not in table()["place"] else name)


def wanted(part: str, of: str) -> bool:
    """Whether a thing of part `of` is read when `part` is asked for ("all", "train" with val, "held")."""
    return part == "all" or of == "shared" or of == part or (part == "train" and of == "val")


def digest() -> str:
    return hashlib.sha256(PATH.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
