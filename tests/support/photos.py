"""The committed test photos (tests/data) and their ground truth. See tests/data/README.md."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neural.contract.frames import Camera

DATA = Path(__file__).resolve().parents[1] / "data"
NAMES = ("man_front", "woman_arms", "man_walking", "woman_back", "woman_upper", "two_people")


@dataclass(frozen=True)
class PhotoTruth:
    """path of the picture; camera (of the whole picture); joints (P, 24, 3) float32, camera frame, SMPL's order;
    height_m (P,); mask (P, H, W) bool, each person whole; visible (H, W) uint8, person number + 1, 0 = nobody."""

    path: Path
    camera: Camera
    joints: np.ndarray
    height_m: np.ndarray
    mask: np.ndarray
    visible: np.ndarray
    shot: dict


def photo_truth(name: str) -> PhotoTruth:
    with np.load(DATA / f"{name}.truth.npz") as z:
        width = int(z["size"][1])
        mask = np.unpackbits(z["mask"], axis=-1, count=width).astype(bool)
        return PhotoTruth(DATA / f"{name}.jpg", Camera.from_json(json.loads(str(z["camera"]))), z["joints"],
                          z["height_m"], mask, z["visible"], json.loads(str(z["shot"])))


def photo_points(name: str) -> np.ndarray:
    """(N, 3) float64 points of the true front and back surface, metres, camera frame. For man_front and woman_arms."""
    camera = photo_truth(name).camera
    with np.load(DATA / f"{name}.depth.npz") as z:
        step, depth = int(z["step"]), z["depth"].astype(np.float64) * float(z["unit_m"])
    _, rows, columns = np.nonzero(depth)
    pixels = np.stack([columns, rows], 1) * step + step // 2 + 0.5
    return camera.rays(pixels) * depth[depth > 0][:, None]
