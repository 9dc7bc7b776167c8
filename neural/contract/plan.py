"""What a batch has to do, from what is asked for, what the journal knows, and what lies in the folder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from .files import sha256_of
from .job import JobOptions
from .journal import CANCELLED, DONE, FAILED, FILE, SKIPPED, WAITING, Journal, Row, seen
from .photos import folder_name
from .result import whole_report

PASSING = ("engine", "output", "weights", "internal", "option")
"""Areas of errors that say nothing about the photo: such a failure is tried again by itself."""


def options_hash(options: JobOptions) -> str:
    """sha256 of all options, and of what lies in the files that they name."""
    named = [sha256_of(Path(f)) for f in (options.body, options.mask) if f]
    return hashlib.sha256(json.dumps([options.to_json(), named], sort_keys=True).encode()).hexdigest()


def plan(journal: Journal, wanted: Iterable[tuple[Path, JobOptions]], fresh: bool = False,
         retry_failed: bool = False) -> list[Row]:
    """Enters these photos into the journal; the rows as they then are, in the given order.

    A photo that is done with these options, and whose result is there whole, stays done; one that failed by its own fault
    stays failed, unless retry_failed; all else waits. fresh: everything waits, and older results stay until new ones are there.
    """
    known = {row.path: row for row in journal.rows()}
    gone = {(Path(row.path).name, row.size): row for row in known.values() if row.sha256 and not os.path.lexists(journal.photo(row))}
    taken = {row.output.casefold() for row in known.values()} | {FILE}
    hashes: dict[JobOptions, str] = {}
    changes: list[tuple[Row, str, str]] = []
    for photo, options in wanted:
        if options not in hashes:
            hashes[options] = options_hash(options)
        path, (size, mtime_ns) = journal.stored(photo), seen(photo)
        row = known.get(path) or _moved(photo, gone.pop((Path(path).name, size), None))
        if row is None:
            name = folder_name(photo, taken)
            taken.add(name.casefold())
            row = Row(0, path, name, WAITING, size, mtime_ns, "", json.dumps(options.to_json()), hashes[options])
            changes.append((row, WAITING, "") if fresh else _found(journal.folder / name, row, photo))
            continue
        why = "asked for anew" if fresh else _why_again(journal, row, photo, hashes[options], retry_failed)
        if why:
            row = replace(row, state=WAITING, attempts=0, options=json.dumps(options.to_json()), options_hash=hashes[options],
                          code="", message="", remedy="")
        changes.append((replace(row, path=path), SKIPPED if row.state == DONE else WAITING if why else "", why))
    return journal.put(changes)


def _moved(photo: Path, row: Row | None) -> Row | None:
    """The row of a photo that used to lie elsewhere: same name, same content, and nothing is left where it was."""
    return row if row is not None and sha256_of(photo) == row.sha256 else None


def _found(folder: Path, row: Row, photo: Path) -> tuple[Row, str, str]:
    """A photo without a row may have a result all the same: the journal was lost."""
    report = whole_report(folder)
    if report is not None and report["job"].get("options_hash") == row.options_hash:
        digest = sha256_of(photo)
        if digest and report["job"].get("photo_sha256") == digest:
            return replace(row, state=DONE, sha256=digest, run=str(report["job"].get("run"))), DONE, "its result was there"
    return row, WAITING, ""


def _why_again(journal: Journal, row: Row, photo: Path, options: str, retry_failed: bool) -> str:
    """Why a known photo has to wait again; "" when it stays as it is."""
    if row.options_hash != options:
        return "other options"
    if changed(row, photo):
        return "the photo has changed"
    if row.state == DONE:
        return "" if whole_report(journal.folder / row.output) else "its result is not there"
    if row.state == FAILED:
        return "once more" if retry_failed or row.code.split(".")[0] in PASSING else ""
    return "once more" if row.state == CANCELLED else ""


def changed(row: Row, photo: Path) -> bool:
    """Whether the photo is not the one that the row's state is about. One that is gone has not changed."""
    now = seen(photo)
    if now == (row.size, row.mtime_ns) or now[0] is None:
        return False
    return now[0] != row.size or sha256_of(photo) != row.sha256
