"""Inflation of flat domains by Poisson's equation on the squared half thickness.

For a round limb of radius r seen from the front, s(x) = h(x)^2 = r^2 - x^2: smooth up to the silhouette, where h itself
has an infinite slope. So s is solved for, with s = 0 on the silhouette: a strip with laplacian -2 becomes a cylinder,
a disc with -4 a sphere, and a body whose outline has moved becomes thicker or thinner all round by the same amount.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import splu

STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0))
_NEAREST = 0.15  # a boundary nearer than this part of a pixel is taken to be there (keeps the system well conditioned)


def shifted(values: np.ndarray, step: tuple[int, int], fill) -> np.ndarray:
    """out[i, j] = values[i + step0, j + step1], `fill` beyond the canvas."""
    out = np.full_like(values, fill)
    height, width = values.shape[:2]
    dy, dx = step
    target = (slice(max(0, -dy), height - max(0, dy)), slice(max(0, -dx), width - max(0, dx)))
    source = (slice(max(0, dy), height - max(0, -dy)), slice(max(0, dx), width - max(0, -dx)))
    out[target] = values[source]
    return out


def signed_distance(matte: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """(H, W) matte in [0, 1] -> float32 distance (pixels) to its 0.5 contour, positive within; sub-pixel near it.

    Pixels where `inside` is False (beyond the photo) are unknown, not background: no contour runs along them.
    """
    known = np.ones(matte.shape, bool) if inside is None else inside
    soft = gaussian_filter(matte.astype(np.float32), 0.8, mode="nearest")
    person = soft > 0.5
    far = float(sum(matte.shape))
    within = distance_transform_edt(person | ~known) if (~person & known).any() else np.full(matte.shape, far)
    without = distance_transform_edt(~person) if person.any() else np.full(matte.shape, far)
    out = np.where(person, within - 0.5, 0.5 - without)
    slope = np.maximum(np.hypot(*np.gradient(soft)), 0.15)
    near = (soft - 0.5) / slope
    return np.where(np.abs(out) <= 1.0, np.clip(near, -1.2, 1.2), out).astype(np.float32)


def boundary_weights(distance: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(4, H, W) float64: pull towards zero along each of STEPS, for links that leave the mask (sub-pixel exact).

    1 / (part of the link that lies within the mask); 0 where the neighbour is person or beyond the photo.
    """
    out = np.zeros((4, *distance.shape))
    for k, step in enumerate(STEPS):
        other = shifted(distance, step, 1.0)
        leaves = (distance > 0) & (other <= 0) & shifted(inside, step, False)
        part = distance / np.maximum(distance - other, 1e-6)
        out[k] = np.where(leaves, 1.0 / np.maximum(part, _NEAREST), 0.0)
    return out


def solve(domain: np.ndarray, laplacian: np.ndarray, zero_pull: np.ndarray, data_weight: np.ndarray,
          data: np.ndarray) -> np.ndarray:
    """Minimise the Poisson energy on `domain`: sum of links (difference) with the given laplacian, boundary and data.

    domain       (H, W) bool.          laplacian  (H, W) target of the discrete laplacian (unit / px^2).
    zero_pull    (H, W) summed weight of links to the value 0 (0 = natural boundary).
    data_weight  (H, W) weight of the data term, data (H, W) its values.
    Returns (H, W) float64, 0 outside.
    """
    out = np.zeros(domain.shape)
    count = int(domain.sum())
    if not count:
        return out
    index = np.full(domain.shape, -1, np.int64)
    index[domain] = np.arange(count)
    diagonal = (zero_pull + data_weight)[domain].astype(np.float64)
    right = (-laplacian + data_weight * data)[domain].astype(np.float64)
    rows, columns = [], []
    for step in STEPS:
        other = shifted(index, step, -1)
        linked = domain & (other >= 0)
        rows.append(index[linked])
        columns.append(other[linked])
        diagonal += linked[domain]
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    matrix = coo_matrix((-np.ones(len(rows)), (rows, columns)), shape=(count, count)) + diags(diagonal + 1e-9)
    factor = splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    out[domain] = factor.solve(right)
    return out


def laplacian_of(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Discrete laplacian (per px^2) of `values` and where it is defined: the pixel and its four neighbours known."""
    total, full = np.zeros(values.shape), known.copy()
    clean = np.where(known, values, 0.0)
    for step in STEPS:
        total += shifted(clean, step, 0.0) - clean
        full &= shifted(known, step, False)
    return np.where(full, total, 0.0), full


def spread(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Every unknown pixel takes the value of the nearest known one (values (H, W) or (H, W, C))."""
    if known.all() or not known.any():
        return values
    _, (i, j) = distance_transform_edt(~known, return_indices=True)
    return values[i, j]


def blurred(values: np.ndarray, known: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean over the known pixels only; where there are none near, 0."""
    weight = gaussian_filter(known.astype(np.float64), sigma)
    return gaussian_filter(np.where(known, values, 0.0).astype(np.float64), sigma) / np.maximum(weight, 1e-6)


def walking_distance(start: np.ndarray, domain: np.ndarray, farthest: int) -> np.ndarray:
    """(H, W) float32: steps (pixels, octagonal) from `start` without leaving `domain`; inf where not reached.

    A gap of background between an arm and the trunk is not crossed, as a plain distance would.
    """
    out = np.where(start & domain, 0.0, np.inf).astype(np.float32)
    rows, columns = np.nonzero(start & domain)
    if not len(rows):
        return out
    box = (slice(max(rows.min() - farthest, 0), rows.max() + farthest + 1),
           slice(max(columns.min() - farthest, 0), columns.max() + farthest + 1))
    view, allowed = out[box], domain[box].astype(np.uint8)
    reached = (view == 0).astype(np.uint8)
    shapes = [cv2.getStructuringElement(kind, (3, 3)) for kind in (cv2.MORPH_CROSS, cv2.MORPH_RECT)]
    for step in range(1, farthest + 1):
        grown = cv2.dilate(reached, shapes[step % 2]) & allowed
        fresh = grown != reached
        if not fresh.any():
            break
        view[fresh] = step
        reached = grown
    return out
