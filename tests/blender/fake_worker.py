#!/usr/bin/env python3
"""A worker that speaks the wire protocol and makes the synthetic person. What it does is in the photo's name:

fail (coded error), crash (exit in the middle), slow (ten slow steps), anything else: a good result.
DEED-at-STAGE, with a deed of kill (kill -9), hang, exhaust (memory until the limit), wait (until cancelled): at that stage, the first time
only (FAKE_ONCE: a folder where that is remembered).
Also an importer of checkpoints (-m neural.checkpoint): fail, crash, slow (FAKE_IMPORT_S, with half a file written), anything else.
"""

import errno
import json
import os
import signal
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


STAGES = {"load": "Loading models", "s01_photo": "Reading the photo", "s02_person": "Finding the person", "s03_body": "Fitting the body",
          "s04_coarse": "Coarse shape", "s05_parts": "Detail of the parts", "s06_depth": "Fine depth", "s07_points": "Points", "s08_face": "Face",
          "s09_surface": "Surface", "s10_texture": "Texture", "s11_rig": "Rig", "output": "Writing files"}


def first(name: str) -> bool:
    try:
        os.mkdir(Path(os.environ["FAKE_ONCE"]) / name)
        return True
    except FileExistsError:
        return False


def act(deed: str, job: str) -> None:
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif deed == "hang":
        with say_lock:                                # no heartbeat any more
            time.sleep(600)
    elif deed == "exhaust":
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
        try:
            bytes(1 << 30)
        except MemoryError:
            os.abort()                                # as C++ does
    while job not in cancelled:
        time.sleep(0.005)


def work(run: dict) -> None:
    job, name = run["job"], Path(run["photo"]).stem
    deed, _, where = name.partition("-at-")
    for stage, label in STAGES.items():
        due = stage == where and first(name)
        for step in range(4):
            say(kind="progress", job=job, stage=stage, done=step, of=4, label=label)
            time.sleep(float(os.environ.get("FAKE_STEP_S", "0.25")) if "slow" in name else 0.001)
            if job in cancelled:
                say(kind="error", job=job, code="cancelled.by-user", message="The job was cancelled.", remedy="-")
                return
        if due:
            act(deed, job)
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
    try:
        data = figure.write(Path(run["out"]), run["options"]["seed"], name)
    except OSError as exc:
        code = "output.disk-full" if exc.errno == errno.ENOSPC else "output.failed"
        say(kind="error", job=job, code=code, message=f"The result could not be written ({exc}).", remedy="Make room.")
        return
    say(kind="result", job=job, report=json.loads(str(data["report"])) | {"options": run["options"]})


def import_checkpoint(file: Path, net: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{net}.part"
    part.write_bytes(bytes(4_000_000))
    if "slow" in file.name:
        time.sleep(float(os.environ.get("FAKE_IMPORT_S", "600")))
    if "crash" in file.name:
        print("half a li", end="", flush=True)
        sys.exit("Bus error in the fake")
    about = {"net": net, "tensors": 3, "parameters": 4_000_000, "source": file.name}
    if "fail" in file.name:
        part.unlink()
        about = {"code": "weights.wrong-net", "message": "The checkpoint is not of 2K2K.", "remedy": "Choose another file.", "trace": "no trace"}
    else:
        part.replace(folder / f"{net}.safetensors")
        (folder / f"{net}.json").write_text(json.dumps(about))
    print(json.dumps(about), flush=True)


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


if "neural.checkpoint" in sys.argv:
    import_checkpoint(Path(sys.argv[4]), sys.argv[sys.argv.index("--net") + 1], Path(sys.argv[sys.argv.index("--out") + 1]))
else:
    main()
