"""`dev.py train NET …`: hands over to the trainer of that network.

    python -m train lifter --config cpu --minutes 20
"""

from __future__ import annotations

import importlib
import sys

NETS = {"lifter": "train.lifter.train", "people": "train.people.__main__", "photograph": "train.people.studio.photograph", "pack": "train.people.pack.__main__",
        "2k2k": "train.two_k.__main__", "refinetex": "train.refinetex.__main__"}
"""Name -> module with a `main(argv) -> int`."""


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] not in NETS:
        print(f"usage: dev.py train {{{','.join(NETS)}}} [options]", file=sys.stderr)
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    return importlib.import_module(NETS[argv[0]]).main(argv[1:])


if __name__ == "__main__":
    sys.exit(main())
