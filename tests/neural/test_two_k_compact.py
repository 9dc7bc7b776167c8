"""COMPACT: sizes, the same result from the fast forward, frames that turn with the patches, what is missing, depth at every resolution."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.two_k import inputs as person
from neural.nets.blocks.conv import Head, WeightConv
from neural.nets.two_k import ours
from neural.nets.two_k.cascade import Step
from neural.nets.two_k.config import COMPACT, CPU, OURS
from neural.nets.two_k.merge import Warps, back_on_canvas, blend, cut
from neural.nets.two_k.net import Inputs, TwoK
from neural.nets.two_k.parts import GROUPS, OF_GROUP, PARTS


def on_meta(given: Inputs) -> Inputs:
    move = lambda t: t.to("meta")
    body = ours.Body(*(move(getattr(given.body, k)) for k in ("normals", "depth", "hit", "part")))
    return Inputs(move(given.image), given.part_to_image, given.present, move(given.matte), move(given.rays), body)


@pytest.mark.parametrize("config, megabytes, gflop", [(COMPACT, 40, 100), (CPU, 10, 60)])
def test_sizes_stay_within_the_budget(config, megabytes, gflop):
    """Design: all networks of a photo <= 300 GFLOP at `standard`, <= 40 MB in halves. Ours must be 8 times cheaper than PAPER: <= 100."""
    with torch.device("meta"):
        net = TwoK(config)
    assert 2e-6 * sum(p.numel() for p in net.parameters()) < megabytes
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(on_meta(person(1024)))
    assert 10 < counter.get_total_flops() / 1e9 < gflop
    if config is CPU:
        assert 2e6 < sum(p.numel() for p in net.parameters()) < 4e6


@pytest.fixture(scope="module")
def net() -> TwoK:
    torch.manual_seed(0)
    net = TwoK(CPU)
    for name, p in net.named_parameters():                     # heads that matter, as after training
        if "Conv_1x1.weight" in name or "last.weight" in name:
            p.data.mul_(5)
    return net.eval().requires_grad_(False)


@torch.inference_mode()
def test_the_fast_forward_gives_the_same_on_the_person(net):
    given = person(512)
    plain, fast = net(given), net.for_inference(tile=128)(given)
    there = F.max_pool2d(given.matte, 17, 1, 8) > 0
    for a, b in ((plain.normals, fast.normals), (plain.raw, fast.raw)):
        assert torch.where(there, a - b, 0).abs().max() < 2e-3                  # unit normals of short vectors magnify rounding
        assert torch.where(there, a - b, 0).abs().mean() < 1e-5
    far = ~torch.as_tensor(fast.coarse.near)
    assert far.any() and (fast.raw[0, 2, ::2, ::2][far] == ours.NOBODY).all()
    half = net.for_inference(dtype=torch.bfloat16)(given)
    assert torch.where(there, plain.normals - half.normals, 0).abs().mean() < 2e-2
    assert torch.where(there, plain.raw - half.raw, 0)[:, :2].abs().mean() < 0.02 * plain.raw[:, :2].std()


@torch.no_grad()
def test_nothing_depends_on_the_batch(net):
    """No statistics of batches: training mode gives what evaluation mode gives, and a person's result does not depend on the others."""
    given = person(512)
    two = Inputs(torch.cat([given.image, -given.image]), *(torch.cat([t, t]) for t in (given.part_to_image, given.present, given.matte, given.rays)),
                 ours.Body(*(torch.cat([getattr(given.body, k)] * 2) for k in ("normals", "depth", "hit", "part"))))
    net.train()
    both = net(two)
    net.eval()
    alone = net(given)
    assert (both.raw[:1] - alone.raw).abs().max() < 1e-4 and (both.normals[:1] - alone.normals).abs().mean() < 1e-5
    assert (both.raw[1:] - alone.raw).abs().max() > 1e-3


def warps_of(given: Inputs, config=None) -> Warps:
    return Warps(given.part_to_image, given.present, (config or CPU).at(given.image.shape[-1]), torch.device("cpu"))


def test_normals_turn_with_their_patch_and_back():
    """A normal along a bone points along the patch's bone, whichever way the limb points; right limbs are mirrored."""
    warps = warps_of(person(512))
    for group in ("arm", "leg"):
        rows = warps.rows(group)
        turns = warps.turns(rows)
        assert (turns @ turns.transpose(1, 2) - torch.eye(2)).abs().max() < 1e-5
        for (b, p), turn in zip(rows, turns):
            part = PARTS[p]
            assert torch.linalg.det(turn).item() == pytest.approx(-1 if part.right else 1, abs=1e-5)
            start, end = (torch.tensor([*t, 1.0]) for t in (part.targets[0], part.targets[-1]))
            bone = warps.part_to_image[b, p] @ (end - start)                     # on the canvas, downwards along the limb
            n = torch.tensor([*(bone / bone.norm()), 0.0]).view(1, 3, 1, 1)
            canonical = (end - start)[:2] / (end - start).norm() * torch.tensor([-1.0 if part.right else 1.0, 1.0])
            assert (ours.turned(n, turn[None])[0, :2, 0, 0] - canonical).abs().max() < 1e-4
        values = torch.randn(len(rows), 8, 4, 5)
        there = torch.cat([ours.turned(values[:, :6], turns), values[:, 6:]], 1)
        assert (ours.turned_back({group: there}, warps)[group] - values).abs().max() < 1e-5


