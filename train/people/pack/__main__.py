"""`dev.py train pack --out FILE`: one file with all ingredients of a part, to take to another machine.

    python3 dev.py train pack --out people.pack [--assets FOLDER] [--part train|held|all]
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from neural.contract.errors import OptionError

from ..assets import VARIABLE, assets_root
from .file import write

LIMIT_MB = 40


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="dev.py train pack", description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, help="the asset folder (default: the environment variable LIKENESS_ASSETS)")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    parser.add_argument("--part", choices=("train", "held", "all"), default="train", help="which assets (train/people/split.toml)")
    args = parser.parse_args(argv)
    try:
        size = write(args.assets or os.environ.get(VARIABLE) or assets_root(), args.out, args.part) / 1e6
    except OptionError as error:
        print(f"{error.code}: {error.message} {error.remedy}", file=sys.stderr)
        return 2
    print(f"{args.out}: part {args.part}, {size:.1f} MB")
    if args.part == "train" and size > LIMIT_MB:
        print(f"option.pack: the file is larger than {LIMIT_MB} MB. Leave assets out, or make their textures smaller.", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
