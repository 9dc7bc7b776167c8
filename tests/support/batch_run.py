"""A batch in a process of its own: the fake worker, and small stand-ins for the files that Blender writes.

    python batch_run.py OUT PHOTO... [--fresh] [--retry-failed]     exit status 0, 3 or 130

CANCEL_AT=label cancels, as Ctrl-C does, when a photo comes to this stage. DIE_AT=moment:n kills the process (kill -9) when that moment comes for the n-th time.
"""

import importlib
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FAKE = ROOT / "tests/blender/fake_worker.py"
sys.path.insert(0, str(ROOT / "addon"))
import headless_main  # noqa: E402

headless_main.load_package()
batch, worker_process = (importlib.import_module(f"likeness.addon.{n}") for n in ("batch", "worker_process"))
contract = {n: importlib.import_module(f"likeness.neural.contract.{n}") for n in ("files", "journal", "job", "errors")}
moment, _, times = os.environ.get("DIE_AT", "").partition(":")
left = int(times or 1)
asked: list[bool] = []


def reach(name: str) -> None:
    global left
    left -= name == moment
    if name == moment and left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def before_and_after(owner, name: str) -> None:
    """The moments before-NAME and after-NAME, around each call."""
    call = getattr(owner, name)

    def called(*arguments, **named):
        reach(f"before-{name}")
        value = call(*arguments, **named)
        reach(f"after-{name}")
        return value

    setattr(owner, name, called)


def write(job, name: str) -> None:
    for suffix in (".blend", ".glb"):
        (job.folder / f"{name}{suffix}").write_bytes(f"stands for {name}{suffix}".encode())
    (job.folder / "result.npz").unlink()
    if "broken" in name:
        (job.folder / "report.json").write_text("{half a rep")
    reach("written")
    with open(job.folder.parent.parent / "written.txt", "a") as log:      # outside of the output folder
        log.write(name + "\n")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
    if "Starting" in text:
        reach("working")
    if os.environ.get("CANCEL_AT") and text.endswith(os.environ["CANCEL_AT"]):
        asked.append(True)


def main() -> int:
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    signal.signal(signal.SIGINT, lambda *_: asked.append(True))
    worker = worker_process.WorkerProcess(sys.executable, ROOT, command=[sys.executable, "-s", str(FAKE)],
                                          hang_limit=float(os.environ.get("HANG_LIMIT", "10")))
    for owner, names in ((contract["journal"].Journal, ("claim", "end")), (contract["files"], ("replace_folder",)), (Path, ("rename",))):
        for name in names:
            before_and_after(owner, name)
    request = batch.Request([Path(a) for a in arguments[1:]], Path(arguments[0]), contract["job"].JobOptions(preset="draft"),
                            "--fresh" in sys.argv, "--retry-failed" in sys.argv)
    answers = batch.Batch(request, lambda: worker, write, say, lambda: bool(asked)).run()
    worker.stop()
    for answer in answers:
        print(answer.photo.name, answer.state, answer.error.code if answer.error else "-", flush=True)
    cancelled = any(isinstance(a.error, contract["errors"].CancelledError) for a in answers)
    return 130 if cancelled else 3 if any(a.error for a in answers) else 0


if __name__ == "__main__":
    sys.exit(main())
