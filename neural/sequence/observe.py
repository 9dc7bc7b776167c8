"""What one frame says about the body, small enough to be kept for every frame of a long sequence (about 30 KB)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..body.evidence import Evidence
from ..contract.frames import Camera

SIDE = 256
"""Canvas of the evidence: what the silhouette term looks at (body/silhouette)."""


@dataclass(frozen=True)
class Observed:
    """One frame. number: the source's; box (4,) of the person, frame `photo`; score: how well the frame shows the person, 0 to 1.

    packed, limits: mask and inside of the evidence as bits, SIDE x SIDE; `bare` is the evidence without them.
    """

    number: int
    box: np.ndarray
    score: float
    bare: Evidence
    packed: np.ndarray
    limits: np.ndarray

    @staticmethod
    def of(number: int, evidence: Evidence, box: np.ndarray, score: float) -> "Observed":
        """Evidence on any canvas whose side is a multiple of SIDE (or is SIDE)."""
        e = resized(evidence, SIDE)
        nothing = np.zeros((0, 0), np.float32)
        return Observed(number, np.asarray(box, np.float32), float(score), replace(e, mask=nothing, inside=nothing.astype(bool)),
                        np.packbits(e.mask > 0.5), np.packbits(e.inside))

    def evidence(self) -> Evidence:
        """As the fit wants it."""
        unpack = lambda bits: np.unpackbits(bits).reshape(SIDE, SIDE).astype(bool)            # noqa: E731
        return replace(self.bare, mask=unpack(self.packed).astype(np.float32), inside=unpack(self.limits))


def resized(e: Evidence, side: int) -> Evidence:
    """The same on a square canvas of another size. All spreads of the fit are shares of the person's size, so nothing else changes."""
    if e.mask.shape[0] == side:
        return e
    k = side / e.mask.shape[0]
    step = e.mask.shape[0] // side
    shrink = lambda a: a[:side * step, :side * step].reshape(side, step, side, step).mean((1, 3))   # noqa: E731
    view: Camera = e.view.resized(side, side)
    return replace(e, view=view, pixels=e.pixels * k, hands=e.hands * k, mask=shrink(e.mask.astype(np.float32)),
                   inside=shrink(e.inside.astype(np.float32)) > 0.5)


@dataclass(frozen=True)
class Voted(Evidence):
    """Evidence of a frame whose yes-or-no questions were answered by the frames around it: a flickering answer would shake the body.

    straight (left, right): Evidence.standing_leg; upright: Evidence.stands.
    """

    straight: tuple[bool, bool] = (False, False)
    upright: bool = False

    def standing_leg(self, side: str) -> bool:
        return self.straight[0 if side == "left" else 1]

    @property
    def stands(self) -> bool:
        return self.upright


def voted(frames: list[Evidence | None], reach: int = 4) -> list[Evidence | None]:
    """Answers by the majority of the frames within `reach`; None = no evidence."""
    asked = [None if e is None else (e.standing_leg("left"), e.standing_leg("right"), e.stands) for e in frames]
    out: list[Evidence | None] = []
    for k, e in enumerate(frames):
        near = [a for a in asked[max(k - reach, 0):k + reach + 1] if a is not None]
        if e is None:
            out.append(None)
            continue
        yes = 2 * np.sum(near, axis=0) > len(near)
        fields = {f: getattr(e, f) for f in Evidence.__dataclass_fields__}
        out.append(Voted(**fields, straight=(bool(yes[0]), bool(yes[1])), upright=bool(yes[2])))
    return out
