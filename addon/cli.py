"""`blender -c likeness PHOTO... -o OUT`: the command line inside Blender, and the options it shares with dev.py."""

from __future__ import annotations

import argparse
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from ..neural.contract import journal
from ..neural.contract.errors import LikenessError, OptionError
from ..neural.contract.job import DEPTHS, DEVICES, PRESETS, SURFACES, TEXTURES, JobOptions
from ..neural.contract.photos import expand
from .batch import WAITING, Done, Request

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
    parser.add_argument("--texture", choices=TEXTURES, default="auto", help="how what the photo does not show is coloured")
    parser.add_argument("--body", metavar="PATH", help="your own SMPL body (.npz or .pkl)")
    parser.add_argument("--no-face", action="store_true", help="leave the face refinement out")
    parser.add_argument("--height", type=float, metavar="M", help="height of the person in metres")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same result")
    parser.add_argument("--stitch", action="store_true", help="stitch front and back directly instead of Poisson")
    parser.add_argument("--mask", metavar="PATH", help="your own mask image of the photo's size")
    parser.add_argument("--person", type=int, metavar="N", help="which of the people found; 0 is the largest")


def add_batch_options(parser: argparse.ArgumentParser) -> None:
    """Which photos, and what of a batch that was begun before."""
    parser.add_argument("photos", nargs="*", metavar="PHOTO",
                        help="photos, folders of photos, or patterns; none: what the output folder's journal knows")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on where a batch was left (the default)")
    again.add_argument("--fresh", action="store_true", help="do again what is done already")
    parser.add_argument("--retry-failed", action="store_true", help="try again also what failed by the photo's own fault")


def request(args: argparse.Namespace, out: Path) -> Request:
    """What is asked for, with `out` as the folder of the journal; OptionError when that cannot be."""
    options, photos = job_options(args), expand(args.photos, out)
    if not photos and not (out / journal.FILE).is_file():
        raise OptionError("option.no-photos", "No photo was given, and there is no journal of an earlier batch.",
                          "Give photos, folders of photos, or patterns such as 'holiday/*.jpg'.")
    if not photos and options != JobOptions():
        raise OptionError("option.no-photos", "Options were given without photos.",
                          "Give the photos too; an earlier batch goes on with the options that it had.")
    return Request(photos, out.absolute(), options, args.fresh, args.retry_failed)


def job_options(args: argparse.Namespace) -> JobOptions:
    """JobOptions of parsed arguments; OptionError when a value cannot be."""
    return JobOptions(preset=args.preset, device=args.device, surface=args.surface, depth=args.depth,
                      texture=args.texture, body=str(Path(args.body).absolute()) if args.body else None, face=not args.no_face,
                      height_m=args.height, seed=args.seed, person=args.person, stitch=args.stitch,
                      mask=str(Path(args.mask).absolute()) if args.mask else None).checked()


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog=f"blender -c {COMMAND}", description="Photos of people become rigged meshes.")
    p.add_argument("-o", "--output", required=True, metavar="OUT", type=Path,
                   help="a .blend, .glb or .fbx file for all photos, or a folder: one folder of results a photo")
    p.add_argument("--bones", choices=("smpl", "mixamo", "unreal", "rigify"), default="smpl",
                   help="bone names in .glb and .fbx")
    add_batch_options(p)
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
        output, one_file = args.output.absolute(), args.output.suffix.lower() in SUFFIXES
        if args.output.suffix and not one_file and not output.is_dir():
            raise OptionError("option.output", f"'{args.output.suffix}' files cannot be written.",
                              f"Choose one of: {', '.join(SUFFIXES)}, or a folder.")
        # one file for all: the people wait in a folder beside it until all are there
        asked_for = request(args, output.with_name(f".{output.name}.likeness") if one_file else output)
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
    with interruptible() as asked:
        answers = headless.process(asked_for, python, headless.print_line, lambda: asked[0])
        status = headless.exit_status(answers)
        if one_file and not any(a.state == WAITING for a in answers) and status != headless.EXIT_CANCELLED:
            try:
                _deliver(answers, asked_for.out, output, args.bones.upper())
            except (OSError, RuntimeError, LikenessError) as exc:
                headless.print_line(f"'{args.output}' could not be written ({exc}). Choose another place.")
                return headless.EXIT_SOME_FAILED
        elif one_file and any(a.folder for a in answers):
            headless.print_line(f"'{asked_for.out}' keeps what is done; the same command goes on from there.")
        return status


def _deliver(answers: list[Done], work: Path, output: Path, convention: str) -> None:
    """The people of all good photos into one file. Their own folders stay only for --retry-failed."""
    from . import headless

    good = [a for a in answers if a.error is None]
    if good:
        _save(good, output, convention)
        headless.print_line(f"{len(good)} of {len(answers)} -> {output}")
    if good and len(good) < len(answers):
        headless.print_line(f"'{work}' keeps them for --retry-failed; it may be deleted.")
    else:
        shutil.rmtree(work, ignore_errors=True)


def _save(good: list[Done], path: Path, convention: str) -> None:
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
    if path.suffix.lower() == ".blend":
        export.whole(path, lambda part: bpy.ops.wm.save_as_mainfile(filepath=str(part), copy=True, compress=True))
    else:
        export.write(path, people(bpy.context.scene), convention)


def register() -> None:
    _handles.append(bpy.utils.register_cli_command(COMMAND, run))


def unregister() -> None:
    while _handles:
        bpy.utils.unregister_cli_command(_handles.pop())
