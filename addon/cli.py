"""`blender -c likeness PHOTO... -o OUT`: the command line inside Blender, and the options it shares with dev.py."""

from __future__ import annotations

import argparse
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from ..neural.contract.errors import LikenessError, OptionError
from ..neural.contract.job import DEPTHS, DEVICES, PRESETS, SURFACES, JobOptions

COMMAND = "likeness"
SUFFIXES = (".blend", ".glb", ".fbx")
SPACING_M = 1.5   # between people that share a file
_handles: list = []


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """The options of a job (design: interfaces)."""
    parser.add_argument("--preset", choices=tuple(PRESETS), default="standard", help="how large and how fine")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="what computes")
    parser.add_argument("--surface", choices=SURFACES, default="depth", help="how the surface is made")
    parser.add_argument("--depth", choices=DEPTHS, default="auto", help="how depth is found: networks, or the inflated body")
    parser.add_argument("--body", metavar="PATH", help="your own SMPL body (.npz or .pkl)")
    parser.add_argument("--no-face", action="store_true", help="leave the face refinement out")
    parser.add_argument("--height", type=float, metavar="M", help="height of the person in metres")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same result")
    parser.add_argument("--stitch", action="store_true", help="stitch front and back directly instead of Poisson")
    parser.add_argument("--mask", metavar="PATH", help="your own mask image of the photo's size")
    parser.add_argument("--person", type=int, metavar="N", help="which of the people found; 0 is the largest")


def job_options(args: argparse.Namespace) -> JobOptions:
    """JobOptions of parsed arguments; OptionError when a value cannot be."""
    return JobOptions(preset=args.preset, device=args.device, surface=args.surface, depth=args.depth,
                      body=str(Path(args.body).absolute()) if args.body else None, face=not args.no_face,
                      height_m=args.height, seed=args.seed, person=args.person, stitch=args.stitch,
                      mask=str(Path(args.mask).absolute()) if args.mask else None).checked()


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog=f"blender -c {COMMAND}", description="Photos of people become rigged meshes.")
    p.add_argument("photos", nargs="+", metavar="PHOTO", type=Path)
    p.add_argument("-o", "--output", required=True, metavar="OUT", type=Path,
                   help="a .blend, .glb or .fbx file for all photos, or a folder: one .blend a photo")
    p.add_argument("--bones", choices=("smpl", "mixamo", "unreal", "rigify"), default="smpl",
                   help="bone names in .glb and .fbx")
    add_job_options(p)
    return p


@contextmanager
def interruptible() -> Iterator[list[bool]]:
    """[True] once Ctrl-C or a termination signal has come: the jobs then end in good order."""
    asked = [False]
    before = {}

    def stop(*_) -> None:
        asked[0] = True

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            before[number] = signal.signal(number, stop)
        except ValueError:        # not in the main thread
            pass
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def run(argv: list[str]) -> int:
    """The command; returns the exit status (0, 2, 3, 130)."""
    from . import headless, preferences
    from .engine import missing

    try:
        args = parser().parse_args(argv)
        options = job_options(args)
        if args.output.suffix.lower() not in SUFFIXES and args.output.suffix and not args.output.is_dir():
            raise OptionError("option.output", f"'{args.output.suffix}' files cannot be written.",
                              f"Choose one of: {', '.join(SUFFIXES)}, or a folder.")
    except SystemExit as exc:
        return int(exc.code or 0)
    except OptionError as exc:
        headless.print_line(f"{exc.message} {exc.remedy}")
        return headless.EXIT_USAGE
    python = preferences.interpreter()
    if python is None:
        error = missing()
        headless.print_line(f"{error.message} {error.remedy} ({error.code})")
        return headless.EXIT_SOME_FAILED
    with interruptible() as asked, tempfile.TemporaryDirectory(prefix="likeness-") as work:
        answers = headless.process([p.absolute() for p in args.photos], Path(work), options, python,
                                   headless.print_line, lambda: asked[0])
        status = headless.exit_status(answers)
        good = [a for a in answers if a.error is None]
        if status != headless.EXIT_CANCELLED and good:
            try:
                _deliver(good, args.output, args.bones.upper())
            except (OSError, RuntimeError, LikenessError) as exc:
                headless.print_line(f"'{args.output}' could not be written ({exc}). Choose another place.")
                return headless.EXIT_SOME_FAILED
            headless.print_line(f"{len(good)} of {len(args.photos)} -> {args.output}")
        return status


def _deliver(good: list, output: Path, convention: str) -> None:
    """The people of all good photos into one file, or one .blend each into a folder. Appears only when complete."""
    if output.suffix.lower() not in SUFFIXES:
        output.mkdir(parents=True, exist_ok=True)
        for answer in good:
            _save([answer], output / f"{answer.folder.name}.blend", convention)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        _save(good, output, convention)


def _save(good: list, path: Path, convention: str) -> None:
    from . import export, headless
    from .person import people

    headless.empty_file()
    for number, answer in enumerate(good):
        blend = answer.folder / f"{answer.folder.name}.blend"
        with bpy.data.libraries.load(str(blend)) as (source, target):
            target.collections = [c for c in source.collections]
            target.actions = [a for a in source.actions]
        for collection in target.collections:
            bpy.context.scene.collection.children.link(collection)
            for obj in collection.objects:
                if obj.parent is None:
                    obj.location.x = number * SPACING_M
    bpy.context.view_layer.update()
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        if path.suffix.lower() == ".blend":
            bpy.ops.wm.save_as_mainfile(filepath=str(part.absolute()), copy=True, compress=True)
        else:
            export.write(part.absolute(), people(bpy.context.scene), convention)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def register() -> None:
    _handles.append(bpy.utils.register_cli_command(COMMAND, run))


def unregister() -> None:
    while _handles:
        bpy.utils.unregister_cli_command(_handles.pop())
