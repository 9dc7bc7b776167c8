"""`blender -c likeness PHOTO... -o OUT`: the command line inside Blender."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import bpy

from ..neural.contract.errors import LikenessError, OptionError
from .arguments import (EXIT_CANCELLED, EXIT_SOME_FAILED, EXIT_USAGE, add_batch_options, add_job_options, exit_status, interruptible, print_line,
                        request)
from .batch import WAITING, Done

COMMAND = "likeness"
SUFFIXES = (".blend", ".glb", ".fbx")
SPACING_M = 1.5   # between people that share a file
_handles: list = []


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog=f"blender -c {COMMAND}", description="Photos of people become rigged meshes.")
    p.add_argument("-o", "--output", required=True, metavar="OUT", type=Path,
                   help="a .blend, .glb or .fbx file for all photos, or a folder: one folder of results a photo")
    p.add_argument("--bones", choices=("smpl", "mixamo", "unreal", "rigify"), default="smpl",
                   help="bone names in .glb and .fbx")
    add_batch_options(p)
    add_job_options(p)
    return p


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
        print_line(f"{exc.message} {exc.remedy}")
        return EXIT_USAGE
    python = preferences.interpreter()
    if python is None:
        error = missing()
        print_line(f"{error.message} {error.remedy} ({error.code})")
        return EXIT_SOME_FAILED
    with interruptible() as asked:
        answers = headless.process(asked_for, python, print_line, lambda: asked[0])
        status = exit_status(answers)
        if one_file and not any(a.state == WAITING for a in answers) and status != EXIT_CANCELLED:
            try:
                _deliver(answers, asked_for.out, output, args.bones.upper())
            except (OSError, RuntimeError, LikenessError) as exc:
                print_line(f"'{args.output}' could not be written ({exc}). Choose another place.")
                return EXIT_SOME_FAILED
        elif one_file and any(a.folder for a in answers):
            print_line(f"'{asked_for.out}' keeps what is done; the same command goes on from there.")
        return status


def _deliver(answers: list[Done], work: Path, output: Path, convention: str) -> None:
    """The people of all good photos into one file. Their own folders stay only for --retry-failed."""
    good = [a for a in answers if a.error is None]
    if good:
        _save(good, output, convention)
        print_line(f"{len(good)} of {len(answers)} -> {output}")
    if good and len(good) < len(answers):
        print_line(f"'{work}' keeps them for --retry-failed; it may be deleted.")
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
