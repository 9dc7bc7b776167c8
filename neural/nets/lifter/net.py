"""A small residual perceptron (after Martinez et al. 2017, "A simple yet effective baseline for 3D human pose estimation", §3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from ...contract.joints import LANDMARK, SMPL_JOINTS
from .features import SIZE

WEIGHTS = Path(__file__).parents[2] / "weights" / "lifter.safetensors"


@dataclass(frozen=True)
class LifterConfig:
    width: int = 448            # the paper's 1024 for half the inputs; ours must fit into 4 MB
    blocks: int = 3             # the paper's 2
    betas: int = 6
    dropout: float = 0.05       # the paper's 0.5, on data that never repeats


@dataclass(frozen=True)
class Lifted:
    """B people, frame `virtual` (see features).

    world    (B, 24, 3, 3) rotations of the joints against the T-pose (not against their parents).
    axis     (B, 24) expected distance between the unit vector along the bone and the true one.
    turn     (B, 24) expected angle between the rotation and the true one, radians (chordal).
    betas    (B, 6) shape, standard deviations.
    """

    world: torch.Tensor
    axis: torch.Tensor
    turn: torch.Tensor
    betas: torch.Tensor


def rotations_from_6d(x: torch.Tensor) -> torch.Tensor:
    """(..., 6) -> (..., 3, 3): first two columns by Gram-Schmidt (Zhou et al. 2019, §B)."""
    a = nn.functional.normalize(x[..., :3], dim=-1)
    b = nn.functional.normalize(x[..., 3:] - (a * x[..., 3:]).sum(-1, keepdim=True) * a, dim=-1)
    return torch.stack([a, b, torch.linalg.cross(a, b)], -1)


def _ends() -> torch.Tensor:
    """(24, 2, 2, 33): for the x and the y axis of each joint, weights of the landmarks at its end and at its beginning."""
    out = torch.zeros(24, 2, 2, 33)
    middle = {name: [LANDMARK[f"left_{name}"], LANDMARK[f"right_{name}"]] for name in ("hip", "shoulder")}
    for j, name in enumerate(SMPL_JOINTS):
        side, _, part = name.partition("_")
        trunk = "shoulder" if name in ("spine3", "neck", "head") or part == "collar" else "hip"
        x, y = ([LANDMARK[f"left_{trunk}"]], [LANDMARK[f"right_{trunk}"]]), (middle["shoulder"], middle["hip"])
        bone = {"shoulder": ("shoulder", "elbow"), "elbow": ("elbow", "wrist"), "wrist": ("wrist", "index"), "hand": ("wrist", "index")}.get(part)
        if bone:
            a, b = ([LANDMARK[f"{side}_{n}"]] for n in bone)
            x = (b, a) if side == "left" else (a, b)
        bone = {"hip": ("hip", "knee"), "knee": ("knee", "ankle"), "ankle": ("knee", "ankle"), "foot": ("knee", "ankle")}.get(part)
        if bone:
            y = tuple([LANDMARK[f"{side}_{n}"]] for n in bone)
        for k, ends in enumerate((x, y)):
            for e, points in enumerate(ends):
                out[j, k, e, points] = 1 / len(points)
    return out


_ENDS = _ends()


def directions(x: torch.Tensor) -> torch.Tensor:
    """features (B, SIZE) -> (B, 24, 6): x and y axes of every joint straight from the 3D landmarks; the network only corrects them."""
    world = x[:, 66:165].view(-1, 33, 3)
    ends = _ENDS.to(x)
    axes = torch.einsum("jkn,bnd->bjkd", ends[:, :, 0] - ends[:, :, 1], world)
    return nn.functional.normalize(axes, dim=-1, eps=0.05).flatten(2)


class Block(nn.Module):
    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.a, self.b = nn.Linear(width, width), nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.drop(self.b(nn.functional.gelu(self.a(self.norm(x)))))


class Lifter(nn.Module):
    """features (B, SIZE) -> Lifted."""

    def __init__(self, config: LifterConfig = LifterConfig()):
        super().__init__()
        self.config = config
        self.first = nn.Linear(SIZE, config.width)
        self.blocks = nn.Sequential(*(Block(config.width, config.dropout) for _ in range(config.blocks)))
        self.norm = nn.LayerNorm(config.width)
        self.last = nn.Linear(config.width, 24 * 8 + config.betas)
        nn.init.zeros_(self.last.bias)
        with torch.no_grad():                                  # start: as the 3D landmarks say
            self.last.weight.mul_(0.1)
            self.last.bias[24 * 6:24 * 8] = -1.0

    def forward(self, x: torch.Tensor) -> Lifted:
        out = self.last(self.norm(self.blocks(self.first(x))))
        six = out[:, :144].view(-1, 24, 6) + directions(x)
        log = out[:, 144:192].clamp(-5.0, 1.0).exp()
        return Lifted(rotations_from_6d(six), log[:, :24], log[:, 24:], out[:, 192:])


def load(path: Path = WEIGHTS) -> Lifter:
    """The network with its weights, float32, for inference. FileNotFoundError when they are not there; RuntimeError when they do not fit."""
    net = Lifter()
    net.load_state_dict({k: v.float() for k, v in load_file(str(path)).items()}, strict=True)
    return net.eval().requires_grad_(False)
