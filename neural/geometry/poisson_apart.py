"""Screened Poisson in a short-lived process of its own (`python -m neural.geometry.poisson_apart`, npz in, npz out).

pymeshlab 2025.7 keeps about 8 MB at each call (depth 8), whatever is freed (meshlab issue 1554), and gives Python's lock back only at
the end. Here its memory goes with its process, a cancelled photo ends at once, and if the library dies it alone does. That
costs 0.1 to 0.3 s a call.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO, Callable

import numpy as np

from .. import memory
from ..contract.engine import clean_environment
from ..contract.errors import EngineError, LikenessError, SurfaceError, from_json
from .poisson import screened_poisson

LONGEST_S = 1800.0
LOOK_S = 0.1
_HIDDEN = {"creationflags": subprocess.CREATE_NO_WINDOW} if sys.platform == "win32" else {}
_REMEDY = "Close other programs (it may have lacked memory) and try again, with a smaller preset or the stitched surface."


def screened_poisson_apart(xyz: np.ndarray, normals: np.ndarray, depth: int, weight: np.ndarray | None = None,
                           check: Callable[[], None] = lambda: None) -> tuple[np.ndarray, np.ndarray]:
    """poisson.screened_poisson with the same arguments and the same result, bit for bit.

    check: called every LOOK_S seconds; what it raises (CancelledError) ends the process. Raises EngineError where pymeshlab cannot be
    loaded or its process cannot be started, MemoryError, SurfaceError surface.library where pymeshlab has died or takes over LONGEST_S.
    """
    given = io.BytesIO()
    np.savez(given, xyz=xyz, normals=normals, depth=depth, **({} if weight is None else {"weight": weight}))
    status, answer, said = _run([sys.executable, "-s", "-m", __name__], given.getvalue(), check)
    if status == -9:                                    # SIGKILL: how Linux says that memory is out
        raise MemoryError("screened Poisson was ended by the system")
    if status:
        raise SurfaceError("surface.library", f"The surface library has stopped (exit status {status}).", _REMEDY, said[-4000:])
    found = np.load(io.BytesIO(answer), allow_pickle=False)
    memory.beside(float(found["peak_mb"]))
    if "memory" in found:
        raise MemoryError(str(found["memory"]))
    if "error" in found:
        raise from_json(json.loads(str(found["error"])), str(found["trace"]))
    return found["vertices"], found["faces"]


def _run(command: list[str], given: bytes, check: Callable[[], None]) -> tuple[int, bytes, str]:
    """Exit status, stdout, stderr. The process does not outlive this call."""
    root = Path(__file__).resolve().parents[2]
    try:
        process = subprocess.Popen(command, cwd=root, env=clean_environment() | {"PYTHONPATH": str(root)}, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **_HIDDEN)
    except OSError as exc:
        raise EngineError("engine.process", f"The engine could not start a process for the surface ({exc}).",
                          "Close other programs and try again.") from exc
    latest = time.monotonic() + LONGEST_S
    inlet, process.stdin = process.stdin, None          # communicate() forgets the rest of its input when it is called again
    threading.Thread(target=_pour, args=(inlet, given), daemon=True).start()
    try:
        while True:
            try:
                out, said = process.communicate(timeout=LOOK_S)
                return process.returncode, out, said.decode("utf-8", "replace")
            except subprocess.TimeoutExpired:
                check()
                if time.monotonic() > latest:
                    raise SurfaceError("surface.library", f"The surface library has not answered for {LONGEST_S / 60:.0f} minutes.", _REMEDY)
    except BaseException:
        process.kill()
        process.communicate()
        raise


def _pour(inlet: BinaryIO, given: bytes) -> None:
    try:
        with inlet:
            inlet.write(given)
    except OSError:                                     # it has died, which its exit status says
        pass


def _die_with_parent() -> None:
    """Linux: when the worker is killed, this process is, too. Elsewhere it ends after its seconds of work, as nobody reads the answer."""
    if sys.platform == "linux":
        import ctypes
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)      # PR_SET_PDEATHSIG


def main() -> None:
    _die_with_parent()
    given = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    out = os.dup(1)
    os.dup2(2, 1)                                       # what C++ prints must not get into the answer
    if sys.platform == "win32":
        import msvcrt
        msvcrt.setmode(out, os.O_BINARY)
    weight = given["weight"] if "weight" in given else None
    try:
        vertices, faces = screened_poisson(given["xyz"], given["normals"], int(given["depth"]), weight=weight)
        found = {"vertices": vertices, "faces": faces}
    except MemoryError as exc:
        found = {"memory": str(exc)}
    except LikenessError as exc:
        found = {"error": json.dumps(exc.to_json()), "trace": exc.trace}
    answer = io.BytesIO()
    np.savez(answer, peak_mb=memory.peak_mb(), **found)
    with open(out, "wb") as file:
        file.write(answer.getbuffer())


if __name__ == "__main__":
    main()
