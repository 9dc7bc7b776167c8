"""Photographs of avatars put through the real stages s02 and s03, with the truth beside: what `measure` takes its numbers from.

    python -m train.people.errors.collect --out FOLDER --count 90 [--assets FOLDER]

About five seconds of CPU a picture; pictures that exist are not made again. One .npz a picture, see `Case`.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from neural.body.model import BodyModel
from neural.context import Context
from neural.contract.errors import LikenessError
from neural.contract.frames import Camera
from neural.contract.job import JobOptions
from neural.geometry.raster import rasterize
from neural.models import Models
from neural.stages.s01_photo import Photo
from neural.stages.s02_person import Person, find_person
from neural.stages.s03_body import Body, evidence_of, fit_body

from ...lifter.errors import shape_of
from ...lifter.pictures import FROM_BODY
from ...lifter.poses import from_library, world_of
from ...lifter.split import part_of_avatar, part_of_pose
from ..assets import assets_root, avatar_names, load_poses
from ..studio.picture import photograph
from ..studio.scene import Scene, Shot, Subject, build


@dataclass(frozen=True)
class Case:
    """One picture. S = side of s02's canvas; all pixels are of it.

    crop (S, S, 3) uint8; mask, true_mask (S, S) uint8, 255 = person (true: covered and visible); inside (S, S) bool.
    pixels (33, 2), visibility (33,), trust (33,): s02's landmarks; true_pixels (33, 2): those of the true body.
    rotations, true_rotations (24, 3, 3): turns of the joints against the T-pose in camera axes, s03's and the true ones; betas (10,), scale,
    translation (3,), joints (24, 3) camera metres, and true_...: our body brought to the avatar's bones. true_avatar (24, 3): the bones.
    focal, true_focal: pixels; centre (2,). yaw_deg, two (another person is in the picture), degraded, facing, framing as text.
    """

    crop: np.ndarray
    mask: np.ndarray
    true_mask: np.ndarray
    inside: np.ndarray
    pixels: np.ndarray
    visibility: np.ndarray
    trust: np.ndarray
    true_pixels: np.ndarray
    rotations: np.ndarray
    true_rotations: np.ndarray
    betas: np.ndarray
    true_betas: np.ndarray
    scale: np.ndarray
    true_scale: np.ndarray
    translation: np.ndarray
    true_translation: np.ndarray
    joints: np.ndarray
    true_joints: np.ndarray
    true_avatar: np.ndarray
    focal: np.ndarray
    true_focal: np.ndarray
    centre: np.ndarray
    yaw_deg: np.ndarray
    two: np.ndarray
    degraded: np.ndarray
    facing: np.ndarray
    framing: np.ndarray

    @staticmethod
    def load(path: Path) -> "Case":
        with np.load(path) as z:
            return Case(**{f.name: z[f.name] for f in fields(Case)})


def shots(count: int, root: Path, seed: int = 20) -> list[tuple[Shot, str]]:
    """Shots and how each is degraded ("", "dark", "jpeg", "blur", "noise"); avatars and poses of the lifter's train and val parts only."""
    rng = np.random.default_rng(seed)
    library = load_poses(root)
    poses = [n for n in library.names if part_of_pose(n) != "test"]
    upright = [n for n, s in zip(library.names, library.standing) if s and n in set(poses)]
    avatars = [a for a in avatar_names(root) if part_of_avatar(a) != "test"]
    views = sorted(p.stem for p in (root / "backgrounds").glob("*.jpg"))
    lights = sorted(p.stem for p in (root / "hdri").glob("*.hdr"))
    out = []
    for i in range(count):
        pose = str(rng.choice(upright if rng.random() < 0.7 else poses))
        yaw = float(rng.uniform(-35, 35) if rng.random() < 0.5 else rng.uniform(-180, 180))
        people = [Subject(avatars[i % len(avatars)], pose, yaw)]
        if rng.random() < 0.15:
            people.append(Subject(str(rng.choice(avatars)), str(rng.choice(upright)), float(rng.uniform(-60, 60)),
                                  float(rng.choice([-1, 1]) * rng.uniform(0.4, 0.8)), float(rng.uniform(0.2, 1.2))))
        colour = "#" + "".join(f"{int(c):02x}" for c in rng.uniform(10, 245, 3))
        shot = Shot(tuple(people), 540, 720, fov_deg=float(rng.uniform(20, 68)), pitch_deg=float(np.clip(rng.normal(4, 7), -15, 25)),
                    roll_deg=float(np.clip(rng.normal(0, 2), -6, 6)), framing="upper" if rng.random() < 0.2 and len(people) == 1 else "full",
                    fill=float(rng.uniform(0.6, 0.95)), background=colour if rng.random() < 0.25 else str(rng.choice(views)),
                    background_blur=float(rng.uniform(0, 3)), light=str(rng.choice(lights)), light_turn_deg=float(rng.uniform(0, 360)),
                    exposure_ev=float(rng.normal(0, 0.4)), supersample=2, ambient_samples=16, key_samples=3, seed=int(rng.integers(1 << 30)))
        out.append((shot, str(rng.choice(["dark", "jpeg", "blur", "noise"])) if rng.random() < 0.25 else ""))
    return out


