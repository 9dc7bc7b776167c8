"""Films of one generated person (train/people) in known motion: frames as PNG, and the truth. For measuring sequences.

    python -m evaluate.film --out DIR --assets FOLDER_OR_PACK [--frames 24] [--fps 12] [--size 512] [--seed 0] [--turn 0]

The person goes from pose to pose with smooth easing (no speed and no acceleration at the ends) before a camera that does not move.
truth.npz: joints (N, 24, 3) metres, camera frame; height_m; fps; numbers.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from neural.body.rotations import axis_angle_from_matrix
from neural.contract.errors import LikenessError
from neural.contract.frames import BLENDER_FROM_CAMERA, DEFAULT_FOV_DEG
from train.people import pack
from train.people.assets import assets_root
from train.people.build import build
from train.people.build.pose import pose_people
from train.people.build.skin import local_of, world_of
from train.people.build.stance import PHOTO_POSES
from train.people.build.turn import vector_turn
from train.people.choices import Choices
from train.people.draw.light import lights_of
from train.people.draw.shade import picture
from train.people.photo.compose import compose
from train.people.photo.sensor import develop
from train.people.recipe import BackgroundRecipe, LightRecipe, PersonRecipe, PoseMix, SensorRecipe
from train.people.suite_generated import dressed_person
from train.people.types import Cameras, Pack, Poses

POSES = ("arms_hanging", "waving", "open_arms", "arms_hanging")
CAMERA = (0.0, 0.92, 2.35)
"""Metres: where the floor under the person is, camera frame; the camera is level and 0.92 m high."""


def eased(t: np.ndarray) -> np.ndarray:
    """0 to 1 with no speed and no acceleration at the ends."""
    t = np.clip(t, 0, 1)
    return t ** 3 * (10 - 15 * t + 6 * t ** 2)


def between(ingredients: Pack, mixes: list[PoseMix], shares: np.ndarray) -> tuple[Pack, list[str]]:
    """The pack with poses on the way from mix to mix (shares (N,) in [0, len(mixes) - 1]), and their names. Joints turn about one axis a step."""
    heads = ingredients.base.heads.expand(len(mixes), -1, -1)
    local = local_of(pose_people(mixes, ingredients.poses, ingredients.base, heads), ingredients.base.parents)
    a = torch.as_tensor(np.minimum(shares.astype(int), len(mixes) - 2))
    t = torch.as_tensor(eased(shares - a.numpy()), dtype=local.dtype)
    step = torch.as_tensor(axis_angle_from_matrix((local[a].transpose(-1, -2) @ local[a + 1]).double().numpy()), dtype=local.dtype)
    made = world_of(local[a] @ vector_turn(t[:, None, None] * step), ingredients.base.parents)
    names = [f"film_{k}" for k in range(len(shares))]
    p, n = ingredients.poses, len(names)
    poses = Poses(torch.cat([p.rotation, made]), (*p.names, *names), torch.cat([p.standing, torch.ones(n, dtype=torch.bool)]), (*p.clip, *["film"] * n),
                  (*p.part, *["held"] * n), (*p.licence, *["CC0-1.0"] * n))
    return replace(ingredients, poses=poses), names


def film(out: Path, source: Path, frames: int, fps: float, size: int, seed: int, turn_deg: float, poses: tuple[str, ...] = POSES) -> None:
    """Write frame_0001.png … and truth.npz into `out`."""
    ingredients, known = pack.load(source, "held", people=False), pack.catalogue(source, "held")
    choices = Choices.of(ingredients, known, "held", tuple(PHOTO_POSES))
    person = replace(dressed_person(seed, 0, choices, known), expression=())
    shares = np.linspace(0, len(poses) - 1, frames)
    ingredients, names = between(ingredients, [PoseMix("", photo=p, seed=seed) for p in poses], shares)
    focal = 0.5 * size / np.tan(np.radians(DEFAULT_FOV_DEG) / 2)
    number = lambda *v: torch.tensor([v], dtype=torch.float32)             # noqa: E731
    view = Cameras(torch.as_tensor(BLENDER_FROM_CAMERA.T.copy(), dtype=torch.float32)[None], number(*CAMERA), number(focal)[0],
                   number(size / 2, size / 2), size)
    light = lights_of([LightRecipe(map=choices.lights[0], key=0.6, flat=0.3)], ingredients.surroundings)
    out.mkdir(parents=True, exist_ok=True)
    joints, height = [], 0.0
    for k, (name, share) in enumerate(zip(names, shares / shares[-1])):
        people = build([_posed(person, name, turn_deg * float(eased(share)))], ingredients)
        with torch.no_grad():
            colour, cover, _ = picture(people, view, light, ingredients.textures, 2)
            layer = torch.cat([colour, cover[:, None]], 1)
            shown = compose([BackgroundRecipe(colours=((0.42, 0.44, 0.47), (0.30, 0.29, 0.28)))], ingredients.surroundings, view, layer)
            image = develop(shown.picture, [SensorRecipe(noise=0.006, seed=k)])
        pixels = np.rint(image[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255).astype(np.uint8)
        cv2.imwrite(str(out / f"frame_{k + 1:04d}.png"), np.ascontiguousarray(pixels[..., ::-1]))
        joints.append((people.joints[0].double().numpy() @ BLENDER_FROM_CAMERA) + np.array(CAMERA))
        height = float(people.stature[0])
        print(f"{k + 1}/{frames}", end=" ", flush=True)
    np.savez(out / "truth.npz", joints=np.stack(joints), height_m=height, fps=fps, numbers=np.arange(1, frames + 1))


def _posed(person: PersonRecipe, name: str, yaw_deg: float) -> PersonRecipe:
    return replace(person, pose=PoseMix(name), yaw_deg=yaw_deg)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="evaluate.film", description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--assets", help="folder of ingredients, or a pack file of the held part; default: LIKENESS_ASSETS")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--fps", type=float, default=12.0)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--turn", type=float, default=0.0, help="degrees that the person turns on the spot")
    parser.add_argument("--poses", default=",".join(POSES))
    args = parser.parse_args(argv)
    try:
        film(args.out, Path(args.assets) if args.assets else assets_root(None), args.frames, args.fps, args.size, args.seed, args.turn,
             tuple(args.poses.split(",")))
    except LikenessError as error:
        print(f"{error.message} {error.remedy}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
