"""A batch whose photos are worked on by a cluster. The journal, the order of steps and the results' places are those of every batch.

Many photos are under way at once, yet never more than the workers can soon take: so a million photos need no more memory here than
a hundred. What was under way when this program died waits at its next start; each result is put in its place once, here.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

from ..addon.batch import Batch, Done, Made, Request, coded
from ..neural.contract import bundle, errors, files
from ..neural.contract.journal import WAITING, Journal, Row
from ..neural.contract.result import VERSION, whole_report

TRIES = 3                # of a photo whose worker died, hung or ran out of memory
USELESS = ("engine.missing", "engine.broken", "engine.protocol", "engine.start-failed")
"""Errors of a worker that would meet every further photo as well: it gets none."""


class ClusterBatch(Batch):
    """One run over the photos of a request, with `connect()` -> dask_cluster.Cluster.

    shared  photos and output folder lie under the same paths on all machines: files stay there instead of travelling.
    """

    def __init__(self, request: Request, connect: Callable, shared: bool, say: Callable[[str], None], cancelled: Callable[[], bool]):
        super().__init__(request, _nobody, _nobody, say, cancelled)
        self._connect, self._shared = connect, shared

    def _all(self, book: Journal, todo: list[Row], rows: list[Row], answers: dict[int, Done]) -> None:
        if not todo:
            return
        try:
            cluster = self._connect()
        except errors.EngineError as error:
            self._halt(error)
            return
        waiting, flying, tries = deque(todo), {}, Counter()      # flying: ticket -> row
        try:
            while (waiting or flying) and self._stop is None and not self._cancelled():
                self._send(book, cluster, waiting, flying, rows, answers)
                ended = cluster.ended(0.5)
                if ended is None or ended[0] not in flying:
                    continue
                row = flying.pop(ended[0])
                answer = ended[1] or {"error": _gone(ended[2]).to_json(), "seconds": 0.0}
                if self._again(cluster, row, answer, tries):
                    waiting.appendleft(row)
                    continue
                answers[row.id] = self._one(book, row, self._head(book, row, rows, answers), lambda row, photo, part, head: self._received(row, part, answer))
                self._count(rows, answers, len(todo) - sum(r.id in answers for r in todo))
        except errors.LikenessError as error:
            self._halt(error)
        finally:
            cluster.close()
            self._give_up(book, [*flying.values(), *waiting])

    def _send(self, book: Journal, cluster, waiting: deque[Row], flying: dict[int, Row], rows: list[Row], answers: dict[int, Done]) -> None:
        """Keeps the cluster busy: as many photos as it has threads, and as many to follow."""
        lanes = cluster.lanes()
        if lanes != self.lanes:
            self._say(f"the cluster works on {lanes} photo(s) at a time" if lanes else "waiting for the cluster's workers")
            self.lanes = lanes
        while waiting and len(flying) < 2 * lanes and self._stop is None:
            row = waiting[0]
            try:
                if row.state == WAITING:
                    row = waiting[0] = book.claim(row, here=False)
                job = self._job(book, row)
            except (errors.LikenessError, OSError) as exc:
                error = coded(exc, self.out)
                answers[row.id] = self._one(book, waiting.popleft(), self._head(book, row, rows, answers), lambda *_: Made({}, 0.0, error))
                continue
            flying[cluster.send(job)] = waiting.popleft()

    def _job(self, book: Journal, row: Row) -> dict:
        """What travels (remote.work). PhotoError, OptionError: a file is not there."""
        photo, options = book.photo(row), row.job_options()
        job = {"version": VERSION, "name": row.output, "options": options.to_json()}
        if self._shared:
            return job | {"path": str(photo), "into": str(self.out)}
        try:
            content = photo.read_bytes()
        except OSError as exc:
            raise errors.PhotoError("photo.missing", f"There is no file '{photo.name}', or it cannot be read.",
                                    "Choose the photo again; it may have been moved or renamed.", str(exc)) from exc
        try:
            mask = (Path(options.mask).name, Path(options.mask).read_bytes()) if options.mask else None
        except OSError as exc:
            raise errors.OptionError("option.mask", f"The mask '{options.mask}' cannot be read.", "Check the path of the mask image.", str(exc)) from exc
        return job | {"photo": (photo.name, content), "mask": mask}

    def _again(self, cluster, row: Row, answer: dict, tries: Counter) -> bool:
        """Whether another worker, or another try, may do better. A worker that can do nothing gets nothing more."""
        code = (answer.get("error") or {}).get("code", "")
        if code in USELESS or code.startswith("output.") and not self._shared:
            self._say(f"{answer.get('worker')} cannot work: {answer['error'].get('message')} ({code})")
            if not cluster.avoid(answer.get("worker", "")):
                self._halt(errors.from_json(answer["error"]))
            return True
        if not code.startswith("engine."):
            return False
        tries[row.id] += 1
        return tries[row.id] < TRIES

    def _received(self, row: Row, part: Path, answer: dict) -> Made:
        """The result that came, in the working folder `part`; checked, since it is from elsewhere."""
        report, seconds, error = answer.get("report") or {}, float(answer["seconds"]), answer.get("error")
        if error:
            return Made(report, seconds, errors.from_json(error, error.get("trace", "")))
        if self._shared:
            theirs = self.out / str(answer["folder"])
            if not re.fullmatch(re.escape(f".{row.output}.") + r"[0-9a-f]{32}" + re.escape(files.PART), theirs.name) or theirs.parent != self.out:
                raise bundle.broken("a folder that is none of ours")
            bundle.refuse_links(theirs)
            part.rmdir()
            (theirs / row.output).rename(part)
            shutil.rmtree(theirs, ignore_errors=True)
        else:
            bundle.unpack(answer["files"], part)
        if whole_report(part, row.output) is None:
            raise bundle.broken("files are missing")
        return Made(report, seconds)

    def _give_up(self, book: Journal, rows: list[Row]) -> None:
        """What was under way waits for the next start. Where not even that can be noted, that start finds it running."""
        try:
            for row in rows:
                if row.state != WAITING:
                    book.end(row, WAITING, note="given up")
            if self._shared:
                files.sweep(self.out)                 # what lost workers have left
        except (errors.LikenessError, OSError):
            return

    def _head(self, book: Journal, row: Row, rows: list[Row], answers: dict[int, Done]) -> str:
        return f"[{len(answers) + 1}/{len(rows)}] {book.photo(row).name}"

    def _halt(self, error: errors.LikenessError) -> None:
        self._stop = error
        self._tell(error)


def _gone(why: str) -> errors.EngineError:
    return errors.EngineError("engine.killed", "The machine that worked on this photo was lost, or its memory ran out.",
                              "Start again; if it happens with this photo each time, choose a smaller preset.", why)


def _nobody(*_) -> None:
    raise AssertionError("a cluster's batch has no worker of its own")


def process(request: Request, address: str, shared: bool, say: Callable[[str], None], cancelled: Callable[[], bool]) -> list[Done]:
    """As addon.headless.process, with the work done by the cluster at `address`."""
    from .dask_cluster import Cluster
    return ClusterBatch(request, lambda: Cluster(address), shared, say, cancelled).run()
