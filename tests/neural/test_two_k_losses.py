"""2K2K's losses (Eq. 8-10) on numbers worked out by hand."""

import math

import pytest
import torch

from train.losses.two_k import PRINTED, RELEASED, LossConfig, bce, depth_loss, l1, laplace, normal_loss, smooth_l1, ssim


def flat(value: float, *shape: int) -> torch.Tensor:
    return torch.full(shape, value)


def test_pieces():
    a, b = flat(0.5, 2, 1, 8, 8), flat(0.2, 2, 1, 8, 8)
    assert l1(a, b).item() == pytest.approx(0.3)
    assert l1(a, b, per_entry=True).item() == pytest.approx(0.6)           # two entries, a mean each
    assert smooth_l1(a, b).item() == pytest.approx(0.045)                  # 0.3^2 / 2
    assert smooth_l1(3 * a, flat(0.0, 2, 1, 8, 8)).item() == pytest.approx(1.0)   # 1.5 - 1/2
    assert bce(flat(0.0, 1, 1, 4, 4), flat(1.0, 1, 1, 4, 4)).item() == pytest.approx(math.log(2))


def test_ssim_of_flat_pictures():
    """Without variance only the means count: (2ab + c) / (a^2 + b^2 + c), c = 0.01^2."""
    a, b = flat(0.5, 1, 3, 9, 9), flat(0.2, 1, 3, 9, 9)
    assert ssim(a, a).item() == pytest.approx(1.0)
    assert ssim(a, b).item() == pytest.approx((0.2 + 1e-4) / (0.29 + 1e-4), rel=1e-3)      # float32: variances are differences


def test_ssim_of_opposite_pictures_is_none():
    x = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert ssim(x, 1 - x).item() == 0.0


def test_equation_8_sums_over_the_groups():
    pairs = [(flat(0.5, 1, 6, 8, 8), flat(0.2, 1, 6, 8, 8)), (flat(0.5, 4, 6, 8, 8), flat(0.5, 4, 6, 8, 8))]
    one = 0.85 * 0.3 + 0.15 * (1 - (0.2 + 1e-4) / (0.29 + 1e-4))
    assert normal_loss(pairs).item() == pytest.approx(one, rel=1e-3)
    assert normal_loss(pairs, LossConfig(normal_factor=0.5)).item() == pytest.approx(one / 2, rel=1e-3)
    four = [(flat(0.5, 4, 6, 8, 8), flat(0.2, 4, 6, 8, 8))]               # the release: L1 four times, SSIM once, all halved
    assert normal_loss(four, RELEASED).item() == pytest.approx(0.5 * (0.85 * 1.2 + 0.15 * (1 - 0.2001 / 0.2901)), rel=1e-3)


def test_equations_9_and_10():
    depth = flat(1.0, 1, 2, 4, 4), flat(0.0, 1, 2, 4, 4)                   # smooth L1: 1/2
    normals = flat(0.2, 1, 6, 4, 4), flat(0.0, 1, 6, 4, 4)                 # 0.02
    mask = flat(0.0, 1, 1, 4, 4), flat(1.0, 1, 1, 4, 4)                    # log 2
    assert depth_loss(depth, normals, mask).item() == pytest.approx(0.85 * 0.5 + 0.15 * 0.02 + 0.15 * math.log(2))
    twice = math.log(1 + math.exp(-0.5))                                   # sigmoid(0) = 0.5 taken for a logit
    assert depth_loss(depth, normals, mask, RELEASED).item() == pytest.approx(0.85 * 0.5 + 0.15 * 0.02 + twice)
    assert PRINTED.gamma == 0.15 and RELEASED.gamma == 1.0


def test_the_released_mask_loss_cannot_reach_zero():
    sure = flat(50.0, 1, 1, 4, 4), flat(1.0, 1, 1, 4, 4)
    none = flat(0.0, 1, 2, 4, 4), flat(0.0, 1, 2, 4, 4)
    assert depth_loss(none, none, sure).item() == pytest.approx(0.0, abs=1e-6)
    assert depth_loss(none, none, sure, RELEASED).item() == pytest.approx(math.log(1 + math.exp(-1)))


def test_laplace_is_best_at_the_expected_error():
    error = torch.tensor([0.05, 0.15, 0.1])
    log = torch.tensor(0.0, requires_grad=True)
    for _ in range(300):
        log.grad = None
        laplace(error, log).mean().backward()
        with torch.no_grad():
            log -= 0.1 * log.grad
    assert log.exp().item() == pytest.approx(0.1, rel=1e-3)