def test_patches_of_a_field_merge_into_the_field():
    """Cut a smooth field of normals into patches, put them back: the same field, wherever parts have their say."""
    given = person(1024)
    warps = warps_of(given)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 1024), torch.linspace(-1, 1, 1024), indexing="ij")
    front = torch.stack([torch.sin(3 * x), torch.cos(2 * y) * x, -1.5 + 0 * x])[None]
    field = ours.unit(torch.cat([front, -front], 1))
    patches = {}
    for g in GROUPS:
        turned = ours.turned(cut([field], warps, g), warps.turns(warps.rows(g)))
        patches[g] = torch.cat([turned, torch.zeros_like(turned[:, :2])], 1)
    pieces = back_on_canvas(ours.turned_back(patches, warps), warps)
    total, weight = blend(pieces, torch.zeros(1, 8, 1024, 1024), (0, 1024, 0, 1024))
    said = weight > 0.999
    assert 0.1 < said.float().mean() < 0.5
    assert torch.where(said, total[:, :6] / weight.clamp(min=1e-6) - field, 0).abs().max() < 5e-3


@torch.inference_mode()
def test_missing_parts_leave_the_coarse_normals(net):
    given = person(512)
    none = Inputs(given.image, given.part_to_image, torch.zeros_like(given.present), given.matte, given.rays, given.body)
    out = net(none)
    assert out.patches == {}
    coarse = F.interpolate(out.coarse.normals[:, :6], (512, 512), mode="bilinear", align_corners=False)
    assert (out.normals[:, :6] - ours.unit(coarse)).abs().max() < 1e-5

    whole, present = net(given), given.present.clone()
    present[0, OF_GROUP["leg"][1]] = False                                       # left lower leg
    less = net(Inputs(given.image, given.part_to_image, present, given.matte, given.rays, given.body))
    change = (whole.normals - less.normals)[0, :6].abs().amax(0)
    moved = torch.nonzero(change > 1e-3)
    assert len(moved) and moved[:, 0].min() > 256                               # nothing above the hip
    shin = (slice(400, 420), slice(280, 290))
    assert (less.normals[0, :6][(slice(None), *shin)] - ours.unit(coarse)[0][(slice(None), *shin)]).abs().max() < 1e-4


@torch.inference_mode()
def test_parts_that_change_nothing_leave_the_coarse_normals_as_they_are(net):
    """Being cut, turned and laid back costs nothing: only changes are laid back."""
    silent, given = copy.deepcopy(net), person(512)
    for head in (m for m in silent.img2normal_part.modules() if isinstance(m, Head)):
        torch.nn.init.zeros_(head.weight), torch.nn.init.zeros_(head.bias)
    out = silent(given)
    coarse = F.interpolate(out.coarse.normals[:, :6], (512, 512), mode="bilinear", align_corners=False)
    assert out.patches and (out.normals[:, :6] - ours.unit(coarse)).abs().max() < 1e-5
    assert (net(given).normals - out.normals)[:, :6].abs().max() > 0.01


def test_a_part_fades_into_the_coarse_normals_without_a_step(net):
    given = person(512)
    warps = warps_of(given)
    pieces = back_on_canvas({"face": torch.ones(1, 8, *warps.config.patch(0))}, warps)
    total, weight = blend(pieces, torch.zeros(1, 8, 512, 512), (0, 512, 0, 512))
    share = total[0, 6] / weight[0, 0].clamp(min=1)
    assert share.max() > 0.999 and share.min() == 0
    assert (share[1:] - share[:-1]).abs().max() < 0.5 and (share[:, 1:] - share[:, :-1]).abs().max() < 0.5


def plain_step() -> Step:
    step = Step(OURS, 8).eval()
    torch.nn.init.zeros_(step.last.weight)
    return step


@torch.no_grad()
def test_depth_starts_as_bilinear_upsampling_in_finer_pixels():
    coarse = torch.randn(1, 5, 16, 16, generator=torch.Generator().manual_seed(1))
    out = plain_step()(coarse, torch.zeros(1, 7, 32, 32))
    want = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    assert (out[:, :2] - 2 * want[:, :2]).abs().max() < 1e-5 and (out[:, 2:] - want[:, 2:]).abs().max() < 1e-5


