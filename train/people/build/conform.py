"""Our body model turned until its bones point where another skeleton's do: whole characters have joints of their own artist's making."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from neural.contract.frames import BLENDER_FROM_BODY
from neural.contract.joints import JOINT, SMPL_PARENTS

from .readout import model
from .turn import between, nearest, unit

_HOLD = [JOINT[n] for n in ("left_hip", "right_hip", "left_shoulder", "right_shoulder", "neck")]
"""Points of the trunk on whose place artists agree."""
CHAINS = tuple((JOINT[f"{s}_{a}"], JOINT[f"{s}_{b}"]) for s in ("left", "right")
               for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")))
"""Bones whose directions are taken over: joint, and the joint that it moves."""


def conform(rotations: Tensor, joints: Tensor, betas: Tensor, scale: Tensor) -> Tensor:
    """rotations (P, 24, 3, 3) world, against the T-pose in `blender` axes; joints (P, 24, 3) of the other skeleton; betas (P, 10), scale (P,)
    -> rotations whose trunk lies in the other's (least squares over hips, shoulders, neck) and whose limbs are parallel to it. Twists
    along the limbs, hands and feet turn with them."""
    rest, out = _rest(betas, scale), rotations.clone()
    ours = _chain(out, rest)
    a = ours[:, _HOLD] - ours[:, _HOLD].mean(1, keepdim=True)
    b = joints[:, _HOLD] - joints[:, _HOLD].mean(1, keepdim=True)
    turn = nearest(b.mT @ a)
    out = turn[:, None] @ out                                            # the whole person; limbs are set straight below
    for joint, child in CHAINS:
        now = (out[:, joint] @ (rest[:, child] - rest[:, joint])[..., None])[..., 0]
        fix = between(unit(now), unit(joints[:, child] - joints[:, joint]))
        for k in _below(joint):
            out[:, k] = fix @ out[:, k]
    return out


def _rest(betas: Tensor, scale: Tensor) -> Tensor:
    """(P, 24, 3) joints at rest, `blender` axes, metres."""
    mean, directions, turn = _tables(str(betas.device))
    at = mean + torch.einsum("jdb,pb->pjd", directions[..., :betas.shape[1]], betas)
    return at @ turn.T * scale[:, None, None]


def _chain(rotations: Tensor, rest: Tensor) -> Tensor:
    out = [rest[:, 0]]
    for j, p in enumerate(SMPL_PARENTS[1:], start=1):
        out.append(out[p] + (rotations[:, p] @ (rest[:, j] - rest[:, p])[..., None])[..., 0])
    return torch.stack(out, 1)


@lru_cache(maxsize=32)
def _below(joint: int) -> tuple[int, ...]:
    """The joint and all that hang on it."""
    out = [joint]
    for j, p in enumerate(SMPL_PARENTS):
        if p in out:
            out.append(j)
    return tuple(out)


@lru_cache(maxsize=2)
def _tables(device: str) -> tuple[Tensor, Tensor, Tensor]:
    body = model()
    one = lambda x: torch.as_tensor(x, dtype=torch.float32, device=device)
    return one(body.joint_mean), one(body.joint_directions), one(BLENDER_FROM_BODY)
