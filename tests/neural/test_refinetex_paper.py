"""Deformable convolution, refinement, confidence network and checkpoint import of RefineTex."""

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from scipy.ndimage import map_coordinates

from neural import checkpoint
from neural.checkpoint.official import official, tensors_of
from neural.contract.errors import WeightsError
from neural.nets.refinetex.confidence import FLOOR, ConfidenceNet
from neural.nets.refinetex.config import PAPER
from neural.nets.refinetex.deform import DeformConv, deform_conv, flow_to_offsets, taps_at
from neural.nets.refinetex.refine import RefineTex, Refinement
from neural.nets.refinetex.texformer import PaperInputs, Prediction

HEIGHT, WIDTH, SIDE = 12, 7, 12


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def problem(seed: int, channels: int = 3, outputs: int = 2, side: tuple[int, int] = (SIDE, SIDE)):
    """Float64: picture, offsets that also leave it, weight, bias."""
    g = generator(seed)
    double = lambda *shape: torch.tensor(g.standard_normal(shape))
    return double(2, channels, HEIGHT, WIDTH), 4 * double(2, 18, *side), double(outputs, channels, 3, 3), double(outputs)


def naive(x: np.ndarray, offsets: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Texel by texel, tap by tap, corner by corner."""
    count, channels, height, width = x.shape
    out = np.tile(bias[None, :, None, None], (count, 1, *offsets.shape[2:]))
    for b, i, j, k in np.ndindex(count, *offsets.shape[2:], 9):
        y, z = i - 1 + k // 3 + offsets[b, 2 * k, i, j], j - 1 + k % 3 + offsets[b, 2 * k + 1, i, j]
        top, left = int(np.floor(y)), int(np.floor(z))
        for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
            if 0 <= row < height and 0 <= column < width:
                share = (1 - abs(y - row)) * (1 - abs(z - column))
                out[b, :, i, j] += weight[:, :, k // 3, k % 3] @ (share * x[b, :, row, column])
    return out


@pytest.mark.parametrize("side", [(SIDE, SIDE), (5, 9), (16, 3)])
def test_deformable_convolution_is_the_naive_loop(side):
    x, offsets, weight, bias = problem(1, side=side)
    want = naive(*(t.numpy() for t in (x, offsets, weight, bias)))
    np.testing.assert_allclose(deform_conv(x, offsets, weight, bias).numpy(), want, atol=1e-12)


def ordinary(x: np.ndarray, offsets: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The usual same-size deformable convolution, by another library's interpolation."""
    count, channels, height, width = x.shape
    assert offsets.shape[2:] == (height, width)
    rows, columns = np.mgrid[:height, :width]
    out = np.tile(bias[None, :, None, None], (count, 1, height, width))
    for b, c, k in np.ndindex(count, channels, 9):
        at = rows + k // 3 - 1 + offsets[b, 2 * k], columns + k % 3 - 1 + offsets[b, 2 * k + 1]
        seen = map_coordinates(x[b, c], at, order=1, mode="grid-constant")
        out[b] += weight[:, c, k // 3, k % 3, None, None] * seen
    return out


def test_it_is_an_ordinary_one_on_the_padded_picture():
    x, offsets, weight, bias = problem(2)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (0, 0), (0, SIDE - WIDTH)))
    want = ordinary(padded, offsets.numpy(), weight.numpy(), bias.numpy())
    np.testing.assert_allclose(deform_conv(x, offsets, weight, bias).numpy(), want, atol=1e-12)


def test_without_offsets_it_is_a_convolution():
    x, _, weight, bias = problem(3)
    out = deform_conv(x, torch.zeros(2, 18, HEIGHT, WIDTH, dtype=x.dtype), weight, bias)
    torch.testing.assert_close(out, torch.nn.functional.conv2d(x, weight, bias, padding=1))


def test_the_centre_tap_samples_at_the_flow():
    x, _, _, _ = problem(4)
    flow = torch.tensor(generator(5).uniform(-1.2, 1.2, (2, 2, 9, SIDE)))
    weight = torch.zeros(3, 3, 3, 3, dtype=x.dtype)
    weight[range(3), range(3), 1, 1] = 1
    out = deform_conv(x, flow_to_offsets(flow, HEIGHT, WIDTH).repeat(1, 9, 1, 1), weight)
    want = torch.nn.functional.grid_sample(x, flow.permute(0, 2, 3, 1), align_corners=False)
    torch.testing.assert_close(out, want, atol=1e-13, rtol=0)


def test_gradients_reach_picture_and_offsets():
    x, offsets, weight, bias = (t.requires_grad_() for t in problem(6, 2, 1, (3, 4)))
    assert torch.autograd.gradcheck(deform_conv, (x, offsets, weight, bias), eps=1e-6, atol=1e-6, fast_mode=True)


def test_module_and_function_agree():
    torch.manual_seed(0)
    layer = DeformConv(3, 4)
    x, offsets, _, _ = (t.float() for t in problem(7))
    torch.testing.assert_close(layer(x, offsets), deform_conv(x, offsets, layer.weight, layer.bias))
    assert taps_at(x, offsets).shape == (2, 3, 9, SIDE, SIDE)


SIZES = {"": 8_194_752, "second": 8_173_026, "literal": 7_870_434, "concat": 7_877_346, "none": 7_562_502, "plain": 8_172_684}
"""The totals of the readings that reference/refinetex/architecture.md lists, and of ours for the ablations."""


