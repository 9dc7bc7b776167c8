"""Samples of RefineTex's training: pairs of photos, folders of them, changes that keep photo and texture together, scores, fills."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from neural.body.model import BodyModel
from neural.contract.errors import OptionError
from neural.nets.refinetex.layout import layout
from neural.nets.refinetex.view import texels_of
from tests.neural.test_people_casting import choices
from tests.neural.test_refinetex_compact import photographed, truth
from tests.support.refinetex_people import people
from train.people.casting import random_recipe
from train.people.shards import write_shard
from train.refinetex.change import ChangeConfig, changed, guessed_normals
from train.refinetex.pairs import pairs, second, split, swapped
from train.refinetex.scores import fills, psnr, scores, ssim
from train.refinetex.sources import Disk, Kind
from train.refinetex.task import retrieval
from train.refinetex.views import FIELDS, stored, target, view_of, wanted_of

torch.set_num_threads(1)
KIND = Kind(128, 64)


# -- pairs -------------------------------------------------------------------------------------------------------------

def test_the_second_photo_shows_the_same_person_from_elsewhere():
    c = choices()
    first = [random_recipe(s, c) for s in range(200)]
    other = [second(r, c) for r in first]
    assert other == [second(r, c) for r in first]
    still = lit = 0
    for a, b in zip(first, other):
        assert replace(b.person, pose=a.person.pose, yaw_deg=a.person.yaw_deg) == a.person and b.camera != a.camera and not b.companions
        turn = (b.person.yaw_deg - a.person.yaw_deg) % 360
        assert 39.9 < turn < 320.1 and b.errors != a.errors
        still += b.person.pose == a.person.pose
        if b.light.map == a.light.map and b.light.key == a.light.key:
            lit += 1
            assert (b.light.turn_deg - a.light.turn_deg - turn) % 360 == pytest.approx(0, abs=0.02) or \
                (b.light.turn_deg - a.light.turn_deg - turn) % 360 == pytest.approx(360, abs=0.02)      # it stays with the person
    assert 70 < still < 130 and 70 < lit < 130


def test_rows_of_a_pair_stay_together():
    sample = {"x": torch.arange(8)}
    a, b = split(swapped(sample, torch.tensor([False, True, False, True])))
    assert a["x"].tolist() == [0, 3, 4, 7] and b["x"].tolist() == [1, 2, 5, 6]


@pytest.mark.skipif(not os.environ.get("LIKENESS_ASSETS"), reason="LIKENESS_ASSETS is not set: nothing to make people of")
def test_both_photos_of_a_pair_have_one_texture():
    """True albedo on the body's layout hangs on neither camera, nor light, nor pose."""
    from train.people.generator import Generator, GeneratorConfig

    generator = Generator(os.environ["LIKENESS_ASSETS"], "held", GeneratorConfig(size=128, supersample=1, texture=64))
    seeds = [11, 12]
    recipes = [r for s in seeds for r in (generator.recipe(s), second(generator.recipe(s), generator.choices))]
    drawn = generator.draw(recipes)
    both = drawn["texture_valid"][0::2] & drawn["texture_valid"][1::2]
    assert both.float().mean() > 0.3
    apart = (drawn["texture"][0::2] - drawn["texture"][1::2]).abs().mean(1)[both]
    others = (drawn["texture"][0] - drawn["texture"][2]).abs().mean(0)[both[0] & both[1]]
    assert apart.median() < 0.01 and apart.mean() < 0.25 * others.mean()
    made = pairs(generator, seeds)
    assert set(FIELDS) <= set(made) and len(made["image"]) == 4
    assert torch.allclose(made["image"], drawn["image"], atol=1e-3)


# -- what is kept ------------------------------------------------------------------------------------------------------

