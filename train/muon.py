"""Muon for standardised filters, AdamW for all else.

A standardised filter (blocks.conv.WeightConv) has entries of about 1 whatever its fan-in, and only its direction counts. AdamW moves each entry by
about its rate, so such filters turn twenty times more slowly than usual ones of about 1/20. Muon (Jordan et al. 2024) gives every step the
same size in all directions of the matrix (outputs, inputs x k x k): the gradient's moving average is made orthogonal, here with the size
that AdamW's steps have (0.2 an entry, Liu et al. 2025). README of train/two_k has what it gained.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neural.nets.blocks.conv import WeightConv

MOMENTUM, SIZE, ROUNDS = 0.95, 0.2, 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial that brings singular values near 1 in few rounds (Jordan et al. 2024): they end between 0.7 and 1.2."""


def standardised(net: nn.Module) -> set[int]:
    """ids of the filters that Muon takes."""
    return {id(m.weight) for m in net.modules() if isinstance(m, WeightConv)}


@torch.no_grad()
def orthogonal(matrix: Tensor) -> Tensor:
    """(N, M) -> the same singular vectors, singular values about 1. Zeros stay zeros."""
    a, b, c = COEFFICIENTS
    x = matrix.float().mT if matrix.shape[0] > matrix.shape[1] else matrix.float()
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(ROUNDS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if matrix.shape[0] > matrix.shape[1] else x


class Solver(torch.optim.AdamW):
    """Groups with "turn": True are Muon's, without decay: a filter's length means nothing. The others are AdamW's."""

    @torch.no_grad()
    def step(self, closure=None):
        groups = self.param_groups
        for group in (g for g in groups if g["turn"]):
            for p in group["params"]:
                if p.grad is not None:
                    self._turn(p, group["lr"])
        self.param_groups = [g for g in groups if not g["turn"]]
        try:
            return super().step(closure)
        finally:
            self.param_groups = groups

    def _turn(self, p: Tensor, rate: float) -> None:
        state = self.state[p]
        if "momentum" not in state:
            state.update(momentum=torch.zeros_like(p.grad), step=torch.zeros(()))      # AdamW reads `step` of every state it is given back
        state["step"] += 1
        state["momentum"].lerp_(p.grad, 1 - MOMENTUM)
        step = orthogonal(p.grad.lerp(state["momentum"], MOMENTUM).flatten(1))        # Nesterov's
        p.add_(step.view_as(p).to(p.dtype), alpha=-rate * SIZE * max(step.shape) ** 0.5)
