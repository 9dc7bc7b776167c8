"""Photos to result folders through the folder's journal: nothing is done twice, nothing is lost, whatever happens. No bpy.

A result is made in a hidden folder beside its place and appears there when it is complete; what was there before is kept
until then. One photo's failure never stops the others; what stops them is a folder or an engine that no photo can do without.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..neural.contract import errors, files
from ..neural.contract.job import JobOptions
from ..neural.contract.journal import CANCELLED, DONE, FAILED, RUNNING, SKIPPED, WAITING, Journal, Row
from ..neural.contract.plan import changed, plan
from ..neural.contract.result import VERSION, failed_report, whole_report
from . import jobs, progress

STOPS = ("output.disk-full", "output.read-only", "output.not-writable", "output.gone", "output.taken-over",
         "engine.missing", "engine.broken", "engine.protocol")
"""Errors that every further photo would meet as well: those wait for the next start instead."""


@dataclass(frozen=True)
class Request:
    """What is asked for. photos: absolute paths; none: all that the journal knows, with the options they had.

    fresh         do again what is done already.        retry_failed   try again also what failed by the photo's own fault.
    """

    photos: Sequence[Path]
    out: Path
    options: JobOptions
    fresh: bool = False
    retry_failed: bool = False


@dataclass(frozen=True)
class Done:
    """How it went with one photo. state: done, skipped (it was done before), failed, cancelled, or waiting (not reached).

    folder: DIR/<name>/ (None when nothing is there)."""

    photo: Path
    folder: Path | None
    report: dict
    error: errors.LikenessError | None
    state: str = DONE


@dataclass(frozen=True)
class Made:
    """What came of the work on one photo. seconds: how long it took; error None: a whole result lies in the working folder."""

    report: dict
    seconds: float
    error: errors.LikenessError | None = None


class Batch:
    """One run over the photos of a request.

    worker     gives the engine when it is needed (jobs.Queue).
    write      called with a job whose worker is done, and the result's name: adds the files that Blender makes.
    say        told a line of progress.        cancelled   asked often; True ends the run in good order.
    """

    lanes = 1           # photos that are worked on at the same time

    def __init__(self, request: Request, worker: Callable[[], jobs.Worker], write: Callable[[jobs.Job, str], None],
                 say: Callable[[str], None] = lambda text: None, cancelled: Callable[[], bool] = lambda: False):
        self.request, self.out = request, Path(request.out)
        self._worker, self._write, self._say, self._cancelled = worker, write, say, cancelled
        self._stop: errors.LikenessError | None = None

    def run(self) -> list[Done]:
        """One answer a photo, in order. Raises nothing: an error that concerns all of them is the answer of those not done."""
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            with Journal(self.out, self._say) as book:
                return self._run(book)
        except Exception as exc:                      # noqa: BLE001
            error = coded(exc, self.out)
            self._tell(error)
            return [self._undone(p, self.request.options, error) for p in self.request.photos or (self.out,)]

    def _run(self, book: Journal) -> list[Done]:
        request = self.request
        wanted = [(p, request.options) for p in request.photos] or [(book.photo(r), r.job_options()) for r in book.rows()]
        rows = plan(book, wanted, request.fresh, request.retry_failed)
        answers = {row.id: self._known(book, row) for row in rows if row.state != WAITING}
        self._begin(rows, answers)
        # who has died with a photo before takes it last, so that the others are safe from it
        todo = sorted((row for row in rows if row.state == WAITING), key=lambda row: row.attempts)
        self._all(book, todo, rows, answers)
        for row in rows:
            if row.id not in answers:
                error = self._stop or errors.CancelledError()
                answers[row.id] = self._undone(book.photo(row), request.options, error)
        return [answers[row.id] for row in rows]

    def _all(self, book: Journal, todo: list[Row], rows: list[Row], answers: dict[int, Done]) -> None:
        """Works through `todo`, one after the other; each answer goes into `answers`."""
        for number, row in enumerate(todo):
            if self._stop is None and not self._cancelled():
                answers[row.id] = self._one(book, row, f"[{len(answers) + 1}/{len(rows)}] {book.photo(row).name}", self._work)
                self._count(rows, answers, len(todo) - number - 1)

    # -- one photo -----------------------------------------------------------------------------------------------------

    def _work(self, row: Row, photo: Path, part: Path, head: str) -> Made:
        """The result is made in the folder `part`."""
        queue = jobs.Queue(self._worker, lambda job: self._write(job, row.output))
        job = queue.add(photo, row.job_options(), part)
        queue.run(self._cancelled, _teller(lambda text: self._say(f"{head}: {text}")))
        return Made(job.report, job.seconds, job.error)

    def _one(self, book: Journal, row: Row, head: str, work: Callable[[Row, Path, Path, str], Made]) -> Done:
        """Claims the photo, unless it is claimed already; what `work` makes gets to its place, or its error into the journal."""
        photo, final = book.photo(row), self.out / row.output
        part, options = files.part_of(final), row.job_options()
        try:
            row = row if row.state == RUNNING else book.claim(row)
            files.remove(part)
            if self.request.fresh:
                files.remove(files.kept_of(final))
            part.mkdir()
            made = work(row, photo, part, head)
            error = made.error or _changed(row, photo)
            if isinstance(error, errors.CancelledError):
                book.end(row, CANCELLED, made.seconds)
            elif error is not None:
                self._keep_failure(row, final, part, failed_report(str(photo), options, error) | {"warnings": made.report.get("warnings", [])})
                book.end(row, FAILED, made.seconds, error)
            else:
                _stamp(part, row)
                files.replace_folder(part, final)
                book.end(row, DONE, made.seconds)
                _discard(files.kept_of(final))
                self._say(f"{head}: done in {made.seconds:.1f} s")
                return Done(photo, final, made.report, None)
        except Exception as exc:                      # noqa: BLE001  the others go on
            error = coded(exc, final)
            self._abandon(book, row, final, part, error)
        finally:
            _discard(part)
        if error.code in STOPS:
            self._stop = error
        self._tell(error, head)
        state = CANCELLED if isinstance(error, errors.CancelledError) else FAILED
        report = failed_report(str(photo), options, error)
        return Done(photo, final if state == FAILED and (final / "report.json").is_file() else None, report, error, state)

    def _keep_failure(self, row: Row, final: Path, part: Path, report: dict) -> None:
        """Only report.json; a good result that was there becomes `<name>.previous`."""
        files.remove(part)
        part.mkdir()
        _write_json(part / "report.json", report | {"job": row.stamp()})
        if _is_worth_keeping(final):
            files.replace_folder(final, final.with_name(f"{final.name}.previous"))
        files.replace_folder(part, final)

    def _abandon(self, book: Journal, row: Row, final: Path, part: Path, error: errors.LikenessError) -> None:
        """The result could not be put in place. Where not even that can be noted, the next start finds the photo running."""
        try:
            if error.area == "internal":              # else it is the folder that cannot be written to
                self._keep_failure(row, final, part, failed_report(str(book.photo(row)), row.job_options(), error))
            book.end(row, FAILED, error=error)
        except (OSError, errors.LikenessError):
            return

    # -- what is told --------------------------------------------------------------------------------------------------

    def _known(self, book: Journal, row: Row) -> Done:
        """The answer for a photo that needs no run."""
        photo, folder, error = book.photo(row), self.out / row.output, row.error
        if row.state == DONE:
            _discard(files.kept_of(folder))           # of who died between its result and this
            return Done(photo, folder, whole_report(folder) or {}, None, SKIPPED)
        return Done(photo, folder if folder.is_dir() else None, failed_report(str(photo), row.job_options(), error), error, FAILED)

    @staticmethod
    def _undone(photo: Path, options: JobOptions, error: errors.LikenessError) -> Done:
        return Done(photo, None, failed_report(str(photo), options, error), error, WAITING)

    def _begin(self, rows: list[Row], answers: dict[int, Done]) -> None:
        done = [r for r in rows if r.state == DONE]
        if done:
            older = sum(r.version != VERSION for r in done)
            self._say(f"{len(done)} of {len(rows)} done before" + (f", {older} of them by another version" if older else "")
                      + "; --fresh makes them anew")
        if failed := len(answers) - len(done):
            self._say(f"{failed} failed before; --retry-failed tries them again")

    def _count(self, rows: list[Row], answers: dict[int, Done], left: int) -> None:
        states = [a.state for a in answers.values()]
        if len(rows) > 1:
            ran = [a.report.get("seconds") or 0.0 for a in answers.values() if a.state == DONE]
            spoken = progress.spoken(left * sum(ran) / len(ran) / self.lanes) if ran and left else ""
            self._say(", ".join([f"{states.count(DONE) + states.count(SKIPPED)} done", f"{states.count(FAILED)} failed",
                                 f"{left} left", *([spoken] if spoken else [])]))

    def _tell(self, error: errors.LikenessError, head: str = "") -> None:
        self._say(f"{head}{': ' if head else ''}{error.message} {error.remedy} ({error.code})")


def coded(exc: Exception, folder: Path) -> errors.LikenessError:
    """Any exception as one of ours."""
    if isinstance(exc, errors.LikenessError):
        return exc
    return errors.output_error(exc, folder) if isinstance(exc, OSError) else errors.internal(exc, traceback.format_exc())


def _changed(row: Row, photo: Path) -> errors.LikenessError | None:
    """The photo has to be the one that was begun with, else nobody knows what the result shows."""
    if changed(row, photo):
        return errors.PhotoError("photo.changed", f"The photo '{photo.name}' was changed while it was worked on.",
                                 "Start again when nothing changes the photo any more.")
    return None


def _stamp(part: Path, row: Row) -> None:
    """Into the result itself, so that it is known again when the journal is lost."""
    file = part / "report.json"
    _write_json(file, json.loads(file.read_text("utf-8")) | {"job": row.stamp()})


def _write_json(file: Path, data: dict) -> None:
    file.write_text(json.dumps(data, indent=1), "utf-8")


def _is_worth_keeping(folder: Path) -> bool:
    """Whether a folder holds a result that must be kept: a good one of ours, or anything that is not ours."""
    try:
        return json.loads((folder / "report.json").read_text("utf-8")).get("ok") is not False
    except (OSError, ValueError, AttributeError, RecursionError):
        return any(folder.iterdir()) if folder.is_dir() else folder.exists()


def _discard(part: Path) -> None:
    """What is left of the work; and the output folder too, if somebody has removed it and the worker made it anew."""
    try:
        files.remove(part)
        part.parent.rmdir()
    except OSError:
        pass                                          # not empty, as a rule: the journal lies in it


def _teller(say: Callable[[str], None]) -> Callable[[jobs.Job], None]:
    """Says each new stage once."""
    told = [""]

    def tell(job: jobs.Job) -> None:
        if job.progress.label != told[0] and not job.ended:
            told[0] = job.progress.label
            say(f"{job.progress.fraction:4.0%} {job.progress.label}")

    return tell
