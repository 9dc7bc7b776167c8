"""A depth-tested rasteriser for many pictures at once, in plain torch: one code and one result on CPU and CUDA (kernel.py says how).

Both sides of a face are drawn. Faces with a corner nearer than NEAR (or behind the eye) are left out, not clipped.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Cameras, Fragments, People, Textures
from .kernel import EMPTY, Keep, draw, face_of, nearness_of, snap, weights
from .textures import opacity, screen_levels

NEAR = 0.02
"""Metres; nothing nearer to the camera's plane than this is drawn."""
ALPHA = 0.5
"""Opacity of the texture below which a cut-out surface is not there."""


def rasterize(people: People, cameras: Cameras, size: int, alpha: Textures | None = None) -> tuple[Fragments, Fragments]:
    """Nearest and farthest surface of each person, in the picture of the person's number.

    size: pixels of a picture's side (the cameras are scaled to it). alpha: the textures, if surfaces whose material is cut out
    shall have their holes. Both answers cover the same pixels in the same order.
    """
    front, back = _rasterize(people, cameras, size, alpha, True)
    return front, back


def rasterize_front(people: People, cameras: Cameras, size: int, alpha: Textures | None = None) -> Fragments:
    """Only the nearest surface of `rasterize`."""
    return _rasterize(people, cameras, size, alpha, False)[0]


def _rasterize(people: People, cameras: Cameras, size: int, alpha: Textures | None, back: bool) -> list[Fragments]:
    cameras = cameras if cameras.size == size else cameras.at(size)
    pixels, z = project(cameras, people.vertices, people.owner)
    inverse = torch.where(z >= NEAR, 1 / z.clamp(min=NEAR), -1.0)
    most = torch.full((people.count,), 1e-9, dtype=torch.float64, device=z.device)
    most = most.scatter_reduce_(0, people.owner, inverse, "amax")
    x, y = snap(pixels)
    cut, keep = (None, None) if alpha is None else cutout(people, alpha, pixels, inverse)
    near = inverse / most[people.owner]
    keys = draw(x, y, near, people.faces, people.face_owner, people.count, size, cut, keep, back)
    return [_fragments(k, x, y, inverse, people.faces, people.count, size) for k in keys[:1 + back]]


def rasterize_flat(pixels: Tensor, depth: Tensor, faces: Tensor, picture: Tensor, count: int, size: int) -> tuple[Fragments, Fragments]:
    """The same without perspective: seen from far away, or laid out in UV space. Nearest and farthest.

    pixels (V, 2) float; depth (V,) float, smaller = nearer, any range; faces (F, 3) int64; picture (F,) int64 < count. At equal
    depth the front is the face with the smallest number, the back the one with the largest.
    """
    x, y = snap(pixels)
    near, _, _ = _flat_nearness(depth)
    one, z = torch.ones_like(near), depth.double()
    found = []
    for keys in draw(x, y, near, faces, picture, count, size):
        f = _fragments(keys, x, y, one, faces, count, size)
        corner, b = z[faces[f.face]], f.bary.double()
        at = corner[:, 0] * b[:, 0] + corner[:, 1] * b[:, 1] + corner[:, 2] * b[:, 2]
        found.append(Fragments(f.picture, f.y, f.x, f.face, f.bary, at.float(), count, size))
    return found[0], found[1]


def depth_maps(pixels: Tensor, depth: Tensor, faces: Tensor, picture: Tensor, count: int, size: int, cut: Tensor | None = None,
               keep: Keep | None = None) -> Tensor:
    """As rasterize_flat, only the nearest depth: (count, size, size) float32, inf where nothing is; to 1e-6 of the range."""
    near, low, high = _flat_nearness(depth)
    x, y = snap(pixels)
    front, _ = draw(x, y, near, faces, picture, count, size, cut, keep, back=False)
    z = high - nearness_of(front) * (high - low)
    return torch.where(front == EMPTY, torch.inf, z).to(torch.float32).view(count, size, size)


def project(cameras: Cameras, points: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
    """World points (V, 3) in the pictures `owner` (V,) -> pixels (V, 2) and z (V,), float64, camera frame.

    Written out in single products: matrix products round differently on different machines.
    """
    p, r, t = points.double(), cameras.rotation.double()[owner], cameras.shift.double()[owner]
    x, y, z = (r[:, i, 0] * p[:, 0] + r[:, i, 1] * p[:, 1] + r[:, i, 2] * p[:, 2] + t[:, i] for i in range(3))
    focal, centre, w = cameras.focal.double()[owner], cameras.centre.double()[owner], z.clamp(min=NEAR)
    return torch.stack([focal * x / w + centre[:, 0], focal * y / w + centre[:, 1]], 1), z


def _flat_nearness(depth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(V,) in [0, 1], and the range of depths that it spans."""
    z = depth.double()
    low, high = (z.min(), z.max()) if len(z) else (z.new_zeros(()), z.new_zeros(()))
    return (high - z) / (high - low).clamp(min=1e-12), low, high


def _fragments(keys: Tensor, x: Tensor, y: Tensor, inverse: Tensor, faces: Tensor, count: int, size: int) -> Fragments:
    """What the keys say, with barycentrics weighted by 1 / z and their exact depth."""
    at = torch.nonzero((keys != EMPTY) & (keys != 2 ** 63 - 1)).view(-1)
    face = face_of(keys[at])
    picture, rest = at // (size * size), at % (size * size)
    row, column = rest // size, rest % size
    corner = faces[face]
    e = weights(x, y, corner, column, row)
    w = e * inverse[corner].t()
    total = w[0] + w[1] + w[2]
    bary = (w / total).t().to(torch.float32)
    return Fragments(picture, row, column, face, bary, ((e[0] + e[1] + e[2]) / total).to(torch.float32), count, size)


def cutout(people: People, textures: Textures, pixels: Tensor, inverse: Tensor) -> tuple[Tensor, Keep]:
    """Which faces (F,) have holes, and the test of their fragments; pixels (V, 2) and inverse (V,) 1 / z (ones: no perspective) of a drawing."""
    texture = people.materials.texture
    cut = (people.materials.alpha & (texture >= 0))[people.material]
    at = torch.nonzero(cut).view(-1)
    corner, row = people.faces[at], texture[people.material[at]]
    level = screen_levels(textures, row, people.uv, corner, pixels)
    lookup = torch.stack([textures.width[row, level], textures.height[row, level], textures.offset[row, level]], 1)
    w = inverse.to(torch.float32)[corner]
    table = torch.cat([people.uv[corner, 0] * w, people.uv[corner, 1] * w, w], 1)
    place = torch.cumsum(cut, 0) - 1

    def keep(face: Tensor, e: Tensor) -> Tensor:
        here = place[face]
        t = table[here].t()
        u, v, one = (e[0] * t[3 * k] + e[1] * t[3 * k + 1] + e[2] * t[3 * k + 2] for k in range(3))
        return opacity(textures, *lookup[here].unbind(1), u / one, v / one) >= ALPHA

    return cut, keep
