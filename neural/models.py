"""All models of the pipeline, loaded at first use and kept until released."""

from __future__ import annotations

from pathlib import Path

from .body.model import BodyModel
from .nets.landmarks import LandmarkNets


class Models:
    """Passed to stages as `nets`.

    landmarks    the LiteRT models of s02.
    body(path)   the body model that ships (None), or the person's own.
    """

    def __init__(self, device: str = "cpu"):
        self.device = device
        self._landmarks: LandmarkNets | None = None
        self._bodies: dict[str | None, BodyModel] = {}

    @property
    def landmarks(self) -> LandmarkNets:
        if self._landmarks is None:
            self._landmarks = LandmarkNets()
        return self._landmarks

    def body(self, path: str | Path | None = None) -> BodyModel:
        key = str(path) if path is not None else None
        if key not in self._bodies:
            self._bodies[key] = BodyModel.load(path)
        return self._bodies[key]

    def release(self) -> None:
        """Forget everything that is loaded."""
        self._landmarks = None
        self._bodies.clear()
