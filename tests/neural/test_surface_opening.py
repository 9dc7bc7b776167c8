"""Arms that touch: opened, solved apart, brought back. On a body made of boxes and capsules, and on the one that ships."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from neural.body import poses
from neural.body.model import BodyModel
from neural.body.skinning import skin
from neural.context import Context
from neural.contract.frames import Camera
from neural.contract.job import Preset
from neural.contract.joints import JOINT
from neural.geometry import figure
from neural.geometry.layers import CHAIN_OF_PIECE, CHAINS, PIECES
from neural.geometry.opening import between, carry_back, off_shoulder, on_own_side, open_pose, own_chain, shares, to_shoulder
from neural.geometry.part_cut import torn_faces
from neural.geometry.topology import face_components, has_manifold_vertices, is_watertight
from neural.stages.s05_parts import Normals
from neural.stages.s06_depth import Depths
from neural.stages.s07_points import BODY, Points, oriented_points
from neural.stages.s09_surface import solve_surface
from neural.stages.s11_rig import bind_rig, pose_vertices

SIDE = 256
CAMERA = Camera.from_fov(SIDE, SIDE, 45)


class Thing(SimpleNamespace):
    """Like the stages' dataclasses it can be referred to weakly."""


@dataclass(frozen=True)
class Small(Context):
    @property
    def sizes(self):
        return Preset("test", SIDE, 7, 8000, 256)


def standing(hang: float, elbow: float = 0.0):
    """The default body before the camera, arms `hang` degrees below the horizontal, elbows bent forwards."""
    model, pose = BodyModel.load(), np.array(poses.T_POSE)
    pose[0] = (np.pi, 0, 0)
    for side, sign in (("left", 1), ("right", -1)):
        pose[JOINT[f"{side}_shoulder"], 2] = -sign * np.radians(hang)
        pose[JOINT[f"{side}_elbow"], 1] = -sign * np.radians(elbow)
    place = np.array([0.0, 0.1, 2.6])
    vertices, joints, transforms = model.posed(pose, None, 1.0, place)
    rest, rest_joints = model.shaped()
    return Thing(vertices=vertices.astype(np.float32), joints=joints, faces=model.faces, weights=model.weights, part=model.part,
                 rest_vertices=rest, rest_joints=rest_joints, camera_from_rest=transforms, pose=pose,
                 height_m=model.standing_height(), fingers=None)


def seen(body):
    """Person, normals, depths and points of a body seen by the camera, through the prior."""
    from neural.geometry.raster import rasterize
    mask = rasterize(body.vertices, body.faces, CAMERA).hit
    person = Thing(camera=CAMERA, mask=mask.astype(np.float32), inside=np.ones((SIDE, SIDE), bool), face=None, facing="front",
                             landmarks=np.zeros((33, 2)), visibility=np.zeros(33))
    maps = figure.compose(figure.prior_of(person, body, Small()), CAMERA, person.mask, person.inside)
    pieces = [np.where(maps.mask, o + 1, 0).astype(np.uint8) for o in (maps.owner_front, maps.owner_back)]
    depths = Depths(maps.front, maps.back, maps.mask, maps.mask.astype(np.float32), "test", (), *pieces)
    normals = Normals(maps.normal_front, maps.normal_back)
    return person, normals, depths, oriented_points(person, body, normals, depths, Small())


@pytest.fixture(scope="module")
def touching():
    body = standing(84)
    person, normals, depths, points = seen(body)
    return body, person, depths, points, solve_surface(person, body, depths, points, Small())


def test_arms_that_hang_at_the_body_are_opened(touching):
    body, person, depths, points, surface = touching
    assert points.opened == ("left_arm", "right_arm")
    assert surface.method.split("+part-cut")[0] == "screened-poisson+opened(left_arm,right_arm)"
    assert surface.watertight and is_watertight(surface.faces) and has_manifold_vertices(surface.faces)
    assert face_components(surface.faces, len(surface.vertices))[0] == 1
    assert points.piece.shape == points.kind.shape and points.piece.min() >= 1 and points.piece.max() <= len(PIECES)
    assert (points.kind == BODY).any() and not np.array_equal(surface.bind_vertices, surface.vertices)


