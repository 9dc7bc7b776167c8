"""One photo's way from the queue to the scene: a plain state machine, pumped by whoever waits for it. No bpy.

A modal operator pumps it once a timer tick; a command line pumps it in a loop. Nothing here blocks longer than the
time-out given, so Blender never freezes, whatever the worker does.
"""

from __future__ import annotations

import itertools
import json
import shutil
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..neural.contract import errors, wire
from ..neural.contract.job import JobOptions
from ..neural.contract.result import failed_report
from . import progress

QUEUED, RUNNING, BUILDING = "QUEUED", "RUNNING", "BUILDING"
DONE, FAILED, CANCELLED, SKIPPED = "DONE", "FAILED", "CANCELLED", "SKIPPED"
ENDED = (DONE, FAILED, CANCELLED, SKIPPED)
KEPT = 30   # done jobs whose files stay until Blender ends; of older ones the history shows the row alone


class Worker(Protocol):
    """What a job needs of the engine (addon/worker_process.py has the real one)."""

    def submit(self, photo, out, options: dict) -> str: ...
    def poll(self, timeout: float) -> list: ...
    def cancel(self, job: str | None = None) -> None: ...


class Job:
    """One photo. `pump` moves it on; `state`, `progress`, `report` and `error` say where it is.

    build  called once in the pump after the worker is done (state BUILDING), with the job; makes the scene or files.
    """

    _numbers = itertools.count(1)

    def __init__(self, photo: Path, options: JobOptions, folder: Path, build: Callable[["Job"], None] | None = None,
                 replaces: str = ""):
        self.number = next(Job._numbers)
        self.photo, self.options, self.folder = Path(photo), options, Path(folder)
        self.replaces = replaces              # name of the person's collection that this result shall replace
        self.state, self.error, self.report = QUEUED, None, None
        self.progress = progress.Progress(options.preset)
        self.made = ""                        # name of what was built
        self.origin = ""                      # what it is built from (person.origin_of), where somebody wants to know
        self.seconds, self.keeps_files = 0.0, True
        self._build, self._id, self._cancelled = build, "", False

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def pump(self, timeout: float, worker: Callable[[], Worker]) -> str:
        """Waits at most `timeout` seconds for news and returns the state. `worker` gives the engine when it is needed."""
        try:
            if self.state == QUEUED:
                self._begin(worker)
            elif self.state == RUNNING:
                for message in worker().poll(timeout):
                    self._hear(message)
                    if self.state != RUNNING:
                        break
            elif self.state == BUILDING:
                self._finish()
        except errors.CancelledError as exc:
            self._end(CANCELLED, exc)
        except errors.LikenessError as exc:
            self._end(FAILED, exc)
        except OSError as exc:
            self._end(FAILED, errors.output_error(exc, self.folder))
        except Exception as exc:
            self._end(FAILED, errors.internal(exc, traceback.format_exc()))
        return self.state

    def cancel(self, worker: Callable[[], Worker]) -> None:
        """Asks for the end; a running job ends when the worker says so (or is killed), a waiting one at once."""
        if self.state == RUNNING and not self._cancelled:
            self._cancelled = True
            self.progress.label = "Cancelling"
            worker().cancel(self._id)
        elif self.state in (QUEUED, BUILDING):
            self._end(CANCELLED, errors.CancelledError())

    def _begin(self, worker: Callable[[], Worker]) -> None:
        self.progress.restart()
        self.state = RUNNING
        if not (self.photo.is_file() or self.options.sequence and self.photo.is_dir()):
            raise errors.PhotoError("photo.missing", f"There is no file '{self.photo.name}'.",
                                    "Choose the photo again; it may have been moved or renamed.")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._id = worker().submit(str(self.photo.resolve()), str(self.folder.resolve()), self.options.to_json())

    def _hear(self, message: wire.Message) -> None:
        if getattr(message, "job", "") not in ("", self._id):
            return                            # the tail of an earlier job
        if isinstance(message, wire.Progress):
            self.progress.at(message.stage, message.done, message.of, "Cancelling" if self._cancelled else message.label)
        elif isinstance(message, wire.Result):
            self.report = message.report
            if self._cancelled:
                raise errors.CancelledError()
            if message.report.get("ok") is False:
                raise errors.from_json(message.report.get("error") or {})
            self.progress.at("scene", 0, 1)
            self.state = BUILDING
        elif isinstance(message, wire.Error):
            raise message.exception()

    def _finish(self) -> None:
        if self._build is not None:
            self._build(self)
        if self.report:
            progress.learn(self.options.preset, self.report)
        self.progress.at("scene", 1, 1)
        self.progress.fraction = 1.0
        self._end(DONE, None)

    def _end(self, state: str, error: errors.LikenessError | None) -> None:
        self.state, self.error = state, error
        self.seconds = self.progress.elapsed_s
        self.progress.label = {DONE: "Done", FAILED: "Failed", CANCELLED: "Cancelled"}[state]
        if error is not None:
            self.report = failed_report(str(self.photo), self.options, error) | (
                {"warnings": self.report.get("warnings", [])} if self.report else {})

    def report_text(self) -> str:
        """For the clipboard: the report, and the technical text when there was an error."""
        text = json.dumps(self.report or {"photo": str(self.photo), "state": self.state}, indent=1, ensure_ascii=False)
        return text + (f"\n\n{self.error.trace}" if self.error is not None and self.error.trace else "")


