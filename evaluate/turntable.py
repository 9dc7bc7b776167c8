"""Turntables: `python -m evaluate.turntable DIR --out SHEET.jpg [--limit N] [--methods pipeline,mirror] [--preset draft]`.

A row for each person and method: the photograph, then the reconstruction (unlit albedo) from eight sides. With the method `true` the
true person, in the photograph's light. DIR: a suite (docs/evaluation.md).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from neural.contract.errors import LikenessError, OptionError
from neural.contract.job import PRESETS

from .methods import METHODS, Runner
from .pictures import labelled
from .readers.mesh import Mesh
from .render.camera import ShotConfig
from .render.picture import novel_view, photograph
from .render.shade import Light
from .run import LONG_SIDE
from .suite import Item, read_suite
from .truth import MeasureConfig, Truth, prepare

VIEWS = 8
TALL = 256
"""Pixels of a view's height; it is half as wide at least."""


def rows(item: Item, number: int, methods: tuple[str, ...], runner: Runner, preset: str, folder: Path) -> list[np.ndarray]:
    """Pictures (TALL, W, 3) uint8, one a method; what failed is a note in its place."""
    shot = photograph(item.mesh(), replace(ShotConfig(long_side=LONG_SIDE[preset]), yaw_deg=item.yaw_deg), seed=number)
    truth = prepare(shot, item.height_m, *item.joint_array(), MeasureConfig(), "cpu")
    photo = folder / f"{number:03d}.png"
    cv2.imwrite(str(photo), shot.rgb[..., ::-1])
    out = []
    for method in methods:
        first = labelled(_tall(shot.rgb), method)
        try:
            views = turned(truth, shot.mesh, shot.light) if method == "true" else turned(truth, runner.run(method, photo, truth).mesh)
        except LikenessError as error:
            views = [labelled(np.full((TALL, TALL * VIEWS // 2, 3), 128, np.uint8), f"{error.code}: {error.message}")]
        out.append(np.concatenate([first, *views], 1))
        print(f"[{number + 1}] {item.name} {method}", file=sys.stderr, flush=True)
    return out


def turned(truth: Truth, mesh: Mesh, light: Light | None = None) -> list[np.ndarray]:
    """VIEWS pictures (TALL, TALL / 2, 3) uint8 of a mesh in the photograph's camera frame, turned about its own middle."""
    used = mesh.vertices[np.unique(mesh.faces)]
    pivot = (used.min(0) + used.max(0)) / 2
    camera = truth.shot.camera
    factor = 2 * TALL / camera.height
    camera = camera.resized(round(camera.width * factor), round(camera.height * factor))
    out = []
    for k in range(VIEWS):
        picture, _ = novel_view(mesh, camera, 360 * k / VIEWS, pivot, truth.normalised.rotation, light, 1)
        out.append(_tall(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)))
    return out


def _tall(image: np.ndarray) -> np.ndarray:
    """TALL high; the middle, half as wide."""
    width = round(image.shape[1] * TALL / image.shape[0])
    small = cv2.resize(image, (width, TALL), interpolation=cv2.INTER_AREA)
    want = TALL // 2
    if width < want:
        small = cv2.copyMakeBorder(small, 0, 0, (want - width) // 2, want - width - (want - width) // 2, cv2.BORDER_REPLICATE)
    start = (small.shape[1] - want) // 2
    return np.ascontiguousarray(small[:, start:start + want])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m evaluate.turntable", description=__doc__.split("\n\n")[0])
    parser.add_argument("suite", type=Path, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="SHEET")
    parser.add_argument("--limit", type=int, default=8, metavar="N")
    parser.add_argument("--methods", default="mirror,pipeline")
    parser.add_argument("--preset", choices=PRESETS, default="draft")
    args = parser.parse_args(argv)
    methods = tuple(args.methods.split(","))
    try:
        if unknown := [m for m in methods if m not in (*METHODS, "true")]:
            raise OptionError("option.method", f"There is no method '{unknown[0]}'.", f"Choose of {', '.join((*METHODS, 'true'))}.")
        items = read_suite(args.suite).items[:args.limit]
        with tempfile.TemporaryDirectory(prefix="likeness-turntable-") as folder:
            runner = Runner(args.preset, "cpu", Path(folder))
            pictures = [row for k, item in enumerate(items) for row in rows(item, k, methods, runner, args.preset, Path(folder))]
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    widest = max(p.shape[1] for p in pictures)
    whole = np.concatenate([np.pad(p, ((0, 0), (0, widest - p.shape[1]), (0, 0)), constant_values=255) for p in pictures])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.out), whole[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85]):
        print(f"'{args.out}' cannot be written. Choose a .jpg or .png in a folder that you may write to.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
