"""The photo without the light that fell on the person (option `remove_shading`): everything after it paints with that."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ..context import Context
from ..geometry.shading import MOST, Shading, estimate
from ..geometry.srgb import linear, srgb
from ..nets.landmarks.roi import warp
from .s01_photo import Photo
from .s02_person import Person
from .s05_parts import Normals

SIDE = 320
"""The light is found on a crop of about this side: enough pixels, and wrinkles that the normals lack are averaged away."""


def without_shading(photo: Photo, person: Person, normals: Normals, context: Context) -> tuple[Photo, Person, Shading | None]:
    """The photo and the person's crop in their own colours (albedo up to one factor), and what was taken out.

    What the normals do not explain stays: cast shadows, highlights, light from a near lamp. None, and a warning, where too little is seen to tell.
    """
    side = person.crop.shape[0]
    facing = _normals(normals.front, side)
    k = max(side // SIDE, 1)
    small = lambda image: cv2.resize(image, (side // k, side // k), interpolation=cv2.INTER_AREA)
    core = cv2.erode((person.mask > 0.9).astype(np.float32), np.ones((5, 5), np.uint8)) * person.inside
    found = estimate(small(linear(person.crop)), _unit(small(facing)), small(core))
    if found is None:
        context.warn("texture.shading-unknown", "Too little of the person is bright enough to tell how the light falls, so its shading stays in the colours.")
        return photo, person, None
    context.warn("texture.shading-estimated", "How the light fell was estimated and taken out of the colours; cast shadows and highlights stay.")
    log = _log_shading(found, facing, person.mask)
    return replace(photo, rgb=_divided_photo(photo.rgb, log, person.photo_from_crop)), replace(person, crop=_divided(person.crop, log)), found


def _normals(front: np.ndarray, side: int) -> np.ndarray:
    return _unit(front if front.shape[0] == side else cv2.resize(front, (side, side), interpolation=cv2.INTER_LINEAR))


def _unit(normals: np.ndarray) -> np.ndarray:
    """Unit where there is a normal, 0 elsewhere."""
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where(length > 0.3, normals / np.maximum(length, 1e-6), 0).astype(np.float32)


def _log_shading(found: Shading, facing: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(S, S) float32 log of the shading; beyond the normals the nearest one's, which falls to 0 away from the person."""
    known = (np.linalg.norm(facing, axis=-1) > 0.5) & (mask > 0.5)
    log = np.zeros(mask.shape, np.float32)
    log[known] = np.log(found.of(facing[known]))
    wide = max(mask.shape[0] / 100, 1.0)
    weight = cv2.GaussianBlur(known.astype(np.float32), (0, 0), wide)
    near = cv2.GaussianBlur(log, (0, 0), wide) / np.maximum(weight, 1e-3)
    return np.clip(np.where(known, log, near * np.clip(weight * 4, 0, 1)), -MOST, MOST)


def _divided(rgb: np.ndarray, log: np.ndarray) -> np.ndarray:
    """uint8 sRGB divided by exp(log) in linear light."""
    return np.round(srgb(linear(rgb) * np.exp(-log)[..., None]) * 255).astype(np.uint8)


def _divided_photo(rgb: np.ndarray, log: np.ndarray, photo_from_crop: np.ndarray) -> np.ndarray:
    """Only the crop's part of the photo is touched."""
    side = log.shape[0]
    x0, y0 = np.maximum(np.floor(photo_from_crop[:2, 2]).astype(int), 0)
    x1, y1 = np.ceil(photo_from_crop[:2, :2] @ np.full(2, side) + photo_from_crop[:2, 2]).astype(int)
    x1, y1 = min(x1, rgb.shape[1]), min(y1, rgb.shape[0])
    piece = np.array([[1.0, 0, x0], [0, 1, y0], [0, 0, 1]])
    there = warp(log, np.linalg.inv(photo_from_crop) @ piece, (x1 - x0, y1 - y0))
    out = rgb.copy()
    for top in range(0, y1 - y0, 512):                             # strips: a photo of 100 megapixels is no reason to need gigabytes
        rows = slice(top, min(top + 512, y1 - y0))
        out[y0:y1, x0:x1][rows] = _divided(rgb[y0:y1, x0:x1][rows], there[rows])
    return out
