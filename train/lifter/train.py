"""Trains the lifter: `python3 dev.py train lifter --config cpu --minutes 20`.

Needs the assets folder (LIKENESS_ASSETS or --assets) for the poses, and train/lifter/errors.npz for the landmarks' errors.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from neural.body.model import BodyModel
from neural.contract.errors import LikenessError
from neural.contract.joints import SMPL_JOINTS
from neural.nets.lifter.net import WEIGHTS, Lifted, Lifter, load

from ..people.assets import assets_root
from ..people.generator import Generator
from .people import Batch, CameraConfig, People
from .poses import Sampler, generated

ERRORS = tuple(Path(__file__).with_name(f"{name}.npz") for name in ("errors", "errors_people"))
AXIS = torch.tensor([0 if any(k in n for k in ("collar", "shoulder", "elbow", "wrist", "hand")) else 1 for n in SMPL_JOINTS])
"""Which column of a joint's rotation points along its bone: x for arms, y elsewhere."""
WEIGHT = torch.tensor([0.3 if "hand" in n or n in ("left_foot", "right_foot") else 0.6 if "wrist" in n else 1.0 for n in SMPL_JOINTS])


@dataclass(frozen=True)
class TrainConfig:
    batch: int
    poses: int                  # made beforehand
    rate: float = 1.5e-3
    decay: float = 1e-4
    average: float = 0.998      # of the weights, for what is saved
    place: float = 4.0          # weight of the joints' places (metres) beside the likelihood of the rotations
    real: float = 0.08          # part of a batch that are measured pictures, where there are any


CONFIGS = {"cpu": TrainConfig(batch=384, poses=48_000), "gpu": TrainConfig(batch=4096, poses=400_000)}


def make_pool(root: Path, poses: int, seed: int, keep: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """(poses, 24, 3, 3) local rotations, half as the generator casts them, half mixed by `poses.Sampler`; and shapes of the generator's
    bodies. keep: file where they are kept for the next time."""
    if keep is not None and keep.is_file():
        with np.load(keep) as z:
            return z["pool"], z["betas"]
    rng = np.random.default_rng(seed)
    local, betas = generated(Generator(root, "train"), poses // 2, rng)
    pool = np.concatenate([local, Sampler(root, "train").sample(poses - poses // 2, rng)]).astype(np.float32)
    if keep is not None:
        keep.parent.mkdir(parents=True, exist_ok=True)
        np.savez(keep, pool=pool, betas=betas.astype(np.float32))
    return pool, betas


def loss_of(out: Lifted, b: Batch, people: People, place: float) -> tuple[torch.Tensor, dict[str, float]]:
    """Laplace likelihood of bone axes (2 degrees of freedom) and whole rotations (3), L1 of joint places, betas."""
    pick = AXIS.view(1, 24, 1, 1).expand(len(b.world), 24, 3, 1)
    axis = (out.world.gather(3, pick) - b.world.gather(3, pick))[..., 0].norm(dim=-1)
    turn = ((out.world - b.world).square().sum((2, 3)) / 2 + 1e-6).sqrt()
    likelihood = (2 * out.axis.log() + 2 * axis / out.axis) + (3 * out.turn.log() + 3 * turn / out.turn) * 0.5
    joints, _ = people.joints(out.world, b.betas)
    miss = (joints - joints[:, :1] - b.joints).norm(dim=-1)
    betas = (out.betas - b.betas).square().mean()
    loss = (likelihood * WEIGHT).mean() + place * miss.mean() + 0.05 * betas
    return loss, {"axis°": float(axis.detach().mean()) * 57.3, "turn°": float(turn.detach().mean()) * 57.3, "joints mm": float(miss.detach().mean()) * 1000}


def save(path: Path, net: torch.nn.Module) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.half().contiguous() for k, v in net.state_dict().items()}, str(path))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="dev.py train lifter", description=__doc__.split("\n\n")[0])
    parser.add_argument("--config", choices=tuple(CONFIGS), default="cpu")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--checkpoint", type=Path, default=Path("out/lifter.pt"))
    parser.add_argument("--errors", type=Path, nargs="+", default=ERRORS)
    parser.add_argument("--start", type=Path, help="weights to begin with instead of random ones")
    parser.add_argument("--pairs", type=Path, help="folder of train.lifter.photos")
    parser.add_argument("--real", type=float, help="part of a batch that are measured pictures")
    parser.add_argument("--pool", type=Path, help="file that keeps the poses for the next time")
    parser.add_argument("--assets")
    args = parser.parse_args(argv)
    try:
        root = assets_root(args.assets)
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    config = CONFIGS[args.config]
    if args.config == "cpu":
        torch.set_num_threads(1)
    device = "cuda" if args.config == "gpu" and torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    net, average = Lifter().to(device), Lifter().to(device).eval()
    if args.start:
        net.load_state_dict(load(args.start).state_dict())
    average.load_state_dict(net.state_dict())
    solver = torch.optim.AdamW(net.parameters(), lr=config.rate, weight_decay=config.decay, betas=(0.9, 0.99))
    step, spent = 0, 0.0
    if args.resume and args.checkpoint.is_file():
        state = torch.load(args.checkpoint, map_location=device, weights_only=True)
        net.load_state_dict(state["net"])
        average.load_state_dict(state["average"])
        solver.load_state_dict(state["solver"])
        step, spent = state["step"], state["spent"]
        print(f"Goes on at step {step} after {spent / 60:.1f} minutes.")
    print("making poses", flush=True)
    pool, shapes = make_pool(root, config.poses, step, args.pool)
    people = People(BodyModel.load(), pool, args.errors, CameraConfig(real=config.real if args.real is None else args.real), step, shapes,
                    sorted(args.pairs.glob("train_*.npz")) if args.pairs else [])
    print(f"{len(pool)} poses, {len(people.real.get('trust', ()))} measured pictures", flush=True)

    def checkpoint() -> None:
        args.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"net": net.state_dict(), "average": average.state_dict(), "solver": solver.state_dict(), "step": step, "spent": spent},
                   args.checkpoint)
        save(args.out, average)

    start, last, seen, kept = time.time() - spent, time.time(), {}, time.time()
    total = args.minutes * 60
    while spent < total:
        part = spent / total
        for group in solver.param_groups:
            group["lr"] = float(config.rate * min(step / 300 + 0.02, 1) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * part))))
        b = people.batch(config.batch)
        b = Batch(*(v.to(device) for v in vars(b).values()))
        loss, numbers = loss_of(net.train()(b.x), b, people, config.place)
        solver.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        solver.step()
        step, spent = step + 1, time.time() - start
        with torch.no_grad():
            keep = min(config.average, (step + 1) / (step + 10))
            for a, p in zip(average.parameters(), net.parameters()):
                a.lerp_(p, 1 - keep)
        for k, v in {"loss": float(loss.detach()), **numbers}.items():
            seen[k] = seen.get(k, v) * 0.97 + v * 0.03
        if time.time() - last > 15:
            last = time.time()
            print(f"{spent / 60:5.1f} min  step {step:6d}  " + "  ".join(f"{k} {v:.2f}" for k, v in seen.items()), flush=True)
        if time.time() - kept > 120:
            kept = time.time()
            checkpoint()
    checkpoint()
    print(f"{args.out} after {step} steps, {args.out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
