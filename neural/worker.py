"""The worker: a process that holds the models, does one job at a time, and says how it goes in JSON lines.

Threads: the main one works; `reader` obeys stdin (its end is the end of the process, so no worker outlives its Blender);
`heart` says every second that the process lives. Nothing heavy is imported before the first line, hello, is out.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, BinaryIO, Callable

from .contract import wire
from .contract.errors import CancelledError, LikenessError
from .contract.job import STAGE_LABELS, JobOptions
from .contract.result import VERSION
from .worker_load import (as_likeness_error, give_memory_back, is_out_of_memory, load_pipeline, machine, memory_mb,
                          out_of_memory)

IDLE_S = 300.0      # seconds without a job until the models leave memory; LIKENESS_IDLE_S and Run.idle_s override it
END_S = 300.0       # seconds after that until the process ends: libraries keep memory (1.5 GB was measured after a job at
                    # `high`) and a CUDA context, which only this gives back; the client starts a new one unnoticed
GROWN_MB = 400.0    # over what it held after its first job: then the process ends between two jobs, and the client starts a new one.
                    # a library may lose memory at each photo (pymeshlab did, before it got a process of its own)
LONGEST_IDLE_S = 1e6  # what a wait may be given on every system
TILE = 2048         # pixels: the first try's largest canvas tile (Context.tile); the papers' canvas, so no tiles at all
WATCH_S = 8.0       # seconds a locked-up process waits before it writes its stacks; less than the client's hang_limit
SAID_EVERY_S = 0.05  # at most twenty progress lines a second

PipelineFactory = Callable[[str], Any]
"""device option -> an object with run(photo, out_dir, options, progress, cancelled, tile, cache, warnings) and release()."""


def main(pipeline_factory: PipelineFactory = load_pipeline) -> None:
    """Serve until stdin ends. Never returns."""
    incoming, outgoing = _take_over_stdio()
    faulthandler.enable(file=2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)     # Ctrl-C in a terminal is the parent's to decide
    Worker(incoming, outgoing, pipeline_factory).serve()


def _take_over_stdio() -> tuple[BinaryIO, BinaryIO]:
    """The protocol's two streams. Descriptor 1 then means stderr, also for C libraries that print, and descriptor 0 is
    empty, so that nobody else reads (or, on Windows, waits for) the protocol's input."""
    incoming, outgoing = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    if sys.platform == "win32":
        import msvcrt
        msvcrt.setmode(incoming, os.O_BINARY)
        msvcrt.setmode(outgoing, os.O_BINARY)
    sys.stdout.reconfigure(line_buffering=True)
    return open(incoming, "rb"), open(outgoing, "wb", buffering=0)


