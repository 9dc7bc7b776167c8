"""Sensor, JPEG and filters of synthetic photographs, against Pillow, numpy and known answers."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from train.people.photo import chance, filters, jpeg, sensor
from train.people.recipe import SensorRecipe


def scene(size=96, seed=0):
    """(size, size, 3) uint8: gradients, edges, texture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    picture = np.stack([x, y, 0.5 + 0.5 * np.sin(9 * x + 5 * y)], -1)
    picture[size // 4: size // 2, size // 3: size // 2] = [0.9, 0.1, 0.2]
    return np.clip(255 * picture + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)


def tensor(image):
    return torch.tensor(image.astype(np.float32) / 255).permute(2, 0, 1)[None]


@pytest.mark.parametrize("quality", [10, 35, 50, 75, 92])
@pytest.mark.parametrize("halved", [True, False])
def test_jpeg_loses_what_libjpeg_loses(quality, halved):
    image = scene()
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=2 if halved else 0)
    real = np.asarray(Image.open(file)).astype(float)
    ours = 255 * jpeg.compressed(tensor(image), torch.tensor([quality]), halved)[0].permute(1, 2, 0).numpy()
    loss = np.abs(real - image).mean()
    assert np.abs(ours - real).mean() < 0.25 * loss + 0.25                 # rounding of single values, nothing else
    assert np.abs(ours - image).mean() == pytest.approx(loss, rel=0.1)


def test_jpeg_of_many_qualities_at_once_is_that_of_each():
    x = tensor(scene()).repeat(3, 1, 1, 1)
    q = torch.tensor([15, 60, 95])
    together = jpeg.compressed(x, q)
    for i in range(3):
        assert torch.equal(together[i:i + 1], jpeg.compressed(x[:1], q[i:i + 1]))


def test_a_clean_sensor_gives_the_srgb_of_the_light():
    x = torch.linspace(0.001, 0.7, 64).view(1, 1, 1, 64).expand(1, 3, 64, 64).contiguous()
    out = sensor.develop(x, [SensorRecipe(noise=0.0)])
    want = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x.numpy() ** (1 / 2.4) - 0.055)
    assert out.numpy() == pytest.approx(want, abs=0.004)
    bright = sensor.develop(x * 50, [SensorRecipe(noise=0.0)])
    assert bright.max() <= 1 and bright[0, 0, 0].diff().min() >= 0          # highlights roll off, never wrap
    stop = sensor.develop(x, [SensorRecipe(noise=0.0)], torch.tensor([-1.0]))
    assert torch.allclose(stop, sensor.develop(x / 2, [SensorRecipe(noise=0.0)]), atol=1 / 254)


def test_noise_has_the_spread_asked_for_and_is_the_same_every_time():
    grey = torch.full((2, 3, 128, 128), 0.2140)
    recipes = [SensorRecipe(noise=0.03, seed=5), SensorRecipe(noise=0.03, seed=6)]
    a, b = sensor.develop(grey, recipes), sensor.develop(grey, recipes)
    assert torch.equal(a, b) and not torch.equal(a[0], a[1])
    assert a.std(dim=(2, 3)).mean() == pytest.approx(0.03, rel=0.12)
    assert a.mean() == pytest.approx(0.5, abs=0.01)
    dark = sensor.develop(grey * 0.1, recipes)
    assert dark.mean() < 0.25


def test_the_hash_is_fixed_for_all_time_and_devices():
    seeds = torch.tensor([1, 2 ** 40 + 7])
    assert chance.mix(torch.tensor([0, 1, 12345])).tolist() == [mixed(0), mixed(1), mixed(12345)]
    n = chance.noise(seeds, 3, 64, 64)
    assert n.mean() == pytest.approx(0, abs=0.02) and n.std() == pytest.approx(1, abs=0.02)
    assert np.corrcoef(n[0].flatten(), n[1].flatten())[0, 1] == pytest.approx(0, abs=0.03)
    u = chance.draws(torch.arange(4000), 3)
    assert u.mean(0).numpy() == pytest.approx(np.full(3, 0.5), abs=0.02) and u.std(0).numpy() == pytest.approx(np.full(3, 0.2887), abs=0.01)
    s = chance.smooth_noise(torch.arange(40), torch.full((40,), 9.0), 96)
    assert s.std() == pytest.approx(1, abs=0.06)
    near, far = [(s[:, :, d:] * s[:, :, :96 - d]).mean() for d in (2, 40)]
    assert near > 0.8 and abs(far) < 0.1


