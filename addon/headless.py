"""Photos to files without a window: used by `dev.py run` and by `blender -c likeness`. The scene code is the real one;
batch.py says in which order, what is left out, and how a result gets to its place.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import bpy

from . import export, result, scene, sequence
from .batch import Batch, Done, Request
from .engine import Engine
from .jobs import Job

def empty_file() -> None:
    """A file with nothing in it, and no look at the person's own start-up file."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


def write_files(job: Job, name: str) -> None:
    """`name`.blend and `name`.glb beside the worker's files in the job's folder; the hand-over is deleted."""
    started = time.monotonic()
    person = result.load(job.folder)
    empty_file()
    made = scene.build(person)
    sequence.add(job.folder, person, made, job.folder / f"{name}.abc", own_scene=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(job.folder / f"{name}.blend"), copy=True, compress=True)
    export.write(job.folder / f"{name}.glb", [made.armature])
    for handover in (job.folder / result.FILE, job.folder / sequence.FILE, *job.folder.glob(f"{sequence.FRAMES}/*/{result.FILE}")):
        handover.unlink(missing_ok=True)
    file = job.folder / "report.json"
    report = json.loads(file.read_text("utf-8")) if file.is_file() else dict(person.report)
    seconds = time.monotonic() - started
    report.setdefault("stages", []).append({"name": "scene", "seconds": round(seconds, 3), "peak_mb": _peak_mb(),
                                            "method": f"bpy {bpy.app.version_string}", "weights": [], "cached": False})
    report["seconds"] = round(float(report.get("seconds") or 0) + seconds, 3)
    file.write_text(json.dumps(report, indent=1), "utf-8")
    job.report, job.made = report, name


def _peak_mb() -> float:
    """Largest resident memory of this process so far; 0 where the system does not say."""
    try:
        import resource
    except ImportError:       # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def process(request: Request, python: Path | None, say: Callable[[str], None] = lambda text: None,
            cancelled: Callable[[], bool] = lambda: False, cache: Path | None = None, log: Path | None = None) -> list[Done]:
    """Each photo to `request.out`/<stem>/: the worker's files, <stem>.blend, <stem>.glb, report.json.

    A photo that fails leaves a report.json with ok false and nothing else; the others go on. python: the engine's
    interpreter. say: a line of progress. Raises nothing: errors are in the answers.
    """
    engine = Engine(cache, log)
    engine.python = python
    try:
        return Batch(request, engine.worker, write_files, say, cancelled).run()
    finally:
        engine.stop()
