"""`dev.py bench batch`: photos in one run against as many runs of one photo each, as a ratio; and what that makes of a hundred photos.

Both do the whole job, from the start of Python to .blend and .glb. They take turns, so that a busy machine is busy for both.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from .runs import batch, copies, on_linux


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="dev.py bench batch", description=__doc__)
    parser.add_argument("--photos", type=int, default=6, help="in the batch, and one by one")
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--stand-in", action="store_true", help="a stand-in for the networks")
    args = parser.parse_args(argv)
    if not on_linux():
        return 2
    alone: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        photos = copies(Path(folder) / "photos", args.photos)
        together = batch(photos, Path(folder) / "batch", args.preset, args.stand_in)
        ready = [0.0]
        for photo in photos[: args.photos // 2]:
            alone.append(_single(photo, Path(folder), args))
        began = time.monotonic()
        for one in together:                          # begins here: it is a generator
            ready.append(one.seconds)
            print(f"in the batch: {ready[-1] - ready[-2]:6.1f} s  {one.name} {one.state}", flush=True)
        whole = time.monotonic() - began
        for photo in photos[args.photos // 2:]:
            alone.append(_single(photo, Path(folder), args))
    first, further = ready[1], (ready[-1] - ready[1]) / (len(ready) - 2)
    single = sum(alone) / len(alone)
    print(f"measured: {args.photos} photos in one run {whole:.1f} s, one by one {sum(alone):.1f} s: ratio {sum(alone) / whole:.2f}")
    print(f"          the first photo of a run {first:.1f} s, each further one {further:.1f} s, a run of its own {single:.1f} s")
    print(f"computed: 100 photos in one run {first + 99 * further:.0f} s, one by one {100 * single:.0f} s: ratio {100 * single / (first + 99 * further):.2f}")
    return 0


def _single(photo: Path, folder: Path, args: argparse.Namespace) -> float:
    began = time.monotonic()
    states = [p.state for p in batch([photo], folder / f"alone-{photo.stem}", args.preset, args.stand_in)]
    print(f"alone:        {time.monotonic() - began:6.1f} s  {photo.stem} {states}", flush=True)
    return time.monotonic() - began
