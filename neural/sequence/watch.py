"""The first look at every frame: who is where, and what the frame says about the body. Kept small; the pictures stay on disk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable

import cv2
import numpy as np

from ..body.lift import lifter
from ..body.model import BodyModel
from ..context import Context
from ..contract.errors import PersonError, PhotoError, SequenceError
from ..nets.landmarks import LandmarkNets
from ..nets.landmarks.people import Found
from ..stages.s01_photo import Photo
from ..stages.s02_person import Person, choose_by_options, find_person
from ..stages.s03_body import evidence_of
from .frames import Frames
from .observe import Observed
from .track import PersonLost, Tracker, candidate

LOOK = "draft"
"""Preset of the look: landmarks and an outline need no more, and 300 frames should not take a night."""


@dataclass(frozen=True)
class Watched:
    """Rows of Frames: seen (N,) Observed or None; lost: how many frames show people, but not this one; unreadable: names of damaged frames."""

    seen: list[Observed | None]
    lost: int
    unreadable: list[str]

    @property
    def score(self) -> np.ndarray:
        return np.array([0.0 if o is None else o.score for o in self.seen])


def watch(frames: Frames, nets: LandmarkNets, model: BodyModel, context: Context, step: Callable[[float], None]) -> Watched:
    """Look at every frame and follow one person: in the first frame with people the one that the options name, else the largest.

    step(share): called for each frame. Errors: SequenceError sequence.no-person, sequence.sizes; damaged frames count as gaps.
    """
    quiet = replace(context, options=replace(context.options, preset=LOOK, sequence=None, fps=None, frames=()), warn=lambda *_: None,
                    progress=lambda *_: None)
    net, tracker, times = lifter(), Tracker(), frames.times
    seen: list[Observed | None] = []
    lost, unreadable, size = 0, [], None
    for k in range(len(frames)):
        context.check()
        step(k / len(frames))
        seen.append(None)
        try:
            photo = frames.photo(k, quiet)
        except (PhotoError, SequenceError) as exc:
            unreadable.append(f"{frames.numbers[k]}: {exc.message}")
            continue
        size = size or photo.rgb.shape[:2]
        if photo.rgb.shape[:2] != size:
            raise SequenceError("sequence.sizes", "The frames have different sizes.", "Give frames of one camera, all of one size.")
        try:
            person = find_person(photo, nets, quiet, choose=_chooser(tracker, photo, times[k]))
        except PersonLost:
            lost += 1
            continue
        except PersonError as exc:
            if exc.code in ("person.index", "person.not-there"):
                raise
            continue
        seen[-1] = Observed.of(frames.numbers[k], evidence_of(person, model, net), person.boxes[person.chosen], score(person))
    if len(unreadable) == len(frames):
        raise SequenceError("sequence.unreadable", "Not one of the frames can be read.", "Copy or convert the frames again.", "\n".join(unreadable[:5]))
    if not any(seen):
        raise SequenceError("sequence.no-person", "There is no person to be seen in any of the frames.",
                            "Use frames of one clothed person, well lit and as large in the picture as possible.")
    return Watched(seen, lost, unreadable)


def _chooser(tracker: Tracker, photo: Photo, time: float):
    """For find_person: the first time by the options, then by the tracker."""
    def choose(found: list[Found], context: Context) -> int:
        everyone = [candidate(photo.rgb, f.box, f.pose.points[:, :2], f.pose.visibility) for f in found]
        if tracker.begun:
            return tracker.follow(everyone, time)
        first = choose_by_options(found, context)
        tracker.begin(everyone[first], time)
        return first

    return choose


def by_box(box: np.ndarray):
    """For find_person: who covers this box (4,) best; PersonLost when nobody does by half."""
    def choose(found: list[Found], context: Context) -> int:
        overlap = [_iou(f.box, box) for f in found]
        if max(overlap) < 0.5:
            raise PersonLost()
        return int(np.argmax(overlap))

    return choose


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    inner = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0).prod()
    return float(inner / max((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inner, 1e-9))


def score(person: Person) -> float:
    """How well a frame shows the person, 0 to 1: all of the body, from the front, large and sharp."""
    shown = float(np.mean(person.visibility[11:] > 0.5))
    side = {"front": 1.0, "side": 0.7, "back": 0.5}[person.facing] * (1.0 if person.face is not None else 0.85)
    large = min(1.0, float((person.boxes[person.chosen, 3] - person.boxes[person.chosen, 1]) / person.mask.shape[0]))
    grey = cv2.cvtColor(person.crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    inner = cv2.erode((person.mask > 0.9).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    edge = float(np.abs(cv2.Laplacian(grey, cv2.CV_32F))[inner].mean()) if inner.any() else 0.0
    return shown ** 2 * side * (0.5 + 0.5 * large) * (0.6 + 0.4 * edge / (edge + 6.0))
