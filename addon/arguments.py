"""What the command lines of Blender and of dev.py share: options, Ctrl-C, exit status. No bpy, so also where there is no Blender."""

from __future__ import annotations

import argparse
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..neural.contract import journal
from ..neural.contract.errors import CancelledError, OptionError
from ..neural.contract.job import DEPTHS, DEVICES, PRESETS, SURFACES, TEXTURES, JobOptions
from ..neural.contract.photos import expand
from ..neural.contract.sequences import MODES, expand_sequences
from .batch import Done, Request

EXIT_GOOD, EXIT_USAGE, EXIT_SOME_FAILED, EXIT_CANCELLED = 0, 2, 3, 130


def exit_status(results: list[Done]) -> int:
    """0 all good, 3 some photo failed, 130 cancelled."""
    if any(isinstance(r.error, CancelledError) for r in results):
        return EXIT_CANCELLED
    return EXIT_SOME_FAILED if any(r.error for r in results) else EXIT_GOOD


def print_line(text: str) -> None:
    """Progress goes to stderr, so that stdout stays free."""
    print(text, file=sys.stderr, flush=True)


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """The options of a job (design: interfaces)."""
    parser.add_argument("--preset", choices=tuple(PRESETS), default="standard", help="how large and how fine")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="what computes")
    parser.add_argument("--surface", choices=SURFACES, default="depth", help="how the surface is made")
    parser.add_argument("--depth", choices=DEPTHS, default="auto", help="how depth is found: networks, or the inflated body")
    parser.add_argument("--texture", choices=TEXTURES, default="auto", help="how what the photo does not show is coloured")
    parser.add_argument("--remove-shading", action="store_true", help="take the photo's shading out of the colours (an estimate), for new light")
    parser.add_argument("--body", metavar="PATH", help="your own SMPL body (.npz or .pkl)")
    parser.add_argument("--no-face", action="store_true", help="leave the face refinement out")
    parser.add_argument("--height", type=float, metavar="M", help="height of the person in metres")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same result")
    parser.add_argument("--stitch", action="store_true", help="stitch front and back directly instead of Poisson")
    parser.add_argument("--mask", metavar="PATH", help="your own mask image of the photo's size")
    parser.add_argument("--sequence", choices=MODES, help="each PHOTO is a folder of frames of one person, or a video: one character that moves, or "
                                                          "a mesh a frame")
    parser.add_argument("--fps", type=float, metavar="N", help="frames a second of a sequence (default: 24, or what the video says)")
    parser.add_argument("--person", type=int, metavar="N", help="which of the people found; 0 is the largest")


def add_batch_options(parser: argparse.ArgumentParser) -> None:
    """Which photos, and what of a batch that was begun before."""
    parser.add_argument("photos", nargs="*", metavar="PHOTO",
                        help="photos, folders of photos, or patterns; none: what the output folder's journal knows")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on where a batch was left (the default)")
    again.add_argument("--fresh", action="store_true", help="do again what is done already")
    parser.add_argument("--retry-failed", action="store_true", help="try again also what failed by the photo's own fault")
    parser.add_argument("--part", metavar="K/N", help="only each N-th of the photos, from the K-th on: one part a machine, an output folder a part")


def request(args: argparse.Namespace, out: Path) -> Request:
    """What is asked for, with `out` as the folder of the journal; OptionError when that cannot be."""
    options = job_options(args)
    options, photos = _sequences(options, args.photos) if options.sequence else (options, expand(args.photos, out))
    if args.part:
        first, number = part(args.part)
        photos = photos[first - 1::number]
    if not photos and not (out / journal.FILE).is_file():
        raise OptionError("option.no-photos", "No photo was given, and there is no journal of an earlier batch.",
                          "Give photos, folders of photos, or patterns such as 'holiday/*.jpg'.")
    if not photos and options != JobOptions():
        raise OptionError("option.no-photos", "Options were given without photos.",
                          "Give the photos too; an earlier batch goes on with the options that it had.")
    return Request(photos, out.absolute(), options, args.fresh, args.retry_failed)


def _sequences(options: JobOptions, given: list[str]) -> tuple[JobOptions, list[Path]]:
    """Options and paths of sequences; pictures that were named one by one go into the options."""
    found = expand_sequences(given)
    if len(found) > 1 and any(names for _, names in found):
        raise OptionError("option.sequence", "Pictures of several folders, or pictures beside folders, are no one sequence.",
                          "Give folders and videos, or pictures of one folder.")
    return replace(options, frames=found[0][1] if found else ()), [path for path, _ in found]


def part(text: str) -> tuple[int, int]:
    """(K, N) of "K/N"; OptionError when that is no part."""
    found = re.fullmatch(r"(\d{1,7})/(\d{1,7})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise OptionError("option.part", f"'{text}' is no part.", "Give K/N, such as 3/10 for the third of ten parts.")
    return int(found[1]), int(found[2])


def job_options(args: argparse.Namespace) -> JobOptions:
    """JobOptions of parsed arguments; OptionError when a value cannot be."""
    return JobOptions(preset=args.preset, device=args.device, surface=args.surface, depth=args.depth,
                      texture=args.texture, remove_shading=args.remove_shading,
                      body=str(Path(args.body).absolute()) if args.body else None, face=not args.no_face,
                      height_m=args.height, seed=args.seed, person=args.person, stitch=args.stitch,
                      mask=str(Path(args.mask).absolute()) if args.mask else None, sequence=args.sequence, fps=args.fps).checked()


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
