"""What Blender and the engine's worker say to each other: one JSON object a line, ASCII-escaped UTF-8.

Blender side -> worker: Run, Cancel, Ping, Shutdown.  Worker -> Blender side: Hello, Progress, Heartbeat, Result, Error.
docs/worker.md tells the story. Standard library only. Types are strict (a wrong one is a ProtocolError), unknown keys
are ignored, so that either side may learn to say more without a new PROTOCOL.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, fields, MISSING
from pathlib import PurePath
from typing import Any, BinaryIO, ClassVar, Iterator

from .errors import EngineError, LikenessError, from_json

PROTOCOL = 1
"""Raised whenever an older side would misunderstand a newer one."""

MAX_LINE = 4 << 20
"""Longest line in bytes, its newline included. Arrays travel as files, never in a line."""

BEAT = 1.0
"""Seconds between two heartbeats of a worker."""

RETIRED = 75
"""Exit status of a worker that ends between two jobs to give memory back. A job that had reached it already has not begun."""

LONG_STEPS = {"load": 300.0, "s09_surface": 300.0, "s10_texture": 180.0, "s11_rig": 60.0, "output": 60.0,
              "q03_person": 300.0, "q04_views": 180.0}
"""Declared long steps: stage -> seconds of silence it may need, because a library in it holds Python's lock while it
works (importing torch from a cold disk, Poisson, UV packing), so that not even the heartbeat thread can speak. Measured
at `high` on two busy cores: 4.7 s in s09, 3.3 s in s10, at most 1.3 s elsewhere; slower machines have room here."""


class ProtocolError(EngineError):
    """A line that is no message. `message` says what is wrong with it."""

    def __init__(self, what: str):
        super().__init__("engine.protocol", f"The engine and the extension do not understand each other: {what}.",
                         "Press Set Up Engine, so that the engine matches the extension, then try again.")
        self.what = what


@dataclass(frozen=True)
class Hello:
    """First line of a worker, before any heavy import. device: what the machine is {python, platform, cpus, memory_mb}."""

    kind: ClassVar[str] = "hello"
    protocol: int
    version: str
    pid: int
    device: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """Do a job. photo, out, cache: absolute paths; options: JobOptions.to_json(); idle_s: seconds without a job after
    which the models leave memory (None: the worker's own default)."""

    kind: ClassVar[str] = "run"
    job: str
    photo: str
    out: str
    options: dict
    cache: str | None = None
    idle_s: float | None = None


@dataclass(frozen=True)
class Cancel:
    """Stop this job (running or waiting) at its next step."""

    kind: ClassVar[str] = "cancel"
    job: str


@dataclass(frozen=True)
class Ping:
    """Answer with a Heartbeat at once."""

    kind: ClassVar[str] = "ping"


@dataclass(frozen=True)
class Shutdown:
    """End the process at once. End of file on stdin means the same."""

    kind: ClassVar[str] = "shutdown"


@dataclass(frozen=True)
class Progress:
    """stage: a key of STAGE_LABELS; label: its plain name; done of `of`, any unit; quiet_s: as in Heartbeat."""

    kind: ClassVar[str] = "progress"
    job: str
    stage: str
    done: float
    of: float
    label: str = ""
    quiet_s: float = 0.0


@dataclass(frozen=True)
class Heartbeat:
    """The process lives. stage: "" when idle; quiet_s: seconds of silence the declared long step may need from now on
    (0: none declared); loaded: models are in memory; memory_mb: resident memory, 0 where the system does not say."""

    kind: ClassVar[str] = "heartbeat"
    stage: str = ""
    quiet_s: float = 0.0
    loaded: bool = False
    memory_mb: float = 0.0


@dataclass(frozen=True)
class Result:
    """The job is done; report: as in report.json (design.md section 4)."""

    kind: ClassVar[str] = "result"
    job: str
    report: dict


@dataclass(frozen=True)
class Error:
    """The job has failed (job "": no job in particular). The fields are those of LikenessError."""

    kind: ClassVar[str] = "error"
    job: str
    code: str
    message: str
    remedy: str
    trace: str = ""

    @staticmethod
    def of(job: str, error: LikenessError) -> "Error":
        return Error(job, error.code, error.message, error.remedy, error.trace)

    def exception(self) -> LikenessError:
        """The error of the right class, to raise or to show."""
        error = from_json({"code": self.code, "message": self.message, "remedy": self.remedy}, self.trace)
        error.trace = self.trace
        return error


Message = Hello | Run | Cancel | Ping | Shutdown | Progress | Heartbeat | Result | Error
KINDS: dict[str, type] = {c.kind: c for c in (Hello, Run, Cancel, Ping, Shutdown, Progress, Heartbeat, Result, Error)}


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


_CHECKS = {  # by the annotation as it is written above
    "str": lambda v: type(v) is str,
    "str | None": lambda v: v is None or type(v) is str,
    "int": lambda v: type(v) is int,          # type(), since True is an int
    "bool": lambda v: type(v) is bool,
    "float": _is_number,
    "float | None": lambda v: v is None or _is_number(v),
    "dict": lambda v: type(v) is dict,
}


def encode(message: Message) -> bytes:
    """One line with its newline. ProtocolError when the content is no JSON, not finite, or too long."""
    data = {"kind": message.kind, **{f.name: getattr(message, f.name) for f in fields(message)}}
    _check(type(message), data)
    try:   # ASCII: immune to the encoding of pipes, and paths with lone surrogates survive
        line = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
    except (TypeError, ValueError, RecursionError) as exc:
        raise ProtocolError(f"a '{message.kind}' message cannot be written ({exc})") from exc
    if len(line) > MAX_LINE:
        raise ProtocolError(f"a '{message.kind}' message of {len(line)} bytes is too long")
    return line


def decode(line: bytes) -> Message:
    """The message of one line (with or without newline). ProtocolError for everything else."""
    if len(line) > MAX_LINE:
        raise ProtocolError(f"a line of more than {MAX_LINE} bytes")
    try:
        data = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:      # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise ProtocolError(f"a line is no JSON ({type(exc).__name__})") from exc
    if type(data) is not dict:
        raise ProtocolError("a line is no JSON object")
    kind = data.get("kind")
    cls = KINDS.get(kind) if type(kind) is str else None
    if cls is None:
        raise ProtocolError(f"a message of unknown kind {str(kind)[:40]!r}")
    _check(cls, data)
    return cls(**{f.name: data[f.name] for f in fields(cls) if f.name in data})


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _check(cls: type, data: dict) -> None:
    for f in fields(cls):
        if f.name not in data:
            if f.default is MISSING and f.default_factory is MISSING:
                raise ProtocolError(f"a '{cls.kind}' message lacks '{f.name}'")
        elif not _CHECKS[f.type](data[f.name]):
            raise ProtocolError(f"'{f.name}' of a '{cls.kind}' message is no {f.type}")


def lines(stream: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """(line, whole) until the end of a stream. whole is False for half a line at the end, and for a line longer than
    MAX_LINE, of which only the beginning is given."""
    while line := stream.readline(MAX_LINE):
        if line.endswith(b"\n"):
            yield line, True
            continue
        rest = line
        while rest and not rest.endswith(b"\n"):     # skip to the end of the long line, or to the end of the stream
            rest = stream.readline(MAX_LINE)
        yield line, False


def plain(value: Any) -> Any:
    """A copy that JSON can hold: paths and other objects become text, numpy scalars and arrays numbers and lists,
    tuples and sets lists; what is not finite becomes None."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if not isinstance(value, PurePath) and hasattr(value, "tolist"):   # numpy, without importing it
        return plain(value.tolist())
    return str(value)
