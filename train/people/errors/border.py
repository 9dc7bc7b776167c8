"""How a mask's border lies against the true one, in numbers: what s02 gets wrong and whether the imitation gets the same things wrong.

All lengths are parts of the canvas side; positive = the mask reaches beyond the person.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

CLOSE = 0.012
"""What is further than this from the true border is a lost or an added piece, nearer an offset of the border."""
LAGS = np.array([0.004, 0.008, 0.015, 0.025, 0.04, 0.06, 0.1])
"""Distances at which the correlation of offsets is measured."""
CONTRASTS = np.array([0.06, 0.15])
"""Colour difference (root mean square of sRGB) across the border: below the first, alike; above the second, clear."""
GROUPS = {"head": (12, 15), "hands": (18, 19, 20, 21, 22, 23), "feet": (7, 8, 10, 11), "trunk": (0, 3, 6, 9, 13, 14, 16, 17), "legs": (1, 2, 4, 5)}


@dataclass(frozen=True)
class Border:
    """One picture. offsets (N,), at (N, 2), contrast (N,) at points of the true border; lost, added: rows of (size = root of the area, greatest
    depth, group of GROUPS nearest or -1); share_lost, share_added of the person's area; width: of the soft edge (logistic scale); iou."""

    offsets: np.ndarray
    at: np.ndarray
    contrast: np.ndarray
    lost: np.ndarray
    added: np.ndarray
    share_lost: float
    share_added: float
    width: float
    iou: float


def signed(solid: np.ndarray) -> np.ndarray:
    """(S, S) bool -> float32 pixels to the border, positive inside."""
    far = 4.0 * len(solid)
    inner = cv2.distanceTransform(solid.astype(np.uint8), cv2.DIST_L2, 5) if not solid.all() else np.full(solid.shape, far)
    outer = cv2.distanceTransform((~solid).astype(np.uint8), cv2.DIST_L2, 5) if solid.any() else np.full(solid.shape, far)
    return np.where(solid, inner - 0.5, 0.5 - outer).astype(np.float32)


