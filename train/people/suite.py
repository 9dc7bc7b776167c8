"""An evaluation suite of posed avatars: textured .glb files with joints, and index.json (design.md §4).

    python -m train.people.suite --out DIR --count N [--seed N] [--part held|train|any]

This is the suite `other-artist`: whole characters that no garment of our generator made. Only characters and poses that are kept
out of all training (train/lifter/split.py), unless another part is asked for, which the index then says.
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

from ..lifter.split import part_of_avatar, part_of_pose
from .assets import Avatar, assets_root, avatar_names, load_avatar, load_bone_map, load_poses
from .curved import curved
from .glb import Look, write_glb
from .posing import pose_avatar, smpl_bones

GLTF_FROM_WORLD = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
"""Rotation (3, 3): z up facing -y to y up facing +z."""

_PHOTO_POSES = ("mhc_StandingNatural", "mhc_StandingDefault", "mh_standing04", "mh_standing01", "mh_standing03")
_ABOUT = ("Posed avatars of VALID (MIT, copyright (c) 2022 Tiffany Do), made by train/people/suite.py. Whole characters by "
          "another artist{held}; their flat triangles are rounded as their shading asks (curved PN triangles). Metres, y up; a person "
          "of yaw 0 faces +z. joints: SMPL's names, at the characters' own bone heads. _PART: from the characters' skinning.")


@dataclass(frozen=True)
class SuiteConfig:
    """count people; photo_share of them in plain poses for a photo, the others in any standing pose of the library;
    yaw_deg: largest turn of the suite's `yaw_deg` to either side, except that back_share of the people turn their backs;
    part: "held" (characters and poses that no training sees), "train", or "any"; pieces: into how many parts a triangle's edge is cut."""

    count: int = 12
    seed: int = 0
    photo_share: float = 0.5
    yaw_deg: float = 35.0
    back_share: float = 0.1
    part: str = "held"
    pieces: int = 3


def choose(config: SuiteConfig, avatars: list[str], poses: list[str]) -> list[tuple[str, str, float]]:
    """(avatar, pose, yaw in degrees) of each person: every avatar once before any comes twice."""
    rng = np.random.default_rng(config.seed)
    order: list[str] = []
    while len(order) < config.count:
        order += [avatars[i] for i in rng.permutation(len(avatars))]
    plain = [p for p in _PHOTO_POSES if p in poses] or list(poses)
    out = []
    for avatar in order[:config.count]:
        pose = rng.choice(plain) if rng.random() < config.photo_share else rng.choice(poses)
        back = 180.0 if rng.random() < config.back_share else 0.0
        out.append((avatar, str(pose), round(float(back + rng.uniform(-1, 1) * config.yaw_deg), 1)))
    return out


def allowed(names: list[str], part: str, of) -> list[str]:
    """The names of one part of the split; of: name -> "train", "val" or "test"."""
    if part not in ("held", "train", "any"):
        raise OptionError("option.part", f"There is no part '{part}' of the ingredients.", "Choose held, train or any.")
    return [n for n in names if part == "any" or (of(n) == "test") == (part == "held")]


def write_suite(out: Path, config: SuiteConfig, root: Path) -> list[dict]:
    """Write the files and index.json into an empty (or new) folder; returns the index's items."""
    empty_folder(out, config.count)
    library, bone_map = load_poses(root), load_bone_map(root)
    standing = allowed([n for n, s in zip(library.names, library.standing) if s], config.part, part_of_pose)
    avatars = allowed(avatar_names(root), config.part, part_of_avatar)
    if not avatars or not standing:
        raise OptionError("option.part", f"The assets hold no avatars or standing poses of the part '{config.part}'.",
                          "Give the whole folder of ingredients, or another --part.")
    out.mkdir(parents=True, exist_ok=True)
    items = []
    for number, (name, pose, yaw) in enumerate(choose(config, avatars, standing)):
        avatar = load_avatar(root, name)
        posed = pose_avatar(avatar, library, bone_map, pose)
        vertices, normals, faces, source, weight, of = curved(posed.vertices, posed.normals, avatar.faces, avatar.weld, config.pieces)
        uv = np.einsum("nk,nkc->nc", weight, avatar.uv[source])
        part = body_parts(avatar)[np.take_along_axis(source, weight.argmax(1)[:, None], 1)[:, 0]]
        texture = avatar.texture[of]
        looks = [Look(p.read_bytes(), name=p.stem) for p in avatar.texture_files]
        item = f"{number:03d}_{name}"
        extras = {"licence": avatar.licence, "author": avatar.author, "avatar": name, "pose": pose}
        write_glb(out / f"{item}.glb", item, vertices @ GLTF_FROM_WORLD.T, normals @ GLTF_FROM_WORLD.T, uv,
                  [faces[texture == k] for k in range(len(looks))], looks, extras, part)
        items.append({"name": item, "file": f"{item}.glb", "height_m": round(avatar.height_m, 4),
                      "licence": avatar.licence, "kind": "avatar", "yaw_deg": yaw, "avatar": name, "pose": pose,
                      "author": avatar.author, "part": "held" if part_of_avatar(name) == "test" else "train",
                      "pose_licence": library.licence[library.names.index(pose)],
                      "joints": dict(zip(SMPL_JOINTS, np.round(posed.joints @ GLTF_FROM_WORLD.T, 5).tolist()))})
    held = ", kept out of all training" if config.part == "held" else ""
    write_index(out, _ABOUT.format(held=held), config.seed, items)
    return items


def empty_folder(out: Path, count: int) -> None:
    """OptionError unless `out` is new or empty and count is at least 1."""
    if count < 1:
        raise OptionError("option.count", "A suite needs at least one person.", "Give --count 1 or more.")
    if out.exists() and any(out.iterdir()):
        raise OptionError("option.out", f"The folder '{out}' is not empty.", "Give a new folder, or empty this one.")


def write_index(out: Path, about: str, seed: int, items: list[dict]) -> None:
    """index.json, the last file of a suite."""
    text = json.dumps({"about": about, "seed": seed, "items": items}, indent=1)
    (out / "index.json").write_text(text + "\n", encoding="utf-8", newline="\n")


def body_parts(avatar: Avatar) -> np.ndarray:
    """(V,) int64 SMPL joint that a vertex follows most: that of the nearest bone up the skeleton that stands for one."""
    joint_of = {bone: k for k, bone in enumerate(smpl_bones(avatar))}
    own = np.zeros(len(avatar.bones), np.int64)
    for j, parent in enumerate(avatar.parents):                        # parents come before their children
        own[j] = joint_of.get(j, own[parent] if parent >= 0 else 0)
    share = np.zeros((len(avatar.vertices), len(SMPL_JOINTS)))
    for k in range(avatar.joints.shape[1]):
        np.add.at(share, (np.arange(len(share)), own[avatar.joints[:, k]]), avatar.weights[:, k])
    return share.argmax(1)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.people.suite", description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--count", type=int, default=SuiteConfig.count)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", default="held", help="held (never trained on; default), train or any")
    parser.add_argument("--assets", help="folder of ingredients; default: LIKENESS_ASSETS")
    args = parser.parse_args(argv)
    try:
        items = write_suite(args.out, SuiteConfig(args.count, args.seed, part=args.part), assets_root(args.assets))
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    print(f"{len(items)} people in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
