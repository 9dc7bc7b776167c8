"""What is trained: our network or the paper's, and the rows of the table that says what each part of it is worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from neural.nets.refinetex.compact import Compact, Output
from neural.nets.refinetex.confidence import ConfidenceNet
from neural.nets.refinetex.config import PAPER, CompactConfig
from neural.nets.refinetex.door import compact_inputs
from neural.nets.refinetex.layout import layout
from neural.nets.refinetex.paper_door import narrow, paper_inputs
from neural.nets.refinetex.refine import RefineTex
from neural.nets.refinetex.view import View


@dataclass(frozen=True)
class Row:
    """refine: "deform", "plain" (ordinary convolutions, of equal size) or "none". direct: losses on the true texture (ours alone); own: the
    paper's self-supervised ones, of which uncertainty and cycle can be left out."""

    refine: str = "deform"
    direct: bool = True
    own: bool = True
    uncertainty: bool = True
    cycle: bool = True


ROWS = {
    "full": Row(),
    "texformer": Row(refine="none", uncertainty=False, cycle=False),
    "plain": Row(refine="plain", uncertainty=False, cycle=False),
    "refined": Row(uncertainty=False, cycle=False),
    "uncertainty": Row(cycle=False),
    "cycle": Row(uncertainty=False),
    "direct": Row(own=False, uncertainty=False, cycle=False),
    "unsupervised": Row(direct=False),
}
"""full: all. texformer: the deep network alone. plain, refined: + refinement, by ordinary and by deformable convolutions. uncertainty, cycle: refined
and that loss. direct: without the paper's losses. unsupervised: with nothing else."""


class Trained(nn.Module):
    """net: Compact or RefineTex; sigma: the confidence U-Net of Eq. 6, which only training needs."""

    def __init__(self, net: nn.Module, sigma_width: int):
        super().__init__()
        self.net, self.sigma = net, ConfidenceNet(sigma_width)


def fresh(config: CompactConfig | None, row: Row, seed: int = 0) -> Trained:
    """An untrained network of a row; config None: the paper's (without direct losses: its answer has no expected error)."""
    torch.manual_seed(seed)
    if config is None:
        return Trained(RefineTex(replace(PAPER, refine=row.refine)), 128)
    return Trained(Compact(replace(config, refine=row.refine)), 32)


def begun(trained: Trained, net: nn.Module) -> list[str]:
    """Give `trained` what it can take of a network that has learnt (another row's has another refinement); names of what stays new."""
    own, given = trained.net.state_dict(), net.state_dict()
    fits = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
    trained.net.load_state_dict({**own, **fits})
    return sorted(set(own) - set(fits))


def without_fine(net: nn.Module) -> nn.Module:
    """COMPACT without the head for twice the size, which only phase `fine` teaches; other networks as they are."""
    if not (isinstance(net, Compact) and net.config.fine):
        return net
    small = Compact(replace(net.config, fine=False))
    small.load_state_dict({k: v for k, v in net.state_dict().items() if k in small.state_dict()})
    return small


@dataclass(frozen=True)
class Painted:
    """last, early: textures (B, 3, T, T) in [-1, 1], 0 off the charts; early: the deep network's own, None where nothing refines it.
    output: of COMPACT, for its direct losses."""

    last: Tensor
    early: Tensor | None
    output: Output | None


def paint(net: Compact | RefineTex, view: View, size: int, fine: bool = False) -> Painted:
    """The texture of a view on a layout of `size` texels; of COMPACT with fine twice as large as well."""
    charts = layout(size, str(view.image.device)).charts
    if isinstance(net, Compact):
        out = net(compact_inputs(view, size, fine, net.config.encoder))
        early = None if out.early is out.last else out.early.texture * charts
        return Painted(out.last.texture * charts, early, out)
    inputs = paper_inputs(view, net.config, size=size)
    found = net(inputs)
    early = None if found.early is found.last else found.early.fused(inputs.image).float() * charts
    return Painted(found.last.fused(inputs.image).float() * charts, early, None)


def with_picture(view: View, picture: Tensor) -> View:
    """The same view of another picture: (B, 3, S, S / 2) in [-1, 1] takes the place of the middle columns."""
    side = view.image.shape[-1]
    if picture.shape[-2:] != narrow(view.image).shape[-2:]:
        raise ValueError(f"a picture of {tuple(picture.shape[-2:])} for a canvas of {side}")
    left, width = side // 4, side // 2
    image = torch.cat([view.image[..., :left], (picture.to(view.image.dtype) + 1) / 2, view.image[..., left + width:]], -1)
    return replace(view, image=image)
