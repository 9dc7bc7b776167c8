"""A synthetic person as the worker hands it over: tubes around SMPL's tree, skinned, posed by an independent LBS."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np

JOINTS = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
    "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hand", "right_hand",
)
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
REST = np.array([  # frame `body`: y up, facing +z, left = +x; metres
    [0, 0, 0], [.07, -.09, 0], [-.07, -.09, 0], [0, .11, -.02], [.1, -.47, .01], [-.1, -.47, .01], [0, .25, 0],
    [.09, -.88, -.03], [-.09, -.88, -.03], [0, .3, .02], [.11, -.94, .09], [-.11, -.94, .09], [0, .52, -.02],
    [.08, .42, 0], [-.08, .42, 0], [0, .61, .03], [.18, .45, -.02], [-.18, .45, -.02], [.44, .44, -.03],
    [-.44, .44, -.03], [.69, .45, -.03], [-.69, .45, -.03], [.77, .44, -.03], [-.77, .44, -.03]], float)
TIPS = {"head": (0, .22, 0), "left_foot": (0, -.02, .1), "right_foot": (0, -.02, .1),
        "left_hand": (.1, 0, 0), "right_hand": (-.1, 0, 0)}


def turn(v: np.ndarray) -> np.ndarray:
    """Rotation matrix by the quaternion formula: not the code under test (which uses Rodrigues)."""
    angle = float(np.linalg.norm(v))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = np.sin(angle / 2) * np.asarray(v) / angle
    w = np.cos(angle / 2)
    return np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                     [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                     [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]])


def chain(pose: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """(24, 4, 4) LBS transforms: pose (24, 3), the root's rotation about the pelvis, then the translation."""
    out = []
    for j, parent in enumerate(PARENTS):
        m = np.eye(4)
        m[:3, :3] = turn(pose[j])
        m[:3, 3] = REST[j] - (m[:3, :3] @ REST[j])
        out.append(m if parent < 0 else out[parent] @ m)
    shift = np.eye(4)
    shift[:3, 3] = translation
    return shift @ np.array(out)


def tube(a: np.ndarray, b: np.ndarray, radius: float, sides: int, rings: int):
    """Closed tube from a to b: vertices, faces, parameter 0..1 along it, uv per corner."""
    along = (b - a) / np.linalg.norm(b - a)
    side = np.cross(along, [0, 0, 1.0] if abs(along[2]) < .9 else [1.0, 0, 0])
    side /= np.linalg.norm(side)
    up = np.cross(along, side)
    t = np.linspace(0, 1, rings)
    phi = 2 * np.pi * np.arange(sides) / sides
    ring = np.cos(phi)[:, None] * side + np.sin(phi)[:, None] * up
    v = (a + t[:, None, None] * (b - a) + radius * ring[None]).reshape(-1, 3)
    v = np.concatenate([v, [a - along * radius * .5, b + along * radius * .5]])
    f, uv = [], []
    for i in range(rings - 1):
        for k in range(sides):
            p, q = i * sides + k, i * sides + (k + 1) % sides
            r, s = p + sides, q + sides
            f += [(p, q, s), (p, s, r)]
            u0, u1, v0, v1 = k / sides, (k + 1) / sides, t[i], t[i + 1]
            uv += [(u0, v0), (u1, v0), (u1, v1), (u0, v0), (u1, v1), (u0, v1)]
    low, high, last = len(v) - 2, len(v) - 1, (rings - 1) * sides
    for k in range(sides):
        n = (k + 1) % sides
        f += [(low, n, k), (high, last + k, last + n)]
        uv += [(k / sides, 0), (n / sides, .02), (k / sides, .02), (k / sides, 1), (k / sides, .98), (n / sides, .98)]
    return v, np.array(f), np.concatenate([np.repeat(t, sides), [0, 1]]), np.array(uv)


def skinned_tubes(radius: float, sides: int, rings: int):
    """vertices, faces, uv, weight_joints (V, 6), weight_values (V, 6): each tube blends into its joint's parent."""
    vertices, faces, uvs, joints, values = [], [], [], [], []
    segments = [(PARENTS[j], j) for j in range(1, 24)] + [(JOINTS.index(n), None) for n in TIPS]
    start = 0
    for number, (j, child) in enumerate(segments):
        a = REST[j]
        b = REST[child] if child is not None else a + np.array(TIPS[JOINTS[j]])
        r = radius * (1.5 if "spine" in JOINTS[j] or j == 0 or JOINTS[j] == "head" else 1.0)
        v, f, t, uv = tube(a, b, r, sides, rings)
        joint, value = np.zeros((len(v), 6), np.int32), np.zeros((len(v), 6), np.float32)
        parent, after = max(PARENTS[j], 0), child if child is not None else j
        joint[:, :3] = [j, parent, after]
        value[:, 1] = .5 * np.clip(1 - 3 * t, 0, 1)
        value[:, 2] = .5 * np.clip(3 * t - 2, 0, 1)
        value[:, 0] = 1 - value[:, 1] - value[:, 2]
        row, col = divmod(number, 6)
        uvs.append((uv * .9 + .05 + [col, row]) / 6)
        vertices.append(v); faces.append(f + start); joints.append(joint); values.append(value)
        start += len(v)
    return tuple(np.concatenate(x) for x in (vertices, faces, uvs, joints, values))


