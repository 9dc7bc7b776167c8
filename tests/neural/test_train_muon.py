"""Muon for standardised filters: what a step does to them, against torch's own, and that a run comes back as it was."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from neural.nets.blocks.conv import WeightConv
from train import loop
from train.muon import SIZE, Solver, orthogonal

CONFIG = loop.LoopConfig(minutes=1, rate=1e-3, decay=0.1)


def solver_of(net, **slow):
    solver = loop.solver_of(net, CONFIG, slow)
    for group in solver.param_groups:
        group["lr"] = group["factor"] * CONFIG.rate
    return solver


@pytest.mark.parametrize("shape", [(24, 216), (48, 9), (1, 30), (64, 64)])
def test_a_step_has_the_same_size_in_all_directions(shape):
    torch.manual_seed(0)
    u, s, v = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    got = orthogonal(u @ torch.diag(torch.linspace(1, 0.05, len(s))) @ v)
    assert got.shape == shape
    inner = u.mT @ got @ v.mT
    assert (inner - torch.diag(inner.diagonal())).abs().max() < 1e-3 and 0.6 < inner.diagonal().min() and inner.diagonal().max() < 1.25


def test_no_gradient_is_no_step():
    assert torch.equal(orthogonal(torch.zeros(3, 5)), torch.zeros(3, 5))


def test_it_agrees_with_the_one_of_torch():
    """On matrices, which is all that torch's takes; it computes in bfloat16."""
    torch.manual_seed(0)
    a, gradients = nn.Parameter(torch.randn(32, 80)), [torch.randn(32, 80) for _ in range(4)]
    b = nn.Parameter(a.detach().clone())
    ours = Solver([{"params": [a], "turn": True}], lr=0.01)
    theirs = torch.optim.Muon([b], lr=0.01, weight_decay=0.0, momentum=0.95, nesterov=True, adjust_lr_fn="match_rms_adamw")
    begin = a.detach().clone()
    for g in gradients:
        a.grad, b.grad = g.clone(), g.clone()
        ours.step(), theirs.step()
    assert (a - b).detach().norm() < 0.03 * (a - begin).detach().norm()
    assert (a - begin).detach().square().mean().sqrt() < 4 * 0.01 * SIZE * 1.25


def test_standardised_filters_turn_as_fast_as_usual_ones():
    """A step's angle is what counts: the length of a standardised filter means nothing."""
    torch.manual_seed(0)
    x, want = torch.randn(8, 48, 12, 12), torch.randn(8, 48, 12, 12)
    turned = []
    for net in (nn.Conv2d(48, 48, 3, padding=1), WeightConv(48, 48)):
        filters = lambda: (net.plain_weight() if isinstance(net, WeightConv) else net.weight).detach().clone().flatten(1)
        before, solver = filters(), solver_of(net)
        (net(x) - want).square().mean().backward()
        solver.step()
        turned.append(float(torch.acos(torch.cosine_similarity(before, filters(), dim=1)).mean()))
    assert 0.1 < turned[1] / turned[0] < 3, turned


def test_each_parameter_has_its_own_way():
    net = nn.Sequential(nn.Conv2d(4, 4, 3), WeightConv(4, 4))
    solver = solver_of(net, **{"1.bias": 0.5})
    found = {id(p): (g["factor"], g["weight_decay"], g["turn"]) for g in solver.param_groups for p in g["params"]}
    assert len(found) == len(list(net.parameters()))
    assert found[id(net[0].weight)] == (1.0, 0.1, False) and found[id(net[0].bias)] == (1.0, 0.0, False)
    assert found[id(net[1].weight)] == (CONFIG.turn, 0.0, True) and found[id(net[1].bias)] == (0.5, 0.0, False)


class Filters:
    """A network of both kinds learns another one's answers."""

    def __init__(self):
        torch.manual_seed(0)
        make = lambda: nn.Sequential(WeightConv(3, 8), nn.LeakyReLU(0.1), nn.Conv2d(8, 2, 1))
        self.net, self.true = make(), make()

    def batch(self, step, part):
        x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        return x, self.true(x).detach()

    def loss(self, net, batch):
        error = (net(batch[0]) - batch[1]).square().mean()
        return error, {}

    def validate(self, net):
        return {"miss": self.loss(net, self.batch(10**6, 1))[0].item()}


def test_a_network_of_both_kinds_learns_and_comes_back(tmp_path):
    config = loop.LoopConfig(minutes=0.04, rate=3e-3, warm_steps=5, average=0.9, validate_s=0.5, checkpoint_s=0.5, log_s=5)
    task = Filters()
    first = task.validate(task.net)["miss"]
    loop.run(task, config, tmp_path, say=lambda _: None)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["miss"] < 0.5 * first
    again, twin = Filters(), Filters().net
    solver = loop.solver_of(again.net, config, {})
    loop.restore(tmp_path, again.net, twin, solver)
    assert torch.equal(again.net[0].weight, task.net[0].weight)
    momentum = [s["momentum"] for s in solver.state.values() if "momentum" in s]
    assert len(momentum) == 1 and momentum[0].abs().sum() > 0 and sum("exp_avg" in s for s in solver.state.values()) == 4