def degrade(image: np.ndarray, how: str, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 -> the same, as a bad photo shows it."""
    x = image.astype(np.float32)
    if how == "dark":
        x = 255 * (x / 255) ** rng.uniform(1.3, 2.2) * rng.uniform(0.25, 0.6) + rng.normal(0, 4, x.shape)
    elif how == "blur":
        x = cv2.GaussianBlur(x, (0, 0), float(rng.uniform(1.0, 2.2)))
    elif how == "noise":
        x = x + rng.normal(0, rng.uniform(8, 20), x.shape)
    out = np.clip(x, 0, 255).astype(np.uint8)
    if how == "jpeg":
        file = io.BytesIO()
        Image.fromarray(out).save(file, "JPEG", quality=int(rng.integers(12, 45)))
        out = np.asarray(Image.open(file))
    return out


def whose(scene: Scene, person: Person, count: int) -> tuple[int, np.ndarray, Camera]:
    """Which subject s02 took, the coverage (S, S) of its visible part, float 0 to 1, and the true camera of the crop."""
    size = person.mask.shape[0]
    camera = scene.camera.cropped(np.linalg.inv(person.photo_from_crop), size, size)
    seen = rasterize(scene.vertices, scene.faces, camera.resized(2 * size, 2 * size))
    owner = np.where(seen.hit, scene.person[scene.faces[np.maximum(seen.face, 0), 0]], 255)
    covers = [(owner == k).reshape(size, 2, size, 2).mean((1, 3)) * person.inside for k in range(count)]
    iou = [np.minimum(c, person.mask).sum() / np.maximum(c, person.mask).sum() for c in covers]
    return int(np.argmax(iou)), covers[int(np.argmax(iou))], camera


def case_of(shot: Shot, how: str, scene: Scene, person: Person, body: Body, model: BodyModel, local: np.ndarray, trust: np.ndarray,
            k: int, cover: np.ndarray, camera: Camera) -> Case:
    """Truth and answer of one picture; local (24, 3, 3): the pose of subject k."""
    yaw = np.radians(shot.subjects[k].yaw_deg)
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1.0]])
    world = scene.camera_from_world[:3, :3] @ turn @ FROM_BODY @ world_of(local)
    betas, scale, shift = shape_of(model, world, scene.joints[k])
    true_joints, marks = placed(model, world, betas, scale, shift)
    fitted = body.camera_from_rest[:, :3, :3]
    return Case(person.crop, (255 * person.mask + 0.5).astype(np.uint8), (255 * cover + 0.5).astype(np.uint8), person.inside,
                person.landmarks, person.visibility, trust.astype(np.float32), camera.project(marks[:33]),
                fitted, world, body.betas, betas, np.array(body.scale), np.array(scale), body.translation, shift, body.joints, true_joints,
                scene.joints[k], np.array(person.camera.fx), np.array(camera.fx), np.array([camera.cx, camera.cy]),
                np.array(shot.subjects[k].yaw_deg), np.array(len(shot.subjects) > 1), np.array(how), np.array(person.facing),
                np.array(person.framing))


def placed(model: BodyModel, world: np.ndarray, betas: np.ndarray, scale: float, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joints (24, 3) and landmarks (L, 3) of our body with world rotations (24, 3, 3); `shift` is added to a body whose pelvis is at 0."""
    from neural.body.rotations import axis_angle_from_matrix
    from neural.contract.joints import SMPL_PARENTS
    local = np.stack([r if p < 0 else world[p].T @ r for r, p in zip(world, SMPL_PARENTS)])
    vertices, joints, _ = model.posed(axis_angle_from_matrix(local), betas)
    root = model.shaped(betas)[1][0]
    return scale * (joints - root) + shift, scale * (model.landmarks(vertices) - root) + shift


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.people.errors.collect", description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--count", type=int, default=90)
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--assets")
    args = parser.parse_args(argv)
    root, nets, model = assets_root(args.assets), Models("cpu"), BodyModel.load()
    library = load_poses(root)
    args.out.mkdir(parents=True, exist_ok=True)
    for i, (shot, how) in enumerate(shots(args.count, root)):
        file = args.out / f"{i:03d}.npz"
        if file.exists():
            continue
        start = time.process_time()
        try:
            scene = build(shot, root)
            image = degrade(photograph(shot, scene, root), how, np.random.default_rng(shot.seed))
            drawn = time.process_time()
            context = Context(JobOptions(preset=args.preset), warn=lambda code, sentence: None)
            person = find_person(Photo(file.stem, image, None, None), nets.landmarks, context)
            found = time.process_time()
            body = fit_body(person, model, context)
            k, cover, camera = whose(scene, person, len(shot.subjects))
            local = from_library(library, [shot.subjects[k].pose])[0]
            case = case_of(shot, how, scene, person, body, model, local, evidence_of(person, model).trust, k, cover, camera)
        except LikenessError as error:
            print(json.dumps({"file": file.stem, "error": error.code}), flush=True)
            continue
        np.savez_compressed(file, **vars(case))
        print(f"{file.stem} {shot.subjects[k].pose} yaw {shot.subjects[k].yaw_deg:.0f} {person.facing} {person.framing} {how} draw "
              f"{drawn - start:.1f} s02 {found - drawn:.1f} s03 {time.process_time() - found:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
