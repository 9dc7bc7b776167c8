#!/usr/bin/env python3
"""The one command of the project. Standard library only; it makes the environments at first use.

    python3 dev.py run PHOTO... --out DIR      photos, folders, patterns -> rigged, textured people
    python3 dev.py test [-k EXPR] [--lane L]   all tests, or some
    python3 dev.py evaluate | train | bench    measuring and training
    python3 dev.py build [--out DIR]           the extension zip
    python3 dev.py cluster scheduler | worker ADDRESS      many machines; run PHOTO... --out DIR --cluster ADDRESS
    python3 dev.py setup                       only make the environments
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from neural.contract import engine  # noqa: E402  (standard library only, by the contract)
from neural.contract.errors import LikenessError  # noqa: E402
from neural.contract.job import DEPTHS, DEVICES, PRESETS, SURFACES, TEXTURES  # noqa: E402
from neural.contract.sequences import MODES  # noqa: E402

NEEDS = ROOT / "requirements"
MODELS = ROOT / "neural/weights/landmarks"
SHARED = ROOT.parent / "shared/data"  # test data that may lie beside the project; tests that want it say so when it is not there
ENVIRONMENTS = {
    "engine": (NEEDS / "engine.txt", NEEDS / "test.txt"),
    "blender": (NEEDS / "blender.txt", NEEDS / "test.txt"),
    "blender-4.2": (NEEDS / "blender-4.2.txt", NEEDS / "test.txt"),
    "cluster": (NEEDS / "cluster.txt", NEEDS / "test.txt"),
}
OPTIONAL = ("cluster",)  # environments whose tests are left out, which is said, where they cannot be made
LANES = {  # lane -> (environment, folders)
    "layers": ("engine", ["tests/layers"]),
    "contract": ("engine", ["tests/contract"]),
    "faults": ("engine", ["tests/faults"]),
    "parity": ("engine", ["tests/parity"]),
    "neural": ("engine", ["tests/neural", "tests/golden"]),
    "blender": ("blender", ["tests/blender"]),
    "blender-4.2": ("blender-4.2", ["tests/blender"]),
    "window": ("engine", ["tests/window"]),
    "cluster": ("cluster", ["tests/cluster"]),
}


def environment(name: str) -> Path:
    """The interpreter of an environment, made at first use with progress on stderr."""
    folder = ROOT / ".venv" / name
    shown = ""

    def progress(text: str, fraction: float) -> None:
        nonlocal shown
        line = f"[{name}] {fraction:4.0%}  {text}"
        if line != shown:
            print(line, file=sys.stderr, flush=True)
            shown = line

    python = engine.create(folder, ENVIRONMENTS[name], sys.executable, progress)
    if name == "engine":
        engine.fetch_models(MODELS, python, progress)
    return python


def call(python: Path, *arguments: str, cwd: Path | None = ROOT, **environ: str) -> int:
    """Run a module or script of ours in an environment; its exit status. Ctrl-C is the child's to handle."""
    process = subprocess.Popen([str(python), *arguments], cwd=cwd,
                               env={**engine.clean_environment(), "PYTHONPATH": str(ROOT), **environ})
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())            # who ends us means the work
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def run(args: argparse.Namespace, rest: list[str]) -> int:
    """The main job: the real worker (engine) driven by the real scene code (Blender as a module); here or, with --cluster, on other machines."""
    if args.shared and not args.cluster:
        parser().error("--shared belongs to --cluster")
    if args.cluster:
        where, python = f"--cluster={args.cluster}", environment("cluster")
    else:
        where, python = f"--engine-python={environment('engine')}", environment("blender")
    options = [f"--{k.replace('_', '-')}={v}" for k, v in vars(args).items()
               if k in ("preset", "device", "surface", "depth", "texture", "body", "height", "seed", "person", "mask", "part", "sequence", "fps") and v is not None]
    options += [f"--{k.replace('_', '-')}" for k in ("no_face", "stitch", "remove_shading", "resume", "fresh", "retry_failed", "shared") if getattr(args, k)]
    return call(python, str(ROOT / "addon/headless_main.py"), f"--out={args.out}", where, *options,
                "--", *args.photos, cwd=None, LIKENESS_PARENT=str(os.getpid()))   # paths mean what they mean where one stands