def test_what_is_stored_is_the_target(tmp_path):
    """Also through a folder, to 8 bits."""
    sample = people(2, 128, 64)
    generated = {k: v for k, v in sample.items() if not k.startswith("texture")} | {
        "texture": torch.rand(4, 3, 64, 64), "texture_valid": sample["texture_known"].clone(), "texture_seen": torch.rand(4, 3, 64, 64),
        "texture_visible": sample["texture_shown"]}
    want = target(generated)
    kept = stored(generated)
    for a, b in zip(want, wanted_of(kept)):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
    write_shard(KIND.folder(tmp_path, "train") / "000000000", [7, 7, 8, 8], kept)
    read = Disk(tmp_path).draw(KIND, 6, np.random.default_rng(0))
    a, b = split(read)
    front = (kept["image"][0] - a["image"]).abs().amax((1, 2, 3)) < 0.01
    assert front.any() and not front.all()
    for row in range(6):
        k = 0 if front[row] else 2
        assert (a["image"][row] - kept["image"][k]).abs().max() < 0.003 and (b["image"][row] - kept["image"][k + 1]).abs().max() < 0.003
        wanted, known, shown = (t[0] for t in wanted_of({n: v[row:row + 1] for n, v in a.items()}))
        assert (wanted - want[0][k]).abs().max() < 0.005 and torch.equal(known, want[1][k]) and torch.equal(shown, want[2][k])
    assert (a["body_uv_front"][0] - kept["body_uv_front"][0]).abs().max() < 1e-4
    assert (a["body_depth_front"][0] - kept["body_depth_front"][0]).abs().max() < 1e-4


def test_samples_that_are_not_there_are_missed(tmp_path):
    disk = Disk(tmp_path)
    with pytest.raises(OptionError, match="no samples"):
        disk.draw(KIND, 1, np.random.default_rng(0))
    sample = people(2, 128, 64)
    for part in ("train", "val"):
        write_shard(KIND.folder(tmp_path, part) / "000000000", [0, 0, 1, 1], sample)
    assert disk.people(KIND) == 2 and len(disk.draw(KIND, 3, np.random.default_rng(0))["image"]) == 6
    assert len(disk.held(KIND, 2)["image"]) == 4 and set(disk.held(KIND, 1)) == set(FIELDS)
    with pytest.raises(OptionError, match="Only 2 of 3"):
        disk.held(KIND, 3)
    pictures = disk.draw(Kind(128, 0), 2, np.random.default_rng(0), ("image",))           # photos alone: those of the pairs
    assert set(pictures) == {"image"} and len(pictures["image"]) == 4


def test_the_stored_body_stands_where_it_was():
    view, true = view_of(people(1, 128, 32)), photographed(0.3, 128)
    assert torch.allclose(view.vertices[0], true.vertices[0], atol=1e-5) and torch.equal(view.inside, torch.ones_like(view.inside))


# -- changes -----------------------------------------------------------------------------------------------------------

def test_photo_and_texture_change_together():
    """Nothing but the tone: the same colour in both stays the same colour; the person's two photos change alike, other people otherwise."""
    only = ChangeConfig(tone=1, blur=0, noise=0, cut=0)
    sample = people(3, 128, 128)
    sample["image"] = sample["texture_wanted"] = torch.rand(3, 3, 1, 1).expand(-1, -1, 128, 128).repeat_interleave(2, 0)
    out = changed(sample, np.random.default_rng(0), 2, only)
    assert torch.allclose(out["image"], out["texture_wanted"], atol=1e-6) and (out["image"] - sample["image"]).abs().mean() > 0.02
    a, b = split(out)
    assert torch.allclose(a["image"], b["image"], atol=1e-6)
    apart = split(changed(sample, np.random.default_rng(0), 2, only, alike=False))
    assert (apart[0]["image"] - apart[1]["image"]).abs().mean() > 0.02
    nothing = changed(sample, np.random.default_rng(0), 2, ChangeConfig(0, 0, 0, 0, 0))
    assert all(torch.allclose(nothing[k].float(), sample[k].float(), atol=2e-4) for k in sample)


def test_holes_and_noise_leave_the_texture_alone():
    sample = people(2, 128, 64)
    out = changed(sample, np.random.default_rng(1), 2, ChangeConfig(tone=0, blur=1, noise=1, cut=1))
    assert torch.allclose(out["texture_wanted"], sample["texture_wanted"], atol=2e-4)
    assert (out["mask_seen"] <= sample["mask_seen"]).all() and (out["image"] != sample["image"]).float().mean() > 0.5
    same = changed(sample, np.random.default_rng(1), 2, ChangeConfig(tone=0, blur=1, noise=1, cut=1))
    assert torch.equal(out["image"], same["image"])


