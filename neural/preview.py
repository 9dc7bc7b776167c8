"""preview.png: the photo beside the figure from all sides, at rest, and in another pose."""

from __future__ import annotations

import cv2
import numpy as np

from .body.poses import A_POSE
from .body.skinning import joint_transforms, skin
from .contract.frames import BLENDER_FROM_CAMERA, blender_from_camera
from .contract.joints import JOINT
from .geometry.view import orbit, render_view
from .stages.s02_person import Person
from .stages.s03_body import Body
from .stages.s09_surface import Surface
from .stages.s10_texture import Texture
from .stages.s11_rig import Rig

TILE = (360, 480)               # width, height of one picture
BACKGROUND = (236, 236, 240)

ANOTHER_POSE = A_POSE.copy()
"""Left arm raised, right elbow bent, right knee lifted: shows shoulders, elbows, hips and knees at work."""
ANOTHER_POSE[JOINT["left_shoulder"]] = (0.0, 0.0, 0.95)
ANOTHER_POSE[JOINT["left_elbow"]] = (0.0, -0.5, 0.0)
ANOTHER_POSE[JOINT["right_elbow"]] = (0.0, 1.2, 0.0)
ANOTHER_POSE[JOINT["right_hip"]] = (-0.9, 0.0, 0.0)
ANOTHER_POSE[JOINT["right_knee"]] = (1.3, 0.0, 0.0)
ANOTHER_POSE[JOINT["head"]] = (0.0, 0.35, 0.0)
ANOTHER_POSE.setflags(write=False)


def contact_sheet(person: Person, body: Body, surface: Surface, texture: Texture, rig: Rig) -> np.ndarray:
    """(2 * 480, 4 * 360, 3) uint8: photo, front, three-quarter, side / back, three-quarter back, rest pose, another pose."""
    views = [("photo", _photo(person))]
    level = BLENDER_FROM_CAMERA.T @ blender_from_camera(body.up)      # as the figure stands in Blender
    upright = surface.vertices.astype(np.float64) @ level.T
    for label, yaw in (("front", 0), ("three-quarter", 35), ("side", 90), ("back", 180), ("other side", -90)):
        vertices, camera = orbit(upright, yaw, pitch_deg=3.0, width=TILE[0], height=TILE[1])
        views.append((label, _draw(vertices, camera, surface, texture)))
    for label, vertices in (("rest pose", rig.rest_vertices), ("another pose", posed(rig, ANOTHER_POSE))):
        turned, camera = orbit(vertices, 0 if label == "rest pose" else 20, pitch_deg=3.0, up=(0, 1, 0),
                               width=TILE[0], height=TILE[1])
        views.append((label, _draw(turned, camera, surface, texture)))
    tiles = [_labelled(image, label) for label, image in views]
    return np.concatenate([np.concatenate(tiles[i:i + 4], 1) for i in (0, 4)], 0)


def posed(rig: Rig, pose: np.ndarray) -> np.ndarray:
    """The figure in a pose, (24, 3) axis-angle on the T-pose, fingers as in the A-pose -> (V, 3) float64, frame `body`."""
    weights = np.zeros((len(rig.rest_vertices), len(rig.joint_names)))
    np.add.at(weights, (np.arange(len(weights))[:, None], rig.weight_joints), rig.weight_values)
    pose = np.concatenate([pose, rig.pose_a[len(pose):]])
    return skin(rig.rest_vertices, weights, joint_transforms(pose, rig.rest_joints, rig.parents))


def _draw(vertices, camera, surface: Surface, texture: Texture) -> np.ndarray:
    return render_view(vertices, surface.faces, texture.uv, texture.uv_faces, texture.albedo, camera, samples=2,
                       background=BACKGROUND)


def _photo(person: Person) -> np.ndarray:
    """The part of the crop that holds the person, fitted into a tile."""
    rows, columns = np.nonzero(person.mask > 0.3)
    height = (rows.max() - rows.min()) * 1.08
    width = (columns.max() - columns.min()) * 1.08
    scale = min(TILE[0] / width, TILE[1] / height)
    middle = 0.5 * np.array([columns.max() + columns.min() + 1, rows.max() + rows.min() + 1])
    shift = np.array(TILE) / 2 - scale * middle
    offset = scale * 0.5 - 0.5                      # cv2 counts from pixel centres
    matrix = np.array([[scale, 0, shift[0] + offset], [0, scale, shift[1] + offset]])
    image = person.crop
    if scale < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), 0.35 / scale)
    return cv2.warpAffine(image, matrix, TILE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
                          borderValue=BACKGROUND)


def _labelled(image: np.ndarray, label: str) -> np.ndarray:
    image = np.ascontiguousarray(image)
    cv2.putText(image, label, (10, TILE[1] - 12), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (90, 90, 96), 1, cv2.LINE_AA)
    return image
