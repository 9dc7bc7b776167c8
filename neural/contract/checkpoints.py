"""Official checkpoints that a person imported: which there can be, where they lie. Standard library only.

neural/checkpoint writes them, neural/models reads them, Blender's preferences list and remove them.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from . import engine
from .errors import WeightsError, from_json, output_error

NETS = {"2k2k": "2K2K (Han et al., CVPR 2023), second phase", "texformer": "Texformer (Xu and Loy, ICCV 2021)"}
"""name -> title of each official network whose checkpoint can be imported."""

SECONDS = 600
"""An import that takes longer is ended."""


@dataclass(frozen=True)
class Imported:
    """net: a key of NETS. source: name of the checkpoint it was made from, "" when not known. bytes: of the imported file."""

    net: str
    source: str
    bytes: int


def folder_of(root: Path) -> Path:
    """Where imported checkpoints lie: `weights` beside the engine's folder; LIKENESS_WEIGHTS overrides it. root: what holds `neural`."""
    own = os.environ.get("LIKENESS_WEIGHTS")
    return Path(own) if own else engine.default_folder(root).parent / "weights"


def weights_of(folder: Path, net: str) -> Path:
    """The imported weights of a network, whether or not they are there."""
    return folder / f"{net}.safetensors"


def about_of(folder: Path, net: str) -> Path:
    """What is known of them, as JSON."""
    return folder / f"{net}.json"


def part_of(folder: Path, net: str) -> Path:
    """The weights while they are being written; an import that was killed may leave it."""
    return folder / f".{net}.part"


def listed(folder: Path) -> list[Imported]:
    """All checkpoints of the folder, in the order of NETS."""
    found = []
    for net in NETS:
        file = weights_of(folder, net)
        try:
            size = file.stat().st_size
        except OSError:
            continue
        try:
            source = str(json.loads(about_of(folder, net).read_text("utf-8"))["source"])
        except (OSError, ValueError, KeyError, TypeError):
            source = ""
        found.append(Imported(net, source, size))
    return found


def remove(folder: Path, net: str) -> None:
    """Delete an imported checkpoint; none is no error. Raises OutputError."""
    try:
        weights_of(folder, net).unlink(missing_ok=True)
        about_of(folder, net).unlink(missing_ok=True)
    except OSError as exc:
        raise output_error(exc, folder) from exc


def command(python: Path | str, file: Path, net: str, folder: Path) -> list[str]:
    """The command line of an import; to be run where the package `neural` lies."""
    return [str(python), "-s", "-m", "neural.checkpoint", str(Path(file).resolve()), "--net", net, "--out", str(Path(folder).resolve())]


def answer(said: str, told: str, status: int) -> dict:
    """What an import has done: {file, net, tensors, parameters, source, sha256, bytes}. Raises LikenessError.

    said, told: its stdout and stderr, whole. status: its exit status.
    """
    try:
        data = json.loads(said.strip().splitlines()[-1])
        if "code" not in data:
            return data
    except (IndexError, ValueError, TypeError):
        raise WeightsError("weights.unreadable", "The process that read the checkpoint died.",
                           "Choose an unmodified checkpoint; close other programs when memory is short.",
                           f"exit status {status}\n{told[-2000:]}") from None
    raise from_json(data, data.get("trace", ""))


def took_too_long() -> WeightsError:
    return WeightsError("weights.unreadable", f"Reading the checkpoint took more than {SECONDS // 60} minutes.", "Choose an unmodified checkpoint.")
