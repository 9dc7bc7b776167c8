"""What frames say about each other: bodies move smoothly, and feet that stand stay where they are.

The residuals are accelerations of joints in the camera's frame: no speed is pulled to zero, so nothing lags behind, and the past counts as
much as the future.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..contract.joints import JOINT, SMPL_PARENTS

FEET = (tuple(JOINT[f"left_{n}"] for n in ("ankle", "foot")), tuple(JOINT[f"right_{n}"] for n in ("ankle", "foot")))


@dataclass(frozen=True)
class TemporalSpreads:
    """Usual sizes of what is asked to be small (one standard deviation); chosen on rendered sequences (docs/sequences.md).

    acceleration  m/s2 of a joint;  turn  rad/s2 of a joint's rotation matrix;  tilt  degrees/s2 of the camera.
    knee          beyond that many spreads a residual counts linearly: people do kick and jump.
    slide         metres between two frames of a foot that stands;  level  metres between the heights of feet that stand.
    """

    acceleration: float = 5.0
    turn: float = 25.0
    tilt: float = 2.0
    knee: float = 3.0
    slide: float = 0.003
    level: float = 0.02


def chain(local: torch.Tensor, rest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Local rotations (N, 24, 3, 3), rest joints (24, 3) -> world rotations (N, 24, 3, 3), joints (N, 24, 3); joint 0 at its rest place."""
    world, place = [local[:, 0]], [rest[0].expand(len(local), 3)]
    for j, p in enumerate(SMPL_PARENTS):
        if p >= 0:
            world.append(world[p] @ local[:, j])
            place.append(place[p] + (world[p] @ (rest[j] - rest[p])[:, None])[..., 0])
    return torch.stack(world, 1), torch.stack(place, 1)


def second_difference(values: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """(N, ...) at times (N,) seconds, not always evenly spaced -> (N - 2, ...) accelerations."""
    step = (times[1:] - times[:-1]).view(-1, *[1] * (values.dim() - 1))
    speed = (values[1:] - values[:-1]) / step
    return 2 * (speed[1:] - speed[:-1]) / (step[1:] + step[:-1])


def soft(square: torch.Tensor, knee: float) -> torch.Tensor:
    """Squared residual -> quadratic, then linear beyond `knee` (Charbonnier)."""
    return 2 * knee ** 2 * (torch.sqrt(1 + square / knee ** 2) - 1)


def temporal_terms(world: torch.Tensor, joints: torch.Tensor, tilt: torch.Tensor, times: torch.Tensor, contact: torch.Tensor,
                   s: TemporalSpreads) -> dict[str, torch.Tensor]:
    """Named energies. world (N, 24, 3, 3), joints (N, 24, 3) metres, camera frame; tilt (N,); times (N,) seconds; contact (N, 2) in [0, 1]: the
    left and the right foot stand."""
    out = {}
    if len(times) > 2:
        smooth = lambda v, spread: soft((second_difference(v, times) / spread).flatten(2).pow(2).sum(2), s.knee).sum()   # noqa: E731
        out["acceleration"] = 0.5 * smooth(joints, s.acceleration)
        out["turns"] = 0.25 * smooth(world, s.turn)
        out["camera"] = 0.5 * (second_difference(tilt, times) / np.radians(s.tilt)).pow(2).sum()
    feet = torch.stack([joints[:, list(f)] for f in FEET], 1)                     # (N, 2, 2, 3)
    both = (contact[1:] * contact[:-1])[..., None]
    slid = ((feet[1:] - feet[:-1]) / s.slide).pow(2).sum(3)
    out["slide"] = 0.5 * (both * 16.0 * slid / (16.0 + slid)).sum()
    total = contact.sum()
    if float(total) > 1:
        up = torch.stack([torch.zeros_like(tilt), -torch.cos(tilt), torch.sin(tilt)], 1)
        high = (feet * up[:, None, None]).sum(3)                                   # (N, 2, 2)
        mean = (contact[..., None] * high).sum((0, 1)) / total
        off = ((high - mean) / s.level).pow(2)
        out["level"] = 0.5 * (contact[..., None] * 9.0 * off / (9.0 + off)).sum()
    return out


def stiffness(rest: torch.Tensor, s: TemporalSpreads) -> torch.Tensor:
    """(76,) how much energy a unit of acceleration of each parameter costs (turn of the root 3, pose 69, place 3, tilt 1). rest (24, 3)."""
    below = torch.eye(24, dtype=torch.bool)
    for j in reversed(range(24)):
        if SMPL_PARENTS[j] >= 0:
            below[SMPL_PARENTS[j]] |= below[j]
    arm = ((rest[None] - rest[:, None]) ** 2).sum(2)
    turn = (below * arm).sum(1) * (2 / 3) / s.acceleration ** 2 + below.sum(1) / s.turn ** 2
    place = torch.full((3,), 24 / s.acceleration ** 2, dtype=torch.float64)
    return torch.cat([turn.repeat_interleave(3), place, torch.tensor([1 / np.radians(s.tilt) ** 2], dtype=torch.float64)])


def rounding(steps: torch.Tensor, stiff: torch.Tensor, times: torch.Tensor, free: int) -> torch.Tensor:
    """(76, M, M): the change of variables of the last M = `free` frames that makes the energy about round, so that L-BFGS needs few steps.

    steps (76,): as Objective.steps; stiff (76,): as `stiffness`. The energy's second derivative along time is about 1 / steps^2 + stiff D'D, D
    the second difference: far from round, since a quick change costs thousands of times more than a slow one.
    """
    unit = torch.eye(len(times), dtype=torch.float64)
    d = second_difference(unit, times)[:, len(times) - free:] if len(times) > 2 else torch.zeros(0, free, dtype=torch.float64)
    h = torch.diag_embed((1 / steps ** 2)[:, None].expand(-1, free)) + stiff[:, None, None] * (d.T @ d)
    lower = torch.linalg.cholesky(h)
    return torch.linalg.solve_triangular(lower.transpose(1, 2), torch.eye(free, dtype=torch.float64).expand_as(lower), upper=True)


def standing_feet(ankles: np.ndarray, times: np.ndarray, up: np.ndarray, fastest: float = 0.35, highest: float = 0.08) -> np.ndarray:
    """(N, 2, 3) metres of the feet, a first guess; times (N,); up (N, 3) -> (N, 2) in [0, 1]: the foot stands.

    It stands when it hardly moves across the picture (the depth of a first guess says little) and is among the lowest of its surroundings.
    """
    n = len(times)
    if n < 3:
        return np.zeros((n, 2))
    wide = np.stack([np.median(ankles[max(k - 2, 0):k + 3], axis=0) for k in range(n)])
    speed = np.linalg.norm(np.gradient(wide[..., :2], times, axis=0), axis=2)
    height = np.einsum("nkc,nc->nk", wide, up)
    reach = 12
    floor = np.array([height[max(k - reach, 0):k + reach + 1].min() for k in range(n)])
    slow = np.clip(2 - 2 * speed / fastest, 0, 1)
    low = np.clip(2 - 2 * (height - floor[:, None]) / highest, 0, 1)
    return np.minimum(slow, low)
