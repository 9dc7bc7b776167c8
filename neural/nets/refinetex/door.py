"""The door of COMPACT: a photo, its camera and the fitted body in, a texture on the body's layout out. Training and pipeline both use it.

    out = run(weights.load(path).for_inference(), View(...))          # pipeline, under torch.inference_mode
    out = net(compact_inputs(view, size))                             # training

Frames and units as in design.md: camera x right, y down, z forward, metres; pixel centres at + 0.5; canvases S x S. `B` people at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..blocks.fill import filled
from .compact import PICTURE, Compact, Inputs
from .config import COMPACT
from .layout import layout
from .view import View, drawn_body, places, resized, texels_of

@dataclass(frozen=True)
class BodyTexture:
    """On the layout of neural/body/body.npz, T x T, row 0 at v = 1.

    albedo     (B, 3, T, T) float in [0, 1] sRGB, with a few texels beside the charts filled; in the photo's light.
    confidence (B, 1, T, T) in [0, 1]: exp(-expected error / DOUBT); 0 off the charts.
    seen       (B, 1, T, T) in [0, 1]: how much of the texel is the photo's own colour at the very place where it shows; the rest is invented
               (or copied from elsewhere).
    """

    albedo: Tensor
    confidence: Tensor
    seen: Tensor


DOUBT = 0.1
"""Expected error of a colour in [0, 1] at which confidence has fallen to 1 / e."""


def run(net: Compact, view: View, size: int | None = None, fine: bool = True) -> BodyTexture:
    """The texture at `size` (the network's own where None), or twice that with fine; under torch.inference_mode."""
    size = size or net.config.size
    fine = fine and net.config.fine
    out = net(compact_inputs(view, size, fine, net.config.encoder))
    shape = layout(2 * size if fine else size, str(view.image.device))
    guess = out.fine if fine else out.last
    known = texels_of(view, shape).seen[:, :1]
    error = guess.log_scale.exp() / 2
    return BodyTexture(shape.padded((guess.texture + 1) / 2).clamp(0, 1), torch.exp(-error / DOUBT) * shape.charts,
                       guess.share[:, :1] * known * shape.charts)


def compact_inputs(view: View, size: int, fine: bool = False, encoder: int = COMPACT.encoder) -> Inputs:
    """What COMPACT takes for a layout of `size` texels, and of twice that with fine; the encoder sees the crop at most `encoder` large."""
    device = str(view.image.device)
    side = min(view.image.shape[-1], encoder)
    colour = (2 * view.image - 1) * view.inside
    matte = view.matte * view.inside
    on, hit, part = drawn_body(view, side)
    given = torch.zeros_like(hit) if view.normals is None else hit.new_ones(hit.shape)
    normals = hit.new_zeros(len(hit), 3, side, side) if view.normals is None else resized(view.normals, side)
    picture = torch.cat([resized(torch.cat([colour, matte, view.inside], 1), side), places(hit), on, normals, given], 1)
    if picture.shape[1] != PICTURE:
        raise ValueError(f"{picture.shape[1]} channels for the encoder instead of {PICTURE}")
    return Inputs(copied_from(colour, matte), picture, part, texels_of(view, layout(size, device)),
                  texels_of(view, layout(2 * size, device)) if fine else None)


def copied_from(colour: Tensor, matte: Tensor) -> Tensor:
    """(B, 4, S, S): colours in [-1, 1] where the matte is sure, their continuation elsewhere (so that no copy can hold background), matte."""
    sure = ((matte - 0.6) / 0.35).clamp(0, 1)
    sure = sure * sure * (3 - 2 * sure)
    return torch.cat([filled(colour * sure, sure), matte], 1)
