"""Landmarks on the skin: every named point is a short affine combination of vertices, so that it follows shape and pose."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from neural.contract.joints import LANDMARKS

_COCO_OF = {"nose": "nose", "left_eye": "left_eye", "right_eye": "right_eye", "left_ear": "left_ear",
            "right_ear": "right_ear", "left_foot_index": "left_big_toe", "right_foot_index": "right_big_toe"}
_BONE_OF = {"pinky": "finger5-1", "index": "finger2-1", "thumb": "finger1-2"}

EXTRA = ("chin", "nose_bridge", "lip_top", "lip_bottom", "left_lid_top", "left_lid_bottom", "right_lid_top",
         "right_lid_bottom", "left_middle_knuckle", "right_middle_knuckle", "left_index_tip", "right_index_tip",
         "left_middle_tip", "right_middle_tip", "left_thumb_tip", "right_thumb_tip", "left_pinky_tip", "right_pinky_tip",
         "left_small_toe", "right_small_toe")
"""Points beyond BlazePose's 33: for the face mesh and the hands."""

NAMES = LANDMARKS + EXTRA


def combine(targets: np.ndarray, vertices: np.ndarray, k: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Affine combination of the k vertices round a point that follows it best over N bodies.

    targets (N, 3), vertices (N, V, 3) -> indices (k,), weights (k,) with sum 1. Ridge keeps the weights near 1/k.
    """
    spread = np.linalg.norm(vertices.mean(0) - targets.mean(0), axis=1)
    near = spread.min()
    ring = np.nonzero(spread < max(1.6 * near, 0.02))[0]
    if len(ring) < k:
        ring = np.argsort(spread)[:k]
    pick = [ring[np.argmin(spread[ring])]]                       # farthest-point sampling: spread round the point
    while len(pick) < k:
        d = np.min(np.linalg.norm(vertices.mean(0)[ring][:, None] - vertices.mean(0)[pick][None], axis=2), 1)
        pick.append(ring[np.argmax(d)])
    a = vertices[:, pick].transpose(0, 2, 1).reshape(-1, k)
    b = targets.reshape(-1)
    ridge = 1e-4 * len(a) * np.eye(k)
    heavy = 1e4 * len(a)                                         # the sum-to-one row
    w = np.linalg.solve(a.T @ a + ridge + heavy, a.T @ b + ridge @ np.full(k, 1 / k) + heavy)
    return np.array(pick), w / w.sum()


def single(index: int, k: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """One vertex as a combination."""
    return np.full(k, index), np.eye(k)[0]


def build(vertices: np.ndarray, bone: dict[str, np.ndarray], coco: dict[str, np.ndarray], joints: np.ndarray,
          rings: dict[str, np.ndarray], skin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All NAMES as (L, 8) indices and weights.

    vertices (N, V, 3) bodies at Anny's rest, frame `body` axes; bone[name] (N, 3) bone heads; coco[name] (N, 3);
    joints (N, 24, 3); rings: vertex loops "left_eye", "right_eye", "mouth"; skin: vertices on the outside.
    """
    from neural.contract.joints import JOINT

    mean = vertices.mean(0)
    outside = vertices[:, skin]
    tree = cKDTree(mean[skin])
    out: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def follow(name: str, target: np.ndarray) -> None:
        pick, w = combine(target, outside)
        out[name] = (skin[pick], w)

    for name, key in _COCO_OF.items():
        follow(name, coco[key])
    for side in ("left", "right"):
        tag = side[0].upper()
        for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
            follow(f"{side}_{part}", coco[f"{side}_{part}"])       # where people see a joint, up to 4 cm from the bone's head
        follow(f"{side}_heel", coco[f"{side}_heel"])
        follow(f"{side}_small_toe", coco[f"{side}_small_toe"])
        for part, b in _BONE_OF.items():
            follow(f"{side}_{part}", bone[f"{b}.{tag}"])
        follow(f"{side}_middle_knuckle", bone[f"finger3-1.{tag}"])
        for part, n in (("thumb", 1), ("index", 2), ("middle", 3), ("pinky", 5)):
            last, before = bone[f"finger{n}-3.{tag}"].mean(0), bone[f"finger{n}-2.{tag}"].mean(0)
            ahead = (mean[skin] - last) @ ((last - before) / np.linalg.norm(last - before))
            close = tree.query_ball_point(last, 0.04)
            close = [i for i in close if np.linalg.norm(mean[skin[i]] - last - ahead[i] * _unit(last - before)) < 0.009]
            out[f"{side}_{part}_tip"] = single(skin[max(close, key=lambda i: ahead[i])])
        ring = rings[f"{side}_eye"]
        x, y = np.abs(mean[ring, 0]), mean[ring, 1]
        out[f"{side}_eye_inner"], out[f"{side}_eye_outer"] = single(ring[x.argmin()]), single(ring[x.argmax()])
        out[f"{side}_lid_top"], out[f"{side}_lid_bottom"] = single(ring[y.argmax()]), single(ring[y.argmin()])
    mouth = rings["mouth"]
    out["mouth_left"], out["mouth_right"] = single(mouth[mean[mouth, 0].argmax()]), single(mouth[mean[mouth, 0].argmin()])
    middle = mouth[np.abs(mean[mouth, 0]) < 0.004]
    out["lip_top"], out["lip_bottom"] = single(middle[mean[middle, 1].argmax()]), single(middle[mean[middle, 1].argmin()])
    midline = skin[(np.abs(mean[skin, 0]) < 0.002) & (mean[skin, 2] > joints.mean(0)[JOINT["head"], 2])]
    eye_level = mean[np.concatenate([rings["left_eye"], rings["right_eye"]]), 1].mean()
    nose = coco["nose"].mean(0)
    out["nose"] = single(midline[np.argmax(mean[midline, 2] - 5.0 * (np.abs(mean[midline, 1] - nose[1]) > 0.02))])
    out["nose_bridge"] = single(midline[np.argmin(np.abs(mean[midline, 1] - eye_level))])
    below = midline[(mean[midline, 1] < mean[out["lip_bottom"][0][0], 1] - 0.02)
                    & (mean[midline, 1] > mean[out["lip_bottom"][0][0], 1] - 0.07)]
    out["chin"] = single(below[np.argmax(mean[below, 2] - 0.7 * mean[below, 1])])     # forward and down: the menton
    rows = [out[name] for name in NAMES]
    return (np.stack([r[0] for r in rows]).astype(np.int32), np.stack([r[1] for r in rows]).astype(np.float32))


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v)
