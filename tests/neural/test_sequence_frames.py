"""Frames, people who cross, textures of several frames: against what is known."""

from __future__ import annotations


import cv2
import numpy as np
import pytest

from neural.context import Context
from neural.contract.errors import OptionError, SequenceError
from neural.contract.job import JobOptions
from neural.contract.joints import LANDMARK
from neural.contract.sequences import expand_sequences, frame_numbers
from neural.sequence.frames import open_frames
from neural.sequence.fuse import choose_views
from neural.sequence.track import PersonLost, Tracker, candidate


def _picture(folder, name: str, size=(64, 48), value: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / name), np.full((size[1], size[0], 3), value, np.uint8))


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path):
    for n in (2, 10, 1):
        _picture(tmp_path, f"shot_v2_{n}.png", value=n)
    frames = open_frames(tmp_path, fps=30.0)
    assert frames.numbers == [1, 2, 10] and frames.fps == 30.0 and frames.times == pytest.approx([1 / 30, 2 / 30, 10 / 30])
    assert [int(frames.photo(k, Context()).rgb[0, 0, 0]) for k in (0, 2, 1)] == [1, 10, 2]
    assert open_frames(tmp_path, ("shot_v2_1.png", "shot_v2_2.png", "shot_v2_10.png")).numbers == [1, 2, 10]


def test_a_video_is_read_forwards_and_backwards(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 12.0, (64, 48))
    for n in range(6):
        writer.write(np.full((48, 64, 3), 40 * n, np.uint8))
    writer.release()
    frames = open_frames(tmp_path / "a.avi")
    assert frames.numbers == [1, 2, 3, 4, 5, 6] and frames.fps == pytest.approx(12.0)
    read = [float(frames.photo(k, Context()).rgb.mean()) for k in (0, 4, 1, 5)]
    assert read == pytest.approx([0, 160, 40, 200], abs=4)


@pytest.mark.parametrize("make, code", [
    (lambda p: None, "sequence.missing"),
    (lambda p: p.mkdir() or [_picture(p, f"{n}.png") for n in range(2)], "sequence.too-few"),
    (lambda p: p.mkdir() or [_picture(p, f"{n}.png", (64 + n, 48)) for n in range(3)], "sequence.sizes"),
    (lambda p: p.write_bytes(b"no video"), "sequence.unreadable"),
])
def test_what_cannot_be_a_sequence_is_said(tmp_path, make, code):
    path = tmp_path / "s.mp4"
    make(path)
    with pytest.raises(SequenceError) as caught:
        open_frames(path)
    assert caught.value.code == code and caught.value.remedy


def test_numbers_of_frames():
    assert frame_numbers(["a_0010.png", "a_0020.png"]) == [10, 20]
    assert frame_numbers(["v2_a.png", "v2_b.png"]) == [1, 2]           # the same number twice: counted instead
    assert frame_numbers(["x.png", "y.png"]) == [1, 2]


def test_what_a_person_may_give_as_a_sequence(tmp_path):
    for n in (1, 2, 10):
        _picture(tmp_path / "f", f"{n}.png")
    assert expand_sequences([tmp_path / "f"]) == [(tmp_path / "f", ())]
    assert expand_sequences([tmp_path / "f/10.png", tmp_path / "f/2.png"]) == [(tmp_path / "f", ("2.png", "10.png"))]
    assert expand_sequences([tmp_path / "v.MP4"]) == [(tmp_path / "v.MP4", ())]
    for wrong in (tmp_path / "text.txt", tmp_path):
        with pytest.raises(OptionError):
            expand_sequences([wrong])


def test_options_of_sequences_are_checked():
    assert JobOptions.from_json(JobOptions(sequence="animated", frames=("a.png",), fps=25).to_json()).frames == ("a.png",)
    for wrong in ({"sequence": "film"}, {"sequence": "animated", "fps": 0.0}, {"fps": 24.0}, {"sequence": "animated", "frames": ["../a.png"]},
                  {"sequence": "animated", "mask": "m.png"}):
        with pytest.raises(OptionError):
            JobOptions.from_json(wrong)


# -- people who cross ------------------------------------------------------------------------------------------------------

RED, BLUE = (200, 30, 30), (30, 30, 200)


def _seen(people) -> list:
    """people: (x, colour) -> candidates on one picture; the later ones stand in front."""
    rgb = np.full((240, 640, 3), 128, np.uint8)
    out = []
    for x, colour in people:
        cv2.rectangle(rgb, (int(x) - 20, 60), (int(x) + 20, 220), colour, -1)
    for x, _ in people:
        points = np.zeros((33, 2))
        for name, dx, y in (("shoulder", 15, 80), ("hip", 10, 140), ("knee", 10, 180), ("ankle", 10, 215)):
            points[LANDMARK[f"left_{name}"]], points[LANDMARK[f"right_{name}"]] = (x + dx, y), (x - dx, y)
        out.append(candidate(rgb, np.array([x - 20, 60, x + 20, 220.0]), points, np.ones(33)))
    return out


def test_the_same_person_is_followed_when_another_crosses():
    tracker = Tracker()
    tracker.begin(_seen([(100, RED)])[0], 0.0)
    right = 0
    for k in range(1, 31):                                          # red walks right, blue left, in front of red in the middle
        x, y = 100 + 12 * k, 460 - 12 * k
        time = k / 12
        if abs(x - y) < 40:                                         # red is hidden: only blue is found
            with pytest.raises(PersonLost):
                tracker.follow(_seen([(y, BLUE)]), time)
            continue
        order = [(x, RED), (y, BLUE)] if k % 2 else [(y, BLUE), (x, RED)]
        right += tracker.follow(_seen(order), time) == (0 if k % 2 else 1)
    assert right == 30 - 3


def test_in_clothes_of_one_colour_the_way_decides():
    tracker = Tracker()
    tracker.begin(_seen([(100, RED)])[0], 0.0)
    for k in range(1, 20):
        assert tracker.follow(_seen([(100 + 5 * k, RED), (400 - 5 * k, RED)]), k / 12) == 0


def test_somebody_far_away_is_nobody():
    tracker = Tracker()
    tracker.begin(_seen([(60, RED)])[0], 0.0)
    with pytest.raises(PersonLost):
        tracker.follow(_seen([(600, RED)]), 1 / 24)


# -- views -------------------------------------------------------------------------------------------------------------------

def test_views_are_chosen_for_what_they_add():
    """A ball that turns: after its front, the back adds most, then the sides; a view like one had adds nothing."""
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    points = np.stack([np.sin(angle), np.zeros(400), -np.cos(angle)], 1)
    turned = np.stack([points @ np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]).T
                       for a in np.radians([0, 5, 180, 90, 270])])
    toward = np.broadcast_to([0.0, 0, -1], turned.shape)
    chosen = choose_views(turned, toward, np.ones(400), np.ones(5, bool), best=0)
    assert chosen[0] == 2 and set(chosen) == {2, 3, 4}
    assert 2 not in choose_views(turned, toward, np.ones(400), np.arange(5) != 2, best=0)
    assert len(choose_views(turned, toward, np.ones(400), np.ones(5, bool), best=0, most=1)) == 1
