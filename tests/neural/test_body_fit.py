"""The fit: it finds a body again from its own projection, keeps to human limits, and obeys the height option."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neural.body import poses
from neural.body.evidence import Evidence, without_forward_bias
from neural.body.face import MESH_OF, head_rotation
from neural.body.fit import fit
from neural.body.lift import Attitude
from neural.body.model import BodyModel
from neural.body.objective import Objective, Spreads
from neural.body.prior import pose_prior
from neural.body.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from neural.context import Context
from neural.contract.frames import Camera
from neural.contract.job import JobOptions
from neural.contract.joints import JOINT, LANDMARK
from neural.geometry.raster import rasterize
from neural.stages.s02_person import Person
from neural.stages.s03_body import evidence_of, fit_body
from train.lifter.poses import world_of as world_rotations

SIDE = 512
FACING = np.array([np.pi, 0, 0])                               # body frame (y up, +z ahead) to a camera that looks at its face


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return BodyModel.load()


def _pose(name: str) -> np.ndarray:
    pose = poses.RELAXED.copy()
    pose[0] = FACING
    if name == "wave":
        pose[JOINT["right_shoulder"]] = (0, 0.2, -0.3)
        pose[JOINT["right_elbow"], 1] = 1.2
        pose[JOINT["left_shoulder"]] = (0, -0.2, -1.0)
    if name == "step":
        pose[JOINT["left_hip"], 0], pose[JOINT["left_knee"], 0] = -0.9, 1.1
        pose[JOINT["left_elbow"], 1] = -0.9
    if name == "back":
        pose[0] = (0, 0, np.pi)                                # shows its back, upright
    return pose


def _person(model: BodyModel, pose: np.ndarray, cut: float | None = None) -> tuple[Person, np.ndarray]:
    """A person whose landmarks and mask are the model's own projection; cut: share of the canvas that the photo covers from above."""
    camera = Camera.from_fov(SIDE, SIDE)
    place = np.array([0.05, 0.10, 2.35 if cut is None else 1.5])
    vertices, joints, _ = model.posed(pose, translation=place)
    marks = model.landmarks(vertices)[:33]
    world = marks - marks[[LANDMARK["left_hip"], LANDMARK["right_hip"]]].mean(0)
    inside = np.ones((SIDE, SIDE), bool)
    pixels = camera.project(marks)
    seen = np.ones(33)
    if cut is not None:
        inside[int(cut * SIDE):] = False
        seen[pixels[:, 1] > cut * SIDE] = 0.1
    mask = np.where(inside, rasterize(vertices, model.faces, camera).hit, 0).astype(np.float32)
    one = lambda a: np.asarray(a, np.float32)
    person = Person(np.array([[0, 0, SIDE, SIDE]], np.float32), 0, camera, np.eye(3), np.zeros((SIDE, SIDE, 3), np.uint8), inside,
                    mask, one(pixels), one(seen), one(world), None, None, None, "full" if cut is None else "upper", "front")
    return person, joints


def _own(person: Person) -> Evidence:
    """Evidence whose 3D landmarks are true (the correction for BlazePose's habits is tested apart)."""
    e = Evidence(person.camera, person.landmarks.astype(float), person.visibility.astype(float), person.landmarks_world.astype(float),
                 person.mask, person.inside, None, np.full((2, 2), np.nan), person.facing)
    return replace(e, trust=np.where(e.trust > 0.3, e.trust, 0.0))


def _aligned_error(a: np.ndarray, b: np.ndarray) -> float:
    """Mean distance after the best similarity (PA-MPJPE), metres."""
    a, b = a - a.mean(0), b - b.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    r = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    a = a @ r.T
    return float(np.linalg.norm(a * ((a * b).sum() / (a * a).sum()) - b, axis=1).mean())


