"""The heavy half of the worker: importing the pipeline, running out of memory, giving memory back."""

from __future__ import annotations

import errno
import gc
import json
import os
import platform
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Any

from .contract.errors import EngineError, LikenessError, OutputError, internal

_OOM_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "defaultcpuallocator", "alloc_failed",
              "insufficient memory", "unable to allocate", "bad_alloc", "failed to allocate")
"""What torch (CPU, CUDA, MPS), cuBLAS, OpenCV, numpy and C++ libraries write when memory is out."""


def load_pipeline(device: str) -> Any:
    """Import the pipeline and make it. Raises EngineError (engine.broken) when a library is missing or does not load."""
    try:
        from .pipeline import Pipeline
    except (ImportError, OSError) as exc:     # OSError: a DLL or shared library that does not load
        if (getattr(exc, "name", None) or "").startswith(__package__):
            raise EngineError("engine.broken", f"The extension is not complete ({exc}).",
                              "Install the extension again, then try again.", traceback.format_exc()) from exc
        raise EngineError("engine.broken", f"The engine's environment is not complete ({exc}).",
                          "Press Set Up Engine to make the engine's environment anew, then try again.",
                          traceback.format_exc()) from exc
    return Pipeline(device)


def is_out_of_memory(exc: BaseException | None) -> bool:
    """True for MemoryError, torch's and OpenCV's ways to say it, and errors explicitly raised from one of these."""
    while exc is not None:
        if isinstance(exc, MemoryError) or type(exc).__name__ == "OutOfMemoryError":
            return True
        if not isinstance(exc, LikenessError) and any(w in str(exc).lower() for w in _OOM_WORDS) \
                and (isinstance(exc, RuntimeError) or type(exc).__name__ == "error"):      # cv2.error
            return True
        exc = exc.__cause__
    return False


def out_of_memory(trace: str) -> EngineError:
    return EngineError("engine.out-of-memory", "This machine's memory is not enough for the photo at these settings.",
                       "Close other programs, choose a smaller preset (draft), or choose the device 'cpu'.", trace)


def as_likeness_error(exc: BaseException, out: Path) -> LikenessError:
    """Any exception of a job as a coded error with its trace."""
    trace = "".join(traceback.format_exception(exc))
    if isinstance(exc, LikenessError):
        if not exc.trace and exc.area not in ("cancelled", "option"):
            exc.trace = trace
        return exc
    if isinstance(exc, OSError):
        if exc.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            return OutputError("output.disk-full", "The disk is full.",
                               "Free some space or choose another folder, then try again.", trace)
        named = str(exc.filename or "")
        if exc.errno in (errno.EROFS, errno.EACCES, errno.EPERM) and named.startswith(str(out)):
            return OutputError("output.not-writable", f"The folder '{out}' cannot be written to.",
                               "Choose a folder that you may write to.", trace)
    return internal(exc, trace)


def give_memory_back() -> None:
    """Collect what nobody holds any more, and hand it to the system and the GPU driver."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None:
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        if torch.backends.mps.is_available():
            torch.mps.empty_cache()
    if sys.platform == "linux":
        import ctypes
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)      # glibc only; musl has none
        if trim is not None:
            trim(0)


def memory_mb() -> float:
    """Resident memory of this process in MB; 0 where the system does not say it cheaply."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError):
        return 0.0


def machine() -> dict:
    """What is known without heavy imports: for hello, for reports, for support."""
    info: dict = {"python": platform.python_version(),
                  "platform": sysconfig.get_platform(),       # platform.machine() may wait for Windows' WMI
                  "cpus": os.cpu_count() or 1}
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        info["memory_mb"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6)
    return info


def check() -> int:
    """`python -m neural --check`: one JSON line on stdout, exit status 0 when jobs can run here, else 1."""
    said, out = sys.stdout, {"ok": False, **machine()}
    sys.stdout = sys.stderr                          # libraries that greet must not spoil the line
    try:
        out["device"] = load_pipeline("auto").device
        torch = sys.modules["torch"]
        out["torch"] = torch.__version__
        out["gpu"] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
        out["ok"] = True
    except Exception as exc:    # noqa: BLE001  everything is an answer here: it is what the check is for
        error = as_likeness_error(exc, Path("."))
        out["error"] = {**error.to_json(), "trace": error.trace}
    print(json.dumps(out), file=said, flush=True)
    return 0 if out["ok"] else 1
