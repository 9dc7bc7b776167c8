"""One process at a time works in an output folder. Standard library only.

Two locks, since neither is enough. The system's own lock on a file ends with its process, however that ends, but some
network file systems know no locks, or keep them to one machine. So the owner also counts up a number in the journal, its
heartbeat: who wants to take over from an owner on another machine watches it for a while. No clock is compared.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from .errors import OutputError, output_error

LOCK = ".journal.lock"
BEAT_S = 2.0
WATCH_S = 20.0          # without a beat for so long, an owner on another machine counts as dead
_WHO_AT = 1 << 20       # the locked byte lies behind the text, since Windows lets nobody read what is locked


def busy(folder: Path, who: dict) -> OutputError:
    """The error of whoever comes second."""
    name = f"process {who['pid']} on {who['host']}" if who.get("pid") else "another process"
    return OutputError("output.busy", f"The folder '{folder}' is being worked on by {name}.",
                       "Wait until it has finished, end it, or choose another folder.")


class FolderLock:
    """The system's lock on a folder, held from construction to `release`. OutputError: output.busy, or cannot be written.

    held  False where the file system has no locks; then only the heartbeat protects.
    """

    def __init__(self, folder: Path):
        self.path, self.held, self._handle = folder / LOCK, True, -1
        try:
            while True:
                if self.path.is_symlink():            # none of ours: what it leads to must not be written to
                    self.path.unlink()
                self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
                if not self._lock():
                    raise busy(folder, self._who())
                if self._still_there():
                    break
                os.close(self._handle)        # the owner before us has just taken it away: a new one then
            os.ftruncate(self._handle, 0)
            os.write(self._handle, json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode())
        except (OSError, OutputError) as exc:
            if self._handle >= 0:
                os.close(self._handle)
            raise exc if isinstance(exc, OutputError) else output_error(exc, folder) from exc

    def _lock(self) -> bool:
        try:
            if os.name == "nt":
                import msvcrt
                os.lseek(self._handle, _WHO_AT, os.SEEK_SET)
                msvcrt.locking(self._handle, msvcrt.LK_NBLCK, 1)
                os.lseek(self._handle, 0, os.SEEK_SET)
            else:
                import fcntl
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            if exc.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, getattr(errno, "EDEADLK", -1)):
                return False
            self.held = False                 # ENOLCK, ENOTSUP and the like
        return True

    def _still_there(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._handle))
        except FileNotFoundError:
            return False

    def _who(self) -> dict:
        try:
            os.lseek(self._handle, 0, os.SEEK_SET)
            who = json.loads(os.read(self._handle, 1000))
            return who if isinstance(who, dict) else {}
        except (OSError, ValueError):
            return {}

    def release(self) -> None:
        """The file goes, if the system lets it."""
        if self._handle < 0:
            return
        try:
            if os.name != "nt":               # before the lock ends: who waits for it finds that it is gone
                self.path.unlink(missing_ok=True)
        except OSError:
            pass
        os.close(self._handle)
        self._handle = -1
        if os.name == "nt":
            try:
                self.path.unlink(missing_ok=True)
            except OSError:
                pass


def take(database: sqlite3.Connection, folder: Path, held: bool, at: str, watch_s: float, say: Callable[[str], None]) -> str:
    """Become the owner in the journal; returns the token that every later change has to show. OutputError output.busy."""
    before = database.execute("SELECT token, host, pid, beat FROM owner").fetchone()
    if before is not None and not (held and before[1] == socket.gethostname()):
        say(f"Process {before[2]} on {before[1]} has not closed the journal: listening for {watch_s:.0f} s whether it lives.")
        deadline = time.monotonic() + watch_s
        while time.monotonic() < deadline:
            time.sleep(min(0.2, watch_s))
            now = database.execute("SELECT token, host, pid, beat FROM owner").fetchone()
            if now is not None and now != before:
                raise busy(folder, {"host": now[1], "pid": now[2]})
    token = uuid4().hex
    database.execute("BEGIN IMMEDIATE")
    now = database.execute("SELECT token, host, pid, beat FROM owner").fetchone()
    if now is not None and now != before:     # somebody else was faster
        database.execute("ROLLBACK")
        raise busy(folder, {"host": now[1], "pid": now[2]})
    database.execute("INSERT OR REPLACE INTO owner VALUES (1, ?, ?, ?, ?, 0)", (token, socket.gethostname(), os.getpid(), at))
    database.execute("COMMIT")
    return token


class Heart:
    """A thread that counts up the owner's beat until `stop`."""

    def __init__(self, file: Path, token: str, every_s: float = BEAT_S):
        self._file, self._token, self._every_s = file, token, every_s
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="likeness-journal", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._end.wait(self._every_s):
            try:
                with closing(sqlite3.connect(f"{self._file.as_uri()}?mode=rw", uri=True, isolation_level=None,
                                             timeout=10.0)) as database:
                    database.execute("PRAGMA synchronous=NORMAL")     # a beat need not survive a power cut
                    while not self._end.wait(self._every_s):
                        database.execute("UPDATE owner SET beat = beat + 1 WHERE token = ?", (self._token,))
            except sqlite3.Error:
                continue                      # disk full, folder gone: who writes results meets it and says so

    def stop(self) -> None:
        self._end.set()
        self._thread.join(15.0)
