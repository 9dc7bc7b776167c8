"""Bodies as s03 would fit them: the picture agrees, depth is the weak half, errors run on down the limbs, lens and size are guesses.

A draw from the measured covariance (statistics.npz) of turns along, in depth and in the picture of every bone, of shape and place; then
conditioned on the picture: the fitted joints fall where the true ones do, up to the measured 2D error. Both steps are linear in the
draw (Gauss-Newton, twice), so that what remains is what the picture cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..photo import chance
from ..types import Cameras
from .bones import CHILD, ON, bone_vectors, chain, exp, frames, mirror_turns, rest_joints, skew, standing_height, to_ray, view_of
from .statistics import Statistics, measured

GUESS_M, HINT = 1.70, 1 / 3
"""s03's guess of a person's height: 1.70 m and a third of how far the fitted shape is off the mean body's height (s03_body._scale)."""

_LIMB = [4, 0, 1, 4, 0, 1, 4, 0, 1, 4, 0, 1, 4, 2, 3, 4, 2, 3, 2, 3, 2, 3, 2, 3]
"""Left leg, right leg, left arm, right arm, trunk and head: of each joint."""
WIDER, CLOSE = 1.2, 0.5
"""The draw is made wider than was measured, because agreeing with the picture narrows it again; and how closely, relative to the measured 2D
error, the picture is followed. Fitted by measure --compare."""

EASE = (0.5, 0.95)
"""Factor of the turns, even between these, by person. What is imitated at 1 has an MPJPE of 91 mm on the avatars' wild poses; s03's was measured
as 84 there, 65 on held generated people in all poses, 49 on those who stand."""


@dataclass(frozen=True)
class BodyConfig:
    """strength: factor of all errors, the guesses of size and lens included (0 = the truth); unseen: how much less the picture says about
    joints outside the canvas; rounds: of conditioning on the picture."""

    strength: float = 1.0
    unseen: float = 20.0
    rounds: int = 3


@dataclass(frozen=True)
class Fitted:
    """As stages.s03_body.Body. rotations (P, 24, 3, 3): joints against the T-pose, camera axes (not against parents); betas (P, 10); scale (P,);
    translation (P, 3): vertices = LBS(scale * shaped template, rotations) + translation, metres in the frame of `view`; joints (P, 24, 3)
    there; view: the camera that s03 assumes (rotation 1, shift 0, its own focal length)."""

    rotations: Tensor
    betas: Tensor
    scale: Tensor
    translation: Tensor
    joints: Tensor
    view: Cameras

    @property
    def local(self) -> Tensor:
        """(P, 24, 3, 3) rotations against the parents (pelvis: camera from body)."""
        from .bones import PARENTS
        parent = torch.tensor([max(p, 0) for p in PARENTS], device=self.rotations.device)
        out = self.rotations[:, parent].mT @ self.rotations
        out[:, 0] = self.rotations[:, 0]
        return out


def fitted(rotations: Tensor, betas: Tensor, scale: Tensor, joints: Tensor, cameras: Cameras, seeds: Tensor, assumed_focal: Tensor | None = None,
           config: BodyConfig = BodyConfig(), statistics: Statistics | None = None) -> Fitted:
    """rotations (P, 24, 3, 3), betas (P, 10), scale (P,), joints (P, 24, 3): of People, world; seeds (P,) int64; assumed_focal (P,) pixels:
    what s03 takes for the focal length (photo.camera.Placed.assumed_focal; None: the true one). Of joints, only the pelvis is read: the
    body model's own joints stand for the true ones."""
    known = statistics or measured()
    device = rotations.device
    part = min(config.strength, 1.0)
    focal = cameras.focal if assumed_focal is None else cameras.focal ** (1 - part) * assumed_focal ** part
    level = torch.eye(3, device=device).expand(len(seeds), 3, 3)
    view = Cameras(level, torch.zeros(len(seeds), 3, device=device), focal, cameras.centre, cameras.size)
    turned = cameras.rotation[:, None] @ rotations
    pelvis = torch.einsum("pab,pb->pa", cameras.rotation, joints[:, 0]) + cameras.shift
    vectors = bone_vectors(turned, betas, scale)
    true = pelvis[:, None] + chain(vectors)
    wanted = true[..., :2] / true[..., 2:].clamp(min=0.05) * cameras.focal[:, None, None] + cameras.centre[:, None]
    at = wanted[:, 0] - cameras.centre
    ray, ray_seen = (to_ray(torch.cat([at / f[:, None], torch.ones_like(at[:, :1])], 1)) for f in (cameras.focal, focal))

    straight = ray[:, None] @ turned                               # in the ray frame
    frame = frames(straight)
    view_row, left = view_of(straight[:, 0])
    ease = EASE[0] + (EASE[1] - EASE[0]) * chance.draws(seeds ^ 0x1B873593, 1, 61)
    mean, spread, mixing = _model(known, view_row, left, config.strength * ease, device)
    tail = _tails(seeds, known)
    mixing = mixing * tail[..., None]
    draw = mean + torch.einsum("pij,pj->pi", mixing, _normal(seeds, mixing.shape[2]))
    keep = 1 - part * (1 - torch.as_tensor(known.beta_keep, dtype=torch.float32, device=device))
    shape = keep * betas + draw[:, 72:82]
    height = standing_height(shape)
    guess = (GUESS_M + HINT * (height - standing_height(torch.zeros_like(betas[:1])))) / height
    size = scale ** (1 - part) * guess ** part

    person = standing_height(betas) * scale * cameras.focal / pelvis[:, 2]         # pixels of the standing body
    noise = torch.as_tensor(known.reproject, dtype=torch.float32, device=device) * config.strength * tail[:, :72:3]
    target = wanted + (person[:, None] * noise)[..., None] * _normal(seeds ^ 0x5DEECE66D, 48).view(-1, 24, 2)
    inside = ((wanted > 0) & (wanted < cameras.size)).all(-1)
    hidden = tail[:, :72:3].square()                               # a limb that errs much was not seen well
    unsure = torch.where(inside, CLOSE * hidden, config.unseen) * noise.clamp(min=1e-4)
    rows = torch.cat([torch.arange(72), torch.arange(82, 85)]).to(device)
    cover = mixing[:, rows] @ mixing[:, rows].mT
    distance = limbs(bone_vectors(turned, shape, size)) / limbs(vectors) * focal / cameras.focal * pelvis[:, 2]
    x = draw[:, rows]
    for turn in range(config.rounds + 1):
        world = ray_seen.mT[:, None] @ exp(torch.einsum("pjab,pjb->pja", frame, x[:, :72].view(-1, 24, 3))) @ straight
        bones = bone_vectors(world, shape, size)
        z = distance * torch.exp(x[:, 74])
        root = (wanted[:, 0] + person[:, None] * x[:, 72:74] - cameras.centre) / focal[:, None]
        root = torch.cat([root, torch.ones_like(root[:, :1])], 1) * z[:, None]
        found = root[:, None] + chain(bones)
        if turn == config.rounds or config.strength <= 0:
            break
        miss = (target - (found[..., :2] / found[..., 2:].clamp(min=0.05) * focal[:, None, None] + cameras.centre[:, None])) / person[:, None, None]
        j = _jacobian(found, bones, ray_seen.mT[:, None] @ frame, focal, person, root)
        gain = cover @ j.mT
        both = j @ gain + torch.diag_embed(unsure.repeat_interleave(2, 1).square())
        # towards the draw's conditional mean, linearised here: x = draw + gain both^-1 (miss + j (x - draw))
        rest = miss.flatten(1) + torch.einsum("pij,pj->pi", j, x - draw[:, rows])
        x = draw[:, rows] + torch.einsum("pij,pj->pi", gain, torch.linalg.solve(both, rest))
    rotations = world
    return Fitted(rotations, shape, size, root - rest_joints(shape)[:, 0] * size[:, None], found, view)


