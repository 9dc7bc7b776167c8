"""`dev.py train refinetex`: trains COMPACT, our RefineTex, on pairs of photos of synthetic people.

    dev.py train refinetex --config cpu --minutes 150 --assets FOLDER          two cores, samples in out/refinetex/samples
    dev.py train refinetex --config gpu --minutes 25 --assets people.pack      one GPU, samples drawn on it
    … --resume                                                                 goes on where it was (also with more minutes)
    … --phase identity|texture|fine                                            one phase only, for all the minutes
    … --row texformer|plain|refined|uncertainty|cycle|direct|unsupervised      without parts of it, for the table (rows.py); in OUT/ROW
    … --net paper                                                              the paper's own network and losses instead of ours; in OUT/paper-ROW
    … --start FILE.safetensors                                                 phase texture begins with what fits of these weights
    … --only-draw                                                              samples alone, for a training with --no-drawing
    … --picture OUT.png                                                        trains nothing: what the weights in --out make of new people
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from neural.contract.errors import LikenessError, OptionError
from neural.nets.refinetex.config import CONFIGS
from neural.nets.refinetex.identity import Identity
from neural.nets.refinetex.weights import load, save

from .. import loop, options
from ..background import Producer, threads
from .picture import draw
from .plan import PLANS, Plan
from .rows import ROWS, Trained, begun, fresh, without_fine
from .ship import ship
from .sources import Disk, Kind, Live, Order, Source, fill
from .task import PHASES, IdentityTask, Phase, TextureTask


def main(argv: list[str] | None = None) -> int:
    parser = options.parser("refinetex", __doc__.split("\n\n")[0], PLANS, PHASES, "out/refinetex")
    parser.add_argument("--row", choices=tuple(ROWS), default="full", help="what is trained with what (rows.py)")
    parser.add_argument("--net", choices=("ours", "paper"), default="ours")
    parser.add_argument("--start", type=Path, metavar="FILE", help="weights that phase texture begins with; default: new ones")
    parser.add_argument("--only-draw", action="store_true", help="draw the samples of so many minutes' training, train nothing (config cpu)")
    parser.add_argument("--first", type=int, help="people of each kind that are drawn before training (config cpu); default: the config's")
    args = parser.parse_args(argv)
    try:
        if args.picture:
            draw(load(folder_of(args) / "refinetex.safetensors"), args.assets, args.samples or args.out / "samples", args.picture)
        elif args.only_draw:
            plan = _sized(args, PLANS[args.config])
            fill(str(options.assets_of(args)), args.samples or args.out / "samples", sum(_orders(args, plan, plan.phases), ()), _workers(args))
        else:
            train(args, PLANS[args.config])
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    return 0


def folder_of(args: argparse.Namespace) -> Path:
    """Of a row; the full one of our network lies in --out itself. The identity encoder is shared."""
    mark = f"{'paper-' if args.net == 'paper' else ''}{args.row}"
    return args.out if mark == "full" else args.out / mark


def train(args: argparse.Namespace, plan: Plan, say=lambda text: print(text, flush=True)) -> Path:
    """All wanted phases; returns the exported weights of the last."""
    options.check(args)
    if plan.device == "cuda" and not torch.cuda.is_available():
        raise OptionError("option.device", "There is no CUDA GPU here.", "Use --config cpu.")
    plan = _sized(args, plan)
    wanted = [p for p in plan.phases if args.phase in ("all", p.name) and not (p.name == "fine" and args.net == "paper")]
    if not wanted:
        raise OptionError("option.phase", "The paper's network has no head for twice the size.", "Leave out --phase fine.")
    if args.ship and args.net == "paper":
        raise OptionError("option.ship", "The paper's network does not ship.", "Leave out --ship or --net paper.")
    if wanted[0].name != "identity":
        _identity(args)                                      # says what is missing now, not after the first samples
        start(args, plan, wanted[0])
    source, producer = _source(args, plan, wanted, say)
    try:
        for phase in wanted:
            minutes = args.minutes * (phase.share if args.phase == "all" else 1.0)
            file = _train_phase(args, plan, phase, minutes, source, producer, say)
            say(f"{file}: {file.stat().st_size / 1e6:.1f} MB after phase '{phase.name}'")
    finally:
        if producer is not None:
            producer.stop()
    if args.ship:
        row = "" if args.row == "full" else f" --row {args.row}"
        command = f"python3 dev.py train refinetex --config {args.config} --minutes {args.minutes:g}{row}"
        say(f"{ship(load(folder_of(args) / 'refinetex.safetensors'), plan.net, command, last_scores(folder_of(args) / wanted[-1].name))} ships")
    return file


def _source(args: argparse.Namespace, plan: Plan, wanted: list[Phase], say) -> tuple[Source, Producer | None]:
    """Where samples come from. Draws what the first phase needs, on all cores; the rest goes on beside the training."""
    if not plan.fresh:
        return Live(options.assets_of(args), plan.device), None
    samples = args.samples or args.out / "samples"
    if args.no_drawing:
        return Disk(samples), None
    assets = str(options.assets_of(args))
    now, later = _orders(args, plan, wanted)
    torch.set_num_threads(1)
    began = time.monotonic()
    fill(assets, samples, now, _workers(args))
    say(f"first samples after {time.monotonic() - began:.0f} s")
    return Disk(samples), Producer(fill, assets, samples, later)


def _sized(args: argparse.Namespace, plan: Plan) -> Plan:
    return replace(plan, first=args.first, held=min(plan.held, max(args.first, 2))) if args.first else plan


def _workers(args: argparse.Namespace) -> int:
    return min(args.threads or 2, 2)


def _orders(args: argparse.Namespace, plan: Plan, wanted) -> tuple[tuple[Order, ...], tuple[Order, ...]]:
    """What is drawn before the first phase, and beside the training."""
    if not plan.fresh:
        raise OptionError("option.config", f"The config '{args.config}' draws its samples as it needs them.", "Use --config cpu.")
    kinds, rate = list(dict.fromkeys(step.kind for phase in wanted for step in phase.steps)), dict(plan.fresh)
    count = lambda kind: max(round(rate[kind] * args.minutes) // 32 * 32, plan.first)
    later = [o for kind in kinds[1:] for o in (Order("val", kind, plan.held // 2), Order("train", kind, plan.first))]
    later += [Order("train", kind, count(kind) - plan.first, plan.first) for kind in kinds]
    return (Order("val", kinds[0], plan.held), Order("train", kinds[0], plan.first)), tuple(o for o in later if o.count > 0)


def _train_phase(args, plan: Plan, phase: Phase, minutes: float, source: Source, producer: Producer | None, say) -> Path:
    """One phase from what the ones before it have left; exports and returns its weights."""
    kind = phase.steps[-1].kind
    held = _held(args, plan, kind, source, producer, say)

    def called(step: int) -> None:
        if plan.device == "cpu" and step % 20 == 0:
            if producer is not None:
                producer.check()
            if args.threads:
                torch.set_num_threads(args.threads)
            else:
                threads(busy=producer is not None and producer.working)

    half = plan.device == "cuda" or loop.fast_half()
    if args.batch:
        phase = replace(phase, steps=tuple(replace(s, people=args.batch) for s in phase.steps))
    given = dict(device=plan.device, called=called, half=half)
    out = (args.out if phase.name == "identity" else folder_of(args)) / phase.name
    if phase.name == "identity":
        torch.manual_seed(0)
        task = IdentityTask(Identity(), phase, source, held, **given)
    else:
        task = TextureTask(start(args, plan, phase, say), phase, ROWS[args.row], source, held, _identity(args), **given)
    called(0)
    say(f"phase '{phase.name}': {f'{args.steps} steps' if args.steps else f'{minutes:.1f} minutes'}, {kind.canvas} pixels, {kind.texture} texels{', bf16' if half else ''}")
    average = loop.run(task, plan.loop(phase, minutes, half, args.steps), out, args.resume, plan.device, say).cpu()
    file = args.out / "identity.safetensors" if phase.name == "identity" else folder_of(args) / "refinetex.safetensors"
    save(average if phase.name == "identity" else without_fine(average.net) if phase.name == "texture" else average.net, file)
    return file


def start(args, plan: Plan, phase: Phase, say=lambda text: None) -> Trained:
    """A fresh network of the row, with what fits of --start, or what phase `texture` has left for phase `fine`."""
    trained = fresh(None if args.net == "paper" else CONFIGS[plan.net], ROWS[args.row])
    if phase.name == "texture" and args.start is not None:
        new = begun(trained, load(args.start))
        if len(new) == len(trained.net.state_dict()):
            raise OptionError("option.start", f"{args.start.name} holds no network of the size '{plan.net}'.", "Choose another file, or another --config.")
        say(f"begins with {args.start}" + (f"; new: {', '.join(sorted({name.split('.')[0] for name in new}))}" if new else ""))
    if phase.name == "fine":
        trained.load_state_dict(load_file(str(_needs(folder_of(args) / "texture/average.safetensors", "fine", "texture"))))
    return trained


def _identity(args: argparse.Namespace) -> Identity:
    return load(_needs(args.out / "identity.safetensors", "texture", "identity"))


def _needs(file: Path, phase: str, before: str) -> Path:
    if not file.is_file():
        raise OptionError("option.phase", f"Phase '{phase}' needs the results of phase '{before}', and there is no {file}.",
                          f"Train phase '{before}' first, or all of them.")
    return file


def _held(args, plan: Plan, kind: Kind, source: Source, producer: Producer | None, say) -> dict[str, torch.Tensor]:
    """Validation samples; waits for a producer that has not come so far."""
    count = plan.held if kind.views == 2 else plan.held // 2
    if isinstance(source, Disk):
        while (source.people(kind, "val") < count or not source.people(kind)) and producer is not None and producer.working:
            say(f"waits for samples of {kind.canvas} pixels")
            time.sleep(10)
        count = min(count, max(source.people(kind, "val"), 1))
    return source.held(kind, count)


def last_scores(folder: Path) -> dict[str, float]:
    """The last validation of a phase."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    last = [r for r in rows if r["kind"] == "validate"][-1]
    return {k: v for k, v in last.items() if k not in ("kind", "step", "minutes")}


if __name__ == "__main__":
    sys.exit(main())
