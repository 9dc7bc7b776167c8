"""s10: the albedo atlas: photo where seen; where not, mirrored and diffused colours, mixed with RefineTex's where it has weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..context import Context
from ..contract.errors import TextureError
from ..contract.frames import Camera
from ..geometry.bake import Texels, cosines, sight, spread, texels
from ..geometry.carry_uv import carry_uv
from ..geometry.closest import closest_points
from ..geometry.fill import strands, value_noise
from ..geometry.normals import face_areas
from ..geometry.plate import Plate, make_plate, sample
from ..geometry.raster import rasterize
from ..geometry.tangent import encode, to_tangent, uv_tangents
from ..geometry.unwrap import FRONT, Unwrap, unwrap
from ..geometry.view import atlas_at
from .s01_photo import Photo
from .s02_person import Person
from .s03_body import Body
from .s05_parts import Normals
from .s06_depth import Depths
from .s09_surface import Surface
from .s10_refined import Refined, body_albedo, refine
from .s10_shading import without_shading
from .s10_unseen import Unseen, plan_unseen, seen_weight

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
    psnr_db       front re-render against the photo (without shading, where that was asked for) inside the mask.
    shading       part of the differences in brightness between pixels of one hue that was taken out as the photo's shading; None: nothing was.
    body_albedo   (T / 2, T / 2, 3) uint8 sRGB: the same on the body model's UVs; None without RefineTex.
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
    body_albedo: np.ndarray | None = None
    shading: float | None = None
    method: str = "projection+mirror+diffusion"
    weights: tuple[str, ...] = ()


_PIECE = 1 << 20                                   # texels handled at once: keeps temporaries under 150 MB


def paint_texture(photo: Photo, person: Person, body: Body, normals: Normals, depths: Depths, surface: Surface,
                  nets, context: Context) -> Texture:
    """Unwrap the surface, take the photo where it is seen, fill the rest, measure the front against the photo.

    nets: models.Models; None = no networks. Raises TextureError ("texture.empty", "texture.unseen"), OptionError option.texture-unavailable,
    WeightsError.
    """
    if len(surface.faces) < 4 or not np.isfinite(surface.vertices).all():
        raise TextureError("texture.empty", "There is no surface to paint.", "Try another photo or another preset.")
    size, shading = context.sizes.atlas, None
    context.step(0, 6)
    if context.options.remove_shading:
        photo, person, found = without_shading(photo, person, normals, context)
        shading = found and found.explained
    flat = unwrap(surface.vertices, surface.faces, person.camera, size, context.device)
    context.step(1, 6)
    view = sight(surface.vertices, surface.faces, person.camera, context.device)
    near = closest_points(surface.vertices, body.vertices, body.faces, surface.normals)
    spacing = np.sqrt(face_areas(surface.vertices, surface.faces).mean() * 2)
    plate = make_plate(photo.rgb, person.mask, person.photo_from_crop, _texels_per_pixel(flat, surface, person.camera, size),
                       spacing * person.camera.fx / float(np.median(surface.vertices[:, 2])))
    context.step(2, 6)
    plan = plan_unseen(person, body, surface, near, view, plate)
    if plan.seen.max() < 0.5:
        raise TextureError("texture.unseen", "No part of the surface could be matched with the photo.",
                           "Check the mask, or choose another person in the photo.")
    body_uv, body_uv_faces = carry_uv(surface.vertices, surface.faces, near, body.vertices, body.faces, body.uv,
                                      body.uv_faces)
    context.step(3, 6)
    model = _network(nets, context)
    refined = refine(model, person, body, normals, surface, near, plan, body_uv, body_uv_faces) if model is not None else None
    if plan.face_hidden:
        context.warn("texture.face-unseen", "The person is seen from behind, so the face has no colours of its own."
                     if refined is None else "The person is seen from behind, so the face is invented.")
    points = texels(flat.uv, flat.faces, size, context.device)
    albedo, confidence, bump, share = _bake(points, person, normals, surface, flat, view, plate, plan, refined, context)
    context.step(5, 6)
    colour = sample(plate.rgb, plate.at(person.camera.project(surface.vertices.astype(np.float64))))
    seen, hidden, more = plan.seen[:, None], plan.colour, {}
    if refined is not None:
        hidden = hidden + refined.change
        more = {"body_albedo": body_albedo(refined, albedo, flat, size // 2, context.device), "method": "projection+refinetex+mirror+diffusion",
                "weights": (model.file,)}
    result = Texture(
        flat.uv, flat.faces, body_uv, body_uv_faces, albedo, confidence, bump,
        np.clip(np.round(seen * colour + (1 - seen) * hidden), 0, 255).astype(np.uint8), plan.seen,
        share, front_psnr(surface, flat, albedo, person), shading=shading, **more)
    context.step(6, 6)
    return result if shading is None else replace(result, method=f"{result.method}+unshaded")


def _network(nets, context: Context):
    """models.RefineTexModel, or None. It paints the body that ships; a person's own body has another layout."""
    if nets is None:
        return None
    model = nets.refinetex(context.options.texture)
    if model is not None and context.options.body is not None:
        context.warn("texture.own-body", "RefineTex does not know your own body, so what the photo does not show has mirrored colours.")
        return None
    return model


def _texels_per_pixel(flat: Unwrap, surface: Surface, camera: Camera, size: int) -> float:
    """Atlas texels along a crop pixel on the front."""
    rows = flat.kind == FRONT
    if not rows.any():
        return 1.0
    def area(points, faces):
        a, b, c = (points[faces[:, k]].astype(np.float64) for k in range(3))
        return np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]).sum()
    crop = camera.project(surface.vertices.astype(np.float64))
    return float(np.sqrt(area(flat.uv * size, flat.faces[rows]) / max(area(crop, surface.faces[rows]), 1e-9)))


