"""A sequence from frames to files: look at all frames, fit the motion, make the person, take textures from other frames."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Callable

import numpy as np

from ..body.evidence import Evidence
from ..body.lift import lifter
from ..body.model import BodyModel
from ..contract import files
from ..contract.errors import LikenessError, PersonError, SequenceError
from ..contract.result import StageReport
from ..geometry.normals import vertex_normals
from ..memory import peak_mb, reset_peak
from ..output import write_result
from ..stages import s02_person, s03_body
from ..stages.s01_photo import Photo
from ..stages.s02_person import Person
from ..stages.s03_body import Body
from .fit import SequenceFit, fit_sequence
from .frames import Frames, open_frames
from .fuse import View, choose_views, fuse, view_of
from .kept import Kept
from .motion import fit_of_frame, motion_of
from .observe import voted
from .watch import Watched, by_box, watch

SHARES = {"q01_frames": (0.0, 0.5), "q02_motion": (0.5, 0.75), "q03_person": (0.75, 0.97), "q04_views": (0.9, 0.97)}
"""Parts of the bar; between, the stages of the best frame move it."""


class Sequence:
    """One run. pipeline: pipeline.Pipeline, whose stages make the person; job: its StageRunner (report, progress, cancel); runner: the class."""

    def __init__(self, pipeline, job, path: Path, runner: type):
        options = job.context.options
        self.pipeline, self.job, self.report = pipeline, job, job.report
        self.options, self.context, self.runner = options, job.context, runner
        self.model: BodyModel = pipeline.models.body(options.body)
        self.frames: Frames = open_frames(path, options.frames, options.fps)
        self.watched: Watched | None = None
        self.fit: SequenceFit | None = None
        self.rows = np.arange(0)                              # of frames, from the first to the last that shows the person

    def run(self, out: Path, began: float) -> dict:
        """Files into `out`; returns the report."""
        try:
            self.watched = self._timed("q01_frames", "blazepose+tracking", self._watch)
            self.fit = self._timed("q02_motion", "shared shape+motion fit over all frames", self._fit)
            if self.options.sequence == "per-frame":
                return self._timed("q03_person", "every frame", lambda step: self._per_frame(out, began, step), ends=True)
            return self._animated(out, began)
        finally:
            self.frames.close()

    # -- looking and fitting -------------------------------------------------------------------------------------------

    def _watch(self, step: Callable[[float], None]) -> Watched:
        found = watch(self.frames, self.pipeline.models.landmarks, self.model, self.context, step)
        seen = [k for k, o in enumerate(found.seen) if o is not None]
        if len(seen) < 3:
            raise SequenceError("sequence.too-few", f"The person is seen in only {len(seen)} of {len(self.frames)} frames.",
                                "Give more frames that show the person, or import the pictures as single photos.")
        self.rows = np.arange(seen[0], seen[-1] + 1)
        if found.unreadable:
            self.report.warn("sequence.damaged", f"{len(found.unreadable)} frame(s) cannot be read, the first is {found.unreadable[0]}")
        ends = seen[0] + len(self.frames) - 1 - seen[-1]
        if ends:
            self.report.warn("sequence.shortened", f"{ends} frame(s) before or after do not show the person and were left out.")
        return found

    def _fit(self, step: Callable[[float], None]) -> SequenceFit:
        observed = [self.watched.seen[k] for k in self.rows]
        bare = voted([None if o is None else o.bare for o in observed])       # the questions need no mask
        calls = [None if o is None else (lambda o=o, v=v: whole_evidence(o, v)) for o, v in zip(observed, bare)]
        times = self.frames.times[self.rows]
        found = fit_sequence(self.model, calls, times, self.watched.score[self.rows],
                             step=lambda done, of: (step(done / of), self.context.check()))
        gaps = [self.frames.numbers[k] for k, used in zip(self.rows, found.used) if not used]
        if gaps:
            told = ", ".join(map(str, gaps[:8])) + (" …" if len(gaps) > 8 else "")
            self.report.warn("sequence.gaps", f"In {len(gaps)} frame(s) the person is hidden, lost or not understood ({told}); the motion there is "
                             "a guess between the frames around them.")
        if lifter() is None:
            self.report.warn("body.no-lifter", "The network that judges depth is not installed; the pose in depth is rougher.")
        return found

    # -- the person ----------------------------------------------------------------------------------------------------

    def _body(self, row: int, warn: bool, quietly: bool = False) -> tuple[Photo, Person, Body]:
        """Photo, person and body of a frame, at the wanted preset, with the sequence's fit."""
        k = int(self.rows[row])
        context = replace(self.context, warn=self.report.warn if warn else lambda *_: None, progress=lambda *_: None)
        photo = self.frames.photo(k, context)
        person = s02_person.find_person(photo, self.pipeline.models.landmarks, context, choose=by_box(self.watched.seen[k].box))
        if quietly:
            return photo, person, None
        evidence = s03_body.evidence_of(person, self.model, lifter())
        fit = fit_of_frame(self.fit, row, evidence.size_px)
        return photo, person, s03_body.fitted_body(person, self.model, evidence, fit, context, "sequence fit")

    def _best(self) -> int:
        """Row of the frame that the mesh is made from: well seen, well fitted, limbs apart from the trunk."""
        f, score = self.fit, self.watched.score[self.rows] * self.fit.used
        error = np.nan_to_num(f.errors, nan=1.0)
        local = np.array([self.model.posed(p, f.betas)[1] for p in f.poses])
        wide = np.minimum(*(np.linalg.norm(local[:, w] - local[:, s], axis=1) for w, s in ((20, 1), (21, 2))))    # wrists from hips
        return int(np.argmax(score * (0.7 + 0.3 * np.clip(wide / 0.35, 0, 1)) / (1 + 20 * error)))

    def _animated(self, out: Path, began: float) -> dict:
        best = self._best()
        number = self.frames.numbers[self.rows[best]]
        photo, person, body = self._timed("q03_person", "best frame", lambda step: self._body(best, warn=True))
        made = self.pipeline.person(self.job, photo, person, body)
        surface, texture, rig = made.surface, made.texture, made.rig
        motion = motion_of(self.fit, [self.frames.numbers[k] for k in self.rows], self.frames.fps, body, rig, best)

        def views(step: Callable[[float], None]) -> tuple:
            chosen, taken = self._choose(best, body), []
            for i, row in enumerate(chosen):
                step(i / (len(chosen) + 1))
                try:
                    other, who, _ = self._body(row, warn=False, quietly=True)
                except PersonError:                           # the finer look finds nobody: one view less
                    continue
                taken.append(view_of(int(motion.numbers[row]), motion.camera_from_rest[row], rig, surface, other, who))
            return taken, *fuse(texture, surface, taken, self.context.device, self.context.check)

        taken, texture, covered = self._timed("q04_views", "s10's projection from other frames", views)
        self._describe(number, taken, covered)
        self.report.texture = self.report.texture | {"seen_fraction": round(covered[-1], 4)}
        out.mkdir(parents=True, exist_ok=True)
        motion.save(out, "animated", number)
        return write_result(out, replace(photo, name=self.frames.path.stem), person, body, made.normals, made.depths, surface, texture, rig,
                            self.report, began)

    def _choose(self, best: int, body: Body) -> list[int]:
        """Rows whose pictures show most of what the best frame does not."""
        f, n = self.fit, len(self.rows)
        keep = np.unique(np.append(np.linspace(0, n - 1, min(n, 200)).astype(int), best))
        vertices = np.stack([self.model.posed(f.poses[k], f.betas, body.scale, body.scale * f.translations[k])[0] for k in keep]).astype(np.float32)
        sparse = np.flatnonzero(~self.model.inner)[::7]
        normals = np.stack([vertex_normals(v, self.model.faces)[sparse] for v in vertices])
        toward = -vertices[:, sparse] / np.linalg.norm(vertices[:, sparse], axis=2, keepdims=True)
        score = self.watched.score[self.rows][keep] * f.used[keep]
        found = choose_views(normals, toward, np.ones(len(sparse)), score > 0.3 * score.max(), int(np.searchsorted(keep, best)))
        return [int(keep[k]) for k in found]

    def _per_frame(self, out: Path, began: float, step: Callable[[float], None]) -> dict:
        """A mesh for each frame that shows the person, in out/frames/NUMBER/; the best frame's also in `out` itself.

        Where `out` is a batch's working folder (files.part_of) finished frames survive it (kept.py)."""
        best, failed, done = self._best(), [], []
        order = [best] + [k for k in range(len(self.rows)) if k != best and self.fit.used[k]]
        numbers = [self.frames.numbers[k] for k in self.rows]
        final = files.final_of(out)
        kept = Kept(None if final is None else files.kept_of(final), self.options, self.fit, numbers)
        known, last = 0, ()
        for i, row in enumerate(order):
            self.context.check()
            step(i / len(order))
            number = self.frames.numbers[self.rows[row]]
            report = replace(self.report, stages=[], warnings=[], mesh=None, rig=None, texture=None)
            job = self.runner(self.options, self.context.device, report, lambda *_, share=i / len(order): step(share), self.context.cancelled,
                              self.context.tile, None)

            def make(folder: Path) -> tuple:
                photo, person, body = self._body(row, warn=row == best)
                made = self.pipeline.person(job, photo, person, body)
                parts = (person, body, made.normals, made.depths, made.surface, made.texture, made.rig)
                report.ok = True
                write_result(folder, replace(photo, name=f"{number:06d}"), *parts, report, time.perf_counter())
                return (photo, *parts)

            try:
                if row == best:                               # its mesh and rig are the whole result's: they are needed here
                    photo, *parts = make(out / "frames" / f"{number:06d}")
                else:
                    known += kept.frame(number, out / "frames", make)
            except LikenessError as exc:
                if row == best or exc.area in ("cancelled", "output", "engine", "weights"):
                    raise
                failed.append(f"{number}: {exc.message}")
                continue
            done.append(number)
            if row == best:
                last = (replace(photo, name=self.frames.path.stem), *parts)
                self.report.mesh, self.report.rig, self.report.texture = report.mesh, report.rig, report.texture
                motion = motion_of(self.fit, numbers, self.frames.fps, parts[1], parts[-1], best)
        if known:
            self.report.warn("sequence.resumed", f"{known} frame(s) were taken from an earlier start that had not come to its end.")
        if failed:
            self.report.warn("sequence.frames-failed", f"{len(failed)} frame(s) gave no mesh, the first is {failed[0]}")
        self._describe(self.frames.numbers[self.rows[best]], [], [])
        self.report.sequence["meshes"] = sorted(done)
        motion.save(out, "per-frame", self.frames.numbers[self.rows[best]])
        return write_result(out, *last, self.report, began)

    # -- what is told --------------------------------------------------------------------------------------------------

    def _describe(self, best: int, views: list[View], covered: list[float]) -> None:
        numbers = [self.frames.numbers[k] for k in self.rows]
        self.report.sequence = {
            "mode": self.options.sequence, "frames": len(self.frames), "first": numbers[0], "last": numbers[-1], "fps": round(self.frames.fps, 4),
            "used": int(self.fit.used.sum()), "bridged": int((~self.fit.used).sum()), "best": int(best), "views": [v.number for v in views],
            "seen_by_views": [round(c, 4) for c in covered]}
        self.report.ok = True

    def _part(self, name: str) -> Callable[[float], None]:
        low, high = SHARES[name]
        return lambda share: self.job.progress(name, low + (high - low) * share, 1.0)

    def _timed(self, name: str, method: str, work: Callable, ends: bool = False):
        """Runs a part; its time and memory go into the report (before the work when that writes the report itself)."""
        step, began = self._part(name), time.perf_counter()
        step(0.0)
        reset_peak()
        if ends:
            self.report.stages.append(StageReport(name, 0.0, 0.0, method))
            return work(step)
        result = work(step)
        self.report.stages.append(StageReport(name, time.perf_counter() - began, peak_mb(), method))
        return result


def whole_evidence(observed, answers: Evidence) -> Evidence:
    """The frame's evidence with the voted answers."""
    full = observed.evidence()
    return replace(answers, mask=full.mask, inside=full.inside)
