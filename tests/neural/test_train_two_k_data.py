"""What 2K2K is trained on: a sphere in closed form as a sample; views, targets, mirrors, changes of the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from neural.body.maps import towards
from neural.contract.joints import LANDMARK, LANDMARKS, SMPL_JOINTS
from neural.nets.two_k.config import CPU
from neural.nets.two_k.door import compact_inputs, compact_maps
from neural.nets.two_k.net import TwoK
from neural.nets.two_k.ours import rays_of
from neural.nets.two_k.parts import INDEX
from train.people.generator import to_view
from train.people.labels.check import _slope_angles
from train.people.types import Cameras
from train.two_k.augment import AugmentConfig, augment, pattern
from train.two_k.data import FIELDS, HIDDEN, RIM, Targets, batch_of, plane
from train.two_k.losses import depth_loss, mean, slopes_of, steps
from train.two_k.mirror import mirror

torch.set_num_threads(1)
SIDE, FOCAL, GUESS = 64, 80.0, 60.0


def sphere(x=0.15, y=-0.1, z=2.5, radius=0.7, side=SIDE, focal=FOCAL, centre=(30.0, 35.0)) -> dict[str, torch.Tensor]:
    """front, back depth and normals of a sphere in a camera: exact."""
    at = torch.arange(side, dtype=torch.float64) + 0.5
    ray = torch.stack([((at - centre[0]) / focal).expand(side, side), ((at - centre[1]) / focal)[:, None].expand(side, side),
                       torch.ones(side, side, dtype=torch.float64)])
    middle = torch.tensor([x, y, z], dtype=torch.float64).view(3, 1, 1)
    a, b, c = ray.square().sum(0), (ray * middle).sum(0), middle.square().sum() - radius**2
    root = b * b - a * c
    hit = root > 0
    out = {}
    for name, sign in (("front", -1), ("back", 1)):
        depth = torch.where(hit, (b + sign * root.clamp(min=0).sqrt()) / a, 0)
        out[f"depth_{name}"] = depth.float()[None]
        normal = torch.where(hit, (ray * depth - middle) / radius, 0).flatten(1).T
        out[f"normal_{name}"] = towards(normal, name).T.view(1, 3, side, side).float()
    return out


def sample() -> dict[str, torch.Tensor]:
    """A person who is a sphere, and a body that is a smaller one, seen by the camera that s03 assumes. metres: see generator._body."""
    true, body = sphere(), sphere(0.2, -0.12, 1.9, 0.45, focal=GUESS)
    joints = torch.zeros(1, 24, 3)
    joints[:, :, 0], joints[:, :, 2] = torch.linspace(-0.3, 0.6, 24), 2.5
    guess = joints.clone()
    guess[..., 2] = 1.9
    mask = true["depth_front"] > 0
    landmarks = torch.stack([torch.linspace(12, 50, 33), torch.linspace(10, 55, 33)], 1)[None]
    chance = torch.Generator().manual_seed(5)
    out = {**true, **{f"body_{k}": v for k, v in body.items()}, "joints": joints, "body_joints": guess,
           "image": torch.rand(1, 3, SIDE, SIDE, generator=chance), "visible": mask.float(), "mask_seen": mask.float(),
           "metres": torch.tensor([(1.9 / GUESS) / (2.5 / FOCAL)]), "assumed_focal": torch.tensor([GUESS]), "centre": torch.tensor([[30.0, 35.0]]),
           "border": torch.tensor([[-5.0, 3.0, 57.3, 80.0]]), "landmarks_seen": landmarks, "landmarks_trust": torch.linspace(0, 1, 33)[None]}
    for name in ("front", "back"):
        left = torch.arange(SIDE) < 30
        out[f"body_part_{name}"] = torch.where(body[f"depth_{name}"] > 0, torch.where(left, 1 + SMPL_JOINTS.index("right_hip"),
                                               1 + SMPL_JOINTS.index("left_hip")), 0).to(torch.uint8)
    return out


def test_a_sample_has_the_fields_that_training_reads():
    assert set(sample()) == set(FIELDS)


def test_the_view_is_that_of_the_assumed_camera():
    given = sample()
    view = batch_of(given).view
    assert view.focal.item() == GUESS and view.pelvis.item() == pytest.approx(1.9)
    assert view.unit.item() == pytest.approx(1.9 * SIDE / GUESS)
    rows, columns = (view.inside[0, 0].amax(k) > 0 for k in (1, 0))
    assert rows.nonzero()[[0, -1], 0].tolist() == [3, 63] and columns.nonzero()[[0, -1], 0].tolist() == [0, 56]
    assert np.allclose(view.joints[0, INDEX["left_knee"]], given["landmarks_seen"][0, LANDMARK["left_knee"]])
    lost = batch_of(given, np.random.default_rng(1)).view.joints
    assert np.isfinite(view.joints).all() and np.isnan(lost).any() and np.isfinite(lost).any()
    body = compact_inputs(view).body
    assert body.depth[body.hit.expand(-1, 2, -1, -1) == 0].abs().max() == 0 and body.depth.abs().max() < 0.5


def test_targets_go_to_metres_and_back():
    """What the network is asked for comes out of the door as the depth in the frame of s03's body."""
    given = sample()
    batch = batch_of(given)
    t = batch.targets
    raw = torch.cat([t.depth, torch.where(t.mask > 0, 9.0, -9.0), torch.zeros(1, 2, SIDE, SIDE)], 1)
    maps = compact_maps(batch.view, torch.cat([t.normals, torch.zeros(1, 2, SIDE, SIDE)], 1), raw)
    there = given["depth_front"][0] > 0
    for k, name in enumerate(("front", "back")):
        want = to_view(given[f"depth_{name}"], given)[0] - plane(t.lean, SIDE)[0, 0] * batch.view.unit
        assert (maps.depth[0, k] - want)[there].abs().max() < 1e-5
        assert (maps.normals[0, 3 * k:3 * k + 3] - given[f"normal_{name}"][0])[:, there].abs().max() < 1e-5
    assert ((maps.mask[0, 0] > 0.5) == there).all()
    # the pelvis lies where the fit has it, and a pixel's width there is as wide as the fit's camera says
    assert to_view(torch.full((1, 1, 1), 2.5), given).item() == pytest.approx(1.9)


