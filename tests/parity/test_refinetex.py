"""Texformer against numbers that the released class gave (refinetex.npz; made with weights that a formula fills in, none of theirs), and the
deformable convolution of RefineTex against a naive loop."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from neural.nets.refinetex.config import PAPER
from neural.nets.refinetex.deform import deform_conv, flow_to_offsets
from neural.nets.refinetex.layers import linear_attention, positions, softmax_attention
from neural.nets.refinetex.refine import RefineTex
from neural.nets.refinetex.texformer import PaperInputs, Texformer

HERE = Path(__file__).parent
NETWORK, SAMPLED = 1e-5, 2e-4
"""Tolerances of parity.md: a bilinear sample of noise has steep slopes."""


class Numbers:
    """The fixture file; `far(key, tensor)` is the largest difference. Where only a slice is kept, the whole is compared by its statistics."""

    def __init__(self):
        self.file = np.load(HERE / "refinetex.npz")
        self.seen = set()

    def __getitem__(self, key: str) -> np.ndarray:
        self.seen.add(key)
        return self.file[key]

    def far(self, key: str, value: torch.Tensor, step: tuple[int, ...] = ()) -> float:
        value = value.numpy()
        if f"{key}#stats" in self.file:
            have = np.array([value.mean(dtype=np.float64), value.std(dtype=np.float64), np.abs(value).max()])
            np.testing.assert_allclose(have, self[f"{key}#stats"], rtol=2e-5, atol=1e-6, err_msg=key)
        value = value[tuple(slice(None, None, s) for s in step)]
        assert value.shape == self[key].shape, (key, value.shape, self[key].shape)
        return float(np.abs(value - self[key]).max())


def random(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def noise(name: str, shape: tuple) -> torch.Tensor:
    return torch.tensor(random(name).standard_normal(shape).astype(np.float32))


def filled(name: str, shape: tuple) -> torch.Tensor:
    """The value of a tensor, from its name alone (reference/refinetex/parity.md)."""
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    x = random(name).standard_normal(shape)
    if name.endswith("running_mean"):
        x = 0.1 * x
    elif name.endswith("running_var"):
        x = 1 + 0.1 * np.abs(x)
    elif name.endswith(".bias"):
        x = 0.01 * x
    else:
        x = 1 + 0.1 * x if len(shape) == 1 else x / np.sqrt(np.prod(shape[1:]))
    return torch.tensor(np.asarray(x, np.float32))


@pytest.fixture(scope="module")
def released() -> dict[str, list[int]]:
    return json.loads((HERE / "refinetex_tensors.json").read_text("utf-8"))["tensors"]


@pytest.fixture(scope="module")
def net(released) -> Texformer:
    with torch.device("meta"):
        net = Texformer()
    net.load_state_dict({k: filled(k, tuple(shape)) for k, shape in released.items()}, strict=True, assign=True)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def numbers() -> Numbers:
    return Numbers()


@pytest.fixture(scope="module")
def inputs() -> PaperInputs:
    half = lambda name, shape: (0.5 * random(name).standard_normal(shape)).clip(-1, 1).astype(np.float32)
    labels = random("input.segmentation").integers(0, 8, size=(1, 1, 16, 8)).repeat(8, 2).repeat(8, 3)[:, 0]
    return PaperInputs(torch.tensor(half("input.image", (1, 3, 128, 64))), torch.tensor(labels), torch.tensor(half("input.query", (1, 3, 128, 128))))


def test_names_and_shapes_are_the_releases(net, released):
    assert {k: list(v.shape) for k, v in net.state_dict().items()} == released
    assert sum(p.numel() for p in net.parameters()) == 7_562_502


@torch.inference_mode()
def test_every_part_of_texformer(net, inputs, numbers):
    held = {}
    hooks = [m.register_forward_hook(lambda _, __, out, name=name: held.__setitem__(name, out)) for name, m in
             [(f"unet_{c}", getattr(net, f"unet_{c}")) for c in "qkv"] + [(f"trans_dec.{k}", net.trans_dec[k]) for k in "345"]]
    out = net(inputs)
    for hook in hooks:
        hook.remove()
    for name, levels in (("unet_q", range(6)), ("unet_k", (3, 4, 5)), ("unet_v", (3, 4, 5))):
        for k in levels:
            assert numbers.far(f"{name}.feat{k}", held[name][k][0], (32, 4, 4)) < NETWORK
    for k in (3, 4, 5):
        assert numbers.far(f"trans_dec.{k}.out", held[f"trans_dec.{k}"][0], (16, 4, 4)) < NETWORK
    for key, value in (("tex_flow", out.flow), ("rgb", out.rgb), ("mask", out.mask)):
        assert numbers.far(key, value[0]) < NETWORK
    assert numbers.far("sampled", out.sampled(inputs.image)[0]) < SAMPLED
    assert numbers.far("uvmap", out.fused(inputs.image)[0]) < SAMPLED


def test_position_code_and_attention_kernels(numbers):
    assert numbers.far("pos_en", positions(128, 4, 6, torch.zeros(()))) < NETWORK
    q, k, v = noise("input.attn_q", (1, 2, 16, 5, 6)), noise("input.attn_k", (1, 2, 16, 4, 3)), noise("input.attn_v", (1, 2, 16, 4, 3))
    assert numbers.far("softmax_attention", softmax_attention(q, k, v)[0]) < NETWORK
    assert numbers.far("dotproduct_attention", linear_attention(q, k, v)[0]) < NETWORK


def test_deformable_convolution(numbers):
    given = {k: torch.tensor(numbers[f"deform.{k}"]) for k in ("input", "flow", "offset18", "weight", "bias")}
    assert numbers.far("deform.base_offset_yx", flow_to_offsets(given["flow"], 8, 4)) < NETWORK
    assert numbers.far("deform.output", deform_conv(given["input"], given["offset18"], given["weight"], given["bias"])) < NETWORK


@torch.inference_mode()
def test_the_whole_network_carries_the_released_one(net, inputs, numbers):
    """RefineTex is Texformer and a module of 632,250 parameters behind it: its early prediction is the released one."""
    torch.manual_seed(0)
    whole = RefineTex(PAPER)
    whole.deep.load_state_dict(net.state_dict(), strict=True)
    out = whole.eval()(inputs)
    assert numbers.far("tex_flow", out.early.flow[0]) < NETWORK
    assert out.last.rgb.shape == (1, 3, 128, 128) and not torch.allclose(out.last.rgb, out.early.rgb, atol=1e-2)


def test_every_number_was_compared(numbers):
    """Runs last."""
    assert set(numbers.file.files) == numbers.seen
