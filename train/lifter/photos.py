"""Photographs of the generator's people, and what s02 says about them: the measuring set, and pairs to learn from.

    python -m train.lifter.photos --part train --count 1500 --out FOLDER           landmarks only, quick
    python -m train.lifter.photos --part held --count 60 --whole --out FOLDER      all of s02, for train.lifter.score

Bodies have exactly our joints (people of parts, no whole characters). Whole: one .npz a picture (`load_case`); else pairs as
errors.body_truth gives them, up to 16 in a file. Held people wear held garments and take held poses. A seed fixes much of a person in every
part alike, so parts that are compared need seeds of their own (--first).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from neural.body.maps import tables
from neural.body.model import BodyModel
from neural.body.rotations import axis_angle_from_matrix
from neural.context import Context
from neural.contract.errors import LikenessError
from neural.contract.frames import Camera
from neural.contract.job import JobOptions
from neural.models import Models
from neural.nets.landmarks import describe, people
from neural.nets.landmarks.roi import Pyramid
from neural.nets.lifter.features import view_direction, virtual_from_camera
from neural.stages.s01_photo import Photo
from neural.stages.s02_person import find_person
from neural.stages.s03_body import trust_of

from ..people.assets import assets_root
from ..people.build import build
from ..people.casting import CastConfig
from ..people.draw.light import lights_of
from ..people.draw.shade import picture
from ..people.generator import Generator, GeneratorConfig
from ..people.labels import camera as views
from ..people.labels.body import true_body
from ..people.photo.camera import place
from ..people.photo.compose import compose
from ..people.photo.sensor import develop
from ..people.scenery import SceneryConfig
from .poses import local_of

MEASURED = CastConfig(whole=0.0, companion=0.0, scenery=SceneryConfig(
    fov_deg=(18.0, 55.0), pitch_deg=(-12.0, 20.0), roll_deg=2.0, frame=(1.0, 0.0, 0.0, 0.0), fill=(0.8, 0.97), occluder=0.0))
"""Whole figures, nobody and nothing before them: what a user would take."""
LEARNT = CastConfig(whole=0.0, companion=0.0, front=0.55, mixed_limbs=0.5, scenery=SceneryConfig(
    fov_deg=(15.0, 62.0), frame=(0.86, 0.09, 0.05, 0.0), occluder=0.04))


@dataclass(frozen=True)
class Shot:
    """image (H, W, 3) uint8; camera true; rotations (24, 3, 3) T-pose -> camera axes; joints (24, 3) camera metres; betas (10,), scale;
    world_up (3,) unit, camera axes; kind: name of the pose."""

    image: np.ndarray
    camera: Camera
    rotations: np.ndarray
    joints: np.ndarray
    betas: np.ndarray
    scale: float
    world_up: np.ndarray
    kind: str


def shots(generator: Generator, seeds: list[int], size: int, supersample: int = 1) -> list[Shot]:
    """Photographs of the people of `seeds`: no labels, so a second each instead of several. The photo around the canvas
    repeats its border, so that the lens's middle lies where it would."""
    recipes = [generator.recipe(s) for s in seeds]
    pack = generator.pack
    with torch.no_grad():
        who = build([r.person for r in recipes], pack)
        placed = place(who, [r.camera for r in recipes], size)
        cameras = placed.cameras
        lights = lights_of([r.light for r in recipes], pack.surroundings)
        colour, cover, _ = picture(who, cameras, lights, pack.textures, supersample)
        gain = torch.tensor([2.0 ** r.light.exposure_ev for r in recipes])
        photo = compose([r.background for r in recipes], pack.surroundings, cameras, torch.cat([colour, cover[:, None]], 1), None, None, gain)
        image = develop(photo.picture, [r.sensor for r in recipes])
        rotations, betas, scale, _ = true_body(who, cameras, tables(BodyModel.load(), "cpu"))
        joints = views.seen(cameras, who.joints)
    out = []
    for k, r in enumerate(recipes):
        x0, y0, x1, y1 = np.round(placed.border[k].numpy()).astype(int)
        crop = image[k].permute(1, 2, 0).numpy()[max(y0, 0):min(y1, size), max(x0, 0):min(x1, size)]
        crop = (np.clip(crop, 0, 1) * 255 + 0.5).astype(np.uint8)
        crop = np.pad(crop, ((max(-y0, 0), max(y1 - size, 0)), (max(-x0, 0), max(x1 - size, 0)), (0, 0)), mode="edge")
        focal, centre = float(cameras.focal[k]), cameras.centre[k].numpy()
        true = Camera(crop.shape[1], crop.shape[0], focal, focal, float(centre[0] - x0), float(centre[1] - y0))
        pose = r.person.pose
        out.append(Shot(crop, true, rotations[k].double().numpy(), joints[k].double().numpy(), betas[k].double().numpy(), float(scale[k]),
                        cameras.rotation[k, :, 2].double().numpy(), pose.photo or pose.body))
    return out


def landmarks_only(image: np.ndarray, nets: Models) -> tuple[SimpleNamespace, np.ndarray] | None:
    """What the lifter needs of s02's Person, and the trust in its landmarks; None when nobody is found."""
    found = people.find_people(nets.landmarks, Pyramid(image))
    if not found:
        return None
    pose = found[0].pose
    height, width = image.shape[:2]
    inside = describe.in_photo(pose, width, height)
    visibility = np.where(inside, pose.visibility, np.minimum(pose.visibility, 0.3))
    return SimpleNamespace(camera=Camera.from_fov(width, height), landmarks=pose.points[:, :2].copy(),
                           landmarks_world=describe.without_lean(pose.world)), trust_of(visibility, inside)


