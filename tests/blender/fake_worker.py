#!/usr/bin/env python3
"""A worker that speaks the wire protocol and makes the synthetic person. What it does is in the photo's name:

fail (coded error), crash (exit in the middle), slow (ten slow steps), anything else: a good result.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import figure  # noqa: E402

say_lock = threading.Lock()
cancelled: set = set()


def say(**message) -> None:
    with say_lock:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def work(run: dict) -> None:
    job, name = run["job"], Path(run["photo"]).stem
    stages = ("s01_photo", "s02_person", "s03_body", "s09_surface", "s10_texture", "s11_rig")
    labels = ("Reading the photo", "Finding the person", "Fitting the body", "Surface", "Texture", "Rig")
    for stage, label in zip(stages, labels):
        for step in range(4):
            say(kind="progress", job=job, stage=stage, done=step, of=4, label=label)
            time.sleep(float(os.environ.get("FAKE_STEP_S", "0.25")) if "slow" in name else 0.001)
            if job in cancelled:
                say(kind="error", job=job, code="cancelled.by-user", message="The job was cancelled.", remedy="-")
                return
        if "crash" in name and stage == "s09_surface":
            print("Segmentation fault in the fake", file=sys.stderr, flush=True)
            os._exit(139)
        if "fail" in name and stage == "s02_person":
            say(kind="error", job=job, code="person.none", message="There is no person in this photo.",
                remedy="Choose a photo that shows one person from head to toe.", trace="no trace")
            return
    data = figure.write(Path(run["out"]), run["options"]["seed"], name)
    say(kind="result", job=job, report=json.loads(str(data["report"])))


def main() -> None:
    say(kind="hello", protocol=1, version="fake", pid=os.getpid(), device={})

    def beat() -> None:
        while True:
            time.sleep(1)
            say(kind="heartbeat")

    threading.Thread(target=beat, daemon=True).start()
    for line in sys.stdin:
        message = json.loads(line)
        if message["kind"] == "run":
            threading.Thread(target=work, args=(message,), daemon=True).start()
        elif message["kind"] == "cancel":
            cancelled.add(message["job"])
        elif message["kind"] == "shutdown":
            break
    os._exit(0)


main()
