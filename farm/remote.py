"""What a Dask worker does with a photo: it hands it to a station (station.py), a process of its own that keeps the models loaded.

Neither torch nor bpy is imported here, so whatever they do cannot harm the Dask worker. Plain dicts travel: see `work`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from ..addon.worker_process import WorkerProcess
from ..neural.contract import bundle, engine, errors, files, wire
from ..neural.contract.photos import folder_name
from ..neural.contract.result import VERSION

ROOT = Path(__file__).resolve().parents[1]
STATION = "LIKENESS_STATION"                        # a command line instead of station.py's (tests)
QUIET_S = 180.0                                     # Blender may hold Python's lock so long while it writes a large file
_idle: deque[WorkerProcess] = deque()               # as many as this Dask worker has threads, once all have been busy


def work(job: dict) -> dict:
    """One photo. Raises nothing that is ours: errors are in the answer.

    job      version; name (of the result); options (JobOptions.to_json());
             and either photo, mask: (file name, content) or None; or path, into: the same on all machines (shared folders).
    answer   worker (Dask's address), seconds, report, error: None or {code, message, remedy, trace};
             files (bundle.pack), or folder: name of the working folder in `into`, which holds `name`.
    """
    began = time.monotonic()
    answer = {"worker": _address(), "report": {}, "error": None, "files": [], "folder": ""}
    shared = job.get("into")
    folder = Path()
    try:
        if job["version"] != VERSION:
            raise errors.EngineError("engine.protocol", f"A machine of the cluster has Likeness {VERSION}, not {job['version']}.",
                                     "Bring the same version to all machines.")
        if shared:
            folder = files.part_of(Path(shared) / f"{job['name']}.{uuid4().hex}")
            folder.mkdir()
        else:
            folder = Path(tempfile.mkdtemp(prefix="likeness-"))
        photo, options = (Path(job["path"]), job["options"]) if shared else _written(job, folder)
        out = folder / job["name"]
        answer["report"] = _at_a_station(photo, out, options, _given_up())
        answer |= {"folder": folder.name} if shared else {"files": bundle.pack(out)}
    except errors.LikenessError as exc:
        answer["error"] = exc.to_json() | {"trace": exc.trace}
    except OSError as exc:
        error = errors.output_error(exc, folder)
        answer["error"] = error.to_json() | {"trace": error.trace}
    except Exception as exc:                        # noqa: BLE001  the client decides what comes of it
        error = errors.internal(exc, traceback.format_exc())
        answer["error"] = error.to_json() | {"trace": error.trace}
    finally:
        if folder.name and not answer["folder"]:
            shutil.rmtree(folder, ignore_errors=True)
    return answer | {"seconds": time.monotonic() - began}


def stop() -> None:
    """End all stations that wait for work."""
    while _idle:
        _idle.pop().stop()


def _written(job: dict, folder: Path) -> tuple[Path, dict]:
    """The photo (and mask) as files under names that cannot do harm, and options that name them."""
    photo = _put(folder / "photo", *job["photo"])
    return photo, job["options"] | ({"mask": str(_put(folder / "mask", *job["mask"]))} if job["mask"] else {})


def _put(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir()
    suffix = Path(name).suffix
    path = folder / (folder_name(Path(name), ()).replace("/", "_") + (suffix if re.fullmatch(r"\.\w{1,8}", suffix) else ""))
    path.write_bytes(content)
    return path


def _at_a_station(photo: Path, out: Path, options: dict, given_up: Callable[[], bool]) -> dict:
    """The report; LikenessError. A station is for one photo at a time and goes back to the idle ones."""
    station = _idle.pop() if _idle else WorkerProcess(command(), ROOT, command=command(), hang_limit=QUIET_S)
    try:
        job = station.submit(photo, out, options)
        while True:
            for message in station.poll(0.5):
                if getattr(message, "job", None) == job and isinstance(message, wire.Error):
                    if message.code.startswith("engine."):
                        station.stop()              # the next photo gets a fresh one, in whose time the engine may have been mended
                    raise message.exception()
                if getattr(message, "job", None) == job and isinstance(message, wire.Result):
                    return message.report
            if given_up():
                station.cancel(job)
    finally:
        _idle.append(station)


def command() -> list[str]:
    """How a station is started here: with the environments of this checkout, or those that the variables name."""
    if os.environ.get(STATION):
        return shlex.split(os.environ[STATION])
    python = {n: os.environ.get(f"LIKENESS_{n.upper()}_PYTHON") or str(engine.python_of(ROOT / ".venv" / n)) for n in ("blender", "engine")}
    return [python["blender"], str(ROOT / "farm/station.py"), python["engine"]]


def _address() -> str:
    from distributed import get_worker
    try:
        return get_worker().address
    except ValueError:                              # not in a Dask worker (tests)
        return ""


def _given_up() -> Callable[[], bool]:
    """Whether nobody waits for this task any more: the client has cancelled it, or is gone."""
    from distributed import get_worker
    try:
        worker = get_worker()
        key = worker.get_current_task()
    except ValueError:
        return lambda: False

    def given_up() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    return given_up
