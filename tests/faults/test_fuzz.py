"""Mutated files against all that reads files from elsewhere: a coded error or a good answer; no crash, no hang, little memory.

A fixed budget with fixed seeds; LIKENESS_FUZZ=20 tries twenty times as many, LIKENESS_FUZZ_SEED others.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from neural.contract import wire

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests/support/fuzz.py"
TIMES, SEED = float(os.environ.get("LIKENESS_FUZZ", 1)), os.environ.get("LIKENESS_FUZZ_SEED", "1")
BUDGET = {"image": 500, "weights": 250, "shipped": 12, "body": 400, "checkpoint": 250, "report": 600}     # files
GROWTH_MB = 300     # an image that claims a few hundred megabytes may be begun; none may take more


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limits of the fuzzing process are Linux'")
@pytest.mark.parametrize("target", BUDGET)
def test_mutated_files_are_read_or_refused(target, tmp_path):
    count = max(1, round(BUDGET[target] * TIMES))
    done = subprocess.run([sys.executable, "-W", "ignore", str(SCRIPT), target, str(count), SEED, str(tmp_path)], capture_output=True, text=True,
                          timeout=600 + count, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, f"seed {SEED}, the file is {tmp_path / 'culprit'}\n{done.stderr[-3000:]}"
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["tried"] == count and sum(said["codes"].values()) == count
    assert said["codes"].get("good", 0) > count // 60 and len(said["codes"]) > 1, said        # the mutations reach both sides
    assert said["peak_mb"] - said["began_mb"] < GROWTH_MB, said


def lines(rng: random.Random, messages: list[wire.Message], count: int) -> list[bytes]:
    sys.path.insert(0, str(SCRIPT.parent))
    import fuzz
    good = [wire.encode(m) for m in messages]
    return [line.replace(b"\n", b" ") for line in fuzz.mutants(good, count, rng)]


def test_a_worker_that_hears_mutated_lines_answers_every_whole_one_and_lives(scripts, answer):
    """Through the client's own pipe; jobs that are good after all get their one answer."""
    client = scripts.real()
    assert answer(client, client.submit("a", "o", {}))[0].report["ran"] == 1
    rng = random.Random(3)
    for line in lines(rng, [wire.Run("x", "/p", "/o", {"preset": "draft"}), wire.Cancel("x"), wire.Ping()], round(400 * TIMES)):
        try:
            if isinstance(wire.decode(line), wire.Shutdown):
                continue
        except wire.ProtocolError:
            pass
        client._pipes._outbox.put(line + b"\n")
    pid = client.hello.pid
    client._pipes._outbox.put(wire.encode(wire.Run("last", "/p", "/o", {})))
    heard = []
    while not any(getattr(m, "job", "") == "last" and isinstance(m, wire.Result) for m in heard):
        heard += client._pipes.inbox()
        assert client._pipes.exit_code is None, client.stderr_tail
    assert client.hello.pid == pid and sum(isinstance(m, wire.Error) and m.code == "engine.protocol" for m in heard) > 50


def test_a_client_that_hears_mutated_lines_answers_each_job_once(scripts, answer):
    """Whatever the worker writes: each job ends with one result or one coded error, and the client goes on."""
    folder, rng = scripts.folder, random.Random(4)
    good = [wire.Progress("JOB", "s03_body", 1, 2, "Fitting"), wire.Heartbeat("s03_body", 1.0, True, 99.0), wire.Result("JOB", {"ok": True}),
            wire.Error("JOB", "person.none", "Nobody.", "Try."), wire.Hello(wire.PROTOCOL, "x", 1, {})]
    batches = [lines(rng, good, 40) for _ in range(round(25 * TIMES))]
    for number, batch in enumerate(batches):
        (folder / f"{number}.bin").write_bytes(b"\n".join(batch))
    client = scripts.fake("""
        hello(); beat()
        while True:
            job = hear_run()
            data = open(run["photo"], "rb").read().replace(b"JOB", job.encode())
            sys.stdout.buffer.write(data + b"\\n"); sys.stdout.flush()
            say("result", job=job, report={"last": True})""")
    ends = [answer(client, client.submit(folder / f"{n}.bin", "out", {}))[0] for n in range(len(batches))]
    assert len(ends) == len(batches) and any(isinstance(e, wire.Result) for e in ends)
    assert all(e.code and e.remedy for e in ends if isinstance(e, wire.Error))
