"""The geometry around the landmark networks, with stand-ins for the networks: no model file is needed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from neural.contract.errors import EngineError
from neural.contract.joints import LANDMARK
from neural.nets.landmarks import LandmarkNets, canvas, describe, face, hands, matte
from neural.nets.landmarks.anchors import FACE, PALM, POSE, centres, decode, iou, suppress
from neural.nets.landmarks.pose import refine_on_heatmap, roi_from_circle
from neural.nets.landmarks.people import windows
from neural.nets.landmarks.roi import Pyramid, Roi, detect


def test_anchor_counts_and_order():
    assert [len(centres(s)) for s in (POSE, FACE, PALM)] == [2254, 2304, 2016]
    a = centres(POSE)
    assert np.allclose(a[0], [0.5 / 28, 0.5 / 28]) and np.allclose(a[1], a[0])           # two in a cell
    assert np.allclose(a[2], [1.5 / 28, 0.5 / 28]) and np.allclose(a[-1], [6.5 / 7, 6.5 / 7])   # x runs first


def test_decode_gives_the_box_that_was_encoded():
    index = 28 * 2 * 10 + 2 * 4 + 1                 # row 10, column 4
    raw, logits = np.zeros((2254, 12), np.float32), np.full((2254, 1), -10, np.float32)
    raw[index] = [5, -7, 40, 60, 1, 2, 3, 4, 5, 6, 7, 8]
    logits[index] = 2
    scores, boxes, points = decode(POSE, raw, logits)
    x, y = 4.5 / 28 + 5 / 224, 10.5 / 28 - 7 / 224
    assert scores == pytest.approx([1 / (1 + np.exp(-2))])
    assert np.allclose(boxes, [[x - 20 / 224, y - 30 / 224, x + 20 / 224, y + 30 / 224]])
    assert np.allclose(points[0] * 224, [[4.5 * 8 + a, 10.5 * 8 + b] for a, b in ((1, 2), (3, 4), (5, 6), (7, 8))], atol=1e-4)


def test_suppression_takes_the_weighted_mean_of_one_person_and_keeps_two():
    boxes = np.array([[0, 0, 1, 1], [0.1, 0, 1.1, 1], [3, 3, 4, 4]], float)
    keypoints = boxes.reshape(3, 2, 2)
    s, b, k = suppress(np.array([0.9, 0.6, 0.7]), boxes, keypoints, 0.3)
    assert s.tolist() == [0.9, 0.7]
    assert np.allclose(b[0], [0.04, 0, 1.04, 1]) and np.allclose(b[1], boxes[2]) and np.allclose(k.reshape(2, 4), b)
    assert iou(boxes[0], boxes)[1] == pytest.approx(0.9 / 1.1)


class OneHit:
    """Stands for the nets: a detector that sees one thing, at a place of its 224 x 224 input."""

    def __init__(self, x: float, y: float):
        self.x, self.y, self.seen = x, y, None

    def run(self, net, image):
        self.seen = image
        raw, logits = np.zeros((2254, 12), np.float32), np.full((2254, 1), -10, np.float32)
        raw[0] = [self.x - 4, self.y - 4, 20, 20] + [self.x - 4, self.y - 4] * 4
        logits[0] = 3
        return raw, logits


def test_detections_come_back_in_photo_pixels():
    rgb = np.zeros((300, 600, 3), np.uint8)
    rgb[:] = 255
    nets = OneHit(56, 112)
    hit, = detect(nets, POSE, Pyramid(rgb), Roi(300, 150, 600))
    assert np.allclose(hit.keypoints, [150, 150], atol=1e-3)        # letterboxed: 600 pixels on 224
    assert np.allclose(hit.box, [150 - 10 * 600 / 224, 150 - 10 * 600 / 224, 150 + 10 * 600 / 224, 150 + 10 * 600 / 224])
    assert np.allclose(nets.seen[0], -1) and np.allclose(nets.seen[112], 1)     # zeros around, [-1, 1] inside


def blob(h: int, w: int, x: float, y: float, sigma: float) -> np.ndarray:
    """A soft spot at photo coordinates (x, y), drawn at pixel centres."""
    yy, xx = np.mgrid[0:h, 0:w] + 0.5
    g = 255 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * sigma ** 2))
    return np.repeat(np.round(g).astype(np.uint8)[..., None], 3, -1)


def centroid(image: np.ndarray) -> np.ndarray:
    weight = image[..., 0].astype(float)
    weight[weight < 8] = 0
    yy, xx = np.mgrid[0:image.shape[0], 0:image.shape[1]] + 0.5
    return np.array([(weight * xx).sum(), (weight * yy).sum()]) / weight.sum()


@pytest.mark.parametrize("roi", [Roi(210, 150, 100), Roi(190.3, 160.7, 260, 0.5), Roi(220, 140, 390, -2.0)])
def test_a_region_shows_the_photo_where_its_matrix_says(roi):
    x, y = 205.4, 148.2
    seen = Pyramid(blob(300, 400, x, y, 9), smallest=16).cut(roi, 128)
    m = roi.image_from_net(128)
    assert np.allclose(m[:2] @ [*centroid(seen), 1], [x, y], atol=0.15)     # sub-pixel, rotated, and shrunk


def test_region_turns_the_body_upright():
    roi = roi_from_circle(np.array([100.0, 100.0]), np.array([180.0, 100.0]))   # lying, head to the right
    assert roi.side == pytest.approx(200)
    head = np.linalg.inv(roi.image_from_net(1)) @ [180, 100, 1]
    assert np.allclose(head[:2], [0.5, 0.5 - 80 / 200])


def test_heatmap_moves_sure_points_only():
    heat = np.full((64, 64, 2), -10, np.float32)
    heat[20, 31, 0] = 8
    heat[40, 10, 1] = -1            # below one half: not believed
    out = refine_on_heatmap(np.array([[30.2, 21.9], [10.5, 41.0]]), heat)
    assert np.allclose(out[0], [31, 20], atol=0.02) and np.allclose(out[1], [10.5, 41.0])


def test_face_region_follows_a_turned_face():
    mesh = np.zeros((468, 3))
    rng = np.random.default_rng(0)
    mesh[:, :2] = rng.uniform(-30, 30, (468, 2))
    mesh[[33, 133, 362, 263], :2] = [[-20, -10], [-8, -10], [8, -10], [20, -10]]
    mesh[[61, 291, 13, 14], :2] = [[-10, 15], [10, 15], [0, 13], [0, 17]]
    mesh[0, :2], mesh[1, :2] = (-30, -40), (30, 40)
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mesh[:, :2] = mesh[:, :2] @ turn.T + [500, 300]
    roi = face.roi_from_mesh(mesh)
    assert roi.angle == pytest.approx(angle) and roi.side == pytest.approx(1.5 * 80)
    assert (roi.cx, roi.cy) == (pytest.approx(500), pytest.approx(300))


def test_hand_region_points_along_the_fingers():
    points = np.zeros((21, 3))
    points[0, :2] = (0, 0)
    for i, first in enumerate((1, 5, 9, 13, 17)):
        points[first:first + 4, 0] = (i - 2) * 8
        points[first:first + 4, 1] = -40 - 12 * np.arange(4)
    points[:, :2] = points[:, :2] @ np.array([[0, 1], [-1, 0]]).T + [100, 100]      # fingers to the left or right
    roi = hands.roi_from_points(points)
    fingers = np.linalg.inv(roi.image_from_net(1)) @ [*points[12, :2], 1]
    assert abs(fingers[0] - 0.5) < 0.02 and fingers[1] < 0.4


def test_sliding_windows_cover_the_photo():
    for part in (1.0, 0.5, 0.25):
        covered = np.zeros((70, 100), bool)
        for w in windows(1000, 700, part):
            assert w.side == 1000 * part
            x, y = int((w.cx - w.side / 2) / 10), int((w.cy - w.side / 2) / 10)
            covered[max(y, 0):y + int(w.side / 10) + 1, max(x, 0):x + int(w.side / 10) + 1] = True
        assert covered.all()


def test_missing_models_say_so(tmp_path):
    nets = LandmarkNets(tmp_path)
    for call in (nets.check, lambda: nets.input_side("pose_landmark")):
        with pytest.raises(EngineError) as info:
            call()
        assert info.value.code == "engine.models-missing" and info.value.remedy


@pytest.mark.parametrize("square, size", [((7, 5, 64), 64), ((10, -8, 90), 64), ((-4, 15, 62), 256), ((3, 2, 151), 100)])
def test_crop_finds_a_known_point_where_its_matrix_says(square, size):
    x, y = 41.3, 38.8
    image = blob(120, 160, x, y, 4)
    crop = canvas.cut(image, square, size)
    m = canvas.photo_from_canvas(square, size)
    assert crop.shape == (size, size, 3)
    assert np.allclose(m[:2] @ [*centroid(crop), 1], [x, y], atol=0.03)
    x0, y0, side = square
    assert np.allclose(m @ [0, 0, 1], [x0, y0, 1]) and np.allclose(m @ [size, size, 1], [x0 + side, y0 + side, 1])


def test_crop_repeats_the_edge_and_knows_what_is_inside():
    image = np.full((50, 80, 3), 90, np.uint8)
    image[:, 0] = (10, 20, 30)
    crop = canvas.cut(image, (-40, -20, 100), 100)
    within = canvas.inside((50, 80), (-40, -20, 100), 100)
    assert (crop[:, :41] == [10, 20, 30]).all() and (crop[:, 41:] == 90).all()
    assert within[20:70, 40:].all() and within.sum() == 50 * 60


def world_of(yaw_deg: float, lean_deg: float) -> np.ndarray:
    """(33, 3) a stick person turned by yaw (0 = facing the camera), shoulders leaning to the camera by lean."""
    p = np.zeros((33, 3))
    for sign, side in ((1, "left"), (-1, "right")):
        p[LANDMARK[f"{side}_shoulder"]] = (0.2 * sign, -0.5, 0)
        p[LANDMARK[f"{side}_hip"]] = (0.12 * sign, 0, 0)
        p[LANDMARK[f"{side}_ankle"]] = (0.1 * sign, 0.85, 0)
    a = np.radians(yaw_deg)
    p = p @ np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]).T
    b = np.radians(lean_deg)        # about X; shoulders (y < 0) come to smaller z: nearer
    return p @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]).T


def lean(world: np.ndarray) -> float:
    d = sum(world[LANDMARK[f"{s}_shoulder"]] - world[LANDMARK[f"{s}_ankle"]] for s in ("left", "right"))
    return float(np.degrees(np.arctan2(-d[2], -d[1])))


def test_lean_of_twelve_degrees_is_taken_out_in_front():
    leaning = world_of(0, describe.LEAN_FRONT_DEG)
    assert lean(leaning) == pytest.approx(12)
    assert lean(describe.without_lean(leaning)) == pytest.approx(0, abs=1e-6)
    assert np.allclose(describe.without_lean(world_of(180, 5)), world_of(180, 5))       # seen from behind: left alone
    assert np.allclose(describe.without_lean(world_of(90, 0)), world_of(90, 0))


@pytest.mark.parametrize("yaw, face_seen, expected", [
    (0, True, "front"), (40, False, "front"), (90, True, "side"), (-90, False, "side"), (180, False, "back"),
    (150, False, "back"), (180, True, "front")])
def test_facing(yaw, face_seen, expected):
    assert describe.facing(world_of(yaw, 0), face_seen) == expected


def test_parts_cut_off_are_named_once():
    inside = np.ones(33, bool)
    assert describe.cut_off(inside) == []
    inside[[LANDMARK["left_ankle"], LANDMARK["right_foot_index"], LANDMARK["left_index"]]] = False
    assert describe.joined(describe.cut_off(inside)) == "the left hand and both feet"


def disc(n: int, cx: float, cy: float, r: float) -> np.ndarray:
    y, x = np.mgrid[0:n, 0:n] + 0.5
    return np.clip(r - np.hypot(x - cx, y - cy) + 0.5, 0, 1).astype(np.float32)


def test_matte_finds_the_disc_that_a_wrong_prior_only_hints_at():
    n = 256
    truth = disc(n, 128, 128, 60)
    rng = np.random.default_rng(0)
    rgb = np.where(truth[..., None] > 0.5, [150, 90, 60], [70, 110, 140]) + rng.normal(0, 8, (n, n, 3))
    rgb = np.clip(rgb, 0, 255).astype(np.uint8)
    prior = cv2.GaussianBlur(disc(n, 131, 126, 57), (0, 0), 4)           # shifted, shrunk, blurred
    before = np.abs((prior > 0.5) * 1.0 - truth).sum() / (2 * np.pi * 60)    # mean border error in pixels
    soft = matte.tidy(matte.recolour(rgb, prior), prior, prior > 0.5)
    out = matte.soften(rgb, soft)
    after = np.abs((out > 0.5) * 1.0 - truth).sum() / (2 * np.pi * 60)
    assert before > 3 and after < 0.4 * before
    assert out.min() >= 0 and out.max() <= 1 and out.dtype == np.float32


def test_matte_of_one_colour_keeps_the_prior():
    prior = cv2.GaussianBlur(disc(256, 128, 128, 60), (0, 0), 3)
    flat = np.full((256, 256, 3), 90, np.uint8)
    out = matte.soften(flat, matte.tidy(matte.recolour(flat, prior), prior, prior > 0.5))
    assert ((out > 0.5) ^ (prior > 0.5)).mean() < 0.005


def test_tidy_fills_what_the_prior_knows_keeps_true_holes_and_drops_strangers():
    prior = 0.95 * disc(256, 110, 128, 70)
    prior = np.where(disc(256, 110, 90, 12) > 0, 0.1, prior).astype(np.float32)     # a true hole
    soft = prior.copy()
    soft[140:150, 100:110] = 0                              # a hole that the prior does not know
    soft[10:40, 220:250] = 0.9                              # a stranger's hand
    out = matte.tidy(soft, prior, prior > 0.5)
    assert (out[141:149, 101:109] > 0.5).all()
    assert out[90, 110] < 0.5 and (out[10:40, 220:250] < 0.5).all()


def test_strangers_beyond_the_pose_are_not_believed():
    pose = disc(256, 80, 128, 50)
    both = np.maximum(pose, disc(256, 200, 128, 40))
    assert matte.rough(pose, both, 0.6)[128, 200] == 0 and matte.rough(pose, both, 0.6)[128, 80] == pytest.approx(1)


def test_a_neighbour_takes_his_own_pixels_back():
    own, other = disc(256, 90, 128, 60), disc(256, 170, 128, 60)
    bleeding = np.maximum(own, 0.6 * other)                 # one's own mask reaches over to the neighbour
    out = matte.against(bleeding, bleeding, other)
    assert out[128, 190] < 0.5 and out[128, 60] == pytest.approx(1) and out[128, 130] == pytest.approx(1)
