"""What every pixel shows, on both sides of the person, and where its points are: from the fragments of one drawing.

Two sides: front = the surface nearest to the camera on a pixel's ray, back = the farthest one (2K2K's pair of maps).
"""

from __future__ import annotations

import torch
from torch import Tensor

from neural.body.maps import SIDES, towards

from ..types import Cameras, Fragments, People
from . import camera
from .points import points

NONE = 255
"""Part and layer of a pixel that shows nobody."""

PARTS14 = ("head", "torso", "left_upper_arm", "right_upper_arm", "left_forearm", "right_forearm", "left_hand", "right_hand",
           "left_thigh", "right_thigh", "left_shin", "right_shin", "left_foot", "right_foot")
"""A coarser cut of the body."""

PART14_OF_JOINT = (1, 8, 9, 1, 10, 11, 1, 12, 13, 1, 12, 13, 0, 1, 1, 0, 2, 3, 4, 5, 6, 7, 6, 7)
"""Index into PARTS14 of every SMPL joint's part."""

SEAM_UV = 0.04
"""A triangle with a UV edge longer than this and than SEAM_RATIO times its length on the body lies across a seam of the layout."""

SEAM_RATIO = 6.0
"""UV units per metre: all of the body's own edges have less (median 0.56, eyelids up to 5.3)."""


def maps(people: People, cameras: Cameras, front: Fragments, back: Fragments, normals_front: Tensor | None = None,
         normals_back: Tensor | None = None, hidden: Tensor | None = None) -> dict[str, Tensor]:
    """All labels of P pictures of S x S (S = front.size; `cameras` must be of that size).

    front, back: nearest and farthest fragments; normals_front, normals_back: (N, 3) world normals there (with fine folds; None: the
    vertices' own). hidden (P, S, S) bool: what stands in front of the person (joints behind it are not visible). Result, float32 unless said:
        mask                        (P, S, S) bool: the person covers the pixel's centre.
        depth_front, depth_back     (P, S, S) z metres, camera frame, 0 outside the mask; front <= back.
        normal_front, normal_back   (P, 3, S, S) unit, camera frame, front z <= 0, back z >= 0 (the inner side of cloth too); 0 outside.
        part_front, part_back       (P, S, S) uint8 SMPL joint; 255 = none (`part14` makes the coarser cut).
        uv_front, uv_back           (P, 2, S, S) the body's UV; 0 outside.
        place_front, place_back     (P, 3, S, S) nearest point of the mean body's T-pose, frame `body`; 0 outside.
        height_front, height_back   (P, S, S) metres off the skin.
        layer_front, layer_back     (P, S, S) uint8, 0 = skin; 255 = none.
    and the points of `points`: joints, joints_px, joints_visible, landmarks, landmarks_px, landmarks_visible.
    """
    if cameras.size != front.size:
        raise ValueError(f"cameras of {cameras.size} pixels for a canvas of {front.size}")
    table = torch.cat([people.body_uv, people.body_place, people.height[:, None], people.normals], 1)
    out: dict[str, Tensor] = {}
    for side, fragments, given in zip(SIDES, (front, back), (normals_front, normals_back)):
        corner = people.faces[fragments.face]
        values = table[corner]                                                      # (N, 3, 9)
        uv = _uv(values[..., :2], values[..., 2:5], fragments.bary)
        mixed = (values[..., 2:] * fragments.bary[..., None]).sum(1)
        normal = facing(people, cameras, fragments, mixed[:, 4:] if given is None else given, side)
        image = fragments.image(torch.cat([fragments.depth[:, None], normal, uv, mixed[:, :4]], 1))
        out[f"depth_{side}"], out[f"normal_{side}"] = image[:, 0], image[:, 1:4]
        out[f"uv_{side}"], out[f"place_{side}"], out[f"height_{side}"] = image[:, 4:6], image[:, 6:9], image[:, 9]
        nearest = corner.gather(1, fragments.bary.argmax(1, keepdim=True))[:, 0]
        out[f"part_{side}"] = fragments.image(people.part[nearest].to(torch.uint8), NONE)
        out[f"layer_{side}"] = fragments.image(people.layer[fragments.face].to(torch.uint8), NONE)
    out["mask"] = out["depth_front"] > 0
    out.update(points(people, cameras, out["depth_front"], out["mask"], hidden))
    return out


def facing(people: People, cameras: Cameras, fragments: Fragments, normals: Tensor, side: str) -> Tensor:
    """(N, 3) world normals, outward of their sheet -> (N, 3) unit, camera frame, on the side that is seen.

    Where the inner side of an open sheet shows (the geometric normal of the triangle looks away), the normal is turned over first.
    """
    corner = people.vertices[people.faces[fragments.face]]
    flat = torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    flat = camera.directions(cameras, fragments.picture, flat)
    at = torch.stack([fragments.x, fragments.y], 1) + 0.5 - cameras.centre[fragments.picture]
    ray = torch.cat([at / cameras.focal[fragments.picture, None], torch.ones_like(at[:, :1])], 1)
    away = (flat * ray).sum(1) * (1.0 if side == "front" else -1.0) > 0
    turned = camera.directions(cameras, fragments.picture, normals)
    return towards(torch.where(away[:, None], -turned, turned), side)


def crosses_seam(uv: Tensor, place: Tensor) -> Tensor:
    """(N, 3, 2) UVs and (N, 3, 3) places of triangles' corners -> (N,) bool: the corners lie on different charts."""
    step = torch.linalg.vector_norm(uv - uv.roll(1, 1), dim=-1).amax(1)
    span = torch.linalg.vector_norm(place - place.roll(1, 1), dim=-1).amax(1)
    return (step > SEAM_UV) & (step > SEAM_RATIO * span)


def part14(part: Tensor) -> Tensor:
    """uint8 SMPL parts (255 = none) -> uint8 indices into PARTS14 (255 = none)."""
    table = torch.full((256,), NONE, dtype=torch.uint8, device=part.device)
    table[:24] = torch.tensor(PART14_OF_JOINT, dtype=torch.uint8, device=part.device)
    return table[part.long()]


def _uv(uv: Tensor, place: Tensor, bary: Tensor) -> Tensor:
    """Interpolated; across a seam the nearest corner's own."""
    mixed = (uv * bary[..., None]).sum(1)
    own = uv.gather(1, bary.argmax(1)[:, None, None].expand(-1, 1, 2))[:, 0]
    return torch.where(crosses_seam(uv, place)[:, None], own, mixed)