def _bake(points: Texels, person: Person, normals: Normals, surface: Surface, flat: Unwrap, view, plate: Plate,
          plan: Unseen, refined: Refined | None, context: Context):
    """All texels -> albedo, confidence, normal map (images of the atlas's size) and the seen share of the area."""
    faces, size = surface.faces, points.size
    albedo = np.zeros((size, size, 3), np.uint8)
    confidence = np.zeros((size, size), np.uint8)
    bump = np.zeros((size, size, 3), np.uint8)
    tangents = uv_tangents(surface.vertices, faces, flat.uv, flat.faces, surface.normals)
    fields = np.concatenate([surface.vertices, surface.normals, plan.guide[:, None], plan.colour, plan.shift,
                             plan.hair[:, None], plan.cloth[:, None], *([refined.change] if refined else [])], 1).astype(np.float32)
    seen_count = np.zeros(len(faces))
    map_scale = normals.front.shape[0] / person.camera.width
    for start in range(0, len(points), _PIECE):
        context.check()
        part = slice(start, start + _PIECE)
        at = points.interpolate(fields, faces, part)
        xyz, normal, guide = at[:, :3].astype(np.float64), at[:, 3:6], at[:, 6:7]
        cosine = cosines(xyz, normal)
        crop = person.camera.project(xyz)
        pixels = plate.at(crop)
        seen = seen_weight(xyz, cosine, view, plate, pixels)
        photo = np.clip(sample(plate.rgb, pixels, sharp=True), 0, 255)
        along = np.clip((0.40 - np.abs(cosine)) / 0.25, 0, 1) * np.clip((0.12 - cosine) / 0.10, 0, 1)   # the flanks
        along = along[:, None].astype(np.float32)
        mirrored = photo + along * (sample(plate.soft, pixels) - photo) + at[:, 10:13]
        cloth = at[:, 14:15] * (1 - along)
        invented = guide * mirrored + (1 - guide) * at[:, 7:10]
        if refined is not None:
            invented = invented + at[:, 15:18]
        sharp = np.maximum(guide * (1 - along), cloth)             # how much of the photo's own grain is left
        invented = invented + cloth * sample(plate.detail, pixels)[:, None]
        invented = np.clip(invented + (1 - sharp) * _grain(xyz, at[:, 13], sharp, plan), 0, 255)
        colour = seen[:, None] * photo + (1 - seen[:, None]) * invented
        row, column = points.row[part], points.column[part]
        albedo[row, column] = np.round(colour).astype(np.uint8)
        straight = seen > 0.995
        confidence[row, column] = np.where(straight, 255, np.where(seen > 0, 96 + 144 * seen, 16 + 64 * guide[:, 0]))
        seen_count += np.bincount(points.face[part][straight], minlength=len(faces))
        tangent = points.interpolate(tangents, flat.faces, part)
        bump[row, column] = _bump(sample(normals.front, crop * map_scale), normal, tangent, seen)
    covered = np.zeros((size, size), bool)
    covered[points.row, points.column] = True
    area = face_areas(surface.vertices, faces)
    total = np.bincount(points.face, minlength=len(faces))
    share = float((area * seen_count / np.maximum(total, 1)).sum() / max(area[total > 0].sum(), 1e-12))
    both = spread(np.concatenate([albedo, bump], 2), covered)
    return np.ascontiguousarray(both[..., :3]), confidence, np.ascontiguousarray(both[..., 3:]), share


def _grain(xyz: np.ndarray, hair: np.ndarray, sharp: np.ndarray, plan: Unseen) -> np.ndarray:
    """(n, 1) noise where the photo's own grain is missing (sharp < 1); on hair strands that fall from the crown."""
    out = np.zeros((len(xyz), 1), np.float32)
    rows = np.nonzero((sharp[:, 0] < 0.98) & (hair < 0.98))[0]
    if len(rows):
        p = xyz[rows]
        cloth = 0.6 * value_noise(p, np.full(3, 0.004)) + 0.6 * value_noise(p, np.full(3, 0.0018), 1)
        out[rows, 0] = plan.grain * cloth * (1 - hair[rows]) * 1.5
    rows = np.nonzero((sharp[:, 0] < 0.98) & (hair > 0.02))[0]
    if len(rows):
        out[rows, 0] += plan.hair_grain * hair[rows] * strands(xyz[rows] - plan.crown)
    return out


def _bump(detail: np.ndarray, normal: np.ndarray, tangent: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(n, 3) uint8: the photo-resolution normals relative to the mesh's own; flat where unseen or contradictory."""
    base = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    length = np.linalg.norm(detail, axis=1, keepdims=True)
    detail = detail / np.maximum(length, 1e-6)
    agree = np.clip(((detail * base).sum(1) - 0.5) / 0.25, 0, 1) * seen * (length[:, 0] > 0.5)
    mixed = base + agree[:, None] * (detail - base)
    return encode(to_tangent(mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12), base, tangent))


def front_psnr(surface: Surface, flat: Unwrap, albedo: np.ndarray, person: Person) -> float:
    """PSNR in dB of the textured mesh drawn by the crop's camera against the crop, over mask > 0.5 and mesh."""
    drawn = rasterize(surface.vertices, surface.faces, person.camera)
    inside = drawn.hit & (person.mask > 0.5)
    if not inside.any():
        return 0.0
    colour = atlas_at(albedo, drawn.interpolate(flat.uv, flat.faces)[inside])
    error = np.mean((colour.astype(np.float64) - person.crop[inside]) ** 2)
    return float(min(99.0, 10 * np.log10(255.0 ** 2 / max(error, 1e-9))))