@pytest.mark.parametrize("name, change", [
    ("", {}), ("second", {"second": "conv"}), ("literal", {"second": "conv", "twice": False, "skip": False}),
    ("concat", {"second": "conv", "twice": False}), ("none", {"refine": "none"}), ("plain", {"refine": "plain"})])
def test_readings_of_the_paper_have_their_sizes(name, change):
    with torch.device("meta"):
        net = RefineTex(replace(PAPER, **change))
    assert sum(p.numel() for p in net.parameters()) == SIZES[name]


SMALL = replace(PAPER, width=16, heads=4)


def paper_inputs(count: int = 2) -> PaperInputs:
    g = torch.Generator().manual_seed(0)
    return PaperInputs(torch.rand(count, 3, 32, 16, generator=g) * 2 - 1, torch.randint(0, 8, (count, 32, 16), generator=g),
                       torch.rand(1, 3, 32, 32, generator=g) * 2 - 1)


@pytest.mark.parametrize("change", [{}, {"refine": "plain"}, {"refine": "none"}, {"fifth": True, "second": "conv", "twice": False, "skip": False}])
def test_every_variant_runs_and_all_of_it_learns(change):
    torch.manual_seed(0)
    net = RefineTex(replace(SMALL, **change))
    inputs = paper_inputs()
    out = net(inputs)
    texture = out.last.fused(inputs.image)
    assert texture.shape == (2, 3, 32, 32) and texture.abs().max() <= 1
    texture.square().mean().backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not silent, silent


def test_the_loss_moves_the_deep_network_through_its_flow():
    """§3.1: offsets are learned; with neither skip nor fusion the only way to the deep net is through them."""
    torch.manual_seed(0)
    net = RefineTex(replace(SMALL, skip=False))
    out = net(paper_inputs())
    out.last.rgb.mean().backward()
    assert net.deep.conv6[1].weight.grad[:2].abs().sum() > 0
    assert net.deep.conv6[1].weight.grad[2:].abs().sum() == 0


def test_refinement_starts_where_the_flow_points():
    torch.manual_seed(0)
    module = Refinement(SMALL)
    flow = torch.rand(1, 2, 8, 8) * 2 - 1
    torch.testing.assert_close(module.offsets(flow, 32, 16), flow_to_offsets(flow, 32, 16).repeat(1, 9, 1, 1))


def test_fusion_is_equation_1():
    image = torch.tensor([[0.2, 0.6], [-0.4, 1.0]]).expand(1, 3, 2, 2)
    one = Prediction(torch.stack([torch.tensor([[0.5, -0.5]]), torch.tensor([[-0.5, 0.0]])])[None], torch.full((1, 3, 1, 2), 0.1),
                     torch.tensor([0.75, 0.25]).view(1, 1, 1, 2))
    sampled = one.sampled(image)[0, 0, 0]
    torch.testing.assert_close(sampled, torch.tensor([0.6, (0.2 - 0.4) / 2]))     # (0.5, -0.5) is the upper right pixel's centre
    torch.testing.assert_close(one.fused(image)[0, 1, 0], torch.tensor([0.75 * 0.6 + 0.25 * 0.1, 0.25 * -0.1 + 0.75 * 0.1]))


def test_confidence_network():
    torch.manual_seed(0)
    with torch.device("meta"):
        assert sum(p.numel() for p in ConfidenceNet().parameters()) == 596_353
    net = ConfidenceNet(8)
    image = torch.rand(2, 3, 16, 8)
    sigma = net(image)
    assert sigma.shape == (2, 1, 16, 8) and sigma.min() >= FLOOR
    sigma.log().sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    torch.nn.init.constant_(net.conv6.bias, -100.0)
    assert (net(image) == FLOOR).all()


def checkpoint_state(prefix: str = "") -> OrderedDict:
    """Numbers only where they are looked at; the rest is one number seen through strides of 0."""
    out = OrderedDict()
    for k, (name, shape) in enumerate(official("texformer").tensors().items()):
        if name.endswith("num_batches_tracked"):
            value = torch.tensor(k)
        elif name.startswith(("conv6.", "trans_dec.4.")):
            value = torch.randn(shape, generator=torch.Generator().manual_seed(k))
        else:
            value = torch.tensor([0.25]).expand(shape)
        out[prefix + name] = value.abs() if name.endswith("running_var") else value
    return out


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_released_form_imports(tmp_path, prefix):
    """A bare ordered dictionary, as the release's scripts write and read it."""
    file, out = tmp_path / "texformer_ep500.pt", tmp_path / "mine"
    state = checkpoint_state(prefix)
    torch.save(state, file)
    if prefix:
        have = tensors_of(file, "texformer")
    else:
        answer = checkpoint.run(file, "texformer", out)
        assert (answer["tensors"], answer["parameters"]) == (405, 7_562_502)
        have = load_file(out / "texformer.safetensors")
    assert len(have) == 405
    for name in ("conv6.1.weight", "trans_dec.4.norm.running_var", "conv6.1.bias", "conv0.conv.1.num_batches_tracked"):
        np.testing.assert_array_equal(have[name], state[prefix + name].numpy())


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    file = tmp_path / "other.pt"
    torch.save(OrderedDict(list(checkpoint_state().items())[:-1]), file)
    with pytest.raises(WeightsError) as caught:
        tensors_of(file, "texformer")
    assert caught.value.code == "weights.wrong-net" and "1 of 405" in caught.value.message
