"""s10: the albedo atlas: photo where seen, predicted where not (RefineTex; until then a declared interim fill)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..context import Context
from .s01_photo import Photo
from .s02_person import Person
from .s03_body import Body
from .s05_parts import Normals
from .s06_depth import Depths
from .s09_surface import Surface

NAME = "s10_texture"


@dataclass(frozen=True)
class Texture:
    """T = preset.atlas; row 0 of every image is v = 1 (the top of the image).

    uv            (U, 2) float32 in [0, 1], v up;  uv_faces (F, 3) int32 into `uv`: the mesh's own atlas.
    body_uv       (W, 2) float32;  body_uv_faces (F, 3) int32: the body model's UVs carried over (second layer).
    albedo        (T, T, 3) uint8 sRGB.
    confidence    (T, T) uint8: 255 = taken straight from the photo, less = invented.
    normal_map    (T, T, 3) uint8 tangent-space normal map (OpenGL convention, +Y up) relative to the decimated mesh.
    vertex_color  (V, 3) uint8 sRGB.
    vertex_seen   (V,) float32 in [0, 1].
    seen_fraction share of the surface area whose colour comes from the photo.
    psnr_db       front re-render against the photo inside the mask.
    """

    uv: np.ndarray
    uv_faces: np.ndarray
    body_uv: np.ndarray
    body_uv_faces: np.ndarray
    albedo: np.ndarray
    confidence: np.ndarray
    normal_map: np.ndarray
    vertex_color: np.ndarray
    vertex_seen: np.ndarray
    seen_fraction: float
    psnr_db: float
    method: str = "projection+mirror+diffusion"
    weights: tuple[str, ...] = ()
