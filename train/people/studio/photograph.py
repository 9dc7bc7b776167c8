"""One photograph of synthetic people, with its ground truth.

    python -m train.people.studio.photograph --avatar White_M_1_Casual --pose mh_standing04 --out person.png --truth person.npz

Two people: give --avatar and --pose twice, and --yaw and --at once for each. The assets folder comes from --assets or
from the environment variable LIKENESS_ASSETS.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from PIL import Image

from neural.contract.errors import LikenessError

from ..assets import assets_root
from .picture import photograph
from .scene import Shot, Subject, build
from .truth import save_truth, truth_of

_PLAIN = {f.name: f.default for f in fields(Shot) if f.name not in ("subjects", "width", "height")}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train.people.studio.photograph", description=__doc__.split("\n\n")[0])
    parser.add_argument("--avatar", action="append", required=True, help="name of an avatar; again for each person")
    parser.add_argument("--pose", action="append", required=True, help="name of a pose; again for each person")
    parser.add_argument("--yaw", action="append", type=float, default=None, help="degrees; 0 faces the camera")
    parser.add_argument("--at", action="append", default=None, metavar="X,Y", help="place on the floor, metres; with = before a minus: --at=-0.4,0")
    parser.add_argument("--out", required=True, help="picture, .png or .jpg")
    parser.add_argument("--truth", help="ground truth, .npz")
    parser.add_argument("--quality", type=int, default=92, help="of a .jpg")
    parser.add_argument("--size", default="900x1200", metavar="WxH")
    parser.add_argument("--assets", help="folder of ingredients; default: LIKENESS_ASSETS")
    for name, default in _PLAIN.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=default)
        else:
            kind = float if default is None else type(default)
            parser.add_argument(flag, type=kind, default=default, help=f"default {default}")
    return parser.parse_args(argv)


def shot_from(args: argparse.Namespace) -> Shot:
    """The Shot that the arguments describe; SystemExit (status 2) where their numbers do not fit together."""
    count = len(args.avatar)
    yaw, at = args.yaw or [0.0] * count, args.at or ["0,0"] * count
    if not len(args.pose) == len(yaw) == len(at) == count:
        raise SystemExit("Give --pose, --yaw and --at as often as --avatar.")
    places = [tuple(float(v) for v in a.split(",")) for a in at]
    subjects = tuple(Subject(a, p, y, *xy) for a, p, y, xy in zip(args.avatar, args.pose, yaw, places))
    width, height = (int(v) for v in args.size.lower().split("x"))
    return Shot(subjects, width, height, **{name: getattr(args, name) for name in _PLAIN})


def save_picture(path: Path, image, quality: int = 92) -> None:
    """(H, W, 3) uint8 sRGB -> .png or .jpg; the same image gives the same bytes."""
    options = {"quality": quality, "subsampling": 0} if path.suffix.lower() in (".jpg", ".jpeg") else {}
    Image.fromarray(image).save(path, **options)


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    try:
        root, shot = assets_root(args.assets), shot_from(args)
        scene = build(shot, root)
        save_picture(Path(args.out), photograph(shot, scene, root), args.quality)
        if args.truth:
            save_truth(Path(args.truth), truth_of(scene), shot)
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
