"""From two rough 256 x 256 opinions to a clean matte on the canvas.

prior -> component of the pose -> GrabCut in a band around its border (Rother et al. 2004) -> holes and islands
judged by the prior -> soft border by a colour guided filter (He et al. 2013) in a narrow band.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class MatteConfig:
    """Lengths are fractions of the canvas side. Chosen on composites with known mattes."""

    grab_side: int = 1024           # libraries.md §3: 512 -> boundary error 1.2-3.0 px, 1024 -> 0.7-2.5 px
    band_out: float = 0.022         # GrabCut may move the border this far outwards ...
    band_in: float = 0.022          # ... and inwards
    rounds: int = 3
    hole_prior: float = 0.45        # an enclosed hole stays a hole when the prior there is below this
    island: float = 0.0004          # fraction of the canvas area; smaller separate pieces are dropped
    soft: float = 0.004             # half width of the soft border
    eps: float = 1e-4               # of the guided filter, colours in [0, 1]


def rough(pose_mask: np.ndarray, selfie: np.ndarray) -> np.ndarray:
    """Mean of the two opinions (h, w) float32; where the pose sees nobody near, the other network's strangers and
    their limbs are not believed."""
    h, w = pose_mask.shape
    k = max(int(round(0.05 * w)) | 1, 3)
    near = cv2.dilate(pose_mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (k, k)))
    return 0.5 * pose_mask + 0.5 * np.minimum(selfie, near)


def component(solid: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """(h, w) bool: pieces of `solid` that hold at least a tenth of the seed pixels, or the best one."""
    count, labels = cv2.connectedComponents(solid.astype(np.uint8))
    votes = np.bincount(labels[seeds & solid], minlength=count).astype(float)
    votes[0] = 0
    if votes.sum() == 0:
        return solid
    return np.isin(labels, np.flatnonzero(votes >= max(0.1 * votes.sum(), 1)))


def grab(rgb: np.ndarray, prior: np.ndarray, config: MatteConfig = MatteConfig()) -> np.ndarray:
    """rgb (h, w, 3) uint8, prior (h, w) float32 in [0, 1] -> (h, w) bool silhouette."""
    side = max(rgb.shape[:2])
    solid = prior > 0.5
    if not solid.any() or solid.all():
        return solid
    inner = cv2.distanceTransform(solid.astype(np.uint8), cv2.DIST_L2, 5)
    outer = cv2.distanceTransform((~solid).astype(np.uint8), cv2.DIST_L2, 5)
    state = np.where(solid, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    sure_in = (inner > config.band_in * side) | (prior > 0.97) & (inner > 0.4 * config.band_in * side)
    state[sure_in] = cv2.GC_FGD
    state[outer > config.band_out * side] = cv2.GC_BGD
    rows, cols = np.nonzero(outer <= 3 * config.band_out * side)      # nothing farther can matter
    box = (slice(rows.min(), rows.max() + 1), slice(cols.min(), cols.max() + 1))
    part = np.ascontiguousarray(state[box])
    if not ((part == cv2.GC_BGD) | (part == cv2.GC_PR_BGD)).any():
        return solid
    cv2.setRNGSeed(0)
    cv2.grabCut(np.ascontiguousarray(rgb[box]), part, None, np.zeros((1, 65)), np.zeros((1, 65)), config.rounds,
                cv2.GC_INIT_WITH_MASK)
    out = np.zeros_like(solid)
    out[box] = (part == cv2.GC_FGD) | (part == cv2.GC_PR_FGD)
    return out


def tidy(solid: np.ndarray, prior: np.ndarray, config: MatteConfig = MatteConfig()) -> np.ndarray:
    """Fill holes that the prior does not know, drop specks and slivers."""
    k = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    solid = cv2.morphologyEx(solid.astype(np.uint8), cv2.MORPH_OPEN, k)
    count, labels = cv2.connectedComponents(1 - solid, connectivity=4)
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    area = np.bincount(labels.ravel(), minlength=count)
    lowest = np.full(count, np.inf)
    # a hole is believed when the prior dips somewhere inside it (the mean is spoiled by the blurred rim)
    np.minimum.at(lowest, labels.ravel(), prior.ravel())
    fill = (lowest > config.hole_prior) | (area < config.island * solid.size * 0.25)
    fill[border] = False
    fill[np.unique(labels[solid > 0])] = False
    solid = solid.astype(bool) | fill[labels]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid.astype(np.uint8))
    keep = stats[:, cv2.CC_STAT_AREA] >= config.island * solid.size
    keep[0] = False
    if count > 1 and not keep.any():
        keep[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))] = True
    return keep[labels]


def guided(rgb: np.ndarray, target: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """Colour guided filter: `target` (h, w) float32 re-expressed, window by window, as an affine function of rgb
    (h, w, 3) float32 in [0, 1] (He et al. 2013, eq. 14-16)."""
    def mean(a: np.ndarray) -> np.ndarray:
        return cv2.blur(a, (2 * radius + 1, 2 * radius + 1))

    m, p = mean(rgb), mean(target)
    cov_ip = np.stack([mean(rgb[..., c] * target) for c in range(3)], -1) - m * p[..., None]
    s = {}
    for i in range(3):
        for j in range(i, 3):
            s[i, j] = mean(rgb[..., i] * rgb[..., j]) - m[..., i] * m[..., j] + (eps if i == j else 0)
    a, b, c, d, e, f = s[0, 0], s[0, 1], s[0, 2], s[1, 1], s[1, 2], s[2, 2]
    inv = {(0, 0): d * f - e * e, (0, 1): c * e - b * f, (0, 2): b * e - c * d,
           (1, 1): a * f - c * c, (1, 2): b * c - a * e, (2, 2): a * d - b * b}
    det = a * inv[0, 0] + b * inv[0, 1] + c * inv[0, 2]
    coef = np.stack([sum(inv[min(i, j), max(i, j)] * cov_ip[..., j] for j in range(3)) / det for i in range(3)], -1)
    shift = p - (coef * m).sum(-1)
    return (mean(coef) * rgb).sum(-1) + mean(shift)


def soften(rgb: np.ndarray, solid: np.ndarray, config: MatteConfig = MatteConfig()) -> np.ndarray:
    """rgb (S, S, 3) uint8, solid (s, s) bool, s <= S -> (S, S) float32 matte in [0, 1]."""
    side = rgb.shape[0]
    grown = solid.astype(np.float32)
    if solid.shape[0] != side:
        grown = cv2.resize(grown, (side, side), interpolation=cv2.INTER_CUBIC)
    sharp = (cv2.GaussianBlur(grown, (0, 0), max(0.5 * side / solid.shape[0], 0.6)) > 0.5)
    width = max(config.soft * side, 2.0)
    inner = cv2.distanceTransform(sharp.astype(np.uint8), cv2.DIST_L2, 5)
    outer = cv2.distanceTransform((~sharp).astype(np.uint8), cv2.DIST_L2, 5)
    signed = np.where(sharp, inner - 0.5, 0.5 - outer)
    ramp = np.clip(0.5 + signed / 2.0, 0, 1).astype(np.float32)      # two pixels wide: an ordinary antialiased edge
    radius = max(int(round(width)), 2)
    fine = np.clip(guided(rgb.astype(np.float32) / 255, ramp, radius, config.eps), 0, 1)
    weight = np.clip(1.5 - np.abs(signed) / width, 0, 1)             # only near the border
    return (weight * fine + (1 - weight) * ramp).astype(np.float32)
