"""Colours of clothes without prints, zips and pockets: what the unseen side of a garment most likely looks like.

Along each limb (up the trunk, down a leg, out along an arm, on the body at rest) the middle colour of what is seen at that
height: borders between garments (belt, hem, collar, cuff) run across the limb and stay, whatever is not as wide as the limb goes.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from ..contract.joints import JOINT

CELL = 0.008           # length of a ring of a limb, metres
STEADY = 13            # rings over which the middle colour is taken again: belts stay, wrinkles go
COLLAR = 0.13          # in front, this far down from the top of the trunk the neckline's shape matters: left to the mirrored photo
NAPE = 0.03            # behind: garments are closed there up to the neck, whatever collar, tie or open jacket the front has
BORDER = 4.0           # power of the weights: above 1 the borders between limbs are narrower than those of the skin
FEWEST = 40            # seen vertices that a limb needs
_LEFT = ("left_hip", "left_knee"), ("left_shoulder", "left_elbow")
LIMBS = tuple((tuple(JOINT[j] for j in names), axis, trunk) for names, axis, trunk in (
    (("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar"), 1, True),
    *((tuple(n.replace("left", side) for n in names), axis, False)
      for side in ("left", "right") for names, axis in zip(_LEFT, (1, 0)))))
"""Joints whose parts make up a limb, the axis along it at rest (T-pose: x arms, y legs and trunk), whether it is the trunk."""


def calm_colours(rest: np.ndarray, weights: np.ndarray, colour: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """rest (V, 3) metres, the vertices' places on the body at rest; weights (V, 24) how far they belong to each joint;
    colour (V, 3); seen (V,) [0, 1].

    -> colour (V, 3) float64 and known (V,) bool (False: no such limb, or too little of it is seen). On the trunk the sides weigh
    more than the middle, where jackets are open and prints are.
    """
    total, known, most = np.zeros((len(rest), 3)), np.zeros(len(rest), bool), weights.argmax(1)
    share = np.zeros((len(rest), 1))
    for joints, axis, trunk in LIMBS:
        mine = np.isin(most, joints)
        say = weights[:, list(joints)].sum(1) ** BORDER          # limbs run into each other over a few centimetres
        rows = np.nonzero(mine | (say > 0.01))[0]
        source = rows[(seen[rows] > 0.6) & mine[rows]]
        if len(source) < FEWEST:
            continue
        low = rest[rows, axis].min()
        cell = lambda r: ((rest[r, axis] - low) / CELL).astype(int)          # noqa: E731
        count = int(cell(rows).max()) + 1
        weight = np.ones(len(source))
        if trunk:
            weight = 0.1 + np.minimum(np.abs(rest[source, 0]) / max(np.quantile(np.abs(rest[source, 0]), 0.9), 1e-6), 1) ** 3
        ring, full = _medians(cell(source), colour[source], weight, count)
        if full.sum() < 2:
            continue
        seen_at = np.nonzero(full)[0]
        at = np.arange(seen_at[0], seen_at[-1] + 1)
        ring = np.stack([np.interp(at, seen_at, ring[full, k]) for k in range(3)], 1)
        # mirrored at the ends: the last rings, where a photo is cut, often hold an arm or the background, and what is beyond takes their colour
        ring = gaussian_filter1d(median_filter(ring, (STEADY, 1), mode="mirror"), 0.8, axis=0, mode="nearest")
        along = (rest[rows, axis] - low) / CELL - 0.5
        total[rows] += say[rows, None] * np.stack([np.interp(along, at, ring[:, k]) for k in range(3)], 1)
        share[rows, 0] += say[rows]
        known[rows] |= mine[rows] & ((not trunk) | (rest[rows, 1] < rest[mine, 1].max() - np.where(rest[rows, 2] < 0, NAPE, COLLAR)))
    return np.where(share > 0, total / np.maximum(share, 1e-9), colour), known


def _medians(cell, colour, weight, count):
    """Weighted median of each channel in each cell -> (count, 3), (count,) bool: cells with at least 5 members."""
    ring, full = np.zeros((count, 3)), np.bincount(cell, minlength=count) >= 5
    for k in range(3):
        order = np.lexsort((colour[:, k], cell))
        sums = np.cumsum(weight[order])
        start = np.searchsorted(cell[order], np.arange(count))
        end = np.searchsorted(cell[order], np.arange(count), side="right")
        before = np.concatenate([[0.0], sums])
        half = 0.5 * (before[start] + before[end])
        pick = np.clip(np.searchsorted(sums, half), start, np.maximum(end - 1, start))
        ring[:, k] = colour[order[np.minimum(pick, len(order) - 1)], k]
    return ring, full
