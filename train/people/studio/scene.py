"""What is photographed: posed people on a floor, and the camera in front of them. A Shot plus the assets decides all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import ConvexHull

from neural.contract.errors import OptionError
from neural.contract.frames import BLENDER_FROM_CAMERA, Camera

from ..assets import PoseLibrary, load_avatar, load_bone_map, load_poses
from ..posing import pose_avatar


@dataclass(frozen=True)
class Subject:
    """One person: names of avatar and pose; turned by yaw (degrees, counter-clockwise seen from above; 0 faces the
    camera, 180 shows the back) and standing at (x, y) metres on the floor (x to the camera's right, y away)."""

    avatar: str
    pose: str
    yaw_deg: float = 0.0
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True)
class Shot:
    """Everything that decides a picture; the same Shot gives the same bytes.

    fov_deg      over the longer side; 2K2K §3.1 renders with 50.
    pitch_deg    the camera looks down by this angle; roll_deg turns it clockwise.
    framing      "full": all of every person; "upper": from the hips up; "head": head and shoulders.
    fill         part of the frame that the framed part spans (its height, or its width if that is tighter).
    background   name of a background view, or a colour "#rrggbb"; blur in pixels of the picture.
    light        name of an environment map; light_turn_deg turns it, None = key light in front, to one side by seed.
    exposure_ev  stops added to the automatic exposure.  white_balance 0 = light as it is, 1 = made neutral.
    noise        standard deviation of the sensor's noise, part of full scale.
    supersample  samples of a pixel's side; ambient_samples, key_samples: shadow maps of the sky and of the key light.
    """

    subjects: tuple[Subject, ...]
    width: int = 900
    height: int = 1200
    fov_deg: float = 40.0
    pitch_deg: float = 4.0
    roll_deg: float = 0.0
    framing: str = "full"
    fill: float = 0.86
    background: str = "#b9bcc0"
    background_blur: float = 1.5
    light: str = "st_fagans_interior_1k"
    light_turn_deg: float | None = None
    exposure_ev: float = 0.0
    white_balance: float = 0.75
    floor_shadow: bool = True
    noise: float = 0.006
    supersample: int = 2
    ambient_samples: int = 96
    key_samples: int = 10
    seed: int = 0


@dataclass(frozen=True)
class Scene:
    """Geometry of a shot. V vertices and F faces of all P people together.

    world (V, 3) float64 metres, z up, floor at z = 0; normals (V, 3) float64 unit, smooth, world; vertices (V, 3) float64 camera frame; faces (F, 3) int32;
    uv (V, 2) float32; texture (F,) int32 into textures; person (V,) uint8; joints (P, 24, 3) float64 camera frame;
    height_m (P,) at rest; camera; camera_from_world (4, 4).
    """

    world: np.ndarray
    normals: np.ndarray
    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    texture: np.ndarray
    textures: tuple[np.ndarray, ...]
    person: np.ndarray
    joints: np.ndarray
    height_m: np.ndarray
    camera: Camera
    camera_from_world: np.ndarray

    def faces_of(self, person: int) -> np.ndarray:
        """(N, 3) faces of one person, indices into all vertices."""
        return self.faces[self.person[self.faces[:, 0]] == person]


def build(shot: Shot, root: Path, library: PoseLibrary | None = None) -> Scene:
    """Pose the people of a shot, stand them on the floor, place the camera. library: poses to take instead of the assets' own."""
    if not shot.subjects:
        raise OptionError("option.avatar", "A picture needs at least one person.", "Name an avatar.")
    library, bone_map = library or load_poses(root), load_bone_map(root)
    world, normals, faces, uv, texture, textures, person, joints, heights = ([] for _ in range(9))
    start = 0
    for k, subject in enumerate(shot.subjects):
        avatar = load_avatar(root, subject.avatar)
        posed = pose_avatar(avatar, library, bone_map, subject.pose)
        c, s = np.cos(np.radians(subject.yaw_deg)), np.sin(np.radians(subject.yaw_deg))
        turn, place = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]), np.array([subject.x, subject.y, 0])
        world.append(posed.vertices @ turn.T + place)
        normals.append(posed.normals.astype(np.float64) @ turn.T)
        joints.append(posed.joints @ turn.T + place)
        faces.append(avatar.faces + start)
        texture.append(avatar.texture + len(textures))
        textures += avatar.textures
        uv.append(avatar.uv)
        person.append(np.full(len(avatar.vertices), k, np.uint8))
        heights.append(avatar.height_m)
        start += len(avatar.vertices)
    points, joint = np.concatenate(world), np.stack(joints)
    camera = Camera.from_fov(shot.width, shot.height, shot.fov_deg)
    pose = place_camera(camera, points[_framed(shot.framing, points, joint)], shot.pitch_deg, shot.roll_deg, shot.fill)
    turn, shift = pose[:3, :3], pose[:3, 3]
    return Scene(points, np.concatenate(normals), points @ turn.T + shift, np.concatenate(faces), np.concatenate(uv), np.concatenate(texture),
                 tuple(textures), np.concatenate(person), joint @ turn.T + shift, np.array(heights), camera, pose)


def _framed(framing: str, points: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(V,) bool: what must lie within the frame."""
    if framing == "full":
        return np.ones(len(points), bool)
    if framing not in ("upper", "head"):
        raise OptionError("option.framing", f"There is no framing called '{framing}'.", "Choose full, upper or head.")
    joint = {"upper": 0, "head": 9}[framing]                           # pelvis, spine3
    level = joints[:, joint, 2].min()
    centre = joints[:, joint, :2].mean(0)
    return (points[:, 2] > level) & (np.abs(points[:, :2] - centre).max(1) < 0.45 + 0.5 * (len(joints) - 1))


def place_camera(camera: Camera, points: np.ndarray, pitch_deg: float, roll_deg: float, fill: float) -> np.ndarray:
    """camera_from_world (4, 4) that looks along +y, pitched down, with the points centred and spanning `fill`."""
    p, r = np.radians(pitch_deg), np.radians(roll_deg)
    pitch = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    roll = np.array([[np.cos(r), np.sin(r), 0], [-np.sin(r), np.cos(r), 0], [0, 0, 1]])
    turn = roll @ pitch @ BLENDER_FROM_CAMERA.T
    local = points[ConvexHull(points).vertices] @ turn.T               # a picture's outline is that of the hull
    half = np.array([camera.width / camera.fx, camera.height / camera.fy]) / 2

    def centred(near: float) -> tuple[np.ndarray, float]:
        """Shift that centres the points whose nearest lies at depth `near`, and the part of the frame they span."""
        shift = np.array([-local[:, 0].mean(), -local[:, 1].mean(), near - local[:, 2].min()])
        for _ in range(20):
            q = local + shift
            xy = q[:, :2] / q[:, 2:]
            middle = (xy.max(0) + xy.min(0)) / 2
            shift[:2] -= middle * q[:, 2].mean()
        return shift, float((np.ptp(xy, axis=0) / (2 * half)).max())

    low, high = 0.05, 200.0
    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if centred(middle)[1] > fill else (low, middle)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, centred(high)[0]
    return pose
