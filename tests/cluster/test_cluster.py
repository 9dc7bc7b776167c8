"""Batches on a Dask cluster of this machine. The stations are stand-ins; Dask, the processes, the files and the kills are real."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

posix = pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")


@posix
def test_workers_are_killed_at_random_and_every_result_is_there_once(farm, monkeypatch):
    monkeypatch.setenv("FAKE_STEP_S", "0.08")
    farm.start(3)
    names = [f"p{i:03d}" for i in range(200)]
    photos, kills, ended = farm.photos(*(f"{n}.jpg" for n in names)), [], threading.Event()

    def kill() -> None:
        rng = random.Random(5)
        while not ended.wait(rng.uniform(0.6, 1.2)):
            pids = farm.pids()
            if pids and farm.log.exists():
                kills.append(rng.choice(pids))
                os.kill(kills[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        answers = farm.run(photos)
    finally:
        ended.set()
        killer.join()
    assert set(answers.values()) == {("done", "")}, [s for s in farm.said if "(engine" in s]
    assert len(kills) >= 3
    farm.check(names)
    assert set(farm.ran()) == set(names)                 # some ran twice, since their worker died; none is there twice
    assert set(farm.run(photos).values()) == {("skipped", "")}


def test_scheduler_and_worker_as_processes_of_their_own(farm, monkeypatch):
    """As `dev.py cluster` starts them: the scheduler knows nothing of Likeness."""
    file, station = farm.folder / "scheduler.json", f"'{sys.executable}' '{ROOT / 'tests/cluster/fake_station.py'}'"
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    commands = ([sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *common],
                [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads=1", "--preload", str(ROOT / "farm/preload.py"), *common])
    running = []
    try:
        for command in commands:
            running.append(subprocess.Popen(command, cwd=farm.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                            env={**os.environ, "LIKENESS_STATION": station, "FAKE_LOG": str(farm.log)}))
            deadline = time.monotonic() + 60
            while not file.exists():
                assert time.monotonic() < deadline and running[0].poll() is None
                time.sleep(0.05)
        photos = farm.photos("a.jpg", "b.jpg")
        assert set(farm.run(photos, address=json.loads(file.read_text())["address"]).values()) == {("done", "")}, farm.said
        farm.check(["a", "b"])
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(30)


@pytest.mark.parametrize("shared", [False, True], ids=["sent", "shared"])
def test_each_photo_has_its_own_end(farm, shared):
    farm.start(2)
    photos = farm.photos("a.jpg", "fail.jpg", "cursed.jpg", "evil.jpg", "half.jpg", "b.png")
    photos.insert(3, farm.folder / "photos" / "missing.jpg")
    answers = farm.run(photos, shared)
    assert answers == {"a.jpg": ("done", ""), "fail.jpg": ("failed", "person.none"), "cursed.jpg": ("failed", "engine.crashed"),
                       "missing.jpg": ("failed", "photo.missing"), "evil.jpg": ("failed", "internal.result"),
                       "half.jpg": ("failed", "internal.result"), "b.png": ("done", "")}, farm.said
    assert {p.name for p in farm.out.iterdir()} == {"journal.sqlite", *(p.stem for p in photos)}       # nothing is left over
    assert [p.name for p in (farm.out / "evil").iterdir()] == ["report.json"]
    assert farm.ran()["cursed"] == 3 and farm.ran()["fail"] == 1                  # another try only where that may help
    again = farm.run(photos, shared)                                              # the machine's fault is tried again, the photo's is not
    assert again["a.jpg"] == ("skipped", "") and farm.ran()["cursed"] == 6 and farm.ran()["fail"] == 1


def test_a_mask_travels_and_names_do_no_harm(farm):
    farm.start(1)
    (photo,) = farm.photos("we ird;$(touch x)'\".jp g")
    mask = farm.folder / "m.png"
    mask.write_bytes(b"mask")
    assert farm.run([photo], mask=str(mask)) == {photo.name: ("done", "")}, farm.said
    folder = next(p for p in farm.out.iterdir() if p.is_dir())
    assert folder.name == photo.stem and '"mask": "m.png"' in (folder / "report.json").read_text()
    mask.unlink()
    assert farm.run(farm.photos("b.jpg"), mask=str(mask)) == {"b.jpg": ("failed", "option.mask")}


def test_a_machine_without_engine_gets_no_more_photos(farm, monkeypatch):
    monkeypatch.setenv("FAKE_USELESS", str(farm.folder / "useless"))
    farm.start(2)
    photos = farm.photos(*(f"{i}.jpg" for i in range(12)))
    assert set(farm.run(photos).values()) == {("done", "")}
    farm.check([p.stem for p in photos])
    assert sum("cannot work" in s for s in farm.said) in (1, 2, 3)          # what had been sent to it before was sent on


def test_when_no_machine_has_an_engine_the_photos_wait(farm, monkeypatch):
    monkeypatch.setenv("FAKE_USELESS", str(farm.folder / "useless"))
    farm.start(1)
    photos = farm.photos("a.jpg", "b.jpg")
    assert set(farm.run(photos).values()) == {("waiting", "engine.missing")}, farm.said
    assert set(farm.run(photos).values()) == {("done", "")}         # the stand-in has an engine by now
    farm.check(["a", "b"])


def test_cancel_ends_the_work_on_the_machines_too(farm):
    farm.start(1)
    photos = farm.photos("a.jpg", "slow.jpg", "c.jpg")
    answers = farm.run(photos, cancelled=lambda: farm.log.exists() and "slow" in farm.log.read_text())
    assert answers["slow.jpg"] == ("waiting", "cancelled.by-user") and answers["a.jpg"] == ("done", "")
    assert {p.name for p in farm.out.iterdir() if not (p / "report.json").exists()} == {"journal.sqlite"}
    deadline = time.monotonic() + 60
    while "cancelled-slow" not in farm.log.read_text():
        assert time.monotonic() < deadline, "the station was never told"
        time.sleep(0.1)
    with open(farm.log, "w"):
        pass
    assert farm.run(photos[2:]) == {"c.jpg": ("done", "")}          # and the worker is free again


def test_no_cluster_and_a_cluster_that_goes_away(farm, monkeypatch):
    monkeypatch.setattr("likeness.farm.dask_cluster.WAIT_S", 2.0)
    photos = farm.photos("a.jpg", "slow.jpg", "c.jpg")
    assert set(farm.run(photos, address="tcp://127.0.0.1:9").values()) == {("waiting", "engine.no-cluster")}
    farm.start(1)
    address = farm.cluster.scheduler_address

    def take_away() -> None:
        while not (farm.log.exists() and "slow" in farm.log.read_text()):
            time.sleep(0.05)
        farm.cluster.close()

    taker = threading.Thread(target=take_away)
    taker.start()
    answers = farm.run(photos, address=address)
    taker.join()
    assert answers["a.jpg"] == ("done", "") and answers["slow.jpg"] == ("waiting", "engine.cluster-lost"), farm.said
    farm.cluster = None
    photos[1] = photos[1].rename(photos[1].with_name("b.jpg"))
    assert farm.start(1).run(photos) == {"a.jpg": ("skipped", ""), "b.jpg": ("done", ""), "c.jpg": ("done", "")}
