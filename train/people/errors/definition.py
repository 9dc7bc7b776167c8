"""What is no error of s03: the avatars' bones are turned a little otherwise at rest than our body's (feet turned out, a straighter spine).

Such a difference is fixed in the bone's own frame, whereas an error in depth changes its sign between a front and a back view: the mean over
views, each counting the same, is the difference of definition. It is taken out of the truth before anything else is measured.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from neural.body.model import BodyModel
from neural.contract.joints import JOINT

from ...lifter.errors import shape_of
from .bones import SWAP, bone_vectors, body, chain, exp, log, to_ray, view_of
from .collect import Case

ARMS = [JOINT[f"{s}_{n}"] for s in ("left", "right") for n in ("shoulder", "elbow", "wrist", "hand")]
"""Of these only the turn along the bone is taken for definition: s03 pushes arms that it does not see away from the camera in every view."""


def definition(cases: list[Case]) -> torch.Tensor:
    """(24, 3) radians: our joint = the avatar's @ exp(turn), in the frame of our T-pose."""
    get = lambda n: torch.tensor(np.stack([getattr(c, n) for c in cases])).float()
    true, seen, at = get("true_rotations"), get("rotations"), get("true_joints")[:, 0]
    at = at[:, :2] / at[:, 2:]
    one = torch.ones(len(at), 1)
    ray = to_ray(torch.cat([at, one], 1))
    ray_seen = to_ray(torch.cat([at * (get("true_focal") / get("focal"))[:, None], one], 1))
    straight = ray[:, None] @ true
    turns = log(straight.mT @ ray_seen[:, None] @ seen)
    turns = (turns + turns[:, SWAP] * torch.tensor([1.0, -1.0, -1.0])) / 2
    view, _ = view_of(straight[:, 0])
    mean = torch.stack([turns[view == v].median(0).values for v in range(3) if (view == v).any()]).mean(0)
    along = body(mean.device)[2][ARMS]
    mean[ARMS] = (mean[ARMS] * along).sum(1, keepdim=True) * along
    return mean


def redefined(cases: list[Case], turns: torch.Tensor) -> list[Case]:
    """The cases with the true body turned by `definition` and brought to the avatar's bones anew."""
    model, out = BodyModel.load(), []
    for c in cases:
        world = c.true_rotations @ exp(turns).double().numpy()
        betas, scale, shift = shape_of(model, world, c.true_avatar)
        row = lambda a: torch.as_tensor(np.asarray(a), dtype=torch.float32)[None]
        joints = chain(bone_vectors(row(world), row(betas), row(scale)))[0].numpy() + shift
        out.append(replace(c, true_rotations=world, true_betas=betas, true_scale=np.array(scale), true_translation=shift, true_joints=joints))
    return out
