"""A tiny asset folder, written by the tests of the pack: a sleeve, a hair card, a skin, eyes, a light, views, poses and a character that is
our own body, so that the right answers are known."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from neural.body.model import BodyModel
from neural.contract.joints import SMPL_JOINTS
from train.body.rig import BODY_FROM_ANNY
from train.people import base as base_mesh
from train.people import posing

SIDES = (("Left", "left", "L"), ("Right", "right", "R"))


def write(root: Path, avatar: str = "White_F_2_Casual") -> Path:
    """All kinds of assets; the character gets a name that split.toml knows."""
    items = [sleeve(root), card(root), eyes(root)]
    items += [skin(root, "mine_young_female"), irises(root), *places(root)]
    poses(root)
    items.append(character(root, avatar))
    return index(root, items)


def index(root: Path, items: list[dict]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "index.json").write_text(json.dumps({"items": items}))
    return root


def patch(lift_m: float = 0.01, bone: str = "lowerarm") -> dict[str, np.ndarray]:
    """A sleeve: the skin that follows the forearms, `lift_m` off along its normals, in the folder's form (decimetres, y up)."""
    base, body = base_mesh.load(), base_mesh.skin()
    share = base_mesh.dense_weights(base)[:, [b.startswith(bone) for b in base.bones]].sum(1)
    faces = body.faces[(share[body.faces] > 0.6).all(1)]
    used, local = np.unique(faces, return_inverse=True)
    v = base.mean.numpy().astype(np.float64)
    f = local.reshape(-1, 4)
    normal = np.zeros((len(used), 3))
    for i in range(4):
        at = f[:, i]
        np.add.at(normal, at, np.cross(v[used[f[:, (i + 1) % 4]]] - v[used[at]], v[used[f[:, i - 1]]] - v[used[at]]))
    normal = lift_m * 10 * normal / np.linalg.norm(normal, axis=1, keepdims=True)
    n = len(used)
    uv = np.stack([v[used][:, 0] - v[used][:, 0].min(), v[used][:, 2] - v[used][:, 2].min()], 1)
    return {"v": np.zeros((n, 3), np.float32), "f": f.astype(np.int32), "vt": (uv / uv.max()).astype(np.float32), "ft": f.astype(np.int32),
            "ref": np.repeat(used[:, None], 3, 1).astype(np.int32), "w": np.tile([1.0, 0, 0], (n, 1)).astype(np.float32),
            "off": normal[:, [0, 2, 1]].astype(np.float32) * [1, 1, -1], "scale": np.tile([-1.0, -1, 1], (3, 1)), "delete": used.astype(np.int32)}


def save(root: Path, name: str, arrays: dict) -> None:
    (root / name).mkdir(parents=True, exist_ok=True)
    np.savez(root / name / "mesh.npz", **arrays)


def picture(path: Path, colour, size=(32, 32)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros((*size, len(colour)), np.uint8) + np.array(colour, np.uint8)
    image[: size[0] // 2, :, 0] //= 2
    Image.fromarray(image).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


def sleeve(root: Path) -> dict:
    save(root, "clothes/sleeve", patch())
    picture(root / "clothes/sleeve/diffuse.jpg", (200, 60, 30))
    return {"name": "sleeve", "kind": "clothes", "slot": "top", "sex": "f", "dir": "clothes/sleeve", "textures": {"diffuse": "diffuse.jpg"},
            "alpha": False, "z_depth": 52, "licence": "CC0-1.0", "author": "me"}


def card(root: Path) -> dict:
    """Two triangles above the head; the lower half of its picture is cut away."""
    top = int(base_mesh.load().mean[base_mesh.load().groups["skin"]][:, 2].argmax())
    at = int(base_mesh.load().groups["skin"][top])
    off = np.array([[-0.5, 0.2, 0], [0.5, 0.2, 0], [0.5, 0.2, -0.5], [-0.5, 0.2, -0.5]], np.float32)
    f = np.array([[0, 1, 2, -1], [0, 2, 3, -1]], np.int32)
    save(root, "hair/lashes", {"f": f, "ft": f, "vt": np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32), "ref": np.full((4, 3), at, np.int32),
                             "w": np.tile([1.0, 0, 0], (4, 1)).astype(np.float32), "off": off, "scale": np.tile([-1.0, -1, 1], (3, 1)),
                             "delete": np.zeros(0, np.int32)})
    image = np.zeros((16, 16, 4), np.uint8)
    image[..., 1], image[:8, :, 0], image[:8, :, 1], image[:8, :, 3] = 255, 220, 0, 255
    Image.fromarray(image).save(root / "hair/lashes/diffuse.png")
    return {"name": "lashes", "kind": "hair", "slot": "hair", "dir": "hair/lashes", "textures": {"diffuse": "diffuse.png"}, "alpha": True,
            "licence": "CC0-1.0"}


def eyes(root: Path) -> dict:
    at = base_mesh.load().groups["l-eye"].numpy()[:4]                        # the eyeballs are helpers, not skin
    f = np.array([[0, 1, 2, 3]], np.int32)
    arrays = {"f": f, "ft": f, "vt": np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32), "ref": np.repeat(at[:, None], 3, 1).astype(np.int32),
              "w": np.tile([1.0, 0, 0], (4, 1)).astype(np.float32), "off": np.zeros((4, 3), np.float32), "scale": np.tile([-1.0, -1, 1], (3, 1))}
    save(root, "eyes/plain", arrays)
    return {"name": "plain", "kind": "eyes", "slot": "eyes", "dir": "eyes/plain", "alpha": True, "licence": "CC0-1.0"}


