"""Results of stages kept on disk, so that a change re-runs only what depends on it.

A key is the hash of the stage's name, of all our code, the options that the stage reads, and the keys of its inputs; the
first key is the hash of the photo's bytes. A result is one .npz: arrays as they are, everything else as JSON. No pickle.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import types
import typing
import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from .contract.job import JobOptions

LIMIT_BYTES = 2 << 30  # the oldest results go first

READS = {  # which options decide a stage's own result, beyond its inputs
    "s01_photo": (),
    "s02_person": ("preset", "person", "person_at", "mask"),
    "s03_body": ("body", "height_m", "seed"),
    "s04_coarse": ("preset", "device", "depth", "surface", "seed"), "s05_parts": ("device",), "s06_depth": ("device",),
    "s07_points": (), "s08_face": ("face", "device"),
    "s09_surface": ("preset", "surface", "stitch", "device"),
    "s10_texture": ("preset", "device", "seed", "texture", "remove_shading"), "s11_rig": (),
}


def photo_key(path: Path) -> str:
    """sha256 of the photo's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1)
def code_key(root: Path = Path(__file__).parent) -> str:
    """sha256 over the package's .py files: a result of other code is another result. 1 MB, read once a process."""
    total = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        total.update(f"{file.relative_to(root).as_posix()}\0{photo_key(file)}\n".encode())
    return total.hexdigest()


def stage_key(stage: str, options: JobOptions, inputs: list[str], files: tuple[Path, ...] = ()) -> str:
    """Key of a stage's result. `files`: further files whose content matters (a person's own mask or body)."""
    chosen = {name: getattr(options, name) for name in READS[stage]}
    stamps = [photo_key(f) for f in files if f.is_file()]
    text = json.dumps([code_key(), stage, chosen, inputs, stamps], sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()


class StageCache:
    """A folder of results. Missing, damaged or foreign files count as not there."""

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES):
        self.folder, self.limit = folder, limit_bytes

    def load(self, key: str, kind: type) -> tuple[object, list[dict]] | None:
        """The stored result of dataclass `kind` and the warnings that came with it, or None."""
        file = self.folder / f"{key}.npz"
        try:
            with np.load(file, allow_pickle=False) as stored:
                data = json.loads(str(stored["json"]))
                result = decode(kind, data["result"], stored), data["warnings"]
            os.utime(file)
            return result
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            return None

    def save(self, key: str, result, warnings: list[dict]) -> None:
        """Store atomically. A full disk is not an error here: the cache is a convenience."""
        part = self.folder / f"{key}.part.npz"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            arrays: dict[str, np.ndarray] = {}
            text = json.dumps({"result": encode(result, "", arrays), "warnings": warnings})
            np.savez(part, json=np.array(text), **arrays)
            part.replace(self.folder / f"{key}.npz")
            self._prune()
        except OSError:
            part.unlink(missing_ok=True)

    def _prune(self) -> None:
        files = sorted(self.folder.glob("*.npz"), key=lambda f: f.stat().st_mtime, reverse=True)
        total = 0
        for file in files:
            total += file.stat().st_size
            if total > self.limit:
                file.unlink(missing_ok=True)


def encode(value, path: str, arrays: dict[str, np.ndarray]):
    """JSON-able form of a result dataclass; its arrays go into `arrays` under their path."""
    if dataclasses.is_dataclass(value):
        return {f.name: encode(getattr(value, f.name), f"{path}/{f.name}", arrays) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return {"array": path}
    if isinstance(value, (np.floating, np.integer, np.bool_)):
        return value.item()
    if isinstance(value, (tuple, list)):
        return [encode(v, f"{path}/{i}", arrays) for i, v in enumerate(value)]
    return value


def decode(kind, data, arrays):
    """The inverse of `encode` for the annotated type `kind`."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
        origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{f.name: decode(hints[f.name], data[f.name], arrays) for f in dataclasses.fields(kind)})
    if kind is np.ndarray:
        return arrays[data["array"]]
    if origin is tuple:
        return tuple(data)
    return data
