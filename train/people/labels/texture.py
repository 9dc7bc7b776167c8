"""The clothed surface laid out on the body's UVs (T x T texels, neural/body's layout, row 0 at v = 1).

    seen = unwrap(people, T)                       # which triangle is outermost at every texel
    target = finish(seen, painted(people, seen, textures), layout(T))       # albedo, validity, small gaps filled
    input_ = observed(people, cameras, seen, photo, depth, mask)
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from neural.body.maps import tables
from neural.body.model import BodyModel

from ..draw.fabric import albedo
from ..draw.raster import rasterize_flat
from ..draw.textures import screen_levels
from ..types import Cameras, Fragments, People, Textures
from .maps import crosses_seam

def unwrap(people: People, size: int) -> Fragments:
    """The outermost surface at every texel: fragments whose `picture` is the person, y, x the texel, face and bary of `people`;
    depth = - height off the skin. Triangles that lie across a seam of the layout are left out (`finish` closes the gaps)."""
    corner = people.faces
    keep = torch.nonzero(~crosses_seam(people.body_uv[corner], people.body_place[corner])).flatten()
    seen = rasterize_flat(_texels(people.body_uv, size), -people.height, corner[keep], people.face_owner[keep], people.count, size)[0]
    return replace(seen, face=keep[seen.face])


UV_PER_METRE = 0.56
"""Of the body's layout, median over its edges."""


def painted(people: People, seen: Fragments, textures: Textures) -> Tensor:
    """(N, 3) float32 linear albedo in [0, 1] at the texels of `unwrap`, filtered to their size."""
    levels = screen_levels(textures, people.materials.texture[people.material], people.uv, people.faces, _texels(people.body_uv, seen.size))
    return albedo(people, seen, textures, levels, torch.full_like(seen.depth, 1 / (UV_PER_METRE * seen.size)))


@lru_cache(maxsize=4)
def layout(size: int, device: str = "cpu") -> Tensor:
    """(T, T) bool: texels that the body's own charts cover (without the mouth's cavity and what lies behind the eyes)."""
    body = tables(BodyModel.load(), device)
    count = len(body.uv)
    seen = rasterize_flat(_texels(body.uv, size), body.uv.new_zeros(count), body.uv_faces, torch.zeros_like(body.uv_faces[:, 0]), 1, size)[0]
    out = torch.zeros((size, size), dtype=torch.bool, device=device)
    out[seen.y, seen.x] = True
    return out


def finish(seen: Fragments, colours: Tensor, charts: Tensor, reach: int = 4) -> dict[str, Tensor]:
    """colours (N, C) at `seen`, charts (T, T) from `layout` -> colour (P, C, T, T), 0 outside the charts; valid (P, T, T) bool: drawn there;
    filled (P, T, T) bool: a gap of at most `reach` texels within the charts, closed with the mean of what borders it."""
    image = seen.image(colours) * charts
    valid = (seen.image(torch.ones_like(seen.depth)) > 0) & charts
    known = valid.clone()
    for _ in range(reach):
        weight = known[:, None].to(image.dtype)
        near = avg_pool2d(weight, 3, 1, 1)
        fresh = (near[:, 0] > 0) & ~known & charts
        image = torch.where(fresh[:, None], avg_pool2d(image * weight, 3, 1, 1) / near.clamp(min=1e-6), image)
        known = known | fresh
    return {"colour": image, "valid": valid, "filled": known & ~valid}


def observed(people: People, cameras: Cameras, seen: Fragments, photo: Tensor, depth_front: Tensor, mask: Tensor,
             hidden: Tensor | None = None) -> dict[str, Tensor]:
    """The photo's colours on the layout, where the photo really shows the texel.

    photo (P, C, S, S) any colour space; depth_front (P, S, S) metres and mask (P, S, S) bool of the same canvas (cameras.size = S); hidden
    (P, S, S) bool: covered by something in front. -> colour (P, C, T, T) bilinear, visible (P, T, T) bool, facing (P, T, T): cosine
    between the surface and the view, 0 where not visible.
    """
    corner = people.vertices[people.faces[seen.face]]
    points = (corner * seen.bary[..., None]).sum(1)
    rotation, shift = cameras.rotation[seen.picture], cameras.shift[seen.picture]
    at = (rotation @ points[..., None])[..., 0] + shift
    flat = torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    flat = torch.nn.functional.normalize((rotation @ flat[..., None])[..., 0], dim=1, eps=1e-20)
    cosine = (flat * torch.nn.functional.normalize(at, dim=1)).sum(1).abs()
    z = at[:, 2].clamp(min=1e-3)
    focal = cameras.focal[seen.picture]
    px = at[:, :2] / z[:, None] * focal[:, None] + cameras.centre[seen.picture]
    size = cameras.size
    on = (px > 0.5).all(1) & (px < size - 0.5).all(1) & (at[:, 2] > 1e-3) & (cosine > 0.15)
    low = (px - 0.5).floor().long().clamp(0, size - 2)
    open_ = mask if hidden is None else mask & ~hidden
    nearest, whole = torch.full_like(z, -torch.inf), torch.ones_like(on)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row = (seen.picture * size + low[:, 1] + dy) * size + low[:, 0] + dx
        whole &= open_.flatten()[row]
        nearest = torch.maximum(nearest, depth_front.flatten()[row])
    slope = (1 - cosine ** 2).clamp(min=0).sqrt() / cosine.clamp(min=0.1)
    visible = on & whole & (z <= nearest + 0.003 + z / focal * slope)
    grid = px / size * 2 - 1
    colours = _sampled(photo, seen.picture, grid) * visible[:, None]
    return {"colour": seen.image(colours), "visible": seen.image(visible.to(z.dtype)) > 0, "facing": seen.image(cosine * visible)}


def _sampled(photo: Tensor, picture: Tensor, grid: Tensor) -> Tensor:
    """(P, C, S, S) at (N, 2) in [-1, 1] of pictures (N,) sorted -> (N, C)."""
    count = torch.bincount(picture, minlength=len(photo))
    longest = int(count.max()) if len(picture) else 0
    if not longest:
        return photo.new_zeros((0, photo.shape[1]))
    column = torch.arange(len(picture), device=photo.device) - (torch.cumsum(count, 0) - count)[picture]
    table = photo.new_zeros((len(photo), longest, 2))
    table[picture, column] = grid
    return grid_sample(photo, table[:, None], align_corners=False)[:, :, 0].permute(0, 2, 1)[picture, column]


def _texels(uv: Tensor, size: int) -> Tensor:
    """(V, 2) UVs, v up -> texel coordinates, y down."""
    return torch.stack([uv[:, 0], 1 - uv[:, 1]], 1) * size
