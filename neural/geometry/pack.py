"""Packing of UV charts on a square: bitmaps on a coarse grid, largest first, lowest free place.

Unlike bounding boxes this puts the strips of a body's sides between its legs and under its arms.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import maximum_filter

from .raster import rasterize_screen

_CELLS = 256   # cells along the side of the square; a cell is also the gap between charts


def pack(uv: np.ndarray, faces: np.ndarray, chart: np.ndarray, upright: np.ndarray, atlas: int) -> np.ndarray:
    """Shift (and turn by 90 degrees) charts so that they fill the unit square without touching.

    uv (U, 2) any one unit; faces (F, 3) into uv, no point shared by two charts; chart (F,) 0..n-1; upright (n,) bool:
    charts that must not be turned. All charts keep their relative size. The gap is atlas / 256 texels (at least 4).
    -> (U, 2) float64 in [0, 1].
    """
    cells = _CELLS if atlas >= 1024 else atlas // 4
    owner = np.zeros(len(uv), np.int64)
    owner[faces.ravel()] = np.repeat(chart, 3)
    count = int(chart.max()) + 1
    edge = uv[faces]
    a, b = edge[:, 1] - edge[:, 0], edge[:, 2] - edge[:, 0]
    area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / 2
    unit = np.sqrt(area / 0.55) / (cells - 2)                      # first guess of the cell's size
    low = _extreme(np.minimum, uv, owner, count, np.inf)
    local = (uv - low[owner]) / unit + 0.5
    masks = _bitmaps(local, faces, chart, owner, count)
    best, small, large = None, 0.6 * cells, None
    side = cells - 2
    for _ in range(6):                                             # the smallest square that takes them all
        placed = _place(masks, upright, side)
        if placed is None:
            small, side = side, int(side * 1.12) + 1 if large is None else (side + large) // 2
        else:
            best, large, side = (placed, side), side, int((side + small) // 2)
        if large is not None and large - small < 0.025 * cells:
            break
    while best is None:
        side = int(side * 1.2) + 1
        placed = _place(masks, upright, side)
        best = None if placed is None else (placed, side)
    (turned, corner), side = best
    turn = turned[owner]
    height = np.array([m.shape[0] for m in masks], np.float64)[owner]
    out = np.where(turn[:, None], np.stack([height - local[:, 1], local[:, 0]], 1), local)
    return (out + corner[owner]) / side


def _extreme(how, uv, owner, count, start):
    out = np.full((count, 2), start)
    how.at(out, owner, uv)
    return out


def _bitmaps(local, faces, chart, owner, count):
    """For each chart the (h, w) bool grid of the cells that it touches."""
    size = np.ceil(_extreme(np.maximum, local, owner, count, 0.0) + 0.5).astype(int) + 1
    start = np.concatenate([[0], np.cumsum(size[:, 0])])
    sheet = np.zeros((int(size[:, 1].max()), int(start[-1])), bool)
    shift = np.stack([start[:-1], np.zeros(count)], 1)[owner]
    on_sheet = local + shift
    sheet |= rasterize_screen(on_sheet, np.ones(len(local)), faces, sheet.shape[1], sheet.shape[0]).hit
    a = on_sheet[faces].reshape(-1, 2)
    b = on_sheet[np.roll(faces, -1, 1)].reshape(-1, 2)
    steps = np.ceil(np.abs(b - a).max(1) * 3).astype(int) + 1
    for n in np.unique(steps):                                     # all cells that edges pass through
        rows = steps == n
        t = np.linspace(0, 1, n + 1)[None, :, None]
        p = np.floor(a[rows][:, None] * (1 - t) + b[rows][:, None] * t).astype(int).reshape(-1, 2)
        sheet[p[:, 1], p[:, 0]] = True
    return [sheet[:size[k, 1], start[k]:start[k] + size[k, 0]] for k in range(count)]


def _place(masks, upright, side):
    """Bottom-left placement on side x side cells -> (turned (n,), corner (n, 2) cells as x, y), or None: no room."""
    taken = np.ones((side, side), bool)
    taken[1:-1, 1:-1] = False                                      # one cell of margin
    turned, corner = np.zeros(len(masks), bool), np.zeros((len(masks), 2), int)
    order = sorted(range(len(masks)), key=lambda k: (-int(masks[k].sum()), k))
    for k in order:
        choice = None
        for turn in ((False,) if upright[k] else (False, True)):
            mask = np.ascontiguousarray(masks[k][::-1].T) if turn else masks[k]
            if mask.shape[0] > side or mask.shape[1] > side:
                continue
            at = _first_free(taken, mask)
            if at is not None and (choice is None or at[0] + mask.shape[0] < choice[0]):
                choice = (at[0] + mask.shape[0], turn, at, mask)
        if choice is None:
            return None
        _, turned[k], (y, x), mask = choice
        h, w = mask.shape
        corner[k] = x, y
        grown = maximum_filter(np.pad(mask, 1), 3)
        y0, x0 = max(y - 1, 0), max(x - 1, 0)
        y1, x1 = min(y + h + 1, side), min(x + w + 1, side)
        taken[y0:y1, x0:x1] |= grown[y0 - y + 1:y1 - y + 1, x0 - x + 1:x1 - x + 1]
    return turned, corner


def _first_free(taken, mask):
    """(row, column) of the lowest place where the mask meets nothing, or None."""
    (rows, columns), (h, w) = taken.shape, mask.shape
    if mask.sum() > 0.7 * h * w or h * w < 40:                     # nearly a rectangle: sums over boxes are faster
        total = np.zeros((rows + 1, columns + 1), np.int32)
        total[1:, 1:] = taken.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32)
        hit = total[h:, w:] - total[:-h, w:] - total[h:, :-w] + total[:-h, :-w]
        free = np.flatnonzero(hit == 0)
    else:
        shape = tuple(next_fast_len(n, True) for n in (rows, columns))
        hit = irfft2(rfft2(taken.astype(np.float32), shape) * np.conj(rfft2(mask.astype(np.float32), shape)), shape)
        free = np.flatnonzero(hit[:rows - h + 1, :columns - w + 1] < 0.5)
    if not len(free):
        return None
    return divmod(int(free[0]), columns - w + 1)
