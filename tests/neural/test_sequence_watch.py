"""The look at all frames, and what a sequence says of frames that are damaged, empty, or show the person too seldom."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from neural.body.fit import Fit
from neural.body.model import BodyModel
from neural.body.skinning import joint_transforms
from neural.context import Context
from neural.contract.errors import CancelledError, PersonError, SequenceError
from neural.contract.job import JobOptions
from neural.contract.result import Report
from neural.sequence import watch as module
from neural.sequence.fit import SequenceFit
from neural.sequence.frames import open_frames
from neural.sequence.motion import fit_of_frame, motion_of
from neural.sequence.run import Sequence
from neural.sequence.track import PersonLost

sys.path.insert(0, str(Path(__file__).parent))
from sequence_people import SIDE, evidence_of_motion, motion  # noqa: E402


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return BodyModel.load()


@pytest.fixture
def stage(model, monkeypatch):
    """stage(answers): s02 gives, frame by frame, "yes", "nobody" or "lost"; everything else is as it is."""
    pose, place, _ = motion(2)
    evidence, _ = evidence_of_motion(model, pose, place)

    def set_up(answers: list[str]) -> None:
        left = iter(answers)

        def find_person(photo, nets, context, choose):
            assert context.options.preset == "draft"            # the look needs no more, whatever is wanted in the end
            answer = next(left)
            if answer == "nobody":
                raise PersonError("person.none", "There is no person.", "-")
            if answer == "lost":
                raise PersonLost()
            crop = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
            return SimpleNamespace(boxes=np.array([[10, 10, 100, 200.0]]), chosen=0, visibility=np.ones(33), facing="front", face=np.zeros((468, 3)),
                                   mask=evidence[0].mask, crop=crop)

        monkeypatch.setattr(module, "find_person", find_person)
        monkeypatch.setattr(module, "evidence_of", lambda person, model, net: evidence[0])
    return set_up


def _film(folder, count: int):
    for k in range(count):
        cv2.imwrite(str(folder / f"{k + 1}.png"), np.full((48, 64, 3), k, np.uint8))
    return open_frames(folder)


def _watch(frames, model, context=Context(JobOptions(preset="standard", sequence="animated"))):
    return module.watch(frames, None, model, context, lambda share: None)


def test_empty_frames_and_damaged_ones_are_gaps(tmp_path, model, stage):
    frames = _film(tmp_path, 6)
    (tmp_path / "3.png").write_bytes(b"not a picture")
    stage(["yes", "yes", "nobody", "lost", "yes"])
    found = _watch(frames, model)
    assert [o is not None for o in found.seen] == [True, True, False, False, False, True]
    assert found.lost == 1 and len(found.unreadable) == 1 and found.unreadable[0].startswith("3: ")
    assert [o.number for o in found.seen if o] == [1, 2, 6] and (found.score > 0).tolist() == [True, True, False, False, False, True]


def test_nobody_in_any_frame_is_said(tmp_path, model, stage):
    stage(["nobody"] * 4)
    with pytest.raises(SequenceError) as caught:
        _watch(_film(tmp_path, 4), model)
    assert caught.value.code == "sequence.no-person" and caught.value.remedy


def test_cancel_stops_the_look(tmp_path, model, stage):
    stage(["yes"] * 4)
    with pytest.raises(CancelledError):
        _watch(_film(tmp_path, 4), model, Context(JobOptions(sequence="animated"), cancelled=lambda: True))


@pytest.fixture
def sequence(tmp_path, model, stage):
    """sequence(answers) -> Sequence over a film, and its report."""
    def make(answers: list[str]) -> tuple[Sequence, Report]:
        _film(tmp_path, len(answers))
        stage(answers)
        options = JobOptions(preset="draft", sequence="animated", fps=12)
        report = Report("film", options, "cpu")
        job = SimpleNamespace(context=Context(options, warn=report.warn), report=report, progress=lambda *_: None)
        models = SimpleNamespace(body=lambda path: model, landmarks=None)
        return Sequence(SimpleNamespace(models=models), job, tmp_path, None), report
    return make


def test_a_person_seen_too_seldom_is_an_error(sequence):
    made, _ = sequence(["nobody", "yes", "nobody", "yes", "nobody"])
    with pytest.raises(SequenceError) as caught:
        made._watch(lambda share: None)
    assert caught.value.code == "sequence.too-few" and "2 of 5" in caught.value.message


def test_ends_without_the_person_are_cut_and_gaps_are_told(sequence, monkeypatch):
    made, report = sequence(["nobody", "yes", "lost", "yes", "yes", "nobody", "nobody"])
    made.watched = made._watch(lambda share: None)
    assert made.rows.tolist() == [1, 2, 3, 4] and [w["code"] for w in report.warnings] == ["sequence.shortened"]

    def fitted(model, calls, times, score, step):
        assert [c is not None for c in calls] == [True, False, True, True] and times == pytest.approx(np.array([2, 3, 4, 5]) / 12)
        assert calls[0]().mask.shape == (SIDE, SIDE)
        return SimpleNamespace(used=np.array([c is not None for c in calls]))
    monkeypatch.setattr("neural.sequence.run.fit_sequence", fitted)
    made._fit(lambda share: None)
    gap = next(w for w in report.warnings if w["code"] == "sequence.gaps")
    assert "1 frame" in gap["message"] and "(3)" in gap["message"]


def test_the_motion_moves_the_rig_as_the_body_and_carries_the_fingers(model):
    pose, place, _ = motion(3)
    scale, betas = 1.1, np.full(3, 0.5)
    rest = model.shaped(betas, scale)[1]
    best = joint_transforms(pose[1], rest)
    best[:, :3, 3] += scale * place[1]
    finger = np.eye(4)
    finger[:3, 3] = (0.01, 0.02, 0.03)
    rig = SimpleNamespace(rest_joints=np.concatenate([rest, np.zeros((30, 3))]), camera_from_rest=np.concatenate([best, np.repeat((best[22] @ finger)[None], 15, 0),
                                                                                                               np.repeat((best[23] @ finger)[None], 15, 0)]))
    found = SequenceFit(pose, betas, place, np.zeros(3), np.zeros(3), np.array([True, False, True]), np.ones((3, 2)))
    made = motion_of(found, np.array([5, 7, 8]), 24.0, SimpleNamespace(scale=scale), rig, 1)
    for k in range(3):
        _, joints, _ = model.posed(pose[k], betas, scale, scale * place[k])
        moved = np.einsum("jab,jb->ja", made.camera_from_rest[k, :24, :3, :3], rest) + made.camera_from_rest[k, :24, :3, 3]
        assert np.allclose(moved, joints, atol=1e-9)
        assert np.allclose(made.camera_from_rest[k, 24], made.camera_from_rest[k, 22] @ finger)
    assert np.allclose(made.camera_from_rest[1], rig.camera_from_rest) and made.numbers.tolist() == [5, 7, 8]
    one = fit_of_frame(replace(found, errors=np.array([np.nan, 0.01, 0.02])), 1, 400.0)
    assert isinstance(one, Fit) and one.error_px == pytest.approx(4.0) and np.array_equal(one.pose, pose[1])
