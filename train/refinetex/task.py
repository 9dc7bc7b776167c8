"""The phases as tasks of the shared loop (train/loop.py).

    identity  the encoder of what makes a person this person (the paper's re-identification network), on two photos of each
    texture   the texture: the direct losses and the paper's, as the row of the table says
    fine      the head that doubles the layout, on large photos and textures; all before it stays as it is
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neural.nets.refinetex.compact import Compact
from neural.nets.refinetex.identity import Identity
from neural.nets.refinetex.layout import layout
from neural.nets.refinetex.render import render
from neural.nets.refinetex.view import View

from ..losses.refinetex import same_person
from .change import ChangeConfig, changed, guessed_normals
from .objective import ObjectiveConfig, own_loss, pictures, shot_of, true_loss
from .pairs import split, swapped
from .rows import Row, Trained, paint
from .scores import fills, scores
from .sources import Kind, Source
from .views import view_of, wanted_of

PHASES = ("identity", "texture", "fine")

FINE = ("enlarge", "details")
"""Children of COMPACT that phase `fine` teaches; phase `texture` teaches the others."""


@dataclass(frozen=True)
class Step:
    """start: from which part of the training on. kind: of the samples. size: of the layout that the network works on; people: in a batch."""

    start: float
    kind: Kind
    size: int
    people: int


@dataclass(frozen=True)
class Phase:
    """name: of PHASES. steps: ascending; validation is on the last. share: of all minutes."""

    name: str
    steps: tuple[Step, ...]
    share: float
    rate: float

    def now(self, part: float) -> Step:
        return max((s for s in self.steps if part >= s.start), key=lambda s: s.start)


@dataclass(frozen=True)
class Batch:
    """sample: views.FIELDS of the photos that are painted; second: idem, of the same people, or None. normals: what the network is told (View).
    own: weight of the paper's losses in this step."""

    sample: dict[str, Tensor]
    second: dict[str, Tensor] | None
    normals: Tensor | None
    step: Step
    part: float
    own: float


def to_device(sample: dict[str, Tensor], device: str) -> dict[str, Tensor]:
    return {k: v.to(device) for k, v in sample.items()}


