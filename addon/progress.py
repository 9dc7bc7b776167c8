"""How far a job is and how long it will still take, from its stages. No bpy."""

from __future__ import annotations

import time

from ..neural.contract.job import STAGE_LABELS, STAGES

ORDER = ("load", *STAGES, "output", "scene")
SEQUENCE = ("q01_frames", "q02_motion", "q03_person", "q04_views")
LABELS = {**STAGE_LABELS, "scene": "Building the scene"}

TYPICAL_S = {"load": 6, "s01_photo": 1, "s02_person": 4, "s03_body": 5, "s04_coarse": 3, "s05_parts": 4, "s06_depth": 3,
             "s07_points": 2, "s08_face": 2, "s09_surface": 8, "s10_texture": 12, "s11_rig": 4, "output": 4, "scene": 2}
"""Seconds a stage takes at `standard` on two cores: only the proportions matter, a finished job replaces them."""

_learned: dict[str, dict[str, float]] = {}


def learn(preset: str, report: dict) -> None:
    """Takes over the stage times of a finished job, so that the next one is estimated better."""
    rows = {s.get("name"): s for s in report.get("stages", ()) if not s.get("cached")}
    known = _learned.setdefault(preset, dict(TYPICAL_S))
    for name, row in rows.items():
        if name in known and isinstance(row.get("seconds"), (int, float)):
            known[name] = max(float(row["seconds"]), 0.05)


def weights(preset: str) -> dict[str, float]:
    """Seconds expected of each stage."""
    return _learned.get(preset, TYPICAL_S)


class Progress:
    """Fraction done and time left of one job. A later stage never moves the bar back."""

    def __init__(self, preset: str, clock=time.monotonic):
        self._weights, self._clock = weights(preset), clock
        self._start = clock()
        self.stage, self.label, self.fraction = "", "Waiting", 0.0

    def restart(self) -> None:
        """The job has begun now."""
        self._start = self._clock()
        self.stage, self.label, self.fraction = "load", "Starting the engine", 0.0

    def at(self, stage: str, done: float, of: float, label: str = "") -> None:
        """`done` of `of` of this stage."""
        self.stage, self.label = stage, label or LABELS.get(stage, stage)
        if stage in SEQUENCE and of > 0:
            self.fraction = max(self.fraction, min(max(done / of, 0.0), 1.0))
        if stage not in ORDER:
            return
        before = sum(self._weights[s] for s in ORDER[:ORDER.index(stage)])
        part = min(max(done / of, 0.0), 1.0) if of > 0 else 0.0
        total = sum(self._weights[s] for s in ORDER)
        self.fraction = max(self.fraction, (before + part * self._weights[stage]) / total)

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._start

    @property
    def left_s(self) -> float | None:
        """Seconds still to go; None while it is too early to say."""
        if self.fraction < 0.05 or self.elapsed_s < 2:
            return None
        measured = self.elapsed_s * (1 - self.fraction) / self.fraction
        expected = (1 - self.fraction) * sum(self._weights.values())
        return self.fraction * measured + (1 - self.fraction) * expected if self.fraction < 0.5 else measured


def spoken(seconds: float | None) -> str:
    """'about 2 min left' and the like; '' when unknown."""
    if seconds is None:
        return ""
    if seconds < 10:
        return "a few seconds left"
    if seconds < 60:
        return f"about {round(seconds / 10) * 10:.0f} s left"
    return f"about {max(round(seconds / 60), 1):.0f} min left"