def skin(root: Path, name: str) -> dict:
    picture(root / "skins" / f"{name}.jpg", (210, 170, 150), (64, 64))
    return {"name": name, "kind": "skin", "slot": "skin", "sex": "f", "dir": "skins", "files": [f"{name}.jpg"], "age": "young", "tone": "light"}


def irises(root: Path) -> dict:
    for colour in ("brown", "grey"):
        picture(root / "eyes/textures" / f"{colour}.png", (90, 60, 30, 255))
    return {"name": "eye textures", "kind": "eye_textures", "slot": "eyes", "dir": "eyes/textures", "files": ["brown.png", "grey.png"]}


def places(root: Path) -> list[dict]:
    (root / "hdri").mkdir(parents=True)
    sky = np.full((32, 64, 3), 0.4, np.float32)
    sky[6:9, 20:23] = 60
    for name in ("noon_grass_1k", "venice_sunset_1k"):                      # the second is held
        assert cv2.imwrite(str(root / "hdri" / f"{name}.hdr"), sky)
        picture(root / "backgrounds" / f"{name}_0.jpg", (90, 120, 150), (36, 27))
    return [{"name": n, "kind": "hdri", "dir": "hdri", "files": [f"{n}.hdr"]} for n in ("noon_grass_1k", "venice_sunset_1k")] + [
        {"name": f"{n} views", "kind": "background", "dir": "backgrounds", "files": [f"{n}_0.jpg"]} for n in ("noon_grass_1k", "venice_sunset_1k")]


def poses(root: Path) -> None:
    """"mhc_Lotus" trains, "mh_fly02" is val, "mh_run01" is held; small random turns."""
    base, rng = base_mesh.load(), np.random.default_rng(5)
    quat = np.concatenate([0.2 * rng.normal(size=(3, len(base.bones), 3)), np.ones((3, len(base.bones), 1))], 2)
    (root / "poses").mkdir()
    np.savez(root / "poses/poses.npz", quat_xyzw=(quat / np.linalg.norm(quat, axis=2, keepdims=True)).astype(np.float32), bones=np.array(base.bones),
             names=np.array(["mhc_Lotus", "mh_fly02", "mh_run01"]), standing=np.array([False, False, True]), licence=np.array(["CC0-1.0"] * 3))


def character(root: Path, name: str) -> dict:
    """Our own body in its T-pose as a character."""
    model = BodyModel.load()
    joints = model.joint_mean @ BODY_FROM_ANNY
    bone = {j: posing._JOINT_BONE[j.replace("right_", "left_")].replace("Left", "Right" if j.startswith("right") else "Left") for j in SMPL_JOINTS}
    bones = [bone[j] for j in SMPL_JOINTS]
    heads, parents = list(joints), [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
    for side, s, _ in SIDES:
        along = np.array([0.03 if side == "Left" else -0.03, 0, 0])
        for finger, dy in (("Middle", 0), ("Index", -0.03), ("Pinky", 0.04)):
            for k in (1, 2, 3):
                if f"{side}Hand{finger}{k}" not in bones:
                    bones.append(f"{side}Hand{finger}{k}")
                    heads.append(heads[bones.index(f"{side}HandMiddle1")] + [0, dy, 0] + (k - 1) * along)
                    parents.append(bones.index(f"{side}Hand{finger}{k - 1}" if k > 1 else f"{side}Hand"))
    order = np.argsort(-model.weights, axis=1, kind="stable")[:, :4]
    weights = np.take_along_axis(model.weights, order, 1)
    folder = f"avatars/{name}"
    (root / folder).mkdir(parents=True)
    uv = np.zeros((len(model.template), 2), np.float32)
    uv[model.faces.ravel()] = model.uv[model.uv_faces.ravel()]
    np.savez(root / folder / "mesh.npz", v=(model.template @ BODY_FROM_ANNY).astype(np.float32), f=model.faces, uv=uv,
             part=np.zeros(len(model.faces), np.uint8), part_names=np.array(["body"]), part_tex=np.array([1], np.int32),
             joints=order.astype(np.uint8), weights=(weights / weights.sum(1, keepdims=True)).astype(np.float16), bones=np.array(bones),
             parents=np.array(parents, np.int32), heads=np.array(heads, np.float32))
    picture(root / folder / "tex1.jpg", (120, 120, 200))
    limbs, found = {}, {"Hips": "root", "Spine": "spine05", "Spine1": "spine03", "Spine2": "spine02", "Neck": "neck01", "Head": "head"}
    for side, _, s in SIDES:
        limbs |= {f"{side}Arm": [f"{side}ForeArm", f"upperarm01.{s}", f"lowerarm01.{s}"],
                  f"{side}ForeArm": [f"{side}Hand", f"lowerarm01.{s}", f"wrist.{s}"],
                  f"{side}UpLeg": [f"{side}Leg", f"upperleg01.{s}", f"lowerleg01.{s}"], f"{side}Leg": [f"{side}Foot", f"lowerleg01.{s}", f"foot.{s}"]}
        found |= {f"{side}Foot": f"foot.{s}"}
    (root / "avatars/bone_map.json").write_text(json.dumps({"bones": found, "limbs": limbs}))
    return {"name": name, "kind": "avatar", "dir": folder, "sex": "f", "textures": {"1": "tex1.jpg"}, "licence": "CC0-1.0", "author": "me"}
