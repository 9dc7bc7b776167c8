"""Recipes at random: who stands there, how, in what. Garment geometry varies most, then light, albedo, background, mask damage, camera.

    recipe = random_recipe(seed, choices)

Every choice is a draw from numpy's PCG64 seeded with `seed`; one generator a theme, so that a new choice in one theme leaves the others alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .choices import Choices
from .fabrics import random_fabric
from .recipe import Companion, Fabric, PersonRecipe, PoseMix, Recipe, Worn
from .scenery import SceneryConfig, random_background, random_camera, random_light, random_sensor


@dataclass(frozen=True)
class CastConfig:
    """Shares and spreads. whole: people that are whole characters; front: people within 40 degrees of facing the camera."""

    whole: float = 0.22
    mixed_bodies: float = 0.5
    shape_noise: float = 0.12
    front: float = 0.62
    photo_pose: float = 0.48
    standing: float = 0.32
    mixed_limbs: float = 0.25
    jitter_deg: float = 4.0
    expression: float = 0.5
    dress: float = 0.22
    full: float = 0.22
    coat: float = 0.16
    hat: float = 0.12
    glasses: float = 0.12
    bag: float = 0.08
    scarf: float = 0.06
    beard: float = 0.35
    bald: float = 0.06
    barefoot: float = 0.08
    own_fabric: float = 0.6
    loose_m: float = 0.008
    fold_m: float = 0.004
    wrinkle_m: float = 0.0012
    companion: float = 0.15
    scenery: SceneryConfig = SceneryConfig()


def random_recipe(seed: int, choices: Choices, config: CastConfig = CastConfig()) -> Recipe:
    """The recipe of a seed (0 <= seed < 2**63)."""
    themes = [np.random.default_rng([seed, k]) for k in range(7)]
    person = random_person(themes[0], choices, config)
    camera = random_camera(themes[1], config.scenery)
    companions = ()
    if themes[5].random() < config.companion:
        rng, front = themes[5], bool(themes[5].random() < 0.3)
        side = rng.choice([-1.0, 1.0])
        place = (float(side * rng.uniform(0.22, 0.6)), float(rng.normal(0, 0.06) + (0.15 if front else -0.03)))
        companions = (Companion(random_person(rng, choices, config), place, float(rng.uniform(0.5, 1.0) * (1.5 if front else 1)), front),)
    return Recipe(seed, person, camera, random_light(themes[2], choices, config.scenery), random_background(themes[3], choices, config.scenery),
                  random_sensor(themes[4], config.scenery), companions, int(themes[6].integers(2 ** 31)))


def random_person(rng: np.random.Generator, c: Choices, config: CastConfig) -> PersonRecipe:
    """Body, clothes, pose and yaw."""
    yaw = float(rng.normal(0, 22) if rng.random() < config.front else rng.uniform(-180, 180))
    pose = random_pose(rng, c, config)
    if c.people and rng.random() < config.whole:
        return PersonRecipe(avatar=str(rng.choice(c.people)), pose=pose, yaw_deg=round(yaw, 2))
    shape, sex, skins = random_body(rng, c, config)
    expression = ()
    if len(c.expressions) and rng.random() < config.expression:
        names = rng.choice(c.expressions, size=min(len(c.expressions), int(rng.integers(1, 4))), replace=False)
        expression = tuple((str(n), round(float(rng.beta(1.2, 2.2)), 3)) for n in names)
    tone = np.exp(rng.normal(0, 0.08) + rng.normal(0, 0.03, 3))
    return PersonRecipe(
        shape=tuple(np.round(shape, 4).tolist()), expression=expression, skin=str(rng.choice(skins)), skin_tint=_triple(np.minimum(tone, 1.25)),
        eyes=str(rng.choice(c.eyes)) if c.eyes else "", worn=random_outfit(rng, c, config, sex), pose=pose, yaw_deg=round(yaw, 2))


def random_body(rng: np.random.Generator, c: Choices, config: CastConfig) -> tuple[np.ndarray, str, list[str]]:
    """Shape (K,), sex of the clothes that fit, names of skins that suit: two baked bodies of one sex and like age, mixed."""
    row = int(rng.integers(len(c.bodies)))
    like = np.nonzero(((c.gender > 0.5) == (c.gender[row] > 0.5)) & (np.abs(c.age - c.age[row]) < 0.12))[0]
    t = rng.uniform(0, config.mixed_bodies)
    mixed = (1 - t) * c.bodies[row] + t * c.bodies[int(rng.choice(like))] + config.shape_noise * rng.normal(0, 1, c.bodies.shape[1])
    sex, dark = ("f" if c.gender[row] > 0.5 else "m"), bool(rng.random() < c.african[row])
    age = "old" if c.age[row] > 0.9 else "middleage" if c.age[row] > 0.78 else "young"
    skins = [s for s in c.skins if s.sex in (sex, "any")]
    for suits in (lambda s: s.dark == dark, lambda s: s.age in (age, "")):     # as many wishes as the assets can meet
        skins = [s for s in skins if suits(s)] or skins
    return mixed, sex, [s.name for s in skins]


def random_outfit(rng: np.random.Generator, c: Choices, config: CastConfig, sex: str) -> tuple[Worn, ...]:
    """From the skin outwards; what a person of that sex may wear in the assets (own garments fit everybody)."""
    def pick(slot: str) -> list[str]:
        names = c.worn.get((slot, sex), ())
        return [str(rng.choice(names))] if names else []

    names: list[str] = []
    kind = rng.random()
    if sex == "f" and kind < config.dress:
        names += pick("dress")
    elif kind < config.dress + config.full:
        names += pick("full")
    if not names:
        parts = pick("bottom"), pick("top")
        names += sum(parts, []) if all(parts) else pick("full") or sum(parts, [])     # some assets have no tops for men
    for slot, share in (("socks", 0.25), ("shoes", 1 - config.barefoot), ("coat", config.coat), ("scarf", config.scarf), ("bag", config.bag),
                        ("glasses", config.glasses)):
        if rng.random() < share:
            names += pick(slot)
    if rng.random() >= config.bald:
        names += pick("hair")
    if sex == "m" and rng.random() < config.beard:
        names += pick("beard")
    if rng.random() < config.hat:
        names += pick("hat")
    for slot in ("eyes", "eyebrows", "eyelashes", "teeth", "tongue"):
        names += pick(slot)
    ease = float(rng.exponential(1.0))                             # some people wear everything loose
    hair = random_hair_tint(rng)
    return tuple(_worn(rng, c, config, name, ease, hair) for name in names)


def _worn(rng: np.random.Generator, c: Choices, config: CastConfig, name: str, ease: float, hair: tuple) -> Worn:
    seed = int(rng.integers(2 ** 31))
    if name not in c.cloth:
        hairy = any(name in c.worn.get((slot, sex), ()) for slot in ("hair", "beard", "eyebrows") for sex in ("f", "m"))
        return Worn(name, Fabric(tint=hair if hairy else (1.0, 1.0, 1.0), gloss=0.35 if hairy else 0.2, seed=seed), seed=seed)
    own = rng.random() < config.own_fabric or name.startswith("own_")
    fabric = random_fabric(rng) if own else Fabric(tint=_triple(np.exp(rng.normal(0, 0.25) + rng.normal(0, 0.2, 3))), gloss=float(rng.beta(1, 5)), seed=seed)
    return Worn(name, fabric,
                loose_m=round(float(min(config.loose_m * ease * rng.gamma(1.5), 0.04)), 4),
                fold_m=round(float(min(rng.gamma(1.5) * config.fold_m, 0.016)), 4), fold_length_m=round(float(rng.uniform(0.04, 0.16)), 3),
                fold_stretch=round(float(rng.uniform(1, 4)), 2), wrinkle_m=round(float(min(rng.gamma(1.2) * config.wrinkle_m, 0.004)), 5),
                wrinkle_length_m=round(float(rng.uniform(0.012, 0.05)), 4), hang=round(float(rng.uniform(0.3, 1)), 2),
                cut=round(float(rng.uniform(0, 0.6)) if rng.random() < 0.3 else 0.0, 2), seed=seed)


def random_pose(rng: np.random.Generator, c: Choices, config: CastConfig) -> PoseMix:
    """Standing for a photo, a standing or any pose of the library, or limbs of several poses."""
    kind, seed = rng.random(), int(rng.integers(2 ** 31))
    jitter = round(float(rng.exponential(config.jitter_deg)), 2)
    mirror = bool(rng.random() < 0.5)
    hands = [str(rng.choice(c.poses)) if rng.random() < 0.5 else "" for _ in range(2)]
    if kind < config.photo_pose and c.photo:
        return PoseMix(str(rng.choice(c.standing)), photo=str(rng.choice(c.photo)), left_hand=hands[0], right_hand=hands[1], mirror=mirror,
                       jitter_deg=jitter, seed=seed)
    body = str(rng.choice(c.standing if kind < config.photo_pose + config.standing else c.poses))
    limbs = {}
    for limb in ("left_arm", "right_arm", "legs", "head"):
        if rng.random() < config.mixed_limbs:
            limbs[limb] = str(rng.choice(c.standing if limb == "legs" else c.poses))
    return PoseMix(body, **limbs, left_hand=hands[0], right_hand=hands[1], mirror=mirror, jitter_deg=jitter, seed=seed)


def random_hair_tint(rng: np.random.Generator) -> tuple:
    """Multiplies the hair's own picture: black, brown, fair, red, grey, now and then dyed."""
    naturals = ((0.25, 0.22, 0.2), (0.6, 0.5, 0.42), (1.0, 0.9, 0.75), (1.6, 1.35, 0.9), (1.2, 0.55, 0.3), (1.5, 1.5, 1.55), (1, 1, 1))
    base = np.array(naturals[int(rng.integers(len(naturals)))]) if rng.random() < 0.94 else rng.uniform(0.2, 1.8, 3)
    return _triple(base * np.exp(rng.normal(0, 0.15)))


def _triple(values) -> tuple:
    return tuple(round(float(v), 4) for v in values)
