"""s11: weights, the exact inverse, touching parts, the body's own unposing, the body's UV layer."""

from types import SimpleNamespace

import numpy as np
import pytest

from neural.body import poses
from neural.body.model import BodyModel
from neural.body.skinning import joint_transforms
from neural.context import Context
from neural.contract.joints import JOINT
from neural.geometry.carry_uv import carry_uv
from neural.geometry.closest import closest_points
from neural.geometry.normals import vertex_normals
from neural.geometry.part_cut import cut_parts
from neural.geometry.topology import is_watertight
from neural.geometry.transfer import PART_OF_JOINT, joints_that_meet, keep_largest, transfer_weights
from neural.stages.s11_rig import bind_rig, pose_vertices


@pytest.fixture(scope="module")
def posed():
    """The default body in a bent pose as fitted body, and itself (a little inflated) as surface."""
    model = BodyModel.load()
    pose = np.array(poses.RELAXED)
    pose[0] = (np.pi - 0.1, 0.05, 0.1)
    pose[JOINT["left_knee"]] = (0.7, 0, 0)
    pose[JOINT["head"]] = (0.2, 0.3, 0)
    pose[JOINT["left_shoulder"], 2] = pose[JOINT["right_shoulder"], 2] = 0
    v, joints, transforms = model.posed(pose, None, 1.0, np.array([0.1, 0.2, 2.6]))
    rest, rest_joints = model.shaped()
    body = SimpleNamespace(vertices=v, faces=model.faces, weights=model.weights, rest_vertices=rest, rest_joints=rest_joints,
                           camera_from_rest=transforms, pose=pose, uv=model.uv, uv_faces=model.uv_faces, fingers=None)
    normals = vertex_normals(v, model.faces)
    outer = (v + 0.004 * normals).astype(np.float32)
    surface = SimpleNamespace(vertices=outer, faces=model.faces, normals=normals, bind_vertices=outer, bind_from_rest=transforms)
    warned = []
    rig = bind_rig(body, surface, Context(warn=lambda *a: warned.append(a)))
    return model, body, surface, rig, warned


def test_weights_are_sound(posed):
    _, _, surface, rig, _ = posed
    assert rig.weight_joints.shape == rig.weight_values.shape == (len(surface.vertices), 6)
    assert rig.weight_values.min() >= 0 and np.abs(rig.weight_values.sum(1) - 1).max() < 1e-6
    assert (rig.weight_values[:, :-1] >= rig.weight_values[:, 1:]).all()
    for row in range(0, len(surface.vertices), 97):
        used = rig.weight_joints[row][rig.weight_values[row] > 0]
        assert len(np.unique(used)) == len(used)


def test_photo_pose_gives_the_surface_back(posed):
    _, _, surface, rig, _ = posed
    stored = SimpleNamespace(weight_joints=rig.weight_joints, weight_values=rig.weight_values,
                             rest_vertices=rig.rest_vertices.astype(np.float32).astype(np.float64))
    assert np.abs(pose_vertices(stored, rig.camera_from_rest) - surface.vertices).max() < 0.0005
    again = joint_transforms(rig.pose_photo, rig.rest_joints)         # the same from the pose itself, as Blender does it
    again[:, :3, 3] += rig.camera_from_rest[0, :3, 3] - again[0, :3, 3]
    assert np.abs(pose_vertices(stored, again) - surface.vertices).max() < 0.0005


def test_unposing_the_posed_body_gives_the_rest_body(posed):
    model, body, _, rig, warned = posed
    outer = ~model.inner
    error = np.linalg.norm(rig.rest_vertices - body.rest_vertices, axis=1)[outer]
    assert np.quantile(error, 0.95) < 0.010 and error.mean() < 0.006   # 4 mm of it is the inflation
    assert not [w for w in warned if w[0] == "rig.mended"]
    assert rig.pose_a[JOINT["left_shoulder"], 2] == pytest.approx(-np.pi / 4)


