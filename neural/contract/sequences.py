"""Which frames a person means: a folder of numbered pictures, pictures of one folder, or a video. Standard library only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from .errors import OptionError
from .photos import SUFFIXES, natural_key, photos_in

MODES = ("animated", "per-frame")
VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
DEFAULT_FPS = 24.0
"""Of pictures, which do not say it; Blender's own default."""


def is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS


def expand_sequences(given: Iterable[str | os.PathLike]) -> list[tuple[Path, tuple[str, ...]]]:
    """(folder or video, names) of each sequence meant; names () = all pictures of the folder. Pictures that are given one by one (also as a
    pattern that the shell has expanded) make one sequence a folder. OptionError when there is none."""
    found: dict[Path, list[str]] = {}
    for argument in map(os.fspath, given):
        path = Path(os.path.abspath(argument))
        if path.is_dir():
            if not photos_in(path):
                raise OptionError("option.no-photos", f"There is no picture in '{argument}'.", "Give a folder of pictures, or a video.")
            found.setdefault(path, [])
        elif is_video(path):
            found.setdefault(path, [])
        elif path.suffix.lower() in SUFFIXES:
            found.setdefault(path.parent, []).append(path.name)
        else:
            raise OptionError("option.no-photos", f"'{argument}' is no folder of pictures, no picture and no video.",
                              f"Give a folder of pictures, or a video ({', '.join(VIDEOS)}).")
    return [(path, tuple(sorted(set(names), key=natural_key))) for path, names in found.items()]


def frame_numbers(names: list[str]) -> list[int]:
    """The number of each picture: the last digits of its name where all have some and no two the same, else 1, 2, 3 …"""
    digits = [re.findall(r"\d+", Path(n).stem) for n in names]
    if all(digits):
        numbers = [int(d[-1][-9:]) for d in digits]
        if all(b > a for a, b in zip(numbers, numbers[1:])):
            return numbers
    return list(range(1, len(names) + 1))
