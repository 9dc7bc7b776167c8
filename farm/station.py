"""`python farm/station.py ENGINE_PYTHON`, in an environment that has bpy: photo in, whole result folder out.

To the outside it is a worker of the protocol (docs/worker.md), whose jobs also make .blend and .glb. Inside it keeps the engine's worker
and Blender's scene code. The name of a job's folder becomes the name of these files.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "addon"))
import headless_main  # noqa: E402


class Station:
    """Stands where the pipeline stands in a worker (neural.worker.PipelineFactory)."""

    def __init__(self, python: Path, modules: dict[str, Any]):
        self._modules = modules
        self._engine = modules["engine"].Engine()
        self._engine.python = python

    def run(self, photo: Path, out: Path, options, progress, cancelled, tile, cache, warnings) -> dict:
        """As Pipeline.run, with Blender's files beside the engine's. tile and warnings: the engine's own worker sees to them."""
        queue = self._modules["jobs"].Queue(self._engine.worker, lambda job: self._modules["headless"].write_files(job, out.name))
        job = queue.add(photo, options, out)
        queue.run(cancelled, lambda job: progress(job.progress.stage or "load", job.progress.fraction, 1.0))
        if job.error is not None:
            raise job.error
        return job.report

    def release(self) -> None:
        """Ends the engine's worker: its models leave memory."""
        self._engine.stop()


def main(argv: list[str]) -> None:
    headless_main.load_package()
    worker = importlib.import_module("likeness.neural.worker")

    def make(_device: str) -> Station:              # at the first job: hello has to come at once
        return Station(Path(argv[0]), {n: importlib.import_module(f"likeness.addon.{n}") for n in ("engine", "headless", "jobs")})

    worker.main(make)


if __name__ == "__main__":
    main(sys.argv[1:])
