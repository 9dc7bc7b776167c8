"""Sizes of the networks: the paper's, and ours."""

from __future__ import annotations

from dataclasses import dataclass, replace


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
