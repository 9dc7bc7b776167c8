"""Reading an asset folder, or a pack file that holds the same folder in small: index, meshes and pictures by path."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from neural.contract.errors import OptionError

from .small import large, stepped

REMEDY = "Give a folder as docs/people.md describes it, or a file made by 'dev.py train pack'."


@dataclass(frozen=True)
class Source:
    """An asset folder or pack file; names are relative with forward slashes."""

    path: Path

    @staticmethod
    def open(path) -> "Source":
        path = Path(path)
        if not path.exists():
            raise OptionError("option.assets", f"There is nothing at '{path}'.", REMEDY)
        source = Source(path)
        if path.is_file() and not zipfile.is_zipfile(path):
            raise OptionError("option.assets", f"'{path.name}' is no pack file.", REMEDY)
        source.index
        return source

    @property
    def packed(self) -> bool:
        return self.path.is_file()

    @cached_property
    def _zip(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.path)

    def read(self, name: str) -> bytes:
        """The bytes of a file; OptionError "option.missing" when it is not there or cannot be read."""
        try:
            return self._zip.read(name) if self.packed else (self.path / PurePosixPath(name)).read_bytes()
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise OptionError("option.missing", f"'{name}' of the assets '{self.path.name}' cannot be read ({error}).",
                              "Copy the folder or the pack file again; it is not complete.") from None

    def has(self, name: str) -> bool:
        return name in self._zip.namelist() if self.packed else (self.path / PurePosixPath(name)).is_file()

    @cached_property
    def index(self) -> tuple[dict, ...]:
        """The records of index.json that have what they need; OptionError when it is broken."""
        try:
            items = json.loads(self.read("index.json"))["items"]
            for item in items:
                item["name"], item["kind"]
                item.setdefault("licence", "not stated")
                item.setdefault("dir", {"skin": "skins", "avatar": f"avatars/{item['name']}"}.get(item["kind"], f"{item['kind']}/{item['name']}"))
        except (ValueError, KeyError, TypeError) as error:
            raise OptionError("option.index", f"index.json of the assets '{self.path.name}' is broken ({error}).", REMEDY) from None
        return tuple(items)

    @cached_property
    def header(self) -> dict:
        """What a pack file says of itself: version, part, split; empty for a folder."""
        return {k: v for k, v in json.loads(self.read("index.json")).items() if k != "items"} if self.packed else {}

    def record(self, name: str, kind: str) -> dict:
        return next(i for i in self.index if i["name"] == name and i["kind"] == kind)

    def of(self, kind: str) -> list[dict]:
        return sorted((i for i in self.index if i["kind"] == kind), key=lambda i: i["name"])

    def json(self, name: str) -> dict:
        """A .json file; OptionError "option.missing" when it is not there, "option.index" when it is broken."""
        try:
            return json.loads(self.read(name))
        except ValueError as error:
            raise OptionError("option.index", f"'{name}' of the assets '{self.path.name}' is broken ({error}).", REMEDY) from None

    def arrays(self, name: str, needed: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
        """The arrays of an npz, in the steps that a pack file keeps; OptionError "option.mesh" when it is broken or lacks one of `needed`."""
        try:
            with np.load(io.BytesIO(self.read(name)), allow_pickle=False) as z:
                out = {k: z[k] for k in z.files}
        except (ValueError, OSError, zipfile.BadZipFile, EOFError) as error:
            if isinstance(error, OptionError):
                raise
            raise _mesh(name, f"is no readable npz ({error})") from None
        missing = [k for k in needed if k not in out]
        if missing:
            raise _mesh(name, f"has no array {', '.join(missing)}")
        return large(out) if self.packed else stepped(out)

    def picture(self, name: str) -> np.ndarray:
        """(H, W, 4) uint8 sRGB and alpha; OptionError "option.picture" when it is broken."""
        data = self.read(name)
        try:
            image = Image.open(io.BytesIO(data))
            return np.asarray(image.convert("RGBA"))
        except Exception as error:
            raise OptionError("option.picture", f"The picture '{name}' is broken ({error}).", "Replace the file.") from None


def _mesh(name: str, what: str) -> OptionError:
    return OptionError("option.mesh", f"The mesh '{name}' {what}.",
                       "Make it again (garments: 'python -m train.people.makehuman'), or leave it out of index.json.")
