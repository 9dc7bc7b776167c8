"""s10, part: what RefineTex paints where the photo shows nothing, brought to the photo's light and mixed with the fill that needs no network."""

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
    """How far the network's colours are taken, by what the fill without a network rests on there. It knows clothes well (their colours are seen at the
    same height) and what is mirrored badly (hands, feet, ears): of both colours the mean that errs least, measured on people of
    neither's making (train/refinetex/README.md). How sure the network is does not say which of the two is better: where it is not, the fill is
    worse still. Only where it has no idea at all it has no say.

    garment, hair, mirrored, rest: shares; doubt: confidence at which the share is none and whole. keep: how hard a colour of the network resists being
    changed: the correction at the border of what is seen has gone after 1 / sqrt = 22 edges."""

    garment: float = 0.25
    hair: float = 0.45
    mirrored: float = 0.8
    rest: float = 0.35
    doubt: tuple[float, float] = (0.007, 0.02)
    keep: float = 0.002

    def shares(self, plan: Unseen) -> np.ndarray:
        """(V,) float."""
        share = self.rest + plan.guide * (self.mirrored - self.rest)
        share = share + plan.cloth * (self.garment - share)
        return share + plan.hair * (self.hair - share)


REFINED = RefinedConfig()


@dataclass(frozen=True)
class Refined:
    """The network's answer, ready for baking. B = side of the body's layout, row 0 at v = 1; V vertices of the mesh.

    albedo    (B, B, 3) float32 sRGB 0..255, carried on beyond the charts.
    uv        (W, 2) float32 and uv_faces (F, 3): the mesh's places on that layout.
    change    (V, 3) float32: what the network adds to the colours of the fill without it (Unseen.colour), whose grain and weave stay.
    """

    albedo: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    change: np.ndarray


def view_of(person: Person, body: Body, normals: Normals, device: str = "cpu") -> View:
    """What the network is told. Normals only where a network has predicted them: those of the inflated body are not what it has learnt with."""
    floats = lambda a: torch.as_tensor(np.ascontiguousarray(a, np.float32), device=device)
    picture = lambda a: floats(a).permute(2, 0, 1)[None]
    camera = person.camera
    return View(picture(person.crop) / 255, floats(person.mask)[None, None], floats(person.inside)[None, None], floats([camera.fx]),
                floats([[camera.cx, camera.cy]]), floats(body.vertices)[None], from_stage(body.maps, device),
                picture(normals.front) if normals.method.startswith("2k2k") else None)


def refine(model, person: Person, body: Body, normals: Normals, surface: Surface, near: Closest, plan: Unseen, uv: np.ndarray, uv_faces: np.ndarray,
           config: RefinedConfig | None = None) -> Refined:
    """Ask the network (models.RefineTexModel). near: closest points of the surface's vertices on the body; uv: carry_uv's; config: None = REFINED."""
    config = config or REFINED
    with torch.inference_mode():
        found = door.run(model.net, view_of(person, body, normals, model.device))
    image = found.albedo[0].permute(1, 2, 0).float().cpu().numpy() * 255
    sure = found.confidence[0, 0].float().cpu().numpy()
    size = len(image)
    charts = layout(size).charts[0].numpy() > 0
    low, high = config.doubt
    both = spread(np.concatenate([image, np.clip((sure - low) / (high - low), 0, 1)[..., None]], 2), charts)
    edges = mesh_edges(surface.faces)
    spacing = np.median(np.linalg.norm(np.diff(surface.vertices[edges], axis=1)[:, 0], axis=1))
    blurred = cv2.GaussianBlur(both, (0, 0), max(0.6, 0.4 * spacing * UV_PER_METRE * size))
    own = np.einsum("nk,nkc->nc", near.bary, np.asarray(body.uv, np.float64)[body.uv_faces][near.face])
    at = sample(blurred, _pixels(own, size))
    colour = np.clip(at[:, :3] + matched(plan.colour - plan.shift, at[:, :3], plan.seen, edges, config.keep), 0, 255)
    share = (config.shares(plan) * at[:, 3])[:, None]
    return Refined(np.ascontiguousarray(both[..., :3]), uv, uv_faces, (share * (colour - plan.colour)).astype(np.float32))


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
