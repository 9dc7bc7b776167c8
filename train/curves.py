"""Curves of a training log as a picture (Pillow only)."""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw

_PANEL, _PAD, _COLUMNS = (360, 220), 34, 3
_SKIP = ("kind", "step", "minutes")


def draw(rows: list[dict], file: Path) -> Path:
    """rows of log.jsonl -> file: a panel for each name, minutes from left to right; training thin and grey, validation blue with dots."""
    names = list(dict.fromkeys(k for r in rows for k in r if k not in _SKIP))
    across = min(_COLUMNS, len(names))
    picture = Image.new("RGB", (across * _PANEL[0], math.ceil(len(names) / across) * _PANEL[1]), "white")
    pen = ImageDraw.Draw(picture)
    last = max(r["minutes"] for r in rows) or 1.0
    for k, name in enumerate(names):
        left, top = k % across * _PANEL[0], k // across * _PANEL[1]
        points = {kind: [(r["minutes"], r[name]) for r in rows if r["kind"] == kind and name in r and math.isfinite(r[name])] for kind in ("train", "validate")}
        values = [v for p in points.values() for _, v in p]
        if not values:
            continue
        low, high = min(values), max(values)
        if high == low:
            low, high = low - 0.5, high + 0.5
        at = lambda m, v: (left + _PAD + m / last * (_PANEL[0] - 2 * _PAD), top + _PANEL[1] - _PAD - (v - low) / (high - low) * (_PANEL[1] - 2 * _PAD))
        pen.rectangle([*at(0, high), *at(last, low)], outline="#cccccc")
        pen.text((left + _PAD, top + 8), f"{name}: {high:.4g} .. {low:.4g}, last {values[-1]:.4g}", fill="black")
        pen.text((left + _PANEL[0] - _PAD - 40, top + _PANEL[1] - _PAD + 4), f"{last:.0f} min", fill="black")
        if len(points["train"]) > 1:
            pen.line([at(*p) for p in points["train"]], fill="#888888", width=1)
        if points["validate"]:
            if len(points["validate"]) > 1:
                pen.line([at(*p) for p in points["validate"]], fill="#2060c0", width=2)
            for p in points["validate"]:
                x, y = at(*p)
                pen.ellipse([x - 3, y - 3, x + 3, y + 3], fill="#2060c0")
    picture.save(file)
    return file
