"""Limbs whose distance the networks do not know better than the fitted body: there their depth is moved back to the body's.

Measured on 32 generated people that training did not see (median error of the depth, body / network): trunk 5.5 / 2.3 cm, thighs 5.1 / 4.1,
but wrists 7.2 / 7.1, hands 8.1 / 8.0, feet 4.8 / 5.3. A network that does not know pulls a forearm towards the trunk; what is fitted has at
least the bone's length. Only the low frequencies move: relief and thickness stay the networks'.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from ..contract.joints import SMPL_JOINTS

CANVAS = 256
SOFT = 6.0       # pixels of CANVAS: standard deviation of the low-pass along a limb
MOST = 0.3       # metres: a difference beyond this counts as this

SHARE = {"elbow": 0.5, "wrist": 1.0, "hand": 1.0, "ankle": 0.5, "foot": 1.0}
"""How much of the way back to the body, for the parts of each joint (others stay)."""

CHAINS = tuple(tuple(f"{side}_{name}" for name in names) for side in ("left", "right")
               for names in (("shoulder", "elbow", "wrist", "hand"), ("hip", "knee", "ankle", "foot")))


def _table(value) -> np.ndarray:
    return np.array([0.0] + [value(name) for name in SMPL_JOINTS], np.float32)


_SHARE = _table(lambda name: SHARE.get(name.split("_")[-1], 0.0))
_CHAIN = _table(lambda name: next((1 + k for k, chain in enumerate(CHAINS) if name in chain), 0)).astype(np.int64)


def anchored(depth: np.ndarray, fitted: np.ndarray, part: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """depth (S, S) metres, one side, of the networks; mask (S, S) bool -> (S, S) float32.

    fitted (M, M) metres, NaN outside, and part (M, M) joint + 1, 0 = nothing: of the posed body, same side, same canvas.
    """
    small = lambda a: cv2.resize(a, (CANVAS, CANVAS), interpolation=cv2.INTER_NEAREST)
    z, body, part = small(depth.astype(np.float32)), small(fitted.astype(np.float32)), small(part)
    on = np.isfinite(body) & np.isfinite(z) & (part > 0) & small(mask.astype(np.uint8)).astype(bool)
    if not on.any():
        return depth.astype(np.float32)
    nearest = distance_transform_edt(~on, return_distances=False, return_indices=True)
    chain = np.where(on, _CHAIN[part], 0)[tuple(nearest)]            # clothes belong to the limb beside them
    move = np.where(on, np.clip(body - z, -MOST, MOST) * _SHARE[part], 0).astype(np.float32)
    out = np.zeros((CANVAS, CANVAS), np.float32)
    for number in np.unique(chain[chain > 0]):
        own = (on & (_CHAIN[part] == number)).astype(np.float32)
        wide = cv2.GaussianBlur(move * own, (0, 0), SOFT) / np.maximum(cv2.GaussianBlur(own, (0, 0), SOFT), 1e-3)
        out = np.where(chain == number, wide, out)
    return depth.astype(np.float32) + cv2.resize(out, depth.shape[::-1], interpolation=cv2.INTER_LINEAR)
