"""How the light of a photo falls on a person: shading that depends on the normal alone, found from colours and normals.

Colour = albedo x shading (Lambert). Log shading is a sum of the eight spherical harmonics of first and second order of the normal
(Ramamoorthi and Hanrahan 2001: these hold 99 % of what soft light does to a matt surface; in the log they stay positive). Two pixels of the
same hue are mostly of the same material; then their brightness differs by the shading alone. So the light is what explains the differences
of such pairs best, by least absolute errors: pairs across a seam, a print or the edge of a cast shadow are errors that do not turn it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

APART = (1 / 32, 1 / 11, 1 / 5, 1 / 3)
"""Distances of the two pixels, sides of the picture: within a fold, a limb, the trunk, and from a limb to the trunk."""

HUE = 0.03
"""Difference of chromaticity (shares of red, green and blue) at which a pair counts by a factor of exp(-1/2)."""

ROUNDS, RIDGE, FLOOR, MOST = 15, 1e-4, 0.03, np.log(2.5)
"""Of the fit; weight of no shading at all, a pair; log differences below this count as squares; most that shading may do either way (log)."""

DARK, BRIGHT = 0.004, 0.96
"""Linear luma and channel beyond which a pixel says nothing about its light."""

ENOUGH = 1000
"""Pairs that a fit needs."""

LUMA = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class Shading:
    """light: (8,) coefficients of `harmonics`, log of linear luma. level: log shading that counts as 1. explained: part of the differences in
    brightness between pixels of the same hue (mean absolute log) that the normals account for, 0 to 1."""

    light: np.ndarray
    level: float
    explained: float

    def of(self, normals: np.ndarray) -> np.ndarray:
        """(..., 3) unit normals, camera axes -> (...) factor of linear colour, 1 at the person's middle brightness."""
        return np.exp(np.clip(harmonics(normals) @ self.light - self.level, -MOST, MOST))


def harmonics(normals: np.ndarray) -> np.ndarray:
    """(..., 3) -> (..., 8): orders 1 and 2, not normalised."""
    x, y, z = np.moveaxis(np.asarray(normals, np.float64), -1, 0)
    return np.stack([x, y, z, x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1], -1)


def estimate(rgb: np.ndarray, normals: np.ndarray, weight: np.ndarray) -> Shading | None:
    """rgb (H, W, 3) float in [0, 1] linear; normals (H, W, 3) unit, camera axes; weight (H, W) in [0, 1]: the person, without its rim.

    None where too little of the person says anything (black, burnt out, a few pixels).
    """
    luma = rgb @ LUMA
    good = (weight > 0.99) & (luma > DARK) & (rgb.max(-1) < BRIGHT) & (np.linalg.norm(normals, axis=-1) > 0.5)
    basis, value = harmonics(normals), np.log(np.maximum(luma, 1e-6))
    hue = rgb / (rgb.sum(-1, keepdims=True) + 1e-3)
    terms, wanted, alike = (np.concatenate(rows) for rows in zip(*_pairs(good, basis, value, hue)))
    if len(wanted) < ENOUGH:
        return None
    trust, ridge = alike, RIDGE * len(wanted) * np.eye(basis.shape[-1])
    for _ in range(ROUNDS):
        scaled = terms * trust[:, None]
        light = np.linalg.solve(scaled.T @ terms + ridge, scaled.T @ wanted)
        trust = alike / np.maximum(np.abs(wanted - terms @ light), FLOOR)
        trust /= trust.mean()
    left = np.average(np.abs(wanted - terms @ light), weights=alike) / max(np.average(np.abs(wanted), weights=alike), 1e-9)
    return Shading(light, float(np.median(basis[good] @ light)), float(np.clip(1 - left, 0, 1)))


def _pairs(good: np.ndarray, basis: np.ndarray, value: np.ndarray, hue: np.ndarray):
    """For each distance and direction: differences of the harmonics (N, 8) and of log luma (N,), and how alike the hues are (N,)."""
    for share in APART:
        for axis in (0, 1):
            step = max(round(share * max(good.shape)), 1)
            if step >= good.shape[axis]:
                continue
            a, b = ([slice(None)] * 2 for _ in range(2))
            a[axis], b[axis] = slice(None, -step), slice(step, None)
            a, b = tuple(a), tuple(b)
            both = good[a] & good[b]
            apart = np.abs(hue[b][both] - hue[a][both]).sum(-1)
            yield basis[b][both] - basis[a][both], value[b][both] - value[a][both], np.exp(-0.5 * (apart / HUE) ** 2) + 1e-6
