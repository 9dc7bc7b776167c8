"""People built from the base mesh that ships and garments of our own: no assets needed."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from neural.contract.errors import OptionError
from neural.contract.joints import JOINT, SMPL_PARENTS
from neural.geometry.closest import closest_points
from train.people import base as base_mesh
from train.people.build import build, tailor
from train.people.build.photo_pose import touch_points
from train.people.build.prepare import prepared
from train.people.build.readout import model
from train.people.build.stance import PHOTO_POSES
from train.people.build.turn import about, angle_between
from train.people.pack.items import Tailor, body, join
from train.people.recipe import Fabric, PersonRecipe, PoseMix, Worn
from train.people.types import Pack, Poses, Surroundings, Textures, WholePerson

MADE = ("own_tshirt", "own_trousers", "own_skirt_midi", "own_jacket", "own_longsleeve")


@pytest.fixture(scope="module")
def pack() -> Pack:
    torch.set_num_threads(1)
    base = base_mesh.load()
    shop = Tailor.make()
    cut = lambda n: tailor.piece(shop, n, tailor.CUTS[n].slot, "any", "train", tailor.CUTS[n].layer, tailor.sew(base, tailor.CUTS[n]))
    bone = {b: k for k, b in enumerate(base.bones)}
    rest = torch.eye(3).repeat(3, len(base.bones), 1, 1)
    kick = about(torch.tensor([1.0, 0, 0]), torch.tensor(-0.9))         # left leg forward, knee bent; left arm forward
    for b in bone:
        if b.endswith(".L") and b.startswith(("upperleg", "lowerleg", "foot", "toe")):
            rest[1, bone[b]] = kick if b.startswith("upper") else torch.eye(3)
        if b.endswith(".L") and b.startswith(("upperarm", "lowerarm", "wrist", "finger", "metacarpal")):
            rest[2, bone[b]] = kick
    empty, many = torch.zeros(0, 1, dtype=torch.int64), ("rest", "kick", "reach")
    poses = Poses(rest, many, torch.tensor([True] * 3), many, ("train",) * 3, ("",) * 3)
    places = Surroundings((), (), torch.zeros(0, 9, 3), torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0), (), (), torch.zeros(0, 2, 2, 3))
    textures = Textures(torch.zeros(0, 4, dtype=torch.uint8), empty, empty, empty, ("skin",))
    return Pack(base, join([body(shop)] + [cut(n) for n in MADE]), (), poses, textures, places)


def one(pose="rest", worn=(), **more) -> PersonRecipe:
    mix = pose if isinstance(pose, PoseMix) else PoseMix(pose)
    return PersonRecipe(worn=tuple(w if isinstance(w, Worn) else Worn(w) for w in worn), pose=mix, **more)


def photo(name: str, **more) -> PoseMix:
    return PoseMix("rest", photo=name, **more)


def of(people, p: int, material: int) -> torch.Tensor:
    """Vertices that the drawn faces of a piece use."""
    rows = torch.unique(people.faces[(people.face_owner == p) & (people.material == material)])
    return people.vertices[rows]


def test_the_mean_person_at_rest_is_the_base(pack):
    people = build([one()], pack)
    rows = slice(*pack.items.items[0].fine)
    moved = people.vertices[rows] - pack.items.neutral[rows]
    hands = torch.tensor([pack.base.bones[b].startswith(("finger", "metacarpal", "wrist")) for b in pack.items.skin_bone[rows, 0].tolist()])
    assert (moved[~hands] - moved[~hands].mean(0)).norm(dim=1).max() < 2e-3      # fingers relax
    assert people.vertices[:, 2].min().abs() < 1e-6 and people.joints[0, 0, :2].abs().max() < 1e-6
    assert abs(people.stature.item() - float(np.ptp(pack.base.mean[:13380, 2].numpy()))) < 2e-3
    assert ((people.normals.norm(dim=1) - 1).abs() < 1e-4).all()


def test_people_do_not_depend_on_each_other(pack):
    recipes = [one("kick", ("own_tshirt", "own_skirt_midi"), shape=(1.0, -1.0)),
               one(photo("hands_on_hips", seed=4, jitter_deg=5.0), ("own_trousers",), yaw_deg=30.0),
               one("reach", (Worn("own_longsleeve", loose_m=0.02, fold_m=0.01, cut=0.4),), shape=(-1.0,))]
    together = build(recipes, pack)
    for p, recipe in enumerate(recipes):
        alone = build([recipe], pack)
        mine, faces = together.owner == p, together.face_owner == p
        assert torch.allclose(together.vertices[mine], alone.vertices, atol=1e-5)
        assert torch.allclose(together.landmarks[p], alone.landmarks[0], atol=1e-5)
        assert torch.equal(together.faces[faces] - int(torch.nonzero(mine)[0]), alone.faces)
        assert torch.allclose(together.rotations[p], alone.rotations[0], atol=1e-6)
    assert torch.equal(build(recipes, pack).vertices, together.vertices)


def test_yaw_turns_the_person(pack):
    front, side = build([one("kick"), one("kick", yaw_deg=90.0)], pack).joints
    assert torch.allclose(side, (about(torch.tensor([0.0, 0, 1]), torch.tensor(math.pi / 2)) @ front[..., None])[..., 0], atol=1e-5)


@pytest.mark.parametrize("recipe", [one("rest"), one("kick"), one("reach"), one(photo("waving", seed=1)),
                                    one(photo("arms_hanging", seed=2), shape=(1.5, 1.0, -1.0)),
                                    one(photo("walking", seed=3), yaw_deg=70.0)])
def test_our_body_model_stands_as_the_person(pack, recipe):
    people = build([recipe], pack)
    body_model, blender = model(), np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    rest, joints = body_model.shaped(people.betas[0].numpy())
    world = blender.T @ people.rotations[0].double().numpy() @ blender
    place = joints.copy()
    for j, p in enumerate(SMPL_PARENTS):
        if p >= 0:
            place[j] = place[p] + world[p] @ (joints[j] - joints[p])
    vertices = sum(body_model.weights[:, j:j + 1] * ((rest - joints[j]) @ world[j].T + place[j]) for j in range(24)) @ blender.T
    shift = people.joints[0, 0].numpy() - place[0] @ blender.T
    assert np.linalg.norm(place @ blender.T + shift - people.joints[0].numpy(), axis=1).mean() < 0.012
    error = np.linalg.norm(body_model.landmarks(vertices) + shift - people.landmarks[0].numpy(), axis=1)
    assert error.mean() < 0.018 and np.median(error) < 0.014, (error.mean(), error.argmax())


def test_mirror(pack):
    left, right = build([one("kick"), one(PoseMix("kick", mirror=True))], pack).joints
    swap = [JOINT[n.replace("left", "x").replace("right", "left").replace("x", "right")] for n in JOINT]
    assert torch.allclose(left[swap] * torch.tensor([-1.0, 1, 1]), right, atol=4e-3)


def test_limbs_of_other_poses(pack):
    mixed, kick, reach = build([one(PoseMix("kick", left_arm="reach")), one("kick"), one("reach")], pack).rotations
    legs, arms = [JOINT["left_hip"], JOINT["left_knee"]], [JOINT["left_shoulder"], JOINT["left_wrist"]]
    assert torch.allclose(mixed[legs], kick[legs], atol=1e-5) and torch.allclose(mixed[arms], reach[arms], atol=1e-4)
    assert not torch.allclose(kick[arms], reach[arms], atol=0.1)


def test_poses_for_photos(pack):
    names = list(PHOTO_POSES)
    people = build([one(photo(n, seed=k)) for k, n in enumerate(names)], pack)
    at = lambda name, joint: people.joints[names.index(name), JOINT[joint]]
    assert at("arms_hanging", "left_wrist")[2] < at("arms_hanging", "left_hip")[2] + 0.05
    assert (at("t_pose", "left_wrist") - at("t_pose", "left_shoulder"))[2].abs() < 0.08
    assert at("arms_raised", "right_wrist")[2] > at("arms_raised", "head")[2] + 0.1
    for n, joint in (("hands_on_hips", "left_wrist"), ("hands_in_pockets", "right_wrist"), ("hand_on_chin", "left_wrist")):
        p = names.index(n)
        inside = (people.landmarks[p] - at(n, joint)).norm(dim=1)
        assert inside.min() < 0.03                                     # landmarks lie at wrists: the reach was made
    gap = lambda n: (at(n, "left_wrist") - at(n, "left_hip")).norm()
    assert gap("hands_on_hips") < 0.22 and gap("hands_in_pockets") < 0.22 and gap("waving") > 0.4
    fore = people.joints[:, JOINT["left_wrist"]] - people.joints[:, JOINT["left_elbow"]]
    upper = people.joints[:, JOINT["left_elbow"]] - people.joints[:, JOINT["left_shoulder"]]
    assert angle_between(upper, fore).max() < math.radians(160)


def test_shoulders_sink_with_hanging_arms(pack):
    people = build([one(photo("arms_hanging", seed=1)), one(photo("t_pose", seed=1)), one(photo("arms_raised", seed=1))], pack)
    height = people.joints[:, JOINT["left_shoulder"], 2] - people.joints[:, JOINT["spine3"], 2]
    assert height[0] < height[1] - 0.01 < height[2] - 0.02


def _depth(people, cloth: int, skin: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Metres that vertices of a piece lie off the skin (negative: inside), by the nearest face."""
    mine = people.material == cloth
    points = people.vertices[torch.unique(people.faces[mine])].double().numpy()
    found = closest_points(points, *skin, candidates=6)
    tri = skin[0][skin[1][found.face]]
    normal = np.cross(tri[:, 1] - tri[:, 0], tri[:, 2] - tri[:, 0])
    return ((points - found.point) * normal / np.linalg.norm(normal, axis=1, keepdims=True)).sum(1)