def tube(x, radius, joint_low, joint_high, rows=60, around=24):
    """Open upright tube, and weights that pass from one joint to the other half way up."""
    a, y = np.arange(around) * 2 * np.pi / around, np.linspace(-0.3, 0.3, rows)
    v = np.stack([x + radius * np.tile(np.cos(a), rows), np.repeat(y, around), radius * np.tile(np.sin(a), rows)], 1)
    f = []
    for i in range(rows - 1):
        for j in range(around):
            p, q, r, s = i * around + j, i * around + (j + 1) % around, (i + 1) * around + j, (i + 1) * around + (j + 1) % around
            f += [(p, r, q), (q, r, s)]
    w = np.zeros((len(v), 24))
    blend = np.clip(np.repeat(y, around) / 0.2 + 0.5, 0, 1)
    w[:, joint_low], w[:, joint_high] = 1 - blend, blend
    return v, np.array(f), w


def test_touching_tubes_do_not_bleed():
    """A torso and a forearm that touch, glued in the surface by a strip: no vertex moves with both."""
    trunk = tube(0.0, 0.15, JOINT["pelvis"], JOINT["spine1"])
    arm = tube(0.2, 0.05, JOINT["left_wrist"], JOINT["left_elbow"])
    body_v, body_f = np.concatenate([trunk[0], arm[0]]), np.concatenate([trunk[1], arm[1] + len(trunk[0])])
    body_w = np.concatenate([trunk[2], arm[2]])
    meets = joints_that_meet(body_w, 0.02)
    assert not meets[JOINT["pelvis"], JOINT["left_wrist"]] and meets[JOINT["pelvis"], JOINT["spine1"]]
    n_trunk = len(trunk[0])
    touch_t = np.arange(60) * 24                                     # the column of the trunk at +x
    touch_a = n_trunk + np.arange(60) * 24 + 12                      # the column of the arm at -x
    glue = [(touch_t[i], touch_a[i], touch_t[i + 1]) for i in range(59)] + [(touch_t[i + 1], touch_a[i], touch_a[i + 1]) for i in range(59)]
    faces = np.concatenate([body_f, glue])
    rng = np.random.default_rng(0)
    v = body_v + rng.normal(0, 0.0015, body_v.shape)
    normals = vertex_normals(body_v, body_f)
    normals[rng.random(len(v)) < 0.1] *= -1                           # some normals say the wrong side
    near = closest_points(v, body_v, body_f, normals)
    moved = transfer_weights(faces, near, body_f, body_w, PART_OF_JOINT)
    on_arm = moved.weights[:, [JOINT["left_wrist"], JOINT["left_elbow"]]].sum(1)
    assert (np.minimum(on_arm, 1 - on_arm) < 1e-9).all()
    wrong = np.abs(on_arm - (np.arange(len(v)) >= n_trunk)) > 0.5
    assert wrong.mean() < 0.01


def test_inpainting_continues_weights():
    """A skirt far from the body: its weights lie between those of its rim and stay smooth."""
    body = tube(0.0, 0.15, JOINT["pelvis"], JOINT["spine1"])
    v, f, expected = body
    out = v.copy()
    out[:, [0, 2]] *= (1 + 0.8 * np.clip(v[:, 1:2] / 0.1, 0, 1))        # upper half stands off by up to 12 cm
    near = closest_points(out, v, f, vertex_normals(v, f))
    moved = transfer_weights(f, near, f, expected, PART_OF_JOINT)
    assert moved.trusted[v[:, 1] < -0.05].all() and not moved.trusted[v[:, 1] > 0.06].any()
    assert np.abs(moved.weights.sum(1) - 1).max() < 1e-9
    i, j = f[:, 0], f[:, 1]
    assert np.abs(moved.weights[i] - moved.weights[j]).max() < 0.2


def test_keep_largest_breaks_ties():
    w = np.full((3, 24), 1 / 24)
    out = keep_largest(w, 6)
    assert ((out > 0).sum(1) == 6).all() and np.allclose(out.sum(1), 1)


def test_body_uv_does_not_smear_over_seams(posed):
    _, body, surface, _, _ = posed
    near = closest_points(surface.vertices, body.vertices, body.faces, surface.normals)
    uv, faces = carry_uv(surface.vertices, surface.faces, near, body.vertices, body.faces, body.uv, body.uv_faces)
    assert faces.shape == surface.faces.shape and uv.min() >= 0 and uv.max() <= 1
    span = lambda t: np.linalg.norm(t - np.roll(t, 1, 1), axis=2).max(1)
    carried, own = span(uv[faces].astype(np.float64)), span(np.asarray(body.uv, np.float64)[body.uv_faces])
    assert carried.max() < 4 * own.max()
    plain = np.einsum("nk,nkc->nc", near.bary, np.asarray(body.uv, np.float64)[body.uv_faces[near.face]])[surface.faces]
    assert (span(plain) > 4 * own.max()).sum() > 20                    # without the care there are many
    assert np.median(np.abs(uv[faces] - body.uv[body.uv_faces])) < 0.003   # and the rest is the body's own map


