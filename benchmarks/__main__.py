"""`dev.py bench [NAME] [options]`: one benchmark, or all."""

from __future__ import annotations

import importlib
import sys

NAMES = ("two_k", "refinetex", "soak", "batch")
"""Modules of this package with a `main(argv) -> int`."""

ALONE = ("soak", "batch")
"""Long ones: only by name."""


def main(argv: list[str]) -> int:
    if argv and argv[0] in ("-h", "--help") or argv and not argv[0].startswith("-") and argv[0] not in NAMES:
        print(f"usage: dev.py bench [{{{','.join(NAMES)}}}] [options]", file=sys.stderr)
        return 0 if argv[0] in ("-h", "--help") else 2
    chosen = [argv[0]] if argv and not argv[0].startswith("-") else [n for n in NAMES if n not in ALONE]
    rest = argv[1:] if argv and not argv[0].startswith("-") else argv
    return max(importlib.import_module(f"benchmarks.{name}").main(rest) for name in chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
