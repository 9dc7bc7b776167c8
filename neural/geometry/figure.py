"""The body prior at full resolution, with face and folds, shared by the stages that ask for parts of it."""

from __future__ import annotations

from .compose import Composed, compose
from .prior import Prior, build

__all__ = ["prior_of", "figure_of", "compose"]

_last: dict[str, tuple] = {}  # the results for the newest person only: stages s04, s05 and s06 ask one after the other


def _remembered(kind: str, person, body, make):
    known = _last.get(kind)
    if known is None or known[0] is not person or known[1] is not body:
        _last[kind] = known = (person, body, make())
    return known[2]


def prior_of(person, body, context) -> Prior:
    """The inflated pieces (a pure function of person and body; the newest is remembered)."""
    device = context.device if context.device == "cuda" else "cpu"
    return _remembered("prior", person, body, lambda: build(person, body, device=device))


def figure_of(person, body, context) -> Composed:
    """Front and back maps on the full canvas (S x S), as `prior_of`."""
    return _remembered("figure", person, body, lambda: compose(
        prior_of(person, body, context), person.camera, person.mask, person.inside))


def forget() -> None:
    """Drop what is remembered (called when the last stage has it)."""
    _last.clear()