def cluster(args: argparse.Namespace, rest: list[str]) -> int:
    """A Dask scheduler, or a worker with this machine's environments; further options are Dask's own (docs/farm.md)."""
    dask = environment("cluster")
    if args.role == "scheduler":
        return call(dask, "-m", "distributed.cli.dask_scheduler", *rest)
    python = {f"LIKENESS_{name.upper()}_PYTHON": str(environment(name)) for name in ("engine", "blender")}
    return call(dask, "-m", "distributed.cli.dask_worker", "--nthreads=1", "--preload", str(ROOT / "farm/preload.py"), *rest, **python)


def test(args: argparse.Namespace, rest: list[str]) -> int:
    """All lanes in turn; ends with one line 'N passed, N failed, N skipped'."""
    lanes = args.lane or list(LANES)
    total = {"passed": 0, "failed": 0, "skipped": 0}
    failed_lanes = []
    for lane in lanes:
        env, folders = LANES[lane]
        folders = [f for f in folders if any((ROOT / f).rglob("test_*.py"))]
        if not folders:
            print(f"== {lane}: no tests yet", flush=True)
            continue
        print(f"== {lane}", flush=True)
        try:
            python = environment(env)
        except LikenessError as error:
            if env not in OPTIONAL:
                raise
            print(f"left out: {error.message} {error.remedy}", flush=True)
            total["skipped"] += 1
            continue
        status = _pytest(python, lane, folders, args.k, rest, total)
        if status not in (0, 5) or (status == 5 and not args.k):
            failed_lanes.append(lane)
    print(f"\n{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped", flush=True)
    if failed_lanes:
        print(f"failing lanes: {', '.join(failed_lanes)}", file=sys.stderr)
    return 1 if failed_lanes or total["failed"] or not total["passed"] else 0


