"""The one worker of this Blender: which interpreter, which folders, when it starts and stops. No bpy.

The worker itself is addon/worker_process.py; making its environment is neural/contract/engine.py.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..neural.contract import engine as environment
from ..neural.contract.errors import EngineError
from .worker_process import WorkerProcess

ROOT = Path(__file__).resolve().parents[1]
"""The extension's folder: it holds the package `neural` that the worker runs."""

PYTHON_VARIABLE = "LIKENESS_PYTHON"
"""Environment variable that names the engine's interpreter (studios, tests); goes before the preferences."""


def environment_folder(chosen: str = "") -> Path:
    """Where Set Up Engine puts the environment; `chosen` from the preferences, else one per user."""
    return Path(chosen).expanduser() if chosen else environment.default_folder(ROOT)


def interpreter(chosen_python: str = "", chosen_folder: str = "") -> Path | None:
    """The engine's Python, or None when there is none yet. An explicit choice goes before the made environment."""
    explicit = os.environ.get(PYTHON_VARIABLE) or chosen_python
    if explicit:
        path = Path(explicit).expanduser()
        if path.is_dir():                                    # a folder: the venv itself was chosen
            path = environment.python_of(path)
        return path if path.is_file() else None
    try:
        folder = environment_folder(chosen_folder)
        made = environment.finished(folder, ROOT / "requirements" / "engine.txt")
    except OSError:
        return None
    return environment.python_of(folder) if made else None


def missing() -> EngineError:
    """The error of a job that has no engine."""
    return EngineError("engine.missing", "The engine that does the work is not set up yet.",
                       "Open the Likeness tab of the sidebar (N) and press Set Up Engine.")


class Engine:
    """Keeps one WorkerProcess, and makes another when the interpreter changes.

    cache   folder for stage results, so that a second run of a photo repeats only what changed; None: no cache.
    idle_s  seconds without a job after which the models leave memory.
    """

    def __init__(self, cache: Path | None = None, log: Path | None = None):
        self.cache, self.log, self.idle_s = cache, log, 300.0
        self.python: Path | None = None
        self._worker: WorkerProcess | None = None
        self._runs: Path | None = None
        self._unread: list = []               # what a stopped worker still had to say, its jobs' ends above all

    def worker(self) -> "Engine":
        """Self, ready to be used as a job's worker; EngineError when there is no interpreter."""
        if self.python is None:
            raise missing()
        if self._worker is not None and self._runs != self.python:
            self.stop()
        if self._worker is None:
            self._worker, self._runs = WorkerProcess(self.python, ROOT, log=self.log), self.python
        return self

    def submit(self, photo: str, out: str, options: dict) -> str:
        return self.worker()._worker.submit(photo, out, options, cache=self.cache, idle_s=self.idle_s)

    def poll(self, timeout: float) -> list:
        unread, self._unread = self._unread, []
        if unread:
            return unread
        return self._worker.poll(timeout) if self._worker else []

    def cancel(self, job: str | None = None) -> None:
        if self._worker:
            self._worker.cancel(job)

    @property
    def state(self) -> str:
        """stopped, starting, ready, busy or cancelling."""
        return self._worker.state if self._worker else "stopped"

    @property
    def memory_mb(self) -> float:
        return self._worker.memory_mb if self._worker else 0.0

    def stop(self) -> None:
        """Ends the process (unregister, change of interpreter)."""
        if self._worker is not None:
            self._worker.stop()
            self._unread += self._worker.poll(0.0)
        self._worker = self._runs = None