def test_the_surface_returns_to_where_it_was_seen(touching):
    from neural.geometry.raster import rasterize
    _, person, depths, _, surface = touching
    drawn = rasterize(surface.vertices, surface.faces, CAMERA)
    both = drawn.hit & depths.mask
    error = np.abs(drawn.depth - depths.front)[both]
    assert both.sum() > 0.985 * (drawn.hit | depths.mask).sum()
    assert np.median(error) < 0.001 and np.percentile(error, 90) < 0.006   # 11 mm pixels


def test_an_arm_s_inner_side_and_the_flank_have_points(touching):
    """Surfaces that no depth map shows, since they stand edge-on between arm and trunk: without points there the solver makes webs and lumps."""
    from neural.geometry.normals import vertex_normals
    body, _, _, points, _ = touching
    out = vertex_normals(body.vertices, body.faces)
    arm = (own_chain(body, ("left_arm",)) > 0) & (to_shoulder(body, points.opened) > 0.1)
    trunk = (own_chain(body, ("left_arm",)) == 0) & (body.vertices[:, 0] > 0)
    chain, left = CHAIN_OF_PIECE[points.piece], CHAINS.index("left_arm")
    for mine, rows, sign in ((chain == left, arm, -1), (chain == 0, trunk, 1)):
        side = mine & (points.normals[:, 0] * sign > 0.5) & (points.kind == BODY) & (points.xyz[:, 0] > 0)
        looks = rows & (out[:, 0] * sign > 0.5)
        assert side.sum() > 20 and looks.sum() > 20
        assert np.median(cKDTree(body.vertices[looks]).query(points.xyz[side])[0]) < 0.03       # 11 mm pixels
    arms = own_chain(body, points.opened)
    piece = np.array([PIECES.index(n) + 1 for n in ("torso", "left_arm", "right_arm")])[arms]
    away = off_shoulder(body, points.opened, body.vertices, piece)
    assert away[arm].all() and not away[to_shoulder(body, points.opened) < 0.04].any()


def test_no_web_at_rest(touching):
    """At rest no face spans from arm to trunk; the surface solved in the photo's pose has a web of them."""
    body, person, depths, points, surface = touching
    joined = solve_surface(person, None, depths, Points(points.xyz, points.normals, points.kind), Small())
    alone = SimpleNamespace(vertices=joined.vertices, faces=joined.faces, normals=joined.normals, bind_vertices=joined.vertices)
    rigs = {"opened": bind_rig(body, surface, Small()), "joined": bind_rig(body, alone, Small())}
    torn = {name: int(torn_faces(one.vertices, rigs[name].rest_vertices, one.faces, 4.0, 0.08).sum())
            for name, one in (("opened", surface), ("joined", joined))}
    assert torn["joined"] > 100 and torn["opened"] < 0.15 * torn["joined"], torn
    assert np.abs(pose_vertices(rigs["opened"], body.camera_from_rest) - surface.vertices).max() < 0.0005


def test_nothing_touches_nothing_changes():
    body = standing(40)
    person, normals, depths, points = seen(body)
    assert points.opened == ()
    blind = Depths(depths.front, depths.back, depths.mask, depths.confidence)       # pieces not known: the way without limbs
    plain = oriented_points(person, body, normals, blind, Small())
    assert np.array_equal(plain.xyz, points.xyz) and np.array_equal(plain.normals, points.normals)
    first = solve_surface(person, body, depths, points, Small())
    second = solve_surface(person, body, depths, plain, Small())
    assert first.method.split("+part-cut")[0] == "screened-poisson" and np.array_equal(first.vertices, second.vertices)
    assert first.bind_vertices is first.vertices and np.array_equal(first.bind_from_rest, body.camera_from_rest)


