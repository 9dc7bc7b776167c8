"""A station of a cluster: Blender's half and an engine as one worker of the protocol. The engine is the stand-in."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from addon.worker_process import WorkerProcess
from neural.contract import wire
from neural.contract.job import JobOptions
from neural.contract.result import whole_report

ROOT = Path(__file__).resolve().parents[2]
FAKE = Path(__file__).with_name("fake_worker.py")


@pytest.fixture
def station():
    command = [sys.executable, str(ROOT / "farm/station.py"), str(FAKE)]
    made = WorkerProcess(sys.executable, ROOT, command=command, hang_limit=120.0)
    yield made
    assert made.stop(10.0)


def answer(station: WorkerProcess, job: str, until=lambda m: isinstance(m, (wire.Result, wire.Error))) -> wire.Message:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for message in station.poll(0.2):
            if getattr(message, "job", None) == job and until(message):
                return message
    raise AssertionError(f"no answer; stderr:\n{station.stderr_tail}")


def test_a_station_makes_whole_results_and_stays(station, tmp_path):
    """Two good photos, a bad one and a cancelled one in the same process."""
    def send(name: str) -> str:
        (tmp_path / name).write_bytes(b"the fake does not look")
        return station.submit(tmp_path / name, tmp_path / "out" / Path(name).stem, JobOptions(preset="draft"))

    for name in ("anna", "bert"):
        done = answer(station, send(f"{name}.jpg"))
        assert isinstance(done, wire.Result) and done.report["stages"][-1]["name"] == "scene", done
        assert whole_report(tmp_path / "out" / name) and not (tmp_path / "out" / name / "result.npz").exists()
    pid = station.hello.pid
    failed = answer(station, send("fail.jpg"))
    assert (failed.code, failed.remedy != "") == ("person.none", True)
    slow = send("slow.jpg")
    answer(station, slow, lambda m: isinstance(m, wire.Progress) and m.stage == "s02_person")
    station.cancel(slow)
    assert answer(station, slow).code == "cancelled.by-user" and answer(station, send("cara.jpg")).kind == "result"
    assert station.hello.pid == pid and not (tmp_path / "out" / "slow" / "report.json").exists()
