"""What has become of each photo of an output folder: `journal.sqlite`, by which a batch goes on after a crash or a power cut.

One row a photo, one result folder a row, one process at a time (owner.py). Every change is one transaction, on the disk before
the next step is taken (WAL, synchronous=FULL), with an entry in `event`. Entries are numbered in order; times are for people,
so a clock that is set back changes nothing. plan.py decides what is to be done. Standard library only.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from uuid import uuid4

from . import errors, files
from .job import JobOptions
from .owner import WATCH_S, FolderLock, Heart, take
from .result import VERSION, whole_report

FILE = "journal.sqlite"
SCHEMA = 1
WAITING, RUNNING, DONE, FAILED, SKIPPED, CANCELLED = "waiting", "running", "done", "failed", "skipped", "cancelled"
STATES = (WAITING, RUNNING, DONE, FAILED, SKIPPED, CANCELLED)
"""skipped stands in `event` alone: a photo that was done already stays done."""
MOST_CRASHES = 3        # a photo in whose middle the whole program has died so often is given up

_TABLES = """
CREATE TABLE owner (id INTEGER PRIMARY KEY CHECK (id = 1), token TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL,
  since TEXT NOT NULL, beat INTEGER NOT NULL);
CREATE TABLE photo (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, output TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL, size INTEGER, mtime_ns INTEGER, sha256 TEXT NOT NULL, options TEXT NOT NULL, options_hash TEXT NOT NULL,
  version TEXT NOT NULL, attempts INTEGER NOT NULL, run TEXT NOT NULL, seconds REAL NOT NULL,
  code TEXT NOT NULL, message TEXT NOT NULL, remedy TEXT NOT NULL);
