"""This Blender's engine, queue and task, and how they show in the properties. The glue between jobs (no bpy) and bpy."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import bpy

from ..neural.contract.job import JobOptions
from . import engine, jobs, person, preferences, progress, properties, result, scene, sequence
from .checkpoint import Import
from .jobs import DONE, FAILED, Job, Queue
from .setup import Setup


class Session:
    """Made in register(), ended in unregister(). Starts nothing by itself."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self.engine = engine.Engine()
        self.queue = Queue(self._worker, self._build)
        self.task: Setup | Import | None = None
        self.pumped = False          # an operator pumps the queue just now
        self._shown: Job | None = None
        self._rows: list[tuple] = []

    def folder(self) -> Path:
        """This session's own temporary folder: jobs, cache, log. Gone when Blender ends."""
        if self._folder is None or not self._folder.is_dir():
            self._folder = Path(tempfile.mkdtemp(prefix="likeness-", dir=bpy.app.tempdir or None))
            self.engine.cache, self.engine.log = self._folder / "cache", self._folder / "engine.log"
        return self._folder

    def add(self, photo: Path, options: JobOptions, replaces: str = "") -> Job:
        """Puts a photo into the queue."""
        folder = Path(tempfile.mkdtemp(prefix="job-", dir=self.folder()))
        job = self.queue.add(Path(photo), options, folder, replaces)
        job.origin = person.origin_of(job.photo, options)     # now: should the photo change meanwhile, it is another one
        return job

    def skip(self, photo: Path, options: JobOptions, made: str) -> Job:
        """A row for a photo that is in the scene already."""
        return self.queue.skip(Path(photo), options, self.folder() / "none", made)

    def end(self) -> None:
        """Stops the worker and takes the temporary folder away."""
        if self.task is not None:
            self.task.cancel()
            self.task.wait(5.0)
        self.engine.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _worker(self) -> engine.Engine:
        prefs = preferences.get()
        self.engine.python, self.engine.idle_s = preferences.interpreter(), float(prefs.idle_s)
        return self.engine.worker()

    def _build(self, job: Job) -> None:
        """A finished job becomes objects in the current scene."""
        person_ = result.load(job.folder)
        made = scene.build(person_)
        try:
            sequence.add(job.folder, person_, made)           # no cache file: nobody would know where to keep it
        except BaseException:
            scene.remove(made.collection)
            raise
        if job.replaces and job.replaces in bpy.data.collections:
            scene.remove(bpy.data.collections[job.replaces])
            scene.rename(made, job.replaces)
        (job.folder / result.FILE).unlink(missing_ok=True)     # large, and no longer needed
        job.made = made.collection.name
        made.armature["likeness_photo"] = str(job.photo)
        made.armature["likeness_origin"] = job.origin

    def sync(self) -> None:
        """Shows queue and history in the properties; of the rows only those that have changed, since there may be many."""
        state, current = properties.state(), self.queue.current
        state.running, state.waiting, state.paused = current is not None, self.queue.waiting, self.queue.paused
        if current is not None:
            held = self.queue.paused and current.state == jobs.QUEUED
            state.photo, state.label = current.photo.name, "Paused" if held else current.progress.label
            state.fraction, state.left = current.progress.fraction, progress.spoken(current.progress.left_s)
        shown = [_row(job) for job in self.queue.jobs]
        rows = state.jobs
        while len(rows) > len(shown):
            rows.remove(len(rows) - 1)
        for index, values in enumerate(shown):
            if index >= len(rows):
                rows.add()
            elif index < len(self._rows) and self._rows[index] == values:
                continue
            for name, value in zip(_ROW, values):
                setattr(rows[index], name, value)
        self._rows, state.summary = shown, _summary(self.queue.jobs)
        if current is not None and current is not self._shown:
            self._shown, state.active_job = current, self.queue.jobs.index(current)

    def ended(self, job: Job) -> None:
        """Called once for a job that has just ended: keeps its error for the dialog, or clears an older one."""
        if job.state == FAILED:
            properties.show_error(job.error, job.report_text())
        elif job.state == DONE:
            properties.state().error_code = ""
        self.sync()

    def job(self, number: int) -> Job | None:
        return next((j for j in self.queue.jobs if j.number == number), None)


_session: Session | None = None


def get() -> Session:
    """The session; made on first use."""
    global _session
    if _session is None:
        _session = Session()
    return _session


def unregister() -> None:
    global _session
    if _session is not None:
        _session.end()
        _session = None


def warnings_of(report: dict) -> list[str]:
    """The sentences of a report's warnings."""
    return [str(w.get("message", "")) for w in report.get("warnings", ()) if isinstance(w, dict)]


def report_file(folder: Path, report: dict) -> Path:
    """Writes the report as text, for people who look into the folder."""
    path = folder / "report.json"
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False), "utf-8")
    return path


_ROW = ("number", "name", "state", "made", "note", "told")


def _row(job: Job) -> tuple:
    """How a job shows in the list, in the order of _ROW."""
    told = {jobs.QUEUED: "waiting", DONE: f"{job.seconds:.0f} s", FAILED: "failed", jobs.CANCELLED: "cancelled",
            jobs.SKIPPED: "skipped"}.get(job.state) or f"{job.progress.label} {job.progress.fraction:.0%}"
    note = job.error.message if job.state == FAILED and job.error else ""
    return job.number, job.photo.name, job.state, job.made, note, told


def _summary(all_jobs: list[Job]) -> str:
    """'3 done, 1 failed, 16 left'."""
    states = [j.state for j in all_jobs]
    counts = {word: states.count(state) for word, state in (("done", DONE), ("skipped", jobs.SKIPPED), ("failed", FAILED),
                                                            ("cancelled", jobs.CANCELLED))}
    counts["left"] = len(states) - sum(counts.values())
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)
