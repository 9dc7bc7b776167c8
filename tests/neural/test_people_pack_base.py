"""The base mesh, subdivision, anchors to our body, textures: against known answers."""

from __future__ import annotations

import numpy as np
import pytest

from neural.body.model import BodyModel
from neural.contract.joints import JOINT
from train.people import base as base_mesh
from train.people.pack import anchors, items, subdivide, textures


@pytest.fixture(scope="module")
def tailor() -> items.Tailor:
    return items.Tailor.make()


def test_base_holds_people_of_all_ages():
    base, bodies = base_mesh.load(), base_mesh.bodies()
    assert base.mean.shape == (19158, 3) and base.modes.shape[:2] == (19158, 3)
    assert np.allclose(base.skin_weight.sum(1), 1, atol=1e-6) and (base.parents.numpy()[1:] < np.arange(1, len(base.bones))).all()
    assert np.allclose(bodies.k.mean(0), 0, atol=0.02) and np.allclose(bodies.k.std(0), 1, atol=0.02)
    skin = base.groups["skin"].numpy()
    tall = np.ptp(base.mean[skin, 2].numpy()[:, None] + base.modes[skin, 2].numpy() @ bodies.k.T, axis=0)
    child, man, woman = bodies.sliders["age"] < 0.34, bodies.sliders["gender"] < 0.2, bodies.sliders["gender"] > 0.8
    grown = bodies.sliders["age"] > 0.67
    assert tall[child].max() < 1.55 and 1.68 < tall[man & grown].mean() < 1.83 and 1.55 < tall[woman & grown].mean() < 1.70


def test_base_and_our_body_are_one_person(tailor):
    """k = 0 at rest is our body with its regressed shape, posed back from the T-pose: the same vertices within millimetres."""
    base, model, skin = tailor.base, tailor.body.model, base_mesh.skin()
    assert np.abs(model.uv[:, None] - skin.uv[None, ::500]).sum(2).min(0).max() < 1e-4       # one texture layout
    near = {tuple(x): v for x, v in zip(np.round(model.uv[model.uv_faces.ravel()], 3), model.faces.ravel())}
    pairs = [(near[t], v) for t, v in zip(map(tuple, np.round(skin.uv[skin.uv_faces.ravel()], 3)), skin.faces.ravel()) if t in near]
    ours, theirs = np.array(pairs).T
    gap = np.linalg.norm(tailor.body.vertices[ours] - base.mean.numpy()[theirs], axis=1)
    assert len(pairs) > 30000 and np.median(gap) < 0.003


def test_t_pose_aims_the_arms_sideways():
    base = base_mesh.load()
    h = base.heads[base.smpl_bone].numpy()
    for side, x in (("left", 1.0), ("right", -1.0)):
        arm = base.tpose[JOINT[f"{side}_shoulder"]].numpy() @ (h[JOINT[f"{side}_elbow"]] - h[JOINT[f"{side}_shoulder"]])
        leg = base.tpose[JOINT[f"{side}_hip"]].numpy() @ (h[JOINT[f"{side}_knee"]] - h[JOINT[f"{side}_hip"]])
        assert arm[0] / np.linalg.norm(arm) * x > 0.9999 and leg[2] / np.linalg.norm(leg) < -0.9999


def test_expressions_move_their_own_side():
    base = base_mesh.load()
    left = base.expression[base.expressions.index("eyeBlinkLeft")].numpy()
    moved = np.linalg.norm(left, axis=1)
    assert moved.max() > 0.004 and moved[base.mean.numpy()[:, 0] > 0].sum() > 0.9 * moved.sum()
    jaw = base.expression[base.expressions.index("jawOpen")].numpy()
    assert jaw[:, 2].min() < -0.008 and np.abs(jaw).max() < 0.06


def _cube():
    v = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    f = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    return v, f


def test_subdivided_cube_is_catmull_clarks():
    v, f = _cube()
    fine = subdivide.subdivide(8, f, np.zeros((8, 2), np.float32), f)
    p = (v[fine.index] * fine.weight[..., None]).sum(1)
    assert np.allclose(fine.weight.sum(1), 1)
    assert np.allclose(np.abs(p[:8]), 5 / 9, atol=1e-6)                     # the known answer for a cube of half side 1
    assert np.allclose(np.sort(np.abs(p[8:20]), axis=1), [0, 0.75, 0.75], atol=1e-6)
    assert np.allclose(np.sort(np.abs(p[20:]), axis=1), [0, 0, 1]) and fine.place.shape == (24, 4) and not fine.border.any()