@pytest.mark.parametrize("name", ["stand", "wave", "step", "back"])
def test_a_posed_body_is_found_again_from_its_own_projection(model, name):
    pose = _pose(name)
    person, joints = _person(model, pose)
    result = fit(model, _own(person))
    _, found, _ = model.posed(result.pose, result.betas, 1.0, result.translation)
    height_px = np.ptp(person.landmarks[:, 1])
    pa = _aligned_error(found, joints)
    print(f"{name}: 2D {100 * result.error_px / height_px:.2f} % of height, PA-MPJPE {1000 * pa:.1f} mm")
    assert result.error_px < 0.01 * height_px
    assert pa < 0.035
    front = matrix_from_axis_angle(result.pose[0])[:, 2]
    assert front[2] > 0.9 if name == "back" else front[2] < -0.9
    assert pose_prior().violation(result.pose) < np.radians(4)


def test_standing_people_stand(model):
    """Even when the 3D landmarks lean and bend the knees, as BlazePose's do."""
    person, _ = _person(model, _pose("stand"))
    bent = person.landmarks_world.copy()
    for side in ("left", "right"):
        bent[LANDMARK[f"{side}_knee"], 2] -= 0.09              # knees pushed to the camera
        bent[LANDMARK[f"{side}_shoulder"], 2] -= 0.07          # and the trunk leaning to it
    result = fit(model, _own(replace(person, landmarks_world=bent)))
    _, j, _ = model.posed(result.pose, result.betas, 1.0, result.translation)
    for side in ("left", "right"):
        assert result.pose[JOINT[f"{side}_knee"], 0] < np.radians(12)
    trunk = j[JOINT["neck"]] - j[JOINT["pelvis"]]
    assert abs(np.degrees(np.arctan2(trunk[2], -trunk[1]))) < 6
    head = matrix_from_axis_angle(result.pose[0])
    for joint in ("spine1", "spine2", "spine3", "neck", "head"):
        head = head @ matrix_from_axis_angle(result.pose[JOINT[joint]])
    assert np.degrees(np.arccos(-head[1, 1])) < 8              # level head


def test_wrists_seen_over_the_trunk_are_before_it(model):
    pose = _pose("stand")
    for side, s in (("left", 1), ("right", -1)):
        hang, inward = matrix_from_axis_angle(np.array([0, 0, -1.3 * s])), matrix_from_axis_angle(np.array([0.9, 0, 0]))
        pose[JOINT[f"{side}_shoulder"]] = axis_angle_from_matrix(hang @ inward)
        pose[JOINT[f"{side}_elbow"], 1] = -1.4 * s
    person, _ = _person(model, pose)
    world = person.landmarks_world.copy()
    for side in ("left", "right"):                             # the 3D landmarks say: behind the back
        world[LANDMARK[f"{side}_wrist"], 2] *= -1
    evidence = _own(replace(person, landmarks_world=world))
    assert evidence.wrist_in_front("left") and evidence.wrist_in_front("right")
    result = fit(model, evidence)
    _, j, _ = model.posed(result.pose, result.betas, 1.0, result.translation)
    for side in ("left", "right"):
        assert j[JOINT[f"{side}_wrist"]][2] < j[JOINT["spine2"]][2] - 0.05


def test_cut_legs_stand_straight_and_the_person_is_told(model):
    person, _ = _person(model, _pose("stand"), cut=0.75)
    warned = []
    body = fit_body(person, model, Context(warn=lambda code, sentence: warned.append(code)))
    assert "body.legs-unseen" in warned and "body.height-guess" in warned
    for side in ("left", "right"):
        assert abs(body.pose[JOINT[f"{side}_knee"], 0]) < np.radians(12)
        thigh = body.joints[JOINT[f"{side}_ankle"]] - body.joints[JOINT[f"{side}_hip"]]
        assert thigh[1] > 0.95 * np.linalg.norm(thigh)


def test_the_height_option_rescales_exactly_and_leaves_the_picture(model):
    person, _ = _person(model, _pose("stand"))
    guessed = fit_body(person, model, Context())
    given = fit_body(person, model, Context(options=JobOptions(height_m=1.92)))
    assert guessed.height_is_guess and not given.height_is_guess and 1.5 < guessed.height_m < 1.9
    assert abs(given.height_m - 1.92) < 1e-9 and abs(np.ptp(given.rest_vertices[:, 1]) - 1.92) < 1e-5
    k = given.height_m / guessed.height_m
    assert np.allclose(given.vertices, k * guessed.vertices, atol=1e-5)
    assert np.allclose(person.camera.project(given.joints), person.camera.project(guessed.joints), atol=1e-3)