def test_points_go_and_come_back_exactly_where_nothing_blends():
    body = standing(84, 60)
    opening = open_pose(body, ("left_arm",))
    mine = np.isin(body.part, [JOINT[f"left_{n}"] for n in ("shoulder", "elbow", "wrist", "hand")])
    piece = np.where(mine, PIECES.index("left_arm") + 1, PIECES.index("torso") + 1).astype(np.uint8)
    from neural.geometry.normals import vertex_normals
    moved, turned, carried = shares(opening, body, body.vertices.astype(float), vertex_normals(body.vertices, body.faces), piece)
    assert np.median(np.linalg.norm(moved - opening.vertices, axis=1)) < 0.002     # the points are the body's own
    assert np.percentile(np.linalg.norm(moved - opening.vertices, axis=1), 99) < 0.03
    assert np.abs(np.linalg.norm(turned, axis=1) - 1).max() < 1e-6
    still = np.isin(body.part, [JOINT["left_knee"], JOINT["right_elbow"], JOINT["right_wrist"]])
    assert np.array_equal(moved[still], body.vertices[still].astype(float))
    back = carry_back(opening, carried, moved, body.faces, 0.02)
    assert np.percentile(np.linalg.norm(back - body.vertices, axis=1), 99) < 0.004


def test_the_opened_pose_is_open_and_rigid():
    body = standing(88, 80)
    opening = open_pose(body, ("left_arm",))
    place = lambda t, j: t[JOINT[j], :3, :3] @ body.rest_joints[JOINT[j]] + t[JOINT[j], :3, 3]
    t = opening.bind_from_rest
    upper, fore = (place(t, b) - place(t, a) for a, b in (("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist")))
    unit = lambda v: v / np.linalg.norm(v)
    assert np.degrees(np.arccos(unit(upper)[1])) == pytest.approx(60, abs=1)          # camera y points down
    assert np.degrees(np.arccos(unit(upper) @ unit(fore))) < 26
    for j in ("left_shoulder", "left_elbow"):                                        # joints hold together
        assert np.allclose(place(t, j), t[JOINT[j] - 2 if j == "left_elbow" else JOINT["left_collar"], :3, :3] @ body.rest_joints[JOINT[j]]
                           + t[JOINT[j] - 2 if j == "left_elbow" else JOINT["left_collar"], :3, 3], atol=1e-9)
    assert np.allclose(t[:, :3, :3] @ np.swapaxes(t[:, :3, :3], 1, 2), np.eye(3), atol=1e-9)
    assert np.allclose(opening.vertices, skin(body.rest_vertices, body.weights, t))
    untouched = [j for j in range(24) if opening.column[j] == 0]
    assert np.array_equal(t[untouched], body.camera_from_rest[untouched])
    assert open_pose(body, ()) is None


def test_smallest_turns():
    rng = np.random.default_rng(0)
    for a, b in [*rng.normal(size=(20, 2, 3)), np.array([[1.0, 0, 0], [-1, 0, 0]]), np.array([[0, 2.0, 0], [0, 1, 0]])]:
        turn = between(a, b)
        assert np.allclose(turn @ a / np.linalg.norm(a), b / np.linalg.norm(b)) and np.linalg.det(turn) == pytest.approx(1)
        half = between(a, b, 0.5)
        assert np.allclose(half @ half, turn, atol=1e-7)


def test_hidden_points_stay_on_their_own_limb():
    body = standing(84)
    arm = body.part == JOINT["left_shoulder"]
    far = arm & (np.linalg.norm(body.vertices - body.joints[JOINT["left_shoulder"]], axis=1) < 0.10)
    chest = body.part == JOINT["spine2"]
    xyz = np.concatenate([body.vertices[far], body.vertices[chest]])
    trunk = np.full(len(xyz), PIECES.index("torso") + 1)
    own = on_own_side(body, ("left_arm",), xyz, trunk)
    assert own[far.sum():].all() and not own[:far.sum()].any()
    assert CHAIN_OF_PIECE[trunk].max() == 0


