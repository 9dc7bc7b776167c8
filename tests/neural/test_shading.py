"""The photo's shading: found on spheres whose light is known, taken out of the picture alone, and said when it cannot be."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from neural.context import Context
from neural.contract.errors import OptionError
from neural.contract.job import JobOptions
from neural.geometry.shading import estimate, harmonics
from neural.geometry.srgb import linear, srgb
from neural.stages.s01_photo import Photo
from neural.stages.s05_parts import Normals
from neural.stages.s10_shading import without_shading

SIDE = 96


def sphere(side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """Front normals of a ball that fills the picture, camera axes, and where it is."""
    y, x = (np.mgrid[0:side, 0:side] + 0.5) / side * 2 - 1
    inside = x * x + y * y < 0.95
    z = -np.sqrt(np.maximum(1 - x * x - y * y, 1e-6))
    return np.where(inside[..., None], np.stack([x, y, z], -1), 0), inside


def lambert(normals: np.ndarray, towards=(-0.6, -0.7, -0.4), ambient: float = 0.45) -> np.ndarray:
    d = np.array(towards) / np.linalg.norm(towards)
    return ambient + (1 - ambient) * np.maximum(normals @ d, 0)


def flatness(colour: np.ndarray, where: np.ndarray) -> float:
    """Spread of log luma within `where`."""
    return float(np.abs(np.log(colour[where].mean(-1)) - np.median(np.log(colour[where].mean(-1)))).mean())


def test_srgb_and_linear_are_inverses():
    ramp = np.arange(256, dtype=np.uint8)
    assert np.array_equal(np.round(srgb(linear(ramp)) * 255), ramp)
    assert linear(np.uint8([188]))[0] == pytest.approx(0.5, abs=0.005)


def test_exact_harmonics_come_back():
    normals, inside = sphere()
    light = np.array([0.3, -0.4, -0.2, 0.1, -0.05, 0.08, 0.12, -0.06])
    rgb = np.float64([0.3, 0.2, 0.1]) * np.exp(harmonics(normals) @ light)[..., None]
    found = estimate(rgb, normals, inside.astype(float))
    shading = found.of(normals)[inside]
    true = np.exp(harmonics(normals) @ light)[inside]
    assert np.std(np.log(shading / true)) < 0.03 and found.explained > 0.85
    assert np.median(shading) == pytest.approx(1.0, abs=0.02)


def test_a_lamp_on_three_materials_with_a_print_is_taken_out():
    normals, inside = sphere()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    albedo = np.where((y < 32)[..., None], [0.6, 0.4, 0.3], np.where((y < 64)[..., None], [0.08, 0.1, 0.3], [0.5, 0.5, 0.5]))
    plain = albedo * np.exp(0.02 * rng.normal(size=(SIDE, SIDE, 1)))
    plain = np.where(((x // 6 + y // 6) % 5 == 0)[..., None] & (y > 32)[..., None] & (y < 64)[..., None], 0.7, plain)     # a print
    lit = plain * lambert(normals)[..., None]
    found = estimate(lit, normals, inside.astype(float))
    own = lit / found.of(normals)[..., None]
    for part in (y < 32, y >= 64):
        assert flatness(own, inside & part) < 0.6 * flatness(lit, inside & part)
    ratio = np.log(own[inside].mean(-1) / plain[inside].mean(-1))
    assert np.abs(ratio - np.median(ratio)).mean() < 0.06 < 0.15 < np.abs(np.log(lambert(normals)[inside]) - np.median(np.log(lambert(normals)[inside]))).mean()


def test_flat_light_is_left_alone():
    normals, inside = sphere()
    y = np.mgrid[0:SIDE, 0:SIDE][0]
    albedo = np.where((y < 48)[..., None], [0.7, 0.1, 0.1], [0.1, 0.1, 0.5])
    found = estimate(albedo.astype(float), normals, inside.astype(float))
    assert np.abs(np.log(found.of(normals)[inside])).max() < 0.05


@pytest.mark.parametrize("rgb", [0.001, 0.99])
def test_black_and_burnt_out_pictures_say_nothing(rgb):
    normals, inside = sphere()
    assert estimate(np.full((SIDE, SIDE, 3), rgb), normals, inside.astype(float)) is None


def scene(person, rgb: np.ndarray):
    """A photo twice the crop's size with the crop in its middle; `person` of conftest."""
    side = rgb.shape[0]
    normals, inside = sphere(side)
    photo = np.full((2 * side, 2 * side, 3), 90, np.uint8)
    photo[side // 2:side // 2 + side, side // 2:side // 2 + side] = rgb
    move = np.array([[1.0, 0, side // 2], [0, 1, side // 2], [0, 0, 1]])
    person = replace(person, crop=rgb, mask=inside.astype(np.float32), inside=np.ones((side, side), bool), photo_from_crop=move)
    return Photo("x.png", photo, None, None), person, Normals(normals.astype(np.float32), -normals.astype(np.float32), "test")


@pytest.fixture
def person():
    from neural.contract.frames import Camera
    from neural.stages.s02_person import Person
    none = np.zeros((33, 2), np.float32)
    return Person(np.zeros((1, 4), np.float32), 0, Camera(400.0, 400.0, 96.0, 96.0, 192, 192), np.eye(3), np.zeros((192, 192, 3), np.uint8), np.ones((192, 192), bool),
                  np.ones((192, 192), np.float32), none, np.ones(33, np.float32), np.zeros((33, 3), np.float32), None, None, None, "full", "front")


def test_photo_and_crop_change_alike_and_only_around_the_person(person):
    normals, inside = sphere(192)
    rgb = np.round(srgb(0.4 * lambert(normals)[..., None] * np.ones(3)) * 255).astype(np.uint8)
    rgb[~inside] = 90
    before = rgb.copy()
    said = []
    photo, new, found = without_shading(*scene(person, rgb), Context(warn=lambda code, message: said.append(code)))
    assert np.array_equal(rgb, before) and found.explained > 0.5 and said == ["texture.shading-estimated"]
    assert np.array_equal(photo.rgb[96:288, 96:288], new.crop)
    far = np.ones((384, 384), bool)
    far[96:288, 96:288] = False
    assert (photo.rgb[far] == 90).all() and (new.crop[:4, :4] == 90).all()
    core = cv2.erode(inside.astype(np.uint8), np.ones((9, 9))) > 0
    assert flatness(linear(new.crop), core) < 0.4 * flatness(linear(before), core)


def test_what_cannot_be_told_is_said_and_left(person):
    said = []
    context = Context(warn=lambda code, message: said.append(code))
    photo, new, found = without_shading(*scene(person, np.zeros((192, 192, 3), np.uint8)), context)
    assert found is None and said == ["texture.shading-unknown"] and not new.crop.any() and photo.rgb[0, 0, 0] == 90


def test_sequences_keep_their_light():
    with pytest.raises(OptionError) as caught:
        JobOptions(sequence="animated", remove_shading=True).checked()
    assert caught.value.code == "option.sequence-shading"
    assert JobOptions.from_json({"remove_shading": True}).remove_shading
