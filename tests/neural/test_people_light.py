"""Light: analytic oracles, no assets."""

import numpy as np

from train.people import light
from train.people.studio import shade


def test_even_sky_lights_evenly():
    """Radiance 1 from everywhere is irradiance pi on every surface."""
    found = light.from_map(np.ones((64, 128, 3), np.float32))
    assert np.abs(found.irradiance(light.sphere(50)) - np.pi).max() < 0.02
    assert found.key_irradiance.max() < 1e-6


def test_sun_is_found_where_it_is():
    """A small bright disc: direction, irradiance, and the rest of the map are recovered."""
    d, solid = light.directions(128, 256)
    toward = np.array([0.6, -0.5, 0.62])
    toward /= np.linalg.norm(toward)
    disc = d @ toward > np.cos(np.radians(5))
    image = np.full((128, 256, 3), 0.5, np.float32)
    image[disc] += 60.0
    found = light.from_map(image, key_share=10.0)
    assert found.key_direction @ toward > np.cos(np.radians(1))
    expected = 60.0 * solid[disc].sum()
    assert abs(found.key_irradiance.mean() / expected - 1) < 0.03
    assert np.abs(found.irradiance(light.sphere(50)) / (0.5 * np.pi) - 1).max() < 0.05


def test_turning_light_turns_directions():
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 1, (32, 64, 3)).astype(np.float32)
    image[8, 50] = 500
    before, after = light.from_map(image), light.from_map(image).turned(90)
    n = light.sphere(30)
    back = np.stack([n[:, 1], -n[:, 0], n[:, 2]], 1)                    # each normal, turned by -90 degrees
    assert np.allclose(after.irradiance(n), before.irradiance(back), atol=1e-6)
    assert np.allclose(after.key_direction[:2], [-before.key_direction[1], before.key_direction[0]])


def test_shadow_map_of_a_square():
    """A unit square 1 m over the floor, sun at 45 degrees: the shadow is shifted by 1 m."""
    v = np.array([[-0.5, -0.5, 1], [0.5, -0.5, 1], [0.5, 0.5, 1], [-0.5, 0.5, 1]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    shadow = shade.ShadowMap(v, faces, np.array([1.0, 0, 1.0]) / np.sqrt(2), 200)
    x = np.linspace(-2, 1, 61)
    lit = shadow.lit(np.stack([x, 0 * x, 0 * x], 1), 0.01)
    inside = (x > -1.5) & (x < -0.5)
    near_edge = np.minimum(abs(x + 1.5), abs(x + 0.5)) < 0.03
    assert (lit == ~inside)[~near_edge].all()
    assert shadow.lit(v[:1] * 0.9 + [0, 0, 0.1], 0.01)[0]               # the square does not shadow itself


def test_srgb_round_trip():
    x = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert np.array_equal(np.round(shade.srgb_from_linear(shade.linear_from_srgb(x)) * 255).astype(np.uint8), x)
