"""Fabrics at random: which pattern, which colours."""

from __future__ import annotations

import colorsys

import numpy as np

from .recipe import Fabric

_SHARES = {"plain": 0.34, "stripes": 0.13, "checks": 0.10, "dots": 0.05, "print": 0.09, "denim": 0.09, "text": 0.04, "camouflage": 0.04,
           "knit": 0.05, "flowers": 0.04, "gradient": 0.02, "blocks": 0.01}
_PERIOD_M = {"stripes": (0.008, 0.09), "checks": (0.01, 0.12), "dots": (0.012, 0.08), "print": (0.12, 0.3), "text": (0.08, 0.25),
             "camouflage": (0.06, 0.2), "knit": (0.006, 0.02), "flowers": (0.03, 0.12), "gradient": (0.4, 1.2), "blocks": (0.15, 0.5), "denim": (0.004, 0.01)}


def random_fabric(rng: np.random.Generator) -> Fabric:
    """One of recipe.FABRICS but "texture"."""
    names = list(_SHARES)
    kind = str(rng.choice(names, p=np.array(list(_SHARES.values())) / sum(_SHARES.values())))
    low, high = _PERIOD_M.get(kind, (0.05, 0.05))
    if kind == "denim":
        base = np.array(colorsys.hsv_to_rgb(rng.uniform(0.58, 0.64), rng.uniform(0.2, 0.7), rng.uniform(0.15, 0.75)))
        colours = [base, 0.6 * base, np.minimum(1.5 * base + 0.05, 1)]
    else:
        colours = [random_colour(rng) for _ in range(3)]
    return Fabric(kind, tuple(tuple(round(float(v), 4) for v in np.asarray(c) ** 2.2) for c in colours), scale_m=round(float(np.exp(rng.uniform(np.log(low), np.log(high)))), 4),
                  angle=round(float(rng.choice([0, np.pi / 2, np.pi / 4, rng.uniform(0, np.pi)], p=[0.45, 0.35, 0.05, 0.15])), 4),
                  seed=int(rng.integers(2 ** 31)), gloss=round(float(rng.beta(1, 5)), 3))


def random_colour(rng: np.random.Generator) -> np.ndarray:
    """(3,) sRGB in [0, 1]: black, white and grey often, as clothes are; then muted, then loud."""
    kind = rng.random()
    if kind < 0.16:
        return np.full(3, rng.uniform(0.02, 0.14))
    if kind < 0.30:
        return np.full(3, rng.uniform(0.82, 0.97)) * (1 - 0.06 * rng.random(3))
    if kind < 0.42:
        return np.full(3, rng.uniform(0.2, 0.75))
    saturation = rng.uniform(0.1, 0.5) if kind < 0.75 else rng.uniform(0.5, 1.0)
    return np.array(colorsys.hsv_to_rgb(rng.random(), saturation, rng.uniform(0.2, 0.95)))
