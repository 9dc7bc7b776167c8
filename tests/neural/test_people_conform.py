"""The body model laid into another skeleton: what comes from the model itself is found again."""

from __future__ import annotations

import torch

from train.people.build.conform import CHAINS, _chain, _rest, conform
from train.people.build.turn import nearest


def _random_turns(n: int, spread: float, seed: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return nearest(torch.eye(3) + spread * torch.randn(n, 24, 3, 3, generator=g))


def test_bones_point_where_the_other_skeletons_do():
    betas, scale = torch.zeros(2, 10), torch.tensor([1.0, 1.1])
    rest = _rest(betas, scale)
    truth = _random_turns(2, 0.25, 1)
    joints = _chain(truth, rest) + torch.tensor([0.3, -0.1, 0.9])
    got = _chain(conform(_random_turns(2, 0.25, 2), joints, betas, scale), rest)
    for joint, child in CHAINS:
        a = torch.nn.functional.normalize(got[:, child] - got[:, joint], dim=1)
        b = torch.nn.functional.normalize(joints[:, child] - joints[:, joint], dim=1)
        assert ((a * b).sum(1) > 1 - 1e-6).all()


def test_the_models_own_pose_is_left_alone():
    betas, scale = torch.zeros(1, 10), torch.ones(1)
    truth = _random_turns(1, 0.2, 3)
    joints = _chain(truth, _rest(betas, scale))
    assert torch.allclose(conform(truth, joints, betas, scale), truth, atol=1e-5)
