"""RefineTex's losses against numbers worked out by hand, and put together on a small network."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from neural.nets.refinetex.confidence import ConfidenceNet
from neural.nets.refinetex.config import PAPER
from neural.nets.refinetex.identity import Identity, IdentityConfig
from neural.nets.refinetex.refine import RefineTex
from neural.nets.refinetex.render import BodyView, render
from neural.nets.refinetex.texformer import PaperInputs
from train.losses import refinetex as losses
from train.losses.refinetex import PRINTED
from train.losses.refinetex_direct import colour_loss, edge_loss
from train.losses.refinetex_total import Helpers, Shot, total


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def test_weights_are_the_papers():
    assert (PRINTED.reid, PRINTED.style, PRINTED.face, PRINTED.cycle, PRINTED.uncertainty) == (5000, 0.4, 0.01, 0.1, 1e-3)


def test_reid():
    """(3, 4) and (4, 3): unit vectors differ by 0.2 in both entries, mean of squares 0.04; a second stage that only differs in length adds 0."""
    a = [torch.tensor([3.0, 4.0]).view(1, 2, 1, 1), torch.tensor([1.0, 2.0]).view(1, 1, 1, 2)]
    b = [torch.tensor([8.0, 6.0]).view(1, 2, 1, 1), torch.tensor([5.0, 10.0]).view(1, 1, 1, 2)]
    assert losses.reid_loss(a, b).item() == pytest.approx(0.04, abs=1e-6)
    assert losses.reid_loss(a, a).item() == 0


def test_gram_and_style():
    """One channel pair on a 2 x 2 map. Part 1 is the upper row in both: Gram (1 1; 1 1) against (4 2; 2 1), squares of differences 9, 1, 1, 0,
    mean 2.75. Part 2 is the lower row, alike; part 3 is in one picture only and does not count."""
    seen = torch.tensor([[[1.0, 1.0], [2.0, 0.0]], [[1.0, 1.0], [0.0, 3.0]]])[None]
    drawn = torch.tensor([[[2.0, 2.0], [2.0, 0.0]], [[1.0, 1.0], [0.0, 3.0]]])[None]
    mask = torch.tensor([[1.0, 1.0], [0.0, 0.0]])[None, None]
    torch.testing.assert_close(losses.gram(seen, mask)[0], torch.ones(2, 2))
    torch.testing.assert_close(losses.gram(drawn, mask)[0], torch.tensor([[4.0, 2.0], [2.0, 1.0]]))
    labels = torch.tensor([[1, 1], [2, 2]])[None]
    assert losses.style_loss(seen, drawn, labels, labels).item() == pytest.approx(2.75)
    other = torch.tensor([[3, 3], [2, 2]])[None]
    assert losses.style_loss(seen, drawn, labels, other).item() == pytest.approx(0.0)
    assert losses.style_loss(seen, drawn, labels, labels, replace(PRINTED, least=0.6)).item() == 0


def test_parts_of_other_places_have_the_same_style():
    """Gram matrices know nothing of places: the same part shifted costs nothing."""
    seen = rand(1, 4, 8, 8)
    labels = torch.zeros(1, 8, 8, dtype=torch.int64)
    labels[:, :4, :4] = 5
    both = losses.style_loss(seen, seen.roll(3, 3), labels, labels.roll(3, 2))
    assert both.item() == pytest.approx(0.0, abs=1e-12)


def test_structure_is_that_of_ssim():
    """Window by window, with weighted moments written out."""
    a = rand(1, 1, 20, 16, seed=1)
    b = 0.6 * a + 0.3 * rand(1, 1, 20, 16, seed=2)
    taps = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    window = np.outer(taps, taps) / taps.sum() ** 2
    found = []
    for i, j in np.ndindex(10, 6):
        x, y = (t[0, 0, i:i + 11, j:j + 11].numpy() for t in (a, b))
        dx, dy = x - (window * x).sum(), y - (window * y).sum()
        found.append((2 * (window * dx * dy).sum() + 9e-4) / ((window * dx * dx).sum() + (window * dy * dy).sum() + 9e-4))
    assert losses.structure(a, b).item() == pytest.approx(np.mean(found), abs=1e-10)
    assert losses.structure(a, a).item() == pytest.approx(1.0)
    assert losses.structure(a, a + 0.7).item() == pytest.approx(1.0)                         # colour may differ
    assert losses.structure(a, -a).item() < -0.9


def test_face():
    texture, mask = rand(2, 3, 32, 32), torch.zeros(1, 32, 32, dtype=torch.float64)
    mask[:, 8:24, 8:24] = 1
    outside = torch.where(mask > 0, texture, rand(2, 3, 32, 32, seed=9))
    assert losses.face_loss(texture[:1], outside[:1], mask).item() == pytest.approx(0.0, abs=1e-9)
    one, other = (losses.face_loss(texture[:1], texture[k:k + 1], mask) for k in (0, 1))
    assert losses.face_loss(texture[:1], texture, mask).item() == pytest.approx(float(one + other) / 2)
    assert other > 0.1


@pytest.mark.parametrize("per_pixel", [False, True])
def test_uncertainty(per_pixel):
    """Two pixels count, with errors 0.2 and 0.4 and sigmas 0.5 and 1: ln(sqrt2 / 2) + sqrt2 0.4, ln(sqrt2) + sqrt2 0.4."""
    image = torch.tensor([[[0.1, 0.5, 1.0]], [[0.3, 0.1, 1.0]], [[0.2, 0.0, 1.0]]])[None]
    drawn = torch.tensor([[[0.3, 0.1, 0.0]], [[0.1, 0.5, 0.0]], [[0.4, 0.4, 0.0]]])[None]
    sigma, where = torch.tensor([0.5, 1.0, 7.0]).view(1, 1, 1, 3), torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 1, 3)
    want = math.log(math.sqrt(2) / 2) + math.log(math.sqrt(2)) + 2 * math.sqrt(2) * 0.4
    have = losses.uncertainty_loss(image, drawn, sigma, where, replace(PRINTED, per_pixel=per_pixel))
    assert have.item() == pytest.approx(want / 2 if per_pixel else want, abs=1e-6)


def test_the_best_sigma_says_the_error():
    """The likelihood's minimum over sigma lies at sqrt2 |error|."""
    error, sigma = 0.3, torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    image, where = torch.zeros(1, 3, 1, 1, dtype=torch.float64), torch.ones(1, 1, 1, 1)
    for _ in range(200):
        loss = losses.uncertainty_loss(image, image + error, sigma.view(1, 1, 1, 1), where)
        (grad,) = torch.autograd.grad(loss, sigma)
        sigma = (sigma - 0.02 * grad).detach().requires_grad_()
    assert sigma.item() == pytest.approx(math.sqrt(2) * error, rel=1e-3)


