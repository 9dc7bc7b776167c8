"""An evaluation suite of posed avatars: textured .glb files with joints, and index.json (design.md §4).

    python -m train.people.suite --out DIR --count N [--seed N]

This is the suite `other-artist`: whole characters that no garment of our generator made. Networks never train on them.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neural.contract.errors import LikenessError, OptionError
from neural.contract.joints import SMPL_JOINTS

from .assets import assets_root, avatar_names, load_avatar, load_bone_map, load_poses
from .glb import write_glb
from .posing import pose_avatar

GLTF_FROM_WORLD = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
"""Rotation (3, 3): z up facing -y to y up facing +z."""

_PHOTO_POSES = ("mhc_StandingNatural", "mhc_StandingDefault", "mh_standing04", "mh_standing01", "mh_standing03")
_ABOUT = ("Posed avatars of VALID (MIT, copyright (c) 2022 Tiffany Do), made by train/people/suite.py. Whole characters by "
          "another artist, kept out of all training. Metres, y up; a person of yaw 0 faces +z. joints: SMPL's names, at "
          "the characters' own bone heads.")


@dataclass(frozen=True)
class SuiteConfig:
    """count people; photo_share of them in plain poses for a photo, the others in any standing pose of the library;
    yaw_deg: largest turn of the suite's `yaw_deg` to either side, except that back_share of the people turn their backs."""

    count: int = 12
    seed: int = 0
    photo_share: float = 0.5
    yaw_deg: float = 35.0
    back_share: float = 0.1


def choose(config: SuiteConfig, avatars: list[str], poses: list[str]) -> list[tuple[str, str, float]]:
    """(avatar, pose, yaw in degrees) of each person: every avatar once before any comes twice."""
    rng = np.random.default_rng(config.seed)
    order: list[str] = []
    while len(order) < config.count:
        order += [avatars[i] for i in rng.permutation(len(avatars))]
    out = []
    for avatar in order[:config.count]:
        pose = rng.choice(_PHOTO_POSES) if rng.random() < config.photo_share else rng.choice(poses)
        back = 180.0 if rng.random() < config.back_share else 0.0
        out.append((avatar, str(pose), round(float(back + rng.uniform(-1, 1) * config.yaw_deg), 1)))
    return out


def write_suite(out: Path, config: SuiteConfig, root: Path) -> list[dict]:
    """Write the files and index.json into an empty (or new) folder; returns the index's items."""
    if config.count < 1:
        raise OptionError("option.count", "A suite needs at least one person.", "Give --count 1 or more.")
    if out.exists() and any(out.iterdir()):
        raise OptionError("option.out", f"The folder '{out}' is not empty.", "Give a new folder, or empty this one.")
    out.mkdir(parents=True, exist_ok=True)
    library, bone_map = load_poses(root), load_bone_map(root)
    standing = [n for n, s in zip(library.names, library.standing) if s]
    items = []
    for number, (name, pose, yaw) in enumerate(choose(config, avatar_names(root), standing)):
        avatar = load_avatar(root, name)
        posed = pose_avatar(avatar, library, bone_map, pose)
        vertices = posed.vertices.astype(np.float64) @ GLTF_FROM_WORLD.T
        joints = posed.joints @ GLTF_FROM_WORLD.T
        faces = [avatar.faces[avatar.texture == k] for k in range(len(avatar.textures))]
        item = f"{number:03d}_{name}"
        extras = {"licence": avatar.licence, "author": avatar.author, "avatar": name, "pose": pose}
        write_glb(out / f"{item}.glb", item, vertices, posed.normals @ GLTF_FROM_WORLD.T, avatar.uv, faces,
                  [p.read_bytes() for p in avatar.texture_files], extras)
        items.append({"name": item, "file": f"{item}.glb", "height_m": round(avatar.height_m, 4),
                      "licence": avatar.licence, "kind": "avatar", "yaw_deg": yaw, "avatar": name, "pose": pose,
                      "author": avatar.author,
                      "pose_licence": library.licence[library.names.index(pose)],
                      "joints": dict(zip(SMPL_JOINTS, np.round(joints, 5).tolist()))})
    text = json.dumps({"about": _ABOUT, "seed": config.seed, "items": items}, indent=1)
    (out / "index.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    return items


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.people.suite", description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--count", type=int, default=SuiteConfig.count)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--assets", help="folder of ingredients; default: LIKENESS_ASSETS")
    args = parser.parse_args(argv)
    try:
        items = write_suite(args.out, SuiteConfig(args.count, args.seed), assets_root(args.assets))
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    print(f"{len(items)} people in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
