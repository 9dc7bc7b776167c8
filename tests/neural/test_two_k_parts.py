"""Parts: which are placed, where, and what happens when joints are missing."""

import numpy as np
import pytest
import torch

from neural.contract.joints import LANDMARKS
from neural.nets.blocks.fill import filled
from neural.nets.blocks.warp import centre_box, coverage, enlarged, grid_of, inverse, landing_box
from neural.nets.two_k.config import COMPACT, PAPER
from neural.nets.two_k.door import joints_from_landmarks
from neural.nets.two_k.parts import INDEX, JOINTS, PARTS, place

ROW = {p.name: i for i, p in enumerate(PARTS)}


def joints(**given) -> np.ndarray:
    out = np.full((31, 2), np.nan)
    for name, at in given.items():
        out[INDEX[name]] = at
    return out


def test_a_limb_lands_on_its_targets():
    """Upper leg of the canonical length, upright: only moved. Twice as long: shrunk to it. Half as long: kept."""
    for length, scale in ((0.25, 1.0), (0.5, 0.5), (0.125, 1.0)):
        found = place(joints(left_hip=(0.2, 0.1), left_knee=(0.2, 0.1 + length)))
        assert found.present.tolist() == [i == ROW["left_upper_leg"] for i in range(12)]
        m = found.image_to_part[ROW["left_upper_leg"]]
        assert m[:, :2] == pytest.approx(scale * np.eye(2), abs=1e-6)
        middle = m @ [0.2, 0.1 + length / 2, 1]
        want = np.mean(PARTS[ROW["left_upper_leg"]].targets, 0) * (min(length / 0.25, 1))
        assert middle == pytest.approx(want, abs=1e-6)


def test_a_turned_limb_is_upright_in_its_patch():
    found = place(joints(right_shoulder=(0.3, 0.0), right_elbow=(0.1, 0.0)))
    m = found.image_to_part[ROW["right_upper_arm"]]
    bone = m[:, :2] @ [-0.2, 0.0]
    assert bone == pytest.approx([0.0, 0.2], abs=1e-6)
    back = found.part_to_image[ROW["right_upper_arm"]]
    assert m[:, :2] @ back[:, :2] == pytest.approx(np.eye(2), abs=1e-5)


def test_a_missing_point_is_left_out_where_the_release_puts_it_in_the_middle():
    foot = dict(left_big_toe=(0.5, 0.85), left_small_toe=(0.52, 0.84), left_heel=(0.5, 0.76), left_ankle=(0.5, 0.75))
    whole = place(joints(**foot)).image_to_part[ROW["left_foot"]]
    less = place(joints(**{k: v for k, v in foot.items() if k != "left_small_toe"})).image_to_part[ROW["left_foot"]]
    scale = lambda m: np.hypot(m[0, 0], m[1, 0])
    assert scale(less) == pytest.approx(scale(whole), rel=0.15)
    full = joints(**{n: (0.01 * i, 0.02 * i) for i, n in enumerate(JOINTS)})
    full[[INDEX[k] for k in foot]] = list(foot.values())
    full[INDEX["left_small_toe"]] = np.nan
    assert scale(place(full, released=True).image_to_part[ROW["left_foot"]]) < 0.5 * scale(whole)


def test_hands_use_the_points_that_there_are_and_none_is_no_end():
    arm = dict(left_elbow=(0.2, 0.0), left_wrist=(0.2, 0.2))
    without = place(joints(**arm))
    assert without.present[ROW["left_lower_arm"]]
    with_hand = place(joints(**arm, left_hand_1=(0.2, 0.25)))
    assert with_hand.present[ROW["left_lower_arm"]]
    ears = dict(left_ear=(0.1, -0.7), right_ear=(-0.1, -0.7), left_shoulder=(0.2, -0.5), right_shoulder=(-0.2, -0.5))
    with pytest.raises(ValueError, match="left_hand"):
        place(joints(**arm, **ears), released=True)


