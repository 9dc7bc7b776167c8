"""Two photos of one person: the second shows the same body in the same clothes from another side.

The paper's pairs are photos of one person in other places and poses. Ours as well: half of them stand still while the camera walks round
(the light then stays with them), the others have another pose and another light.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Sequence

import numpy as np
import torch
from torch import Tensor

from ..people.casting import CastConfig, random_pose
from ..people.choices import Choices
from ..people.generator import Generator
from ..people.recipe import Recipe
from ..people.scenery import random_background, random_camera, random_light, random_sensor
from .views import stored


@dataclass(frozen=True)
class PairConfig:
    """still: share of pairs with the same pose; same_light: share with the same light; turn_deg: smallest turn between the two."""

    still: float = 0.5
    same_light: float = 0.5
    turn_deg: float = 40.0


def second(first: Recipe, choices: Choices, cast: CastConfig = CastConfig(), config: PairConfig = PairConfig()) -> Recipe:
    """The other photo of a recipe's person; nobody else is in it. Depends on the recipe's seed alone."""
    rng = np.random.default_rng([first.seed, 7919])
    turn = float(rng.uniform(config.turn_deg, 360 - config.turn_deg))
    round_ = lambda degrees: round((degrees + 180) % 360 - 180, 2)
    person = replace(first.person, yaw_deg=round_(first.person.yaw_deg + turn))
    if rng.random() >= config.still:
        person = replace(person, pose=random_pose(rng, choices, cast))
    light = replace(first.light, turn_deg=round_(first.light.turn_deg + turn))
    if rng.random() >= config.same_light:
        light = random_light(rng, choices, cast.scenery)
    return Recipe(first.seed, person, random_camera(rng, cast.scenery), light, random_background(rng, choices, cast.scenery),
                  random_sensor(rng, cast.scenery), (), int(rng.integers(2 ** 31)))


def pairs(generator: Generator, seeds: Sequence[int]) -> dict[str, Tensor]:
    """views.FIELDS of two photos a seed, one after the other: rows 2 k and 2 k + 1 are one person."""
    recipes = [generator.recipe(s) for s in seeds]
    return stored(generator.draw([r for one in recipes for r in (one, second(one, generator.choices, generator.config.cast))]))


def singles(generator: Generator, seeds: Sequence[int]) -> dict[str, Tensor]:
    """views.FIELDS of one photo a seed."""
    return stored(generator(seeds))


def split(sample: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Rows of `pairs` -> first photos, second photos."""
    return {k: v[0::2] for k, v in sample.items()}, {k: v[1::2] for k, v in sample.items()}


def swapped(sample: dict[str, Tensor], which: Tensor) -> dict[str, Tensor]:
    """Rows of `pairs` with first and second exchanged for the people of which (P,) bool."""
    rows = torch.arange(2 * len(which), device=which.device).view(-1, 2)
    rows = torch.where(which[:, None], rows.flip(1), rows).flatten()
    return {k: v[rows] for k, v in sample.items()}
