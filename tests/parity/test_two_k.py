"""PAPER against numbers that the official 2K2K classes gave (two_k.npz; made with weights that a formula fills in, none of theirs)."""

import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neural.nets.two_k import units
from neural.nets.two_k.config import PAPER
from neural.nets.two_k.net import Inputs, TwoK, clipped, final
from neural.nets.two_k.parts import GROUPS, place

HERE = Path(__file__).parent
SMALL = replace(PAPER, canvas=256, coarse=32, patches=((48, 40), (64, 40), (48, 32), (32, 32), (24, 16)), blur=(7, 5.0), shrink=8)
"""The canvas of the fixture `whole256`: a test size, not something the authors trained."""

DEPTH, REST, AFFINE = 1e-4, 1e-5, 1e-6


class Numbers:
    """A fixture file; `far(key, tensor)` is the largest difference, over the entries that the file keeps."""

    def __init__(self, name: str):
        self.file = np.load(HERE / name)
        self.meta = json.loads(str(self.file["__meta__"]))
        self.seen = set()

    def __getitem__(self, key: str) -> np.ndarray:
        self.seen.add(key)
        return self.file[key]

    def far(self, key: str, value) -> float:
        value, want = np.asarray(value), self[key]
        kept = (self.meta.get(key) or {}).get("slice")
        if kept:
            value = value[tuple(slice(*(int(v) if v.strip() != "None" else None for v in part.split(",")))
                                for part in kept.strip("()").replace("slice", "").replace(" ", "").strip("()").split("),("))]
        assert value.shape == want.shape, (key, value.shape, want.shape)
        return float(np.abs(value - want).max())


