"""How well the photo's shading is taken out: `python -m evaluate.shading DIR [--limit N] [--preset draft]`. DIR: a suite.

Every person is photographed in three lights; colours of the photo, before and after s10's removal of shading, against the true albedo where the photo
shows the person. One factor is free: how bright a lamp is, no picture tells. Body, mask and normals are the pipeline's own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from neural.contract.errors import LikenessError
from neural.contract.job import PRESETS
from neural.geometry.shading import LUMA
from neural.geometry.srgb import linear, srgb
from neural.stages import s04_coarse, s05_parts
from neural.stages.s10_shading import without_shading

from .methods import Runner
from .render.camera import ShotConfig
from .render.picture import lit, photograph
from .render.shade import Light
from .run import LONG_SIDE
from .suite import Item, read_suite

LIGHTS = {"soft": Light(), "lamp": Light(0.45, 0.1, 0.9, (0.8, -0.4, -0.5)), "hard, from the side": Light(0.3, 0.1, 1.0, (-0.9, -0.2, -0.3))}
"""All without cast shadows: those no one takes out."""


@dataclass(frozen=True)
class Score:
    """Mean absolute error of log luma, and PSNR in dB of sRGB, both at the best brightness."""

    log: float
    psnr_db: float

    @staticmethod
    def of(colour: np.ndarray, true: np.ndarray) -> "Score":
        """(N, 3) linear each."""
        miss = np.log(np.maximum(colour @ LUMA, 1e-3)) - np.log(true @ LUMA)
        off = np.median(miss)
        error = np.mean((srgb(colour * np.exp(-off)) - srgb(true)) ** 2)
        return Score(float(np.abs(miss - off).mean()), float(-10 * np.log10(error)))


def measure(item: Item, number: int, light: Light, runner: Runner, preset: str, folder: Path) -> tuple[Score, Score]:
    """Before and after. Raises what the stages raise."""
    shot = photograph(item.mesh(), replace(ShotConfig(long_side=LONG_SIDE[preset]), yaw_deg=item.yaw_deg), light, seed=number)
    flat, _ = lit(shot.mesh, shot.camera, None)
    file = folder / f"{number}-{light.ambient}.png"
    cv2.imwrite(str(file), shot.rgb[..., ::-1])
    (job, photo, person, body), nets = runner.fitted(file), runner.pipeline.models
    coarse = job.stage(s04_coarse, s04_coarse.coarse_maps, person, body, nets)
    normals = job.stage(s05_parts, s05_parts.part_normals, person, body, coarse, nets)
    after, _, _ = without_shading(photo, person, normals, job.context)
    sure = (cv2.erode(shot.alpha, np.ones((5, 5), np.uint8)) > 0.99) & (flat.min(-1) > 0.003)
    return tuple(Score.of(linear(rgb)[sure], flat[sure]) for rgb in (photo.rgb, after.rgb))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m evaluate.shading", description=__doc__.split("\n\n")[0])
    parser.add_argument("suite", type=Path, metavar="DIR")
    parser.add_argument("--limit", type=int, default=4, metavar="N")
    parser.add_argument("--preset", choices=PRESETS, default="draft")
    args = parser.parse_args(argv)
    failed = 0
    print("| light | n | log error: photo | without shading | PSNR dB: photo | without shading |\n| --- | --- | --- | --- | --- | --- |")
    try:
        items = read_suite(args.suite).items[:args.limit]
        with tempfile.TemporaryDirectory(prefix="likeness-shading-") as folder:
            runner = Runner(args.preset, "cpu", Path(folder))
            for name, light in LIGHTS.items():
                found = []
                for number, item in enumerate(items):
                    try:
                        found.append(measure(item, number, light, runner, args.preset, Path(folder)))
                    except LikenessError as error:
                        failed += 1
                        print(f"{item.name}, {name}: {error.message}", file=sys.stderr)
                mean = lambda at, what: np.mean([getattr(row[at], what) for row in found]) if found else float("nan")
                print(f"| {name} | {len(found)} | {mean(0, 'log'):.3f} | {mean(1, 'log'):.3f} | {mean(0, 'psnr_db'):.1f} | {mean(1, 'psnr_db'):.1f} |", flush=True)
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    return 3 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