def test_subdivided_sheet_keeps_its_border_plane_and_seam():
    x, y = np.meshgrid(np.arange(4.0), np.arange(3.0))
    v = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], 1)
    f = np.array([[r * 4 + c, r * 4 + c + 1, r * 4 + c + 5, r * 4 + c + 4] for r in range(2) for c in range(3)])
    uv = np.concatenate([v[:, :2], v[:, :2] + 10]).astype(np.float32)       # the last column of faces lies elsewhere in the texture
    ft = f + np.where(np.arange(6) % 3 == 2, 12, 0)[:, None]
    fine = subdivide.subdivide(12, f, uv, ft)
    p = (v[fine.index] * fine.weight[..., None]).sum(1)
    assert np.allclose(p[:, 2], 0) and np.allclose(p[[1, 2]], v[[1, 2]]) and np.allclose(p[5], v[5])
    assert fine.border.sum() == 2 * 10
    corner = fine.uv[fine.uv_index] - p[fine.place][..., :2]
    inner = (np.abs(p[fine.place][..., :2] - [1.5, 1]) < [1.4, 0.9]).all(2)
    shift = np.round(corner[inner] / 10)
    assert np.allclose(corner[inner], 10 * shift, atol=1e-5) and set(shift.ravel()) == {0.0, 1.0}
    cut = subdivide.triangles(np.array([[0, 1, 2, 3], [0, 1, 2, -1]]), np.array([[0, 0, 0], [3, 0, 0], [4, 1, 0], [0, 1, 0.0]]))
    assert cut.tolist() == [[0, 0, 1, 3], [0, 1, 2, 3], [1, 0, 1, 2]] or len(cut) == 3 and (cut[0, 1:] != cut[1, 1:]).any()


def test_places_above_the_skin_find_the_skin_below(tailor):
    body, m = tailor.body, tailor.body.model
    faces = np.random.default_rng(0).choice(np.nonzero((~m.inner)[m.faces].all(1) & (m.part[m.faces] != JOINT["head"]).all(1))[0], 800, False)
    p = body.vertices[m.faces[faces]]
    n = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    limbs = m.weights[m.faces[faces]].mean(1) @ anchors.limb_matrix()
    got = body.find(p.mean(1) + 0.004 * n, limbs, n)
    assert np.median(np.abs(got.height - 0.004)) < 2e-4 and (got.height > 0).mean() > 0.99
    assert np.percentile(np.linalg.norm(got.place - m.template[m.faces[faces]].mean(1), axis=1), 97) < 0.006


def test_inside_of_a_thigh_stays_on_its_leg(tailor):
    """Points half a step beyond the middle between the legs still belong to the leg that moves them."""
    body, m = tailor.body, tailor.body.model
    inner = np.nonzero((m.part == JOINT["left_hip"]) & (np.abs(body.vertices[:, 0]) < 0.05))[0]
    assert len(inner) > 20
    points = body.vertices[inner] - [0.06, 0, 0]
    limbs = np.tile(np.eye(5)[0], (len(inner), 1))
    got = body.find(points, limbs, np.tile([-1.0, 0, 0], (len(inner), 1)))
    assert (got.place[:, 0] > -0.005).mean() > 0.95
    other = body.find(points, np.tile(np.eye(5)[1], (len(inner), 1)), np.tile([1.0, 0, 0], (len(inner), 1)))
    assert (other.place[:, 0] < 0.005).mean() > 0.95


def test_mip_levels_average_light_and_ignore_what_is_cut_away():
    checks = np.full((8, 8, 4), 255, np.uint8)
    checks[::2, ::2, :3] = checks[1::2, 1::2, :3] = 0
    assert (textures.levels(checks, 8)[1][..., :3] == 188).all()            # half the light, not half the number
    hair = np.zeros((8, 8, 4), np.uint8)
    hair[..., 1] = 255                                                      # green where nothing is seen
    hair[:, ::2] = (200, 0, 0, 255)
    for level in textures.levels(hair, 8)[1:]:
        assert (level[..., 0] == 200).all() and (level[..., 1] == 0).all() and (level[..., 3] == 128).all()
    first = textures.levels(hair, 8)[0]
    assert (first[..., 0] == 200).all() and (first[:, 1::2, 3] == 0).all()


def test_texture_table_finds_every_texel():
    rng = np.random.default_rng(1)
    pictures = [("a", rng.integers(0, 256, (8, 16, 4), dtype=np.uint8), 16), ("b", np.full((5, 3, 4), 255, np.uint8), 16)]
    pictures[0][1][..., 3] = 255
    t = textures.table(pictures)
    assert t.names == ("a", "b") and t.width[0].tolist() == [16, 8, 4, 2, 1] and t.height[0].tolist() == [8, 4, 2, 1, 1]
    assert t.width[1].tolist() == [3, 1, 1, 1, 1] and (t.offset[1, 2:] == t.offset[1, 2]).all()
    for y, x in ((0, 0), (7, 15), (3, 4)):
        assert (t.texels[t.offset[0, 0] + y * 16 + x].numpy() == pictures[0][1][y, x]).all()
    last = t.offset + t.width * t.height
    assert int(last.max()) == len(t.texels)


def test_body_model_is_the_one_the_shape_was_regressed_on():
    """A tall body of the sampler comes out tall in our body, to the centimetre."""
    base, model = base_mesh.load(), BodyModel.load()
    k = base_mesh.bodies().k[:40]
    skin = base.groups["skin"].numpy()
    tall = np.ptp(base.mean[skin, 2].numpy()[:, None] + base.modes[skin, 2].numpy() @ k.T, axis=0)
    ours = [model.standing_height(base.betas_mean.numpy() + x @ base.betas.numpy()) for x in k]
    assert np.abs(tall - ours).mean() < 0.015
