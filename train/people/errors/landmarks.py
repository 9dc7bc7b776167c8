"""Landmarks as s02 would find them: 2D points and visibility, with errors measured on renders (train/lifter/errors.npz)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ...lifter import errors as lifter
from ..photo import chance
from ..types import Cameras
from .bones import to_ray

FILE = Path(lifter.__file__).with_name("errors.npz")
MIXED, JITTER = 6, 0.004
"""Measured pictures whose errors are blended into a new one (never the same twice); spread added, in units of the body's size."""


@lru_cache(maxsize=2)
def _errors(device: torch.device) -> lifter.Errors:
    e = lifter.Errors.load(FILE)
    return lifter.Errors(**{k: v.to(device) for k, v in vars(e).items()})


def noisy(landmarks: Tensor, cameras: Cameras, seeds: Tensor, inside: Tensor | None = None, strength: float = 0.75) -> tuple[Tensor, Tensor]:
    """landmarks (P, >= 33, 3) world metres, BlazePose's 33 first (People.landmarks); seeds (P,) int64; inside (P, S, S) bool: pixels of the
    photo (Placed.inside; None: the whole canvas) -> pixels (P, 33, 2) of the canvas, visibility (P, 33) in [0, 1] as Person has them.

    Errors and visibility of bodies that look alike to the camera, blended: a limb that was hidden there is badly seen here.
    strength: factor of the 2D errors (measured on smaller pictures than most photos; 0.75 gives the medians of larger ones); visibility
    does not hang on it.
    """
    e, points = _errors(landmarks.device), landmarks[:, :33]
    seen = torch.einsum("pab,pnb->pna", cameras.rotation, points) + cameras.shift[:, None]
    depth = seen[..., 2:].clamp(min=0.05)
    pixels = seen[..., :2] / depth * cameras.focal[:, None, None] + cameras.centre[:, None]
    virtual = torch.einsum("pab,pnb->pna", to_ray(seen[:, 23:25].mean(1)), seen)
    unit = lifter.unit_of(virtual)[:, None, None]
    bones, facing = lifter.bones_of(virtual) / unit, lifter.facing_of(virtual)
    near = -torch.cdist(lifter.look_of(bones, facing), e.look).square() / (2 * lifter.NEAR ** 2)
    u = chance.draws(seeds, near.shape[1] + MIXED + 66, 71)
    gumbel = -torch.log(-torch.log(u[:, :near.shape[1]].clamp(1e-7, 1 - 1e-6)))
    row = (near + gumbel).topk(MIXED, dim=1).indices               # drawn without putting back, with the softmax's chances
    share = chance.bell(u[:, near.shape[1]:near.shape[1] + MIXED])
    share = lifter.LARGER * share / share.norm(dim=1, keepdim=True)
    jitter = chance.bell(u[:, -66:]).view(-1, 33, 2)
    miss = e.shift[lifter.view_of(facing)] + torch.einsum("pk,pknd->pnd", share, e.flat[row]) + JITTER * jitter
    pixels = pixels + strength * miss * unit * (cameras.focal[:, None] / depth[:, :, 0])[..., None]
    visibility = 0.15 + 0.6 * e.trust[row[:, 0]]                   # the inverse of s03's trust_of
    visibility = torch.where(e.trust[row[:, 0]] >= 0.999, 0.9 + 0.1 * chance.draws(seeds, 33, 72), visibility)
    return pixels, torch.where(_on(pixels, inside, cameras.size), visibility, visibility.clamp(max=0.3))


def _on(pixels: Tensor, inside: Tensor | None, size: int) -> Tensor:
    """(P, 33) bool: the landmark lies on the canvas, within the photo."""
    on = ((pixels >= 0) & (pixels < size)).all(-1)
    if inside is None:
        return on
    at = pixels.clamp(0, size - 1).long()
    return on & inside.flatten(1).gather(1, at[..., 1] * size + at[..., 0])
