"""s03: the body model fitted to the person: pose, shape, place; and its maps on the canvas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..context import Context
from .s02_person import Person

NAME = "s03_body"


@dataclass(frozen=True)
class BodyMaps:
    """The fitted body seen by `Person.camera`, rendered on an M x M canvas (M = S / 2; camera.resized(M, M)).

    Front = nearest surface, back = farthest surface along the same ray. NaN / 0 outside the body.
    depth_front, depth_back     (M, M) float32, z in metres.
    normal_front, normal_back   (M, M, 3) float32, unit, outward, camera frame (front: z < 0; back: z > 0).
    part_front, part_back       (M, M) uint8: SMPL joint with the largest weight + 1; 0 = nothing.
    uv_front, uv_back           (M, M, 2) float32 in [0, 1], the body model's UVs.
    """

    depth_front: np.ndarray
    depth_back: np.ndarray
    normal_front: np.ndarray
    normal_back: np.ndarray
    part_front: np.ndarray
    part_back: np.ndarray
    uv_front: np.ndarray
    uv_back: np.ndarray


@dataclass(frozen=True)
class Body:
    """The fitted body. Metres. V vertices, F triangles, 24 SMPL joints, rotations as axis-angle (radians).

    pose             (24, 3) float32; pose[0] turns the body frame into camera axes (SMPL's global_orient).
    betas            (B,) float32, standard deviations.
    scale            uniform scale on the shaped template.
    translation      (3,) float32: camera metres; vertices = LBS(scale * shaped template, pose) + translation.
    vertices         (V, 3) float32 posed, camera frame.        joints       (24, 3) float32 posed, camera frame.
    rest_vertices    (V, 3) float32 T-pose, frame `body`.       rest_joints  (24, 3) float32, frame `body`.
    camera_from_rest (24, 4, 4) float64: the joint transforms of LBS, translation included; vertex = sum_j w_j T_j rest.
    faces            (F, 3) int32.
    weights          (V, 24) float32, rows sum to 1.
    uv               (U, 2) float32;  uv_faces (F, 3) int32 into `uv`.
    part             (V,) uint8: joint with the largest weight.
    height_m         height of the body standing upright.       height_is_guess  True unless the person gave it.
    error_px         mean distance of fitted to detected visible landmarks, crop pixels.
    """

    pose: np.ndarray
    betas: np.ndarray
    scale: float
    translation: np.ndarray
    vertices: np.ndarray
    joints: np.ndarray
    rest_vertices: np.ndarray
    rest_joints: np.ndarray
    camera_from_rest: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    part: np.ndarray
    height_m: float
    height_is_guess: bool
    error_px: float
    maps: BodyMaps
    method: str = "landmark+silhouette fit"
