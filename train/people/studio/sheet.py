"""A contact sheet of the test photos with their ground truth, for the documentation.

    python -m train.people.studio.sheet --photos tests/data --out docs/people.jpg
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from neural.contract.errors import LikenessError

from ..assets import assets_root
from .fixtures import SHOTS, jpeg
from .scene import build
from .truth import Truth, truth_of

_CELL = (240, 320)


def rows(photo: Image.Image, truth: Truth) -> list[np.ndarray]:
    """Photo, front normals, back normals, front depth of the visible people, each (H, W, 3) uint8."""
    shape = (*truth.visible.shape, 3)
    views = [np.full(shape, 235, np.uint8) for _ in range(3)]
    for k in range(len(truth.mask)):
        here = truth.visible == k + 1
        views[0][here] = ((truth.normal_front[k] * [1, -1, -1] * 0.5 + 0.5) * 255)[here].astype(np.uint8)
        views[1][here] = ((truth.normal_back[k] * [1, -1, 1] * 0.5 + 0.5) * 255)[here].astype(np.uint8)
        depth = truth.depth_front[k][here]
        near, far = depth.min(), depth.max()
        views[2][here] = (230 - 200 * (depth - near) / max(far - near, 1e-6))[:, None].astype(np.uint8)
    return [np.asarray(photo.convert("RGB")), *views]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.people.studio.sheet", description=__doc__.split("\n\n")[0])
    parser.add_argument("--photos", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--assets")
    args = parser.parse_args(argv)
    try:
        root = assets_root(args.assets)
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    sheet = Image.new("RGB", (len(SHOTS) * _CELL[0], 4 * _CELL[1]), (235, 235, 235))
    for column, (name, shot) in enumerate(SHOTS.items()):
        with Image.open(args.photos / f"{name}.jpg") as photo:
            cells = rows(photo, truth_of(build(shot, root)))
        for row, cell in enumerate(cells):
            image = Image.fromarray(cell)
            image.thumbnail(_CELL, Image.Resampling.LANCZOS)
            sheet.paste(image, (column * _CELL[0], row * _CELL[1]))
    args.out.write_bytes(jpeg(np.asarray(sheet), 220_000))
    return 0


if __name__ == "__main__":
    sys.exit(main())