def _pytest(python: Path, lane: str, folders: list[str], expression: str | None, rest: list[str], total: dict) -> int:
    out = ROOT / "build/test"
    out.mkdir(parents=True, exist_ok=True)
    xml = out / f"{lane}.xml"
    xml.unlink(missing_ok=True)
    arguments = ["-m", "pytest", "-c", str(ROOT / "tests/pytest.ini"), "--rootdir", str(ROOT), "-q",
                 "-p", "no:cacheprovider", f"--junitxml={xml}", *folders, *(["-k", expression] if expression else []), *rest]
    threads = {k: os.environ.get(k, "1") for k in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    data = {name: str(folder) for name, folder in (("LIKENESS_PHOTOS", SHARED / "photos"), ("LIKENESS_ASSETS", SHARED / "humans"))
            if folder.is_dir() and name not in os.environ}
    status = call(python, *arguments, **data, LIKENESS_ENGINE_PYTHON=str(engine.python_of(ROOT / ".venv/engine")),
                  LIKENESS_BLENDER_PYTHON=str(engine.python_of(ROOT / ".venv/blender")), **threads)
    if xml.exists():
        suite = next(ET.parse(xml).getroot().iter("testsuite"))
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skip = int(suite.get("skipped", 0))
        total["failed"] += bad
        total["skipped"] += skip
        total["passed"] += int(suite.get("tests", 0)) - bad - skip
    elif status != 5:
        total["failed"] += 1
    return status


def build(args: argparse.Namespace, rest: list[str]) -> int:
    """The extension zip, with the landmark models and their notice inside."""
    environment("engine")                                                # fetches the models
    python = environment("blender")
    out = Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    tool = next((ROOT / ".venv/blender").rglob("bl_pkg/cli/blender_ext.py"))   # Blender's own extension builder
    status = call(python, str(tool), "build", f"--source-dir={ROOT}", f"--output-dir={out}")
    return status or call(python, str(tool), "validate", str(max(out.glob("likeness-*.zip"), key=lambda f: f.stat().st_mtime)))


def setup(args: argparse.Namespace, rest: list[str]) -> int:
    for name in ("engine", "blender"):
        environment(name)
    return 0


def module(name: str):
    """A command that is a module of ours, run in the engine's environment with the same arguments."""
    def command(args: argparse.Namespace, rest: list[str]) -> int:
        if not (ROOT / name.replace(".", "/") / "__main__.py").exists():
            print(f"dev.py: '{name}' does not exist yet in this version", file=sys.stderr)
            return 2
        return call(environment("engine"), "-m", name, *rest, cwd=None)       # paths mean what they mean where one stands
    return command


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="dev.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True)
    p = commands.add_parser("run", help="photo -> rigged, textured person")
    p.add_argument("photos", nargs="*", metavar="PHOTO",
                   help="photos, folders of photos, or patterns; none: go on with what the journal in DIR knows")
    p.add_argument("--out", required=True, metavar="DIR")
    again = p.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on where a batch was left (the default)")
    again.add_argument("--fresh", action="store_true", help="do again what is done already")
    p.add_argument("--retry-failed", action="store_true", help="try again also what failed by the photo's own fault")
    p.add_argument("--preset", choices=PRESETS, default="standard")
    p.add_argument("--device", choices=DEVICES, default="auto")
    p.add_argument("--surface", choices=SURFACES, default="depth")
    p.add_argument("--depth", choices=DEPTHS, default="auto", help="front and back depth: the 2K2K networks, or the inflated body")
    p.add_argument("--texture", choices=TEXTURES, default="auto", help="colours of what the photo does not show: RefineTex, or mirrored and diffused")
    p.add_argument("--remove-shading", action="store_true", help="take the photo's shading out of the colours (an estimate), to light the person anew")
    p.add_argument("--stitch", action="store_true", help="sew the two height fields instead of screened Poisson")
    p.add_argument("--body", metavar="PATH", help="your own SMPL .npz/.pkl instead of the body that ships")
    p.add_argument("--no-face", action="store_true", help="skip the face refinement")
    p.add_argument("--height", type=float, metavar="M", help="the person's height in metres")
    p.add_argument("--person", type=int, metavar="N", help="which of the people found: 0 = largest (default)")
    p.add_argument("--mask", metavar="PATH", help="your own mask image, as large as the photo")
    p.add_argument("--sequence", choices=MODES, help="each PHOTO is a folder of frames of one person, or a video (docs/sequences.md)")
    p.add_argument("--fps", type=float, metavar="N", help="frames a second of a sequence (default: 24, or what the video says)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--part", metavar="K/N", help="only each N-th of the photos, from the K-th on (docs/farm.md)")
    p.add_argument("--cluster", metavar="ADDRESS", help="a Dask scheduler (tcp://host:8786) whose workers do the work (docs/farm.md)")
    p.add_argument("--shared", action="store_true", help="with --cluster: photos and DIR lie under the same paths on all machines")
    p.set_defaults(run=run)
    p = commands.add_parser("cluster", help="many machines: the scheduler, and a worker on each machine")
    p.add_argument("role", choices=("scheduler", "worker"), help="a worker also needs the scheduler's address")
    p.set_defaults(run=cluster)
    p = commands.add_parser("test", help="all tests")
    p.add_argument("-k", metavar="EXPR")
    p.add_argument("--lane", action="append", choices=LANES)
    p.set_defaults(run=test)
    p = commands.add_parser("build", help="the extension zip")
    p.add_argument("--out", default=str(ROOT / "build"), metavar="DIR")
    p.set_defaults(run=build)
    commands.add_parser("setup", help="make the environments").set_defaults(run=setup)
    for name, target in (("evaluate", "evaluate"), ("train", "train"), ("bench", "benchmarks")):
        commands.add_parser(name, add_help=False).set_defaults(run=module(target))
    return top


def main() -> int:
    args, rest = parser().parse_known_args()
    if rest and args.command in ("run", "build", "setup"):
        parser().error(f"unknown argument(s): {' '.join(rest)}")
    try:
        return args.run(args, rest)
    except LikenessError as error:
        print(f"{error.message} {error.remedy}\n{error.trace}".rstrip(), file=sys.stderr)
        return 130 if error.code.startswith("cancelled") else 3
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
