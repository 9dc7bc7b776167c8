"""A sequence of meshes that ends in the middle goes on where it was."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from neural.context import Context
from neural.contract import files
from neural.contract.errors import EngineError, PersonError
from neural.contract.job import JobOptions
from neural.contract.result import Report
from neural.sequence import run as module
from neural.sequence.kept import Kept
from neural.sequence.run import Sequence

OPTIONS = JobOptions(preset="draft", sequence="per-frame", fps=12)


def fit_of(n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return SimpleNamespace(poses=rng.normal(size=(n, 24, 3)), betas=np.zeros(10), translations=np.zeros((n, 3)), used=np.ones(n, bool))


class Machine:
    """All but the work on a frame, which writes the frame's number; `dies` is raised at the call of that number."""

    def __init__(self, tmp_path, monkeypatch, frames: int = 6):
        self.film, self.out, self.calls, self.dies, self.fit = tmp_path / "film", files.part_of(tmp_path / "people/film"), [], {}, fit_of(frames)
        self.film.mkdir()
        for k in range(frames):
            cv2.imwrite(str(self.film / f"{k + 1}.png"), np.zeros((8, 8, 3), np.uint8))
        monkeypatch.setattr(module, "write_result", self.write)
        monkeypatch.setattr(module, "motion_of", lambda *_: SimpleNamespace(save=lambda *_: None))
        monkeypatch.setattr(Sequence, "_body", lambda made, row, warn: (SimpleNamespace, row, None))
        monkeypatch.setattr(Sequence, "_best", lambda made: 2)
        monkeypatch.setattr(module, "replace", lambda thing, **new: replace(thing, **new) if thing is not SimpleNamespace else SimpleNamespace(**new))

    def write(self, folder, photo, *rest):
        report = rest[-2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mesh.ply").write_text(photo.name)
        (folder / "report.json").write_text("{}")
        return report.to_json()

    def person(self, job, photo, person, body):
        self.calls.append(person + 1)
        if person + 1 in self.dies:
            raise self.dies[person + 1]
        job.report.mesh = {"vertices": 1, "faces": 1, "watertight": True, "height_m": 1.7}
        return SimpleNamespace(normals=0, depths=0, surface=0, texture=0, rig=0)

    def run(self, options=OPTIONS):
        files.remove(self.out)
        self.out.mkdir(parents=True)
        report = Report("film", options, "cpu")
        job = SimpleNamespace(context=Context(options, warn=report.warn), report=report, progress=lambda *_: None)
        runner = lambda options, device, report, *_: SimpleNamespace(report=report)
        pipeline = SimpleNamespace(models=SimpleNamespace(body=lambda path: None), person=self.person)
        made = Sequence(pipeline, job, self.film, runner)
        made.rows, made.fit = np.arange(len(made.frames)), self.fit
        self.calls.clear()
        said = made._per_frame(self.out, 0.0, lambda share: None)
        return sorted(f.name for f in (self.out / "frames").iterdir()), said, [w["code"] for w in report.warnings]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


def test_what_is_finished_is_not_done_again(machine):
    machine.dies[5] = EngineError("engine.x", "x", "y")
    with pytest.raises(EngineError):
        machine.run()
    assert machine.calls == [3, 1, 2, 4, 5] and not (machine.out / "frames/000005").exists()
    machine.dies.clear()
    names, said, warned = machine.run()
    assert machine.calls == [3, 5, 6] and names == [f"{k:06d}" for k in range(1, 7)] and "sequence.resumed" in warned
    assert said["sequence"]["meshes"] == [1, 2, 3, 4, 5, 6]
    assert all((machine.out / "frames" / n / "mesh.ply").read_text() == n for n in names)


def test_another_question_is_answered_anew(machine):
    """Other options or another motion: nothing of before is used, and it goes."""
    machine.run()
    kept = files.kept_of(files.final_of(machine.out))
    old = list(kept.iterdir())
    machine.run(replace(OPTIONS, preset="standard"))
    assert machine.calls == [3, 1, 2, 4, 5, 6] and list(kept.iterdir()) != old and len(list(kept.iterdir())) == 1
    machine.fit = fit_of(6, seed=1)
    machine.run(replace(OPTIONS, preset="standard"))
    assert machine.calls == [3, 1, 2, 4, 5, 6] and len(list(kept.iterdir())) == 1


def test_frames_that_fail_are_tried_again(machine):
    machine.dies[2] = PersonError("person.none", "nobody", "-")
    names, _, warned = machine.run()
    assert names == ["000001", *(f"{k:06d}" for k in (3, 4, 5, 6))] and "sequence.frames-failed" in warned
    machine.dies.clear()
    assert machine.run()[0] == [f"{k:06d}" for k in range(1, 7)] and machine.calls == [3, 2]


def test_a_crash_in_the_middle_of_a_frame_leaves_no_frame(machine, tmp_path):
    kept = Kept(tmp_path / ".x.likeness-frames", OPTIONS, machine.fit, [1])

    def half(folder):
        folder.mkdir()
        (folder / "mesh.ply").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.frame(1, tmp_path / "out", half)
    again = Kept(tmp_path / ".x.likeness-frames", OPTIONS, machine.fit, [1])
    assert not list(again.folder.iterdir()) and not (tmp_path / "out").exists()


def test_a_link_in_its_place_is_not_followed(machine, tmp_path):
    other = tmp_path / "precious"
    other.mkdir()
    (other / "work.txt").write_text("mine")
    link = tmp_path / ".x.likeness-frames"
    link.symlink_to(other)
    kept = Kept(link, OPTIONS, machine.fit, [1])
    assert (other / "work.txt").read_text() == "mine" and not link.is_symlink() and kept.folder.is_dir()


def test_elsewhere_nothing_is_kept(machine, tmp_path):
    """In a window the result's folder is the session's own."""
    machine.out = tmp_path / "job"
    machine.run()
    assert not list(tmp_path.glob(".*")) and not list(tmp_path.glob("people/.*frames"))


def test_names(tmp_path):
    final = tmp_path / "film"
    assert files.final_of(files.part_of(final)) == final and files.final_of(final) is None and files.final_of(tmp_path / files.PART) is None
    assert files.kept_of(final).parent == tmp_path
    files.kept_of(final).mkdir()
    files.sweep(tmp_path)
    assert files.kept_of(final).is_dir()
