"""Making the engine's environment in a thread, so that Blender stays usable. No bpy. Only on the person's click."""

from __future__ import annotations

import threading
import traceback
from pathlib import Path

from ..neural.contract import engine as environment
from ..neural.contract import errors

MODELS = Path("neural") / "weights" / "landmarks"


class Setup:
    """Runs in its own thread from `start`; `text`, `fraction` and `error` say how it goes.

    root      the extension's folder (requirements, models).   folder  the environment to make.
    python    command that makes it, extra its further arguments (Blender's own Python and bpy.app.python_args).
    existing  a Python that the person points to: then nothing is installed, it is only checked.
    """

    def __init__(self, root: Path, folder: Path, python: str, extra: tuple[str, ...] = (), existing: Path | None = None):
        self._root, self._folder, self._python, self._extra, self._existing = root, folder, python, extra, existing
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="likeness-setup", daemon=True)
        self.title, self.text, self.fraction = "Setting up the engine", "Starting", 0.0
        self.error = None

    def start(self) -> "Setup":
        self._thread.start()
        return self

    def cancel(self) -> None:
        self._stop.set()
        self.text = "Cancelling"

    def wait(self, seconds: float) -> bool:
        """True when the thread has ended within that time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _said(self, text: str, fraction: float) -> None:
        if not self._stop.is_set():
            self.text = text
            self.fraction = max(self.fraction, min(float(fraction), 1.0))

    def _run(self) -> None:
        try:
            python = self._existing or environment.create(
                self._folder, (self._root / "requirements" / "engine.txt",), self._python, self._said,
                self._stop.is_set, self._extra)
            problem = environment.check(python)
            if problem:
                raise errors.EngineError("engine.incomplete", problem,
                                         "Choose another Python, or leave the field empty and press Set Up Engine.")
            if not environment.models_present(self._root / MODELS):
                environment.fetch_models(self._root / MODELS, Path(python), self._said, self._stop.is_set)
        except errors.LikenessError as exc:
            self.error = exc
        except OSError as exc:
            self.error = errors.EngineError("engine.setup-failed", f"The engine could not be set up ({exc}).",
                                            "Check the folder in the preferences and the free space of its disk.",
                                            traceback.format_exc())
        except Exception as exc:
            self.error = errors.internal(exc, traceback.format_exc())
        else:
            self.text, self.fraction = "Ready", 1.0