CREATE TABLE event (seq INTEGER PRIMARY KEY AUTOINCREMENT, photo INTEGER NOT NULL REFERENCES photo (id), state TEXT NOT NULL,
  at TEXT NOT NULL, note TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Row:
    """One photo.

    path      as stored: relative to the output folder, so that both may move together.    output  name of its result folder.
    size, mtime_ns, sha256   of the content that the state is about; None and "" as long as nobody has looked.
    options   JobOptions as JSON; options_hash also covers the files that they name.       version  that ran it last.
    attempts  since it last began to wait for a reason of its own.     run   id of the last attempt, also in its report.json.
    seconds   that the last attempt took.                              code, message, remedy   of the error, or "".
    """

    id: int
    path: str
    output: str
    state: str
    size: int | None
    mtime_ns: int | None
    sha256: str
    options: str
    options_hash: str
    version: str = VERSION
    attempts: int = 0
    run: str = ""
    seconds: float = 0.0
    code: str = ""
    message: str = ""
    remedy: str = ""

    @property
    def error(self) -> errors.LikenessError | None:
        return errors.from_json({"code": self.code, "message": self.message, "remedy": self.remedy}) if self.code else None

    def job_options(self) -> JobOptions:
        """OutputError when the text is no options of ours."""
        try:
            return JobOptions.from_json(json.loads(self.options))
        except (TypeError, ValueError, AttributeError, RecursionError) as exc:
            raise _damaged(f"of '{self.output}'", str(exc)) from exc

    def stamp(self) -> dict:
        """What the result's report.json says of its origin, under `job`."""
        return {"run": self.run, "photo_sha256": self.sha256, "options_hash": self.options_hash}


COLUMNS = tuple(f.name for f in dataclasses.fields(Row))
_KINDS = {"int": (int,), "float": (float, int), "str": (str,), "int | None": (int, type(None))}


def _check(row: Row) -> None:
    """sqlite3.DatabaseError for a row that we cannot have written: the output stays inside its folder, for one."""
    try:
        good = all(type(getattr(row, f.name)) in _KINDS[f.type] for f in dataclasses.fields(Row)) and row.state in STATES
        if good and type(json.loads(f'"{row.path}"')) is str and re.fullmatch(r"[^./\\\0][^/\\\0]*", row.output):
            return
    except ValueError:
        pass
    raise sqlite3.DatabaseError("a row that is none")


def seen(photo: Path) -> tuple[int | None, int | None]:
    """(bytes, time of change) of a file, or of all files in a folder together; (None, None) when it is not there."""
    try:
        stat = photo.stat()
        if photo.is_dir():
            inside = [f.stat() for f in os.scandir(photo) if f.is_file()]
            return sum(s.st_size for s in inside), max((s.st_mtime_ns for s in inside), default=stat.st_mtime_ns)
    except (OSError, ValueError):
        return None, None
    return stat.st_size, stat.st_mtime_ns


def _utc() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class Journal:
    """The journal of `folder` (which exists), for this process alone until `close`. say: told what a person should know.

    OutputError: output.busy when another process works there; output.journal-newer; or the folder cannot be written.
    Of any change: output.gone when the folder was removed meanwhile; output.taken-over; or the disk is full, and the like.
    A damaged journal is set aside under another name, and that is said; plan.py finds results that are there again.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda text: None, watch_s: float = WATCH_S):
        self.folder, self.file, self._say = Path(folder), Path(folder) / FILE, say
        self._database: sqlite3.Connection | None = None
        self._heart: Heart | None = None
        self._lock = FolderLock(self.folder)
        try:
            with _coded(self.folder):
                self._database = self._open()
                self._stat = os.stat(self.file)
                self._token = take(self._database, self.folder, self._lock.held, _utc(), watch_s, say)
                files.sweep(self.folder)
            self._heart = Heart(self.file, self._token)
            self._recover()
        except BaseException:
            self._release()
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Gives the folder free. What is in the journal is on the disk already."""
        try:
            with self.changes() as run:
                run("DELETE FROM owner")
        except errors.OutputError:
            pass                              # the journal is gone, or somebody else's
        self._release()

    def _release(self) -> None:
        if self._heart is not None:
            self._heart.stop()
        if self._database is not None:
            self._database.close()
        self._lock.release()

    def _open(self) -> sqlite3.Connection:
        try:
            if any(self.folder.joinpath(f"{FILE}{tail}").is_symlink() for tail in ("", "-wal", "-shm", "-journal")):
                raise sqlite3.DatabaseError("a link, which is none of ours")
            return self._checked()
        except sqlite3.DatabaseError as exc:
            if _hindrance(exc, self.file):
                raise
        number = 1
        while (aside := self.folder / f"journal.damaged-{number}.sqlite").exists() or aside.is_symlink():
            number += 1
        for tail in ("", "-wal", "-shm", "-journal"):
            if os.path.lexists(part := self.folder / f"{FILE}{tail}"):
                part.rename(f"{aside}{tail}")
        self._say(f"The journal was damaged and is kept as '{aside.name}'; the results themselves say what is done.")
        return self._checked()

    def _checked(self) -> sqlite3.Connection:
        """A connection to a journal of our making; sqlite3.DatabaseError when it is none."""
        database = sqlite3.connect(self.file, isolation_level=None, timeout=30.0)
        try:
            database.execute("PRAGMA synchronous=FULL")
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA:
                raise errors.OutputError("output.journal-newer", f"The journal in '{self.folder}' is from a newer Likeness.",
                                         "Update Likeness, or choose another folder.")
            if version == 0 and not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                database.executescript(f"BEGIN IMMEDIATE;{_TABLES}PRAGMA user_version={SCHEMA};COMMIT;")
            elif database.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("quick_check")
            for row in _rows(database):
                _check(row)
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("BEGIN IMMEDIATE")                        # can it take what we write?
            database.execute("INSERT OR REPLACE INTO owner VALUES (1, '', '', 0, '', 0)")
            database.execute("INSERT INTO event (photo, state, at, note) VALUES (0, '', '', '')")
            database.execute("ROLLBACK")
            return database
        except BaseException as exc:
            database.close()
            if isinstance(exc, (ValueError, OverflowError)):          # text or numbers that are none
                raise sqlite3.DatabaseError(str(exc)) from exc
            raise

    def _recover(self) -> None:
        """What ran when the last owner died: its result may be there whole; else it waits again, or is given up."""
        for row in self.rows():
            if row.state != RUNNING:
                continue
            report = whole_report(self.folder / row.output)
            if report is not None and report["job"].get("run") == row.run:
                self.end(row, DONE, note="found after a crash")
            elif row.attempts >= MOST_CRASHES:
                self.end(row, FAILED, error=errors.PhotoError(
                    "photo.crashes", f"Likeness has died {row.attempts} times in the middle of this photo.",
                    "Start again with --retry-failed; if it happens each time, please send us the photo's report."))
            else:
                self.end(row, WAITING, note="found after a crash")

    # -- reading -------------------------------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """All photos in the order in which they came."""
        with _coded(self.folder):
            return _rows(self._database)

    def events(self) -> list[tuple[int, int, str, str, str]]:
        """(number, id of the photo, state, time, note) in the order in which it happened."""
        with _coded(self.folder):
            return self._database.execute("SELECT seq, photo, state, at, note FROM event ORDER BY seq").fetchall()

    def photo(self, row: Row) -> Path:
        """Where the photo is."""
        return Path(os.path.normpath(os.path.join(os.path.realpath(self.folder), json.loads(f'"{row.path}"'))))

    def stored(self, photo: Path) -> str:
        """A row's `path`, in JSON's escapes: names of files need not be text."""
        path = os.path.join(os.path.realpath(photo.parent), photo.name)      # a link keeps its own name
        try:
            path = os.path.relpath(path, os.path.realpath(self.folder))
        except ValueError:                    # another drive
            pass
        return json.dumps(Path(path).as_posix())[1:-1]

    # -- changing ------------------------------------------------------------------------------------------------------

    @contextmanager
    def changes(self) -> Iterator[Callable]:
        """One transaction: execute(sql, values). Refused when the folder is no longer this process'."""
        with _coded(self.folder):
            self._check_place()
            self._database.execute("BEGIN IMMEDIATE")
            try:
                owner = self._database.execute("SELECT token, host, pid FROM owner").fetchone()
                if owner is None or owner[0] != self._token:
                    raise errors.OutputError("output.taken-over", f"Another process has taken the folder '{self.folder}' over.",
                                             "Let the other one finish; nothing is lost.")
                yield self._database.execute
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _check_place(self) -> None:
        try:
            if os.path.samestat(os.stat(self.file), self._stat):
                return
        except FileNotFoundError:
            pass
        raise errors.OutputError("output.gone", f"The folder '{self.folder}', or the journal in it, was removed meanwhile.",
                                 "Start again; what was removed is made anew.")

    def put(self, rows: list[tuple[Row, str, str]]) -> list[Row]:
        """Enters or changes rows, all or none: (row, state to note or "", note); a row with id 0 is new. Returns them."""
        out = []
        with self.changes() as run:
            for row, state, note in rows:
                values = dataclasses.astuple(row)[1:]
                if row.id:
                    run(f"UPDATE photo SET {', '.join(f'{c} = ?' for c in COLUMNS[1:])} WHERE id = ?", (*values, row.id))
                else:
                    made = run(f"INSERT INTO photo ({', '.join(COLUMNS[1:])}) VALUES ({', '.join('?' * len(values))})", values)
                    row = dataclasses.replace(row, id=made.lastrowid)
                if state:
                    run("INSERT INTO event (photo, state, at, note) VALUES (?, ?, ?, ?)", (row.id, state, _utc(), note))
                out.append(row)
        return out

    def claim(self, row: Row, here: bool = True) -> Row:
        """A waiting photo is begun: the row as it is now. here: in this program, which then may die of it."""
        photo = self.photo(row)
        size, mtime_ns = seen(photo)
        row = dataclasses.replace(row, state=RUNNING, size=size, mtime_ns=mtime_ns, sha256=files.sha256_of(photo), run=uuid4().hex,
                                  attempts=row.attempts + here, version=VERSION, seconds=0.0, code="", message="", remedy="")
        return self.put([(row, RUNNING, f"attempt {row.attempts}")])[0]

    def end(self, row: Row, state: str, seconds: float = 0.0, error: errors.LikenessError | None = None,
            note: str = "") -> Row:
        """A running photo has ended in this state."""
        told = {} if error is None else error.to_json()
        row = dataclasses.replace(row, state=state, seconds=float(seconds), **told)
        return self.put([(row, state, note or row.code)])[0]


def _rows(database: sqlite3.Connection) -> list[Row]:
    return [Row(*r) for r in database.execute(f"SELECT {', '.join(COLUMNS)} FROM photo ORDER BY id")]


def _number(exc: sqlite3.Error) -> int:
    """SQLite's primary result code."""
    return (getattr(exc, "sqlite_errorcode", None) or 0) & 0xFF


def _damaged(what: str, trace: str) -> errors.OutputError:
    return errors.OutputError("output.journal-damaged", f"The journal {what} is damaged.",
                              "Start again with the photos' names: the journal is then set aside, and results are kept.", trace)


def _hindrance(exc: sqlite3.Error, file: Path) -> OSError | None:
    """What outside of the journal hinders it: the disk, rights, another process. None: the journal itself is damaged."""
    number, trace = _number(exc), str(exc)
    if number == sqlite3.SQLITE_FULL or number == sqlite3.SQLITE_IOERR and _free(file.parent) < 1 << 16:
        return OSError(errno.ENOSPC, trace)
    if number in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY) and not os.access(file, os.W_OK):
        return OSError(errno.EROFS, trace)
    if number in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM):
        return OSError(errno.EBUSY, trace)
    return None


@contextmanager
def _coded(folder: Path) -> Iterator[None]:
    """SQLite's and the system's errors as ours."""
    try:
        yield
    except sqlite3.Error as exc:
        system = _hindrance(exc, folder / FILE)
        raise (errors.output_error(system, folder) if system else _damaged(f"in '{folder}'", str(exc))) from exc
    except OSError as exc:
        raise errors.output_error(exc, folder) from exc


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 1 << 40
