"""The three phases of COMPACT as tasks of the shared loop (train/loop.py).

    coarse  normals, depth and mask at the coarse resolution, from image, matte and body
    parts   normals of body parts at full resolution, on coarse normals that stay as they are
    depth   the step that doubles depth, on everything before

Each trains its own nets; what came before is frozen, and nothing in it can drift (no statistics of batches).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neural.nets.two_k import ours
from neural.nets.two_k.config import TwoKConfig
from neural.nets.two_k.door import View, compact_inputs
from neural.nets.two_k.merge import cut, turned
from neural.nets.two_k.net import Inputs, TwoK
from neural.nets.two_k.ours import Coarse

from .augment import AugmentConfig, augment
from .data import Batch, Targets, batch_of
from .losses import body_scores, depth_loss, detail_loss, normal_loss, scores
from .mirror import mirror
from .sources import Source

TRAINED = {"coarse": ("img2normal_down", "ImgNorm_to_Dep", "embed"), "parts": ("img2normal_part",), "depth": ("refine",)}
"""Phase -> children of the network that learn in it."""

SLOW = {"refine.last": 0.3}
"""Its depths are in pixels of every canvas: large numbers for small changes."""

FACE = 2.0
"""Patches of faces count this much more than others: they are small, and people look at them first."""


@dataclass(frozen=True)
class Phase:
    """name: of TRAINED. canvas: (from which part of the training on, side of the canvas, samples in a batch), ascending; rows that begin at
    the same time take turns at random; validation is on the last. share: of all minutes."""

    name: str
    canvas: tuple[tuple[float, int, int], ...]
    share: float
    rate: float

    def now(self, part: float, chance: float = 1.0) -> tuple[int, int]:
        """Canvas and batch when `part` of the training is over; chance in [0, 1] chooses among those that take turns."""
        begun = max(c[0] for c in self.canvas if part >= c[0])
        turns = [c[1:] for c in self.canvas if c[0] == begun]
        return turns[min(int(chance * len(turns)), len(turns) - 1)]


def fresh(config: TwoKConfig, seed: int = 0) -> TwoK:
    """An untrained network."""
    torch.manual_seed(seed)
    return TwoK(config)


def finished(trained: torch.nn.Module, config: TwoKConfig) -> TwoK:
    """The network that `loop.run` returned, or its weights read back, as it is used: on the CPU, without what only training needs."""
    net = TwoK(config)
    net.load_state_dict({k: v.cpu() for k, v in trained.state_dict().items()})
    return net


class TwoKTask:
    """held: samples of part "val" of the phase's last canvas (data.FIELDS); called: before each batch, with the step; half: validation in bf16."""

    slow = SLOW

    def __init__(self, net: TwoK, phase: Phase, source: Source, held: dict[str, Tensor] | None, device: str = "cpu", seed: int = 0,
                 change: AugmentConfig = AugmentConfig(), called: Callable[[int], None] = lambda step: None, half: bool = False):
        self.net = net.to(device, memory_format=torch.channels_last)
        for name, child in net.named_children():
            child.requires_grad_(name in TRAINED[phase.name])
        if phase.name == "coarse":
            # normals are learnt from normals: the gradients of depth are far larger
            self.net.ImgNorm_to_Dep.register_forward_pre_hook(lambda module, given: (given[0], given[1].detach()))
        self.phase, self.source, self.held, self.device, self.seed = phase, source, held, device, seed
        self.change, self.called, self.half, self.coin = change, called, half, 1.0

    def batch(self, step: int, part: float) -> Batch:
        self.called(step)
        rng = np.random.default_rng((self.seed, tuple(TRAINED).index(self.phase.name), step))
        self.coin = float(rng.random())
        canvas, count = self.phase.now(part, float(rng.random()))
        sample = self.source.draw(canvas, count, rng)
        sample = mirror(sample, torch.as_tensor(rng.random(count) < self.change.mirror, device=self.device))
        return batch_of(augment(sample, rng, self.change), rng)

    def loss(self, net: TwoK, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        inputs = compact_inputs(batch.view)
        return getattr(self, f"_{self.phase.name}")(net, inputs, batch.targets)

    def _coarse(self, net: TwoK, inputs: Inputs, targets: Targets) -> tuple[Tensor, dict[str, Tensor]]:
        out = net.coarse(inputs)
        t = targets.at(out.raw.shape[-1])
        a, numbers = normal_loss(out.normals, t.normals, t.inner)
        b, more = depth_loss(out.raw, t)
        return a + b, {**numbers, **more}

    def _parts(self, net: TwoK, inputs: Inputs, targets: Targets) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            coarse, warps = net.coarse(inputs), net.warps(inputs)
            seen = net.part_inputs(inputs, coarse, warps)
        total, numbers, weights = 0.0, {}, 0.0
        for group, pictures in seen.items():
            true = cut([targets.normals, targets.inner], warps, group)
            normals, weight = ours.unit(turned(true[:, :6], warps.turns(warps.rows(group)))), true[:, 6:]
            out, weight = net.patch_normals(group, pictures, warps.config.canvas), weight * (weight > 0.1)
            loss, found = normal_loss(out, normals, weight)
            loss = loss + detail_loss(out, normals, weight)
            k = (FACE if group == "face" else 1.0) * len(pictures)
            total, weights = total + k * loss, weights + k
            numbers |= {f"{group}_{name}": v for name, v in found.items() if name == "front_deg"}
        return total / max(weights, 1.0), numbers

    def _depth(self, net: TwoK, inputs: Inputs, targets: Targets) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            coarse, warps = net.coarse(inputs), net.warps(inputs)
            normals = net.merged(net.part_normals(inputs, coarse, warps), warps, coarse).float()
            raw = coarse.raw.float()
        side = inputs.image.shape[-1]
        rays = ours.rays_of(inputs, side)
        # often from half the coarse size: the step learns to work on its own results, at more resolutions than the canvas has
        start = F.avg_pool2d(raw, 2) if self.coin < 0.5 else raw
        return depth_loss(net.fine(inputs, replace(coarse, raw=start), normals), targets, rays=rays, focal=inputs.rays[:, 0])

    def validate(self, net: TwoK) -> dict[str, float]:
        """Means over people; body_*: the fitted body alone; coarse_* in the later phases: without what this phase adds."""
        if self.held is None:
            return {}
        found: dict[str, list[Tensor]] = {}
        count = self.phase.now(1.0)[1]
        for first in range(0, len(self.held["image"]), count):
            sample = {k: v[first:first + count].to(self.device) for k, v in self.held.items()}
            with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.half):
                got = self._scores(net, batch_of(sample))
            for name, value in got.items():
                found.setdefault(name, []).append(value)
        return {name: float(torch.cat(v).mean()) for name, v in found.items()}

    def _scores(self, net: TwoK, batch: Batch) -> dict[str, Tensor]:
        view, t = batch.view, batch.targets
        inputs = compact_inputs(view)
        out = net.coarse(inputs)
        small, inside = t.at(out.raw.shape[-1]), ours.shrunk(view.inside, out.raw.shape[-1]) > 0.99
        out = replace(out, normals=out.normals.float(), raw=out.raw.float())
        at_coarse = scores(out.normals[:, :6], out.raw[:, :2], out.raw[:, 2:3] > 0, small, view.unit, inside)
        body = body_scores(out.base, small, view.unit, inside)
        if self.phase.name == "coarse":
            return {**at_coarse, **body}
        return {**self._fine_scores(net, inputs, out, view, t), **{f"coarse_{k}": v for k, v in at_coarse.items()}, **body}

    def _fine_scores(self, net: TwoK, inputs: Inputs, out: Coarse, view: View, t: Targets) -> dict[str, Tensor]:
        """On the canvas: with parts (and depth), and what the enlarged coarse maps would have."""
        warps = net.warps(inputs)
        normals = net.merged(net.part_normals(inputs, out, warps), warps, out)
        large = lambda x: F.interpolate(x, view.image.shape[-2:], mode="bilinear", align_corners=False)
        plain = scores(ours.unit(large(out.normals[:, :6])), large(out.raw[:, :2]), large(out.raw[:, 2:3]) > 0, t, view.unit, view.inside)
        raw = net.fine(inputs, out, normals) if self.phase.name == "depth" else large(out.raw)
        fine = scores(normals[:, :6], raw[:, :2], raw[:, 2:3] > 0, t, view.unit, view.inside)
        first = "depth_mm" if self.phase.name == "depth" else "front_deg"
        return {first: fine[first], **fine, **{f"enlarged_{k}": plain[k] for k in ("front_deg", "back_deg", "depth_mm")}}

