"""The posed body in batched torch and its maps: one meaning for the pipeline (stage s03) and for training.

    tables -> pose (P bodies at once) -> any rasteriser's fragments -> `surface` -> `images` -> `network_input`
    stage s03's BodyMaps -> `from_stage` ----------------------------------------^

A set of maps is a dict of tensors for P pictures of M x M, front = nearest surface on the ray, back = farthest:
    depth_front, depth_back     (P, M, M) float32 z metres, camera frame; 0 where there is nothing.
    normal_front, normal_back   (P, 3, M, M) float32 unit, outward, camera frame (front z <= 0, back z >= 0); 0.
    part_front, part_back       (P, M, M) uint8 SMPL joint with the largest weight + 1; 0 = nothing.
    uv_front, uv_back           (P, 2, M, M) float32 in [0, 1], the model's UVs; 0.
    mask                        (P, M, M) bool.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from ..contract.joints import SMPL_PARENTS
from .model import BodyModel

SIDES = ("front", "back")

CHANNELS = ("mask", "depth_front", "depth_back", "normal_front_x", "normal_front_y", "normal_front_z",
            "normal_back_x", "normal_back_y", "normal_back_z", "u_front", "v_front", "u_back", "v_back")
"""The channels of `network_input`, in order."""


@dataclass(frozen=True)
class BodyTables:
    """A BodyModel's arrays as float32 / int64 tensors on one device. V vertices, B shape directions.

    template (V, 3), directions (V, 3, B), joint_mean (24, 3), joint_directions (24, 3, B), weights (V, 24), ancestors (24, 24): 1 where
    the column is the row's joint or above it. faces (F, 3): all, for normals; drawn (G, 3) without the hidden inside, uv_faces (G, 3)
    into uv (U, 2); part (V,) int64 joint with the largest weight.
    """

    template: Tensor
    directions: Tensor
    joint_mean: Tensor
    joint_directions: Tensor
    weights: Tensor
    ancestors: Tensor
    faces: Tensor
    around: Tensor
    drawn: Tensor
    uv_faces: Tensor
    uv: Tensor
    part: Tensor

    def to(self, device: str | torch.device) -> "BodyTables":
        return BodyTables(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def tables(model: BodyModel, device: str | torch.device = "cpu") -> BodyTables:
    """The tensors of a model."""
    single = lambda a: torch.as_tensor(np.ascontiguousarray(a, np.float32), device=device)
    whole = lambda a: torch.as_tensor(np.ascontiguousarray(a, np.int64), device=device)
    above = np.eye(24)
    for j, parent in enumerate(SMPL_PARENTS):
        if parent >= 0:
            above[j] += above[parent]
    seen = ~model.inner[model.faces].all(1)
    return BodyTables(single(model.template), single(model.directions), single(model.joint_mean), single(model.joint_directions),
                      single(model.weights), single(above), whole(model.faces), whole(_faces_around(model.faces, len(model.template))),
                      whole(model.faces[seen]), whole(model.uv_faces[seen]), single(model.uv), whole(model.part))


def pose(body: BodyTables, rotations: Tensor, betas: Tensor, scale: Tensor, translation: Tensor) -> tuple[Tensor, Tensor]:
    """Linear blend skinning of P bodies, the same as BodyModel.posed.

    rotations (P, 24, 3, 3): world rotations that take the T-pose (frame `body`) to the axes wanted (camera); betas (P, b <= B); scale (P,);
    translation (P, 3) metres added to everything (joint 0 lies at its rest place + translation) -> vertices (P, V, 3), joints (P, 24, 3).
    """
    rest = (body.template + torch.einsum("vdb,pb->pvd", body.directions[..., :betas.shape[1]], betas)) * scale[:, None, None]
    joints, placed = joints_of(body, rotations, betas, scale, translation)
    shift = placed - (rotations @ joints[..., None])[..., 0]
    blend = body.weights @ torch.cat([rotations.flatten(2), shift], 2)                         # (P, V, 12)
    vertices = (blend[..., :9].unflatten(-1, (3, 3)) * rest[..., None, :]).sum(-1) + blend[..., 9:]
    return vertices, placed


def joints_of(body: BodyTables, rotations: Tensor, betas: Tensor, scale: Tensor, translation: Tensor) -> tuple[Tensor, Tensor]:
    """As `pose`, the joints only: at rest and posed, (P, 24, 3) each."""
    joints = (body.joint_mean + torch.einsum("jdb,pb->pjd", body.joint_directions[..., :betas.shape[1]], betas)) * scale[:, None, None]
    parents = list(SMPL_PARENTS)[1:]
    bones = (rotations[:, parents] @ (joints[:, 1:] - joints[:, parents])[..., None])[..., 0]
    return joints, body.ancestors @ torch.cat([joints[:, :1] + translation[:, None], bones], 1)


def vertex_normals(body: BodyTables, vertices: Tensor) -> Tensor:
    """(P, V, 3) -> (P, V, 3) unit normals, area-weighted, outward; summed in a fixed order, so that every device gives the same."""
    a, b, c = (vertices[:, body.faces[:, k]] for k in range(3))
    face = torch.nn.functional.pad(torch.linalg.cross(b - a, c - a), (0, 0, 0, 1))
    out = face[:, body.around[:, 0]]
    for k in range(1, body.around.shape[1]):
        out = out + face[:, body.around[:, k]]
    return torch.nn.functional.normalize(out, dim=-1, eps=1e-20)


def _faces_around(faces: np.ndarray, count: int) -> np.ndarray:
    """(F, 3) -> (count, K) int64: the faces at each vertex, F where there are fewer than K."""
    order = np.argsort(faces.ravel(), kind="stable")
    valence = np.bincount(faces.ravel(), minlength=count)
    out = np.full((count, valence.max()), len(faces), np.int64)
    first = np.cumsum(valence) - valence
    vertex = faces.ravel()[order]
    out[vertex, np.arange(len(order)) - first[vertex]] = order // 3
    return out


def towards(normals: Tensor, side: str) -> Tensor:
    """(N, 3) camera frame -> unit normals kept on their own side: front z <= 0, back z >= 0.

    Smooth normals at the rim may look a little past the horizon; those are laid onto it.
    """
    sign = -1.0 if side == "front" else 1.0
    z = torch.where(normals[:, 2] * sign < 0, torch.zeros_like(normals[:, 2]), normals[:, 2])
    return torch.nn.functional.normalize(torch.stack([normals[:, 0], normals[:, 1], z], 1), dim=1, eps=1e-9)


def surface(body: BodyTables, normals: Tensor, picture: Tensor, face: Tensor, bary: Tensor, side: str) -> tuple[Tensor, Tensor, Tensor]:
    """What N covered pixels show. normals (P, V, 3) camera frame; picture (N,) which body, face (N,) row of `drawn`, bary (N, 3)
    -> normal (N, 3), part (N,) uint8 (joint + 1), uv (N, 2)."""
    corner = body.drawn[face]
    normal = (normals[picture[:, None], corner] * bary[..., None]).sum(1)
    nearest = corner.gather(1, bary.argmax(1, keepdim=True))[:, 0]
    uv = (body.uv[body.uv_faces[face]] * bary[..., None]).sum(1)
    return towards(normal, side), (body.part[nearest] + 1).to(torch.uint8), uv


def from_stage(maps, device: str | torch.device = "cpu") -> dict[str, Tensor]:
    """stages.s03_body.BodyMaps (numpy, one picture) -> the dict of this module with P = 1."""
    out = {}
    for side in SIDES:
        depth = torch.as_tensor(getattr(maps, f"depth_{side}"), device=device)
        out["mask"] = torch.isfinite(depth)[None]
        out[f"depth_{side}"] = torch.nan_to_num(depth, nan=0.0)[None]
        for name in ("normal", "uv"):
            value = torch.as_tensor(getattr(maps, f"{name}_{side}"), device=device)
            out[f"{name}_{side}"] = value.permute(2, 0, 1)[None].contiguous()
        out[f"part_{side}"] = torch.as_tensor(getattr(maps, f"part_{side}"), device=device)[None]
    return out


def network_input(maps: dict[str, Tensor], middle: Tensor) -> Tensor:
    """The maps as a network takes them: (P, 13, M, M) float32, CHANNELS; 0 outside the body.

    middle (P,) z of the pelvis in metres (Body.joints[0, 2], or the same joint of `pose`): depths are metres from it, positive = farther.
    UVs are moved from [0, 1] to [-1, 1].
    """
    mask = maps["mask"][:, None].to(torch.float32)
    depth = torch.stack([maps["depth_front"], maps["depth_back"]], 1) - middle[:, None, None, None]
    uv = torch.cat([maps["uv_front"], maps["uv_back"]], 1) * 2 - 1
    return torch.cat([mask, depth * mask, maps["normal_front"], maps["normal_back"], uv * mask], 1)
