"""What a stage gets besides its inputs: options, models, and a line to the person who waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable

from .contract.errors import CancelledError
from .contract.job import JobOptions, Preset


def _nothing(*_args) -> None:
    return None


@dataclass(frozen=True)
class Context:
    """Passed to every stage as its last argument.

    progress(done, of)      call between steps; cheap.
    warn(code, message)     something was approximated or guessed: goes to report.json and the UI.
    cancelled()             True when the person has asked to stop; use `check` instead.
    tile                    side of the largest canvas tile that a network may run on at once (pixels); halved after
                            an out-of-memory retry.
    """

    options: JobOptions = field(default_factory=JobOptions)
    device: str = "cpu"                    # resolved: "cpu", "cuda" or "mps"
    progress: Callable[[float, float], None] = _nothing
    warn: Callable[[str, str], None] = _nothing
    cancelled: Callable[[], bool] = lambda: False
    tile: int = 2048

    @property
    def sizes(self) -> Preset:
        return self.options.sizes

    def check(self) -> None:
        """Raise CancelledError when the person has cancelled. Call it between steps that take over 0.5 s."""
        if self.cancelled():
            raise CancelledError()

    def step(self, done: float, of: float) -> None:
        """progress + check."""
        self.progress(done, of)
        self.check()