def truth_of(shot: Shot, person, trust: np.ndarray, model: BodyModel) -> dict[str, np.ndarray] | None:
    """errors.body_truth of a photo; None when another thing than the person was found."""
    local = local_of(shot.rotations)
    vertices = model.posed(axis_angle_from_matrix(local), shot.betas)[0] - model.shaped(shot.betas)[1][0]
    points = shot.scale * model.landmarks(vertices)[:33] + shot.joints[0]
    pixels = person.landmarks.astype(np.float64)
    true = virtual_from_camera(view_direction(shot.camera.rays(pixels), trust))
    rays = person.camera.rays(pixels)
    direction = view_direction(rays, trust)
    seen = rays @ virtual_from_camera(direction).T
    exact = shot.camera.rays(pixels) @ true.T                          # with the true focal length, to measure pixels by
    exact = exact[:, :2] / np.maximum(exact[:, 2:], 0.2)
    points = points @ true.T
    miss = (exact - points[:, :2] / points[:, 2:]) * np.mean(points[:, 2])
    if np.median(np.linalg.norm(miss, axis=1)) > 0.25:
        return None
    return {"rotations": true @ shot.rotations, "betas": shot.betas, "points": points, "flat": seen[:, :2] / np.maximum(seen[:, 2:], 0.2),
            "trust": trust, "world": person.landmarks_world.astype(np.float64), "down": direction[1], "miss": miss}


_PERSON = ("landmarks", "landmarks_world", "visibility", "mask", "inside", "face", "left_hand", "right_hand")


def save_case(path: Path, shot: Shot, person, camera: Camera) -> None:
    """One person as s02 describes it, with the truth; camera: the true one of the canvas."""
    arrays = {f"person_{k}": getattr(person, k) for k in _PERSON if getattr(person, k) is not None}
    text = json.dumps({"camera": camera.to_json(), "person_camera": person.camera.to_json(), "facing": person.facing, "framing": person.framing,
                       "kind": shot.kind, "scale": shot.scale})
    np.savez_compressed(path, text=text, crop=person.crop, rotations=shot.rotations, joints=shot.joints, betas=shot.betas, up=shot.world_up, **arrays)


def load_case(path: Path) -> dict:
    """rotations, joints, betas, up, crop, kind, scale, camera (true) and person (a namespace with s02's names)."""
    with np.load(path) as z:
        text = json.loads(str(z["text"]))
        out = {k: z[k] for k in ("rotations", "joints", "betas", "up", "crop")}
        fields = {k: z[f"person_{k}"] if f"person_{k}" in z.files else None for k in _PERSON}
    person = SimpleNamespace(camera=Camera.from_json(text["person_camera"]), facing=text["facing"], framing=text["framing"], **fields)
    return out | {"kind": text["kind"], "scale": text["scale"], "camera": Camera.from_json(text["camera"]), "person": person}


def pair_of(shot: Shot, nets: Models) -> dict[str, np.ndarray] | None:
    """What the lifter sees of a picture and should say, in the form of errors.body_truth; None when s02 finds nobody, or somebody else."""
    got = landmarks_only(shot.image, nets)
    return None if got is None else truth_of(shot, *got, BodyModel.load())


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.lifter.photos", description=__doc__.split("\n\n")[0])
    parser.add_argument("--part", choices=("train", "val", "held"), required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--whole", action="store_true", help="run all of s02 and keep masks, hands and faces")
    parser.add_argument("--assets")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    root, nets = assets_root(args.assets), Models("cpu")
    generator = Generator(root, args.part, GeneratorConfig(cast=MEASURED if args.whole else LEARNT))
    args.out.mkdir(parents=True, exist_ok=True)
    chunk = 4 if args.whole else 16
    for first in range(args.first, args.first + args.count, chunk):
        seeds = list(range(first, min(first + chunk, args.first + args.count)))
        file = args.out / f"{args.part}_pairs_{first:05d}.npz"
        if not args.whole and file.exists() or args.whole and all((args.out / f"{args.part}_{s:05d}.npz").exists() for s in seeds):
            continue
        start, pairs = time.process_time(), []
        for seed, shot in zip(seeds, shots(generator, seeds, 640 if args.whole else 384)):
            if not args.whole:
                pairs.append(pair_of(shot, nets))
                continue
            context = Context(JobOptions(preset="draft"), warn=lambda code, sentence: None)
            try:
                person = find_person(Photo(str(seed), shot.image, None, None), nets.landmarks, context)
            except LikenessError as error:
                print(seed, error.code, flush=True)
                continue
            side = person.mask.shape[0]
            save_case(args.out / f"{args.part}_{seed:05d}.npz", shot, person, shot.camera.cropped(np.linalg.inv(person.photo_from_crop), side, side))
        pairs = [p for p in pairs if p is not None]
        if pairs:
            np.savez(file, **{k: np.stack([p[k] for p in pairs]) for k in pairs[0]})
        print(f"{first} {len(pairs)} {(time.process_time() - start) / len(seeds):.2f} CPU s each", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
