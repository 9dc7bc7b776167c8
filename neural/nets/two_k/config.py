"""Sizes of the networks: the paper's, and ours."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..blocks.conv import Style
from .parts import GROUPS, PARTS

PATCHES = {"face": (368, 320), "upper": (528, 336), "arm": (352, 224), "leg": (272, 256), "shoe": (176, 128)}
"""Height and width of the canonical patches on a canvas of 2048 (released code; the paper gives no sizes)."""

OURS = Style(norm="weight", attention=False, residual=True)


@dataclass(frozen=True)
class TwoKConfig:
    """One network, two sizes of it.

    canvas      side of the picture that `patches`, `blur` and `shrink` belong to; `at` converts.
    coarse      side of the coarse maps.
    patches     (height, width) of each group's patch, in the order of parts.GROUPS.
    blur        taps and sigma of Eq. 5's Gaussian; shrink: by how much a patch is made smaller before it, pixels.
    style       how blocks are built. normal, depth, part: channels of the levels of the coarse normal net, the coarse depth net (of each of
                its two encoders) and the part nets. cascade: channels of the high-resolution depth net. stem: space to depth.
    ours        what the paper does not have: body maps, the matte and the rays as inputs; normals and depth as differences from the
                body's; unit normals that turn with their patch, right limbs mirrored; an uncertainty for every pixel; coarse normals
                wherever no part reaches; one part net for all parts; one cascade step used at every resolution.
    embed       length of the learnt code of a body part (ours).
    """

    canvas: int = 2048
    coarse: int = 256
    patches: tuple[tuple[int, int], ...] = tuple(PATCHES.values())
    blur: tuple[int, float] = (15, 5.0)
    shrink: int = 16
    style: Style = Style()
    normal: tuple[int, ...] = (64, 128, 256, 512)
    depth: tuple[int, ...] = (32, 64, 128, 256, 512)
    part: tuple[int, ...] = (64, 128, 256, 512)
    cascade: int = 32
    stem: int = 1
    ours: bool = False
    embed: int = 0

    def at(self, canvas: int) -> "TwoKConfig":
        """The same network for another canvas: patches, blur and shrink in proportion. The paper's coarse maps are an eighth of the
        canvas, ours always the same size. Raises ValueError where the sides do not fit the nets."""
        if canvas == self.canvas:
            return self
        k = canvas / self.canvas
        unit = self.stem * 2 ** (len(self.part) - 1)
        size = (lambda v: -int(-v * k // unit) * unit) if self.ours else (lambda v: max(round(v * k / unit), 1) * unit)
        taps = max(2 * round((self.blur[0] * k - 1) / 2) + 1, 3)
        out = replace(self, canvas=canvas, coarse=self.coarse if self.ours else round(self.coarse * k),
                      patches=tuple((size(h), size(w)) for h, w in self.patches),
                      blur=(taps, self.blur[1] * k), shrink=max(2 * round(self.shrink * k / 2), 2))
        out.check()
        return out

    def check(self) -> None:
        steps = self.canvas // self.coarse
        if self.canvas % self.coarse or steps & (steps - 1) or self.coarse % (self.stem * 2 ** (len(self.depth) - 1)):
            raise ValueError(f"a canvas of {self.canvas} does not go with coarse maps of {self.coarse}")

    def patch(self, part: int) -> tuple[int, int]:
        """Height and width of the patch of a row of PARTS."""
        return self.patches[GROUPS.index(PARTS[part].group)]


PAPER = TwoKConfig()
"""2K2K as released: 77.7 million parameters, 2.7 TFLOP."""

COMPACT = TwoKConfig(style=OURS, normal=(48, 96, 192, 320), depth=(32, 64, 128, 224), part=(32, 64, 112, 224), cascade=24, stem=2,
                     ours=True, embed=4).at(1024)
"""Ours, for a training on a GPU."""

CPU = replace(COMPACT, normal=(24, 48, 96, 160), depth=(16, 32, 64, 112), part=(24, 48, 96, 144), cascade=16)
"""Ours, small enough for a training on two cores."""

CONFIGS = {"paper": PAPER, "compact": COMPACT, "cpu": CPU}