def test_every_field_of_the_body_fits_the_others(model):
    person, _ = _person(model, _pose("wave"))
    b = fit_body(person, model, Context())
    blend = np.einsum("vj,jab->vab", b.weights.astype(float), b.camera_from_rest)
    again = np.einsum("vab,vb->va", blend[:, :3, :3], b.rest_vertices) + blend[:, :3, 3]
    assert np.abs(again - b.vertices).max() < 2e-5
    v, j, _ = model.posed(b.pose, b.betas, b.scale, b.translation)
    stiff = model.hands.weights.sum(1) == 0                  # the fingers hang at ease: nobody saw the hands
    assert np.abs(v - b.vertices)[stiff].max() < 2e-5 and np.abs(j - b.joints).max() < 2e-5
    assert b.fingers.found == ("unseen", "unseen") and np.array_equal(b.fingers.pose, b.fingers.at_ease)
    assert np.abs(b.fingers.rest_vertices - model.shaped(b.betas, b.scale)[0]).max() < 1e-5
    assert 0.005 < np.abs(v - b.vertices).max() < 0.08
    m = b.maps
    hit = np.isfinite(m.depth_front)
    assert m.depth_front.shape == (SIDE // 2, SIDE // 2) and hit.sum() > 1000
    assert (m.depth_back[hit] >= m.depth_front[hit]).all() and ((m.part_front > 0) == hit).all() and m.part_front.max() <= 24
    assert (m.normal_front[hit][:, 2] <= 0).all() and (m.normal_back[hit][:, 2] >= 0).all()
    assert np.allclose(np.linalg.norm(m.normal_front[hit], axis=1), 1, atol=1e-4)
    # the left hand of a person seen from the front is on the right of the picture
    columns = np.nonzero(m.part_front == JOINT["left_hand"] + 1)[1]
    assert columns.mean() > SIDE / 4
    mask = person.mask.reshape(SIDE // 2, 2, SIDE // 2, 2).mean((1, 3)) > 0.5
    assert (mask & hit).sum() / (mask | hit).sum() > 0.85


@pytest.mark.parametrize("turn", [(0, 0, 0), (0, 0.5, 0), (0.0, -0.4, 0.2)])
def test_the_face_mesh_turns_the_head(model, turn):
    look = matrix_from_axis_angle(np.array(turn)) @ matrix_from_axis_angle(FACING)
    points = model.landmarks(model.template)
    mesh = np.zeros((468, 3))
    camera = Camera.from_fov(SIDE, SIDE)
    for name, k in MESH_OF.items():
        mesh[k] = 900 * (look @ (points[model.landmark(name)] - points[model.landmark("nose")]))
    mesh[:, :2] += SIDE / 2
    mesh[[k for k in range(468) if k not in MESH_OF.values()]] = mesh[list(MESH_OF.values())].mean(0)
    found = head_rotation(mesh, camera, model)
    assert np.degrees(np.arccos((np.trace(found.T @ look) - 1) / 2)) < 2


def test_landmarks_outside_the_photo_count_for_nothing(model):
    person, _ = _person(model, _pose("stand"), cut=0.6)
    e = evidence_of(person, model)
    below = person.landmarks[:, 1] > 0.6 * SIDE
    assert below.any() and (e.trust[below] == 0).all() and (e.trust[~below] > 0.9).all()


def test_the_correction_of_3d_landmarks_keeps_bone_lengths_and_left_right(model):
    person, _ = _person(model, _pose("stand"))
    world = person.landmarks_world.astype(float)
    out = without_forward_bias(world)
    for a, b in (("left_hip", "left_knee"), ("right_shoulder", "right_elbow"), ("left_elbow", "left_wrist")):
        i, j = LANDMARK[a], LANDMARK[b]
        assert np.isclose(np.linalg.norm(out[j] - out[i]), np.linalg.norm(world[j] - world[i]))
        assert out[j][2] > world[j][2]                         # seen from the front, back is away from the camera
    assert np.allclose(out[:11], world[:11]) and np.abs(out[:, 0] - world[:, 0]).max() < 0.03


@pytest.mark.parametrize("joint, axis, wrong", [
    ("left_knee", 0, -0.5), ("right_knee", 0, -0.5), ("left_elbow", 1, 0.5), ("right_elbow", 1, -0.5), ("left_knee", 1, 0.4),
    ("right_elbow", 2, 0.3), ("neck", 0, 1.0), ("left_hip", 0, 1.0),
])
def test_impossible_joints_cost_far_more_than_possible_ones(joint, axis, wrong):
    import torch

    prior = pose_prior()
    good, bad = poses.RELAXED.copy(), poses.RELAXED.copy()
    bad[JOINT[joint], axis] = wrong
    good[JOINT[joint], axis] = -wrong if joint.endswith(("knee", "elbow")) and axis == (0 if "knee" in joint else 1) else 0.0
    cost = lambda p: float(prior.energy(torch.tensor(p)))
    assert cost(bad) > cost(good) + 20


def test_left_and_right_limits_mirror_each_other():
    prior = pose_prior()
    flip = np.array([1.0, -1, -1])
    for part in ("collar", "elbow", "wrist", "hip", "knee", "ankle"):
        left, right = JOINT[f"left_{part}"], JOINT[f"right_{part}"]
        low, high = prior.low[right].numpy() * flip, prior.high[right].numpy() * flip
        assert np.allclose(np.minimum(low, high), prior.low[left]) and np.allclose(np.maximum(low, high), prior.high[left])


def test_the_camera_looks_down_when_the_floor_lies_lower_than_it_should(model):
    """Feet at the middle of the picture, 3 m away: a level camera would have them below, so it looks down. At the place where a
    level camera at the usual height has them: level. Unseen feet say nothing."""
    e = _own(_person(model, _pose("relaxed"))[0])
    feet = [LANDMARK[f"{side}_{n}"] for side in ("left", "right") for n in ("ankle", "heel", "foot_index")]

    def tilt(row: float, trust: float = 1.0) -> tuple[float, float]:
        pixels, trusts = e.pixels.copy(), e.trust.copy()
        pixels[feet, 1], trusts[feet] = row, trust
        there = replace(e, pixels=pixels, trust=trusts)
        prior = pose_prior((True, True), (False, False))
        return Objective(model, there, prior, matrix_from_axis_angle(FACING), distance=3.0).tilt

    level = e.view.cy + e.view.fy * Spreads().camera_m[0] / 3.0
    assert abs(np.degrees(tilt(level)[0])) < 0.01
    assert -15 <= np.degrees(tilt(e.view.cy)[0]) < -5 and np.degrees(tilt(e.view.cy)[1]) > 2
    assert tilt(e.view.cy, 0.0)[0] == 0.0


def _lifted(model: BodyModel, pose: np.ndarray) -> Attitude:
    """A lifter's answer: this pose, not very sure."""
    marks = model.landmarks(model.posed(pose)[0])[:33]
    return Attitude(world_rotations(matrix_from_axis_angle(pose)), np.full(24, 0.2), np.full(24, 0.25), np.zeros(6),
                    marks - marks[[LANDMARK["left_hip"], LANDMARK["right_hip"]]].mean(0))


def test_who_stands_on_one_leg_does_not_crouch_because_the_lifter_says_so(model):
    pose = _pose("step")
    person, _ = _person(model, pose)
    wrong = pose.copy()
    wrong[JOINT["right_hip"], 0], wrong[JOINT["right_knee"], 0] = -0.4, 0.75
    attitude = _lifted(model, wrong)
    e = _own(person)
    e = replace(e, attitude=attitude, plain=e.world, world=attitude.landmarks)
    assert e.bears("right") and not e.bears("left") and not e.stands
    assert np.degrees(abs(fit(model, e).pose[JOINT["right_knee"], 0])) < 15
    assert not replace(e, attitude=None).bears("right")
