"""`python -m evaluate.document A.json B.json … [--into docs/evaluation.md]`: the tables of docs, from what `--out` wrote.

One table a measure with a row for each run and method, the command that made each, and the protocol once. With --into the part
of the file between the two marks is replaced, the rest stays.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from neural.contract.errors import LikenessError

from .errors import SuiteError
from .table import COLOURS, COLUMNS, MAPS, SHARED, rows_table, said

BEGIN, END = "<!-- tables: begin (python -m evaluate.document) -->", "<!-- tables: end -->"


def read_run(file: Path) -> dict:
    """One JSON file of `dev.py evaluate --out`. Raises SuiteError."""
    try:
        data = json.loads(file.read_text("utf-8"))
        data["means"], data["results"], data["command"], data["head"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise SuiteError("suite.results", f"The file '{file}' holds no results of an evaluation.",
                         "Give files that 'dev.py evaluate --out FILE.json' wrote.", str(exc)) from exc
    return data


def document(runs: list[dict]) -> str:
    """Markdown of several runs."""
    quick = {bool(r["quick"]) for r in runs}
    if len(quick) > 1:
        raise SuiteError("suite.results", "Quick runs and full runs cannot stand in one table: they measure with other samples.",
                         "Make two documents.")
    lines = []
    for run in runs:
        persons = len({r["item"] for r in run["results"]})
        lines.append(f"- **{run['suite']}**, {persons} persons, {run['preset']}: `{run['command']}` ({run['seconds']:.0f} s, "
                     f"{run['cpu_seconds']:.0f} s of CPU, {run['device']})")
    labelled = {(run["suite"], run["preset"], method): row for run in runs for method, row in run["means"].items()}
    single = len({(r["suite"], r["preset"]) for r in runs}) == 1
    rows = {(m if single else f"{s} {p}: {m}"): row for (s, p, m), row in labelled.items()}
    parts = ["\n".join(lines)]
    for name, label in (("as_is", "Shape, as is"), ("aligned", "Shape, aligned")):
        parts.append(rows_table(label, {f"{name}_{k}": v for k, v in COLUMNS.items()}, rows))
    parts += [rows_table("Outline, head, joints", SHARED, rows), rows_table("Colours and time", COLOURS, rows)]
    maps = {k: r for k, r in rows.items() if "map_mask_iou" in r}
    parts += [rows_table("The pipeline's maps", MAPS, maps)] if maps else []
    for run in runs:
        files = said(run["results"]).strip()
        parts += [f"*{run['suite']}*: {run['about']}" + (f"\n\n{files}" if files else "")]
    return "\n\n".join(parts)


def put_into(file: Path, text: str) -> None:
    """Replace what stands between the marks. Raises SuiteError when they are missing."""
    old = file.read_text("utf-8")
    if old.count(BEGIN) != 1 or old.count(END) != 1 or old.index(BEGIN) > old.index(END):
        raise SuiteError("suite.document", f"'{file.name}' has no place for the tables.", f"Write the lines '{BEGIN}' and '{END}' where they belong.")
    head, tail = old[:old.index(BEGIN) + len(BEGIN)], old[old.index(END):]
    file.write_text(f"{head}\n\n{text}\n\n{tail}", "utf-8", newline="\n")


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(prog="python -m evaluate.document", description=__doc__.split("\n\n")[0])
    p.add_argument("files", nargs="+", type=Path, metavar="FILE.json")
    p.add_argument("--into", type=Path, metavar="FILE.md")
    args = p.parse_args(argv)
    try:
        text = document([read_run(f) for f in args.files])
        if args.into:
            put_into(args.into, text)
        else:
            print(text)
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