def test_cycle_and_schedule():
    a, b = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.5)
    b[..., 0, 0] = 1.0
    assert losses.cycle_loss(a, b).item() == pytest.approx((3 * 0.25 + 1) / 4)
    assert losses.cycle_loss(a, b, torch.tensor([[1.0, 0.0], [0.0, 1.0]])[None]).item() == pytest.approx((0.25 + 1) / 2)
    assert [losses.early_weight(p) for p in (0.0, 0.25, 0.5, 1.0)] == [1, 0.5, 0, 0]
    assert losses.early_weight(0.3, replace(PRINTED, off=0.0)) == 0


def test_same_person():
    """Two people, two pictures each, codes at right angles: each picture's one partner has cosine 1, the two others 0."""
    codes = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    person = torch.tensor([7, 7, 3, 3])
    want = -math.log(math.exp(10) / (math.exp(10) + 2))
    assert losses.same_person(codes, person).item() == pytest.approx(want, rel=1e-2)
    assert losses.same_person(codes, torch.tensor([0, 1, 0, 1])).item() > 10
    alone = codes.clone().requires_grad_()
    losses.same_person(alone, torch.arange(4)).backward()
    assert torch.isfinite(alone.grad).all()


def test_identity_learns_to_tell_people_apart():
    """Four "people" are four colourings; the network finds them again in noise after a few steps."""
    torch.manual_seed(0)
    net = Identity(IdentityConfig(widths=(8, 8, 16, 16), code=16))
    looks, person = torch.rand(4, 3, 4, 1) * 2 - 1, torch.arange(4).repeat(4)
    picture = lambda: F.interpolate(looks[person], (64, 32)) + 0.3 * torch.randn(16, 3, 64, 32)
    assert [tuple(f.shape[1:]) for f in net.features(picture())] == [(8, 32, 16), (8, 16, 8), (16, 8, 4), (16, 4, 2)]
    solver = torch.optim.Adam(net.parameters(), 3e-3)
    first = None
    for _ in range(25):
        loss = losses.same_person(net(picture()), person)
        first = first if first is not None else loss.item()
        solver.zero_grad()
        loss.backward()
        solver.step()
    with torch.no_grad():
        code = net(picture())
    assert torch.allclose(code.norm(dim=1), torch.ones(16), atol=1e-5) and loss.item() < 0.7 * first
    near = (code @ code.T - 2 * torch.eye(16)).argmax(1)
    assert (person[near] == person).float().mean() > 0.8