def border_of(mask: np.ndarray, truth: np.ndarray, rgb: np.ndarray, inside: np.ndarray, joints: np.ndarray | None = None) -> Border:
    """mask, truth (S, S) float 0 to 1; rgb (S, S, 3) uint8; inside (S, S) bool; joints (24, 2) pixels of the canvas, SMPL's order, or None."""
    s = len(mask)
    soft, there = mask * inside, (truth * inside) > 0.5
    got = soft > 0.5
    to_mask, to_truth = signed(got), signed(there)
    photo = signed(inside) if not inside.all() else np.full(inside.shape, 1e9)
    rim = (np.abs(to_truth) < 1) & (photo > 4)
    margin = 3
    rim[:margin] = rim[-margin:] = rim[:, :margin] = rim[:, -margin:] = False
    rows, cols = np.nonzero(rim)
    colour = cv2.GaussianBlur(rgb.astype(np.float32) / 255, (0, 0), 0.002 * s)
    gx, gy = cv2.Sobel(to_truth, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(to_truth, cv2.CV_32F, 0, 1) / 8
    step = 0.01 * s
    near = lambda at, slope, sign: np.clip(np.round(at + sign * step * slope[rim]), 0, s - 1).astype(int)
    pick = lambda sign: colour[near(rows, gy, sign), near(cols, gx, sign)]
    contrast = np.sqrt(((pick(1) - pick(-1)) ** 2).mean(1))
    edge = np.abs(to_mask) < 6
    width = _width(to_mask[edge & (photo > 4)], soft[edge & (photo > 4)]) / s
    both, either = np.minimum(soft, truth * inside).sum(), np.maximum(soft, truth * inside).sum()
    area = max(there.sum(), 1)
    lost, added = there & ~got, got & ~there
    return Border(to_mask[rim] / s, np.stack([cols, rows], 1) / s, contrast, _pieces(lost, to_mask, s, joints), _pieces(added, to_truth, s, joints),
                  lost.sum() / area, added.sum() / area, width, float(both / max(either, 1)))


def _pieces(wrong: np.ndarray, away: np.ndarray, s: int, joints: np.ndarray | None) -> np.ndarray:
    """(K, 3) pieces of `wrong` that reach further than CLOSE."""
    count, label, stats, middle = cv2.connectedComponentsWithStats(wrong.astype(np.uint8))
    deep = np.zeros(count)
    np.maximum.at(deep, label.ravel(), -away.ravel())
    out = []
    for k in range(1, count):
        if deep[k] > CLOSE * s:
            group = -1
            if joints is not None:
                nearest = int(np.argmin(np.hypot(*(joints - middle[k]).T)))
                group = next(i for i, g in enumerate(GROUPS.values()) if nearest in g)
            out.append((np.sqrt(stats[k, cv2.CC_STAT_AREA]) / s, deep[k] / s, group))
    return np.array(out, np.float64).reshape(-1, 3)


def _width(away: np.ndarray, soft: np.ndarray) -> float:
    """Scale of the logistic curve that the mask follows across its border, pixels."""
    best = [float(((soft - 1 / (1 + np.exp(-away / w))) ** 2).mean()) for w in _WIDTHS]
    return float(_WIDTHS[int(np.argmin(best))])


_WIDTHS = np.geomspace(0.2, 6, 40)


def summary(borders: list[Border]) -> dict[str, float]:
    """The numbers that measured and imitated masks are compared by."""
    near = [b.offsets[np.abs(b.offsets) < CLOSE] for b in borders]
    mean, spread = np.array([n.mean() for n in near]), np.array([n.std() for n in near])
    values = np.concatenate(near)
    clear = np.concatenate([b.offsets[(b.contrast > CONTRASTS[1]) & (np.abs(b.offsets) < CLOSE)] for b in borders])
    iou, width = np.array([b.iou for b in borders]), np.array([b.width for b in borders])
    out = {"bias": values.mean(), "bias spread": mean.std(), "offset spread": np.median(spread), "offset spread clear": clear.std(),
           "spread of log spread": np.log(np.maximum(spread, 1e-5)).std(),
           "kurtosis": float(((values - values.mean()) ** 4).mean() / values.var() ** 2),
           "far share": np.mean([(np.abs(b.offsets) >= CLOSE).mean() for b in borders]),
           "iou": np.median(iou), "worst iou": np.quantile(iou, 0.1), "soft width": np.median(width)}
    for low, high, name in zip((0, *CONTRASTS), (*CONTRASTS, 9), ("alike", "unclear", "clear")):
        some = np.concatenate([b.offsets[(b.contrast >= low) & (b.contrast < high)] for b in borders])
        out[f"mean |offset| {name}"] = np.minimum(np.abs(some), 2 * CLOSE).mean()
    for lag, c in zip(LAGS, correlation(borders)):
        out[f"correlation at {lag}"] = c
    for name in ("lost", "added"):
        pieces = np.concatenate([getattr(b, name) for b in borders])
        out[f"{name} share"] = np.mean([getattr(b, f"share_{name}") for b in borders])
        out[f"{name} pieces a picture"] = len(pieces) / len(borders)
        out[f"{name} piece size"] = np.median(pieces[:, 0]) if len(pieces) else 0.0
        for i, group in enumerate(GROUPS):
            out[f"{name} at {group}"] = float((pieces[:, 2] == i).sum() / len(borders))
    return {k: float(v) for k, v in out.items()}


def correlation(borders: list[Border], pairs: int = 4000) -> np.ndarray:
    """Correlation of the (near) offsets of points LAGS apart, pictures' own means taken out."""
    products, squares = [[] for _ in LAGS], []
    rng = np.random.default_rng(0)
    for b in borders:
        ok = np.abs(b.offsets) < CLOSE
        o, at = b.offsets[ok], b.at[ok]
        if len(o) < 50:
            continue
        o = o - o.mean()
        squares.append((o ** 2).mean())
        first = rng.integers(len(o), size=300)
        away = np.hypot(*(at[first, None] - at[None]).transpose(2, 0, 1))
        for k, lag in enumerate(LAGS):
            i, j = np.nonzero(np.abs(away - lag) < 0.2 * lag)
            if len(i):
                products[k].append((o[first[i]] * o[j]).mean())
    return np.array([np.mean(p) / np.mean(squares) for p in products])