def test_what_is_remembered_goes_with_its_person():
    body = standing(40)
    person = Thing(camera=CAMERA, mask=np.ones((SIDE, SIDE), np.float32), inside=np.ones((SIDE, SIDE), bool),
                             landmarks=np.zeros((33, 2)), visibility=np.zeros(33))
    prior = figure.prior_of(person, body, Small())
    assert figure.prior_of(person, body, Small()) is prior and "prior" in figure._last
    del person
    assert "prior" not in figure._last


RADIUS, LENGTH, SHOULDER = 0.05, 0.5, np.array([0.17, 0.2, 0.0])
HALF = np.array([0.12, 0.32, 0.1])                                     # of the trunk: the hanging arm touches its side


def box_grid(n: int = 24):
    """Surface points, outward normals and triangles of the trunk, faces not joined along its edges."""
    a, b = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n))
    points, normals, faces = [], [], []
    quad = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    for axis in range(3):
        for sign in (-1, 1):
            p = np.zeros((n * n, 3))
            p[:, axis], p[:, axis - 2], p[:, axis - 1] = sign, a.ravel() * sign, b.ravel()
            faces.append(np.concatenate([np.stack([quad, quad + 1, quad + n], 1), np.stack([quad + 1, quad + n + 1, quad + n], 1)])
                         + len(points) * n * n)
            points.append(p * HALF)
            normals.append(np.eye(3)[[axis] * n * n] * sign)
    return np.concatenate(points), np.concatenate(normals), np.concatenate(faces)


def capsule(rows: int = 60, around: int = 32):
    """A capsule along +x from within the trunk: points, normals, triangles."""
    angle, t = np.arange(around) * 2 * np.pi / around, np.linspace(0, 1, rows)
    body = np.where(t < 0.85, t / 0.85, 1.0)
    lat = np.where(t < 0.85, 0.0, (t - 0.85) / 0.15 * np.pi / 2 * 0.98)
    x = SHOULDER[0] - 0.12 + body * (LENGTH + 0.12) + RADIUS * np.sin(lat)
    n = np.stack([np.repeat(np.sin(lat), around), np.tile(np.cos(angle), rows) * np.repeat(np.cos(lat), around),
                  np.tile(np.sin(angle), rows) * np.repeat(np.cos(lat), around)], 1)
    p = RADIUS * n
    p[:, 0] = np.repeat(x, around)
    i, j = np.divmod(np.arange((rows - 1) * around), around)
    k = (j + 1) % around
    f = np.concatenate([np.stack([i * around + j, (i + 1) * around + j, i * around + k], 1),
                        np.stack([i * around + k, (i + 1) * around + j, (i + 1) * around + k], 1)])
    return p + [0, SHOULDER[1], 0], n, f


