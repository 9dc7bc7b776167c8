"""This Blender's engine, queue and task, and how they show in the properties. The glue between jobs (no bpy) and bpy."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import bpy

from ..neural.contract.job import JobOptions
from . import engine, preferences, progress, properties, result, scene
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
        self.sync()
        return job

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
        made = scene.build(result.load(job.folder))
        if job.replaces and job.replaces in bpy.data.collections:
            scene.remove(bpy.data.collections[job.replaces])
            scene.rename(made, job.replaces)
        (job.folder / result.FILE).unlink(missing_ok=True)     # large, and no longer needed
        job.made = made.collection.name
        made.armature["likeness_photo"] = str(job.photo)

    def sync(self) -> None:
        """Shows queue and history in the properties."""
        state, current = properties.state(), self.queue.current
        state.running, state.waiting = current is not None, self.queue.waiting
        if current is not None:
            state.photo, state.label = current.photo.name, current.progress.label
            state.fraction, state.left = current.progress.fraction, progress.spoken(current.progress.left_s)
        rows = state.jobs
        while len(rows) > len(self.queue.jobs):
            rows.remove(0)
        for index, job in enumerate(self.queue.jobs):
            row = rows[index] if index < len(rows) else rows.add()
            note = job.error.message if job.state == FAILED and job.error else ""
            row.number, row.name, row.state, row.made, row.note = job.number, job.photo.name, job.state, job.made, note
            row.seconds = job.seconds if job.ended else 0.0
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
