"""Textures from several frames: what the best frame does not show is taken from frames that do (s10's projection, body posed as there)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..geometry.bake import Texels, cosines, sight, spread, texels
from ..geometry.normals import face_areas, vertex_normals
from ..geometry.plate import Plate, make_plate, sample
from ..stages.s01_photo import Photo
from ..stages.s02_person import Person
from ..stages.s09_surface import Surface
from ..stages.s10_texture import _PIECE, Texture
from ..stages.s10_unseen import seen_weight
from ..stages.s11_rig import Rig, pose_vertices

STRAIGHT = 0.995
"""s10's: from that weight on a texel counts as taken straight from a picture."""


@dataclass(frozen=True)
class View:
    """The person in another frame: the surface posed as there, metres, camera frame, and the picture."""

    number: int
    vertices: np.ndarray
    normals: np.ndarray
    person: Person
    plate: Plate


def view_of(number: int, transforms: np.ndarray, rig: Rig, surface: Surface, photo: Photo, person: Person) -> View:
    """transforms (J, 4, 4) of the frame; the plate has the photo's own resolution or the canvas's, whichever is coarser."""
    vertices = pose_vertices(rig, transforms)
    spacing = np.sqrt(face_areas(vertices, surface.faces).mean() * 2) * person.camera.fx / max(float(np.median(vertices[:, 2])), 0.1)
    plate = make_plate(photo.rgb, person.mask, person.photo_from_crop, 1.5, spacing)
    return View(number, vertices, vertex_normals(vertices, surface.faces), person, plate)


def best_weights(texture: Texture, points: Texels) -> np.ndarray:
    """(n,) how far the texel's colour is the best frame's own, from s10's confidence image."""
    c = texture.confidence[points.row, points.column].astype(np.float32)
    return np.where(c >= 255, 1.0, np.clip((c - 96) / 144, 0, 1)).astype(np.float32)


def coverage(surface: Surface, points: Texels, weight: np.ndarray) -> float:
    """Share of the surface's area whose texels come straight from a picture."""
    area = face_areas(surface.vertices, surface.faces)
    total = np.bincount(points.face, minlength=len(area))
    seen = np.bincount(points.face[weight > STRAIGHT], minlength=len(area))
    return float((area * seen / np.maximum(total, 1)).sum() / max(area[total > 0].sum(), 1e-12))


def fuse(texture: Texture, surface: Surface, views: list[View], device: str = "cpu", check=lambda: None) -> tuple[Texture, list[float]]:
    """The texture with the views' colours where the best frame has none, and the coverage after 0, 1, 2 … views."""
    points = texels(texture.uv, texture.uv_faces, texture.albedo.shape[0], device)
    own = best_weights(texture, points)
    base = texture.albedo[points.row, points.column].astype(np.float32)
    total, blend, best = np.zeros(len(points), np.float32), np.zeros((len(points), 3), np.float32), np.zeros(len(points), np.float32)
    covered = [coverage(surface, points, own)]
    at_vertex = _Vertices(texture)
    for view in views:
        look = sight(view.vertices, surface.faces, view.person.camera, device)
        fields = np.concatenate([view.vertices, view.normals], 1).astype(np.float32)
        seen, colour = np.empty(len(points), np.float32), np.empty((len(points), 3), np.float32)
        for start in range(0, len(points), _PIECE):
            check()
            part = slice(start, start + _PIECE)
            at = points.interpolate(fields, surface.faces, part)
            seen[part], colour[part] = _shown(view, look, at[:, :3].astype(np.float64), at[:, 3:6])
        gain = _gain(base, own, colour, seen)
        here = seen ** 2
        total += here
        blend += here[:, None] * np.clip(colour * gain, 0, 255)
        best = np.maximum(best, seen)
        at_vertex.add(*_shown(view, look, view.vertices, view.normals), gain)
        covered.append(coverage(surface, points, np.maximum(own, best)))
    if not views:
        return texture, covered
    other = blend / np.maximum(total, 1e-6)[:, None]
    share = (_lacking(own) * best)[:, None]
    albedo = texture.albedo.copy()
    albedo[points.row, points.column] = np.clip(np.round(base + share * (other - base)), 0, 255).astype(np.uint8)
    confidence = texture.confidence.copy()
    filled = np.where(best > STRAIGHT, 255, 96 + 144 * best)
    confidence[points.row, points.column] = np.maximum(confidence[points.row, points.column], np.where(best > 0, filled, 0)).astype(np.uint8)
    inside = np.zeros(albedo.shape[:2], bool)
    inside[points.row, points.column] = True
    color, seen = at_vertex.result()
    return replace(texture, albedo=np.ascontiguousarray(spread(albedo, inside)), confidence=confidence, vertex_color=color, vertex_seen=seen,
                   seen_fraction=covered[-1], method=f"{texture.method}+{len(views)} views"), covered


