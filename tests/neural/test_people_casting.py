"""Recipes: the same seed gives the same recipe; they survive being written down; people are dressed; choices follow the stated shares."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from train.people.casting import CastConfig, random_recipe
from train.people.choices import Choices, Skin
from train.people.fabrics import random_fabric
from train.people.recipe import FABRICS, Recipe


def choices(**kw) -> Choices:
    worn = {(slot, sex): (f"{slot}_a", f"{slot}_b") for slot in ("top", "bottom", "dress", "full", "coat", "shoes", "socks", "hat", "hair", "eyes", "glasses")
            for sex in ("f", "m")}
    worn[("dress", "m")] = ()
    worn[("beard", "m")] = ("beard_a",)
    g = np.random.default_rng(0)
    base = dict(
        worn=worn, skins=tuple(Skin(f"{age}_{tone}_{sex}", sex, age, tone == "dark") for age in ("young", "middleage", "old") for tone in ("light", "dark")
                               for sex in ("f", "m")),
        eyes=("iris blue",), poses=("sit", "stand", "run"), standing=("stand",), photo=("arms_hanging", "hands_on_hips"), people=("Somebody",),
        lights=("sun", "room"), views=("street",), expressions=("smile", "blink"), bodies=g.normal(0, 1, (60, 5)).astype(np.float32),
        gender=np.tile([0.1, 0.9], 30), age=np.full(60, 0.67), african=np.linspace(0, 1, 60), cloth=frozenset({"top_a", "top_b", "bottom_a", "dress_a", "coat_a"}))
    return Choices(**{**base, **kw})


def test_a_recipe_hangs_on_its_seed_alone():
    c = choices()
    assert random_recipe(7, c) == random_recipe(7, c) != random_recipe(8, c)
    people = {random_recipe(s, c) for s in range(50)}
    assert len(people) == 50


def test_a_theme_leaves_the_others_alone():
    c = choices()
    a, b = random_recipe(5, c), random_recipe(5, choices(lights=("moon",)))
    assert a.person == b.person and a.camera == b.camera and a.sensor == b.sensor and a.light != b.light


def test_recipes_survive_json():
    for seed in range(20):
        r = random_recipe(seed, choices())
        assert Recipe.from_json(json.loads(json.dumps(r.to_json()))) == r


def test_everybody_is_dressed_and_nobody_twice():
    for seed in range(200):
        p = random_recipe(seed, choices()).person
        if p.avatar:
            assert not p.worn
            continue
        slots = Counter(w.item.rsplit("_", 1)[0] for w in p.worn)
        assert slots["dress"] or slots["full"] or (slots["top"] and slots["bottom"]), p.worn
        assert max(slots.values()) == 1
        assert slots["beard"] == 0 or "_m" in p.skin
        for w in p.worn:
            assert 0 <= w.loose_m <= 0.06 and 0 <= w.fold_m <= 0.02 and w.fabric.kind in FABRICS


def test_without_a_top_people_wear_something_whole():
    c = choices()
    c.worn.update({("top", "m"): (), ("dress", "f"): ()})
    for seed in range(60):
        p = random_recipe(seed, c).person
        slots = {w.item.rsplit("_", 1)[0] for w in p.worn}
        assert p.avatar or "full" in slots or {"top", "bottom"} <= slots


def test_shares_are_met():
    c, config = choices(), CastConfig()
    recipes = [random_recipe(s, c, config) for s in range(1500)]
    share = lambda test: np.mean([test(r) for r in recipes])
    assert share(lambda r: bool(r.person.avatar)) == pytest.approx(config.whole, abs=0.04)
    assert share(lambda r: bool(r.companions)) == pytest.approx(config.companion, abs=0.03)
    assert share(lambda r: bool(r.person.pose.photo)) == pytest.approx(config.photo_pose, abs=0.05)
    assert share(lambda r: abs(r.person.yaw_deg) < 40) > 0.6
    assert all(15 <= r.camera.fov_deg <= 75 and abs(r.camera.pitch_deg) <= 25 for r in recipes)
    assert len({r.camera.frame for r in recipes}) == 4


def test_skins_suit_the_person():
    c = choices(african=np.ones(60))
    skins = Counter(r.person.skin.split("_")[1] for r in (random_recipe(s, c) for s in range(100)) if not r.person.avatar)
    assert set(skins) == {"dark"}


def test_fabrics_come_in_all_kinds():
    g = np.random.default_rng(1)
    assert {random_fabric(g).kind for _ in range(800)} == set(FABRICS) - {"texture"}
