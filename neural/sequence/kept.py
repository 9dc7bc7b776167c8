"""Frames' results that are finished stay beside the place of the whole result until that is there, so that a crash costs one frame."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Callable

from ..cache import code_key
from ..contract import files
from ..contract.job import JobOptions
from .fit import SequenceFit


class Kept:
    """A folder of finished frames. folder: None keeps nothing. What was made with other options, other code or another motion goes."""

    def __init__(self, folder: Path | None, options: JobOptions, fit: SequenceFit, numbers: list[int]):
        self.folder = None
        if folder is None:
            return
        told = json.dumps([code_key(), options.to_json(), numbers], sort_keys=True, default=str)
        key = hashlib.sha256(told.encode() + fit.poses.tobytes() + fit.betas.tobytes() + fit.translations.tobytes()).hexdigest()
        if folder.is_symlink() or not folder.is_dir():
            files.remove(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.iterdir():
            if other.name != key:
                files.remove(other)
        self.folder = folder / key
        self.folder.mkdir(exist_ok=True)
        files.sweep(self.folder)

    def frame(self, number: int, out: Path, make: Callable[[Path], None]) -> bool:
        """out/NUMBER: from here, or made by `make(folder)`, which may raise. True when it was here."""
        final = out / f"{number:06d}"
        if self.folder is None:
            make(final)
            return False
        mine = self.folder / final.name
        known = (mine / "report.json").is_file()
        if not known:
            part = files.part_of(mine)
            files.remove(part)
            make(part)
            files.replace_folder(part, mine)
        out.mkdir(parents=True, exist_ok=True)
        shutil.copytree(mine, final, copy_function=_link)
        return known


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:                                   # a file system without hard links
        shutil.copy2(source, target)
