"""The training loop: it learns, it stops on time, and a resumed run goes on where it was."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from train import loop


class Line:
    """y = 3 x - 1 from noisy points."""

    def __init__(self, poison_from: int = 10 ** 9):
        torch.manual_seed(0)
        self.net, self.poison_from = nn.Linear(1, 1), poison_from

    def batch(self, step, part):
        x = torch.linspace(-1, 1, 32)[:, None] + 0.01 * step % 0.1
        return {"x": x, "y": 3 * x - 1 + (float("nan") if step >= self.poison_from else 0.0)}

    def loss(self, net, batch):
        error = (net(batch["x"]) - batch["y"]).square().mean()
        return error, {"error": error.detach()}

    def validate(self, net):
        x = torch.tensor([[0.5]])
        return {"miss": float((net(x) - 0.5).abs())}


def config(**kw):
    return loop.LoopConfig(**{"minutes": 0.03, "rate": 0.05, "warm_steps": 5, "average": 0.9, "validate_s": 1.0, "checkpoint_s": 0.5, "log_s": 0.2, **kw})


def test_it_learns_and_leaves_everything_behind(tmp_path):
    net = loop.run(Line(), config(), tmp_path, say=lambda _: None)
    assert abs(float(net.weight) - 3) < 0.05 and abs(float(net.bias) + 1) < 0.05
    assert (tmp_path / "curves.png").is_file() and (tmp_path / "average.safetensors").is_file()
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["kind"] == "validate" and rows[-1]["miss"] < 0.05


def test_a_resumed_run_goes_on(tmp_path):
    loop.run(Line(), config(minutes=0.015), tmp_path, say=lambda _: None)
    before = json.loads((tmp_path / "progress.json").read_text())
    said = []
    loop.run(Line(), config(minutes=0.03), tmp_path, resume=True, say=said.append)
    after = json.loads((tmp_path / "progress.json").read_text())
    assert f"step {before['step']} " in said[0] and after["step"] > before["step"] and after["seconds"] >= 1.7


def test_the_state_comes_back_as_it_was(tmp_path):
    task = Line()
    loop.run(task, config(minutes=0.01), tmp_path, say=lambda _: None)
    again, twin = nn.Linear(1, 1), nn.Linear(1, 1)
    solver = torch.optim.AdamW([{"params": [again.weight]}, {"params": [again.bias]}])
    loop.restore(tmp_path, again, twin, solver)
    assert torch.equal(again.weight, task.net.weight) and solver.state_dict()["state"][0]["step"] > 0
    next(tmp_path.glob("state_*_00.safetensors")).unlink()
    about = json.loads((tmp_path / "progress.json").read_text())
    (tmp_path / f"state_{about['set']}_00.safetensors").unlink(missing_ok=True)
    with pytest.raises(ValueError, match="lacks"):
        loop.restore(tmp_path, again, twin, solver)


def test_broken_gradients_never_reach_the_weights(tmp_path):
    with pytest.raises(RuntimeError, match="no finite gradient"):
        task = Line(poison_from=50)
        loop.run(task, config(minutes=1), tmp_path, say=lambda _: None)
    assert torch.isfinite(task.net.weight).all()


def test_the_rate_rises_and_falls():
    c = loop.LoopConfig(minutes=1, rate=1.0, warm_steps=10, last=0.1)
    assert loop.rate_at(c, 0, 0.0) == pytest.approx(0.1) and loop.rate_at(c, 100, 0.0) == pytest.approx(1.0)
    assert loop.rate_at(c, 100, 0.5) == pytest.approx(0.55) and loop.rate_at(c, 100, 1.0) == pytest.approx(0.1)


def test_so_many_steps_whatever_the_clock_says(tmp_path):
    loop.run(Line(), config(minutes=100.0, steps=37), tmp_path, say=lambda _: None)
    assert json.loads((tmp_path / "progress.json").read_text())["step"] == 37
    loop.run(Line(), config(minutes=1e-6, steps=50), tmp_path, resume=True, say=lambda _: None)
    assert json.loads((tmp_path / "progress.json").read_text())["step"] == 50
