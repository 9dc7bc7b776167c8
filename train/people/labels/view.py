"""Every label as a colour picture, for looking at."""

from __future__ import annotations

import colorsys

import numpy as np
from torch import Tensor

from neural.body.maps import SIDES

from .maps import NONE

_GROUND = 0.12


def pictures(labels: dict[str, Tensor], person: int, box: Tensor | None = None) -> dict[str, np.ndarray]:
    """Labels of `maps.maps` (and, if there, `body_*` of body_maps, renamed by the caller) -> name: (S, S, 3) uint8 sRGB.

    Depth: light = near, each picture over its own range. Normals: (x, -y, -z) as colours. UV: u red, v green. box (4,): drawn over `points`.
    """
    get = lambda name: labels[name][person].detach().cpu().numpy()
    out = {}
    mask = get("mask")
    out["mask"] = _grey(mask.astype(np.float32), np.ones_like(mask))
    depths = np.stack([get(f"depth_{s}") for s in SIDES])[:, mask]
    low, high = (depths.min(), depths.max()) if mask.any() else (0.0, 1.0)
    for side in SIDES:
        out[f"depth_{side}"] = _grey(1 - 0.85 * (get(f"depth_{side}") - low) / max(high - low, 1e-6), mask)
        out[f"normal_{side}"] = _colour((get(f"normal_{side}") * np.array([1, -1, -1])[:, None, None] + 1) / 2, mask)
        out[f"part_{side}"] = part_colours(get(f"part_{side}"))
        uv = get(f"uv_{side}")
        checks = 0.15 * ((np.floor(uv[0] * 32) + np.floor(uv[1] * 32)) % 2)
        out[f"uv_{side}"] = _colour(np.stack([uv[0], uv[1], 0.4 + checks]), mask)
        if f"height_{side}" in labels:
            out[f"height_{side}"] = _grey(get(f"height_{side}") / 0.1, mask)
            out[f"layer_{side}"] = part_colours(get(f"layer_{side}"))
            place = get(f"place_{side}")
            out[f"place_{side}"] = _colour(place / 1.8 + 0.5, mask)
    if "joints_px" in labels:
        base = out["depth_front"].copy() // 2
        for kind, seen, unseen in (("joints", (90, 220, 255), (60, 80, 160)), ("landmarks", (255, 220, 60), (170, 70, 50))):
            for (x, y), visible in zip(get(f"{kind}_px"), get(f"{kind}_visible")):
                _dot(base, x, y, seen if visible else unseen, 2 if kind == "joints" else 1)
        if box is not None:
            _square(base, box.tolist())
        out["points"] = base
    return out


def part_colours(part: np.ndarray) -> np.ndarray:
    """(S, S) uint8 numbers (255 = none) -> (S, S, 3) uint8, a colour for each."""
    table = np.full((256, 3), 255 * _GROUND)
    for k in range(64):
        table[k] = 255 * np.array(colorsys.hsv_to_rgb(k * 0.381966 % 1, 0.55 + 0.3 * (k % 2), 0.95 - 0.25 * (k % 3 == 0)))
    table[NONE] = 255 * _GROUND
    return table[part].astype(np.uint8)


def sheet(rows: list[list[np.ndarray]], gap: int = 2) -> np.ndarray:
    """Equal pictures (S, S, 3) in rows -> one."""
    size = rows[0][0].shape[0] + gap
    out = np.full((len(rows) * size, max(map(len, rows)) * size, 3), 40, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            out[i * size:i * size + size - gap, j * size:j * size + size - gap] = picture
    return out


def _grey(value: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return _colour(np.repeat(value[None], 3, 0), mask)


def _colour(value: np.ndarray, mask: np.ndarray) -> np.ndarray:
    shown = np.where(mask, np.clip(value, 0, 1), _GROUND)
    return (shown.transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8)


def _dot(image: np.ndarray, x: float, y: float, colour: tuple, reach: int) -> None:
    i, j = int(np.floor(y)), int(np.floor(x))
    if 0 <= i < image.shape[0] and 0 <= j < image.shape[1]:
        image[max(i - reach, 0):i + reach + 1, max(j - reach, 0):j + reach + 1] = colour


def _square(image: np.ndarray, box: list[float]) -> None:
    size = image.shape[0]
    x0, y0, x1, y1 = (int(np.clip(v, 0, size - 1)) for v in box)
    image[y0:y1 + 1, [x0, x1]] = 255
    image[[y0, y1], x0:x1 + 1] = 255
