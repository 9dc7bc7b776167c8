"""Sizes of the networks: the paper's, and ours."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..blocks.conv import Style


@dataclass(frozen=True)
class PaperConfig:
    """The network of the paper, and its ablations.

    width, heads, labels   Texformer's channels, attention heads and part labels (0 = background).
    refine   "deform": the refinement module. "plain": the same with ordinary convolutions on the photo stretched to the layout (the
             ablation of equal size). "none": Texformer alone.
    second   the refinement's second stage: "deform" or "conv".
    twice    each stage is two convolutions (the reading that meets the published 8.2 M parameters), else one.
    skip     the deep network's predictions are concatenated after the first stage.
    fifth    a channel of ones beside photo and part label, so that outside differs from grey (not in the paper).
    """

    width: int = 128
    heads: int = 8
    labels: int = 8
    refine: str = "deform"
    second: str = "deform"
    twice: bool = True
    skip: bool = True
    fifth: bool = False

    def __post_init__(self):
        if self.refine not in ("deform", "plain", "none") or self.second not in ("deform", "conv"):
            raise ValueError(f"unknown refinement {self.refine!r}, {self.second!r}")


PAPER = PaperConfig()
"""8.19 million parameters."""

TEXFORMER = replace(PAPER, refine="none")
"""7.56 million parameters: the released network."""


OURS = Style(norm="weight", attention=False, residual=True)


@dataclass(frozen=True)
class CompactConfig:
    """Ours: the same principle at sizes that can be used.

    size       texels of the layout's side that the network predicts (any multiple of 32 works with the same weights); `fine` doubles it.
    picture    channels at 1/4, 1/8, 1/16 and 1/32 of the photo's crop. texture: idem of the layout.
    heads      of the attention at 1/16 of the layout.
    width      channels of the refinement at the layout's full size; of the upsampling head as well.
    embed      length of the learnt code of a body part.
    refine     "deform": the photo is read by a deformable convolution. "plain": an ordinary one, of the same size, reads the texture that
               was copied first. "none".
    sources    places in the photo that every texel may copy from: 1 = where the fitted body has it, seen or not; 2 = also where the body has
               the same place of its other side.
    fine       has the head that doubles the layout.
    encoder    the encoder sees the photo's crop at most this large (copies read all of it).
    style      how blocks are built.
    """

    size: int = 512
    picture: tuple[int, int, int, int] = (48, 96, 160, 192)
    texture: tuple[int, int, int, int] = (64, 128, 192, 240)
    heads: int = 8
    width: int = 32
    embed: int = 4
    refine: str = "deform"
    sources: int = 2
    fine: bool = True
    encoder: int = 512
    style: Style = OURS

    def __post_init__(self):
        if self.refine not in ("deform", "plain", "none") or self.sources not in (1, 2):
            raise ValueError(f"unknown refinement {self.refine!r}, or {self.sources} sources")
        if self.texture[2] % self.heads:
            raise ValueError("the attention's channels are not a multiple of its heads")


COMPACT = CompactConfig()
"""Ours, for a training on a GPU."""

CPU = replace(COMPACT, size=256, encoder=256, picture=(24, 48, 80, 112), texture=(32, 64, 112, 160), width=16)
"""Ours, small enough for a training on two cores."""

CONFIGS = {"paper": PAPER, "texformer": TEXFORMER, "compact": COMPACT, "cpu": CPU}
