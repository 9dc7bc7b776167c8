"""A process of its own for a file that nobody knows: it has limits, and when it dies nothing else does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ..contract import checkpoints
from ..contract.engine import clean_environment


def run(file: Path, net: str, out: Path) -> dict:
    """Import a checkpoint into folder `out`. Returns {file, net, tensors, parameters, source, sha256, bytes}; raises LikenessError.

    The file's own bytes are never trusted: see unpickle.py. The child has neither the worker's pipes nor its models.
    """
    root = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(checkpoints.command(sys.executable, file, net, out), cwd=root, env=clean_environment() | {"PYTHONPATH": str(root)},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", errors="replace",
                              timeout=checkpoints.SECONDS)
    except subprocess.TimeoutExpired as exc:
        raise checkpoints.took_too_long() from exc
    return checkpoints.answer(done.stdout, done.stderr, done.returncode)