def leaning(given, x, y, offset):
    """The sample, its person the fitted body's depth and a plane (in sides)."""
    view = batch_of(given).view
    rise = plane(torch.tensor([[x, y, offset]]), SIDE)[:, 0] * view.unit
    for side in ("front", "back"):
        on = given[f"body_depth_{side}"] > 0
        in_view = torch.where(on, given[f"body_depth_{side}"] + rise, 0)
        one = to_view(torch.ones_like(in_view), given)                          # to_view is a + b z
        two = to_view(2 * torch.ones_like(in_view), given)
        given[f"depth_{side}"] = torch.where(on, 1 + (in_view - one) / (two - one), 0)
    return given


def test_the_person_leans_as_the_body_does():
    given = leaning(sample(), 0.1, -0.3, 0.05)
    t = batch_of(given).targets
    assert torch.allclose(t.lean, torch.tensor([[0.1, -0.3, 0.05]]), atol=2e-3)
    view = batch_of(given).view
    body = torch.stack([given["body_depth_front"], given["body_depth_back"]], 1) - view.pelvis
    assert (t.depth - body / view.unit)[(t.mask > 0).expand(-1, 2, -1, -1)].abs().max() < 2e-3
    given["depth_front"][:, 45:][given["depth_front"][:, 45:] > 0] += 0.6        # a leg held forward does not turn it
    given["depth_back"][:, 45:][given["depth_back"][:, 45:] > 0] += 0.6
    assert (batch_of(given).targets.lean - torch.tensor([[0.1, -0.3, 0.05]])).abs().max() < 0.06
    given["depth_front"][:] = given["depth_back"][:] = 0
    assert (batch_of(given).targets.lean == 0).all()


