"""The one error tree. Every error that a person can meet has a code, one plain sentence and a remedy."""

from __future__ import annotations

import errno


class LikenessError(Exception):
    """Root of all errors that are shown to a person.

    code     dotted, stable, lower case: "photo.unreadable". The part before the dot names the class.
    message  one plain sentence: what is wrong with what the person gave us.
    remedy   one plain sentence: what the person can do about it.
    trace    the technical text (traceback or stderr tail), for "copy report"; may be empty.
    """

    area = "internal"

    def __init__(self, code: str, message: str, remedy: str, trace: str = ""):
        super().__init__(message)
        self.code, self.message, self.remedy, self.trace = code, message, remedy, trace

    def to_json(self) -> dict:
        return {"code": self.code, "message": self.message, "remedy": self.remedy}


class OptionError(LikenessError):
    """A wrong option or combination of options (exit status 2)."""

    area = "option"


class PhotoError(LikenessError):
    """The file cannot be used as a photo."""

    area = "photo"


class SequenceError(LikenessError):
    """The frames cannot be used as a sequence of one person."""

    area = "sequence"


class PersonError(LikenessError):
    """No usable person in the photo."""

    area = "person"


class BodyError(LikenessError):
    """The body model cannot be loaded, or does not fit."""

    area = "body"


class SurfaceError(LikenessError):
    """No surface could be built."""

    area = "surface"


class TextureError(LikenessError):
    """No texture could be built."""

    area = "texture"


class RigError(LikenessError):
    """No rig could be built."""

    area = "rig"


class OutputError(LikenessError):
    """The result cannot be written (disk full, read-only…)."""

    area = "output"


class EngineError(LikenessError):
    """The engine (worker process and its environment) is missing, broken, hung, killed or out of memory."""

    area = "engine"


class WeightsError(LikenessError):
    """A weights file or checkpoint is missing or not what it should be."""

    area = "weights"


class CancelledError(LikenessError):
    """The person cancelled (exit status 130). Not a failure."""

    area = "cancelled"

    def __init__(self, message: str = "The job was cancelled."):
        super().__init__("cancelled.by-user", message, "Start it again when you like.")


class InternalError(LikenessError):
    """A defect of ours: anything that was not foreseen."""

    area = "internal"


TREE = (
    OptionError, PhotoError, SequenceError, PersonError, BodyError, SurfaceError, TextureError,
    RigError, OutputError, EngineError, WeightsError, CancelledError, InternalError,
)


def from_json(data: dict, trace: str = "") -> LikenessError:
    """The error of the right class from {code, message, remedy}; an unknown area becomes InternalError."""
    code = str(data.get("code") or "internal.unknown")
    message = str(data.get("message") or "Something went wrong inside Likeness.")
    remedy = str(data.get("remedy") or "Please send us the report.")
    if code.startswith("cancelled."):
        return CancelledError(message)
    cls = next((c for c in TREE if c.area == code.split(".")[0]), InternalError)
    return cls(code, message, remedy, trace)


def output_error(exc: OSError, folder: object) -> OutputError:
    """The coded error behind an OSError met while writing into `folder`."""
    if exc.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1)):
        return OutputError("output.disk-full", f"The disk that holds '{folder}' is full.",
                           "Free some space or choose another folder, then start again.", str(exc))
    if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError("output.read-only", f"The folder '{folder}' cannot be written to.",
                           "Choose a folder that you may write to.", str(exc))
    return OutputError("output.failed", f"The result could not be written to '{folder}' ({exc.strerror or exc}).",
                       "Choose another folder and start again.", str(exc))


def internal(exc: BaseException, trace: str) -> InternalError:
    """Wrap an unforeseen exception."""
    return InternalError(
        "internal.unexpected",
        f"Likeness met an unexpected problem ({type(exc).__name__}: {exc}).",
        "Please copy the report and send it to us; other photos are not affected.",
        trace,
    )