def test_guessed_normals_are_near_the_true_ones():
    sample = people(1, 128, 32)
    found, true = guessed_normals(sample, np.random.default_rng(0)), sample["normal_front"]
    on = (sample["mask_seen"] > 0.5)[:, None]
    assert torch.equal(found.square().sum(1, keepdim=True) > 0.5, on)
    inner = torch.nn.functional.avg_pool2d(on.float(), 9, 1, 4)[:, 0] > 0.99
    angle = torch.rad2deg(torch.acos((found * true).sum(1).clamp(-1, 1)))[inner]
    assert 3 < angle.median() < 25


# -- scores ------------------------------------------------------------------------------------------------------------

def test_scores_know_where():
    known = torch.zeros(1, 1, 32, 32)
    known[..., 4:28, 4:28] = 1
    shown = known.clone()
    shown[..., 16:] = 0
    wanted = 2 * torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) - 1
    perfect = scores(wanted, wanted, known, shown)
    assert perfect["psnr"] == 99 and perfect["hidden_error"] == 0 and perfect["ssim"] == pytest.approx(1, abs=1e-4)
    hidden = known * (1 - shown) > 0
    off = torch.where(hidden, 0.5 * wanted + 0.2, wanted)
    off = torch.where(hidden, off, torch.where(known > 0, wanted, wanted + 5))                  # off the charts nothing counts
    found = scores(off, wanted, known, shown)
    error = ((0.5 * wanted + 0.2).clamp(-1, 1) - wanted)[hidden.expand_as(wanted)] / 2
    assert found["hidden_psnr"].item() == pytest.approx(-10 * float(error.square().mean().log10()), abs=1e-3)
    assert found["hidden_error"].item() == pytest.approx(255 * float(error.abs().mean()), rel=1e-4)
    assert found["psnr"] > found["hidden_psnr"] + 2 and found["hidden_ssim"] < found["ssim"] < 1
    nowhere = scores(wanted, wanted, known, known)
    assert nowhere["hidden_psnr"].isnan() and nowhere["hidden_error"].isnan()


def test_ssim_of_flat_pictures_is_that_of_their_brightness():
    a, b, where = (torch.full((1, n, 24, 24), v) for n, v in ((3, 0.5), (3, 0.7), (1, 1.0)))
    assert ssim(a, b, where).item() == pytest.approx((0.7 + 1e-4) / (0.25 + 0.49 + 1e-4), abs=1e-4)
    part = where.clone()
    part[..., 12:] = 0
    assert ssim(a, torch.where(part > 0, b, 0.0), part).item() == pytest.approx(ssim(a, b, where).item(), abs=1e-4)   # windows end at its border
    assert psnr(a, b, where).item() == pytest.approx(-20 * np.log10(0.2), abs=1e-3)


def test_fills_without_a_network():
    """The back has the colours that the front has on the same ray; what is seen is right in both; diffusion stays between the colours seen."""
    view, shape, model = photographed(0.0), layout(256), BodyModel.load()
    filled = fills(view, shape)
    wanted = truth(256)
    seen = texels_of(view, shape).seen[:, 0] > 0.99
    for texture in filled.values():
        assert (texture - wanted).abs().mean(1)[seen].median() < 0.03
    behind = (shape.normal[2] < -0.7) & (shape.part == 4) & (shape.charts[0] > 0)               # spine1's back
    rows = torch.nonzero(behind)[::50]
    low = (model.template.max(0) + model.template.min(0)) / 2
    for y, x in rows.tolist():
        point = (shape.place[:, y, x].numpy() - low) * (1, -1, -1) + (0, 0, 3.0)
        pixel = point[:2] / point[2] * 256 * 1.3 + 128
        colour = 2 * view.image[0, :, int(pixel[1]), int(pixel[0])] - 1
        assert (filled["mirror"][0, :, y, x] - colour).abs().max() < 0.12
    on = (shape.charts > 0)[None].expand_as(wanted)
    spread = filled["diffusion"][on]
    assert -1.01 < spread.min() and spread.max() < 1.01 and (filled["diffusion"][~on] == 0).all()


def test_retrieval():
    codes = torch.eye(4).repeat_interleave(2, 0)
    assert retrieval(codes) == {"miss": 0.0, "same": 1.0, "other": 0.0}
    mixed = codes[[0, 2, 1, 3, 4, 5, 6, 7]]
    assert retrieval(mixed)["miss"] == 0.5 and retrieval(mixed)["same"] == 0.5
