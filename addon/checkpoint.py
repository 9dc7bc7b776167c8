"""Importing an official checkpoint with the engine's Python, in a process of its own. No bpy; nothing here blocks longer than asked."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from pathlib import Path

from ..neural.contract import checkpoints, errors
from .worker_pipes import ALONE, clean_environment


class Import:
    """Runs from `start`; `wait` says whether it has ended, then `error` or `answer` (checkpoints.answer) how.

    python  the engine's interpreter.   root    the folder that holds the package `neural`.
    file    the checkpoint.             net     a key of checkpoints.NETS.   folder  where the imported weights go.
    """

    title, fraction = "Importing a checkpoint", None

    def __init__(self, python: Path, root: Path, file: Path, net: str, folder: Path):
        self._command, self._root = checkpoints.command(python, file, net, folder), root
        self._net, self._folder = net, folder
        self._process: subprocess.Popen | None = None
        self._cancelled = False
        self.text = f"Checking {file.name}"
        self.error: errors.LikenessError | None = None
        self.answer: dict | None = None

    def start(self) -> "Import":
        """Raises EngineError when the interpreter does not start."""
        self._said, self._told = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self._until = time.monotonic() + checkpoints.SECONDS
        try:
            self._process = subprocess.Popen(self._command, cwd=self._root, env=clean_environment(), stdin=subprocess.DEVNULL,
                                             stdout=self._said, stderr=self._told, **ALONE)
        except OSError as exc:
            raise errors.EngineError("engine.start-failed", f"The engine cannot start ({exc}).",
                                     "Press Set Up Engine in the Likeness tab of the sidebar (N).") from exc
        return self

    def cancel(self) -> None:
        """Ends the process; nothing of the checkpoint stays."""
        if self._process is not None and self._process.poll() is None:
            self._cancelled, self.text = True, "Cancelling"
            self._process.kill()

    def wait(self, seconds: float) -> bool:
        """True when it has ended within that time."""
        if self.error is not None or self.answer is not None:
            return True
        late = time.monotonic() > self._until and self._process.poll() is None
        if late:
            self._process.kill()
        try:
            status = self._process.wait(5.0 if late else seconds)
        except subprocess.TimeoutExpired:
            return False
        try:
            if self._cancelled and status != 0:
                raise errors.CancelledError("The import was cancelled.")
            if late:
                raise checkpoints.took_too_long()
            self.answer = checkpoints.answer(_text(self._said), _text(self._told), status)
        except errors.LikenessError as exc:
            self.error = exc
            with contextlib.suppress(OSError):                     # one that was killed could not clean up
                checkpoints.part_of(self._folder, self._net).unlink(missing_ok=True)
        return True


def _text(file) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
