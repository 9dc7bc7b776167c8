"""A batch as `dev.py run` starts it, watched from outside: seconds, and the memory of Blender's process and of the engine's. Linux."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neural.contract import engine

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = ROOT / "tests/data"
STAND_IN = ROOT / "tests/blender/fake_worker.py"
"""Speaks the worker's protocol and makes a synthetic person at once; Blender's half is the real one."""


@dataclass(frozen=True)
class Photo:
    """When a photo was ready. seconds since the batch began; MB resident of Blender's process and of the engine's."""

    name: str
    state: str
    seconds: float
    blender_mb: float
    engine_mb: float


def copies(folder: Path, count: int) -> list[Path]:
    """So many photos, made of those of the tests in turn, under names of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    originals = sorted(PHOTOS.glob("*.jpg"))
    made = [folder / f"{i:04d}_{originals[i % len(originals)].name}" for i in range(count)]
    for i, photo in enumerate(made):
        shutil.copyfile(originals[i % len(originals)], photo)
    return made


def batch(photos: list[Path], out: Path, preset: str, stand_in: bool, until_s: float = float("inf")) -> Iterator[Photo]:
    """One run over the photos; an answer as each is ready. After `until_s` seconds the run is asked to end, as by Ctrl-C."""
    worker = STAND_IN if stand_in else engine.python_of(ROOT / ".venv/engine")
    command = [str(engine.python_of(ROOT / ".venv/blender")), str(ROOT / "addon/headless_main.py"), f"--out={out}",
               f"--engine-python={worker}", f"--preset={preset}", "--", *map(str, photos)]
    began = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        for line in process.stderr:
            found = re.match(r"\[\d+/\d+\] (\S+): (done in|.*\(([a-z.-]+)\)$)", line)
            if found:
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                yield Photo(found[1], found[3] or "done", time.monotonic() - began, memory_mb(process.pid),
                            max(map(memory_mb, map(int, children)), default=0.0))
            if time.monotonic() - began > until_s:
                process.terminate()
                until_s = float("inf")
        process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def memory_mb(pid: int) -> float:
    """Resident memory of a process; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


def on_linux() -> bool:
    """Whether this can measure here; says so when it cannot."""
    if not sys.platform.startswith("linux"):
        print("This benchmark reads /proc, so it runs on Linux only.", file=sys.stderr)
    return sys.platform.startswith("linux")
