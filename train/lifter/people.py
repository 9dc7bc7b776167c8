"""People made on the fly: pose, shape and camera at random, seen as s02 would see them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

import numpy as np
import torch

from neural.body.model import BodyModel
from neural.contract.joints import LANDMARK, LANDMARKS, SMPL_PARENTS, mirrored
from neural.nets.lifter.features import features

from .errors import Errors
from .poses import MIRROR

_L = LANDMARK
_SWAP = torch.as_tensor(np.array(mirrored(LANDMARKS)))
_FEET = [i for i, n in enumerate(LANDMARKS) if n.split("_")[-1] in ("ankle", "heel", "index") and ("foot" in n or "index" not in n)]
_KNEES = [_L["left_knee"], _L["right_knee"]]
_HIPS = [_L["left_hip"], _L["right_hip"]]
_ARM = {s: [_L[f"{s}_{n}"] for n in ("elbow", "wrist", "pinky", "index", "thumb")] for s in ("left", "right")}


@dataclass(frozen=True)
class CameraConfig:
    span_deg: tuple[float, float] = (10.0, 60.0)      # angle under which a standing person would be seen
    pitch_deg: tuple[float, float] = (5.0, 8.0)       # camera looking down: mean, spread; with the place in the picture about +-25
    roll_deg: float = 3.0
    front: float = 0.55                               # part of the people who stand within 40 degrees of facing the camera
    focal_error: float = 0.25                         # s02 assumes 50 degrees where the file does not say
    swap: float = 0.02                                # left and right leg exchanged
    real: float = 0.03                                # part of a batch that are measured pictures


@dataclass(frozen=True)
class Batch:
    """x (B, SIZE) features; world (B, 24, 3, 3) true rotations, virtual axes; joints (B, 24, 3) true, pelvis at the origin; betas (B, 6)."""

    x: torch.Tensor
    world: torch.Tensor
    joints: torch.Tensor
    betas: torch.Tensor


class People:
    def __init__(self, model: BodyModel, pool: np.ndarray, errors: Path | Sequence[Path], config: CameraConfig = CameraConfig(), seed: int = 0,
                 shapes: np.ndarray | None = None, pairs: Sequence[Path] = ()):
        """pool (N, 24, 3, 3) local rotations; shapes (M, 10) betas to draw from beside normal ones; errors: files that train.lifter.errors wrote,
        one of which each batch takes (those in the repository lack the pictures themselves, because they hold other people's poses);
        pairs: files of train.lifter.photos. Without either, all are made."""
        t = lambda a: torch.as_tensor(np.asarray(a)).float()
        self.config, self.g = config, torch.Generator().manual_seed(seed)
        files = [errors] if isinstance(errors, Path) else list(errors)
        self.errors, self.pool = [Errors.load(f) for f in files], t(pool)
        self.shapes = None if shapes is None else t(shapes)
        used, rows = np.unique(model.landmark_index[:33], return_inverse=True)
        self.rows, self.mix = torch.as_tensor(rows.reshape(-1, model.landmark_index.shape[1])), t(model.landmark_weight[:33])
        self.template, self.directions, self.weights = t(model.template[used]), t(model.directions[used][..., :10]), t(model.weights[used])
        self.rest, self.rest_directions = t(model.joint_mean), t(model.joint_directions[..., :10])
        with np.load(files[0]) as z:
            self.real = {k[5:]: t(z[k]) for k in z.files if k.startswith("pair_")}
        self.exact = 0
        for file in pairs:
            with np.load(file) as z:
                new = {k: t(z[k]) for k in ("rotations", "betas", "flat", "world", "trust", "down")}
            self.exact += len(new["trust"])
            self.real = {k: torch.cat([self.real[k], v]) for k, v in new.items()} if self.real else new

    def _rand(self, *shape, low=0.0, high=1.0):
        return low + (high - low) * torch.rand(*shape, generator=self.g)

    def _randn(self, *shape):
        return torch.randn(*shape, generator=self.g)

    def batch(self, n: int) -> Batch:
        real = int(self.config.real * n) if self.real else 0
        if not real:
            return self._made(n)
        a, b = self._made(n - real), self._measured(real)
        return Batch(*(torch.cat(pair) for pair in zip(vars(a).values(), vars(b).values())))

    def joints(self, world: torch.Tensor, betas: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """World rotations (B, 24, 3, 3), betas (B, K) -> posed and rest joints (B, 24, 3), pelvis at its rest place."""
        rest = self.rest + torch.einsum("jdk,bk->bjd", self.rest_directions[..., :betas.shape[1]], betas)
        out = [rest[:, 0]]
        for j, p in enumerate(SMPL_PARENTS[1:], start=1):
            out.append(out[p] + (world[:, p] @ (rest[:, j] - rest[:, p])[..., None])[..., 0])
        return torch.stack(out, 1), rest

    def _made(self, n: int) -> Batch:
        local = self.pool[torch.randint(len(self.pool), (n,), generator=self.g)]
        root = self._attitude(n) @ local[:, 0]
        world = [root]
        for j, p in enumerate(SMPL_PARENTS[1:], start=1):
            world.append(world[p] @ local[:, j])
        world = torch.stack(world, 1)
        betas = self._randn(n, 10) * 0.9
        if self.shapes is not None:
            betas = torch.where((self._rand(n) < 0.6)[:, None], self.shapes[torch.randint(len(self.shapes), (n,), generator=self.g)], betas)
        joints, rest = self.joints(world, betas)
        skin = self.template + torch.einsum("vdk,bk->bvd", self.directions, betas)
        shift = joints - (world @ rest[..., None])[..., 0]
        blend = (self.weights @ world.flatten(2)).view(n, -1, 3, 3)
        skin = (blend @ skin[..., None])[..., 0] + self.weights @ shift
        points = (skin[:, self.rows] * self.mix[..., None]).sum(2)
        span = torch.deg2rad(self._rand(n, low=self.config.span_deg[0], high=self.config.span_deg[1]))
        points = points - points[:, _HIPS].mean(1, keepdim=True)
        points[..., 2] += torch.maximum(1.7 / (2 * torch.tan(span / 2)), 0.4 - points[..., 2].amin(1))[:, None]
        seen, miss, trust = self.errors[int(torch.randint(len(self.errors), (1,), generator=self.g))].make(points, self.g)
        flat = (points[..., :2] + miss * (points[..., 2:] / points[..., 2].mean(1)[:, None, None])) / points[..., 2:].clamp(min=0.2)
        seen, trust = self._legs_swapped(seen, trust)
        trust = self._hidden(trust)
        focal = torch.exp(self.config.focal_error * self._randn(n))
        x = features(flat * focal[:, None, None], seen, trust, self.down)
        return Batch(x, world, joints - joints[:, :1], betas[:, :6])

    def _attitude(self, n: int) -> torch.Tensor:
        """(n, 3, 3): frame `body` of a person who stands on the floor -> virtual axes. Sets self.down."""
        c = self.config
        yaw = torch.where(self._rand(n) < c.front, self._rand(n, low=-40, high=40), self._rand(n, low=-180, high=180))
        below = 6 * self._randn(n)                             # degrees: the person's middle lies below the picture's
        pitch = c.pitch_deg[0] + c.pitch_deg[1] * self._randn(n)
        tall = self._rand(n) < 0.5                             # most photographers hold the camera level
        pitch = torch.where(tall, 0.35 * pitch, pitch)
        self.down = torch.sin(torch.deg2rad(below * torch.exp(-c.focal_error * self._randn(n))))
        flip = torch.diag(torch.tensor([1.0, -1, -1]))
        return _turn(torch.deg2rad(c.roll_deg * self._randn(n)), 2) @ _turn(torch.deg2rad(pitch + below), 0) @ flip @ _turn(torch.deg2rad(yaw), 1)

    def _legs_swapped(self, world, trust):
        """BlazePose takes one leg for the other now and then, seen from the side."""
        legs = [i for i, n in enumerate(LANDMARKS) if n.split("_")[-1] in ("knee", "ankle", "heel") or "foot" in n]
        pick = self._rand(len(world)) < self.config.swap
        swapped = world.clone()
        swapped[:, legs] = world[:, _SWAP[legs]]
        return torch.where(pick[:, None, None], swapped, world), trust

    def _hidden(self, trust: torch.Tensor) -> torch.Tensor:
        """Cut off by the picture's edge or covered: as s03's evidence says it, trust 0."""
        t, n = trust.clone(), len(trust)
        cut = self._rand(n)
        t[(cut < 0.25)[:, None] & _rows(_FEET)] = 0
        t[(cut < 0.18)[:, None] & _rows(_KNEES)] = 0
        t[(cut < 0.08)[:, None] & _rows(_HIPS)] = 0
        for side in ("left", "right"):
            gone = self._rand(n)
            t[(gone < 0.10)[:, None] & _rows(_ARM[side][1:])] = 0
            t[(gone < 0.04)[:, None] & _rows(_ARM[side])] = 0
            leg = [_L[f"{side}_{m}"] for m in ("knee", "ankle", "heel", "foot_index")]
            t[(self._rand(n) < 0.03)[:, None] & _rows(leg)] = 0
        return t

    def _measured(self, n: int) -> Batch:
        """Measured pictures, half of them mirrored, shaken a little."""
        rows = torch.randint(len(self.real["trust"]), (n,), generator=self.g)
        if 0 < self.exact < len(self.real["trust"]):            # as many of bodies that have our joints as of avatars
            some = self._rand(n) < 0.5
            rows = torch.where(some, len(self.real["trust"]) - 1 - rows % self.exact, rows)
        r = {k: v[rows] for k, v in self.real.items()}
        m = (self._rand(n) < 0.5)
        f3, d = torch.tensor([-1.0, 1, 1]), torch.diag(torch.tensor([-1.0, 1, 1]))
        pick = lambda a, b: torch.where(m.view(-1, *[1] * (a.dim() - 1)), b, a)
        world = pick(r["rotations"], d @ r["rotations"][:, torch.as_tensor(MIRROR)] @ d)
        flat, seen = pick(r["flat"], r["flat"][:, _SWAP] * f3[:2]), pick(r["world"], r["world"][:, _SWAP] * f3)
        trust = self._hidden(pick(r["trust"], r["trust"][:, _SWAP]))
        roll = _turn(torch.deg2rad(self.config.roll_deg * self._randn(n)), 2)
        world, seen = roll[:, None] @ world, seen @ roll.mT
        flat = flat @ roll[:, :2, :2].mT
        size = (flat[:, _L["left_shoulder"]] - flat[:, _L["right_hip"]]).norm(dim=-1)[:, None, None]
        flat = flat + 0.015 * size * self._randn(*flat.shape)
        seen = seen + 0.008 * self._randn(*seen.shape)
        betas = r["betas"][:, :6].clamp(-2.5, 2.5)
        joints, _ = self.joints(world, betas)
        return Batch(features(flat, seen, trust, r["down"]), world, joints - joints[:, :1], betas)


def _rows(rows: list[int]) -> torch.Tensor:
    out = torch.zeros(33, dtype=torch.bool)
    out[rows] = True
    return out


def _turn(a: torch.Tensor, axis: int) -> torch.Tensor:
    """(n,) angles -> (n, 3, 3) about a coordinate axis."""
    c, s, o, l = torch.cos(a), torch.sin(a), torch.zeros_like(a), torch.ones_like(a)
    rows = {0: [l, o, o, o, c, -s, o, s, c], 1: [c, o, s, o, l, o, -s, o, c], 2: [c, -s, o, s, c, o, o, o, l]}[axis]
    return torch.stack(rows, -1).view(-1, 3, 3)
