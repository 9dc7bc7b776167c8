"""Samples drawn by several processes into shards (shards.py)."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import asdict
from pathlib import Path
from typing import Callable, Sequence

import torch

from .generator import Generator, GeneratorConfig
from .shards import describe, write_shard

SHARD = 32
"""Samples in a shard."""


def shard_name(first: int) -> str:
    return f"{first:09d}"


def produce(source: str | Path, out: Path, part: str, seeds: Sequence[int], size: int, batch: int = 4, workers: int = 1,
            fields: Sequence[str] | None = None, say: Callable[[str], None] = print, supersample: int = 2, texture: int = 0,
            make: Callable[[Generator, Sequence[int]], dict] = Generator.__call__) -> None:
    """Write the samples of `seeds` into out/, a shard for each 32 seeds; shards that are there already are kept, so that it can be stopped and
    started again. fields: names to keep (None = all); `joints` is always kept. make: a module's function that may give a seed several rows."""
    runs = [list(seeds[k:k + SHARD]) for k in range(0, len(seeds), SHARD)]
    todo = [r for r in runs if not (out / shard_name(r[0]) / "seeds.npy").is_file()]
    config = GeneratorConfig(size=size, supersample=supersample, texture=texture)
    describe(out, {"part": part, "size": size, "config": asdict(config), "first": int(seeds[0]), "count": len(seeds)})
    say(f"{len(runs) - len(todo)} of {len(runs)} shards are there.")
    jobs = [(str(source), str(out), part, todo[k::workers], config, batch, None if fields is None else tuple(fields), k, make) for k in range(workers)]
    if not todo:
        return
    if workers == 1:
        _work(*jobs[0])
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:       # a fresh process each: torch and fork do not mix
        pool.starmap(_work, jobs)


def _work(source: str, out: str, part: str, runs: list[list[int]], config: GeneratorConfig, batch: int, fields: tuple[str, ...] | None, number: int,
          make: Callable[[Generator, Sequence[int]], dict]) -> None:
    torch.set_num_threads(1)
    generator, start, made = Generator(source, part, config), time.monotonic(), 0
    for run in runs:
        kept = lambda s: s if fields is None else {k: s[k].clone() for k in dict.fromkeys((*fields, "joints"))}   # large ones fill the memory
        parts = [kept(make(generator, run[k:k + batch])) for k in range(0, len(run), batch)]
        sample = {k: torch.cat([p.pop(k) for p in parts]) for k in tuple(parts[0])}
        rows = len(sample["joints"]) // len(run)
        write_shard(Path(out) / shard_name(run[0]), [seed for seed in run for _ in range(rows)], sample)
        made += len(run)
        print(f"worker {number}: {made} samples, {made / (time.monotonic() - start):.2f} a second", flush=True)
