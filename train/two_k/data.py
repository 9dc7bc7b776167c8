"""Samples of the generator -> what the network is told (door.View) and what it should answer (Targets).

The network answers in the frame of s03's body: its camera is the one that s03 assumes, its metres are that body's (generator.to_view),
and it leans as that body leans (`lean`): how far a person leans to or from the camera, no picture tells, and mesh and rig must agree.
The person is asked for as a whole, also where something stands in front or the photo ends: a mesh wants no holes, and a fitted body lies
behind. What cannot be seen weighs little (HIDDEN), so that the network spends itself on what can, and says by its uncertainty what it guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neural.contract.joints import LANDMARKS
from neural.nets.two_k.door import TRUSTED, View, depth_target, joints_from_landmarks
from neural.nets.two_k.ours import unit

from ..people.generator import to_view

FIELDS = ("image", "visible", "mask_seen", "depth_front", "depth_back", "normal_front", "normal_back", "body_depth_front", "body_depth_back",
          "body_normal_front", "body_normal_back", "body_part_front", "body_part_back", "joints", "body_joints", "metres", "assumed_focal", "centre",
          "border", "landmarks_seen", "landmarks_trust")
"""Of a sample (generator.FIELDS), what training reads; the rest need not be kept."""

HIDDEN, RIM = 0.3, 0.3
"""Weights of pixels of the person that are not seen, and of those at the mask's edge, where one pixel holds both person and background."""