def test_a_capsule_that_touches_a_box():
    """A trunk of a box, an arm of a capsule turned down at the shoulder until it lies along the trunk's side."""
    (bv, bn, bf), (cv, cn, cf) = box_grid(), capsule()
    rest, rest_n = np.concatenate([bv, cv]), np.concatenate([bn, cn])
    faces = np.concatenate([bf, cf + len(bv)])
    on_arm = np.clip((cv[:, 0] - SHOULDER[0]) / 0.06 + 0.5, 0, 1)
    weights = np.zeros((len(rest), 24))
    weights[:len(bv), JOINT["spine3"]] = 1
    weights[len(bv):, JOINT["left_shoulder"]], weights[len(bv):, JOINT["spine3"]] = on_arm, 1 - on_arm
    joints = np.zeros((24, 3))
    joints[[JOINT[f"left_{n}"] for n in ("shoulder", "elbow", "wrist", "hand")]] = SHOULDER + np.outer([0, 0.25, 0.45, 0.5], [1, 0, 0])
    place = np.eye(4)
    place[:3, :3], place[:3, 3] = np.diag([1.0, -1, -1]), [0, 0, 2.5]
    down = np.eye(4)
    down[:3, :3] = between(np.array([1.0, 0, 0]), np.array([0, -1.0, 0]))
    down[:3, 3] = SHOULDER - down[:3, :3] @ SHOULDER
    transforms = np.tile(place, (24, 1, 1))
    for name in ("shoulder", "elbow", "wrist", "hand"):
        transforms[JOINT[f"left_{name}"]] = place @ down
    vertices = skin(rest, weights, transforms)
    turned = np.einsum("vab,vb->va", np.einsum("vj,jab->vab", weights, transforms[:, :3, :3]), rest_n)
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    body = Thing(vertices=vertices, faces=faces, weights=weights, rest_vertices=rest, rest_joints=joints, camera_from_rest=transforms,
                 part=np.argmax(weights, 1).astype(np.uint8), height_m=1.0)
    arm = np.argmax(weights, 1) == JOINT["left_shoulder"]
    inner = np.zeros(len(rest), bool)
    inner[len(bv):] = (np.abs(cv[:, 0]) < HALF[0])                       # the capsule's root within the trunk
    inner[:len(bv)] = (np.hypot(bv[:, 1] - SHOULDER[1], bv[:, 2]) < RADIUS) & (bv[:, 0] > 0.11)
    piece = np.where(arm, PIECES.index("left_arm") + 1, PIECES.index("torso") + 1).astype(np.uint8)
    keep = ~inner
    points = Points(vertices[keep].astype(np.float32), turned[keep].astype(np.float32), np.zeros(keep.sum(), np.uint8), piece=piece[keep],
                    opened=("left_arm",))
    person = Thing(camera=CAMERA, inside=np.ones((SIDE, SIDE), bool), landmarks=np.zeros((33, 2)), visibility=np.zeros(33))
    body.joints = np.einsum("jab,jb->ja", transforms[:, :3, :3], joints) + transforms[:, :3, 3]
    surface = solve_surface(person, body, None, points, Small())
    assert surface.watertight and is_watertight(surface.faces) and face_components(surface.faces, len(surface.vertices))[0] == 1
    from scipy.spatial import cKDTree
    away = cKDTree(vertices[keep]).query(surface.vertices)[0]
    assert np.median(away) < 0.008 and np.percentile(away, 99) < 0.025   # body points lie 1 to 2 cm apart
    v = (surface.vertices - place[:3, 3]) @ place[:3, :3]                # body frame: the arm hangs along the trunk's side
    low = v[:, 1] < SHOULDER[1] - 0.15
    gap_arm = np.abs(np.hypot(v[:, 0] - SHOULDER[0], v[:, 2]) - RADIUS)
    bind = (surface.bind_vertices - place[:3, 3]) @ place[:3, :3]
    follows = np.linalg.norm(bind - v, axis=1) > 0.05                    # what was swung away
    assert follows[low & (v[:, 0] > SHOULDER[0] + 0.01)].all() and not follows[low & (v[:, 0] < HALF[0] - 0.03)].any()
    assert gap_arm[low & follows & (v[:, 1] > -0.25)].max() < 0.02       # a whole tube again, on its inner side too
    edge = surface.faces[low[surface.faces].all(1)]
    assert not (follows[edge].any(1) & ~follows[edge].all(1)).any()      # below the armpit no face joins the two
    free = solve_surface(person, body, None, Points(points.xyz, points.normals, points.kind), Small())
    w = (free.vertices - place[:3, 3]) @ place[:3, :3]
    assert (np.hypot(w[:, 0] - HALF[0], w[:, 2]) < 0.02)[w[:, 1] < 0].sum() < (np.hypot(v[:, 0] - HALF[0], v[:, 2]) < 0.02)[v[:, 1] < 0].sum()