def test_closest_points_agree_with_a_search_of_all():
    rng = np.random.default_rng(1)
    v, f, _ = tube(0.0, 0.15, 0, 3, 12, 12)
    p = rng.uniform(-0.3, 0.3, (60, 3))
    found = closest_points(p, v, f, candidates=40)
    weights = np.stack(np.meshgrid(*[np.linspace(0, 1, 41)] * 2), -1).reshape(-1, 2)
    weights = weights[weights.sum(1) <= 1]
    dense = np.einsum("sk,fkc->fsc", np.concatenate([1 - weights.sum(1, keepdims=True), weights], 1), v[f]).reshape(-1, 3)
    brute = np.array([np.linalg.norm(dense - q, axis=1).min() for q in p])
    assert (found.distance <= brute + 1e-9).all() and np.abs(found.distance - brute).max() < 0.002
    assert np.abs(found.bary.sum(1) - 1).max() < 1e-9 and found.bary.min() >= -1e-9


def test_glued_ends_are_cut_apart():
    """A sausage bent to a ring whose ends are glued: cut by its straight rest shape it is a sausage again."""
    rows, around = 40, 12
    a, t = np.arange(around) * 2 * np.pi / around, np.linspace(0, 1, rows)
    straight = np.stack([np.repeat(t * 1.5, around), np.tile(0.08 * np.cos(a), rows), np.tile(0.08 * np.sin(a), rows)], 1)
    turn = np.repeat(t, around) * np.radians(340)
    reach = 0.25 + straight[:, 1]
    bent = np.stack([reach * np.cos(turn), reach * np.sin(turn), straight[:, 2]], 1)
    faces = []
    for i in range(rows):
        k = (i + 1) % rows                                            # the last ring is glued to the first
        for j in range(around):
            p, q, r, s = i * around + j, i * around + (j + 1) % around, k * around + j, k * around + (j + 1) % around
            faces += [(p, q, r), (q, s, r)]
    faces = np.array(faces)
    euler = lambda v, f: len(v) - len(np.unique(np.sort(np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]]]), 1), axis=0)) + len(f)
    assert is_watertight(faces) and euler(bent, faces) == 0           # a ring
    v, f, cut = cut_parts(bent, faces, straight)
    assert cut == 2 * around and is_watertight(f) and euler(v, f) == 2
    assert cut_parts(bent, faces, bent)[2] == 0                       # nothing is torn: nothing is cut


def test_a_foot_that_seems_torn_is_not_cut_off():
    """A long tube whose middle ring is far away at rest (a wrong weight): cutting there would lose the end of the mesh."""
    rings, around = 60, 24
    z, a = np.meshgrid(np.linspace(0, 1, rings), np.arange(around) * 2 * np.pi / around, indexing="ij")
    tube = np.stack([0.1 * np.cos(a), 0.1 * np.sin(a), z], -1).reshape(-1, 3)
    i = np.arange(rings - 1)[:, None] * around + np.arange(around)
    j = np.arange(rings - 1)[:, None] * around + (np.arange(around) + 1) % around
    sides = np.concatenate([np.stack([i, j, j + around], -1).reshape(-1, 3), np.stack([i, j + around, i + around], -1).reshape(-1, 3)])
    ends = len(tube) + np.arange(2)
    ring = np.arange(around)
    caps = np.concatenate([np.stack([np.full(around, ends[0]), (ring + 1) % around, ring], 1),
                           np.stack([np.full(around, ends[1]), ring + (rings - 1) * around, (ring + 1) % around + (rings - 1) * around], 1)])
    vertices = np.concatenate([tube, [[0, 0, 0], [0, 0, 1.0]]])
    faces = np.concatenate([sides, caps])
    assert is_watertight(faces)
    rest = vertices.copy()
    rest[vertices[:, 2] > 0.88, 0] += 0.5                          # the last eighth jumps aside at rest
    out, kept, _ = cut_parts(vertices, faces, rest)
    assert is_watertight(kept) and out[kept, 2].max() == 1.0 and len(kept) == len(faces)
