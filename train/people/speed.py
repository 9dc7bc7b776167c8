"""How many samples a second the generator makes here, and where the time goes."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path

import torch

from . import generator as module
from .generator import Generator, GeneratorConfig

PARTS = ("build", "place", "picture", "floor_light", "compose", "develop", "rasterize", "fine_normals", "maps", "damaged", "fitted", "body_maps", "face_box",
         "unwrap", "painted", "observed", "look", "sample_queries")
"""Functions of generator.py that are timed."""

WARM = 10_000
"""First seed of the people who are only built, not drawn, before the clock starts."""


@contextmanager
def _timed(spent: dict[str, float], device: torch.device):
    kept = {name: getattr(module, name) for name in PARTS}

    def wrap(name, function):
        def call(*args, **kwargs):
            start = _now(device)
            out = function(*args, **kwargs)
            spent[name] = spent.get(name, 0.0) + _now(device) - start
            return out
        return call

    for name, function in kept.items():
        setattr(module, name, wrap(name, function))
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(module, name, function)


def _now(device: torch.device) -> float:
    """CPU seconds of this process; wall seconds on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def report(source: str | Path, part: str, size: int, count: int, batch: int, device: str) -> str:
    """A table in plain text. On a CPU: seconds of one core's work, so that other jobs on the machine do not count."""
    torch.set_num_threads(1)
    g = Generator(source, part, GeneratorConfig(size=size), device)
    for first in range(WARM, WARM + 80, batch):                             # an item's tables are made when it is first worn
        g.warm(range(first, first + batch))
    spent: dict[str, float] = {}
    start = _now(g.device)
    with _timed(spent, g.device):
        for first in range(0, count, batch):
            g(range(first, first + batch))
    total, made = _now(g.device) - start, -(-count // batch) * batch
    rate = made / total
    what = "a second" if g.device.type == "cuda" else f"a second of one core ({2 * rate:.1f} on two)"
    lines = [f"{made} samples of {size} x {size} on {device}, batch {batch}: {rate:.2f} samples {what}"]
    lines += [f"  {name:16s} {1000 * spent[name] / made:7.1f} ms  {100 * spent[name] / total:4.1f} %" for name in sorted(spent, key=spent.get, reverse=True)]
    return "\n".join(lines)