def test_a_perfect_guess_costs_nothing():
    target, weight = rand(1, 3, 16, 16).float(), torch.ones(1, 1, 16, 16)
    assert colour_loss(target, target, weight, 3) == 0 and edge_loss(target, target, weight) == 0
    assert colour_loss(target + 0.25, target, weight, 3).item() == pytest.approx(0.25, abs=1e-6)
    assert edge_loss(target + 0.25, target, weight).item() == pytest.approx(0, abs=1e-6)
    half = weight.clone()
    half[..., 8:] = 0
    wrong = torch.where(half > 0, target, target + 1)
    assert colour_loss(wrong, target, half, 1) == 0 and edge_loss(wrong, target, half).item() == pytest.approx(0, abs=1e-6)


def shot(seed: int) -> Shot:
    """A flat "body": the left half of the picture shows the left half of the layout, upside down in the second."""
    image = rand(2, 3, 32, 16, seed=seed).float()
    line = lambda n: (torch.arange(n) + 0.5) / n
    v, u = torch.meshgrid(1 - line(32), line(16), indexing="ij")
    uv = torch.stack([u, v if seed == 1 else 1 - v]).expand(2, -1, -1, -1)
    mask = (u < 0.5).float().expand(2, 1, -1, -1)
    labels = (1 + (v * 6.99).long()).expand(2, -1, -1) * mask[:, 0].long()
    return Shot(image, mask, image, mask, labels, (BodyView(uv, mask, labels), labels))


def test_the_whole_objective():
    torch.manual_seed(0)
    net, sigma = RefineTex(replace(PAPER, width=16, heads=4)), ConfidenceNet(8)
    encoder = Identity(IdentityConfig(widths=(8, 8, 8, 8))).requires_grad_(False)
    query = rand(1, 3, 32, 32).float()
    asked = []

    def estimate(image, view):
        asked.append(image)
        out = net(PaperInputs(image, view[1], query))
        return out.last.fused(image), out.early.fused(image)

    draw = lambda texture, view, background: render(texture, view[0], background)
    face, charts = torch.zeros(1, 32, 32), torch.ones(1, 32, 32)
    face[:, :16, :16] = 1
    helpers = Helpers(encoder.features, sigma, rand(2, 3, 32, 32).float(), face, charts)
    first, second = shot(1), shot(2)
    loss, terms = total(estimate, draw, helpers, first, second, part=0.25)
    assert set(terms) == {"base", "uncertainty", "cycle", "early"} and loss.item() == pytest.approx(sum(terms.values()).item(), rel=1e-5)
    assert len(asked) == 2 and asked[1].shape == first.image.shape
    outside = second.body.expand_as(asked[1]) == 0
    assert torch.equal(asked[1][outside], second.background[outside]) and asked[1].requires_grad          # the cycle sees the rendering
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in [*net.parameters(), *sigma.parameters()])
    plain = replace(PRINTED, cycle=0.0, uncertainty=0.0)
    _, terms = total(estimate, draw, helpers, first, second, part=1.0, config=plain)
    assert set(terms) == {"base"} and len(asked) == 3


def test_rendering_is_a_look_up():
    texture = torch.arange(16.0).view(1, 1, 4, 4).expand(1, 3, 4, 4).clone().requires_grad_()
    uv = torch.tensor([[[0.125, 0.875]], [[0.875, 0.125]]])[None]                             # texel (0, 0), and the last of the last row
    view = BodyView(uv, torch.tensor([[[[1.0, 0.0]]]]), torch.ones(1, 1, 2, dtype=torch.int64))
    out = render(texture, view, torch.full((1, 3, 1, 2), -9.0))
    assert out[0, 0].tolist() == [[0.0, -9.0]]
    moved = BodyView(uv.flip(1) * 0 + torch.tensor([0.875, 0.125]).view(1, 2, 1, 1), torch.ones(1, 1, 1, 2), view.labels)
    drawn = render(texture, moved, out.detach())
    assert drawn[0, 0, 0, 0].item() == 15.0
    drawn.sum().backward()
    assert texture.grad[0, 0, 3, 3].item() == 2.0 and texture.grad.sum().item() == 6.0
    assert np.isclose(float(out.detach().sum()), -27.0)