class Queue:
    """Jobs in order, one at a time; the ended ones stay as history. paused: the running job ends, no other begins."""

    def __init__(self, worker: Callable[[], Worker], build: Callable[[Job], None] | None = None):
        self.jobs: list[Job] = []
        self.paused = False
        self._worker, self._build = worker, build

    def add(self, photo: Path, options: JobOptions, folder: Path, replaces: str = "") -> Job:
        if self.current is None:
            self.paused = False               # what was held is over
        job = Job(photo, options, folder, self._build, replaces)
        self.jobs.append(job)
        return job

    def skip(self, photo: Path, options: JobOptions, folder: Path, made: str) -> Job:
        """A row for a photo that needs no work: `made` is there already."""
        job = self.add(photo, options, folder)
        job.state, job.made = SKIPPED, made
        return job

    @property
    def current(self) -> Job | None:
        return next((j for j in self.jobs if not j.ended), None)

    @property
    def waiting(self) -> int:
        return sum(j.state == QUEUED for j in self.jobs)

    def pump(self, timeout: float) -> Job | None:
        """Moves the current job on; returns it when it has just ended."""
        job = self.current
        if job is None or self.paused and job.state == QUEUED:
            return None
        job.pump(timeout, self._worker)
        if not job.ended:
            return None
        for old in [j for j in self.jobs if j.state == DONE and j.keeps_files][:-KEPT]:
            _drop_files(old)
        return job

    def cancel(self, everything: bool = False, number: int = 0) -> None:
        """Cancels all jobs, or the one of this number, or the current one."""
        current = self.current
        for job in [j for j in self.jobs if not j.ended and (everything or j.number == number or not number and j is current)]:
            job.cancel(self._worker)

    def take_failed(self) -> list[Job]:
        """The failed jobs, out of the history: to be tried again."""
        failed = [j for j in self.jobs if j.state == FAILED]
        self._forget(failed)
        return failed

    def clear(self) -> None:
        """Forgets the ended jobs and their files."""
        self._forget([j for j in self.jobs if j.ended])

    def _forget(self, jobs: list[Job]) -> None:
        for old in jobs:
            self.jobs.remove(old)
            _drop_files(old)

    def run(self, cancelled: Callable[[], bool] = lambda: False, tick: Callable[[Job], None] = lambda job: None,
            grace_s: float = 8.0) -> None:
        """Pumps until nothing is left (for command lines and background). grace_s: patience with a cancel."""
        asked_at: float | None = None
        while (job := self.current) is not None:
            if cancelled() and asked_at is None:
                asked_at = time.monotonic()
                self.cancel(everything=True)
            self.pump(0.2)
            tick(job)
            if asked_at is not None and time.monotonic() - asked_at > grace_s and not job.ended:
                job._end(CANCELLED, errors.CancelledError())


def _drop_files(job: Job) -> None:
    shutil.rmtree(job.folder, ignore_errors=True)
    job.keeps_files = False
