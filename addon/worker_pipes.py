"""One run of the worker's process: its start, its pipes and the three threads that serve them. No policy, no bpy.

Every method returns at once. What the worker says is kept in a bounded inbox; what it writes to stderr in a ring.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from pathlib import Path
from typing import BinaryIO, TextIO

if __package__ == "addon":            # development: the repository's root is on sys.path
    from neural.contract import wire
else:                                 # inside Blender: bl_ext.<repository>.likeness.addon
    from ..neural.contract import wire

RING_LINES = 200
LONGEST_SHOWN = 2000                  # characters of one line of stderr that are kept
INBOX = 1000                          # messages kept for a caller that does not poll (Blender renders, say)
LOG_BYTES = 5_000_000                 # an older log is begun anew
ALONE = ({"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
         if os.name == "nt" else {"start_new_session": True})   # for Popen: Ctrl-C in Blender's terminal is not for the child


def clean_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """os.environ without what would make another Python behave like Blender's, plus `extra`."""
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith("PYTHON") and k != "__PYVENV_LAUNCHER__"}
    return {**kept, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", **(extra or {})}


class WorkerPipes:
    """A started process. OSError when it cannot be started at all.

    inbox()     messages since the last call.            heard_at, quiet_s   last sign of life and what it declared.
    rubbish     lines on stdout that were no message.    tail(n)             last lines of stderr.
    exit_code   None while it runs.                      ended               it is gone, and all it said has been read.
    """

    def __init__(self, command: list[str], cwd: Path, env: dict[str, str] | None = None, log: Path | None = None):
        self._log = _open_log(log)
        self._lock = threading.Lock()
        self._inbox: deque[wire.Message] = deque()
        self._ring: deque[str] = deque(maxlen=RING_LINES)
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.rubbish = 0
        self.quiet_s = self.memory_mb = 0.0
        self.stage = ""
        self.started_at = self.heard_at = time.monotonic()
        self._gone_at: float | None = None
        try:
            self.process = subprocess.Popen(command, cwd=cwd, env=clean_environment(env), stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **ALONE)
        except (OSError, ValueError):
            self._close_log()
            raise
        self._threads = [threading.Thread(target=target, name=f"likeness-{target.__name__}", daemon=True)
                         for target in (self._read_stdout, self._read_stderr, self._write_stdin)]
        for thread in self._threads:
            thread.start()

    # -- for the caller's thread ---------------------------------------------------------------------------------------

    def send(self, message: wire.Message) -> None:
        """Queue a message; ProtocolError when it cannot be written as one."""
        self._outbox.put(wire.encode(message))

    def inbox(self) -> list[wire.Message]:
        with self._lock:
            messages = list(self._inbox)
            self._inbox.clear()
        return messages

    def tail(self, count: int = 40) -> str:
        with self._lock:
            return "\n".join(list(self._ring)[-count:])

    @property
    def exit_code(self) -> int | None:
        return self.process.poll()

    @property
    def silent(self) -> bool:
        """Its stdout has ended (whether or not the process lives)."""
        return not self._threads[0].is_alive()

    @property
    def ended(self) -> bool:
        """The process is gone and its last words are read (or cannot come: a grandchild may hold the pipes)."""
        if self.process.poll() is None:
            return False
        self._gone_at = self._gone_at or time.monotonic()
        return (not any(t.is_alive() for t in self._threads[:2])) or time.monotonic() - self._gone_at > 2.0

    def kill(self) -> None:
        """End the process and, where the system has process groups, its children. Returns at once."""
        self._outbox.put(None)
        if self.process.poll() is not None:
            return
        try:
            if os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)      # its own session, so the group is its own
            else:
                self.process.kill()
        except OSError:
            self.process.kill()                                  # the group is gone or not ours: the process alone then

    def close(self, wait: float) -> bool:
        """Kill, and wait up to `wait` seconds for process and threads; True when all are gone."""
        self.kill()
        deadline = time.monotonic() + wait
        try:
            self.process.wait(max(0.0, wait))
        except subprocess.TimeoutExpired:
            return False
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(t.is_alive() for t in self._threads)

    # -- threads -------------------------------------------------------------------------------------------------------

    def _read_stdout(self) -> None:
        with self.process.stdout as stream:
            for line, whole in wire.lines(stream):
                try:
                    if not whole:
                        raise wire.ProtocolError("half a line")
                    self._receive(wire.decode(line))
                except wire.ProtocolError as exc:
                    with self._lock:
                        self.rubbish += 1
                    if self.rubbish <= RING_LINES:
                        self._keep(f"[no message: {exc.what}] " + line[:LONGEST_SHOWN].decode("utf-8", "replace"))

    def _receive(self, message: wire.Message) -> None:
        with self._lock:
            self.heard_at = time.monotonic()
            if isinstance(message, wire.Heartbeat):
                self.quiet_s, self.stage, self.memory_mb = message.quiet_s, message.stage, message.memory_mb
                return
            if isinstance(message, wire.Progress):
                self.quiet_s, self.stage = message.quiet_s, message.stage
                last = self._inbox[-1] if self._inbox else None
                if isinstance(last, wire.Progress) and (last.job, last.stage) == (message.job, message.stage):
                    self._inbox[-1] = message        # nobody has read the older one, nobody needs it
                    return
            if len(self._inbox) >= INBOX:
                self._inbox.popleft()                # a flood; an answer comes last and is safe
            self._inbox.append(message)

    def _read_stderr(self) -> None:
        with self.process.stderr as stream:
            while line := stream.readline(64 * 1024):
                self._keep(line.decode("utf-8", "replace").rstrip())
        self._close_log()

    def _keep(self, text: str) -> None:
        with self._lock:
            self._ring.append(text[:LONGEST_SHOWN])
            if self._log is not None:
                try:
                    self._log.write(text + "\n")
                    self._log.flush()
                except (OSError, ValueError):        # disk full, or closed: the ring goes on without it
                    self._log = None

    def _write_stdin(self) -> None:
        stream = self.process.stdin
        try:
            while (line := self._outbox.get()) is not None:
                stream.write(line)
                stream.flush()
        except (OSError, ValueError):
            pass                                     # it has died or closed stdin: the other threads notice
        _close(stream)

    def _close_log(self) -> None:
        with self._lock:
            if self._log is not None:
                self._log.close()
                self._log = None


def _open_log(path: Path | None) -> TextIO | None:
    if path is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not path.exists() or path.stat().st_size > LOG_BYTES
        return path.open("w" if fresh else "a", encoding="utf-8", errors="replace")
    except OSError:
        return None                                  # a log that cannot be written must not stop the work


def _close(stream: BinaryIO) -> None:
    try:
        stream.close()
    except OSError:
        pass                                         # unsent bytes to a dead process
