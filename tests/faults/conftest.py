"""Workers for the fault tests: small scripts that speak the protocol (or do not), and what drives them."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from pathlib import Path

import pytest

from addon.worker_process import WorkerProcess
from neural.contract import wire

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90.0     # seconds that a contended machine may take for what is a matter of milliseconds

FAKE = """
import json, os, signal, sys, threading, time
FIRST = not os.path.exists(__file__ + ".ran"); open(__file__ + ".ran", "w").close()
def say(kind, **fields):
    sys.stdout.write(json.dumps({"kind": kind, **fields}) + "\\n"); sys.stdout.flush()
def hear():
    line = sys.stdin.readline()
    if not line: os._exit(0)
    return json.loads(line)
def hello(protocol=%d): say("hello", protocol=protocol, version="fake", pid=os.getpid())
def beat():
    def go():
        while True: say("heartbeat"); time.sleep(0.1)
    threading.Thread(target=go, daemon=True).start()
def hear_run():
    global run
    run = hear(); assert run["kind"] == "run", run
    return run["job"]
def work():                                   # a good worker
    hello(); beat()
    while True: say("result", job=hear_run(), report={"pid": os.getpid(), "run": run})
""" % wire.PROTOCOL

REAL = """
import os, sys, threading, time
sys.path.insert(0, {root!r})
from neural import worker
from neural.contract import errors
class Fake:                                   # stands where the pipeline stands
    made = 0
    def __init__(self, device):
        Fake.made += 1; self.device, self.ran, self.released = device, 0, 0
    def release(self):
        self.released += 1
    def run(self, photo, out, options, progress, cancelled, tile, cache, warnings):
        self.ran += 1
        progress("s01_photo", 0, 1)
        report = {{"warnings": [{{"code": c, "message": m}} for c, m in warnings], "tile": tile, "pid": os.getpid(),
                  "made": Fake.made, "ran": self.ran, "released": self.released, "device": self.device}}
        extra = self.job(photo, out, progress, cancelled, tile)
        return {{**report, **(extra or {{}})}}
    def job(self, photo, out, progress, cancelled, tile):
        pass
{body}
if __name__ == "__main__":
    worker.main(Fake)
"""


class Scripts:
    """Writes worker scripts and starts clients for them; ends all of them after the test."""

    def __init__(self, folder: Path):
        self.folder, self.clients = folder, []

    def write(self, text: str, name: str = "fake_worker.py") -> Path:
        path = self.folder / name
        path.write_text(text, "utf-8")
        return path

    def fake(self, body: str, **limits) -> WorkerProcess:
        return self.client(self.write(FAKE + textwrap.dedent(body)), **limits)

    def real_text(self, body: str = "") -> str:
        return REAL.format(root=str(ROOT), body=textwrap.indent(textwrap.dedent(body), "    "))

    def real(self, body: str = "", **limits) -> WorkerProcess:
        """The real worker around a pipeline of which `body` replaces parts (def job(self, …), or more)."""
        return self.client(self.write(self.real_text(body)), **limits)

    def client(self, script: Path, **limits) -> WorkerProcess:
        limits = {"hang_limit": 60.0, "start_limit": 60.0, **limits}
        client = WorkerProcess(sys.executable, self.folder, command=[sys.executable, "-s", str(script)], **limits)
        self.clients.append(client)
        return client


@pytest.fixture
def scripts(tmp_path):
    made = Scripts(tmp_path)
    yield made
    for client in made.clients:
        client.stop(10.0)


@pytest.fixture
def answer():
    """answer(client, job) -> (the job's one Result or Error, all its other messages)."""
    def wait(client: WorkerProcess, job: str, until=lambda m: isinstance(m, (wire.Result, wire.Error))):
        others, deadline = [], time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for message in client.poll(0.1):
                if getattr(message, "job", None) == job and until(message):
                    return message, others
                others.append(message)
        raise AssertionError(f"no answer; state {client.state}, heard {others}, stderr:\n{client.stderr_tail}")
    return wait


@pytest.fixture
def eventually():
    """eventually(condition): wait until it holds."""
    def wait(condition, what: str = "it did not happen"):
        deadline = time.monotonic() + PATIENCE
        while not (value := condition()):
            assert time.monotonic() < deadline, what
            time.sleep(0.02)
        return value
    return wait


@pytest.fixture
def alive():
    """alive(pid): the process exists and is no zombie."""
    def check(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
        except OSError:
            if Path("/proc/self/stat").exists():
                return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    return check
