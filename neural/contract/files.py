"""Files and folders that appear whole or not at all, also when the power fails. Standard library only.

Work is done in `part_of(final)` beside its final place. Then everything is brought to the disk, and a rename puts it in
place; what was there before stays until then. `sweep` ends what a crash interrupted.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

PART, OLD, KEPT = ".likeness-part", ".likeness-old", ".likeness-frames"


def sha256_of(file: Path) -> str:
    """Of a file's content; of a folder's files by name, size and time; "" when it cannot be read."""
    try:
        if file.is_dir():
            rows = sorted((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in os.scandir(file) if f.is_file())
            return hashlib.sha256(repr(rows).encode()).hexdigest()
        with open(file, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def part_of(final: Path, suffix: str = "") -> Path:
    """Where `final` is made: a hidden name beside it; with a suffix for exporters that look at it."""
    return final.with_name(f".{final.name}{PART}{suffix}")


def kept_of(final: Path) -> Path:
    """Where finished parts of a long work on `final` wait for the rest; `sweep` leaves it alone."""
    return final.with_name(f".{final.name}{KEPT}")


def final_of(part: Path) -> Path | None:
    """What `part` (of part_of, without suffix) will be; None when it is no such name."""
    name = part.name
    return part.with_name(name[1:-len(PART)]) if name.startswith(".") and name.endswith(PART) and len(name) > len(PART) + 1 else None


def sync(path: Path) -> None:
    """Bring a file's content, or a folder's list of names, to the disk. OSError when that fails."""
    if os.name == "nt" and path.is_dir():
        return                                        # folders cannot be opened there; NTFS journals its names
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """All files below a folder, then the folders."""
    for here, _, names in os.walk(folder, topdown=False):
        for name in names:
            if not os.path.islink(os.path.join(here, name)):
                sync(Path(here, name))
        sync(Path(here))


def remove(path: Path) -> None:
    """Take away a file, a link, or a folder with all that is in it; nothing there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def replace_file(part: Path, final: Path) -> None:
    """A finished file takes its place."""
    sync(part)
    os.replace(part, final)
    sync(final.parent)


def replace_folder(part: Path, final: Path) -> None:
    """A finished folder takes its place; an older one goes only when the new one is there."""
    sync_tree(part)
    old = _old_of(final)
    remove(old)
    if os.path.lexists(final):
        final.rename(old)
    try:
        part.rename(final)
    except OSError:
        if os.path.lexists(old):
            old.rename(final)
        raise
    sync(final.parent)
    shutil.rmtree(old, ignore_errors=True)            # a leftover is swept later; the result is what counts
    if old.is_symlink():
        old.unlink()


def _old_of(final: Path) -> Path:
    return final.with_name(f".{final.name}{OLD}")


def sweep(folder: Path) -> None:
    """End what a crash has left: unfinished parts go; an older result whose successor never came is put back.

    Only for a folder that nobody else works in. A leftover that cannot be removed stays."""
    for path in list(folder.iterdir()):
        try:
            if path.name.startswith(".") and path.name.endswith(OLD):
                final = path.with_name(path.name[1:-len(OLD)])
                remove(path) if os.path.lexists(final) else path.rename(final)
            elif path.name.startswith(".") and (path.name.endswith(PART) or path.stem.endswith(PART)):
                remove(path)
        except OSError:
            continue