@pytest.mark.parametrize("pose", ["rest", "kick", photo("walking", seed=2), photo("open_arms", seed=6)])
def test_cloth_lies_outside_the_body_and_close_to_it(pack, pose):
    worn = (Worn("own_trousers"), Worn("own_tshirt", loose_m=0.01, fold_m=0.008), Worn("own_jacket", loose_m=0.004))
    shape = (1.5, -1.0, 1.0, 0.5)
    bare, dressed = build([one(pose, shape=shape)], pack), build([one(pose, worn, shape=shape)], pack)
    count = len(bare.vertices)
    skin = (dressed.vertices[:count].double().numpy(), bare.faces.numpy())
    slots = [pack.items.items[0].name] + [w.item for w in worn]
    deep = {slots[m]: _depth(dressed, m, skin) for m in (1, 2, 3)}
    for name, d in deep.items():
        assert (d < -0.002).mean() < 0.045, (name, (d < -0.002).mean())    # an arm that brushes the trunk counts
        assert np.median(d) < 0.06
    ready = prepared(pack)
    assert len(dressed.faces[dressed.material == 0]) < 0.75 * len(bare.faces)       # skin under cloth is left out
    assert (ready.cover[1] >= 0).all() and len(ready.cover[1]) > 500


def test_an_outer_garment_lies_outside_the_inner_one(pack):
    people = build([one("rest", (Worn("own_longsleeve", loose_m=0.02), Worn("own_jacket")))], pack)
    assert people.height[people.faces[people.material == 2]].median() > 0.02
    assert (people.material == 1).sum() < 0.6 * _whole_faces(pack, "own_longsleeve")   # the shirt under it is left out


