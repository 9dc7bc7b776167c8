"""2K2K: our PAPER forward against the plain one (same output), and COMPACT against PAPER. Random weights; one made-up person."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import numpy as np
import torch

from neural.memory import peak_mb, reset_peak
from neural.nets.two_k.config import CONFIGS
from neural.nets.two_k.net import Inputs, TwoK
from neural.nets.two_k.ours import Body
from neural.nets.two_k.parts import INDEX, place

JOINTS = {  # of a standing person, arms a little out, normalised units
    "nose": (0, -0.74), "left_ear": (0.06, -0.743), "right_ear": (-0.057, -0.738),                # aslant: an edge that falls on pixels exactly
    "left_shoulder": (0.15, -0.563), "right_shoulder": (-0.15, -0.56),                            # is in or out by the last bit
    "left_elbow": (0.25, -0.3), "right_elbow": (-0.25, -0.3), "left_wrist": (0.31, -0.07), "right_wrist": (-0.31, -0.07),
    "left_hip": (0.09, -0.05), "right_hip": (-0.09, -0.05), "left_knee": (0.1, 0.38), "right_knee": (-0.1, 0.38),
    "left_ankle": (0.11, 0.78), "right_ankle": (-0.11, 0.78), "left_big_toe": (0.14, 0.85), "right_big_toe": (-0.14, 0.85),
    "left_small_toe": (0.17, 0.84), "right_small_toe": (-0.17, 0.84), "left_heel": (0.1, 0.82), "right_heel": (-0.1, 0.82),
    **{f"{side}_hand_{k}": (s * (0.33 + 0.005 * k), 0.0) for side, s in (("left", 1), ("right", -1)) for k in range(4)},
}


def inputs(canvas: int) -> Inputs:
    """A person-shaped problem: the matte is thick lines between joints (about a sixth of the canvas)."""
    import cv2
    joints = np.full((31, 2), np.nan)
    for name, at in JOINTS.items():
        joints[INDEX[name]] = at
    where = place(joints)
    matte = np.zeros((canvas, canvas), np.float32)
    pixel = lambda name: tuple(int((v + 1) * canvas / 2) for v in JOINTS[name])
    for side in ("left", "right"):
        for a, b, thick in (("shoulder", "elbow", 0.06), ("elbow", "wrist", 0.05), ("hip", "knee", 0.09), ("knee", "ankle", 0.06),
                            ("ankle", "big_toe", 0.05), ("shoulder", "hip", 0.13), ("wrist", "hand_0", 0.05)):
            cv2.line(matte, pixel(f"{side}_{a}"), pixel(f"{side}_{b}"), 1.0, int(thick * canvas))
    cv2.circle(matte, pixel("nose"), int(0.06 * canvas), 1.0, -1)
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.rand(*shape, generator=generator)
    maps = max(canvas // 2, 256)
    hit = torch.tensor(cv2.resize(matte, (maps, maps), interpolation=cv2.INTER_NEAREST))[None, None]
    normals = torch.nn.functional.normalize(random(1, 2, 3, maps, maps) - 0.5, dim=2).flatten(1, 2)
    body = Body(normals * hit, 0.1 * random(1, 2, maps, maps) * hit, hit, (25 * random(1, 2, maps, maps)).long())
    return Inputs(2 * random(1, 3, canvas, canvas) - 1, torch.tensor(where.part_to_image)[None], torch.tensor(where.present)[None],
                  torch.tensor(matte)[None, None], torch.tensor([[1.0723, 0.5, 0.5]]), body)


def network(name: str) -> TwoK:
    torch.manual_seed(0)
    net = TwoK(CONFIGS[name]).eval().requires_grad_(False)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):           # as after training: statistics that differ from 0 and 1
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    if name == "paper":                                        # sure of its mask: at logits of 0 the last bit would decide
        net.ImgNorm_to_Dep.Conv_1x1.bias[2] += 20
    return net


def measure(what: str, canvas: int, repeats: int) -> dict:
    """In this process: seconds of CPU and wall, peak memory (MB, all of the process)."""
    from .plain_two_k import forward
    given = inputs(canvas)
    name, _, kind = what.partition("-")
    net = network("paper" if name == "plain" else name)
    if name != "plain":
        net = net.for_inference(256 if name == "paper" else 512, torch.bfloat16 if kind == "bf16" else torch.float32)
    run = (lambda: forward(net, given)) if name == "plain" else (lambda: (lambda o: (o.normals, o.raw))(net(given)))
    reset_peak()
    cpu, wall = [], []
    with torch.inference_mode():
        for _ in range(repeats):
            c, w = time.process_time(), time.perf_counter()
            normals, raw = run()
            cpu.append(time.process_time() - c)
            wall.append(time.perf_counter() - w)
    out = {"what": what, "cpu_s": min(cpu), "wall_s": min(wall), "peak_mb": peak_mb()}
    if name in ("plain", "paper"):
        out["sample"] = torch.cat([normals[:, :, 7::37, 5::41].flatten(), raw[:, :, 7::37, 5::41].flatten()]).tolist()
    return out


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="dev.py bench two_k", description=__doc__)
    parser.add_argument("--canvas", type=int, default=1024, help="pixels; a power of two from 512")
    parser.add_argument("--full", action="store_true", help="2048, the paper's size, which the goals are about")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="1 by default: two threads on a busy machine measure the machine")
    parser.add_argument("--out", metavar="FILE.json")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    canvas = 2048 if args.full else args.canvas
    torch.set_num_threads(args.threads)
    if args.only:
        print(json.dumps(measure(args.only, canvas, args.repeats)))
        return 0
    rows = {}
    for what in ("plain", "paper", "compact", "compact-bf16", "cpu"):      # each in a process of its own: peaks do not mix
        done = subprocess.run([sys.executable, "-m", "benchmarks", "two_k", "--canvas", str(canvas), "--repeats",
                               str(args.repeats if what in ("plain", "paper") else 4 * args.repeats), "--only", what,
                               "--threads", str(args.threads)], capture_output=True, text=True)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return 1
        rows[what] = json.loads(done.stdout.splitlines()[-1])
    a, b = (np.array(rows[k].pop("sample")) for k in ("plain", "paper"))
    same = float(np.abs(a - b).max() / a.std())
    ratio = lambda over, under, key="cpu_s": rows[over][key] / rows[under][key]
    table(rows, canvas)
    print(f"PAPER, ours : plain        {ratio('plain', 'paper'):.2f} times as fast, {ratio('plain', 'paper', 'peak_mb'):.2f} times less memory "
          f"(goal 1.5; outputs differ by {same:.0e} of their spread)")
    print(f"COMPACT     : PAPER, ours  {ratio('paper', 'compact'):.2f} times as fast in float32, {ratio('paper', 'compact-bf16'):.2f} in "
          f"bfloat16 (goal 8); against the plain forward {ratio('plain', 'compact'):.1f}")
    print(f"CPU (ships) : PAPER, ours  {ratio('paper', 'cpu'):.1f} times as fast in float32")
    if args.out:
        with open(args.out, "w", encoding="utf-8") as f:
            json.dump({"canvas": canvas, "threads": torch.get_num_threads(), "largest_difference": same, "rows": list(rows.values())}, f, indent=1)
    return 0 if same < 1e-4 else 1


def table(rows: dict, canvas: int) -> None:
    print(f"canvas {canvas}, {torch.get_num_threads()} thread(s), best run; peak of the whole process\n")
    print(f"{'':14}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}")
    for row in rows.values():
        print(f"{row['what']:14}{row['cpu_s']:8.2f}{row['wall_s']:8.2f}{row['peak_mb']:9.0f}")
    print()
