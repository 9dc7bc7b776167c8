"""Weights that ship: halves in as many files as the repository's limit asks for, their rows in weights.toml, and the model card's first version."""

from __future__ import annotations

from pathlib import Path

from neural.nets.two_k.net import TwoK
from neural.nets.two_k.weights import save

from ..shipping import FOLDER, list_files

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
    list_files(files, "photo, matte and fitted body -> normals, depth and mask of both sides", command, f"other poses: {said}")
    return files[0]
