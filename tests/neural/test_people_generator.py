"""Whole samples of real assets: labels agree with each other and with the geometry; a sample does not hang on its batch."""

from __future__ import annotations

import os

import pytest
import torch

ASSETS = os.environ.get("LIKENESS_ASSETS")
pytestmark = pytest.mark.skipif(not ASSETS, reason="LIKENESS_ASSETS is not set: nothing to make people of")


@pytest.fixture(scope="module")
def generator():
    from train.people.generator import Generator, GeneratorConfig

    torch.set_num_threads(1)
    return Generator(ASSETS, "held", GeneratorConfig(size=128, supersample=1, texture=64))


@pytest.fixture(scope="module")
def sample(generator):
    return generator([11, 12])


def test_labels_agree(sample):
    mask = sample["mask"]
    assert (mask.flatten(1).float().mean(1) > 0.02).all()
    assert torch.equal(sample["depth_front"] > 0, mask) and (sample["depth_back"] >= sample["depth_front"])[mask].all()
    for side, sign in (("front", -1), ("back", 1)):
        n = sample[f"normal_{side}"].permute(0, 2, 3, 1)[mask]
        assert torch.allclose(n.norm(dim=1), torch.ones(len(n)), atol=1e-4) and (sign * n[:, 2] >= -1e-4).all()
        assert torch.equal(sample[f"part_{side}"] < 24, mask)
    assert (sample["visible"] <= 1 + 1e-5).all() and (sample["mask_seen"] >= 0).all() and (sample["mask_seen"] <= 1).all()
    overlap = ((sample["mask_seen"] > 0.5) & (sample["visible"] > 0.5)).sum() / ((sample["mask_seen"] > 0.5) | (sample["visible"] > 0.5)).sum()
    assert 0.6 < overlap < 1                                               # damaged, not lost


def test_the_fitted_body_is_where_the_person_is(sample):
    both = (sample["body_mask"] & sample["mask"]).flatten(1).sum(1) / sample["mask"].flatten(1).sum(1)
    assert (both > 0.4).all()


def test_depth_in_the_measure_of_the_fitted_body(sample):
    from train.people.generator import to_view

    moved, mask = to_view(sample["depth_front"], sample), sample["mask"]
    body = sample["body_mask"] & mask
    assert ((moved - sample["body_depth_front"]).abs()[body]).median() < 0.25 and torch.equal(moved > 0, mask)


def test_a_sample_does_not_hang_on_its_batch(generator, sample):
    alone = generator([12])
    assert torch.equal(alone["mask"][0], sample["mask"][1]) and torch.allclose(alone["depth_front"][0], sample["depth_front"][1], atol=1e-4)
    assert (alone["image"][0] - sample["image"][1]).abs().mean() < 2e-3


def test_the_texture_is_the_surface_and_the_photo(sample):
    assert (sample["texture_valid"].flatten(1).float().mean(1) > 0.3).all()
    assert sample["texture_visible"].any() and not sample["texture_visible"].all()