def _model(known: Statistics, view: Tensor, left: Tensor, strength: Tensor, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (P, 85), spread (P, 85) and mixing (P, 85, R + 85) of each person's view; side views to the left are mirrored ones.
    strength (P, 1)."""
    get = lambda a: torch.as_tensor(a, dtype=torch.float32, device=device)[view] * 1.0
    mean, spread = get(known.body_mean) * strength, get(known.body_spread) * strength * WIDER
    mixing = torch.cat([get(known.body_factors), torch.diag_embed(get(known.body_rest))], 2) * spread[..., None]

    def mirrored(columns: Tensor) -> Tensor:
        turns = mirror_turns(columns[:, :72].transpose(1, 2).reshape(-1, 24, 3)).reshape(len(columns), -1, 72).transpose(1, 2)
        return torch.cat([turns, columns[:, 72:82], -columns[:, 82:83], columns[:, 83:]], 1)

    pick = left[:, None, None]
    return torch.where(pick[..., 0], mirrored(mean[..., None])[..., 0], mean), spread, torch.where(pick, mirrored(mixing), mixing)


def _tails(seeds: Tensor, known: Statistics) -> Tensor:
    """(P, 85) factors with a mean square of 1: by picture, and for the turns by limb."""
    picture, joint = (float(t) for t in known.tails)
    g = _normal(seeds ^ 0x2545F4914F6CDD1D, 6)
    limb = torch.tensor(_LIMB, device=seeds.device)
    own = torch.cat([(joint * g[:, 1 + limb] - joint ** 2).exp().repeat_interleave(3, 1), torch.ones(len(seeds), 13, device=seeds.device)], 1)
    return own * (picture * g[:, :1] - picture ** 2).exp()


def _jacobian(found: Tensor, bones: Tensor, frame: Tensor, focal: Tensor, person: Tensor, root: Tensor) -> Tensor:
    """(P, 48, 75): how joints in the picture (parts of the person) move with the turns, the pelvis' place and the log of its depth."""
    device = found.device
    arms = bones[:, CHILD.to(device)] * ON.to(device)[None, :, :, None]            # (P, k, j, 3): bone after j on the way to k
    moves = -skew(arms) @ frame[:, None]                                           # (P, k, j, 3, 3): of joint k by the turns of j
    moves = moves.permute(0, 1, 3, 2, 4).reshape(len(found), 24, 3, 72)
    z = root[:, 2]
    place = torch.zeros(len(found), 3, 3, device=device)
    place[:, 0, 0] = place[:, 1, 1] = z * person / focal
    place[:, :, 2] = root
    moves = torch.cat([moves, place[:, None].expand(-1, 24, -1, -1)], 3)
    depth = found[..., 2:].clamp(min=0.05)
    flat = (moves[:, :, :2] - moves[:, :, 2:] * (found[..., :2] / depth)[..., None]) / depth[..., None]
    return (flat * (focal / person)[:, None, None, None]).reshape(len(found), 48, 75)


def limbs(vectors: Tensor) -> Tensor:
    """Added length of the limbs' and trunk's bones."""
    rows = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 18, 19, 20, 21]
    return vectors[:, rows].norm(dim=-1).sum(1)


def _normal(seeds: Tensor, count: int) -> Tensor:
    return chance.bell(chance.draws(seeds, count, 61))
