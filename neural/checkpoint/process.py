"""A process of its own for a file that nobody knows: it has limits, and when it dies nothing else does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ..contract.errors import WeightsError, from_json

SECONDS = 600


def run(file: Path, net: str, out: Path) -> dict:
    """Import a checkpoint into folder `out`. Returns {file, net, tensors, parameters, source, sha256, bytes}; raises LikenessError.

    The file's own bytes are never trusted: see unpickle.py. The child has neither the worker's pipes nor its models.
    """
    root = Path(__file__).resolve().parents[2]
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONSTARTUP", "PYTHONINSPECT")}
    try:
        done = subprocess.run([sys.executable, "-s", "-m", "neural.checkpoint", str(Path(file).resolve()), "--net", net,
                               "--out", str(Path(out).resolve())],
                              cwd=root, env={**environment, "PYTHONPATH": str(root)}, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, encoding="utf-8", errors="replace", timeout=SECONDS)
    except subprocess.TimeoutExpired as exc:
        raise WeightsError("weights.unreadable", "Reading the checkpoint took too long.", "Choose an unmodified checkpoint.", str(exc)) from exc
    try:
        answer = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise WeightsError("weights.unreadable", "The process that read the checkpoint died.",
                           "Choose an unmodified checkpoint; close other programs when memory is short.",
                           f"exit status {done.returncode}\n{done.stderr[-2000:]}") from None
    if "code" in answer:
        raise from_json(answer, answer.get("trace", ""))
    return answer
