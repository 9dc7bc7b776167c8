"""`python3 dev.py evaluate --suite DIR [--preset P] [--limit N] [--out FILE.json] [--pictures DIR] [--quick] …`"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from neural.contract.errors import LikenessError
from neural.contract.job import DEPTHS, DEVICES, PRESETS

from .degrade import KINDS
from .methods import METHODS, USUAL
from .run import Options, evaluate

QUICK_PEOPLE = 3
"""About 50 s of CPU each for the three rows."""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="dev.py evaluate", description="Measure the pipeline on a suite of true persons.")
    p.add_argument("--suite", required=True, type=Path, metavar="DIR", help="folder with index.json (docs/evaluation.md)")
    p.add_argument("--preset", choices=PRESETS, help="default: standard, with --quick: draft")
    p.add_argument("--limit", type=int, metavar="N", help="only the first N items")
    p.add_argument("--out", type=Path, metavar="FILE.json", help="all numbers of all items")
    p.add_argument("--pictures", type=Path, metavar="DIR", help="one error sheet an item and method")
    p.add_argument("--methods", default=",".join(USUAL), help=f"comma-separated, of {','.join(METHODS)}")
    p.add_argument("--quick", action="store_true", help=f"draft preset, fewer samples, the first {QUICK_PEOPLE} people: 3 minutes on two cores")
    p.add_argument("--degrade", choices=(*KINDS, "all"), default="none",
                   help="make the pictures worse first; all: one row for each (the suite `degraded`)")
    p.add_argument("--depth", choices=DEPTHS, default="auto", help="of the rows that run the pipeline; 2k2k: an imported checkpoint")
    p.add_argument("--device", choices=DEVICES, default="auto")
    p.add_argument("--seed", type=int, default=0)
    return p


def main() -> int:
    args = parser().parse_args()
    methods = tuple(m.strip() for m in args.methods.split(",") if m.strip())
    unknown = [m for m in methods if m not in METHODS]
    if unknown or not methods:
        parser().error(f"unknown method '{', '.join(unknown)}'; choose of {', '.join(METHODS)}")
    if args.limit is not None and args.limit < 1:
        parser().error("--limit must be at least 1")
    preset = args.preset or ("draft" if args.quick else "standard")
    limit = QUICK_PEOPLE if args.quick and args.limit is None and args.degrade != "all" else args.limit
    try:
        result = evaluate(Options(args.suite, preset, limit, args.out, args.pictures, methods, args.quick, args.device,
                                  args.seed, args.degrade, args.depth))
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2 if error.code.startswith(("suite.", "option.")) else 3
    except KeyboardInterrupt:
        return 130
    return 3 if any(row["error"] for row in result["results"]) else 0


if __name__ == "__main__":
    sys.exit(main())