def mixed(x):
    x ^= x >> 16
    x = x * 0x7FEB352D & 0xFFFFFFFF
    x ^= x >> 15
    x = x * 0x846CA68B & 0xFFFFFFFF
    return x ^ x >> 16


def test_gaussian_and_motion_spread_a_point_as_they_should():
    dot = torch.zeros(2, 1, 65, 65)
    dot[:, :, 32, 32] = 1
    at = torch.arange(65.0) - 32
    for blur in (filters.gaussian(dot, torch.tensor([1.5, 4.0]), 4.0),):
        for picture, sigma in zip(blur[:, 0], (1.5, 4.0)):
            assert picture.sum() == pytest.approx(1, abs=0.01)
            assert (picture.sum(0) * at.square()).sum().sqrt() == pytest.approx(sigma, rel=0.06)
    wide = filters.wide_gaussian(torch.nn.functional.pad(dot, (0, 63, 0, 63)), torch.tensor([10.0, 6.0]), 10.0)
    assert (wide[0, 0].sum(0) * (torch.arange(128.0) - 32).square()).sum().sqrt() == pytest.approx(10, rel=0.08)
    line = filters.motion(dot, torch.tensor([9.0, 9.0]), torch.tensor([0.0, np.pi / 2]), 9.0)
    assert line[0, 0, 32, 28:37].sum() == pytest.approx(0.98, abs=0.03) and torch.allclose(line[0, 0], line[1, 0].T, atol=1e-4)


def test_resampling_keeps_flat_pictures_and_agrees_with_opencv():
    cv2 = pytest.importorskip("cv2")
    size, few = 64, 24
    full, real = torch.tensor([size]), torch.tensor([few])
    up = filters.resampling(real, full, size, filters.cubic, widen=False)
    assert torch.allclose(up.sum(-1), torch.ones(1, size), atol=1e-5)
    small = np.random.default_rng(0).random((few, few)).astype(np.float32)
    padded = torch.zeros(1, 1, size, size)
    padded[0, 0, :few, :few] = torch.tensor(small)
    got = filters.resample(padded, up)[0, 0].numpy()
    assert got == pytest.approx(cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC), abs=2e-4)
    step = (torch.arange(size) > 31).float().expand(1, 1, size, size)
    down = filters.resampling(full, real, size, lambda d: (1 - d.abs()).clamp(min=0), widen=True)
    back = filters.resample(filters.resample(step, down), filters.resampling(real, full, size, filters.lanczos, widen=False))
    assert back.max() > 1.015 and back.min() < -0.015                        # the halos of an enlarged picture


def test_every_fault_changes_only_its_own_picture():
    x = filters.linear_from_srgb(tensor(scene(64)).repeat(7, 1, 1, 1))
    clean = SensorRecipe(noise=0.0)
    faults = [clean, SensorRecipe(noise=0, jpeg=20), SensorRecipe(noise=0, blur_px=8), SensorRecipe(noise=0, motion_px=30),
              SensorRecipe(noise=0, rescale=0.4), SensorRecipe(noise=0, sharpen=1), SensorRecipe(noise=0, gamma=1.5)]
    out = sensor.develop(x, faults)
    alone = torch.cat([sensor.develop(x[:1], [f]) for f in faults])
    assert torch.allclose(out, alone, atol=1 / 254)
    change = (out[1:] - out[:1]).abs().mean((1, 2, 3))
    assert (change > 0.004).all()
    assert (out * 255 - (out * 255).round()).abs().max() < 1e-3


def test_beyond_the_photo_its_last_pixel_repeats():
    x = torch.arange(16.0).view(1, 1, 1, 16).expand(2, 3, 16, 16).contiguous()
    out = sensor.replicated(x, torch.tensor([[3.0, 0, 12.0, 9.0], [-5, -5, 40, 40]]))
    assert out[0, 0, 15].tolist() == [3] * 4 + list(range(4, 12)) + [11] * 4
    assert torch.equal(out[1], x[1])
