"""Joints and landmarks in the camera, and whether the picture shows them."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from neural.body.model import BodyModel
from neural.contract.joints import JOINT, LANDMARKS

from ..types import Cameras, People
from . import camera

CLOTH_M = 0.05
"""Cloth and hair may lie this far in front of a point of the body that still counts as seen."""

SKIN_M = 0.015
"""The same for points of the face, fingers and toes, which nothing thicker covers."""

BARE = ("nose", "eye", "mouth", "lip", "lid", "chin", "bridge", "ear", "tip", "knuckle", "pinky", "index", "thumb")

DEEP = {"pelvis": 0.16, "spine1": 0.15, "spine2": 0.15, "spine3": 0.14, "left_hip": 0.12, "right_hip": 0.12, "neck": 0.08,
        "head": 0.12, "left_collar": 0.10, "right_collar": 0.10}
"""Metres of body over a joint, at most, on an adult; 0.07 where not named."""


@lru_cache(maxsize=1)
def landmark_names() -> tuple[str, ...]:
    """The names of People.landmarks (53 of the default body)."""
    return BodyModel.load().landmark_names


@lru_cache(maxsize=1)
def _slack() -> tuple[Tensor, Tensor]:
    joints = torch.full((24,), 0.07)
    for name, deep in DEEP.items():
        joints[JOINT[name]] = deep
    bare = torch.tensor([any(word in name for word in BARE) for name in landmark_names()])
    inside = torch.tensor([0.05 if name.endswith(("shoulder", "elbow", "knee")) else 0.10 if name.endswith("hip")
                           else 0.03 if name in LANDMARKS else 0.0 for name in landmark_names()])
    return joints + CLOTH_M, torch.where(bare, torch.full((), SKIN_M), inside + CLOTH_M)


def points(people: People, cameras: Cameras, depth_front: Tensor, mask: Tensor, hidden: Tensor | None = None) -> dict[str, Tensor]:
    """depth_front (P, S, S) metres, mask, hidden (P, S, S) bool -> joints (P, 24, 3) camera metres, joints_px (P, 24, 2) pixels,
    joints_visible (P, 24) bool, and the same of the 53 landmarks.

    Visible: on the canvas, nothing `hidden` there, and the front surface of the person at its pixel or a neighbour lies no farther
    before the point than flesh and cloth do (scaled by the person's size).
    """
    farthest = max_pool2d(torch.where(mask, depth_front, torch.zeros_like(depth_front))[:, None], 3, 1, 1)[:, 0]
    depth = torch.where(farthest > 0, farthest, torch.full_like(farthest, torch.inf))
    if hidden is not None:
        depth = torch.where(hidden, torch.zeros_like(depth), depth)
    out: dict[str, Tensor] = {}
    for name, places, slack in zip(("joints", "landmarks"), (people.joints, people.landmarks), _slack()):
        seen = camera.seen(cameras, places)
        px = camera.pixels(cameras, seen)
        on = (px >= 0).all(-1) & (px < cameras.size).all(-1) & (seen[..., 2] > 1e-3)
        at = px.floor().long().clamp(0, cameras.size - 1)
        front = depth.flatten(1).gather(1, at[..., 1] * cameras.size + at[..., 0])
        size = (people.stature / 1.7)[:, None]
        out[name], out[f"{name}_px"] = seen, px
        out[f"{name}_visible"] = on & (seen[..., 2] - front <= slack.to(front.device) * size)
    return out
