"""s10, part: what RefineTex paints where the photo shows nothing, carried from the body's layout to the mesh and brought to the photo's light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ..body.maps import from_stage
from ..geometry.bake import spread, texels
from ..geometry.closest import Closest
from ..geometry.fill import guided_fill, mesh_edges
from ..geometry.plate import sample
from ..geometry.unwrap import Unwrap
from ..geometry.view import atlas_at
from ..nets.refinetex import door
from ..nets.refinetex.layout import layout
from ..nets.refinetex.view import View
from .s02_person import Person
from .s03_body import Body
from .s05_parts import Normals
from .s09_surface import Surface
from .s10_unseen import Unseen

UV_PER_METRE = 0.56
"""Of the body's layout, median over its edges."""


@dataclass(frozen=True)
class RefinedConfig:
    """sure: the network's confidence at which the fill without a network still has all, and nothing any more. keep: how hard a colour of the
    network resists being changed: the correction at the border of what is seen has gone after 1 / sqrt = 22 edges."""

    sure: tuple[float, float] = (0.15, 0.45)
    keep: float = 0.002


@dataclass(frozen=True)
class Refined:
    """The network's answer, ready for baking. B = side of the body's layout, row 0 at v = 1; V vertices of the mesh.

    albedo    (B, B, 3) float32 sRGB 0..255, carried on beyond the charts.
    share     (B, B) float32 [0, 1]: how far it is taken; the rest is the fill without a network.
    uv        (W, 2) float32 and uv_faces (F, 3): the mesh's places on that layout.
    shift     (V, 3) float32: added to it, so that its low frequencies meet the photo's where that ends.
    colour    (V, 3) float32, vertex_share (V,): at the vertices, blurred to their spacing, with `shift`.
    """

    albedo: np.ndarray
    share: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    shift: np.ndarray
    colour: np.ndarray
    vertex_share: np.ndarray

    def at(self, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, 2) places on the layout -> colours (N, 3) without `shift`, shares (N, 1)."""
        pixels = _pixels(uv, len(self.albedo))
        return sample(self.albedo, pixels), sample(self.share, pixels)[:, None]


def view_of(person: Person, body: Body, normals: Normals, device: str = "cpu") -> View:
    """What the network is told. Normals only where a network has predicted them: those of the inflated body are not what it has learnt with."""
    floats = lambda a: torch.as_tensor(np.ascontiguousarray(a, np.float32), device=device)
    picture = lambda a: floats(a).permute(2, 0, 1)[None]
    camera = person.camera
    return View(picture(person.crop) / 255, floats(person.mask)[None, None], floats(person.inside)[None, None], floats([camera.fx]),
                floats([[camera.cx, camera.cy]]), floats(body.vertices)[None], from_stage(body.maps, device),
                picture(normals.front) if normals.method.startswith("2k2k") else None)


def refine(model, person: Person, body: Body, normals: Normals, surface: Surface, near: Closest, plan: Unseen, uv: np.ndarray, uv_faces: np.ndarray,
           config: RefinedConfig = RefinedConfig()) -> Refined:
    """Ask the network (models.RefineTexModel). near: closest points of the surface's vertices on the body; uv: carry_uv's."""
    with torch.inference_mode():
        found = door.run(model.net, view_of(person, body, normals, model.device))
    image = found.albedo[0].permute(1, 2, 0).float().cpu().numpy() * 255
    sure = found.confidence[0, 0].float().cpu().numpy()
    size = len(image)
    charts = layout(size).charts[0].numpy() > 0
    low, high = config.sure
    both = spread(np.concatenate([image, np.clip((sure - low) / (high - low), 0, 1)[..., None]], 2), charts)
    image, share = np.ascontiguousarray(both[..., :3]), np.ascontiguousarray(both[..., 3])

    edges = mesh_edges(surface.faces)
    spacing = np.median(np.linalg.norm(np.diff(surface.vertices[edges], axis=1)[:, 0], axis=1))
    blurred = cv2.GaussianBlur(both, (0, 0), max(0.6, 0.4 * spacing * UV_PER_METRE * size))
    own = np.einsum("nk,nkc->nc", near.bary, np.asarray(body.uv, np.float64)[body.uv_faces][near.face])
    at = sample(blurred, _pixels(own, size))
    shift = matched(plan.colour - plan.shift, at[:, :3], plan.seen, edges, config.keep)
    return Refined(image, share, uv, uv_faces, shift, np.clip(at[:, :3] + shift, 0, 255).astype(np.float32), at[:, 3])


def matched(photo: np.ndarray, painted: np.ndarray, seen: np.ndarray, edges: np.ndarray, keep: float) -> np.ndarray:
    """(V, 3) float32: what to add to `painted` (V, 3) so that it is `photo` (V, 3) where seen (V,) is above one half, and, smoothly over the mesh,
    less and less of that farther away."""
    firm = seen > 0.5
    target = np.where(firm[:, None], photo - painted, 0.0)
    return guided_fill(target, np.where(firm, 1000.0 * seen, keep), np.zeros(len(seen)), edges).astype(np.float32)


def body_albedo(refined: Refined, albedo: np.ndarray, flat: Unwrap, size: int, device: str = "cpu") -> np.ndarray:
    """(size, size, 3) uint8: the finished atlas on the body's layout; the network's own colours where the mesh has no place."""
    out = cv2.resize(refined.albedo, (size, size), interpolation=cv2.INTER_LINEAR)
    points = texels(refined.uv, refined.uv_faces, size, device)
    out[points.row, points.column] = atlas_at(albedo, points.interpolate(flat.uv, flat.faces))
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def _pixels(uv: np.ndarray, size: int) -> np.ndarray:
    return np.stack([uv[:, 0], 1.0 - uv[:, 1]], 1) * size