@dataclass(frozen=True)
class Targets:
    """S x S, front then back. normals (B, 6, S, S) unit, camera axes, 0 outside; depth (B, 2, S, S) as COMPACT's raw depths (sides of the
    canvas from the pelvis), less the lean, 0 outside; mask (B, 1, S, S) 0 or 1: the whole person; inner (B, 1, S, S): weight of normals and
    depths, 0 outside the person; outer (B, 1, S, S): weight of the mask; seen (B, 1, S, S) 0 or 1: the person where the photo shows it.
    lean (B, 3): slopes in x and y, pixels per pixel, and offset in sides, of the plane that was taken from the true depths."""

    normals: Tensor
    depth: Tensor
    mask: Tensor
    inner: Tensor
    outer: Tensor
    seen: Tensor
    lean: Tensor

    def at(self, side: int) -> "Targets":
        """The same on a smaller canvas. Normals are means; depths are taken, not mixed, so that nothing floats between an arm and the chest."""
        k = self.mask.shape[-1] // side
        if k * side != self.mask.shape[-1]:
            raise ValueError(f"{self.mask.shape[-1]} pixels are no multiple of {side}")
        if k == 1:
            return self
        pick = lambda t: t[..., k // 2::k, k // 2::k]
        mean = lambda t: F.avg_pool2d(t, k)
        mask = (mean(self.mask) >= 0.5).float()
        there = mask * pick(self.mask)
        inner = mean(self.inner) * there
        normals = unit(mean(self.normals)) * (inner > 0)
        return Targets(normals, pick(self.depth), mask, inner, mean(self.outer), there * (mean(self.seen) >= 0.5), self.lean)


@dataclass(frozen=True)
class Batch:
    view: View
    targets: Targets


def batch_of(sample: dict[str, Tensor], rng: np.random.Generator | None = None) -> Batch:
    """A sample's fields (FIELDS, tensors of one device) -> Batch. rng: forgets some joints, as s02 and a cropped photo do; None = tells all."""
    view = view_of(sample, rng)
    return Batch(view, targets_of(sample, view))


def view_of(sample: dict[str, Tensor], rng: np.random.Generator | None = None) -> View:
    body = {name: sample[f"body_{name}"] for name in ("depth_front", "depth_back", "normal_front", "normal_back", "part_front", "part_back")}
    body["mask"] = body["depth_front"] > 0
    return View(sample["image"], sample["mask_seen"][:, None], inside_of(sample["border"], sample["image"].shape[-1]), sample["assumed_focal"],
                sample["centre"], joints_of(sample, rng), body, sample["body_joints"][:, 0, 2])


def inside_of(border: Tensor, side: int) -> Tensor:
    """(B, 4) x0, y0, x1, y1 -> (B, 1, S, S) float: the pixel's centre lies within the photo."""
    at = torch.arange(side, device=border.device) + 0.5
    x0, y0, x1, y1 = border[:, :, None].unbind(1)
    return (((at >= y0) & (at < y1))[:, None, :, None] & ((at >= x0) & (at < x1))[:, None, None, :]).float()


def joints_of(sample: dict[str, Tensor], rng: np.random.Generator | None = None) -> np.ndarray:
    """(B, 31, 2) float64 pixels; half of the badly seen landmarks and a few others are not told when rng is given."""
    points = sample["landmarks_seen"].double().cpu().numpy()
    if rng is not None:
        trust = sample["landmarks_trust"].cpu().numpy()
        lost = (rng.random(trust.shape) < np.where(trust < TRUSTED, 0.5, 0.02))
        points = np.where(lost[..., None], np.nan, points)
    return joints_from_landmarks(points, LANDMARKS)


def targets_of(sample: dict[str, Tensor], view: View) -> Targets:
    front, back = (to_view(sample[f"depth_{side}"], sample) for side in ("front", "back"))
    mask = (front > 0).float()[:, None]
    depth = torch.nan_to_num(depth_target(view, front, back), nan=0.0)
    seen = mask * (sample["visible"][:, None] > 0.5) * view.inside
    core = (F.avg_pool2d(F.pad(mask, (1, 1, 1, 1), mode="replicate"), 3, 1) > 0.999).float()
    shown = HIDDEN + (1 - HIDDEN) * torch.maximum(seen, (1 - mask) * view.inside)
    # a rim pixel is partly covered: its coverage says nothing about being hidden
    hidden = mask * core * (1 - seen)
    near_hidden = F.max_pool2d(hidden, 3, 1, 1)
    shown = torch.where((mask * (1 - core) > 0) & (near_hidden == 0) & (view.inside > 0), 1.0, shown)
    normals = torch.cat([sample["normal_front"], sample["normal_back"]], 1) * mask
    lean = lean_of(depth, mask, view)
    depth = (depth - plane(lean, depth.shape[-1])) * mask
    return Targets(normals, depth, mask, mask * shown * (RIM + (1 - RIM) * core), shown, seen, lean)


GRID, ROUNDS, SAME = 64, 8, 0.01
"""The lean is found on a canvas of about this side; errors of more than SAME (sides, 2 cm of a whole person) count only by their length."""


def lean_of(depth: Tensor, mask: Tensor, view: View) -> Tensor:
    """True depths (B, 2, S, S) in sides and where (B, 1, S, S) -> (B, 3): the plane that brings the fitted body's depths nearest to them,
    in the sense of least absolute errors (one limb that is fitted wrongly does not turn it). 0 where body and person hardly meet."""
    body, k = view.body, max(depth.shape[-1] // GRID, 1)
    if body["depth_front"].shape[-1] != depth.shape[-1]:
        raise ValueError("the body's maps are not of the canvas's size")
    pick = lambda t: t[..., k // 2::k, k // 2::k].double()
    fitted = depth_target(view, body["depth_front"], body["depth_back"])
    miss = pick(depth - torch.nan_to_num(fitted))
    on = (pick(mask) * pick((body["depth_front"] > 0)[:, None].to(depth.dtype))).expand_as(miss)
    at = _at(depth.shape[-1], depth.device)[k // 2::k]
    side = len(at)
    terms = torch.stack([at.expand(side, side), at[:, None].expand(side, side), torch.ones_like(at).expand(side, side)]).double()
    lean, weight = torch.zeros(len(depth), 3, dtype=torch.float64, device=depth.device), on
    ridge = 1e-3 * torch.eye(3, dtype=torch.float64, device=depth.device)
    for _ in range(ROUNDS):
        square = torch.einsum("iyx,jyx,bsyx->bij", terms, terms, weight)
        lean = torch.linalg.solve(square + ridge, torch.einsum("iyx,bsyx->bi", terms, weight * miss))
        weight = on / (miss - torch.einsum("bi,iyx->byx", lean, terms)[:, None]).abs().clamp(min=SAME) * SAME
    enough = on[:, 0].mean((1, 2)) > 0.005
    return (lean * enough[:, None]).to(depth.dtype)


def plane(lean: Tensor, side: int) -> Tensor:
    """(B, 3) -> (B, 1, side, side) sides."""
    at = _at(side, lean.device).to(lean.dtype)
    x, y, offset = lean[:, :, None, None].unbind(1)
    return (x * at + y * at[:, None] + offset)[:, None]


def _at(side: int, device) -> Tensor:
    """Places of the pixels' centres, sides of the canvas from its middle."""
    return (torch.arange(side, device=device) + 0.5) / side - 0.5
