"""The engine's worker as seen from Blender: start it, give it jobs, hear how they go, survive whatever it does. No bpy.

    worker = WorkerProcess(python)
    job = worker.submit(photo, out, JobOptions())
    while ...:                                    # a modal operator's timer, or a loop in background
        for message in worker.poll():             # never blocks unless a timeout is given
            ...                                   # wire.Hello, wire.Progress; and for each job exactly one
                                                  # wire.Result or wire.Error (raise message.exception())
    worker.stop()                                 # in unregister()

No call raises because of what the worker does: that arrives as wire.Error. Not thread-safe: use it from one thread.
"""

from __future__ import annotations

import signal
import time
import uuid
from collections import deque
from pathlib import Path

from .worker_pipes import WorkerPipes, clean_environment

if __package__ == "addon":            # development: the repository's root is on sys.path
    from neural.contract import wire
    from neural.contract.errors import CancelledError, EngineError
    from neural.contract.job import JobOptions
else:                                 # inside Blender: bl_ext.<repository>.likeness.addon
    from ..neural.contract import wire
    from ..neural.contract.errors import CancelledError, EngineError
    from ..neural.contract.job import JobOptions

__all__ = ["WorkerProcess", "clean_environment"]

RUBBISH_LIMIT = 100     # lines on stdout that are no messages, until we stop believing it is our worker
AWAY_S = 2.0            # a caller that polls less often than this was away (Blender rendered, the laptop slept),
GRACE_S = 3.0           # and then the worker gets this long to be heard before it counts as hung

_SETUP = "Press Set Up Engine in the extension's preferences, then try again."
_AGAIN = "Try again; if it happens with this photo each time, please copy the report and send it to us."
_MEMORY = "Close other programs or choose a smaller preset (draft), then try again."
_FRESH_AFTER = ("engine.broken", "engine.out-of-memory")
_NO_MEMORY_WINDOWS = (0xC0000017, 0xC000012D)    # STATUS_NO_MEMORY, STATUS_COMMITMENT_LIMIT


