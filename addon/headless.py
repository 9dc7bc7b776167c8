"""Photos to files without a window: used by `dev.py run` and by `blender -c likeness`. The scene code is the real one.

A result folder appears only when it is complete; what was there before is kept until then.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..neural.contract import errors
from ..neural.contract.job import JobOptions
from ..neural.contract.result import failed_report
from . import export, result, scene
from .engine import Engine
from .jobs import CANCELLED, DONE, Job, Queue

EXIT_GOOD, EXIT_USAGE, EXIT_SOME_FAILED, EXIT_CANCELLED = 0, 2, 3, 130


@dataclass(frozen=True)
class Done:
    """How it went with one photo. folder: DIR/<stem> (None when nothing could be written)."""

    photo: Path
    folder: Path | None
    report: dict
    error: errors.LikenessError | None


def exit_status(results: list[Done]) -> int:
    """0 all good, 3 some photo failed, 130 cancelled."""
    if any(isinstance(r.error, errors.CancelledError) for r in results):
        return EXIT_CANCELLED
    return EXIT_SOME_FAILED if any(r.error for r in results) else EXIT_GOOD


def empty_file() -> None:
    """A file with nothing in it, and no look at the person's own start-up file."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


def folder_names(photos: list[Path]) -> list[str]:
    """One folder name a photo: its stem, with a number where two photos share one."""
    taken: set[str] = set()
    out = []
    for photo in photos:
        stem = photo.stem.lstrip(".") or "photo"
        name, n = stem, 2
        while name.lower() in taken:
            name, n = f"{stem}-{n}", n + 1
        taken.add(name.lower())
        out.append(name)
    return out


def write_files(job: Job, name: str) -> None:
    """`name`.blend and `name`.glb beside the worker's files in the job's folder; the hand-over is deleted."""
    started = time.monotonic()
    person = result.load(job.folder)
    empty_file()
    made = scene.build(person)
    bpy.ops.wm.save_as_mainfile(filepath=str(job.folder / f"{name}.blend"), copy=True, compress=True)
    export.write(job.folder / f"{name}.glb", [made.armature])
    (job.folder / result.FILE).unlink()
    file = job.folder / "report.json"
    report = json.loads(file.read_text("utf-8")) if file.is_file() else dict(person.report)
    seconds = time.monotonic() - started
    report.setdefault("stages", []).append({"name": "scene", "seconds": round(seconds, 3), "peak_mb": _peak_mb(),
                                            "method": f"bpy {bpy.app.version_string}", "weights": [], "cached": False})
    report["seconds"] = round(float(report.get("seconds") or 0) + seconds, 3)
    file.write_text(json.dumps(report, indent=1, ensure_ascii=False), "utf-8")
    job.report, job.made = report, name


def _peak_mb() -> float:
    """Largest resident memory of this process so far; 0 where the system does not say."""
    try:
        import resource
    except ImportError:       # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def put_in_place(part: Path, final: Path, good: bool) -> None:
    """Renames a finished folder to its place.

    A good result replaces what was there. A failed one never destroys a good one: that becomes `<name>.previous`.
    """
    if not final.exists():
        part.rename(final)
        return
    aside = final.with_name(f".{final.name}.old-{os.getpid()}")
    final.rename(aside)
    try:
        part.rename(final)
    except OSError:
        aside.rename(final)
        raise
    if good or not _is_good(aside):
        shutil.rmtree(aside, ignore_errors=True)
        return
    previous = final.with_name(f"{final.name}.previous")
    if previous.exists():
        shutil.rmtree(previous)
    aside.rename(previous)


def _is_good(folder: Path) -> bool:
    """Whether a folder holds a result that must be kept: a good one of ours, or anything that is not ours."""
    try:
        return json.loads((folder / "report.json").read_text("utf-8")).get("ok") is not False
    except (OSError, ValueError, AttributeError):
        return any(folder.iterdir()) if folder.is_dir() else True


def process(photos: list[Path], out_dir: Path, options: JobOptions, python: Path | None,
            say: Callable[[str], None] = lambda text: None, cancelled: Callable[[], bool] = lambda: False,
            cache: Path | None = None, log: Path | None = None) -> list[Done]:
    """Each photo to `out_dir`/<stem>/: the worker's files, <stem>.blend, <stem>.glb, report.json.

    A photo that fails leaves a report.json with ok false and nothing else; the others go on. python: the engine's
    interpreter. say: a line of progress. Raises nothing: errors are in the answers.
    """
    engine = Engine(cache, log)
    engine.python = python
    names, answers = folder_names(photos), []
    try:
        for number, (photo, name) in enumerate(zip(photos, names), 1):
            head = f"[{number}/{len(photos)}] {photo.name}"
            answers.append(_one(photo, name, Path(out_dir), options, engine, lambda t: say(f"{head}: {t}"), cancelled))
            if isinstance(answers[-1].error, errors.CancelledError):
                break
    finally:
        engine.stop()
    return answers


def _one(photo: Path, name: str, out_dir: Path, options: JobOptions, engine: Engine, say, cancelled) -> Done:
    final, part = out_dir / name, out_dir / f".{name}.part-{os.getpid()}"
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        if part.exists():
            shutil.rmtree(part)
        part.mkdir()
    except OSError as exc:
        return _failed(photo, None, options, errors.output_error(exc, out_dir), say)
    queue = Queue(engine.worker, lambda job: write_files(job, name))
    job = queue.add(photo, options, part)
    queue.run(cancelled, _teller(say))
    try:
        if job.state == DONE:
            put_in_place(part, final, True)
            say(f"done in {job.seconds:.1f} s")
            return Done(photo, final, job.report, None)
        if job.state == CANCELLED:               # nothing half-written stays, and what was there before is untouched
            return _failed(photo, None, options, job.error, say)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        (part / "report.json").write_text(json.dumps(job.report, indent=1, ensure_ascii=False), "utf-8")
        put_in_place(part, final, False)
        return _failed(photo, final, options, job.error, say, job.report)
    except OSError as exc:
        return _failed(photo, None, options, errors.output_error(exc, final), say)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _failed(photo: Path, folder: Path | None, options: JobOptions, error: errors.LikenessError, say,
            report: dict | None = None) -> Done:
    say(f"{error.message} {error.remedy} ({error.code})")
    return Done(photo, folder, report or failed_report(str(photo), options, error), error)


def _teller(say: Callable[[str], None]) -> Callable[[Job], None]:
    """Says each new stage once."""
    told = [""]

    def tell(job: Job) -> None:
        if job.progress.label != told[0] and not job.ended:
            told[0] = job.progress.label
            say(f"{job.progress.fraction:4.0%} {job.progress.label}")

    return tell


def print_line(text: str) -> None:
    """Progress goes to stderr, so that stdout stays free."""
    print(text, file=sys.stderr, flush=True)