@torch.no_grad()
def test_tiles_change_nothing():
    torch.manual_seed(2)
    step = Step(OURS, 8).eval()
    coarse, fine = torch.randn(1, 5, 64, 64), torch.randn(1, 7, 128, 128)
    whole = ours.tiled(step, coarse, fine, None, ours.HALO)
    assert (ours.tiled(step, coarse, fine, 32, ours.HALO) - whole).abs().max() < 1e-4
    assert (ours.tiled(step, coarse, fine, 32, 4) - whole).abs().max() > 1e-4          # the halo is needed
    live = np.zeros((16, 16), bool)
    live[9, 3] = True
    some = ours.tiled(step, coarse, fine, 32, ours.HALO, live)
    assert (some[..., 64:96, :32] - whole[..., 64:96, :32]).abs().max() < 1e-4 and (some[..., :64, :] == 0).all()


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_slopes_are_those_of_depth_at_every_resolution(scale):
    """A tilted plane seen by a camera: - x / (share along the ray) is how much depth grows per pixel, in pixels, times z / pelvis."""
    side, focal, pelvis = int(64 * scale), 1.1, 3.0
    given = Inputs(torch.zeros(1, 3, side, side), torch.zeros(1, 12, 2, 3), torch.zeros(1, 12, dtype=torch.bool),
                   rays=torch.tensor([[focal, 0.5, 0.5]]))
    rays = ours.rays_of(given, side)
    n = F.normalize(torch.tensor([0.4, -0.3, -1.0]), dim=0)
    direction = torch.cat([rays, torch.ones_like(rays[:, :1])], 1)
    z = 3.1 * n[2] / torch.einsum("i,bihw->bhw", n, direction)                   # plane through (0, 0, 3.1)
    normals = n.view(1, 3, 1, 1).expand(1, 3, side, side)
    seen = ours.slopes(torch.cat([normals, -normals], 1), rays)
    depth = (z - pelvis) / (pelvis / focal) * side                               # pixels of this canvas
    for k, slope in ((0, depth[:, :, 2:] - depth[:, :, :-2]), (1, depth[:, 2:] - depth[:, :-2])):
        want = -seen[:, k] / seen[:, 2] * z / pelvis
        want = want[:, :, 1:-1] if k == 0 else want[:, 1:-1]
        assert (slope / 2 - want).abs().max() < 2e-3
    assert torch.allclose(seen[:, 3:] / seen[:, 5:], seen[:, :3] / seen[:, 2:3])


def test_standardised_weights_keep_the_variance_and_gradients():
    torch.manual_seed(0)
    conv = WeightConv(32, 64)
    x = torch.randn(2, 32, 24, 24)
    out = F.leaky_relu(conv(x), 0.1)
    assert out[..., 2:-2, 2:-2].var().item() == pytest.approx(1, abs=0.1)
    out.square().mean().backward()
    assert conv.weight.grad.abs().sum() > 0 and conv.gain.grad.abs().sum() > 0
    w = conv.plain_weight()
    assert w.mean((1, 2, 3)).abs().max() < 1e-6


def test_training_reaches_every_weight():
    torch.manual_seed(0)
    net = TwoK(CPU)
    for p in net.parameters():
        p.requires_grad_(True)
    out = net(person(512))
    (out.raw.square().mean() + out.normals[:, 6:].square().mean() + (out.normals[:, :3] - 0.3).abs().mean()).backward()
    dead = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []
    assert all(math.isfinite(p.grad.abs().max()) for p in net.parameters())


@torch.no_grad()
def test_the_coarse_nets_look_at_the_person_only(net):
    """Everyone in an own box, on a CPU; outside of it the answers are the body's; where nobody is, all is looked at."""
    given, seen = person(512), []
    watch = net.img2normal_down.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[-2:]))
    out = net.coarse(given)
    ((people, (y0, y1, x0, x1)),) = ours.whereabouts(given, 256, 16)
    assert people == slice(0, 1) and seen == [(y1 - y0, x1 - x0)] and (y1 - y0) * (x1 - x0) < 0.8 * 256 * 256
    assert all(v % 16 == 0 for v in (y0, y1, x0, x1))
    there = ours.shrunk(torch.maximum(given.matte, ours.shrunk(given.body.hit, 512)), 256)[0, 0] > 0.02
    assert not there[:y0].any() and not there[y1:].any() and not there[:, :x0].any() and not there[:, x1:].any()
    beyond = torch.ones(256, 256, dtype=torch.bool)
    beyond[y0:y1, x0:x1] = False
    assert (out.normals[0, :6] - out.base.normals[0])[:, beyond].abs().max() < 1e-6 and torch.equal(out.raw[0, :2, beyond], out.base.depth[0, :, beyond])
    nobody = Inputs(given.image, given.part_to_image, given.present, 0 * given.matte, given.rays,
                    ours.Body(*(0 * getattr(given.body, k) for k in ("normals", "depth", "hit", "part"))))
    net.coarse(nobody)
    watch.remove()
    assert seen[-1] == (256, 256)
