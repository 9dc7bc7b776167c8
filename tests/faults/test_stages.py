"""The worker killed, hung, out of memory, and the job cancelled, at each stage: the others are done, the next start completes all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from neural.contract import job
from neural.contract.job import STAGE_LABELS
from neural.contract.journal import Journal
from neural.contract.result import whole_report

STAGES = {name: STAGE_LABELS[name] for name in ("load", *job.STAGES, "output")}
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests/support/batch_run.py"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="kill -9 and limits of memory are POSIX")


class Batch:
    """A folder of photos, whose names say what befalls the worker, and an output folder."""

    def __init__(self, folder: Path, *names: str):
        self.folder, self.out = folder, folder / "out"
        (folder / "once").mkdir()
        self.photos = [folder / f"{n}.jpg" for n in names]
        for photo in self.photos:
            photo.write_bytes(photo.name.encode())

    def start(self, **env: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, str(SCRIPT), str(self.out), *map(str, self.photos)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env={**os.environ, "FAKE_ONCE": str(self.folder / "once"), "FAKE_STEP_S": "0.01", **env})

    def run(self, **env: str) -> tuple[int, dict[str, tuple[str, str]], str]:
        process = self.start(**env)
        out, err = process.communicate(timeout=300)
        assert "Traceback" not in err, err
        return process.returncode, {Path(n).stem: (s, c) for n, s, c in map(str.split, out.splitlines())}, err

    def completes(self) -> None:
        """One more start does what is missing; every result is there once and whole, nothing is left over."""
        code, answers, said = self.run()
        assert code == 0 and {s for s, _ in answers.values()} <= {"done", "skipped"}, said
        assert {p.name for p in self.out.iterdir()} == {*(p.stem for p in self.photos), "journal.sqlite"}
        with Journal(self.out) as book:
            rows, events = {r.id: r for r in book.rows()}, book.events()
        assert {r.state for r in rows.values()} == {"done"}
        assert Counter(rows[photo].output for _, photo, state, _, _ in events if state == "done") == {p.stem: 1 for p in self.photos}
        assert all(whole_report(self.out / r.output)["job"] == r.stamp() for r in rows.values())


@pytest.mark.parametrize("deed, codes", [("kill", {"engine.killed"}), ("exhaust", {"engine.crashed"})])
def test_the_worker_dies_at_each_stage(tmp_path, deed, codes):
    bad = [f"{deed}-at-{stage}" for stage in STAGES]
    batch = Batch(tmp_path, "first", *bad, "last")
    code, answers, said = batch.run()
    assert code == 3 and {answers[n][0] for n in bad} == {"failed"} and {answers[n][1] for n in bad} == codes, said
    assert answers["first"] == answers["last"] == ("done", "-")
    for name in bad:
        told = json.loads((batch.out / name / "report.json").read_text())
        assert [p.name for p in (batch.out / name).iterdir()] == ["report.json"] and told["error"]["remedy"] and not told["ok"]
    batch.completes()


def test_the_worker_hangs_at_some_stages(tmp_path):
    """Each costs the patience with a silent worker, so not all of them: the first, one in the middle, the last."""
    bad = [f"hang-at-{stage}" for stage in ("load", "s05_parts", "output")]
    batch = Batch(tmp_path, "first", *bad, "last")
    code, answers, said = batch.run(HANG_LIMIT="1.5")
    assert code == 3 and {answers[n] for n in bad} == {("failed", "engine.hung")} and answers["last"] == ("done", "-"), said
    assert "stage: s05_parts" in said
    batch.completes()


@pytest.mark.parametrize("stage", STAGES)
def test_cancelled_at_each_stage(tmp_path, stage):
    """The worker waits at this stage for the cancel that comes when the stage is shown."""
    batch = Batch(tmp_path, f"wait-at-{stage}", "last")
    code, answers, said = batch.run(CANCEL_AT=STAGES[stage])
    assert code == 130 and answers == {f"wait-at-{stage}": ("cancelled", "cancelled.by-user"), "last": ("waiting", "cancelled.by-user")}, said
    assert [p.name for p in batch.out.iterdir()] == ["journal.sqlite"]
    batch.completes()


def test_two_batches_and_a_kill_of_the_first(tmp_path):
    """The second is refused while the first works, and goes on with all of it when the first was killed."""
    batch = Batch(tmp_path, "a", "wait-at-s03_body", "c")
    first = batch.start()
    for line in first.stderr:
        if "wait-at" in line and "Fitting" in line:
            break
    code, answers, _ = batch.run()
    assert code == 3 and set(answers.values()) == {("waiting", "output.busy")}
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    time.sleep(0.1)
    batch.completes()
