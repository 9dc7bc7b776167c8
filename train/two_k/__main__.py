"""`dev.py train 2k2k`: trains COMPACT on synthetic people.

    dev.py train 2k2k --config cpu --minutes 150 --assets FOLDER          two cores, samples in out/two_k/samples
    dev.py train 2k2k --config gpu --minutes 25 --assets people.pack      one GPU, samples drawn on it
    … --resume                                                            goes on where it was (also with more minutes)
    … --phase coarse|parts|depth                                          one phase only, for all the minutes
    … --start FILE.safetensors                                            begins with weights that are there (neural/weights/two_k.safetensors)
    … --picture OUT.png                                                   trains nothing: what the weights in --out make of new people
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
from neural.nets.two_k.config import CONFIGS
from neural.nets.two_k.net import TwoK
from neural.nets.two_k.weights import load

from .. import loop, options
from ..background import Producer, threads
from .picture import draw
from .plan import PLANS, Plan
from .ship import export, ship
from .sources import Disk, Live, Order, Source, fill
from .task import TRAINED, Phase, TwoKTask, finished, fresh


def main(argv: list[str] | None = None) -> int:
    parser = options.parser("2k2k", __doc__.split("\n\n")[0], PLANS, TRAINED, "out/two_k")
    parser.add_argument("--start", type=Path, metavar="FILE", help="weights to begin with; default: new ones, or what the phase before has left in --out")
    args = parser.parse_args(argv)
    try:
        if args.picture:
            draw(load(args.out / "two_k.safetensors"), options.assets_of(args), args.picture)
        else:
            train(args, PLANS[args.config])
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    return 0


def train(args: argparse.Namespace, plan: Plan, say=lambda text: print(text, flush=True)) -> Path:
    """All wanted phases; returns the exported weights."""
    options.check(args)
    if plan.device == "cuda" and not torch.cuda.is_available():
        raise OptionError("option.device", "There is no CUDA GPU here.", "Use --config cpu.")
    wanted = [p for p in plan.phases if args.phase in ("all", p.name)]
    samples = args.samples or args.out / "samples"
    source: Source
    producer = None
    if plan.fresh:
        source = Disk(samples)
        if not args.no_drawing:
            producer = _draw(args, plan, wanted, samples, say)
    else:
        source = Live(options.assets_of(args), "train", plan.device)
    net = start(args.out, CONFIGS[plan.net], wanted[0].name, plan) if args.start is None else begun(args.start, plan)
    try:
        for phase in wanted:
            minutes = args.minutes * (phase.share if args.phase == "all" else 1.0)
            net = _train_phase(args, plan, phase, minutes, net, source, producer, say)
            size = export(net, args.out / "two_k.safetensors")
            say(f"{args.out / 'two_k.safetensors'}: {size / 1e6:.1f} MB after phase '{phase.name}'")
    finally:
        if producer is not None:
            producer.stop()
    if args.ship:
        command = f"python3 dev.py train 2k2k --config {args.config} --minutes {args.minutes:g}"
        say(f"{ship(net, plan.net, command, last_scores(args.out / wanted[-1].name))} ships")
    return args.out / "two_k.safetensors"


def start(out: Path, config, first: str, plan: Plan) -> TwoK:
    """A fresh network, or what the phases before the first wanted one have left."""
    net = fresh(config)
    before = [p.name for p in plan.phases][:[p.name for p in plan.phases].index(first)]
    if before:
        file = out / before[-1] / "average.safetensors"
        if not file.is_file():
            raise OptionError("option.phase", f"Phase '{first}' needs the results of phase '{before[-1]}', which are not in {out}.",
                              f"Train phase '{before[-1]}' first, or all of them.")
        net.load_state_dict(load_file(str(file)))
    return net


def begun(file: Path, plan: Plan) -> TwoK:
    """The network of a file of weights, which must be of the plan's size."""
    net = load(file)
    if net.config != CONFIGS[plan.net]:
        raise OptionError("option.start", f"{file.name} holds a network of another size than '{plan.net}'.", "Choose another file, or another --config.")
    return net


def held_at(plan: Plan, canvas: int) -> int:
    """Samples of validation on a canvas: large ones take long to draw and to go through."""
    return max(plan.held * 256 // canvas, 2)


def _draw(args: argparse.Namespace, plan: Plan, wanted: list[Phase], samples: Path, say) -> Producer:
    """Draw what the first phase needs, on all cores; the rest goes on beside the training."""
    assets, minutes = options.assets_of(args), args.minutes
    rate = dict(plan.fresh)
    canvases = list(dict.fromkeys(min(c for c in rate if c >= row[1]) for p in wanted for row in p.canvas))
    count = lambda canvas: max(round(rate[canvas] * minutes) // 32 * 32, plan.first if canvas == canvases[0] else plan.first // 4)
    torch.set_num_threads(1)
    began = time.monotonic()
    first = plan.first if canvases[0] <= 256 else plan.first // 4
    fill(assets, samples, [Order("val", canvases[0], held_at(plan, canvases[0])), Order("train", canvases[0], first)], workers=2, say=say)
    say(f"first samples after {time.monotonic() - began:.0f} s")
    later = [Order("train", canvases[0], count(canvases[0]) - first, first)]
    later += [o for c in canvases[1:] for o in (Order("val", c, held_at(plan, c)), Order("train", c, count(c)))]
    return Producer(fill, str(assets), samples, tuple(o for o in later if o.count > 0))


def _train_phase(args, plan: Plan, phase: Phase, minutes: float, net: TwoK, source: Source, producer: Producer | None, say) -> TwoK:
    canvas = phase.canvas[-1][1]
    held = _held(args, plan, canvas, source, producer, say)

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
        phase = replace(phase, canvas=tuple((start, side, args.batch) for start, side, _ in phase.canvas))
    task = TwoKTask(net, phase, source, held, plan.device, called=called, half=half)
    called(0)
    say(f"phase '{phase.name}': {f'{args.steps} steps' if args.steps else f'{minutes:.1f} minutes'}, canvas {canvas}{', bf16' if half else ''}")
    average = loop.run(task, plan.loop(phase, minutes, half, args.steps), args.out / phase.name, args.resume, plan.device, say)
    return finished(average, net.config)


def _held(args, plan: Plan, canvas: int, source: Source, producer: Producer | None, say) -> dict[str, torch.Tensor]:
    """Validation samples; waits for a producer that has not come so far."""
    if isinstance(source, Live):
        val = Live(options.assets_of(args), "val", plan.device)
        made = [val.samples(canvas, range(k, min(k + 8, plan.held))) for k in range(0, plan.held, 8)]
        return {name: torch.cat([m[name] for m in made]).cpu() for name in made[0]}
    count = held_at(plan, canvas)
    need = (("val", count), ("train", plan.first // 4))
    while any(len(source.of(canvas, part)) < count for part, count in need) and producer is not None and producer.working:
        say(f"waits for samples of {canvas} pixels")
        time.sleep(10)
    return source.held(canvas, min(count, max(len(source.of(canvas, "val")), 1)))


def last_scores(folder: Path) -> dict[str, float]:
    """The last validation of a phase."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    last = [r for r in rows if r["kind"] == "validate"][-1]
    return {k: v for k, v in last.items() if k not in ("kind", "step", "minutes")}


if __name__ == "__main__":
    sys.exit(main())
