"""Arrays in fewer bytes. A folder is read in the same steps as a pack file keeps, so both give the same people to the last bit."""

from __future__ import annotations

import numpy as np

EXACT = ("scale", "heads", "ambient", "direction", "key", "angle")
"""Small arrays that are kept as they are."""

FIXED = ("quat_xyzw",)
"""Arrays within [-1, 1] whose rows are dropped: steps must not depend on which."""

BYTE = ("weights",)
"""Arrays for which 256 steps are enough: skin weights of whole characters."""


def small(name: str, a: np.ndarray) -> dict[str, np.ndarray]:
    """An array in fewer bytes: integers in the smallest type that holds them; numbers as 16 (8) bit steps of each last-axis column's range, with
    `NAME__low` and `NAME__step` beside them. `large` turns it back."""
    if a.dtype.kind in "iu" and a.size:
        for kind in (np.uint8, np.int8, np.uint16, np.int16):
            if np.iinfo(kind).min <= a.min() and a.max() <= np.iinfo(kind).max:
                return {name: a.astype(kind)}
        return {name: a.astype(np.int32)}
    if a.dtype.kind != "f" or name in EXACT or not a.size:
        return {name: a}
    kind = np.uint8 if name in BYTE else np.uint16
    flat = a.reshape(-1, a.shape[-1]).astype(np.float64)
    low = flat.min(0) if name not in FIXED else np.full(a.shape[-1], -1.0)
    step = np.maximum(((flat.max(0) if name not in FIXED else 1.0) - low) / np.iinfo(kind).max, 1e-12)
    return {name: np.round((flat - low) / step).astype(kind).reshape(a.shape), f"{name}__low": low, f"{name}__step": step}



def large(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays from `small` -> as the folder has them, float32; others unchanged."""
    out = {k: v for k, v in arrays.items() if not k.endswith(("__low", "__step"))}
    for k in [k for k in out if f"{k}__low" in arrays]:
        out[k] = (out[k] * arrays[f"{k}__step"] + arrays[f"{k}__low"]).astype(np.float32)
    return out


def stepped(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays as they come back from a pack file."""
    return large({key: value for name, a in arrays.items() for key, value in small(name, a).items()})