def test_the_loss_knows_that_slopes_lost_the_lean():
    given = sample()
    batch = batch_of(given)
    t, inputs = batch.targets, compact_inputs(batch.view)
    rays = rays_of(inputs, SIDE)
    more = torch.tensor([[0.2, -0.3, 0.1]])
    t = replace(t, depth=(t.depth - plane(more, SIDE)) * t.mask, lean=t.lean + more)
    raw = torch.cat([t.depth, torch.zeros(1, 3, SIDE, SIDE)], 1)
    slope = lambda lean: float(depth_loss(raw, replace(t, lean=lean), rays=rays, focal=inputs.rays[:, 0])[1]["slope"])
    assert slope(t.lean) < 0.05 and slope(torch.zeros_like(t.lean)) > 0.2 and slope(2 * t.lean) > 0.2


def test_hidden_and_rim_pixels_weigh_less():
    given = sample()
    given["visible"][:, :, :20] = 0
    t = batch_of(given).targets
    mask = given["depth_front"][0] > 0
    assert (t.inner[0, 0][~mask] == 0).all() and t.inner.max() == 1
    assert t.inner[0, 0, 35, 10:19].max() <= HIDDEN and t.mask[0, 0, 35, 18] == 1 and t.seen[0, 0, 35, 18] == 0
    edge = mask & (torch.nn.functional.avg_pool2d(mask.float()[None, None], 3, 1, 1)[0, 0] < 0.999)
    assert t.inner[0, 0][edge].max() <= RIM + 1e-6


