"""The fitted body moved sideways, limb by limb, so that its joints lie on the landmarks seen in the photo.

The fit balances many terms and leaves a centimetre or two; inflation to the mask needs each limb over its own mask.
Only elbows, wrists, knees and ankles are used: hips and shoulders of landmark nets and of body models are not the same.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..contract.joints import JOINT, LANDMARK

FARTHEST = 0.05      # body heights: a landmark farther from the joint than this is not believed
SEEN = 0.55          # least visibility of a landmark
_USED = tuple(f"{side}_{name}" for side in ("left", "right") for name in ("elbow", "wrist", "knee", "ankle"))
_BONES = tuple((JOINT[f"{s}_{a}"], JOINT[f"{s}_{b}"]) for s in ("left", "right")
               for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")))


def nudged(person, body):
    """`body` (stages.s03_body.Body) with `vertices` shifted parallel to the image; everything else as it was."""
    moved = joint_shifts(person, body)
    if not moved.any():
        return body
    share = np.zeros((len(body.vertices), 24, 2))
    share[:] = moved[None]                                               # a vertex of joint j moves with j ...
    for a, b in _BONES:                                                  # ... and along a bone more and more with its end
        axis = body.joints[b] - body.joints[a]
        t = np.clip((body.vertices - body.joints[a]) @ axis / max(float(axis @ axis), 1e-9), 0, 1)[:, None]
        share[:, a] = (1 - t) * moved[a] + t * moved[b]
    shift = np.einsum("vj,vjk->vk", body.weights, share)
    vertices = body.vertices.copy()
    vertices[:, :2] += shift.astype(np.float32)
    return replace(body, vertices=vertices)


def joint_shifts(person, body) -> np.ndarray:
    """(24, 2) metres along camera x and y. Hands and feet follow their wrists and ankles."""
    out = np.zeros((24, 2))
    camera = person.camera
    projected = camera.project(np.maximum(body.joints, [-1e9, -1e9, 1e-2]))
    for name in _USED:
        j, k = JOINT[name], LANDMARK[name]
        x, y = person.landmarks[k]
        if person.visibility[k] < SEEN or not (0 <= x < camera.width and 0 <= y < camera.height):
            continue
        shift = (person.landmarks[k] - projected[j]) * body.joints[j, 2] / [camera.fx, camera.fy]
        length = float(np.linalg.norm(shift))
        if 0 < length <= FARTHEST * body.height_m * 1.5:
            out[j] = shift * min(1.0, FARTHEST * body.height_m / length)
    for side in ("left", "right"):
        out[JOINT[f"{side}_hand"]] = out[JOINT[f"{side}_wrist"]]
        out[JOINT[f"{side}_foot"]] = out[JOINT[f"{side}_ankle"]]
    return out
