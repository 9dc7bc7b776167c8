"""What the trainers of networks are asked on the command line alike."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from neural.contract.errors import OptionError

from .people.assets import assets_root


def parser(name: str, about: str, configs: Iterable[str], phases: Iterable[str], out: str) -> argparse.ArgumentParser:
    """Of `dev.py train name`: about: its one line; out: the default folder."""
    p = argparse.ArgumentParser(prog=f"dev.py train {name}", description=about)
    p.add_argument("--config", choices=tuple(configs), default="cpu")
    p.add_argument("--minutes", type=float, default=150.0, help="of training; the first samples are drawn before")
    p.add_argument("--steps", type=int, default=0, help="so many steps instead of minutes, of one --phase: to compare trainings on a busy machine")
    p.add_argument("--phase", choices=("all", *phases), default="all")
    p.add_argument("--resume", action="store_true")
    p.add_argument("--out", type=Path, default=Path(out))
    p.add_argument("--samples", type=Path, help="folder of drawn samples (config cpu); default: OUT/samples")
    p.add_argument("--no-drawing", action="store_true", help="use the samples that are there, draw none")
    p.add_argument("--threads", type=int, help="of this process (config cpu); default: all cores, less one while samples are drawn")
    p.add_argument("--batch", type=int, help="people in a batch; default: the config's")
    p.add_argument("--ship", action="store_true", help="put the weights into neural/weights")
    p.add_argument("--picture", type=Path, metavar="OUT.png", help="only draw what the weights in --out make of people")
    p.add_argument("--assets", help="asset folder or pack file; default: the environment variable LIKENESS_ASSETS")
    return p


def assets_of(args: argparse.Namespace) -> str | Path:
    """The pack file or asset folder. Raises what people.assets.assets_root raises."""
    return args.assets if args.assets and Path(args.assets).is_file() else assets_root(args.assets)


def check(args: argparse.Namespace) -> None:
    """Raises OptionError option.steps where steps are asked of more than one phase: they have no share of them."""
    if args.steps and args.phase == "all":
        raise OptionError("option.steps", "--steps needs one phase.", "Name it with --phase, or give --minutes.")