def png(path: Path, pixels: np.ndarray) -> None:
    """Writes (H, W, 3) uint8 without any library."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    h, w, _ = pixels.shape
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", w, h, 8, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def arrays(seed: int = 0, name: str = "figure") -> dict:
    """All arrays of result.npz. The photo pose is random but moderate; the camera looks slightly down."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, .25, (24, 3))
    pose[JOINTS.index("left_elbow")] = [0, -1.1, 0]
    pose[JOINTS.index("right_knee")] = [.9, 0, 0]
    camera_from_body = turn(np.array([.15, 0, 0])) @ np.diag([1.0, -1, -1])
    angle = np.arccos((np.trace(camera_from_body) - 1) / 2)
    axis = np.array([camera_from_body[2, 1] - camera_from_body[1, 2], camera_from_body[0, 2] - camera_from_body[2, 0],
                     camera_from_body[1, 0] - camera_from_body[0, 1]])
    pose[0] = angle * axis / np.linalg.norm(axis)
    transforms = chain(pose, np.array([.3, .1, 3.2]))
    v, f, uv, wj, wv = skinned_tubes(.05, 14, 9)
    body, body_f, body_uv, body_wj, body_wv = skinned_tubes(.04, 8, 5)
    blend = np.einsum("vk,vkij->vij", wv.astype(float), transforms[wj])
    surface = np.einsum("vij,vj->vi", blend[:, :3, :3], v) + blend[:, :3, 3]
    a = np.zeros((24, 3))
    a[JOINTS.index("left_shoulder")], a[JOINTS.index("right_shoulder")] = [0, 0, -.8], [0, 0, .8]
    report = {"version": "0.1.0", "photo": f"{name}.jpg", "preset": "draft", "device": "cpu", "seed": seed, "ok": True,
              "error": None, "warnings": [{"code": "body.height-guess", "message": "The height is a guess."}],
              "stages": [{"name": "s03_body", "seconds": 1.0, "peak_mb": 10.0, "method": "synthetic", "weights": []}],
              "mesh": {"vertices": len(v), "faces": len(f), "watertight": True, "height_m": 1.75},
              "rig": {"joints": 24}, "texture": {"size": 64, "seen_fraction": .5}, "seconds": 1.0, "options": {}}
    return {
        "name": np.array(name), "vertices": v.astype(np.float32), "faces": f.astype(np.int32), "uv": uv.astype(np.float32),
        "body_uv": np.clip(uv[:, ::-1], 0, 1).astype(np.float32),
        "vertex_color": (np.clip(.5 + v, 0, 1) * 255).astype(np.uint8), "seen": rng.random(len(v)).astype(np.float32),
        "weight_joints": wj, "weight_values": wv, "joint_names": np.array(JOINTS), "parents": np.array(PARENTS, np.int32),
        "rest_joints": REST, "pose_photo": pose, "camera_from_rest": transforms, "pose_a": a,
        "surface_vertices": surface.astype(np.float32), "up": np.array([0.0, -1.0, 0.0]), "body_vertices": body.astype(np.float32),
        "body_faces": body_f.astype(np.int32), "body_weight_joints": body_wj, "body_weight_values": body_wv,
        "fitted_uv": body_uv.astype(np.float32), "height_m": np.array(1.75), "report": np.array(json.dumps(report)),
    }


def write(folder: Path, seed: int = 0, name: str = "figure") -> dict:
    """Fills `folder` as the worker does; returns the arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    data = arrays(seed, name)
    np.savez(folder / "result.npz", **data)
    y, x = np.mgrid[0:64, 0:64]
    checks = ((x // 8 + y // 8) % 2)[..., None] * np.array([120, 60, 20]) + [90, 110, 140]
    png(folder / "albedo.png", checks.astype(np.uint8))
    png(folder / "normal.png", np.full((64, 64, 3), (128, 128, 255), np.uint8))
    png(folder / "preview.png", checks.astype(np.uint8))
    (folder / "mesh.ply").write_text("ply\n", "ascii")
    (folder / "stages").mkdir(exist_ok=True)
    (folder / "report.json").write_text(str(data["report"]), "utf-8")
    return data


if __name__ == "__main__":
    import sys
    write(Path(sys.argv[1]), name=sys.argv[2] if len(sys.argv) > 2 else "figure")