class TextureTask:
    """Phases texture and fine. held: validation samples of the phase's last step; called: before each batch, with the step's number."""

    def __init__(self, trained: Trained, phase: Phase, row: Row, source: Source, held: dict[str, Tensor] | None, identity: Identity,
                 device: str = "cpu", seed: int = 0, config: ObjectiveConfig = ObjectiveConfig(), change: ChangeConfig = ChangeConfig(),
                 called: Callable[[int], None] = lambda step: None, half: bool = False):
        self.net = trained.to(device, memory_format=torch.channels_last)
        ours, self.fine = isinstance(trained.net, Compact), phase.name == "fine"
        self.direct = ours and row.direct
        trained.requires_grad_(not self.fine)
        trained.sigma.requires_grad_(row.own and row.uncertainty and not self.fine)
        for name in FINE if ours and trained.net.config.fine else ():
            getattr(trained.net, name).requires_grad_(self.fine)
        self.identity = identity.to(device).eval().requires_grad_(False)
        self.phase, self.row, self.source, self.held, self.device, self.seed = phase, row, source, held, device, seed
        self.config, self.change, self.called, self.half = config, change, called, half
        if not (self.fine or row.own or self.direct):
            raise ValueError("nothing to learn from")

    def batch(self, step: int, part: float) -> Batch:
        self.called(step)
        rng = np.random.default_rng((self.seed, PHASES.index(self.phase.name), step))
        now = self.phase.now(part)
        sample = to_device(self.source.draw(now.kind, now.people, rng), self.device)
        second = None
        if now.kind.views == 2:
            sample = swapped(sample, torch.as_tensor(rng.random(now.people) < 0.5, device=self.device))
        sample = changed(sample, rng, now.kind.views, self.change)
        if now.kind.views == 2:
            sample, second = split(sample)
        normals = guessed_normals(sample, rng) if rng.random() < self.change.normals else None
        own = self.config.own * self.config.every * (step % self.config.every == 0) if self.direct else 1.0
        return Batch(sample, second, normals, now, part, own * self.row.own)

    def loss(self, trained: Trained, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        view = view_of(batch.sample, batch.normals)
        painted = paint(trained.net, view, batch.step.size, self.fine)
        wanted, known, shown = wanted_of(batch.sample)
        if self.fine:
            return true_loss(painted, wanted, known, shown, self.config, fine=True)
        total, numbers = painted.last.new_zeros(()), {}
        if self.direct:
            total, numbers = true_loss(painted, wanted, known, shown, self.config)
        if batch.own:
            first, second = (shot_of(v, s["visible"]) for v, s in ((view, batch.sample), (view_of(batch.second), batch.second)))
            own, more = own_loss(trained, self.row, painted, first, second, wanted.roll(1, 0), self.identity, batch.part, self.config.eq8)
            total = total + batch.own * own
            numbers |= {f"own_{k}": batch.own * v for k, v in more.items()}
        return total, numbers

    def validate(self, trained: Trained) -> dict[str, float]:
        """Means over people. Of the network's texture (with fine: of the doubled one; enlarged_: without the head), of mirror_ and diffusion_
        (scores.fills). code_*: cosine of the identity encoder between the second photo and the texture on the body in it; true_code: of the true
        texture."""
        if self.held is None:
            return {}
        step, found = self.phase.steps[-1], {}
        rows = step.people * step.kind.views
        for first in range(0, len(self.held["image"]), rows):
            sample = to_device({k: v[first:first + rows] for k, v in self.held.items()}, self.device)
            for name, value in self._scores(trained.net, sample, step).items():
                found.setdefault(name, []).append(value)
        return {name: float(torch.cat(v).nanmean()) for name, v in found.items()}

    def _scores(self, net: nn.Module, sample: dict[str, Tensor], step: Step) -> dict[str, Tensor]:
        sample, second = split(sample) if step.kind.views == 2 else (sample, None)
        view, (wanted, known, shown) = view_of(sample), wanted_of(sample)
        textures = textures_of(net, view, step.size, self.fine, self.half) | fills(view, layout(wanted.shape[-1], self.device))
        out = {}
        for name, texture in textures.items():
            mark = f"{name}_" if name else ""
            out |= {f"{mark}{k}": v for k, v in scores(texture, wanted, known, shown).items()}
            if second is not None:
                out[f"{mark}code"] = self._code(texture, second)
        if second is not None:
            out["true_code"] = self._code(wanted, second)
        return out

    def _code(self, texture: Tensor, second: dict[str, Tensor]) -> Tensor:
        view = view_of(second)
        shot = shot_of(view, second["visible"])
        drawn = render(texture.float(), shot.view[1], shot.background, layout(texture.shape[-1], self.device))
        return (self.identity(pictures(drawn)) * self.identity(pictures(shot.image))).sum(1)


def textures_of(net: nn.Module, view: View, size: int, fine: bool, half: bool = False) -> dict[str, Tensor]:
    """What validation compares: "" the network's answer; with fine also "enlarged"."""
    with torch.autocast(view.image.device.type, torch.bfloat16, enabled=half):
        painted = paint(net, view, size, fine)
    if not fine:
        return {"": painted.last.float()}
    large = F.interpolate(painted.last.float(), scale_factor=2.0, mode="bilinear", align_corners=False)
    return {"": painted.output.fine.texture.float(), "enlarged": large}


class IdentityTask:
    """Phase identity: Identity on two photos of each person of a batch."""

    def __init__(self, net: Identity, phase: Phase, source: Source, held: dict[str, Tensor] | None, device: str = "cpu", seed: int = 0,
                 change: ChangeConfig = ChangeConfig(), called: Callable[[int], None] = lambda step: None, half: bool = False):
        self.net = net.to(device, memory_format=torch.channels_last).requires_grad_(True)
        self.phase, self.source, self.held, self.device, self.seed = phase, source, held, device, seed
        self.change, self.called, self.half = change, called, half

    def batch(self, step: int, part: float) -> Tensor:
        """(2 P, 3, h, h / 2) in [-1, 1], rows 2 k and 2 k + 1 are one person; half of them mirrored."""
        self.called(step)
        rng = np.random.default_rng((self.seed, PHASES.index("identity"), step))
        now = self.phase.now(part)
        sample = to_device(self.source.draw(now.kind, now.people, rng, ("image",)), self.device)
        image = pictures(2 * changed(sample, rng, 2, self.change, alike=False)["image"] - 1)
        flip = torch.as_tensor(rng.random(now.people) < 0.5, device=self.device).repeat_interleave(2).view(-1, 1, 1, 1)
        return torch.where(flip, image.flip(-1), image)

    def loss(self, net: Identity, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        codes = net(batch).float()
        person = torch.arange(len(codes), device=codes.device) // 2
        return same_person(codes, person), {"same": (codes[0::2] * codes[1::2]).sum(1).mean().detach()}

    def validate(self, net: Identity) -> dict[str, float]:
        """miss: share of photos whose nearest other photo, by code, is not that of their own person; same, other: mean cosines."""
        if self.held is None:
            return {}
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.half):
            codes = torch.cat([net(pictures(2 * part.to(self.device) - 1)).float() for part in self.held["image"].split(16)])
        return retrieval(codes)


def retrieval(codes: Tensor) -> dict[str, float]:
    """codes (2 P, E) of length 1, rows 2 k and 2 k + 1 are one person -> miss, same, other (IdentityTask.validate)."""
    near = codes @ codes.T
    partner = torch.arange(len(codes), device=codes.device) ^ 1
    same = near.gather(1, partner[:, None])[:, 0]
    alone = torch.eye(len(codes), dtype=torch.bool, device=codes.device)
    others = near[~alone & (partner[:, None] != torch.arange(len(codes), device=codes.device))]
    best = near.masked_fill(alone, -2).argmax(1)
    return {"miss": float((best != partner).float().mean()), "same": float(same.mean()), "other": float(others.mean())}
