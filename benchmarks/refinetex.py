"""RefineTex: COMPACT against PAPER, with and without its head for twice the size; what door and refinement cost. Random weights, a mean body."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import torch

from neural.body.model import BodyModel
from neural.contract.frames import Camera
from neural.geometry.raster import rasterize
from neural.memory import peak_mb, reset_peak
from neural.nets.refinetex import door
from neural.nets.refinetex.compact import Compact
from neural.nets.refinetex.config import CONFIGS, PAPER
from neural.nets.refinetex.paper_door import paper_inputs
from neural.nets.refinetex.refine import RefineTex
from neural.nets.refinetex.view import View

ROWS = ("texformer", "paper", "paper-plain", "cpu-256", "compact-256", "compact-512", "compact-512-none", "compact-1024", "compact-1024-bf16")
"""Network, texels of the layout's side (1024: 512 and the head that doubles it), and what differs."""


def view(side: int) -> View:
    """The mean body in its T-pose, 3 m away, before noise."""
    model = BodyModel.load()
    vertices = (model.template - model.template.mean(0)) * (1, -1, -1) + (0, 0, 3.0)
    seen = rasterize(vertices.astype(np.float32), model.faces, Camera(side, side, side * 1.3, side * 1.3, side / 2, side / 2))
    hit = torch.as_tensor(seen.hit)[None]
    picture = lambda a: torch.as_tensor(np.ascontiguousarray(a, np.float32)).permute(2, 0, 1)[None].contiguous()
    body = {"mask": hit, "depth_front": torch.as_tensor(np.nan_to_num(seen.depth))[None], "normal_front": torch.zeros(1, 3, side, side),
            "uv_front": picture(seen.interpolate(model.uv, model.uv_faces)), "part_front": hit.to(torch.uint8)}
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    return View(image, hit[:, None].float(), torch.ones(1, 1, side, side), torch.tensor([side * 1.3]), torch.full((1, 2), side / 2),
                torch.as_tensor(vertices, dtype=torch.float32)[None], body)


def measure(what: str, side: int, repeats: int) -> dict:
    """In this process: parameters (millions), CPU seconds of door and network, peak memory (MB above what was there before)."""
    name, *rest = what.split("-")
    given = view(side)
    torch.manual_seed(0)
    if name in ("texformer", "paper"):
        net = RefineTex(replace(PAPER, refine="none" if name == "texformer" else "plain" if rest else "deform")).eval()
        ready = lambda: paper_inputs(given)
    else:
        size, kind = int(rest[0]), rest[1] if len(rest) > 1 else ""
        net = Compact(replace(CONFIGS[name], refine="none" if kind == "none" else "deform")).eval()
        ready = lambda: door.compact_inputs(given, min(size, 512), size > 512)
    parameters = sum(p.numel() for p in net.parameters()) / 1e6
    if name in ("cpu", "compact"):
        net = net.for_inference(torch.bfloat16 if rest[-1] == "bf16" else torch.float32)
    with torch.inference_mode():
        ready()                                                # layouts are made once a process
        reset_peak()
        before, times = peak_mb(), []
        for _ in range(repeats):
            start = time.process_time()
            inputs = ready()
            middle = time.process_time()
            net(inputs)
            times.append((middle - start, time.process_time() - middle))
    return {"what": what, "parameters_m": parameters, "door_s": min(t[0] for t in times), "net_s": min(t[1] for t in times),
            "peak_mb": peak_mb() - before}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="dev.py bench refinetex", description=__doc__)
    parser.add_argument("--side", type=int, default=512, help="pixels of the photo's crop")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", metavar="FILE.json")
    parser.add_argument("--only", choices=ROWS, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.only:
        print(json.dumps(measure(args.only, args.side, args.repeats)))
        return 0
    print(f"crop {args.side}, {torch.get_num_threads()} thread(s), best of {args.repeats}; peak is memory above the loaded network's\n")
    print(f"{'':18}{'million':>9}{'door CPU s':>12}{'net CPU s':>11}{'peak MB':>9}")
    rows = {}
    for what in ROWS:                                          # each in a process of its own: peaks do not mix
        done = subprocess.run([sys.executable, "-m", "benchmarks", "refinetex", "--side", str(args.side), "--repeats", str(args.repeats),
                               "--only", what], capture_output=True, text=True)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return 1
        rows[what] = row = json.loads(done.stdout.splitlines()[-1])
        print(f"{what:18}{row['parameters_m']:9.2f}{row['door_s']:12.2f}{row['net_s']:11.2f}{row['peak_mb']:9.0f}", flush=True)
    ratio = lambda over, under: rows[over]["net_s"] / rows[under]["net_s"]
    print(f"\nPAPER's refinement costs {ratio('paper', 'texformer') - 1:.0%} of Texformer; COMPACT's "
          f"{ratio('compact-512', 'compact-512-none') - 1:.0%} of what comes before it.\n"
          f"COMPACT at 64 times the texels (1024 against 128) takes {ratio('compact-1024', 'paper'):.1f} times PAPER's time.")
    if args.out:
        with open(args.out, "w", encoding="utf-8") as f:
            json.dump({"side": args.side, "threads": torch.get_num_threads(), "rows": list(rows.values())}, f, indent=1)
    return 0