def test_a_smaller_canvas_keeps_what_the_targets_mean():
    t = batch_of(sample()).targets
    half = t.at(SIDE // 2)
    assert half.mask.shape[-1] == SIDE // 2
    inner = half.inner[0, 0] > 0.9
    assert (half.normals[0].unflatten(0, (2, 3)).norm(dim=1)[:, inner] - 1).abs().max() < 1e-5
    assert torch.isin(half.depth[0, 0][inner], t.depth[0, 0]).all()
    assert t.at(SIDE) is t
    with pytest.raises(ValueError):
        t.at(20)


def test_mirrored_twice_is_the_same():
    given = sample()
    both = mirror(mirror(given, torch.tensor([True])), torch.tensor([True]))
    assert all(torch.allclose(both[k].float(), given[k].float(), atol=1e-4) for k in FIELDS)
    assert all(torch.equal(mirror(given, torch.tensor([False]))[k], given[k]) for k in FIELDS)


def test_a_mirrored_sample_is_the_mirrored_person():
    """Its labels still belong together, in the mirrored camera; it is the sphere on the other side; left parts are right ones."""
    given = sample()
    out = mirror(given, torch.tensor([True]))
    want = sphere(x=-0.15, centre=(SIDE - 30.0, 35.0))
    for name, value in want.items():
        assert (out[name] - value).abs().max() < 1e-5, name
    camera = Cameras(torch.eye(3)[None], torch.zeros(1, 3), torch.tensor([FOCAL]), out["centre"], SIDE)
    mask = (out["depth_front"][0] > 0).numpy()
    for name, sign in (("front", -1.0), ("back", 1.0)):
        assert np.percentile(_slope_angles(camera, out[f"depth_{name}"][0], out[f"normal_{name}"][0].numpy(), mask, sign), 90) < 3
        wrong = given[f"normal_{name}"].flip(-1)[0].numpy()                      # the test would notice an unmirrored normal
        assert np.percentile(_slope_angles(camera, out[f"depth_{name}"][0], wrong, mask, sign), 90) > 10
    assert out["centre"][0].tolist() == [34.0, 35.0] and out["border"][0].tolist() == pytest.approx([6.7, 3.0, 69.0, 80.0], abs=1e-5)
    left, right = LANDMARK["left_wrist"], LANDMARK["right_wrist"]
    assert torch.allclose(out["landmarks_seen"][0, left], torch.tensor([64.0, 0.0]) + given["landmarks_seen"][0, right] * torch.tensor([-1.0, 1.0]))
    assert out["landmarks_trust"][0, left] == given["landmarks_trust"][0, right]
    part = 1 + SMPL_JOINTS.index("left_hip")
    assert ((out["body_part_front"] == part) == (given["body_part_front"] == 1 + SMPL_JOINTS.index("right_hip")).flip(-1)).all()
    assert (out["body_part_front"] == part).any()
    inside = batch_of(out).view.inside
    assert torch.equal(inside, batch_of(given).view.inside.flip(-1))


def test_a_mirrored_field_that_is_not_known_is_refused():
    with pytest.raises(KeyError):
        mirror({**sample(), "uv_front": torch.zeros(1, 2, SIDE, SIDE)}, torch.tensor([True]))


def test_changes_of_the_picture_leave_the_person_alone():
    given = {k: torch.cat([v] * 6) for k, v in sample().items()}
    every = AugmentConfig(prints=1, tone=1, blur=1, noise=1, cut=1)
    out = augment(given, np.random.default_rng(3), every)
    again = augment(given, np.random.default_rng(3), every)
    assert all(torch.equal(out[k], again[k]) for k in FIELDS) and not torch.equal(out["image"], given["image"])
    assert all(torch.equal(out[k], given[k]) for k in FIELDS if k not in ("image", "visible", "mask_seen"))
    assert out["image"].min() >= 0 and out["image"].max() <= 1
    gone = (out["visible"] < given["visible"])
    assert gone.any() and (out["mask_seen"][gone] == 0).all()
    off = augment(given, np.random.default_rng(3), AugmentConfig(0, 0, 1.0, 0, 0, 0, 0.05, 0))
    assert torch.equal(off["image"], given["image"])


def test_prints_stay_on_the_person():
    given = {k: torch.cat([v] * 4) for k, v in sample().items()}
    out = augment(given, np.random.default_rng(0), AugmentConfig(prints=1, tone=0, blur=0, noise=0, cut=0))
    off = (given["depth_front"] == 0)[:, None].expand(-1, 3, -1, -1)
    assert torch.equal(out["image"][off], given["image"][off]) and (out["image"][~off] != given["image"][~off]).float().mean() > 0.5
    assert pattern(np.random.default_rng(0), 4, given["image"]).abs().max() <= 1


def test_slopes_of_normals_are_the_slopes_of_the_depth():
    """A sphere's normals and its depths say the same, in pixels per pixel, in the frame of the camera that sees it."""
    side = 256
    given = sphere(side=side, focal=320.0, centre=(120.0, 140.0))
    depth = torch.stack([given["depth_front"], given["depth_back"]], 1)
    focal = torch.tensor([320.0 / side])
    sides = torch.where(depth > 0, (depth - 2.5) / (2.5 / focal), 0)
    at = (torch.arange(side) + 0.5) / side
    rays = torch.stack([((at - 120 / side) / focal).expand(side, side), ((at - 140 / side) / focal)[:, None].expand(side, side)])[None]
    x, y, flat = slopes_of(torch.cat([given["normal_front"], given["normal_back"]], 1), sides, rays, focal)
    got_x, got_y = steps(sides)
    inner = (flat[..., 1:] * flat[..., :-1] * (depth[..., 1:] > 0) * (depth[..., :-1] > 0)) > 0
    assert ((x[..., 1:] + x[..., :-1]) / 2 - got_x)[inner].abs().max() < 0.02
    inner = (flat[..., 1:, :] * flat[..., :-1, :] * (depth[..., 1:, :] > 0) * (depth[..., :-1, :] > 0)) > 0
    assert ((y[..., 1:, :] + y[..., :-1, :]) / 2 - got_y)[inner].abs().max() < 0.02
    assert got_x[..., 0, 100:150, 60].abs().max() > 0.1


def test_a_network_takes_the_view():
    """The tiny sample enlarged to the smallest canvas goes through the door and the coarse nets."""
    given = sample()
    for name, value in given.items():
        if value.dim() >= 3 and value.shape[-1] == SIDE:
            given[name] = value.repeat_interleave(4, -1).repeat_interleave(4, -2)
    for name in ("assumed_focal", "centre", "border", "landmarks_seen"):
        given[name] = given[name] * 4
    batch = batch_of(given)
    torch.manual_seed(0)
    with torch.inference_mode():
        out = TwoK(CPU).coarse(compact_inputs(batch.view))
    assert out.raw.shape == (1, 5, 256, 256) and out.normals.isfinite().all()
    assert mean(torch.ones(1, 2, 4, 4), torch.zeros(1, 1, 4, 4)) == 0
    assert isinstance(batch.targets, Targets) and len(LANDMARKS) == 33
