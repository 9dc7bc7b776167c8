"""The linear picture of people: diffuse light with ambient occlusion, a key light with its shadow, a rough reflection."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Cameras, Fragments, People, Textures
from .fabric import albedo
from .light import Lights, basis, cosine_lobe, irradiance, radiance
from .raster import project, rasterize_front
from .shadow import ambient_reach, key_reach, solid_faces, view
from .textures import screen_levels
from .wrinkles import fine_normals, unit

_GREY = (0.2126, 0.7152, 0.0722)
_KEY_MAP = 384
_WHITE = 0.95
"""What a white card turned as the people's visible side comes out as, before the recipe's stops."""
_SOFT = (0.30, 0.12, 0.08)
"""How far red, green, blue light creeps round skin's edge of shadow (wrapped cosine)."""
_SKIN_M = 0.002


def picture(people: People, cameras: Cameras, lights: Lights, textures: Textures, supersample: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """P pictures of cameras.size = S: linear colour (P, 3, S, S) times coverage, coverage (P, S, S) in [0, 1], albedo (P, 3, S, S) of what is
    covered (not multiplied, 0 where nothing is); all float32. supersample: samples of a pixel's side.
    """
    size = cameras.size * supersample
    fine = cameras.at(size)
    fragments = rasterize_front(people, fine, size, textures)
    lights = exposed(lights, people, cameras)
    pixels, _ = project(fine, people.vertices, people.owner)
    m = people.material
    levels = screen_levels(textures, people.materials.texture[m], people.uv, people.faces, pixels)
    colour = albedo(people, fragments, textures, levels, fragments.depth / fine.focal[fragments.picture])
    lit = shade(people, fragments, cameras, lights, colour, textures)
    image = fragments.image(torch.cat([lit, colour, torch.ones_like(colour[:, :1])], 1))
    small = torch.nn.functional.avg_pool2d(image, supersample)
    alpha = small[:, 6]
    return small[:, :3], alpha, small[:, 3:6] / alpha[:, None].clamp(min=1e-6)


def exposed(lights: Lights, people: People, cameras: Cameras) -> Lights:
    """The lights scaled so that a white card turned as each person's visible side is would come out near white (the stops added), with
    the recipe's part of the tint taken out."""
    toward = unit(eyes(cameras)[people.owner] - people.vertices)
    seen = ((people.normals * toward).sum(1) > 0).float()
    cosine = (people.normals * lights.key_direction[people.owner]).sum(1).clamp(min=0)
    table = torch.cat([basis(people.normals), cosine[:, None], torch.ones_like(cosine)[:, None]], 1) * seen[:, None]
    total = torch.zeros((people.count, 11), device=table.device).index_add_(0, people.owner, table)
    mean = total[:, :10] / total[:, 10:].clamp(min=1)
    light = (mean[:, :9, None] * lights.ambient * cosine_lobe(mean)).sum(1).clamp(min=0) + 0.8 * mean[:, 9:] * lights.key_irradiance
    light = light / 3.14159265 + 1e-6
    grey = light.new_tensor(_GREY)
    tint = (light / (light * grey).sum(1, keepdim=True)) ** -lights.balance[:, None]
    return lights.scaled(tint * (_WHITE * torch.exp2(lights.stops) / (light * grey).sum(1))[:, None])


def shade(people: People, fragments: Fragments, cameras: Cameras, lights: Lights, colour: Tensor, textures: Textures | None) -> Tensor:
    """(N, 3) float32 linear radiance towards the camera of fragments with linear albedo `colour` (N, 3)."""
    solid = solid_faces(people, textures)
    reach = ambient_reach(people, lights, solid)
    corner, owner = people.faces[fragments.face], fragments.picture
    table = torch.cat([people.vertices, reach[:, None], people.height[:, None]], 1)
    values = (table[corner] * fragments.bary[:, :, None]).sum(1)
    points, reach = values[:, :3], values[:, 3:4]
    toward = unit(eyes(cameras)[owner] - points)
    n = seen_side(people, fragments, fine_normals(people, fragments), toward)
    skin = ((people.layer[fragments.face] == 0) & (values[:, 4] < _SKIN_M)).float()[:, None]
    gloss = people.materials.gloss[people.material[fragments.face]][:, None]
    key, key_colour = lights.key_direction[owner], lights.key_irradiance[owner]
    cosine = (n * key).sum(1, keepdim=True)
    wrap = skin * n.new_tensor(_SOFT)
    lobe = (cosine + wrap).clamp(min=0) / (1 + wrap) ** 2
    open_key = _key(people, fragments, lights, points, n, cosine, solid)
    open_skin = open_key ** (1 - skin * n.new_tensor(_SOFT))           # red light also creeps into the shadow's rim
    diffuse = (irradiance(lights, n, owner) * _bounced(reach, colour) + lobe * open_skin * key_colour) / 3.14159265
    facing = (n * toward).sum(1, keepdim=True).clamp(0, 1)
    fresnel = 0.04 + (0.06 + 0.6 * gloss) * (1 - facing) ** 5
    power = 10 + 140 * gloss * gloss
    half = unit(toward + key)
    glint = (power + 8) / 25.132741 * (n * half).sum(1, keepdim=True).clamp(0, 1) ** power * open_key * (cosine > 0)
    mirror = 2 * facing * n - toward
    reflected = radiance(lights, mirror, owner) * reach * reach + glint * key_colour
    return colour * diffuse + (0.12 + 1.3 * gloss) * fresnel * reflected


def seen_side(people: People, fragments: Fragments, normals: Tensor, toward: Tensor) -> Tensor:
    """Unit normals (N, 3) outward of their sheet -> of the side that is seen from `toward` (N, 3, unit): turned over where the sheet's inner
    side shows, and bent just far enough to face the viewer at all."""
    corner = people.vertices[people.faces[fragments.face]]
    flat = torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    n = torch.where((flat * toward).sum(1, keepdim=True) < 0, -normals, normals)
    away = (n * toward).sum(1, keepdim=True).clamp(max=0)
    return unit(n - (away - 1e-3 * (away < 0)) * toward)


def eyes(cameras: Cameras) -> Tensor:
    """(P, 3) places of the cameras in the world."""
    return -(cameras.rotation * cameras.shift[:, :, None]).sum(1)


def _key(people: People, fragments: Fragments, lights: Lights, points: Tensor, n: Tensor, cosine: Tensor, solid: Tensor) -> Tensor:
    """(N, 1): part of the key light that reaches the fragments; 0 where they face away by more than skin's softness."""
    out = torch.zeros_like(cosine)
    at = torch.nonzero(cosine[:, 0] > -0.3).view(-1)
    seen = view(people, lights.key_direction, _KEY_MAP, solid)
    out[at, 0] = key_reach(people, seen, points[at], n[at], fragments.picture[at], lights.key_direction, lights.key_angle)
    return out


def _bounced(reach: Tensor, colour: Tensor) -> Tensor:
    """Ambient occlusion eased by light that bright surfaces hand on among themselves (Jimenez et al. 2016, the shape of their cubic)."""
    a, b, c = 2.0404 * colour - 0.3324, -4.7951 * colour + 0.6417, 2.7552 * colour + 0.6903
    return torch.maximum(reach, ((reach * a + b) * reach + c) * reach)
