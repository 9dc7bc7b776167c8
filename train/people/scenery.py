"""Cameras, lights, backgrounds and picture faults at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .choices import Choices
from .recipe import BackgroundRecipe, CameraRecipe, LightRecipe, SensorRecipe


@dataclass(frozen=True)
class SceneryConfig:
    """fov_deg, pitch_deg: ranges of the issue's camera; frame: shares of full, knees, upper, head; fill: of the s02 crop by the person.

    The networks see s02's crop, in which a person always fills most of the canvas; a person small in the photo is a crop enlarged from few
    real pixels (`rescale`).
    """

    fov_deg: tuple[float, float] = (15.0, 75.0)
    pitch_deg: tuple[float, float] = (-25.0, 25.0)
    roll_deg: float = 4.0
    frame: tuple[float, float, float, float] = (0.74, 0.10, 0.11, 0.05)
    fill: tuple[float, float] = (0.72, 0.97)
    plain: float = 0.22
    flat: float = 0.12
    clean: float = 0.15
    occluder: float = 0.08


def random_camera(rng: np.random.Generator, config: SceneryConfig) -> CameraRecipe:
    fov = float(np.exp(rng.uniform(*np.log(config.fov_deg))))
    pitch = float(np.clip(rng.normal(4, 8), *config.pitch_deg)) if rng.random() < 0.75 else float(rng.uniform(*config.pitch_deg))
    frame = str(rng.choice(["full", "knees", "upper", "head"], p=config.frame))
    shift = tuple(round(float(v), 4) for v in rng.normal(0, 0.015, 2))
    return CameraRecipe(round(fov, 3), round(pitch, 3), round(float(rng.normal(0, config.roll_deg)), 3), round(float(rng.uniform(*config.fill)), 4), frame, shift)


def random_light(rng: np.random.Generator, c: Choices, config: SceneryConfig) -> LightRecipe:
    flat = float(rng.uniform(0.3, 1)) if rng.random() < config.flat else 0.0
    ev = float(rng.normal(0, 0.35)) if rng.random() < 0.85 else float(rng.uniform(-2.5, 1.6))
    return LightRecipe(str(rng.choice(c.lights)), round(float(rng.uniform(-180, 180)), 2), round(float(rng.gamma(2, 0.55)), 3), round(float(rng.uniform(0.6, 1.4)), 3),
                       round(ev, 3), round(float(rng.uniform(0.3, 1)), 3), round(flat, 3))


def random_background(rng: np.random.Generator, c: Choices, config: SceneryConfig) -> BackgroundRecipe:
    view = "" if rng.random() < config.plain or not c.views else str(rng.choice(c.views))
    colours = tuple(tuple(round(float(v), 4) for v in (rng.uniform(0.02, 1) * np.exp(rng.normal(0, 0.25, 3))).clip(0, 1)) for _ in range(2))
    occluder = str(rng.choice(["box", "bar", "plant"])) if rng.random() < config.occluder else ""
    return BackgroundRecipe(view, colours, round(float(rng.gamma(1.2, 1.2)), 3), occluder, int(rng.integers(2 ** 31)))


def random_sensor(rng: np.random.Generator, config: SceneryConfig) -> SensorRecipe:
    seed = int(rng.integers(2 ** 31))
    if rng.random() < config.clean:
        return SensorRecipe(noise=0.002, seed=seed)
    maybe = lambda share, value: value if rng.random() < share else 0.0
    return SensorRecipe(
        jpeg=int(maybe(0.7, rng.integers(25, 96))), blur_px=round(float(maybe(0.4, rng.gamma(1.2, 0.5))), 3),
        motion_px=round(float(maybe(0.08, rng.uniform(1, 6))), 3), motion_angle=round(float(rng.uniform(0, np.pi)), 3),
        noise=round(float(min(rng.gamma(1.2, 0.009), 0.06)), 4), gamma=round(float(np.exp(rng.normal(0, 0.12))), 3),
        white=tuple(round(float(v), 3) for v in np.exp(rng.normal(0, 0.06, 3))),
        rescale=round(float(rng.uniform(0.25, 1) if rng.random() < 0.35 else 1.0), 3), sharpen=round(float(maybe(0.25, rng.uniform(0.1, 0.8))), 3), seed=seed)
