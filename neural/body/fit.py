"""The fit of the body model to one person: start from the landmarks, then L-BFGS on the energy of `objective`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np
import torch

from ..contract.joints import LANDMARK
from .evidence import Evidence
from .model import BodyModel
from .objective import Objective, Spreads
from .prior import pose_prior
from .rotations import axis_angle_from_matrix, matrix_from_axis_angle
from .silhouette import Silhouette
from .start import first_pose, first_translation


@dataclass(frozen=True)
class FitConfig:
    betas: int = 10                   # libraries.md §2: 10 directions = 1.7 mm on uniform bodies
    rounds: tuple[int, ...] = (45, 40, 35)   # L-BFGS steps: landmarks only, then with the silhouette, matched anew
    spreads: Spreads = Spreads()


@dataclass(frozen=True)
class Fit:
    """pose (24, 3) axis-angle with pose[0] = camera from body; betas (B,); translation (3,) so that vertices = LBS(template(betas), pose)
    + translation, camera metres, at scale 1; error_px mean distance of the visible landmarks; energies by name."""

    pose: np.ndarray
    betas: np.ndarray
    translation: np.ndarray
    error_px: float
    tilt: float
    energies: dict[str, float]


def fit(model: BodyModel, evidence: Evidence, config: FitConfig = FitConfig(),
        step: Callable[[float, float], None] = lambda done, of: None) -> Fit:
    """SMPLify-class fit (see `objective`). One torch thread: as fast as two here, and calm on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _fit(model, evidence, config, step)
    finally:
        torch.set_num_threads(threads)


def _fit(model, e, config, step):
    pose = first_pose(e)
    move = first_translation(e, model, pose)
    standing = (e.standing_leg("left"), e.standing_leg("right"))
    hanging = tuple(e.seen(f"{side}_elbow") < 0.3 for side in ("left", "right"))
    objective = Objective(model, e, pose_prior(standing, hanging), matrix_from_axis_angle(pose[0]), config.betas, config.spreads,
                          distance=float(move[2]))
    x = torch.tensor(objective.start(pose, move), dtype=torch.float64)
    outline = Silhouette(e.mask, e.inside, _head_box(e))
    for i, count in enumerate(config.rounds):
        step(i, len(config.rounds))
        if i:
            with torch.no_grad():
                outline.match(objective.project(objective.posed(x, True).skin))
        x = _minimise(objective, x, outline if i else None, count)
    with torch.no_grad():
        local, small, move, betas, tilt = objective.split(x)
        pose = np.concatenate([axis_angle_from_matrix(local[:1].numpy()), small[1:].numpy()])
        seen = e.trust > 0.3
        miss = (objective.project(objective.posed(x, False).marks[:33]) - objective.pixels).norm(dim=1).numpy()
        energies = {k: float(v) for k, v in objective.terms(x, outline).items()}
    return Fit(pose, betas.numpy().copy(), move.numpy().copy(), float(miss[seen].mean()) if seen.any() else float("nan"),
               float(tilt), energies)


def _minimise(objective: Objective, x: torch.Tensor, outline, count: int) -> torch.Tensor:
    steps = objective.steps()
    y = (x / steps).requires_grad_(True)
    solver = torch.optim.LBFGS([y], lr=1.0, max_iter=count, max_eval=int(1.3 * count) + 4, history_size=20,
                               tolerance_change=1e-7, line_search_fn="strong_wolfe")

    def closure():
        solver.zero_grad()
        loss = sum(objective.terms(y * steps, outline).values())
        loss.backward()
        return loss

    solver.step(closure)
    return y.detach() * steps


def _head_box(e: Evidence) -> tuple[float, float, float, float]:
    """Where hair may be: around and above the face, down to the shoulders."""
    face = e.pixels[:11]
    shoulders = e.pixels[[LANDMARK["left_shoulder"], LANDMARK["right_shoulder"]]]
    reach = 0.12 * e.size_px
    middle = face.mean(0)
    return middle[0] - reach, -np.inf, middle[0] + reach, float(max(shoulders[:, 1].mean(), middle[1] + 0.3 * reach))
