"""`dev.py train people`: pictures of what the generator makes, its speed, samples on disk.

    dev.py train people --preview OUT.png          a contact sheet with all labels
    dev.py train people --speed                    samples a second, part by part
    dev.py train people --out DIR --count N        samples on disk (shards.py), several processes at once with --workers
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from neural.contract.errors import LikenessError

from .assets import assets_root


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="dev.py train people", description=__doc__.split("\n\n")[0])
    parser.add_argument("--preview", type=Path, metavar="OUT.png")
    parser.add_argument("--photos", action="store_true", help="with --preview: only the photos, eight in a row")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--texture", type=int, default=0, help="texels of a side of the UV texture")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first sample; the others follow")
    parser.add_argument("--part", choices=("train", "val", "held"), default="train")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--assets", help="asset folder or pack file; default: the environment variable LIKENESS_ASSETS")
    args = parser.parse_args(argv)
    if not (args.preview or args.speed or args.out):
        parser.print_usage(sys.stderr)
        return 2
    try:
        source = args.assets if args.assets and Path(args.assets).is_file() else assets_root(args.assets)
        if args.preview:
            _preview(args, source)
        if args.speed:
            from .speed import report
            print(report(source, args.part, args.size, args.count, args.batch, args.device))
        if args.out:
            from .produce import produce
            produce(source, args.out, args.part, range(args.seed, args.seed + args.count), args.size, args.batch, args.workers)
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    return 0


def _preview(args: argparse.Namespace, source: str | Path) -> None:
    from .generator import Generator, GeneratorConfig
    from .preview import photos, sheet

    torch.set_num_threads(1)
    generator = Generator(source, args.part, GeneratorConfig(size=args.size, texture=args.texture), args.device)
    recipes = [generator.recipe(s) for s in range(args.seed, args.seed + args.count)]
    parts = [generator.draw(recipes[k:k + args.batch]) for k in range(0, len(recipes), args.batch)]
    sample = {k: torch.cat([p[k] for p in parts]) for k in parts[0]}
    args.preview.parent.mkdir(parents=True, exist_ok=True)
    (photos(sample) if args.photos else sheet(sample, recipes)).save(args.preview, quality=88)
    print(f"{args.preview}: {len(recipes)} samples, seeds {args.seed} to {args.seed + args.count - 1}, "
          f"{sum(bool(r.person.avatar) for r in recipes)} of them whole characters")


if __name__ == "__main__":
    sys.exit(main())
