"""A result folder on its way from another machine: names and bytes of its files. Standard library only.

Who unpacks trusts nothing: names lead nowhere but into the folder, links are not made, and the size is known before it is written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from .errors import InternalError

MOST_FILES, MOST_BYTES = 500, 4 << 30
_PART = re.compile(r"(?!\.)[^\x00-\x1f/\\]{1,200}")                        # one name, and none that is hidden
_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|.*[:*?\"<>|].*|.*[. ]", re.I)      # names that mean something else there


def pack(folder: Path) -> list[tuple[str, bytes]]:
    """(name within the folder, content) of all files below it. InternalError for a link."""
    refuse_links(folder)
    return [(f.relative_to(folder).as_posix(), f.read_bytes()) for f in sorted(folder.rglob("*")) if f.is_file()]


def unpack(files: Sequence[tuple[str, bytes]], folder: Path) -> None:
    """Writes the files into `folder`, which is there and empty. InternalError (internal.result) before anything is written when it is no bundle of
    ours; OSError."""
    try:
        names = [_checked(name) for name, data in files if type(data) is bytes]
        size = sum(len(data) for _, data in files)
    except (TypeError, ValueError) as exc:
        raise broken(f"no list of files: {exc}") from exc
    folded = [n.casefold() for n in names]
    if len(names) != len(files) or len(files) > MOST_FILES or size > MOST_BYTES or len(set(folded)) != len(folded):
        raise broken(f"{len(files)} files of {size} bytes")
    for name, data in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as stream:
            stream.write(data)


def refuse_links(folder: Path) -> None:
    """InternalError when anything below the folder is a link, or neither a file nor a folder: it could lead out of it."""
    for here, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(here, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise broken(f"'{name}' is no plain file")


def _checked(name: str) -> str:
    if type(name) is not str or not 0 < len(name) <= 300:
        raise broken("a name that is none")
    parts = name.split("/")
    if len(parts) > 4 or not all(_PART.fullmatch(p) and not (os.name == "nt" and _WINDOWS.fullmatch(p)) for p in parts):
        raise broken(f"the name {name[:80]!r}")
    return name


def broken(what: str) -> InternalError:
    """What came is no result of ours."""
    return InternalError("internal.result", f"What another machine sent is no result ({what}).",
                         "Check that this machine may be trusted and has the same Likeness; then start again.")
