"""Quick pictures of avatars, and what s02 says about them: the material for measuring the landmarks' errors and for the score.

    python -m train.lifter.pictures --part train --count 80 --out FOLDER

One .npz a picture (see save_picture): person (what s03 uses of s02's Person; of the part "train" only its landmarks), trust (33,), local (24, 3, 3) rotations of the pose,
joints (24, 3) and camera_from_world (4, 4) in the photo's camera, the true camera of the crop, shot. `--mixed` poses come from
`poses.Sampler` instead of the library.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from neural.body.model import BodyModel
from neural.context import Context
from neural.contract.errors import LikenessError, PersonError
from neural.contract.frames import Camera
from neural.contract.job import JobOptions
from neural.geometry.raster import rasterize
from neural.models import Models
from neural.nets.landmarks import describe, people
from neural.nets.landmarks.roi import Pyramid
from neural.stages.s01_photo import Photo
from neural.stages.s02_person import find_person
from neural.stages.s03_body import evidence_of, trust_of

from ..people.assets import assets_root, avatar_names, load_background, load_poses
from ..people.studio.scene import Scene, Shot, Subject, build
from ..people.studio.shade import albedo, srgb_from_linear
from .poses import Sampler, from_library, to_library
from .split import part_of_avatar, part_of_pose

FROM_BODY = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
"""Frame `body` to the assets' axes (z up, facing -y)."""

SIDE = {"train": (390, 520), "val": (450, 600), "test": (600, 800)}


def choose(part: str, count: int, root: Path) -> list[Shot]:
    """Shots of a part, fixed by its name: poses in turn (single poses and one frame of each clip first), cameras at random."""
    rng = np.random.default_rng([{"train": 1, "val": 2, "test": 3}[part]])
    names = [n for n in load_poses(root).names if part_of_pose(n) == part]
    clips: dict[str, list[str]] = {}
    for n in names:
        clips.setdefault("_".join(n.split("_")[:3]) if n.startswith("cmu") else n, []).append(n)
    avatars = [a for a in avatar_names(root) if part_of_avatar(a) == ("test" if part == "test" else "train")]
    views = sorted(p.stem for p in (root / "backgrounds").glob("*.jpg"))
    shots = []
    keys = list(clips)
    for i in range(count):
        if i % len(keys) == 0:
            order = rng.permutation(len(keys))
        pose = str(rng.choice(clips[keys[order[i % len(keys)]]]))
        yaw = float(rng.uniform(-35, 35) if rng.random() < 0.5 else rng.uniform(-180, 180))
        shots.append(Shot((Subject(str(rng.choice(avatars)), pose, yaw),), *SIDE[part], fov_deg=float(rng.uniform(22, 65)),
                          pitch_deg=float(np.clip(rng.normal(3, 6), -12, 22)), roll_deg=float(np.clip(rng.normal(0, 2), -5, 5)),
                          framing="upper" if rng.random() < 0.12 else "full", fill=float(rng.uniform(0.6, 0.92)),
                          background=str(rng.choice(views)), supersample=1, seed=int(rng.integers(1 << 30))))
    return shots


def quick(shot: Shot, scene: Scene, root: Path) -> np.ndarray:
    """(H, W, 3) uint8: texture times a plain directional light over a background; half a second instead of several."""
    seen = rasterize(scene.vertices, scene.faces, scene.camera)
    rng = np.random.default_rng(shot.seed)
    to_light = np.array([rng.uniform(-0.8, 0.8), -0.6, -0.7])
    to_light /= np.linalg.norm(to_light)
    normal = seen.interpolate(scene.normals @ scene.camera_from_world[:3, :3].T, scene.faces)
    lit = 0.45 + 0.65 * np.clip(normal @ to_light, 0, 1)
    colour = np.zeros((*seen.hit.shape, 3))
    a = albedo(seen, scene)
    colour[seen.hit] = a[:, :3] if a.ndim == 2 else a[seen.hit][:, :3]
    image = srgb_from_linear(np.clip(colour * lit[..., None], 0, 1))
    back = cv2.resize(load_background(root, shot.background), (shot.width, shot.height)) / 255.0
    image = np.where(seen.hit[..., None], image, back) + rng.normal(0, 0.01, (*seen.hit.shape, 3))
    return (np.clip(cv2.GaussianBlur(image, (0, 0), 0.5), 0, 1) * 255 + 0.5).astype(np.uint8)