def _whole_faces(pack, name: str) -> int:
    item = next(i for i in pack.items.items if i.name == name)
    return item.faces[1] - item.faces[0]


def test_skirts_do_not_split_between_the_legs(pack):
    people = build([one(photo("walking", seed=5), (Worn("own_skirt_midi", hang=1.0),))], pack)
    faces = people.faces[people.material == 1]
    corner = people.vertices[faces]
    stretch = (corner - corner.roll(1, 1)).norm(dim=2).amax(1) / (people.rest[faces] - people.rest[faces].roll(1, 1)).norm(dim=2).amax(1)
    assert stretch.max() < 4 and stretch.quantile(0.99) < 2.5
    low, legs = of(people, 0, 1)[:, 2].min(), people.joints[0, [JOINT["left_knee"], JOINT["right_knee"]], 2]
    assert low < legs.max()


def test_looseness_and_folds_stand_off_and_repeat(pack):
    plain = build([one("rest", (Worn("own_trousers", loose_m=l, fold_m=f, seed=s),)) for l, f, s in
                   ((0, 0, 1), (0.03, 0, 1), (0, 0.012, 1), (0, 0.012, 2))], pack)
    who = [plain.vertices[plain.owner == p] for p in range(4)]
    first = pack.items.items[0].fine[1]
    rows = slice(first, len(who[0]))
    moved = lambda a, b: (who[a][rows] - who[b][rows]).norm(dim=1)
    assert 0.01 < moved(1, 0).median() < 0.035
    assert 0.001 < moved(2, 0).mean() < 0.02 and moved(2, 3).mean() > 0.001
    assert torch.allclose(who[0][:first], who[1][:first])                           # the body stays


