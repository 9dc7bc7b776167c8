"""The measured numbers, as they are kept in statistics.npz (README.md says what was measured)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("statistics.npz")
VIEWS = ("front", "side", "back")


@dataclass(frozen=True)
class Statistics:
    """Mask (lengths are parts of the canvas side; G groups of joints, border.GROUPS):
    bias, bias_spread, spread, log_spread: offset of the border, its mean in a picture and its spread there and how much that differs between
    pictures; kurtosis; contrast_gain (3,): spread where colours are alike, unclear, clear, relative to the last; soft: logistic scale of the
    edge; lost_rate, added_rate (G,): pieces a picture at each group; lost_size, added_size (2,): mean and spread of the log of the size.

    Body, for each view v of VIEWS (side: the person faces the picture's right): body_mean, body_spread (3, 85); body_factors (3, 85, R):
    standardised errors = factors @ normal + rest * normal, body_rest (3, 85). beta_keep: part of the true betas that s03 finds.
    reproject (24,): spread of the fitted joints in the picture, parts of the standing height. tails (2,): errors are larger in some pictures and
    at some limbs than elsewhere; spread of the log of that factor, by picture and by limb.
    pictures: masks measured, bodies measured.
    """

    bias: np.ndarray
    bias_spread: np.ndarray
    spread: np.ndarray
    log_spread: np.ndarray
    kurtosis: np.ndarray
    contrast_gain: np.ndarray
    soft: np.ndarray
    lost_rate: np.ndarray
    added_rate: np.ndarray
    lost_size: np.ndarray
    added_size: np.ndarray
    body_mean: np.ndarray
    body_spread: np.ndarray
    body_factors: np.ndarray
    body_rest: np.ndarray
    beta_keep: np.ndarray
    reproject: np.ndarray
    tails: np.ndarray
    pictures: np.ndarray

    def save(self, path: Path) -> None:
        np.savez_compressed(path, **{f.name: np.asarray(getattr(self, f.name), np.float32) for f in fields(self)})

    @staticmethod
    def read(path: Path) -> "Statistics":
        with np.load(path) as z:
            return Statistics(**{f.name: z[f.name] for f in fields(Statistics)})


@lru_cache(maxsize=2)
def measured(path: Path = FILE) -> Statistics:
    """What ships."""
    return Statistics.read(path)
