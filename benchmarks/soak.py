"""`dev.py bench soak`: many photos one after another in one worker; does memory stay flat? Exit status 1 when it does not.

Compared are the means over the first and the last hundred photos (or thirds, where there are fewer than 300), of Blender's process
and of the engine's, as resident after each photo.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from .runs import Photo, batch, copies, on_linux

MOST_GROWTH = 0.05


def growth(values: np.ndarray) -> float:
    """(mean of the last hundred) / (mean of the first hundred) - 1; thirds where there are fewer than 300."""
    window = min(100, len(values) // 3)
    return float(values[-window:].mean() / values[:window].mean() - 1)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="dev.py bench soak", description=__doc__)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--stand-in", action="store_true", help="a stand-in for the networks: shows Blender's half and the batch alone")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end after so long, with however many photos")
    parser.add_argument("--out", type=Path, help="write the curve here (JSON)")
    args = parser.parse_args(argv)
    if not on_linux():
        return 2
    seen: list[Photo] = []
    with tempfile.TemporaryDirectory() as folder:
        for photo in batch(copies(Path(folder) / "photos", args.photos), Path(folder) / "out", args.preset, args.stand_in, args.minutes * 60):
            seen.append(photo)
            print(f"{len(seen):4d}  {photo.seconds:7.1f} s  Blender {photo.blender_mb:6.0f} MB  engine {photo.engine_mb:6.0f} MB  {photo.state}", flush=True)
    if len(seen) < 3:
        print("fewer than three photos say nothing")
        return 2
    if args.out:
        args.out.write_text(json.dumps([vars(p) for p in seen]), "utf-8")
    worst = -1.0
    for name in ("blender_mb", "engine_mb"):
        values = np.array([getattr(p, name) for p in seen])
        worst = max(worst, growth(values))
        marks = np.unique(np.linspace(0, len(values) - 1, 11).round().astype(int))
        print(f"{name}: {growth(values):+.1%}  ({', '.join(f'{i + 1}: {values[i]:.0f}' for i in marks)})")
    print(f"{len(seen)} photos, {'flat' if worst <= MOST_GROWTH else 'NOT flat'} (at most {MOST_GROWTH:.0%} is allowed)")
    return 0 if worst <= MOST_GROWTH else 1
