"""Rows of neural/weights/weights.toml: every weight file that ships is listed there with its size and sha256."""

from __future__ import annotations

import re
from pathlib import Path

from neural.nets.blocks.file import digest

FOLDER = Path(__file__).resolve().parents[1] / "neural/weights"


def list_files(files: list[Path], what: str, command: str, scores: str) -> None:
    """Put a set (blocks.file.save's files) into the weights.toml beside it, in place of the rows that it had."""
    name = files[0].stem
    rows = [_row(files[0], f'what = "{what}"\ntrained_by = "{command}"\nscores = "{scores}"\n')]
    rows += [_row(f, f'what = "part {n} of {files[0].name}"\n') for n, f in enumerate(files[1:], 2)]
    listed = files[0].with_name("weights.toml")
    text = listed.read_text(encoding="utf-8") if listed.is_file() else ""
    text = re.sub(rf"\[{name}(?:_\d+)?\]\n(?:[^\[\n].*\n|\n(?!\[))*", "", text).rstrip("\n")
    listed.write_text((text + "\n\n" if text else "") + "\n".join(rows), encoding="utf-8")


def _row(file: Path, more: str) -> str:
    return f'[{file.stem}]\nfile = "{file.name}"\nbytes = {file.stat().st_size}\nsha256 = "{digest(file)}"\n{more}'
