"""A Dask scheduler as this project uses it: send jobs, hear which have ended. `distributed` is imported here and nowhere else but in the workers."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Any

from ..neural.contract.errors import EngineError

ASK_S = 2.0             # between two looks at who is there
WAIT_S = 20.0           # for the scheduler at the start; Dask's own time-outs hold later


def _task() -> Callable[[dict], dict]:
    """remote.work, to be looked up where it runs: the scheduler opens what it passes on, and need not have Likeness."""
    def work(job: dict) -> dict:
        import importlib
        return importlib.import_module("likeness.farm.remote").work(job)

    return work                       # a function in a function travels as it is, not as a name to import


def lost(address: str, trace: str = "") -> EngineError:
    return EngineError("engine.cluster-lost", f"The cluster at '{address}' is no longer there.",
                       "Start it again; the same command then goes on where it was.", trace)


class Cluster:
    """A connection to the scheduler at `address`. EngineError engine.no-cluster.

    A ticket stands for one job that was sent; it ends exactly once, with an answer of remote.work or an error.
    """

    def __init__(self, address: str):
        try:
            from distributed import Client
        except ImportError as exc:
            raise EngineError("engine.no-dask", "The Python package 'distributed' is not installed here.",
                              "Start with dev.py, which makes an environment that has it.", str(exc)) from exc
        self.address, self._count = address, 0
        self._ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._futures: dict[int, Any] = {}
        self._avoided: set[str] = set()
        self._threads: dict[str, int] = {}            # worker -> photos at a time, as known since _asked_at
        self._asked_at = 0.0
        try:
            self._client = Client(address, timeout=WAIT_S, set_as_default=False)
        except (OSError, ValueError, TypeError, RuntimeError) as exc:
            raise EngineError("engine.no-cluster", f"No cluster answers at '{address}'.",
                              "Check the address and that the scheduler runs: dev.py cluster scheduler.", str(exc)) from exc

    def lanes(self) -> int:
        """Photos that the cluster can work on at the same time: threads of all workers that are not avoided."""
        if time.monotonic() - self._asked_at > ASK_S or not self._threads:
            try:
                self._threads, self._asked_at = dict(self._client.nthreads()), time.monotonic()
            except (OSError, ValueError, RuntimeError) as exc:
                raise lost(self.address, str(exc)) from exc
        return sum(threads for address, threads in self._threads.items() if address not in self._avoided)

    def send(self, job: dict) -> int:
        """A job begins to wait for a worker; its ticket. A worker that dies is replaced by another, by the scheduler."""
        self._count += 1
        ticket = self._count
        usable = [a for a in self._threads if a not in self._avoided] if self._avoided else []
        try:
            future = self._client.submit(_task(), job, key=f"likeness-{self._client.id}-{ticket}", pure=False, workers=usable or None)
        except (OSError, RuntimeError) as exc:
            raise lost(self.address, str(exc)) from exc
        self._futures[ticket] = future
        future.add_done_callback(lambda _: self._ended.put(ticket))
        return ticket

    def avoid(self, worker: str) -> bool:
        """Send nothing more to this worker. False when it would be the last one."""
        self._avoided.add(worker)
        return self.lanes() > 0

    def ended(self, timeout: float) -> tuple[int, dict | None, str] | None:
        """(ticket, answer, "") of a job that has ended; with answer None and why when the job was lost on the way; None: nothing yet.

        EngineError engine.cluster-lost; engine.broken when the workers cannot run our code."""
        try:
            ticket = self._ended.get(timeout=timeout)
        except queue.Empty:
            if self._client.status in ("closing", "closed"):
                raise lost(self.address) from None
            return None
        future = self._futures.pop(ticket, None)
        if future is None:
            return None
        try:
            return ticket, future.result(timeout=WAIT_S * 6), ""
        except Exception as exc:                      # noqa: BLE001  whatever a worker's Python can raise
            return ticket, None, self._why(exc)
        finally:
            future.release()

    def _why(self, exc: Exception) -> str:
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        if isinstance(exc, (KilledWorker, CancelledError, TimeoutError, OSError)):      # its worker, the scheduler, or the way between them
            return f"{type(exc).__name__}: {exc}"
        raise EngineError("engine.broken", f"The cluster's workers cannot run Likeness ({type(exc).__name__}: {str(exc)[:200]}).",
                          "Start them with dev.py cluster worker, with the same Likeness and the same Python on all machines.", str(exc)) from exc

    def close(self) -> None:
        """Takes back what has not ended and leaves; workers notice, and give it up."""
        try:
            self._client.cancel(list(self._futures.values()), force=True)
            self._client.close(timeout=5)
        except Exception:                             # noqa: BLE001  a cluster that is gone needs no goodbye
            pass
        self._futures.clear()
