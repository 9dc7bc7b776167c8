"""What the networks make of generated people, beside the truth: `dev.py train 2k2k --picture OUT.png [--out DIR]`.

A row a person and side: photo, the fitted body's normals, coarse normals, with parts, the true ones; depth of the fitted body, of the network
and the true one; how sure it is (white = sure).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from neural.nets.two_k.door import compact_inputs, compact_maps
from neural.nets.two_k.net import TwoK

from ..sheet import framed, tile_of
from .data import batch_of
from .sources import Live

COLUMNS = ("photo", "body", "coarse normals", "with parts", "true", "body depth", "depth", "true depth", "sure")


@torch.inference_mode()
def sheet(net: TwoK, sample: dict[str, Tensor], tile: int = 320) -> Image.Image:
    """sample: data.FIELDS of B people -> 2 B rows (front, back) of `tile` pixels."""
    net = net.for_inference()
    rows = []
    for k in range(len(sample["image"])):
        one = {name: value[k:k + 1] for name, value in sample.items()}
        rows += _rows(net, one, tile)
    return framed(rows, COLUMNS)


def _rows(net: TwoK, one: dict[str, Tensor], tile: int) -> list[list[np.ndarray]]:
    batch = batch_of(one)
    view, true = batch.view, batch.targets
    inputs = compact_inputs(view)
    out = net(inputs)
    maps = compact_maps(view, out.normals, out.raw)
    side = view.image.shape[-1]
    small = lambda x: F.interpolate(x.float(), (side, side), mode="bilinear", align_corners=False)
    base, coarse = out.coarse.base, compact_maps(view, out.coarse.normals, out.coarse.raw)
    mask, body = (maps.mask > 0.5).float(), small(base.hit)
    depths = [small(base.depth), (maps.depth - view.pelvis) / view.unit, true.depth]
    rows = []
    for k in (0, 1):
        pick = slice(3 * k, 3 * k + 3)
        low, high = np.percentile(true.depth[0, k][true.mask[0, 0] > 0].numpy(), [1, 99])
        grey = [0.95 - 0.85 * (d[:, k:k + 1] - low) / max(high - low, 1e-6) for d in depths]
        pictures = [view.image, *(_normal(n[:, pick], m) for n, m in ((small(base.normals), body), (small(coarse.normals), mask),
                                                                     (maps.normals, mask), (true.normals, true.mask))),
                    *(g * m + 1 - m for g, m in zip(grey, (body, mask, true.mask))), maps.confidence]
        rows.append([tile_of(p, tile) for p in pictures])
    return rows


def _normal(normals: Tensor, mask: Tensor) -> Tensor:
    """x right, y up and z towards the viewer as red, green and blue."""
    return (normals * normals.new_tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1) * 0.5 + 0.5) * mask + (1 - mask)


def draw(net: TwoK, assets: str | Path, file: Path, seeds: tuple[int, ...] = (3, 5, 8), canvas: int = 512) -> None:
    """The sheet of people of part "val"."""
    sheet(net, Live(assets, "val", "cpu").samples(canvas, seeds)).save(file)
