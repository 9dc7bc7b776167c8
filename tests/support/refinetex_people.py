"""Samples for RefineTex's training whose every label is known: the painted mean body of test_refinetex_compact, as the generator would give it."""

from __future__ import annotations

import numpy as np
import torch

from neural.body.model import BodyModel
from neural.nets.refinetex.layout import layout
from neural.nets.refinetex.view import texels_of
from tests.neural.test_refinetex_compact import photographed, truth

TURNS = (0.3, np.pi - 0.4)
"""Of the two photos of a pair: the front, and the back."""


def photo(turn: float, side: int, texels: int) -> dict[str, torch.Tensor]:
    """One row of views.FIELDS (and joints, body_joints); the texture is that of `truth`, shown where the body in the photo has it."""
    model, view = BodyModel.load(), photographed(turn, side)
    spin = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    rotation = np.diag([1.0, -1.0, -1.0]) @ spin
    root, centre = model.joint_mean[0], (model.template.max(0) + model.template.min(0)) / 2
    single = lambda a: torch.as_tensor(np.ascontiguousarray(a, np.float32))[None]
    shape = layout(texels)
    shown = (texels_of(view, shape).seen[:, 0] > 0.9) & (shape.charts > 0)
    joints = torch.zeros(1, 24, 3)
    joints[..., 2] = 3.0
    sample = {"image": view.image, "mask_seen": view.matte[:, 0], "visible": view.matte[:, 0], "border": torch.tensor([[0.0, 0, side, side]]),
              "assumed_focal": view.focal, "centre": view.centre, "body_rotations": single(rotation).expand(1, 24, 3, 3).clone(),
              "body_betas": torch.zeros(1, 10), "body_scale": torch.ones(1),
              "body_translation": single(rotation @ (root - centre) - root + (0, 0, 3.0)),
              "joints": joints, "body_joints": joints.clone(), "normal_front": view.body["normal_front"],
              "texture_wanted": (truth(texels) + 1) / 2 * shape.charts, "texture_known": shape.charts > 0, "texture_shown": shown}
    return sample | {f"body_{k}": v for k, v in view.body.items()}


def people(count: int = 1, side: int = 128, texels: int = 128, views: int = 2) -> dict[str, torch.Tensor]:
    """count * views rows; person k is toned by k, so that people differ."""
    rows = []
    for k in range(count):
        for turn in TURNS[:views]:
            row = photo(turn, side, texels)
            shift = torch.tensor([0.0, 0.06 * k, -0.06 * k]).view(1, 3, 1, 1)
            rows.append(row | {n: (row[n] + shift).clamp(0, 1) for n in ("image", "texture_wanted")})
    return {name: torch.cat([r[name] for r in rows]) for name in rows[0]}


class Same:
    """A source that always gives the same people."""

    def draw(self, kind, people_, rng, fields=None):
        made = people(people_, kind.canvas, max(kind.texture, 32), kind.views)
        return {k: v for k, v in made.items() if fields is None or k in fields}