def test_sleeves_and_legs_are_cut_where_they_shall(pack):
    people = build([one("rest", (Worn("own_longsleeve", cut=0.5), Worn("own_trousers", cut=0.5)))], pack)
    ready = prepared(pack)
    for name, axis in (("own_trousers", "down_leg"), ("own_longsleeve", "down_arm")):
        k = next(n for n, i in enumerate(pack.items.items) if i.name == name)
        reach, keep = (ready.reach[k][1], 0.12) if axis == "down_leg" else (ready.reach[k][0], 0.09)
        limit = reach - 0.5 * (reach - keep)
        material = 1 if name == "own_trousers" else 2
        rows = torch.unique(people.faces[people.material == material])
        where = ready.limbs.coordinates(people.rest[rows])
        share = getattr(where, axis)[(where.arm > 0.5) == (axis == "down_arm")]
        assert share.max() < limit + 0.03 and share.max() > limit - 0.03
    hand = people.faces[people.material == 0]
    assert (ready.limbs.coordinates(people.rest[hand[:, 0]]).down_leg > 0.5).any()  # bare shins are drawn


def test_materials_follow_the_pieces(pack):
    recipe = one("rest", (Worn("own_tshirt", Fabric("stripes", gloss=0.3, scale_m=0.04), wrinkle_m=0.001),), skin="skin", skin_tint=(0.9, 0.8, 0.7))
    people = build([recipe, one("rest", ("own_trousers",))], pack)
    assert people.material.unique().tolist() == [0, 1, 2, 3] and people.materials.kind.tolist() == [0, 2, 1, 1]
    assert people.materials.texture.tolist() == [0, -1, -1, -1] and torch.allclose(people.materials.tint[0], torch.tensor([0.9, 0.8, 0.7]))
    assert torch.allclose(people.materials.wrinkle[1], torch.tensor([0.001, 0.03, 2.0]))
    assert torch.equal(people.face_owner[people.material >= 2].unique(), torch.tensor([1]))


def test_a_whole_character_moves_like_the_library(pack):
    rows, base = slice(*pack.items.items[0].fine), pack.base
    items, count = pack.items, len(base.bones)
    weight = items.skin_weight[rows][:, :4]
    person = WholePerson(
        "twin", "any", items.neutral[rows], items.skin_bone[rows][:, :4], weight / weight.sum(1, keepdim=True),
        base.heads, base.parents, torch.arange(count), torch.eye(3).repeat(count, 1, 1), base.smpl_bone, base.betas_mean, 1.0,
        items.faces[slice(*items.items[0].faces)], items.uv[rows], items.weld[rows], torch.full((items.items[0].faces[1],), -1), items.body_uv[rows],
        items.body_place[rows], items.part[rows], items.height[rows])
    people = build([one("kick"), dataclasses.replace(one("kick"), avatar="twin")], dataclasses.replace(pack, people=(person,)))
    mine, other = (people.vertices[people.owner == p] for p in (0, 1))
    trunk = prepared(pack).coordinates(torch.arange(rows.start, rows.stop)).arm < 1e-3      # shoulders have a rule of their own
    assert (mine - other).norm(dim=1)[trunk].quantile(0.9) < 0.006 and (people.landmarks[0] - people.landmarks[1]).norm(dim=1).median() < 0.004
    assert torch.allclose(people.rotations[0], people.rotations[1], atol=2e-3)


def test_unknown_names_are_refused(pack):
    for recipe in (one("nowhere"), one("rest", ("gone",)), one(photo("nothing")), dataclasses.replace(one(), avatar="nobody"), one(skin="x"),
                   one(expression=(("grin", 1.0),)), one(shape=(0.0,) * 99), one("rest", (Worn("own_tshirt", Fabric("silk")),))):
        with pytest.raises(OptionError) as error:
            build([recipe], pack)
        assert error.value.code.startswith("option.") and error.value.remedy


def test_touch_points_lie_where_their_names_say(pack):
    bone = {b: k for k, b in enumerate(pack.base.bones)}
    place = {k: pack.base.mean[v] for k, v in touch_points(pack.base, bone).items()}
    assert place["hip"][0] > 0.1 and place["back"][1] > 0.03 and place["belly"][1] < -0.05 and place["chin"][2] > place["breast"][2] + 0.1
    assert place["cheek"][0] > 0.04