class WorkerProcess:
    """Keeps one worker going; a new one is started by itself for the next job after any mishap.

    python       interpreter of the engine's environment.
    root         folder that holds the package `neural`; default: the one this file is in.
    command      the whole command line instead of [python, "-s", "-m", "neural"] (tests).
    env          additional environment variables of the worker.     log   file to which its stderr goes.
    hang_limit   seconds of silence, outside declared long steps, until it counts as hung.
    start_limit  seconds until its hello.        cancel_limit  seconds a cancel may take until it is killed.
    stall_limit  seconds without any progress, although it lives, until the job is given up.
    """

    def __init__(self, python: str | Path, root: str | Path | None = None, *, command: list[str] | None = None,
                 env: dict[str, str] | None = None, log: str | Path | None = None, hang_limit: float = 10.0,
                 start_limit: float = 60.0, cancel_limit: float = 5.0, stall_limit: float = 1800.0):
        self._command = command or [str(python), "-s", "-m", "neural"]
        self._root = Path(root) if root else Path(__file__).resolve().parents[1]
        self._env, self._log = env, Path(log) if log else None
        self._hang_limit, self._start_limit = hang_limit, start_limit
        self._cancel_limit, self._stall_limit = cancel_limit, stall_limit
        self._waiting: deque[wire.Run] = deque()
        self._said: list[wire.Message] = []       # ours, for the next poll
        self._killed: list[WorkerPipes] = []      # until their threads are gone
        self._current: wire.Run | None = None
        self._pipes: WorkerPipes | None = None
        self._silent_since: float | None = None
        self._hello: wire.Hello | None = None
        self._cancel_at: float | None = None
        self._answers = 0                         # of this process
        self._progress_at = self._polled_at = self._grace_until = 0.0

    # -- what callers use ----------------------------------------------------------------------------------------------

    def submit(self, photo: str | Path, out: str | Path, options: JobOptions | dict, *,
               cache: str | Path | None = None, idle_s: float | None = None) -> str:
        """Queue a job (they run one after the other) and start the worker if need be. Returns the job's id.

        cache: folder that keeps stage results between jobs. idle_s: see wire.Run."""
        run = wire.Run(uuid.uuid4().hex[:12], str(Path(photo).absolute()), str(Path(out).absolute()),
                       options.to_json() if isinstance(options, JobOptions) else dict(options),
                       str(Path(cache).absolute()) if cache else None, idle_s)
        self._waiting.append(run)
        self._begin_next()
        return run.job

    def start(self) -> None:
        """Start the process now, so that the first job need not wait. A failure arrives as an Error of job ""."""
        if self._pipes is not None:
            return
        self._hello = self._cancel_at = self._silent_since = None
        self._answers = 0
        self._polled_at = time.monotonic()
        try:
            self._pipes = WorkerPipes(self._command, self._root, self._env, self._log)
        except (OSError, ValueError) as exc:
            self._finish(EngineError("engine.missing", f"The engine's Python cannot be started ({exc}).", _SETUP))

    def poll(self, timeout: float = 0.0) -> list[wire.Message]:
        """What has happened since the last call; waits up to `timeout` seconds for something to happen."""
        deadline = time.monotonic() + timeout
        while True:
            self._step(time.monotonic())
            left = deadline - time.monotonic()
            if self._said or left <= 0:
                said, self._said = self._said, []
                return said
            time.sleep(min(0.02, left))

    def cancel(self, job: str | None = None) -> None:
        """Cancel this job (default: the one that runs). Its Error (cancelled.by-user) comes with a later poll: when the
        worker has obeyed, or when it has been killed because it did not within `cancel_limit`."""
        if self._current is not None and job in (None, self._current.job):
            if self._hello is None or self._pipes is None:
                self._finish(CancelledError())        # not sent yet
            elif self._cancel_at is None:
                self._cancel_at = time.monotonic()
                self._pipes.send(wire.Cancel(self._current.job))
            return
        if job is None and self._waiting:             # between two jobs: the next one is meant
            job = self._waiting[0].job
        for run in [r for r in self._waiting if r.job == job]:
            self._waiting.remove(run)
            self._said.append(wire.Error.of(run.job, CancelledError()))

    def cancel_all(self) -> None:
        """Cancel what waits and what runs."""
        for run in list(self._waiting):
            self.cancel(run.job)
        self.cancel()

    def stop(self, wait: float = 2.0) -> bool:
        """End the worker; all jobs are cancelled. True when process and threads are gone (within `wait` seconds, as a
        rule milliseconds). submit() may be called again afterwards."""
        for run in self._waiting:
            self._said.append(wire.Error.of(run.job, CancelledError()))
        self._waiting.clear()
        if self._current is not None:
            self._finish(CancelledError())
        self._drop()
        deadline = time.monotonic() + wait
        self._killed = [p for p in self._killed if not p.close(max(0.0, deadline - time.monotonic()))]
        return not self._killed

    @property
    def state(self) -> str:
        """stopped, starting, ready, busy or cancelling."""
        if self._pipes is None:
            return "stopped"
        if self._cancel_at is not None:
            return "cancelling"
        if self._hello is None:
            return "starting"
        return "busy" if self._current is not None else "ready"

    @property
    def jobs(self) -> list[str]:
        """Ids of the jobs that are not answered yet, the running one first."""
        return [r.job for r in ([self._current] if self._current else []) + list(self._waiting)]

    @property
    def hello(self) -> wire.Hello | None:
        return self._hello

    @property
    def memory_mb(self) -> float:
        """Resident memory of the worker at its last heartbeat; 0 when unknown."""
        return self._pipes.memory_mb if self._pipes else 0.0

    @property
    def stderr_tail(self) -> str:
        return self._pipes.tail() if self._pipes else ""

    # -- the state machine ---------------------------------------------------------------------------------------------

    def _begin_next(self) -> None:
        if self._current is not None or not self._waiting:
            return
        self._current = self._waiting.popleft()
        self.start()
        if self._hello is not None:
            self._send_current()

    def _send_current(self) -> None:
        self._progress_at = time.monotonic()
        try:
            self._pipes.send(self._current)
        except wire.ProtocolError as exc:             # options that are no JSON
            self._finish(exc)

    def _step(self, now: float) -> None:
        self._killed = [p for p in self._killed if not p.close(0.0)]
        self._begin_next()
        pipes = self._pipes
        if pipes is None:
            return
        if now - self._polled_at > AWAY_S:
            self._grace_until = now + GRACE_S
        self._polled_at = now
        ended = pipes.ended                           # asked before the inbox: what it said last is heard first
        for message in pipes.inbox():
            if self._pipes is pipes:
                self._hear(message, now)
        if ended and self._pipes is pipes and pipes.exit_code == wire.RETIRED and self._answers and self._cancel_at is None:
            self._drop()                              # it has ended between two jobs; the next one gets a fresh one
            if self._current is not None:
                self._waiting.appendleft(self._current)
                self._current = None
            return
        fault = self._fault(pipes, ended, time.monotonic()) if self._pipes is pipes else None
        if fault is not None:
            self._fail(fault)

    def _hear(self, message: wire.Message, now: float) -> None:
        if self._hello is None:
            if isinstance(message, wire.Hello):
                self._greet(message)
            return
        if isinstance(message, wire.Error) and message.job == "":
            self._fail(self._error(message.code, message.message, message.remedy))   # it did not understand us
            return
        if self._current is None or getattr(message, "job", None) != self._current.job:
            return
        self._answers += isinstance(message, (wire.Result, wire.Error))
        if isinstance(message, wire.Progress):
            self._progress_at = now
            if self._cancel_at is None:
                self._said.append(message)
        elif isinstance(message, (wire.Result, wire.Error)) and self._cancel_at is not None:
            self._finish(CancelledError())            # after cancel() a job is cancelled, even if it was a moment faster
        elif isinstance(message, wire.Result):
            self._said.append(message)
            self._current = None
        elif isinstance(message, wire.Error):
            error = message.exception()
            if error.area in ("engine", "internal"):
                error.trace = f"{error.trace}\n\nThe engine's last lines:\n{self._pipes.tail()}"
            if error.area == "internal" or error.code in _FRESH_AFTER:
                self._drop()                          # its state is in doubt (a CUDA context, half an import)
            self._finish(error)

    def _greet(self, hello: wire.Hello) -> None:
        if hello.protocol != wire.PROTOCOL:
            self._fail(self._error("engine.protocol", f"The engine (version {hello.version}, protocol {hello.protocol}) and "
                                   f"the extension (protocol {wire.PROTOCOL}) do not belong together.", _SETUP))
            return
        self._hello = hello
        self._said.append(hello)
        if self._current is not None:
            self._send_current()

    def _fault(self, pipes: WorkerPipes, ended: bool, now: float) -> EngineError | CancelledError | None:
        """What is wrong with the worker, if anything."""
        if self._cancel_at is not None and (ended or now - self._cancel_at > self._cancel_limit):
            return CancelledError()
        if ended:
            return self._crash(pipes.exit_code)
        if pipes.rubbish > RUBBISH_LIMIT:
            return self._error("engine.protocol", "The engine's process writes something else than our messages.", _SETUP)
        self._silent_since = (self._silent_since or now) if pipes.silent else None
        if self._silent_since and now - self._silent_since > 2.0:
            return self._error("engine.crashed", "The engine has stopped talking although its process lives.", _AGAIN)
        if self._hello is None:
            if now - pipes.started_at > self._start_limit and now > self._grace_until:
                return self._error("engine.start-failed",
                                   f"The engine did not answer within {self._start_limit:.0f} seconds.", _SETUP)
            return None
        silence = now - pipes.heard_at
        if silence > max(self._hang_limit, pipes.quiet_s) and now > self._grace_until:
            return self._error("engine.hung", f"The engine hangs: nothing heard for {silence:.0f} seconds "
                               f"(stage: {pipes.stage or 'none'}).", _AGAIN)
        if self._current is not None and now - self._progress_at > self._stall_limit and now > self._grace_until:
            return self._error("engine.hung", f"The engine lives but has made no progress for "
                               f"{self._stall_limit / 60:.0f} minutes (stage: {pipes.stage or 'none'}).", _AGAIN)
        return None

    def _crash(self, code: int) -> EngineError:
        how, number = _exit_text(code)
        if self._hello is None:
            return self._error("engine.start-failed", f"The engine cannot start ({how}).", _SETUP)
        if number == 9 or code in _NO_MEMORY_WINDOWS:
            used = f" It used {self.memory_mb / 1000:.1f} GB of memory." if self.memory_mb else ""
            return self._error("engine.killed", f"The system ended the engine, most likely because memory ran out.{used}",
                               _MEMORY)
        return self._error("engine.crashed", f"The engine has crashed ({how}).", _AGAIN)

    def _error(self, code: str, message: str, remedy: str) -> EngineError:
        return EngineError(code, message, remedy, self.stderr_tail)

    def _fail(self, error: EngineError | CancelledError) -> None:
        """The worker is of no more use: end it and answer the job. An idle worker that vanishes is no news."""
        greeted = self._hello is not None
        self._drop()
        if self._current is not None or not greeted:
            self._finish(error)

    def _finish(self, error: EngineError | CancelledError) -> None:
        self._said.append(wire.Error.of(self._current.job if self._current else "", error))
        self._current = self._cancel_at = None

    def _drop(self) -> None:
        if self._pipes is not None:
            self._pipes.kill()
            self._killed.append(self._pipes)
        self._pipes = self._hello = self._cancel_at = None


def _exit_text(code: int) -> tuple[str, int]:
    """(words for an exit status, number of the signal or 0). A shell in between reports signal n as 128 + n."""
    number = -code if code < 0 else code - 128 if 128 < code < 160 else 0
    if code == 0:
        return "it ended in the middle of its work", 0
    try:
        return f"{signal.Signals(number).name}, exit status {code}", number
    except ValueError:
        return f"exit status {code:#x}" if code > 255 else f"exit status {code}", 0
