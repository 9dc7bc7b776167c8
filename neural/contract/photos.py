"""Which photos a person means: files, folders and patterns, in the order a person would put them. Standard library only.

Patterns are expanded here as well, since not every shell does it (Windows' does not).
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from .errors import OptionError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".bmp")
LONGEST_NAME = 180      # bytes of a result folder's name: room for our temporary names within the usual 255


def natural_key(text: str) -> tuple:
    """Sorts as people count: a2 before a10."""
    return tuple(int(p) if n % 2 else p for n, p in enumerate(re.split(r"(\d+)", text.casefold()))), text


def photos_in(folder: Path) -> list[Path]:
    """The photos of a folder (not of folders in it), in natural order; hidden files are left out."""
    return sorted((p for p in folder.iterdir() if _is_photo(p) and not p.name.startswith(".")), key=lambda p: natural_key(p.name))


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def expand(given: Iterable[str | os.PathLike], out: Path) -> list[Path]:
    """Absolute paths of all photos meant, each once. A file counts as it is, whatever its suffix, even if it is missing
    (its job then says so). A pattern never means the pictures among the results, in `out`. OptionError when a folder or a
    pattern holds no photo."""
    found: dict[str, Path] = {}
    for argument in map(os.fspath, given):
        path = Path(os.path.abspath(argument))      # not resolve(): a link keeps its own name
        if path.is_dir():
            photos = photos_in(path)
        elif glob.has_magic(argument) and not os.path.lexists(path):
            photos = [p for p in _matches(str(path)) if Path(os.path.abspath(out)) not in p.parents]
        else:
            photos = [path]
        if not photos:
            raise OptionError("option.no-photos", f"There is no photo in '{argument}'.",
                              "Give photos, folders of photos, or patterns such as 'holiday/*.jpg'.")
        found.update({os.path.normcase(p): p for p in photos})
    return list(found.values())


def _matches(pattern: str) -> list[Path]:
    """A pattern that ends in a plain suffix says what it wants; any other finds photos, and folders of them."""
    plain = bool(Path(pattern).suffix) and not glob.has_magic(Path(pattern).suffix)
    out: list[Path] = []
    for path in map(Path, sorted(glob.glob(pattern, recursive=True), key=natural_key)):
        if path.is_dir():
            out += [] if "**" in pattern else photos_in(path)
        elif plain or _is_photo(path):
            out.append(path)
    return out


def folder_name(photo: Path, taken: Collection[str]) -> str:
    """Name of the folder for a photo's result: its stem, with a number where that is taken. taken: names, case-folded."""
    stem = re.sub(r"[\x00-\x1f\\\ud800-\udfff]", "_", photo.stem.lstrip("."))
    if os.name == "nt":
        stem = stem.rstrip(". ")
    stem = stem.encode("utf-8")[:LONGEST_NAME].decode("utf-8", "ignore") or "photo"
    name, number = stem, 2
    while name.casefold() in taken or name.casefold().endswith(".previous"):      # where a good result is set aside
        name, number = f"{stem}-{number}", number + 1
    return name