_PERSON = ("landmarks", "landmarks_world", "visibility", "mask", "inside", "face", "left_hand", "right_hand")
_PLAIN = ("trust", "local", "joints", "camera_from_world", "height")


def save_picture(path: Path, data: dict) -> None:
    """The dictionary that `load_picture` gives -> .npz; cameras and shot as JSON text, what a person lacks is left out."""
    person = data["person"]
    arrays = {f"person_{k}": getattr(person, k) for k in _PERSON if getattr(person, k, None) is not None}
    text = {"camera": data["camera"].to_json(), "person_camera": person.camera.to_json(), "shot": asdict(data["shot"]),
            "facing": person.facing, "framing": person.framing}
    np.savez_compressed(path, text=json.dumps(text), **arrays, **{k: data[k] for k in _PLAIN})


def load_picture(path: Path) -> dict:
    """One picture: trust, local, joints, camera_from_world, height, camera, shot, person (a namespace with s02's names)."""
    with np.load(path) as z:
        text = json.loads(str(z["text"]))
        out = {k: z[k] for k in _PLAIN}
        fields = {k: z[f"person_{k}"] if f"person_{k}" in z.files else None for k in _PERSON}
    shot = text["shot"]
    out["shot"] = Shot(tuple(Subject(**s) for s in shot.pop("subjects")), **shot)
    out["camera"] = Camera.from_json(text["camera"])
    out["person"] = SimpleNamespace(camera=Camera.from_json(text["person_camera"]), facing=text["facing"], framing=text["framing"], **fields)
    return out


def _landmarks_only(image: np.ndarray, nets: Models) -> tuple[SimpleNamespace, np.ndarray]:
    """What the lifter needs of s02's Person (without masks, hands and faces: half the time; on the photo itself, not on a crop) and the trust in its landmarks, as s02 and s03 would have them; PersonError when there is nobody."""
    found = people.find_people(nets.landmarks, Pyramid(image))
    if not found:
        raise PersonError("person.none", "Nobody was found.", "Take another picture.")
    pose = found[0].pose
    height, width = image.shape[:2]
    inside = describe.in_photo(pose, width, height)
    visibility = np.where(inside, pose.visibility, np.minimum(pose.visibility, 0.3))
    trust = trust_of(visibility, inside)
    return SimpleNamespace(camera=Camera.from_fov(width, height), landmarks=pose.points[:, :2].copy(),
                           landmarks_world=describe.without_lean(pose.world), facing="", framing=""), trust


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.lifter.pictures", description=__doc__.split("\n\n")[0])
    parser.add_argument("--part", choices=tuple(SIDE), required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--mixed", action="store_true")
    parser.add_argument("--assets")
    args = parser.parse_args(argv)
    root, nets, model = assets_root(args.assets), Models("cpu"), BodyModel.load()
    library = load_poses(root)
    sampler = Sampler(root, args.part) if args.mixed else None
    args.out.mkdir(parents=True, exist_ok=True)
    for i, shot in enumerate(choose(args.part, args.count, root)):
        file = args.out / f"{args.part}_{'mix_' if args.mixed else ''}{i:04d}.npz"
        if file.exists():
            continue
        start, taken = time.time(), library
        if sampler:
            shot = replace(shot, seed=shot.seed + 1)
            local = sampler.sample(1, np.random.default_rng(shot.seed))[0]
            taken = to_library(library, local, shot.subjects[0].pose)
        else:
            local = from_library(library, [shot.subjects[0].pose])[0]
        try:
            scene = build(shot, root, taken)
            image = quick(shot, scene, root)
            if args.part == "train":
                person, trust = _landmarks_only(image, nets)
                camera = scene.camera
            else:
                context = Context(JobOptions(preset=args.preset), warn=lambda code, sentence: None)
                person = find_person(Photo(file.stem, image, None, None), nets.landmarks, context)
                trust, side = evidence_of(person, model).trust, person.mask.shape[0]
                camera = scene.camera.cropped(np.linalg.inv(person.photo_from_crop), side, side)
        except LikenessError as error:
            print(f"{file.stem} {error.code}", flush=True)
            continue
        data = {"trust": trust, "local": local, "shot": shot, "joints": scene.joints[0], "camera_from_world": scene.camera_from_world,
                "height": float(scene.height_m[0]), "camera": camera, "person": person}
        save_picture(file, data)
        print(f"{file.stem} {shot.subjects[0].pose} yaw {shot.subjects[0].yaw_deg:.0f} {person.facing} {person.framing} "
              f"{time.time() - start:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
