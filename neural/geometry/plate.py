"""The photo around a person with the background painted over by the person's own colours, ready to be sampled."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..contract.frames import apply_2d


@dataclass(frozen=True)
class Plate:
    """A cut-out of the photo at the photo's own resolution (coarser only where the atlas is coarser).

    rgb     (h, w, 3) float32 sRGB in [0, 255]; outside the person the nearest sure colour of the person.
    low     idem, blurred to about the spacing of mesh vertices.
    soft    idem, blurred by 6 pixels of a 1024 crop: for surfaces that run along the line of sight, where single pixels
            would become streaks.
    detail  (h, w) float32: folds and weave of plain cloth (brightness against its surroundings), 0 mean, nothing at prints.
    solid   (h, w) float32: 0 at the matte's edge and outside, 1 well inside: how surely this is the person.
    outside (h, w) float32: distance outside the matte, crop pixels (0 inside).
    plate_from_crop  (3, 3) float64.
    """

    rgb: np.ndarray
    low: np.ndarray
    soft: np.ndarray
    detail: np.ndarray
    solid: np.ndarray
    outside: np.ndarray
    plate_from_crop: np.ndarray

    def at(self, crop_pixels: np.ndarray) -> np.ndarray:
        """(N, 2) crop pixels -> (N, 2) plate pixels."""
        return apply_2d(self.plate_from_crop, np.asarray(crop_pixels, np.float64))

    def within(self, plate_pixels: np.ndarray) -> np.ndarray:
        """(N,) bool: the point lies on the plate."""
        h, w = self.solid.shape
        return ((plate_pixels >= 0) & (plate_pixels <= (w, h))).all(1)


def make_plate(rgb: np.ndarray, mask: np.ndarray, photo_from_crop: np.ndarray, texels_per_pixel: float,
               vertex_px: float) -> Plate:
    """Cut the person out of the photo (H, W, 3) uint8.

    mask (S, S) float32 matte on the crop; texels_per_pixel: atlas texels a crop pixel on the front (the photo is
    averaged down when it is finer than that: no aliasing); vertex_px: spacing of mesh vertices, crop pixels.
    """
    size = mask.shape[0]
    rows, columns = np.nonzero(mask > 0.5)
    pad = max(8, size // 40)
    corners = np.array([[columns.min() - pad, rows.min() - pad], [columns.max() + 1 + pad, rows.max() + 1 + pad]])
    low, high = apply_2d(photo_from_crop, corners.astype(np.float64))
    x0, y0 = np.maximum(np.floor(low).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(high).astype(int), (rgb.shape[1], rgb.shape[0]))
    piece = rgb[y0:y1, x0:x1]
    fine = photo_from_crop[0, 0]                                   # photo pixels a crop pixel
    shrink = min(1.0, texels_per_pixel / fine) if fine > 1.15 * texels_per_pixel else 1.0
    w, h = max(1, round(piece.shape[1] * shrink)), max(1, round(piece.shape[0] * shrink))
    if (w, h) != piece.shape[1::-1]:
        piece = cv2.resize(piece, (w, h), interpolation=cv2.INTER_AREA)
    plate_from_photo = np.diag([w / (x1 - x0), h / (y1 - y0), 1.0]) @ np.array([[1.0, 0, -x0], [0, 1, -y0], [0, 0, 1]])
    plate_from_crop = plate_from_photo @ photo_from_crop
    scale = plate_from_crop[0, 0]                                  # plate pixels a crop pixel
    matte = _warp(mask, np.linalg.inv(plate_from_crop), w, h)
    solid, sure = _solid(matte, scale, size)
    outside = cv2.distanceTransform((matte < 0.5).astype(np.uint8), cv2.DIST_L2, 5) / np.float32(scale)
    colour = _extend(piece.astype(np.float32), sure, scale)
    low_pass = cv2.GaussianBlur(colour, (0, 0), max(0.6, 0.4 * vertex_px * scale))
    soft = cv2.GaussianBlur(colour, (0, 0), max(1.0, 6.0 * scale * size / 1024))
    return Plate(colour, low_pass, soft, _detail(colour, solid, 12.0 * scale * size / 1024), solid, outside, plate_from_crop)


def _detail(colour, solid, wide):
    """Brightness less its blur by `wide` pixels; faint where the contrast is far above the person's usual (prints, zips)."""
    shrink = min(1.0, 3.0 / max(wide, 1e-6))                       # wide blurs are made on a small picture
    h, w = solid.shape
    small = (max(1, round(w * shrink)), max(1, round(h * shrink)))
    luma = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
    low = cv2.resize(cv2.GaussianBlur(cv2.resize(luma, small, interpolation=cv2.INTER_AREA), (0, 0), wide * shrink), (w, h))
    band = luma - low
    power = cv2.resize(band * band, small, interpolation=cv2.INTER_AREA)
    spread = np.sqrt(np.maximum(cv2.resize(cv2.GaussianBlur(power, (0, 0), wide * shrink), (w, h)), 0))
    inner = spread[solid > 0.99]
    usual = max(float(np.median(inner)), 1.0) if inner.size else 1.0
    band = 2.0 * usual * np.tanh(band / (2.0 * usual))
    return band / (1 + (spread / (1.4 * usual)) ** 6) * np.clip(2 * solid - 1, 0, 1)


def _warp(image, source_from_target, width, height):
    """Resample a map by an affine of continuous pixel coordinates (centres at + 0.5)."""
    half = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    matrix = (np.linalg.inv(half) @ source_from_target @ half)[:2]
    return cv2.warpAffine(image.astype(np.float32), matrix, (width, height),
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT)


def _solid(matte, scale, size):
    """How surely a pixel is the person: 0..1 between 1 and 3 pixels (of a 1024 crop) inside the matte's edge."""
    unit = scale * max(1.0, size / 1024)
    depth = cv2.distanceTransform((matte > 0.9).astype(np.uint8), cv2.DIST_L2, 5) / np.float32(unit)
    if depth.max() < 3:                                            # a person a few pixels wide: all that there is
        depth = depth * (3.5 / max(float(depth.max()), 1e-6))
    t = np.clip((depth - 1.0) / 2.0, 0, 1)
    return t * t * (3 - 2 * t), depth > 1.5


def _extend(colour, sure, scale):
    """Replace all that is not sure by the nearest sure colour, softened."""
    if not sure.any():
        return colour
    _, label = cv2.distanceTransformWithLabels((~sure).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    table = np.zeros((int(label.max()) + 1, 3), np.float32)
    table[label[sure]] = colour[sure]
    filled = table[label]
    soft = cv2.GaussianBlur(filled, (0, 0), max(1.0, 1.5 * scale))
    return np.where(sure[..., None], colour, soft)


def sample(image: np.ndarray, pixels: np.ndarray, sharp: bool = False) -> np.ndarray:
    """Values of an image (h, w) or (h, w, C) float32 at (N, 2) continuous pixels: bilinear, or Lanczos when sharp."""
    n, side = len(pixels), 4096
    xy = np.full((-(-n // side) * side, 2), 0.0, np.float32)
    xy[:n] = pixels - 0.5
    xy = xy.reshape(-1, side, 2)
    out = cv2.remap(image, xy[..., 0], xy[..., 1], cv2.INTER_LANCZOS4 if sharp else cv2.INTER_LINEAR,
                    borderMode=cv2.BORDER_REPLICATE)
    return out.reshape(-1, *image.shape[2:])[:n]
