"""What the network makes of generated people, beside the truth: `dev.py train refinetex --picture OUT.png [--out DIR]`.

Two rows a person. On the layout: what the photo shows of it, the fills without a network, the network's texture and how much of it is
invented, how sure it is (white = sure), the true texture. Below: the photo, and those textures on the body as the second photo has it.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from neural.nets.refinetex.compact import Compact
from neural.nets.refinetex.door import DOUBT, compact_inputs
from neural.nets.refinetex.layout import layout
from neural.nets.refinetex.render import BodyView, render

from ..sheet import framed, tile_of
from .pairs import split
from .scores import fills
from .sources import Disk, Kind, Live, Source
from .views import view_of, wanted_of

COLUMNS = ("seen / photo", "mirror", "diffusion", "network", "invented", "sure", "true / second photo")


@torch.inference_mode()
def sheet(net: Compact, sample: dict[str, Tensor], size: int, tile: int = 256) -> Image.Image:
    """sample: pairs of rows (views.FIELDS) whose textures have 2 * size texels -> two rows of tiles a person."""
    rows = []
    for k in range(0, len(sample["image"]), 2):
        first, second = split({name: value[k:k + 2] for name, value in sample.items()})
        view, other = view_of(first), view_of(second)
        wanted, known, shown = wanted_of(first)
        guess = net(compact_inputs(view, size, net.config.fine, net.config.encoder))
        guess = guess.fine if net.config.fine else guess.last
        texels = guess.texture.shape[-1]
        shape, body = layout(texels), BodyView.of(other.body, other.image.shape[-1])
        to = lambda x: F.interpolate(x, (texels, texels), mode="area" if x.shape[-1] > texels else "nearest")
        plain = fills(view, shape)
        textures = [to(wanted * shown), plain["mirror"], plain["diffusion"], guess.texture * shape.charts]
        maps = [2 * guess.share[:, -1:] * shape.charts - 1, 2 * torch.exp(-guess.log_scale.exp() / 2 / DOUBT) * shape.charts - 1]
        rows.append([tile_of((t + 1) / 2, tile) for t in (*textures, *maps, to(wanted))])
        drawn = [render(t, body, 2 * other.image - 1, shape) for t in (*textures[1:], maps[0].expand(-1, 3, -1, -1), maps[1].expand(-1, 3, -1, -1))]
        rows.append([tile_of((t + 1) / 2, tile) for t in (2 * first["image"] - 1, *drawn, 2 * second["image"] - 1)])
    return framed(rows, COLUMNS)


def draw(net: Compact, assets: str | Path | None, samples: Path, file: Path, people: int = 4) -> None:
    """The sheet of people of part "val": those that are drawn already, or new ones."""
    kind = Kind(256, 256)
    source: Source = Disk(samples)
    if source.people(kind, "val") < people:
        source = Live(assets, "cpu")
    sheet(net, source.held(kind, people), net.config.size).save(file)
