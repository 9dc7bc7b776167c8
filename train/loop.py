"""The training loop that all networks share: plain, timed by the clock, safe to stop at any moment.

A task says what is trained (Task); `run` does the rest: AdamW and Muon (muon.py), warm-up and cosine over the minutes given, moving average of the weights,
bf16 on CUDA, gradient clipping, a checkpoint every two minutes, a log and a picture of the curves. Nothing else is hidden here.
"""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Callable, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .muon import Solver, standardised

PART_BYTES = 15_000_000
"""Checkpoints are cut into files of at most this size."""


class Task(Protocol):
    """What `run` needs of a network's trainer."""

    net: nn.Module
    slow: dict[str, float]
    """Start of a parameter's name -> factor of its rate (optional)."""

    def batch(self, step: int, part: float) -> Any:
        """Inputs and targets of a step, on the right device, for `loss`; part: 0 at the start of training, 1 at its end (curriculum)."""

    def loss(self, net: nn.Module, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to go down, and named numbers for the log."""

    def validate(self, net: nn.Module) -> dict[str, float]:
        """Named numbers of the averaged network on samples that are never trained on; the first is the one to go down."""


@dataclass(frozen=True)
class LoopConfig:
    """minutes: of training in all, resumed ones included; rate: AdamW's at its height; warm_steps; last: rate at the end, part of the height;
    decay; clip: largest norm of the gradient; average: moving average per step; validate_s, checkpoint_s, log_s: seconds between them;
    bad_steps: steps in a row with a gradient that is no number before training is given up; half_on_cpu: bf16 on the CPU too (`fast_half`);
    clip_each: `clip` is for each child of the network, so that one with large gradients does not silence the others;
    turn: rate of standardised filters, which are Muon's, times the others' (muon.py);
    steps: where given, so many of them are made, however long that takes: what is compared on a busy machine must not depend on its clock."""

    minutes: float
    rate: float = 1e-3
    warm_steps: int = 200
    last: float = 0.02
    decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.999
    validate_s: float = 300.0
    checkpoint_s: float = 120.0
    log_s: float = 20.0
    bad_steps: int = 20
    half_on_cpu: bool = False
    clip_each: bool = False
    turn: float = 20.0
    steps: int = 0

    def part(self, at: "Progress") -> float:
        """How much of the training is over; 1: all."""
        return at.step / self.steps if self.steps else at.seconds / (60 * self.minutes)


@dataclass
class Progress:
    """Where training stands."""

    step: int = 0
    seconds: float = 0.0
    bad: int = 0


def run(task: Task, config: LoopConfig, out: Path, resume: bool = False, device: str = "cpu", say: Callable[[str], None] = print) -> nn.Module:
    """Train until the minutes are over; returns the averaged network (also in out/average.safetensors). RuntimeError when it diverges."""
    out.mkdir(parents=True, exist_ok=True)
    net, average = task.net.to(device), _twin(task.net).to(device)
    solver = solver_of(net, config, getattr(task, "slow", {}))
    at = Progress()
    if resume and (out / "progress.json").is_file():
        at = restore(out, net, average, solver)
        say(f"goes on at step {at.step} after {at.seconds / 60:.1f} minutes")
    log, kind = Log(out, resume), torch.device(device).type
    half = torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu" or config.half_on_cpu)
    begin = time.monotonic() - at.seconds
    due = {"log": at.seconds + config.log_s, "validate": at.seconds + config.validate_s, "checkpoint": at.seconds + config.checkpoint_s}
    seen, validated = {}, -1
    while (part := config.part(at)) < 1:
        for group in solver.param_groups:
            group["lr"] = group["factor"] * rate_at(config, at.step, part)
        batch = task.batch(at.step, part)
        with half:
            loss, numbers = task.loss(net.train(), batch)
        solver.zero_grad(set_to_none=True)
        loss.backward()
        norm = clipped(net, config)
        if math.isfinite(float(norm)):
            solver.step()
            follow(average, net, min(config.average, (at.step + 1) / (at.step + 10)))
            at.bad = 0
        else:                                                              # a broken batch must not poison the weights
            at.bad += 1
            if at.bad >= config.bad_steps:
                raise RuntimeError(f"{at.bad} steps in a row had no finite gradient; the last good checkpoint is in {out}")
        at.step, at.seconds = at.step + 1, time.monotonic() - begin
        for k, v in {"loss": loss.detach(), **numbers}.items():
            v = float(v)
            seen[k] = 0.97 * seen.get(k, v) + 0.03 * v if math.isfinite(v) else seen.get(k, 0.0)
        if at.seconds > due["log"]:
            due["log"] = at.seconds + config.log_s
            log.write("train", at, {**seen, "rate": rate_at(config, at.step, part), "norm": float(norm)})
            say(f"{at.seconds / 60:6.1f} min  step {at.step:6d}  " + "  ".join(f"{k} {v:.4f}" for k, v in seen.items()))
        if at.seconds > due["validate"]:
            _validate(task, average, at, log, say)
            validated = at.step
            due["validate"] = time.monotonic() - begin + config.validate_s
        if at.seconds > due["checkpoint"]:
            save(out, net, average, solver, at)
            due["checkpoint"] = time.monotonic() - begin + config.checkpoint_s
    if at.step != validated:
        _validate(task, average, at, log, say)
    save(out, net, average, solver, at)
    log.picture()
    (out / "config.json").write_text(json.dumps(asdict(config), indent=1) + "\n", encoding="utf-8")
    return average


def solver_of(net: nn.Module, config: LoopConfig, slow: dict[str, float]) -> Solver:
    """On what is trained: Muon for standardised filters, AdamW for the rest, where vectors (gains, biases) do not decay."""
    turned = standardised(net)
    groups: dict[tuple[float, bool, bool], list[nn.Parameter]] = {}
    for name, p in net.named_parameters():
        if p.requires_grad:
            factor, turn = next((f for start, f in slow.items() if name.startswith(start)), 1.0), id(p) in turned
            groups.setdefault((factor * (config.turn if turn else 1.0), p.dim() > 1, turn), []).append(p)
    rows = [{"params": params, "factor": factor, "turn": turn, "weight_decay": config.decay * (many and not turn)}
            for (factor, many, turn), params in sorted(groups.items(), key=lambda g: g[0], reverse=True)]
    return Solver(rows, lr=config.rate, betas=(0.9, 0.99))


def clipped(net: nn.Module, config: LoopConfig) -> Tensor:
    """Shorten the gradients; returns their length before."""
    groups: dict[str, list[nn.Parameter]] = {}
    for name, p in net.named_parameters():
        if p.requires_grad:
            groups.setdefault(name.split(".")[0] if config.clip_each else "", []).append(p)
    return torch.stack([nn.utils.clip_grad_norm_(params, config.clip) for params in groups.values()]).norm()


def fast_half() -> bool:
    """Whether this CPU computes in bf16 faster than in float32 (AVX512-BF16 or AMX); others only imitate it."""
    known = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(ask is not None and ask() for ask in known)


def rate_at(config: LoopConfig, step: int, part: float) -> float:
    """Warm-up by steps, then half a cosine by the clock, so that training always ends with a small rate."""
    fall = config.last + (1 - config.last) * 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))
    return config.rate * fall * min((step + 1) / config.warm_steps, 1.0)


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, keep: float) -> None:
    """average <- keep * average + (1 - keep) * net; buffers are copied."""
    for a, p in zip(average.parameters(), net.parameters()):
        a.lerp_(p.detach(), 1 - keep)
    for a, b in zip(average.buffers(), net.buffers()):
        a.copy_(b)


def _twin(net: nn.Module) -> nn.Module:
    import copy
    twin = copy.deepcopy(net).eval()
    return twin.requires_grad_(False)


def _validate(task: Task, average: nn.Module, at: Progress, log: "Log", say: Callable[[str], None]) -> None:
    with torch.no_grad():
        numbers = task.validate(average.eval())
    log.write("validate", at, numbers)
    say(f"{at.seconds / 60:6.1f} min  step {at.step:6d}  validation: " + "  ".join(f"{k} {v:.4f}" for k, v in numbers.items()))


def save(out: Path, net: nn.Module, average: nn.Module, solver: torch.optim.Optimizer, at: Progress) -> None:
    """All that `restore` needs, in parts of at most 15 MB; progress.json is renamed into place last, so a half-written set is never taken.
    Sets alternate between two names: the previous one stays whole until the new one is."""
    mark = "b" if (out / "progress.json").is_file() and json.loads((out / "progress.json").read_text())["set"] == "a" else "a"
    state = {f"net.{k}": v for k, v in net.state_dict().items()} | {f"average.{k}": v for k, v in average.state_dict().items()}
    for row, slots in solver.state_dict()["state"].items():
        state |= {f"solver.{row}.{k}": torch.as_tensor(v) for k, v in slots.items()}
    for old in out.glob(f"state_{mark}_*.safetensors"):
        old.unlink()
    part, size, number = {}, 0, 0
    for name, value in state.items():
        value = value.detach().cpu().contiguous()
        if part and size + value.nbytes > PART_BYTES:
            save_file(part, str(out / f"state_{mark}_{number:02d}.safetensors"))
            part, size, number = {}, 0, number + 1
        part[name], size = value.clone(), size + value.nbytes
    save_file(part, str(out / f"state_{mark}_{number:02d}.safetensors"))
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in average.state_dict().items()}, str(out / "average.safetensors"))
    temporary = out / "progress.tmp"
    temporary.write_text(json.dumps({**asdict(at), "set": mark, "parts": number + 1}), encoding="utf-8")
    os.replace(temporary, out / "progress.json")


def restore(out: Path, net: nn.Module, average: nn.Module, solver: torch.optim.Optimizer) -> Progress:
    """Read what `save` wrote. ValueError when parts are missing or do not fit the network."""
    about = json.loads((out / "progress.json").read_text(encoding="utf-8"))
    state: dict[str, Tensor] = {}
    for number in range(about["parts"]):
        file = out / f"state_{about['set']}_{number:02d}.safetensors"
        if not file.is_file():
            raise ValueError(f"the checkpoint in {out} lacks {file.name}")
        state |= load_file(str(file))
    pick = lambda prefix: {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    net.load_state_dict(pick("net."))
    average.load_state_dict(pick("average."))
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in pick("solver.").items():
        row, slot = name.split(".", 1)
        slots.setdefault(int(row), {})[slot] = value
    solver.load_state_dict({"state": slots, "param_groups": solver.state_dict()["param_groups"]})
    return Progress(**{f.name: about[f.name] for f in fields(Progress)})


class Log:
    """log.jsonl, a line for each report, and curves.png drawn from it."""

    def __init__(self, out: Path, keep: bool):
        self.file = out / "log.jsonl"
        if not keep:
            self.file.unlink(missing_ok=True)

    def write(self, kind: str, at: Progress, numbers: dict[str, float]) -> None:
        with self.file.open("a", encoding="utf-8") as f:
            row = {"kind": kind, "step": at.step, "minutes": round(at.seconds / 60, 3), **{k: round(float(v), 6) for k, v in numbers.items()}}
            f.write(json.dumps(row) + "\n")

    def picture(self) -> Path | None:
        """One panel a name, training thin, validation with dots."""
        from .curves import draw

        rows = [json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines()] if self.file.is_file() else []
        return draw(rows, self.file.with_name("curves.png")) if rows else None