class Worker:
    """One process' worth of work. See the module's docstring for the threads."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO, pipeline_factory: PipelineFactory):
        self._incoming, self._outgoing, self._factory = incoming, outgoing, pipeline_factory
        self._speak = threading.Lock()
        self._jobs: queue.Queue[wire.Run] = queue.Queue()
        self._cancelled: set[str] = set()
        self._stage, self._quiet = "", 0.0
        self._pipeline: Any = None
        self._device = ""
        self._loaded = False
        self._first_mb = 0.0                          # resident after the first job
        self._idle_s = _number(os.environ.get("LIKENESS_IDLE_S"), IDLE_S)
        self._parent = os.getppid()

    def serve(self) -> None:
        """Say hello, start the threads, do jobs. Ends only with the process."""
        self._say(wire.Hello(wire.PROTOCOL, VERSION, os.getpid(), machine()))
        for body in (self._read, self._beat):
            threading.Thread(target=_or_end, args=(body,), name=body.__name__, daemon=True).start()
        while True:
            try:
                run = self._jobs.get(timeout=None if self._pipeline is None else self._idle_s if self._loaded else END_S)
            except queue.Empty:
                if not self._loaded:
                    os._exit(wire.RETIRED)
                self._release()
                continue
            self._say(self._do(run))
            self._cancelled.discard(run.job)
            self._enter("")
            if self._has_grown():
                os._exit(wire.RETIRED)

    def _has_grown(self) -> bool:
        """Whether memory has been lost that only the end of the process gives back."""
        if not self._loaded or self._first_mb and memory_mb() - self._first_mb < GROWN_MB:
            return False
        give_memory_back()                            # what the allocator only kept for later is not lost
        if not self._first_mb:
            self._first_mb = memory_mb()
        return memory_mb() - self._first_mb >= GROWN_MB

    # -- one job -------------------------------------------------------------------------------------------------------

    def _do(self, run: wire.Run) -> wire.Message:
        """The job's one answer: Result or Error."""
        out = Path(run.out)
        try:
            if run.idle_s is not None:
                self._idle_s = min(max(0.0, run.idle_s), LONGEST_IDLE_S)
            report = self._try_twice(run, JobOptions.from_json(run.options), out)
            answer = wire.Result(run.job, wire.plain(report))
            wire.encode(answer)                       # too long, or no dict: becomes this job's error
            return answer
        except BaseException as exc:                  # noqa: BLE001  also SystemExit of a library: the worker lives on
            return wire.Error.of(run.job, as_likeness_error(exc, out))

    def _try_twice(self, run: wire.Run, options: JobOptions, out: Path) -> dict:
        """Run; when memory is out, once more with models freshly loaded and tiles halved, which the report says."""
        try:
            return self._try(run, options, out, TILE, ())
        except BaseException as exc:                  # noqa: BLE001
            if not is_out_of_memory(exc):
                raise
            print(f"out of memory; once more with smaller tiles\n{traceback.format_exc()}", file=sys.stderr)
        # Outside of `except`: the exception held frames, and the frames held the arrays that filled the memory.
        self._release()
        note = ("engine.memory-retry", f"Memory ran out; the photo was done again in tiles of {TILE // 2} pixels.")
        try:
            return self._try(run, options, out, TILE // 2, (note,))
        except BaseException as exc:                  # noqa: BLE001
            if not is_out_of_memory(exc):
                raise
            trace = traceback.format_exc()
        self._release()
        raise out_of_memory(trace)

    def _try(self, run: wire.Run, options: JobOptions, out: Path, tile: int, warnings: tuple) -> dict:
        def cancelled() -> bool:
            return run.job in self._cancelled

        if cancelled():
            raise CancelledError()
        if self._pipeline is not None and options.device != self._device:
            self._release()
            self._pipeline = None
        if self._pipeline is None:
            self._enter("load", run.job)
            self._pipeline, self._device = self._factory(options.device), options.device
            self._enter("")
        if cancelled():
            raise CancelledError()
        self._loaded = True
        last, said_at = "", 0.0

        def progress(stage: str, done: float, of: float) -> None:
            nonlocal last, said_at
            now = time.monotonic()
            if stage == last and done < of and now - said_at < SAID_EVERY_S:
                return
            self._enter(stage, run.job, done, of)
            last, said_at = stage, now

        return self._pipeline.run(Path(run.photo), out, options, progress, cancelled, tile,
                                  Path(run.cache) if run.cache else None, warnings)

    def _release(self) -> None:
        self._loaded = False
        if self._pipeline is not None:
            try:
                self._pipeline.release()
            except Exception:                         # noqa: BLE001  a defect, but no reason to end the worker
                traceback.print_exc()
        give_memory_back()
        self._say(self._heartbeat())

    # -- what is said and heard ----------------------------------------------------------------------------------------

    def _enter(self, stage: str, job: str = "", done: float = 0.0, of: float = 1.0) -> None:
        """A stage begins or goes on ("": none): declare its silence, and say it."""
        self._quiet = wire.LONG_STEPS.get(stage, 0.0)
        if stage != self._stage:
            self._stage = stage
            self._watch()
        if stage:
            self._say(wire.Progress(job, stage, float(done), float(of), STAGE_LABELS.get(stage, stage), self._quiet))
        else:
            self._say(self._heartbeat())

    def _heartbeat(self) -> wire.Heartbeat:
        return wire.Heartbeat(self._stage, self._quiet, self._loaded, memory_mb())

    def _say(self, message: wire.Message) -> None:
        line = memoryview(wire.encode(message))
        try:
            with self._speak:
                while line:
                    line = line[self._outgoing.write(line):]
        except OSError:
            os._exit(0)                               # nobody listens any more

    def _watch(self) -> None:
        """Let faulthandler's own thread (which needs no Python lock) write all stacks to stderr shortly before the
        other side takes us for hung: its report then says where."""
        faulthandler.dump_traceback_later(max(self._quiet * 0.8, WATCH_S), file=2)

    def _beat(self) -> None:
        while True:
            self._watch()
            self._say(self._heartbeat())
            time.sleep(wire.BEAT)
            # End of file on stdin is the rule; this is for a parent whose end of the pipe leaked into another process.
            if os.name == "posix" and os.getppid() != self._parent:
                os._exit(0)

    def _read(self) -> None:
        for line, whole in wire.lines(self._incoming):
            try:
                if not whole:
                    raise wire.ProtocolError("a line is cut off")
                message = wire.decode(line)
            except LikenessError as exc:
                self._say(wire.Error.of("", exc))
                continue
            if isinstance(message, wire.Run):
                self._jobs.put(message)
            elif isinstance(message, wire.Cancel):
                self._cancelled.add(message.job)
            elif isinstance(message, wire.Ping):
                self._say(self._heartbeat())
            elif isinstance(message, wire.Shutdown):
                break
        os._exit(0)


def _or_end(body: Callable[[], None]) -> None:
    """A worker without its reader or its heart is none: end it, and say why on stderr."""
    try:
        body()
    except BaseException:                             # noqa: BLE001
        traceback.print_exc()
        os._exit(70)


def _number(text: str | None, default: float) -> float:
    try:
        return min(max(0.0, float(text)), LONGEST_IDLE_S) if text else default
    except ValueError:
        return default
