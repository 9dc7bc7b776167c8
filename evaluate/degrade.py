"""Pictures made worse, as people's photos are: the suite `degraded` is any suite, photographed with these."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from neural.geometry.srgb import srgb

from .errors import SuiteError
from .readers.mesh import Mesh
from .render.camera import ShotConfig
from .render.picture import Shot, photograph
from .render.shade import linear

DEGRADED = {
    "dark": "two stops under, warm, with the noise that comes with it",
    "noise": "a fast sensor: grain of 8 % of white at mid-grey, colours coarser than brightness",
    "blur": "the camera moved: 1 % of the width, in some direction",
    "jpeg": "shrunk to a third, JPEG of quality 25, enlarged again",
    "lowres": "a small picture: the longer side has 256 pixels",
    "crop": "the photographer stood too close: about all below the knees is outside the frame (and is not measured)",
}
KINDS = ("none", *DEGRADED)


def shot_of(mesh: Mesh, config: ShotConfig, kind: str, seed: int, device: str = "cpu") -> Shot:
    """The photograph of a suite's mesh, made worse; a pure function of its arguments. Of a cropped one only what the frame shows is true."""
    if kind not in KINDS:
        raise SuiteError("suite.degrade", f"There is no degradation '{kind}'.", f"Choose one of {', '.join(KINDS)}, all.")
    if kind == "crop":
        return _inside(photograph(mesh, replace(config, from_height=0.40), seed=seed, device=device))
    shot = photograph(mesh, config, seed=seed, device=device)
    return replace(shot, rgb=degraded(shot.rgb, kind, seed))


def degraded(rgb: np.ndarray, kind: str, seed: int) -> np.ndarray:
    """(H, W, 3) uint8 sRGB -> the same shape (lowres: smaller), for all kinds but crop."""
    rng = np.random.default_rng([seed, 11])
    height, width = rgb.shape[:2]
    if kind == "dark":
        light = linear(rgb / 255) * np.float32([0.30, 0.25, 0.18])
        noise = rng.normal(0, 1, rgb.shape) * np.sqrt(0.0004 * light + 0.00001)
        return _bytes(light + noise)
    if kind == "noise":
        light = linear(rgb / 255)
        coarse = cv2.resize(rng.normal(0, 1, (height // 3 + 1, width // 3 + 1, 3)), (width, height), interpolation=cv2.INTER_LINEAR)
        grain = rng.normal(0, 1, (height, width, 1)) + 0.7 * (coarse - coarse.mean(2, keepdims=True))
        return _bytes(light + grain * np.sqrt(0.012 * light + 0.0004))
    if kind == "blur":
        size = max(3, round(width * 0.01)) | 1
        kernel = np.zeros((size, size), np.float32)
        kernel[size // 2] = 1 / size
        turn = cv2.getRotationMatrix2D((size // 2, size // 2), float(rng.uniform(0, 180)), 1)
        kernel = cv2.warpAffine(kernel, turn, (size, size))
        return _bytes(cv2.filter2D(linear(rgb / 255), -1, kernel / kernel.sum()))
    if kind == "jpeg":
        small = cv2.resize(rgb, (width // 3, height // 3), interpolation=cv2.INTER_AREA)
        data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 25])[1]
        large = cv2.resize(cv2.imdecode(data, cv2.IMREAD_COLOR), (width, height), interpolation=cv2.INTER_LINEAR)
        return large[..., ::-1].copy()
    if kind == "lowres":
        factor = min(1.0, 256 / max(height, width))
        return cv2.resize(rgb, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)
    return rgb


def _bytes(light: np.ndarray) -> np.ndarray:
    return np.rint(srgb(light) * 255).astype(np.uint8)


def _inside(shot: Shot) -> Shot:
    """Without the faces that lie outside the frame."""
    xy = shot.camera.project(shot.mesh.vertices)
    inside = ((xy >= 0) & (xy <= [shot.camera.width, shot.camera.height])).all(1)
    mesh = shot.mesh.kept(inside[shot.mesh.faces].all(1))
    return replace(shot, mesh=mesh.noted("crop: only what the frame shows is measured"))
