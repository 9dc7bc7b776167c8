"""Differences of pictures: PSNR, SSIM and a perceptual distance of our own (LPIPS needs weights that are not free)."""

from __future__ import annotations

import cv2
import numpy as np

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def psnr(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    """dB over the masked pixels of two (H, W, 3) float pictures in [0, 1], sRGB values; at most 99."""
    error = float(((a[mask] - b[mask]) ** 2).mean()) if mask.any() else float("nan")
    return float(min(-10 * np.log10(max(error, 1e-12)), 99.0)) if np.isfinite(error) else float("nan")


def ssim(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    """Mean SSIM (Wang 2004: Gaussian window 11, sigma 1.5, on luma) over the masked pixels."""
    x, y = a.astype(np.float32) @ _GREY, b.astype(np.float32) @ _GREY
    blur = lambda m: cv2.GaussianBlur(m, (11, 11), 1.5)  # noqa: E731
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    value = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return float(value[mask].mean()) if mask.any() else float("nan")


def edge_distance(a: np.ndarray, b: np.ndarray, mask: np.ndarray, levels: int = 4) -> float:
    """Our own perceptual distance in [0, 1], NOT LPIPS: how differently edges, textures and colours are arranged.

    At each of `levels` octaves every pixel gets a feature: derivatives in x and y of luma and of two colour
    differences, pooled as signed halves over 5 x 5 pixels, then normalised (like LPIPS's unit channels) with a floor of
    two grey levels. The distance is half the mean squared difference, averaged over octaves. 0 = same picture.
    """
    total, x, y, m = [], _opponent(a), _opponent(b), mask.astype(np.float32)
    for _ in range(levels):
        gap = 0.5 * ((_features(x) - _features(y)) ** 2).sum(-1)
        if m.sum() > 16:
            total.append(float((gap * m).sum() / m.sum()))
        x, y = cv2.pyrDown(x), cv2.pyrDown(y)
        m = (cv2.resize(m, (x.shape[1], x.shape[0]), interpolation=cv2.INTER_AREA) > 0.99).astype(np.float32)
    return float(np.mean(total)) if total else float("nan")


def _opponent(image: np.ndarray) -> np.ndarray:
    i = image.astype(np.float32)
    return np.stack([i @ _GREY, i[..., 0] - i[..., 1], 0.5 * (i[..., 0] + i[..., 1]) - i[..., 2]], -1)


def _features(image: np.ndarray) -> np.ndarray:
    slopes = np.concatenate([cv2.Scharr(image, cv2.CV_32F, 1, 0), cv2.Scharr(image, cv2.CV_32F, 0, 1)], -1) / 32
    halves = np.concatenate([np.maximum(slopes, 0), np.maximum(-slopes, 0)], -1)
    pooled = np.stack([cv2.blur(halves[..., k], (5, 5)) for k in range(halves.shape[-1])], -1)
    return pooled / np.sqrt((pooled ** 2).sum(-1, keepdims=True) + (2 / 255) ** 2)
