#!/usr/bin/env python3
"""A worker that speaks the wire protocol and makes the synthetic person. What it does is in the photo's name:

fail (coded error), crash (exit in the middle), slow (ten slow steps), anything else: a good result.
Also an importer of checkpoints (-m neural.checkpoint): fail, crash, slow (FAKE_IMPORT_S, with half a file written), anything else.
"""

import errno
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
