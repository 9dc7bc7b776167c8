"""Maps of the posed body model: what stage s03 would hand to the networks, from the truth or from a fit with errors."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from neural.body.maps import SIDES, BodyTables, joints_of, pose, surface, tables, vertex_normals
from neural.body.model import BodyModel
from neural.contract.frames import BLENDER_FROM_BODY
from neural.contract.joints import JOINT

from ..draw.raster import rasterize
from ..types import Cameras, People
from . import camera
from .table import bare


LIMBS = [JOINT[f"{side}_{name}"] for side in ("left", "right") for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")]
"""Joints that lie alike in every skeleton."""


@lru_cache(maxsize=2)
def default_tables(device: str = "cpu") -> BodyTables:
    """The shipped body's tensors, kept."""
    return tables(BodyModel.load(), device)


def true_body(people: People, cameras: Cameras, body: BodyTables) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The people's own bodies in the camera frame: rotations (P, 24, 3, 3) T-pose (frame `body`) -> camera axes, betas (P, 10), scale (P,),
    translation (P, 3) metres: what `neural.body.maps.pose` takes. The translation lays the model's LIMBS on People.joints, in the mean
    (whole characters have their spine and pelvis elsewhere than our body, up to 5 cm)."""
    turn = torch.as_tensor(BLENDER_FROM_BODY, dtype=people.rotations.dtype, device=people.rotations.device)
    rotations = cameras.rotation[:, None] @ people.rotations @ turn
    at_origin = joints_of(body, rotations, people.betas, people.scale, torch.zeros_like(people.joints[:, 0]))[1]
    return rotations, people.betas, people.scale, (camera.seen(cameras, people.joints) - at_origin)[:, LIMBS].mean(1)


def body_maps(cameras: Cameras, rotations: Tensor, betas: Tensor, scale: Tensor, translation: Tensor,
              body: BodyTables | None = None) -> dict[str, Tensor]:
    """Pose P bodies in the camera frame and draw them: the dict that neural/body/maps.py describes (M = cameras.size, stage s03: half
    the crop), with `joints` (P, 24, 3) camera metres and `vertices` (P, V, 3)."""
    body = default_tables(str(rotations.device)) if body is None else body
    vertices, joints = pose(body, rotations, betas, scale, translation)
    normals = vertex_normals(body, vertices)
    eye = torch.eye(3, dtype=vertices.dtype, device=vertices.device).expand(len(vertices), 3, 3)
    own = Cameras(eye, torch.zeros_like(translation), cameras.focal, cameras.centre, cameras.size)
    drawn = rasterize(bare(vertices, body.drawn, normals), own, cameras.size)
    out: dict[str, Tensor] = {"joints": joints, "vertices": vertices}
    for side, fragments in zip(SIDES, drawn):
        normal, part, uv = surface(body, normals, fragments.picture, fragments.face - fragments.picture * len(body.drawn),
                                   fragments.bary, side)
        image = fragments.image(torch.cat([fragments.depth[:, None], normal, uv], 1))
        out[f"depth_{side}"], out[f"normal_{side}"], out[f"uv_{side}"] = image[:, 0], image[:, 1:4], image[:, 4:6]
        out[f"part_{side}"] = fragments.image(part, 0)
    out["mask"] = out["depth_front"] > 0
    return out