def random(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def noise(name: str, shape: tuple, low: float = -1.0, high: float = 1.0) -> torch.Tensor:
    return torch.tensor((low + (high - low) * random(name).random(shape)).astype(np.float32))


def wave(channels: int, height: int, width: int, amplitude: float) -> np.ndarray:
    k, y, x = np.ogrid[:channels, :height, :width]
    x, y = 2 * np.pi * ((3 + k) * x / width + 0.11 * k), 2 * np.pi * ((2 + k) * y / height + 0.07 * k)
    return (np.sin(x) * np.cos(y) * amplitude).astype(np.float32)


def filled(name: str, shape: tuple) -> torch.Tensor:
    """The value of a tensor, from its name alone (reference/2k2k/parity.md)."""
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    x = random(name).standard_normal(shape)
    if name.endswith("running_var"):
        x = 1 + 0.1 * np.abs(x)
    elif name.endswith("running_mean"):
        x = 0.1 * x
    elif name.endswith("bias"):
        x = 0.01 * x
    else:
        x = x * np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 1 + 0.1 * x
    return torch.tensor(np.asarray(x, np.float32))


def official_tensors() -> dict[str, torch.Tensor]:
    names = json.loads((HERE / "two_k_tensors.json").read_text("utf-8"))["tensors"]
    out = {name: filled(name, tuple(shape)) for name, (shape, _) in names.items()}
    for group in (*GROUPS, "down"):
        out[f"img2normal_{group}.Conv_1x1.conv.0.bias"][:] = 0.5
    out["ImgNorm_to_Dep.Conv_1x1.bias"] = torch.tensor([1.5, 2.5, 0.431])
    out["refine.merge3_2.bias"] = torch.tensor([1.5, 2.5, 0.3])
    return out


@pytest.fixture(scope="module")
def tensors():
    return official_tensors()


@pytest.fixture(scope="module")
def plain(tensors) -> TwoK:
    with torch.device("meta"):
        net = TwoK(PAPER)
    net.load_state_dict(tensors, strict=True, assign=True)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def numbers() -> Numbers:
    return Numbers("two_k.npz")


@pytest.fixture(scope="module", params=["plain", "folded"])
def net(request, plain) -> TwoK:
    return plain if request.param == "plain" else plain.for_inference(tile=64)


def test_names_and_shapes_are_the_releases(plain):
    want = json.loads((HERE / "two_k_tensors.json").read_text("utf-8"))["tensors"]
    have = {k: [list(v.shape), str(v.dtype).removeprefix("torch.")] for k, v in plain.state_dict().items()}
    assert have == want


@torch.inference_mode()
def test_low_branch(net, numbers):
    x = noise("2k2k/low/x", (1, 3, 64, 64))
    normals = net.img2normal_down(x)
    assert numbers.far("low64/normal", normals) < REST
    assert numbers.far("low64/depth_raw", net.ImgNorm_to_Dep(x, normals)) < DEPTH


@torch.inference_mode()
@pytest.mark.parametrize("group", GROUPS)
def test_part_nets(net, numbers, group):
    out = getattr(net, f"img2normal_{group}")(noise(f"2k2k/part/{group}", (1, 6, 32, 24)))
    assert numbers.far(f"part32/{group}", out) < REST


@torch.inference_mode()
def test_blocks(net, numbers):
    face = net.img2normal_face
    assert numbers.far("block/face.Up3", face.Up3(noise("2k2k/block", (1, 256, 4, 4)))) < REST
    g, x = noise("2k2k/att/g", (1, 256, 4, 4)), noise("2k2k/att/x", (1, 256, 4, 4))
    assert numbers.far("block/face.Att4", face.Att4(g, x)) < REST


@torch.inference_mode()
def test_high_resolution_depth(net, numbers):
    d, n = noise("2k2k/refine/d", (1, 2, 32, 32), 0, 4), noise("2k2k/refine/n", (1, 6, 256, 256), 0, 1)
    assert numbers.far("refine256/depth_raw", net.refine(d, n, net.tile)) < DEPTH


@pytest.mark.parametrize("pose", "ABC")
def test_similarities(numbers, pose):
    px = numbers[f"affine/{pose}/pose_px"]
    found = place(np.where(px == 0, np.nan, 2 * px / 2048 - 1), released=True)
    assert numbers.far(f"affine/{pose}/image_to_part", found.image_to_part) < AFFINE
    assert numbers.far(f"affine/{pose}/part_to_image", found.part_to_image) < 4 * AFFINE     # pose C's feet: entries of 20


@torch.inference_mode()
def test_whole_network_on_a_small_canvas(net, numbers):
    image = np.stack([wave(3, 256, 256, 0.7) + noise(f"2k2k/image256/{i}", (3, 256, 256), -0.3, 0.3).numpy() for i in range(2)])
    maps = torch.tensor(numbers["whole256/z"])
    inputs = Inputs(torch.tensor(image), maps, torch.ones(2, 12, dtype=torch.bool))
    official, net.config = net.config, SMALL
    out = net(inputs)
    seen = net.part_inputs(inputs, out.coarse, out.warps)
    pieces = net.pieces(out.patches, out.warps)
    net.config = official
    assert numbers.far("whole256/inv_z", out.warps.image_to_part) < AFFINE
    for group in ("face", "arm", "shoe"):
        assert numbers.far(f"whole256/part_input/{group}", seen[group]) < REST
    for group, patch in (*out.patches.items(), ("down", out.coarse.normals)):
        assert numbers.far(f"whole256/pred_{group}_normal_front", patch[:, :3]) < REST
        assert numbers.far(f"whole256/pred_{group}_normal_back", patch[:, 3:]) < REST
    weights = blend_weights(pieces, 2, 256)
    assert numbers.far("whole256/blend_weights", weights) < REST
    assert numbers.far("whole256/occupancy", weights.sum(1)) < REST
    assert numbers.far("whole256/pred_normal_front", out.normals[:, :3]) < REST
    assert numbers.far("whole256/pred_normal_back", out.normals[:, 3:]) < REST
    assert numbers.far("whole256/low_depth_raw", out.coarse.raw) < DEPTH
    assert numbers.far("whole256/refine_depth_in", clipped(out.coarse.raw)) < DEPTH
    assert numbers.far("whole256/refine_depth_raw", out.raw) < DEPTH
    low, done = final(out.coarse.raw), final(out.raw)
    front, back = clipped(out.coarse.raw).split(1, 1)
    low = replace(low, front=front, back=back)                     # the release sets the coarse depths' background in place
    for name, one in (("pred_down", low), ("pred", done)):
        for kind in ("front", "back", "mask"):
            assert numbers.far(f"whole256/{name}_depth_{kind}", getattr(one, kind)) < (REST if kind == "mask" else DEPTH)


def blend_weights(pieces, count: int, side: int) -> torch.Tensor:
    """(B, 12, S, S) W_i of Eq. 5 from the pieces that the network blends."""
    out = torch.zeros(count, 12, side, side)
    for p in pieces:
        out[p.owner, p.part, p.box[0]:p.box[1], p.box[2]:p.box[3]] = p.weight[0, 0]
    total = out.sum(1, keepdim=True)
    return out / torch.where(total == 0, 1, total)


def test_pseudo_normals(numbers):
    out = units.pseudo_normals(torch.tensor(numbers["normal/depth_in"])[None, None])
    assert numbers.far("normal/out", out) < REST


def test_points(numbers):
    depth = numbers["pointcloud/depth_px"]
    xyz, kept = units.points(depth)
    assert numbers.far("pointcloud/xyz_camera", xyz) < 1e-12
    assert numbers.far("pointcloud/xyz_final", units.released_frame(xyz)) < 1e-7
    photo = (wave(3, 48, 48, 0.8) * 100 + 128).transpose(1, 2, 0)
    assert numbers.far("pointcloud/rgb", photo[kept]) < 1e-4


def test_what_the_release_writes_to_files(numbers):
    front, back = units.cleaned(numbers["post/front_in"], numbers["post/back_in"])
    assert (front == numbers["post/front_u16"]).all()
    assert (back == numbers["post/back_u16"]).all()
    kept = back > 0
    assert (back[kept] == numbers["post/back_u16_before_erode"][kept]).all() and kept.any()


@torch.inference_mode()
def test_whole_network_at_the_official_size(plain, numbers):
    """2048 x 2048 in float32: about 15 s on one core and 2 GB."""
    big = Numbers("two_k_2048.npz")
    net = plain.for_inference()
    image = wave(3, 2048, 2048, 0.7) + noise("2k2k/image2048/0", (3, 2048, 2048), -0.3, 0.3).numpy()
    inputs = Inputs(torch.tensor(image)[None], torch.tensor(numbers["affine/A/part_to_image"])[None], torch.ones(1, 12, dtype=torch.bool))
    coarse, warps = net.coarse(inputs), net.warps(inputs)
    assert big.far("whole2048/low_image", coarse.seen) < REST
    assert big.far("whole2048/low_normal", coarse.normals) < REST
    assert big.far("whole2048/low_depth_raw", coarse.raw) < DEPTH
    assert big.far("whole2048/refine_depth_in", clipped(coarse.raw)) < DEPTH
    seen = net.part_inputs(inputs, coarse, warps)
    patches = {g: net.patch_normals(g, x, 2048) for g, x in seen.items()}
    for group in GROUPS:
        assert big.far(f"whole2048/part_input/{group}", seen[group]) < REST
        assert big.far(f"whole2048/part_normal/{group}", patches[group]) < REST
    window = np.s_[..., 560:624, 1200:1264]
    weights = blend_weights(net.pieces(patches, warps), 1, 2048)
    assert big.far("whole2048/blend_weights", weights) < REST
    assert big.far("whole2048/blend_weights_window", weights[0][window]) < REST
    assert big.far("whole2048/occupancy", weights.sum(1)) < REST
    del weights, seen
    normals = net.merged(patches, warps, coarse)
    assert big.far("whole2048/merged_normals", normals) < REST
    assert big.far("whole2048/merged_normals_window", normals[0][window]) < REST
    assert big.far("whole2048/pred_normal_front", normals[:, :3]) < REST
    raw = net.fine(inputs, coarse, normals)
    assert big.far("whole2048/refine_depth_raw", raw) < DEPTH
    assert big.far("whole2048/refine_depth_raw_window", raw[0][window]) < DEPTH
    done = final(raw)
    for kind in ("front", "back", "mask"):
        assert big.far(f"whole2048/pred_depth_{kind}", getattr(done, kind)) < (REST if kind == "mask" else DEPTH)


def test_losses(numbers):
    from train.losses.two_k import bce, l1, smooth_l1, ssim
    pred = noise("2k2k/loss/pred", (2, 3, 32, 24), 0, 1)
    target = 0.5 * pred + 0.5 * noise("2k2k/loss/target", (2, 3, 32, 24), 0, 1)
    d1, d2 = (noise(f"2k2k/loss/{k}", (2, 1, 32, 24), 0, 6) for k in ("d1", "d2"))
    m1, m2 = (noise(f"2k2k/loss/mask_{k}", (2, 1, 32, 24), 0, 1) for k in ("pred", "gt"))
    m2 = (m2 > 0.5).float()
    assert numbers.far("loss/l1_sum_over_batch", l1(pred, target, per_entry=True)[None]) < REST
    assert numbers.far("loss/one_minus_ssim", (1 - ssim(pred, target))[None]) < REST
    assert numbers.far("loss/smooth_l1_sum_over_batch", smooth_l1(d1, d2, per_entry=True)[None]) < REST
    assert numbers.far("loss/bce_as_released", bce(m1, m2, per_entry=True)[None]) < REST
    assert numbers.far("loss/bce_on_probability", bce(torch.logit(m1), m2, per_entry=True)[None]) < REST


def test_every_number_was_compared(numbers):
    """Runs last: nothing in the file is passed over, except what the release writes and never uses."""
    left = {k for k in numbers.file.files if not k.startswith("__") and not k.endswith("#stats")} - numbers.seen
    assert left == {f"post/side_{n}" for n in ("05", "10", "15", "20", "25", "30", "35")}
