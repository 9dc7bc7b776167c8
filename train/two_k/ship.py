"""Weights that ship: halves in as many files as the repository's limit asks for, their rows in weights.toml, and the model card's first version."""

from __future__ import annotations

import re
from pathlib import Path

from neural.nets.blocks.file import digest
from neural.nets.two_k.net import TwoK
from neural.nets.two_k.weights import save

FOLDER = Path(__file__).resolve().parents[2] / "neural/weights"

CARD = """# {files}

**What.** COMPACT 2K2K (`neural/nets/two_k`, config "{config}", {millions:.1f} M parameters, float16): photo, matte and fitted body of one person ->
normals, depth and mask of both sides.

**Data.** People made on the fly by `train/people` (part "train" of the split): assets in NOTICE.md. No photo of a real person. Weights: ours,
GPL-3.0-or-later.

**Training.** `{command}`

**Scores.** Other poses (part "val" of the generator), network / fitted body alone:

{scores}

**Limits.** To be written after looking at results on photos.
"""


def export(net: TwoK, file: Path) -> int:
    """Halves into `file` (and further files of its set); returns their bytes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return sum(f.stat().st_size for f in save(net, file))


def ship(net: TwoK, config: str, command: str, scores: dict[str, float], folder: Path = FOLDER) -> Path:
    """two_k.safetensors (two_k_2.safetensors, … where one file would be too large), their card, and their rows in weights.toml."""
    files = save(net, folder / "two_k.safetensors")
    table = "| | network | body |\n| --- | --- | --- |\n" + "\n".join(
        f"| {name} | {value:.3g} | {scores[f'body_{name}']:.3g} |" for name, value in scores.items() if f"body_{name}" in scores)
    millions = sum(p.numel() for p in net.parameters()) / 1e6
    card = CARD.format(files=", ".join(f.name for f in files), config=config, millions=millions, command=command, scores=table)
    files[0].with_suffix(".md").write_text(card, encoding="utf-8")
    said = ", ".join(f"{name} {value:.3g} (body {scores[f'body_{name}']:.3g})" for name, value in scores.items()
                     if f"body_{name}" in scores)
    rows = [_row(files[0], f'what = "photo, matte and fitted body -> normals, depth and mask of both sides"\n'
                           f'trained_by = "{command}"\nscores = "other poses: {said}"\n')]
    rows += [_row(f, f'what = "part {n} of {files[0].name}"\n') for n, f in enumerate(files[1:], 2)]
    listed = folder / "weights.toml"
    text = listed.read_text(encoding="utf-8") if listed.is_file() else ""
    text = re.sub(r"\[two_k(?:_\d+)?\]\n(?:[^\[\n].*\n|\n(?!\[))*", "", text).rstrip("\n")
    listed.write_text((text + "\n\n" if text else "") + "\n".join(rows), encoding="utf-8")
    return files[0]


def _row(file: Path, more: str) -> str:
    return f'[{file.stem}]\nfile = "{file.name}"\nbytes = {file.stat().st_size}\nsha256 = "{digest(file)}"\n{more}'
