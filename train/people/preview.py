"""A contact sheet of samples with all their labels.

    dev.py train people --preview OUT.png [--count 6] [--size 256] [--seed 0] [--part train|val|held] [--photos]
"""

from __future__ import annotations

import colorsys

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from .recipe import Recipe

def sheet(sample: dict[str, Tensor], recipes: list[Recipe]) -> Image.Image:
    """One row a sample, one column a label."""
    numpy = {k: v.detach().cpu().numpy() for k, v in sample.items()}
    rows = [np.concatenate(list(row_of(numpy, k).values()), 1) for k in range(len(recipes))]
    names = list(row_of(numpy, 0))
    body = np.concatenate(rows, 0)
    size, head = body.shape[0] // len(recipes), 18
    picture = Image.new("RGB", (body.shape[1], body.shape[0] + head), "white")
    picture.paste(Image.fromarray(body), (0, head))
    draw = ImageDraw.Draw(picture)
    for c, name in enumerate(names):
        draw.text((c * size + 4, 3), name, fill="black")
    for r, recipe in enumerate(recipes):
        draw.text((4, head + r * size + 2), f"seed {recipe.seed}", fill="red")
    return picture


def photos(sample: dict[str, Tensor], across: int = 8) -> Image.Image:
    """Only the photos, many on a sheet."""
    tiles = [_colour(v) for v in sample["image"].detach().cpu().numpy()]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % across)
    return Image.fromarray(np.concatenate([np.concatenate(tiles[k:k + across], 1) for k in range(0, len(tiles), across)], 0))


def row_of(s: dict[str, np.ndarray], k: int) -> dict[str, np.ndarray]:
    """Sample k of a batch (as numpy arrays) -> name of the column: (S, S, 3) uint8 picture."""
    mask, size = s["mask"][k], s["mask"].shape[-1]
    out = {"photo": _colour(s["image"][k]), "albedo": _colour(s["albedo"][k] ** (1 / 2.2)), "mask seen": _grey(s["mask_seen"][k])}
    for side in ("front", "back"):
        out[f"normal {side}"] = _normal(s[f"normal_{side}"][k], mask)
    for side in ("front", "back"):
        out[f"depth {side}"] = _depth(s[f"depth_{side}"][k], mask)
    out["parts"], out["parts back"] = _parts(s["part_front"][k], 255), _parts(s["part_back"][k], 255)
    uv = np.concatenate([s["uv_front"][k], np.zeros((1, size, size), np.float32)]) * mask
    out["body UV"] = _colour(uv)
    out["points"] = _points(s, k)
    if "body_mask" in s:
        body = s["body_mask"][k]
        out["body: normal"] = _normal(s["body_normal_front"][k], body)
        out["body: depth"] = _depth(s["body_depth_front"][k], body)
        out["body: parts"] = _parts(s["body_part_front"][k], 0)
    if "texture" in s:
        for name in ("texture", "texture_seen"):
            value = s[name][k] if name == "texture_seen" else s[name][k] ** (1 / 2.2)
            out[name.replace("_", " ")] = np.asarray(Image.fromarray(_colour(value)).resize((size, size), Image.Resampling.BOX))
    return out


def _colour(image: np.ndarray) -> np.ndarray:
    """(3, S, S) in [0, 1] -> (S, S, 3) uint8."""
    return (np.clip(image.transpose(1, 2, 0), 0, 1) * 255 + 0.5).astype(np.uint8)


def _grey(image: np.ndarray) -> np.ndarray:
    return _colour(np.repeat(image[None].astype(np.float32), 3, 0))


def _normal(normal: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """x right, y up and z towards the viewer as red, green and blue."""
    return _colour((normal * np.array([1, -1, -1], np.float32)[:, None, None] * 0.5 + 0.5) * mask + (1 - mask))


def _depth(depth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    if not mask.any():
        return _grey(np.ones_like(depth))
    low, high = np.percentile(depth[mask], [1, 99])
    return _grey(np.where(mask, 0.95 - 0.85 * (depth - low) / max(high - low, 1e-6), 1.0))


def _parts(part: np.ndarray, nothing: int) -> np.ndarray:
    table = np.array([[255 * v for v in colorsys.hsv_to_rgb(k * 0.381966 % 1, 0.6, 0.95)] for k in range(256)]).astype(np.uint8)
    return np.where((part == nothing)[..., None], np.uint8(255), table[part])


def _points(s: dict[str, np.ndarray], k: int) -> np.ndarray:
    picture = Image.fromarray((_colour(s["image"][k]) * 0.6).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for name, colour in (("joints", "#40ff40"), ("landmarks", "#ffc040")):
        for (x, y), seen in zip(s[f"{name}_px"][k], s[f"{name}_visible"][k]):
            draw.ellipse([x - 1.5, y - 1.5, x + 1.5, y + 1.5], fill=colour if seen else None, outline=colour)
    draw.rectangle([*np.clip(s["face_box"][k], -8, picture.width + 8).tolist()], outline="#40c0ff" if s["face_valid"][k] else "#804040")
    return np.asarray(picture)
