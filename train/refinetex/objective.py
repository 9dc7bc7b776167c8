"""The paper's losses (train/losses) on our samples: photos as shots, the fitted body as renderer, our identity encoder as feature network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from neural.body.model import BodyModel
from neural.contract.joints import JOINT
from neural.nets.refinetex.identity import Identity
from neural.nets.refinetex.layout import layout
from neural.nets.refinetex.paper_door import narrow
from neural.nets.refinetex.render import BodyView, render
from neural.nets.refinetex.view import View

from ..losses.refinetex import LossConfig
from ..losses.refinetex_direct import DIRECT, DirectConfig, direct_loss, texture_loss
from ..losses.refinetex_total import Helpers, Shot, total
from .rows import Painted, Row, Trained, paint, with_picture

HEIGHT = 128
"""Pixels of a picture for the identity encoder: HEIGHT x HEIGHT / 2, as in the paper."""


@dataclass(frozen=True)
class ObjectiveConfig:
    """own: weight of the paper's losses beside the direct ones (without those: 1); every: they are worked out in every so many steps alone, with
    so many times their weight, as they cost more than all else (without direct ones: always). eq8: Eq. 6 is a mean over pixels, with the
    weight that the paper's sum has on a body that fills a third of its 128 x 64 pixels. face: how much more texels of face and hands count."""

    own: float = 0.1
    every: int = 2
    eq8: LossConfig = LossConfig(per_pixel=True, uncertainty=2.7)
    direct: DirectConfig = DIRECT
    face: float = 2.0


@lru_cache(maxsize=4)
def face_mask(size: int, device: str = "cpu") -> Tensor:
    """(1, T, T) float32: face (brow to chin, ear to ear) and hands on the layout, as in the release."""
    model, shape = BodyModel.load(), layout(size)
    points = dict(zip(model.landmark_names, model.landmarks(model.template)))
    eye, chin = points["left_eye_outer"], points["chin"]
    x, y, z = shape.place
    high = float(eye[1] + 0.35 * (eye[1] - chin[1]))
    face = (shape.part == JOINT["head"] + 1) & (y < high) & (y > float(chin[1]) - 0.01) & (x.abs() < 1.4 * float(eye[0])) & (z > float(eye[2]) - 0.03)
    hands = torch.isin(shape.part, torch.tensor([JOINT[f"{s}_{n}"] + 1 for s in ("left", "right") for n in ("wrist", "hand")]))
    return (face | hands)[None].float().to(device)


def pictures(image: Tensor, height: int = HEIGHT) -> Tensor:
    """(B, 3, S, S) or (B, 3, H, H / 2) -> (B, 3, h, h / 2), h at most `height`: the middle, as the identity encoder takes it."""
    image = narrow(image) if image.shape[-1] == image.shape[-2] else image
    return image if image.shape[-2] <= height else F.interpolate(image, (height, height // 2), mode="area")


def shot_of(view: View, visible: Tensor) -> Shot:
    """A photo, narrow. visible (B, S, S) in [0, 1]: where it shows the person. What is rendered is laid on the photo itself."""
    image, side = narrow(2 * view.image - 1), view.image.shape[-1]
    body = BodyView.of(view.body, side, thin=True)
    return Shot(image, narrow(visible[:, None].to(image.dtype) * view.inside), image, body.mask, body.labels, (view, body))


def own_loss(trained: Trained, row: Row, painted: Painted, first: Shot, second: Shot, others: Tensor, identity: Identity, part: float,
             config: LossConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """Eq. 8. painted: of the first photo; others (N, 3, T, T) in [-1, 1]: textures of people for the face's structure."""
    size, device, kind = painted.last.shape[-1], str(painted.last.device), painted.last.device.type
    shape, half = layout(size, device), torch.is_autocast_enabled(kind)

    def estimate(picture: Tensor, at: tuple[View, BodyView]) -> tuple[Tensor, Tensor | None]:
        found = painted
        if at is not first.view:
            with torch.autocast(kind, torch.bfloat16, enabled=half):
                found = paint(trained.net, with_picture(at[0], picture), size)
        return found.last.float(), None if found.early is None else found.early.float()

    def sigma(image: Tensor) -> Tensor:
        with torch.autocast(kind, torch.bfloat16, enabled=half):
            return trained.sigma(image).float()

    draw = lambda texture, at, background: render(texture, at[1], background, shape)
    features = lambda picture: identity.features(pictures(picture))
    helpers = Helpers(features, sigma, others, face_mask(size, device), shape.charts)
    config = replace(config, uncertainty=config.uncertainty * row.uncertainty, cycle=config.cycle * row.cycle)
    with torch.autocast(kind, enabled=False):                      # sums over thousands of features need their digits; only networks are halved
        return total(estimate, draw, helpers, first, second, part, config)


def true_loss(painted: Painted, wanted: Tensor, known: Tensor, shown: Tensor, config: ObjectiveConfig,
              fine: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
    """Direct losses of COMPACT's last and early textures; with fine only of the one of twice the size. wanted … as views.wanted_of, of
    that size."""
    weight = known * (1 + config.face * face_mask(wanted.shape[-1], str(wanted.device)))
    if fine:
        return texture_loss(painted.output.fine, wanted, weight, shown, config.direct)
    return direct_loss(painted.output, wanted, weight, shown, config.direct)
