"""The fit over a sequence: it shakes less than single frames, errs no more, bridges gaps, and its parts are what they say."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neural.body import poses
from neural.body.fit import fit
from neural.body.model import BodyModel
from neural.body.prior import pose_prior
from neural.body.rotations import matrix_from_axis_angle
from neural.contract.joints import JOINT, LANDMARK
from neural.sequence.fit import SequenceFitConfig, _windows, fit_sequence
from neural.sequence.observe import SIDE, Observed, voted
from neural.sequence.start import between, jumps, smoothed
from neural.sequence.temporal import TemporalSpreads, chain, rounding, second_difference, standing_feet, temporal_terms

sys.path.insert(0, str(Path(__file__).parent))
from sequence_people import acceleration_error, evidence_of_motion, motion, mpjpe  # noqa: E402

N = 10


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return BodyModel.load()


@pytest.fixture(scope="module")
def moving(model):
    """Noisy evidence of a person in motion, times, true joints, and the fit with one frame turned round and one missing."""
    pose, place, times = motion(N, fps=12.0)
    evidence, truth = evidence_of_motion(model, pose, place, np.random.default_rng(0))
    given = list(evidence)
    flipped = evidence[3].world * [-1, 1, -1]                  # the detector took the back for the front
    given[3] = replace(evidence[3], world=flipped)
    given[6] = None
    calls = [None if e is None else (lambda e=e: e) for e in voted(given)]
    return evidence, times, truth, fit_sequence(model, calls, times, np.ones(N), SequenceFitConfig(shape_frames=4))


def _joints(model, found) -> np.ndarray:
    return np.stack([_scaled(model, p, found.betas, t) for p, t in zip(found.poses, found.translations)])


def _scaled(model, pose, betas, place) -> np.ndarray:
    """(24, 3) joints of the body at its true height, which one camera cannot show (as the option `height` does)."""
    k = model.standing_height() / model.standing_height(betas)
    return model.posed(pose, betas, k, k * place)[1]


def test_it_shakes_at_most_half_as_much_as_single_frames_and_errs_no_more(model, moving):
    evidence, _, truth, found = moving
    single = np.stack([_scaled(model, f.pose, f.betas, f.translation) for f in (fit(model, e) for e in evidence)])
    ours = _joints(model, found)
    print(f"acceleration error {acceleration_error(single, truth, 12):.1f} -> {acceleration_error(ours, truth, 12):.1f} m/s2, "
          f"MPJPE {1000 * mpjpe(single, truth):.0f} -> {1000 * mpjpe(ours, truth):.0f} mm")
    assert acceleration_error(ours, truth, 12) < 0.5 * acceleration_error(single, truth, 12)
    assert mpjpe(ours, truth) < mpjpe(single, truth)


def test_nobody_and_a_wrong_guess_are_bridged(model, moving):
    _, _, truth, found = moving
    error = np.linalg.norm(_joints(model, found) - truth, axis=2).mean(1)
    assert error[6] < 1.5 * np.median(error) + 0.01 and not found.used[[3, 6]].any() and found.used.sum() == N - 2 and np.isnan(found.errors[6])
    assert error[3] < 1.5 * np.median(error) + 0.01
    assert all(matrix_from_axis_angle(p[0])[2, 2] < -0.9 for p in found.poses)      # the front faces the camera all the time


def test_joints_keep_to_their_limits_and_standing_feet_stay(model, moving):
    _, _, truth, found = moving
    assert max(pose_prior().violation(p) for p in found.poses) < np.radians(4)
    feet = [JOINT[f"{s}_{n}"] for s in ("left", "right") for n in ("ankle", "foot")]
    slid = np.linalg.norm(np.diff(_joints(model, found)[:, feet], axis=0), axis=2)
    assert found.contact.mean() > 0.6 and slid.max() < 0.01


def test_windows_cover_every_frame_once():
    config = SequenceFitConfig(window=40, overlap=10)
    for n in (1, 2, 39, 40, 41, 70, 71, 500):
        kept, at = [], 0
        for start, stop, keep in _windows(n, config):
            assert stop - start <= 40 and start == at and (stop - keep == 10 or stop == n == keep)
            kept += range(start, keep)
            at = keep
        assert kept == list(range(n))


def test_long_sequences_are_solved_in_windows_that_fit_together(model):
    pose, place, times = motion(9, fps=8.0)
    evidence, truth = evidence_of_motion(model, pose, place)
    config = SequenceFitConfig(window=5, overlap=2, shape_frames=2, shape_rounds=(10, 5), rounds=(10, 6))
    found = fit_sequence(model, [lambda e=e: e for e in evidence], times, np.ones(9), config)
    ours = _joints(model, found)
    step = np.linalg.norm(np.diff(ours - truth, axis=0), axis=2).max(1)
    assert step.max() < 0.03                                    # no seam: errors change little from frame to frame
    assert mpjpe(ours, truth) < 0.03


def test_second_differences_are_exact_on_parabolas_at_uneven_times():
    times = torch.tensor([0.0, 0.1, 0.4, 0.45, 1.0], dtype=torch.float64)
    value = 3.0 - 2.0 * times + 4.5 * times ** 2
    assert torch.allclose(second_difference(value[:, None], times), torch.full((3, 1), 9.0, dtype=torch.float64))


def test_the_change_of_variables_makes_the_energy_round():
    times = torch.linspace(0, 1, 12, dtype=torch.float64)
    steps, stiff = torch.rand(76, dtype=torch.float64) + 0.01, torch.rand(76, dtype=torch.float64)
    turn = rounding(steps, stiff, times, 10)
    d = second_difference(torch.eye(12, dtype=torch.float64), times)[:, 2:]
    for p in (0, 40, 75):
        h = torch.diag((1 / steps[p] ** 2).expand(10)) + stiff[p] * d.T @ d
        assert torch.allclose(turn[p].T @ h @ turn[p], torch.eye(10, dtype=torch.float64), atol=1e-8)


def test_the_chain_of_joints_is_the_bodys(model):
    pose, _, _ = motion(3)
    _, joints, _ = model.posed(pose[2])
    world, ours = chain(torch.as_tensor(matrix_from_axis_angle(pose)), torch.as_tensor(model.joint_mean))
    assert np.allclose(ours[2], joints, atol=1e-9)
    assert torch.allclose(world @ world.transpose(2, 3), torch.eye(3, dtype=torch.float64).expand_as(world), atol=1e-9)


def test_steady_motion_costs_nothing_and_a_jerk_costs():
    times = torch.arange(6, dtype=torch.float64) / 24
    joints = torch.zeros(6, 24, 3, dtype=torch.float64) + times[:, None, None] * 1.3
    world = torch.eye(3, dtype=torch.float64).expand(6, 24, 3, 3)
    none = torch.zeros(6, 2, dtype=torch.float64)
    terms = lambda j, c=none: {k: float(v) for k, v in temporal_terms(world, j, torch.zeros(6), times, c, TemporalSpreads()).items()}  # noqa: E731
    assert max(terms(joints).values()) < 1e-9
    jerked = joints.clone()
    jerked[3, 5] += 0.05
    assert terms(jerked)["acceleration"] > 10
    assert terms(joints, none + 1)["slide"] > 10                # feet that stand must not travel


def test_feet_stand_when_they_are_low_and_still():
    times = np.arange(30) / 24
    feet = np.zeros((30, 2, 3))
    feet[:, 1, 0] = 0.9 * times                                 # the right one swings through at 0.9 m/s
    feet[:, 1, 1] = -0.2
    contact = standing_feet(feet, times, np.repeat([[0.0, -1, 0]], 30, 0))
    assert contact[:, 0].min() > 0.9 and contact[:, 1].max() < 0.1


def test_smoothing_leaves_steady_motion_alone_and_fills_gaps():
    times = np.array([0, 0.1, 0.2, 0.5, 0.6, 0.7])
    line = np.stack([1 + 2 * times, -times], 1)
    trust = np.array([1.0, 1, 0, 1, 0, 1])
    broken = line.copy()
    broken[[2, 4]] = 99.0
    assert np.allclose(smoothed(broken, trust, times, np.array([1.0, 10.0])), line, atol=0.01)


def test_a_frame_that_jumps_is_found_and_one_that_moves_is_not(model):
    pose, place, times = motion(9)
    joints = np.stack([model.posed(p, None, 1.0, t)[1] for p, t in zip(pose, place)])
    assert not jumps(joints, times).any()
    wrong = joints.copy()
    wrong[4] = wrong[4] * [1, 1, -1]
    wrong[4, :, 0] = -wrong[4, :, 0]
    assert jumps(wrong, times).tolist() == [k == 4 for k in range(9)]


def test_between_is_halfway():
    pose = np.zeros((3, 24, 3))
    pose[0, 0], pose[2, 0] = (0, 0.2, 0), (0, 0.6, 0)
    got, move, _ = between(1, np.array([0, 2]), np.array([0.0, 0.5, 1.0]), pose, np.array([[0.0, 0, 0], [9, 9, 9], [1, 0, 2]]), np.zeros(3))
    assert np.allclose(got[0], (0, 0.4, 0)) and np.allclose(move, (0.5, 0, 1))


def test_evidence_is_kept_small_and_whole(model):
    evidence, _ = evidence_of_motion(model, poses.RELAXED[None] + np.eye(24, 1)[:, :, None][:, :, 0] * [np.pi, 0, 0], np.array([[0, 0.1, 2.6]]))
    e = evidence[0]
    kept = Observed.of(7, e, np.zeros(4), 0.5)
    back = kept.evidence()
    assert np.array_equal(back.mask > 0.5, e.mask > 0.5) and np.array_equal(back.inside, e.inside) and np.array_equal(back.pixels, e.pixels)
    assert kept.packed.nbytes + kept.limits.nbytes <= SIDE * SIDE / 4
    big = replace(e, view=e.view.resized(512, 512), pixels=2 * e.pixels, mask=np.repeat(np.repeat(e.mask, 2, 0), 2, 1),
                  inside=np.ones((512, 512), bool))
    small = Observed.of(7, big, np.zeros(4), 0.5).evidence()
    assert np.allclose(small.pixels, e.pixels) and np.array_equal(small.mask, e.mask) and small.view == e.view


def test_answers_do_not_flicker(model):
    pose, place, _ = motion(7)
    evidence, _ = evidence_of_motion(model, pose, place)
    bent = evidence[3].pixels.copy()
    bent[LANDMARK["left_knee"]] += [40, 0]
    evidence[3] = replace(evidence[3], pixels=bent)
    assert evidence[2].standing_leg("left") and not evidence[3].standing_leg("left")
    assert all(e.standing_leg("left") for e in voted(evidence))