class _Vertices:
    """The same for the colours of vertices."""

    def __init__(self, texture: Texture):
        self.base, self.own = texture.vertex_color.astype(np.float32), texture.vertex_seen.astype(np.float32)
        self.total, self.blend, self.best = np.zeros(len(self.own), np.float32), np.zeros_like(self.base), np.zeros_like(self.own)

    def add(self, seen: np.ndarray, colour: np.ndarray, gain: np.ndarray) -> None:
        self.total += seen ** 2
        self.blend += (seen ** 2)[:, None] * np.clip(colour * gain, 0, 255)
        self.best = np.maximum(self.best, seen)

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        other = self.blend / np.maximum(self.total, 1e-6)[:, None]
        color = self.base + (_lacking(self.own) * self.best)[:, None] * (other - self.base)
        return np.clip(np.round(color), 0, 255).astype(np.uint8), np.maximum(self.own, self.best)


def _shown(view: View, look, xyz: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight (n,) and colour (n, 3) of points of the posed surface in the view's picture."""
    pixels = view.plate.at(view.person.camera.project(xyz))
    seen = seen_weight(xyz, cosines(xyz, normal), look, view.plate, pixels)
    return seen, np.clip(sample(view.plate.rgb, pixels), 0, 255)


def _lacking(own: np.ndarray) -> np.ndarray:
    """How far the best frame's colours make room. Where it half shows a texel, s10 has mixed an invented colour in, so that goes sooner."""
    return 1 - own ** 4


def _gain(base: np.ndarray, own: np.ndarray, colour: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(3,) factors that bring the view to the best frame's exposure, by what both show; a view that shows nothing in common keeps its own."""
    both = (own > 0.9) & (seen > 0.9)
    if both.sum() < 200:
        return np.ones(3, np.float32)
    ratio = np.median(base[both] + 4, axis=0) / np.median(colour[both] + 4, axis=0)
    return np.clip(ratio, 0.7, 1.4).astype(np.float32)


def choose_views(normals: np.ndarray, toward: np.ndarray, area: np.ndarray, allowed: np.ndarray, best: int, most: int = 6,
                 least: float = 0.015) -> list[int]:
    """Rows of frames that together show most of the body, beginning with `best` (which is not in the answer).

    normals, toward (N, V, 3): of the posed body and unit directions to the camera; area (V,); allowed (N,) bool. A frame is taken while it adds
    `least` of the area. What hides behind limbs is not asked here: `fuse` does.
    """
    cosine = (normals * toward).sum(2)
    shows = np.clip((cosine - 0.2) / 0.4, 0, 1)
    have, chosen = shows[best].copy(), []
    while len(chosen) < most:
        gain = (np.maximum(shows - have, 0) * area).sum(1) / area.sum()
        gain[~allowed] = 0
        k = int(gain.argmax())
        if gain[k] < least:
            break
        chosen.append(k)
        have = np.maximum(have, shows[k])
    return chosen
