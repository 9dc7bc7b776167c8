"""`dev.py bench batch`: photos in one run against as many runs of one photo each, as a ratio; and what that makes of a hundred photos.

Both do the whole job, from the start of Python to .blend and .glb. Compared are seconds on the clock, and seconds of processors, which a busy
machine changes less.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from .runs import batch, copies, on_linux


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="dev.py bench batch", description=__doc__)
    parser.add_argument("--photos", type=int, default=4, help="in the batch, and one by one; 2 or more")
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--stand-in", action="store_true", help="a stand-in for the networks")
    args = parser.parse_args(argv)
    if not on_linux():
        return 2
    alone: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        photos = copies(Path(folder) / "photos", args.photos)
        used = [_processor_s()]
        alone += [_single(photo, Path(folder), args) for photo in photos[: args.photos // 2]]
        used.append(_processor_s())
        ready = [0.0]
        for one in batch(photos, Path(folder) / "batch", args.preset, args.stand_in):
            ready.append(one.seconds)
            print(f"in the batch: {ready[-1] - ready[-2]:6.1f} s  {one.name} {one.state}", flush=True)
        used.append(_processor_s())
        alone += [_single(photo, Path(folder), args) for photo in photos[args.photos // 2:]]
        used.append(_processor_s())
    print(f"measured: {args.photos} photos")
    for what, together, apart in (("clock", ready[-1], sum(alone)), ("processors", used[2] - used[1], used[1] - used[0] + used[3] - used[2])):
        first = apart / args.photos
        further = (together - first) / (args.photos - 1)
        hundred = first + 99 * further
        print(f"  {what}: in one run {together:.1f} s, one by one {apart:.1f} s, ratio {apart / together:.2f};"
              f" computed for 100: {hundred:.0f} s and {100 * first:.0f} s, ratio {100 * first / hundred:.2f}")
    return 0


def _processor_s() -> float:
    """Of all processes that have ended and were ours."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _single(photo: Path, folder: Path, args: argparse.Namespace) -> float:
    began = time.monotonic()
    states = [p.state for p in batch([photo], folder / f"alone-{photo.stem}", args.preset, args.stand_in)]
    seconds = time.monotonic() - began
    print(f"alone:        {seconds:6.1f} s  {photo.stem} {states}", flush=True)
    return seconds
