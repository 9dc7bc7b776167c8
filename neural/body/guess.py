"""What a person's own body file may lack, guessed from its geometry in the T-pose: UVs and the named points."""

from __future__ import annotations

import numpy as np

from ..contract.joints import JOINT, LANDMARKS

_K = 8


def planar_uv(template: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Front of the body on the left half of the sheet, back on the right: (2V, 2) float32 and (F, 3) int32."""
    low, size = template.min(0), np.ptp(template, axis=0)
    x, y = (template[:, 0] - low[0]) / size[0], (template[:, 1] - low[1]) / size[1]
    uv = np.concatenate([np.stack([0.5 * x, y], 1), np.stack([1.0 - 0.5 * x, y], 1)])
    a, b, c = (template[faces[:, k]] for k in range(3))
    back = np.cross(b - a, c - a)[:, 2] < 0
    return uv.astype(np.float32), (faces + len(template) * back[:, None]).astype(np.int32)


def near(target: np.ndarray, vertices: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A point as an affine combination (K indices, K weights) of vertices spread round it."""
    distance = np.linalg.norm(vertices[ids] - target, axis=1)
    ring = ids[distance <= max(1.6 * distance.min(), 0.02)]
    if len(ring) < _K:
        ring = ids[np.argsort(distance)[:_K]]
    pick = [ring[np.linalg.norm(vertices[ring] - target, axis=1).argmin()]]
    while len(pick) < min(_K, len(ring)):
        d = np.linalg.norm(vertices[ring][:, None] - vertices[pick][None], axis=2).min(1)
        pick.append(ring[d.argmax()])
    pick = np.resize(pick, _K)
    a = vertices[pick].T
    n = len(pick)
    w = np.linalg.solve(a.T @ a + 1e-3 * np.eye(n) + 1e3, a.T @ target + 1e-3 / n + 1e3)
    return pick, w / w.sum()


def landmarks(template: np.ndarray, part: np.ndarray, joints: np.ndarray) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """BlazePose's 33 points on any SMPL-style body: names, (33, 8) int32, (33, 8) float64.

    Joints for the limbs, extremes of the parts for nose, heels and toes, proportions of the head for eyes, ears and mouth.
    """
    points: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    everything = np.arange(len(template))
    one = lambda i: (np.full(_K, i), np.eye(_K)[0])
    head = np.nonzero(part == JOINT["head"])[0]
    v = template[head]
    crown = v[:, 1].max()
    tall = crown - joints[JOINT["head"], 1]
    half = np.abs(v[:, 0]).max()
    face = head[(np.abs(v[:, 0]) < 0.15 * half) & (v[:, 1] < crown - 0.25 * tall)]
    nose = face[template[face, 2].argmax()]
    points["nose"] = one(nose)
    nose_y = template[nose, 1]

    def on_face(x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
        """The frontmost head vertex near (x, y)."""
        flat = np.linalg.norm(v[:, :2] - [x, y], axis=1) - 0.2 * np.maximum(v[:, 2] - v[:, 2].mean(), 0)
        front = v[:, 2] > v[:, 2].mean()
        return one(head[np.where(front, flat, np.inf).argmin()])

    for side, s in (("left", 1.0), ("right", -1.0)):
        for name, x in (("inner", 0.25), ("", 0.38), ("outer", 0.52)):
            points[f"{side}_eye{'_' + name if name else ''}"] = on_face(s * x * half, nose_y + 0.2 * tall)
        points[f"mouth_{side}"] = on_face(s * 0.3 * half, nose_y - 0.18 * tall)
        level = head[np.abs(template[head, 1] - nose_y - 0.08 * tall) < 0.2 * tall]
        points[f"{side}_ear"] = one(level[(s * template[level, 0]).argmax()])
        for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
            points[f"{side}_{name}"] = near(joints[JOINT[f"{side}_{name}"]], template, everything)
        foot = np.nonzero((part == JOINT[f"{side}_ankle"]) | (part == JOINT[f"{side}_foot"]))[0]
        low = foot[template[foot, 1] < template[foot, 1].min() + 0.05]
        points[f"{side}_heel"] = one(low[template[low, 2].argmin()])
        points[f"{side}_foot_index"] = one(low[(template[low, 2] - 0.5 * s * template[low, 0]).argmax()])
        hand = joints[JOINT[f"{side}_hand"]]
        reach = hand - joints[JOINT[f"{side}_wrist"]]
        for name, along, forward in (("index", 0.0, 0.025), ("pinky", -0.01, -0.035), ("thumb", -0.05, 0.045)):
            points[f"{side}_{name}"] = near(hand + along * reach / np.linalg.norm(reach) + [0, 0, forward], template, everything)
    index = np.stack([points[n][0] for n in LANDMARKS]).astype(np.int32)
    return LANDMARKS, index, np.stack([points[n][1] for n in LANDMARKS])
