"""Errors of a fitted body in the frames in which they are of one kind: along a bone, in depth, in the picture. Batched torch.

The ray frame of a person: camera axes turned so that the ray through the pelvis is z. A bone's frame there: its own direction b, then
b x z (turning about it moves the bone's far end away from the camera), then what is left (turning about it moves the bone in the picture).
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from neural.body.model import BodyModel
from neural.contract.joints import JOINT, SMPL_JOINTS, SMPL_PARENTS, mirrored

_NEXT = {"pelvis": "spine1", "spine1": "spine2", "spine2": "spine3", "spine3": "neck", "neck": "head", "hip": "knee", "knee": "ankle",
         "ankle": "foot", "collar": "shoulder", "shoulder": "elbow", "elbow": "wrist", "wrist": "hand"}
SWAP = torch.tensor(mirrored(SMPL_JOINTS))
PARENTS = tuple(SMPL_PARENTS)
MIRROR = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))


def _path() -> tuple[Tensor, Tensor]:
    """child (24, 24): the joint after j on the way from the pelvis to k, 0 where j is not on it; on (24, 24) float: whether it is."""
    child, on = torch.zeros(24, 24, dtype=torch.long), torch.zeros(24, 24)
    for k in range(24):
        c = k
        while PARENTS[c] >= 0:
            child[k, PARENTS[c]], on[k, PARENTS[c]] = c, 1.0
            c = PARENTS[c]
    return child, on


CHILD, ON = _path()


@lru_cache(maxsize=4)
def body(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Our model: joint_mean (24, 3), joint_directions (24, 3, 10), directions of the bones at rest (24, 3); y of the template (V,) and its
    directions (V, 10), for the standing height."""
    model = BodyModel.load()
    mean = torch.as_tensor(model.joint_mean).float()
    at = {n: mean[JOINT[n]] for n in SMPL_JOINTS}
    rest = []
    for n in SMPL_JOINTS:
        side, _, name = n.rpartition("_")
        child = _NEXT.get(name)
        if n == "head":
            rest.append(torch.tensor([0.0, 1.0, 0.0]))
        elif child is None:                                        # foot, hand: as the bone before
            before = SMPL_JOINTS[PARENTS[JOINT[n]]]
            rest.append(at[n] - at[before])
        else:
            rest.append(at[f"{side}_{child}" if side else child] - at[n])
    out = (mean, torch.as_tensor(model.joint_directions[..., :10]).float(), F.normalize(torch.stack(rest), dim=-1),
           torch.as_tensor(model.template[:, 1]).float(), torch.as_tensor(model.directions[:, 1, :10]).float())
    return tuple(t.to(device) for t in out)


def standing_height(betas: Tensor) -> Tensor:
    """(P, 10) -> (P,) metres at scale 1."""
    _, _, _, y, directions = body(betas.device)
    rest = y + betas @ directions.T
    return rest.amax(1) - rest.amin(1)


def rest_joints(betas: Tensor) -> Tensor:
    """(P, 10) -> (P, 24, 3) metres at scale 1."""
    mean, directions, *_ = body(betas.device)
    return mean + torch.einsum("jdb,pb->pjd", directions, betas)


def bone_vectors(rotations: Tensor, betas: Tensor, scale: Tensor) -> Tensor:
    """(P, 24, 3): from the parent to each joint (0 for the pelvis); rotations (P, 24, 3, 3) against the T-pose."""
    rest = rest_joints(betas) * scale[:, None, None]
    parent = torch.tensor([max(p, 0) for p in PARENTS], device=rest.device)
    return torch.einsum("pjab,pjb->pja", rotations[:, parent], rest - rest[:, parent])


def chain(vectors: Tensor) -> Tensor:
    """Bone vectors (P, 24, 3) -> joints (P, 24, 3) with the pelvis at 0."""
    reach = torch.zeros(24, 24, device=vectors.device)
    for k in range(24):
        c = k
        while c > 0:
            reach[k, c] = 1.0
            c = PARENTS[c]
    return torch.einsum("kc,pcd->pkd", reach, vectors)


def to_ray(direction: Tensor) -> Tensor:
    """(P, 3) -> (P, 3, 3): the smallest turn that makes the direction z."""
    d = F.normalize(direction, dim=-1)
    x, y, z = d.unbind(-1)
    k = 1 / (1 + z)
    rows = [1 - k * x * x, -k * x * y, -x, -k * x * y, 1 - k * y * y, -y, x, y, z]
    return torch.stack(rows, -1).view(-1, 3, 3)


def frames(rotations: Tensor) -> Tensor:
    """rotations (P, 24, 3, 3) in the ray frame -> (P, 24, 3, 3): columns along, depth, picture."""
    along = torch.einsum("pjab,jb->pja", rotations, body(rotations.device)[2])
    ahead = torch.tensor([0.0, 0.02, 1.0], device=along.device)    # a bone that points at the camera still has a frame
    depth = F.normalize(torch.linalg.cross(along, ahead.expand_as(along)), dim=-1)
    return torch.stack([along, depth, torch.linalg.cross(along, depth)], -1)


def exp(v: Tensor) -> Tensor:
    """(…, 3) turns (radians) -> (…, 3, 3)."""
    angle = v.norm(dim=-1, keepdim=True).clamp(min=1e-8)[..., None]
    k = skew(v / angle[..., 0])
    return torch.eye(3, device=v.device) + torch.sin(angle) * k + (1 - torch.cos(angle)) * (k @ k)


def log(r: Tensor) -> Tensor:
    """(…, 3, 3) -> (…, 3); angles below 180 degrees."""
    off = torch.stack([r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]], -1)
    sine = off.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    angle = torch.atan2(sine, r.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) - 1)
    return off / sine * angle


def skew(v: Tensor) -> Tensor:
    """(…, 3) -> (…, 3, 3) with skew(v) @ w = v x w."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).view(*v.shape[:-1], 3, 3)


def view_of(root: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations of the pelvis (P, 3, 3) in the ray frame -> view (P,) 0 front, 1 side, 2 back, and whether a side view faces the picture's left."""
    ahead = root[..., 2]
    turn = torch.atan2(ahead[:, 0], -ahead[:, 2])                  # 0: towards the camera
    view = torch.where(turn.abs() < 0.96, 0, torch.where(turn.abs() > 2.18, 2, 1))
    return view, (view == 1) & (turn < 0)


def mirror_turns(values: Tensor) -> Tensor:
    """Turns (P, 24, 3) in bones' frames, as the same picture has them in a mirror: left and right change places; along and picture change sign."""
    return values[:, SWAP.to(values.device)] * torch.tensor([-1.0, 1.0, -1.0], device=values.device)
