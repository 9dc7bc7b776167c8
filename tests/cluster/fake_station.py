"""A station that makes tiny results at once: shows what Dask, the client and the journal do with them. What it does is in the photo's name:

fail (coded error), crash (exit in the middle), cursed (crashes whoever works on it), slow (until cancelled), evil (a link in the result),
half (a result without its mesh). FAKE_LOG: a file that gets a line a job. FAKE_STEP_S: seconds a job takes. FAKE_USELESS: a folder in which
the first station to arrive finds itself without an engine.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

say_lock = threading.Lock()
cancelled: set = set()


def say(**message) -> None:
    with say_lock:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def useless() -> bool:
    try:
        return bool(os.environ.get("FAKE_USELESS")) and not os.mkdir(os.environ["FAKE_USELESS"])
    except FileExistsError:
        return False


def work(run: dict, broken: bool) -> None:
    job, out, photo = run["job"], Path(run["out"]), Path(run["photo"])
    name = out.name
    if os.environ.get("FAKE_LOG"):
        with open(os.environ["FAKE_LOG"], "a") as log:
            log.write(f"{name} {os.getpid()}\n")
    if not photo.is_file():
        say(kind="error", job=job, code="photo.missing", message="There is no such file.", remedy="Choose it again.")
        return
    if broken:
        say(kind="error", job=job, code="engine.missing", message="No engine.", remedy="Set it up.")
        return
    until = time.monotonic() + (600 if "slow" in name else float(os.environ.get("FAKE_STEP_S", "0.02")))
    while time.monotonic() < until:
        time.sleep(0.01)
        if job in cancelled:
            with open(os.environ["FAKE_LOG"], "a") as log:
                log.write(f"cancelled-{name} {os.getpid()}\n")
            say(kind="error", job=job, code="cancelled.by-user", message="Cancelled.", remedy="-")
            return
    if "cursed" in name:
        os._exit(11)
    if "fail" in name:
        say(kind="error", job=job, code="person.none", message="There is no person in this photo.", remedy="Choose another.")
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / "stages").mkdir()
    content = photo.read_bytes()
    for file in ("mesh.ply", "albedo.png", "stages/mask.png", f"{name}.blend", f"{name}.glb"):
        (out / file).write_bytes(file.encode() + content)
    if "evil" in name:
        (out / "stages" / "away").symlink_to("/etc")
    if "half" in name:
        (out / "mesh.ply").unlink()
    report = {"ok": True, "photo": name, "options": run["options"], "mask": Path(run["options"].get("mask") or "/none").name}
    (out / "report.json").write_text(json.dumps(report))
    say(kind="result", job=job, report=report)


def main() -> None:
    say(kind="hello", protocol=1, version="fake", pid=os.getpid(), device={})
    broken = useless()

    def beat() -> None:
        while True:
            time.sleep(1)
            say(kind="heartbeat")

    threading.Thread(target=beat, daemon=True).start()
    for line in sys.stdin:
        message = json.loads(line)
        if message["kind"] == "run":
            threading.Thread(target=work, args=(message, broken), daemon=True).start()
        elif message["kind"] == "cancel":
            cancelled.add(message["job"])
    os._exit(0)


main()