@pytest.mark.parametrize("given", [
    {}, {"left_hip": (0, 0)}, {"left_hip": (0.1, 0.1), "left_knee": (0.1, 0.1)}, {"left_hip": (1.2, 0.1), "left_knee": (1.3, 0.4)},
    {"left_hip": (0.1, 0.1), "left_knee": (0.101, 0.1)}])
def test_parts_without_evidence_are_absent(given):
    assert not place(joints(**given)).present.any()


def test_landmarks_of_both_kinds_name_the_joints():
    points = np.arange(33 * 2, dtype=float).reshape(33, 2)
    out = joints_from_landmarks(points, LANDMARKS)
    assert np.isfinite(out).all()
    assert out[INDEX["left_big_toe"]] == pytest.approx(points[LANDMARKS.index("left_foot_index")])
    assert out[INDEX["right_hand_3"]] == pytest.approx(points[LANDMARKS.index("right_pinky")])
    more = (*LANDMARKS, "left_small_toe")
    out = joints_from_landmarks(np.concatenate([points, [[7.0, 8.0]]]), more)
    assert out[INDEX["left_small_toe"]] == pytest.approx([7, 8])


def test_sizes_follow_the_canvas():
    half = PAPER.at(1024)
    assert half.patches == ((184, 160), (264, 168), (176, 112), (136, 128), (88, 64)) and half.blur == (7, 2.5) and half.coarse == 128
    for canvas in (512, 1024, 2048):
        ours = COMPACT.at(canvas)
        assert ours.coarse == 256 and all(h % 16 == 0 and w % 16 == 0 for h, w in ours.patches)
        assert all(h >= canvas / 2048 * H for (h, _), (H, _) in zip(ours.patches, PAPER.patches))
    with pytest.raises(ValueError):
        COMPACT.at(900)


def test_a_box_of_a_grid_is_the_grid_of_the_box():
    torch.manual_seed(0)
    maps = torch.randn(2, 2, 3)
    whole = torch.nn.functional.affine_grid(maps, [2, 1, 64, 64], align_corners=False)
    box = (10, 31, 7, 50)
    assert torch.equal(grid_of(maps, 64, box), whole[:, 10:31, 7:50])
    ones = torch.nn.functional.grid_sample(torch.ones(2, 1, 64, 64), whole, align_corners=False)
    assert (coverage(whole, 64) - ones).abs().max() < 1e-5


def test_patches_land_within_their_box():
    maps = torch.tensor([[0.8, -0.5, 0.3], [0.5, 0.8, -0.4]])
    frame = centre_box(128, 40, 24)
    picture = torch.zeros(1, 1, 128, 128)
    picture[:, :, frame[0]:frame[1], frame[2]:frame[3]] = 1
    grid = torch.nn.functional.affine_grid(inverse(maps)[None], [1, 1, 128, 128], align_corners=False)
    there = torch.nonzero(torch.nn.functional.grid_sample(picture, grid, align_corners=False)[0, 0] > 0)
    top, bottom, left, right = landing_box(maps, 128, frame)
    assert there.amin(0).tolist() >= [top, left] and there[:, 0].max() < bottom and there[:, 1].max() < right
    assert (bottom - top) * (right - left) < 1.4 * 128 * 128 / 4


def test_enlarged_is_a_part_of_the_enlarged():
    x = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    whole = torch.nn.functional.interpolate(x, scale_factor=4, mode="bilinear", align_corners=False)
    for box in ((0, 64, 0, 64), (12, 40, 20, 64), (5, 7, 0, 3)):
        assert (enlarged(x, 4, box) - whole[..., box[0]:box[1], box[2]:box[3]]).abs().max() < 1e-6


def test_filling_keeps_what_is_known_and_carries_on_the_rest():
    weight = torch.zeros(1, 1, 32, 32)
    weight[:, :, 8:24, 4:12] = 1
    assert (filled(3 * weight, weight) - 3).abs().max() < 1e-5                  # a constant stays one everywhere
    x = torch.linspace(-1, 1, 32).expand(1, 1, 32, 32)
    out = filled(x * weight, weight)
    assert (out - x)[weight > 0].abs().max() < 1e-6 and out.min() >= -1 and out.max() <= 1
    assert filled(0 * x, 0 * weight).abs().max() == 0
