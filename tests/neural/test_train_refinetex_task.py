"""The phases of RefineTex's training on painted bodies: what learns and what stays, the rows of the table, resuming, the sheet, shipping."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from neural.body.model import BodyModel
from neural.contract.errors import OptionError
from neural.contract.joints import JOINT
from neural.nets.refinetex.compact import Compact
from neural.nets.refinetex.config import COMPACT
from neural.nets.refinetex.identity import Identity, IdentityConfig
from neural.nets.refinetex.layout import layout
from neural.nets.refinetex.paper_door import narrow
from neural.nets.refinetex.weights import load, save
from tests.support.refinetex_people import Same, people
from train.people.shards import write_shard
from train.refinetex import __main__ as cli
from train.refinetex import ship as shipping
from train.refinetex.change import ChangeConfig
from train.refinetex.objective import face_mask, pictures
from train.refinetex.picture import COLUMNS, sheet
from train.refinetex.plan import PLANS, Plan
from train.refinetex.rows import ROWS, begun, fresh, paint, with_picture, without_fine
from train.refinetex.sources import Kind
from train.refinetex.task import FINE, IdentityTask, Phase, Step, TextureTask
from train.refinetex.views import view_of

torch.set_num_threads(1)
TINY = replace(COMPACT, size=64, encoder=128, picture=(8, 8, 16, 16), texture=(8, 16, 16, 16), heads=2, width=8)
PAIR, ONE = Kind(128, 64), Kind(128, 128, 1)
PHASE = {"identity": Phase("identity", (Step(0.0, PAIR, 64, 2),), 0.3, 1e-3), "texture": Phase("texture", (Step(0.0, PAIR, 64, 1),), 0.4, 1e-3),
         "fine": Phase("fine", (Step(0.0, ONE, 64, 1),), 0.3, 1e-3)}


def encoder() -> Identity:
    torch.manual_seed(1)
    return Identity(IdentityConfig(widths=(4, 4, 8, 8), code=8))


def task(row: str = "full", phase: str = "texture", config=TINY, held=None, **kw) -> TextureTask:
    return TextureTask(fresh(config, ROWS[row]), PHASE[phase], ROWS[row], Same(), held, encoder(), **kw)


def learnt(one: TextureTask, step: int = 0) -> tuple[set[str], dict]:
    """Names of the parameters that get a gradient, and the numbers of the log."""
    loss, numbers = one.loss(one.net, one.batch(step, 0.0))
    loss.backward()
    assert loss.isfinite() and all(torch.as_tensor(v).isfinite() for v in numbers.values())
    return {n for n, p in one.net.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}, numbers


# -- what learns -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("row", list(ROWS))
def test_a_row_of_the_table_has_its_losses(row):
    one, what = task(row), ROWS[row]
    names, numbers = learnt(one)
    net = {n.split(".")[1] for n in names if n.startswith("net.")}
    assert {"picture", "texture", "head"} <= net and not net & set(FINE)
    assert ("read" in net) == (what.refine != "none") and ("jitter" in net) == (what.refine == "deform")
    assert any(n.startswith("sigma.") for n in names) == what.uncertainty
    assert ("colour" in numbers) == what.direct and ("own_base" in numbers) == what.own
    assert ("own_uncertainty" in numbers) == what.uncertainty and ("own_cycle" in numbers) == what.cycle
    assert all(p.grad is None for p in one.identity.parameters())


def test_the_papers_losses_come_every_other_step():
    one = task()
    assert "own_base" in learnt(one, 0)[1] and "own_base" not in learnt(one, 1)[1]
    alone = task("unsupervised")
    assert "own_base" in learnt(alone, 1)[1]
    assert one.batch(0, 0.0).own == pytest.approx(0.2) and alone.batch(0, 0.0).own == 1


def test_the_papers_own_network_trains_too():
    """Narrow pictures of any size and the layout of 64 texels; it has no direct losses."""
    names, numbers = learnt(task(config=None))
    assert {"net.deep", "net.refine"} <= {".".join(n.split(".")[:2]) for n in names} and "colour" not in numbers and "own_early" in numbers
    assert learnt(task("texformer", config=None))[1].keys() == {"own_base"}


def test_the_head_for_twice_the_size_learns_alone():
    one = task(phase="fine")
    names, numbers = learnt(one)
    assert {n.split(".")[1] for n in names} == set(FINE) and "own_base" not in numbers


def test_the_face_on_the_layout():
    """Face and hands: symmetric, with the nose and without the back of the head."""
    mask, shape, model = face_mask(256)[0] > 0, layout(256), BodyModel.load()
    points = dict(zip(model.landmark_names, model.landmarks(model.template)))
    place = shape.place + 9 * (1 - shape.charts)
    near = lambda p: (place - torch.as_tensor(p, dtype=torch.float32).view(3, 1, 1)).norm(dim=0).argmin()
    assert all(mask.flatten()[near(points[n])] for n in ("nose", "chin", "mouth_left", "left_eye_inner", "right_eye_outer"))
    head = shape.part == JOINT["head"] + 1
    ears = shape.place[2][head].aminmax()
    assert shape.place[2][mask & head].min() > (ears.min + ears.max) / 2 and not mask[shape.part == JOINT["spine2"] + 1].any()
    assert mask[shape.part == JOINT["left_hand"] + 1].all() and abs(float(shape.place[0][mask & head].mean())) < 0.01
    assert 0.15 < (mask & head).sum() / head.sum() < 0.6


def test_a_rendered_picture_takes_the_place_of_the_photo():
    view = view_of(people(1, 128, 32, 1))
    picture = torch.zeros(1, 3, 128, 64, requires_grad=True)
    placed = with_picture(view, picture)
    assert torch.equal(narrow(placed.image), torch.full((1, 3, 128, 64), 0.5)) and torch.equal(placed.image[..., :32], view.image[..., :32])
    torch.manual_seed(0)
    paint(fresh(TINY, ROWS["full"]).net, placed, 64).last.square().sum().backward()
    assert picture.grad.abs().sum() > 0
    with pytest.raises(ValueError):
        with_picture(view, picture[..., :32])
    assert pictures(view.image).shape == (1, 3, 128, 64) and pictures(torch.zeros(1, 3, 512, 512)).shape == (1, 3, 128, 64)


class Colours:
    """Two people: a red and a blue one, on backgrounds that say nothing."""

    def draw(self, kind, count, rng, fields):
        image = torch.as_tensor(rng.random((4, 3, 128, 1), dtype=np.float32)).expand(-1, -1, -1, 128).clone()
        image[:, :, 32:96, 48:80] = torch.tensor([[0.9, 0.1, 0.2], [0.1, 0.2, 0.9]]).repeat_interleave(2, 0)[:, :, None, None]
        return {"image": image}


def test_identity_tells_two_people_apart():
    held = Colours().draw(None, 2, np.random.default_rng(1), None)
    one = IdentityTask(encoder(), PHASE["identity"], Colours(), held, change=ChangeConfig(0.5, 0, 0, cut=0))
    assert one.batch(0, 0.0).shape == (4, 3, 128, 64)
    solver, losses = torch.optim.Adam(one.net.parameters(), 1e-2), []
    for step in range(40):
        loss, _ = one.loss(one.net, one.batch(step, 0.0))
        losses.append(loss.item())
        solver.zero_grad()
        loss.backward()
        solver.step()
    with torch.no_grad():
        found = one.validate(one.net.eval())
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5]) and found["miss"] == 0 and found["same"] > found["other"] + 0.2


def test_validation_scores_the_network_and_the_fills():
    """The textures of an untrained network are the photo's where it is seen and grey elsewhere; the truth's code is the best."""
    held = people(2, 128, 64)
    one = task(held=held)
    with torch.no_grad():
        found = one.validate(one.net.eval())
    assert next(iter(found)) == "hidden_error" and all(np.isfinite(v) for v in found.values())
    assert found["psnr"] > found["hidden_psnr"] and found["mirror_psnr"] > 10 and 0.9 < found["true_code"] <= 1.0001
    assert found["true_code"] > max(found["code"], found["diffusion_code"])
    fine = task(phase="fine", held=people(1, 128, 128, 1))
    with torch.no_grad():
        assert {"hidden_psnr", "enlarged_hidden_psnr", "mirror_psnr"} <= set(fine.validate(fine.net.eval())) - {"code"}


def test_training_lowers_the_error_of_the_hidden_side():
    one = task("direct", held=people(1, 128, 64))
    solver = torch.optim.Adam([p for p in one.net.parameters() if p.requires_grad], 3e-3)
    with torch.no_grad():
        before = one.validate(one.net.eval())["hidden_error"]
    for step in range(15):
        loss, _ = one.loss(one.net.train(), one.batch(step, 0.0))
        solver.zero_grad()
        loss.backward()
        solver.step()
    with torch.no_grad():
        assert one.validate(one.net.eval())["hidden_error"] < 0.85 * before


# -- the command -------------------------------------------------------------------------------------------------------

@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A plan of seconds, and a folder of samples for it."""
    monkeypatch.setitem(cli.CONFIGS, "tiny", TINY)
    monkeypatch.setattr(cli, "Identity", encoder)
    for part in ("train", "val"):
        write_shard(PAIR.folder(tmp_path / "s", part) / "000000000", [0, 0, 1, 1], people(2, 128, 64))
        write_shard(ONE.folder(tmp_path / "s", part) / "000000000", [0, 1], people(2, 128, 128, 1))
    plan = Plan("tiny", "cpu", tuple(PHASE.values()), held=2, average=0.9, fresh=((PAIR, 1.0), (ONE, 1.0)))
    args = SimpleNamespace(config="cpu", minutes=0.03, steps=0, phase="all", row="full", net="ours", resume=False, out=tmp_path / "out",
                           samples=tmp_path / "s", no_drawing=True, ship=False, assets=None, threads=1, batch=None, first=None, start=None)
    return lambda **kw: cli.train(SimpleNamespace(**{**vars(args), **kw}), plan, lambda text: None), tmp_path / "out"


def test_all_phases_export_weights_that_load(tiny):
    run, out = tiny
    file = run()
    assert load(file).config == TINY and isinstance(load(out / "identity.safetensors"), Identity)
    assert all((out / name / "curves.png").is_file() for name in PHASE)
    steps = lambda name: json.loads((out / name / "progress.json").read_text())["step"]
    before, weights = steps("texture"), load(file).state_dict()
    run(resume=True, phase="texture", minutes=0.03)
    assert steps("texture") > before >= 1
    run(row="texformer", phase="texture", minutes=0.01)
    assert load(out / "texformer/refinetex.safetensors").config.refine == "none"
    run(phase="fine", minutes=0.01)
    after = load(file).state_dict()
    assert set(after) == set(weights) and not torch.equal(after["details.weight"], weights["details.weight"])


def test_rows_begin_with_what_another_has_learnt():
    """What fits is taken over, the refinement of another kind is new; what phase texture exports has no head that nothing has taught."""
    torch.manual_seed(3)
    learnt = fresh(TINY, ROWS["texformer"]).net
    given, trained = learnt.state_dict(), fresh(TINY, ROWS["refined"], seed=9)
    new, state = begun(trained, learnt), trained.net.state_dict()
    assert {n.split(".")[0] for n in new} >= {"read", "jitter", "mix", "update"} and not any(n.startswith(("picture", "texture", "head")) for n in new)
    assert all(torch.equal(state[k], given[k]) for k in state if k not in new) and len(state) > len(new) + 20
    small = without_fine(learnt)
    assert not small.config.fine and not any(n.startswith(("enlarge", "details")) for n in small.state_dict())
    assert all(torch.equal(v, given[k]) for k, v in small.state_dict().items()) and without_fine(small) is small


def test_training_begins_with_weights_of_a_file(tiny, tmp_path):
    run, out = tiny
    run(phase="identity", minutes=0.01)
    torch.manual_seed(5)
    learnt = Compact(TINY)
    save(learnt, tmp_path / "learnt.safetensors", half=False)
    with pytest.raises(OptionError) as caught:
        run(steps=3)
    assert caught.value.code == "option.steps"
    run(phase="texture", minutes=0.001, start=tmp_path / "learnt.safetensors")
    near, new = load(out / "refinetex.safetensors").state_dict(), Compact(TINY).state_dict()
    far = lambda a: sum(float((a[k] - v).abs().mean()) for k, v in learnt.state_dict().items() if k in near)
    assert far(near) < 0.2 * far(new)
    with pytest.raises(OptionError) as caught:
        run(phase="texture", start=out / "identity.safetensors")
    assert caught.value.code == "option.start"


def test_a_later_phase_needs_the_one_before(tiny):
    run, out = tiny
    for phase, before in (("texture", "identity"), ("fine", "identity")):
        with pytest.raises(OptionError, match=before) as error:
            run(phase=phase)
        assert error.value.code == "option.phase" and not out.exists()
    run(phase="identity", minutes=0.01)
    with pytest.raises(OptionError, match="'texture'"):
        run(phase="fine")
    with pytest.raises(OptionError):
        run(phase="fine", net="paper")
    with pytest.raises(OptionError):
        run(net="paper", ship=True)


def test_a_gpu_is_asked_for_only_where_there_is_one(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert cli.main(["--config", "gpu"]) == 2 and "GPU" in capsys.readouterr().err


@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
def test_plans_fit_together(plan):
    """Textures are as large as what is trained on them; what is drawn is what is used; shares are all of the time."""
    config = cli.CONFIGS[plan.net]
    assert sum(p.share for p in plan.phases) == pytest.approx(1) and [p.name for p in plan.phases] == ["identity", "texture", "fine"]
    for phase in plan.phases:
        for step in phase.steps:
            if phase.name != "identity":
                fine = phase.name == "fine"
                assert step.kind.texture == step.size * (2 if fine else 1) and step.kind.views == (1 if fine else 2)
            assert step.kind.canvas % 128 == 0 and step.size % 32 == 0
    assert plan.phases[-1].steps[-1].size == plan.phases[1].steps[-1].size == config.size
    assert {k for k, _ in plan.fresh} == ({s.kind for p in plan.phases for s in p.steps} if plan.device == "cpu" else set())


def test_samples_can_be_drawn_beforehand(monkeypatch, tmp_path):
    """The same ones that training of so many minutes would draw."""
    drawn = []
    monkeypatch.setattr(cli, "fill", lambda assets, root, orders, workers=1: drawn.append((root, tuple(orders), workers)))
    monkeypatch.setattr(cli.options, "assets_root", lambda given: tmp_path)
    assert cli.main(["--only-draw", "--minutes", "10", "--first", "32", "--threads", "1", "--out", str(tmp_path / "o")]) == 0
    (root, orders, workers), plan = drawn[0], PLANS["cpu"]
    assert root == tmp_path / "o/samples" and workers == 1 and not (tmp_path / "o").exists()
    seeds = {}
    for o in orders:
        seeds.setdefault((o.part, o.kind), []).extend(range(o.first, o.first + o.count))
    for kind, rate in plan.fresh:
        assert seeds["train", kind] == list(range(max(int(10 * rate) // 32 * 32, 32)))
        assert seeds["val", kind] == list(range(32 if kind.views == 2 else 16))
    assert len(drawn) == 1 and cli.main(["--only-draw", "--config", "gpu"]) == 2


def test_the_sheet_shows_network_fills_and_truth():
    given = people(1, 128, 128)
    image = np.asarray(sheet(fresh(TINY, ROWS["full"]).net.eval(), given, 64, 96)).astype(int)[18:]
    assert image.shape == (2 * 96, 96 * len(COLUMNS), 3)
    column = {name: image[:96, 96 * k:96 * k + 96] for k, name in enumerate(COLUMNS)}
    away = {name: abs(picture - column["true / second photo"]).mean() for name, picture in column.items()}
    assert max(away["mirror"], away["diffusion"]) < min(away["sure"], away["invented"])
    photo = image[96:, :96]
    assert abs(photo - image[96:, -96:]).mean() > 5                       # the two photos of the pair


def test_what_ships_is_listed_once(tmp_path):
    (tmp_path / "weights.toml").write_text('# Weights.\n\n[lifter]\nfile = "a"\nscores = "[x]"\n')
    numbers = {f"{f}{k}": v for f, v in (("", 20.0), ("mirror_", 14.0), ("diffusion_", 15.0)) for k in ("hidden_psnr", "psnr")} | {"true_code": 0.9}
    net = fresh(TINY, ROWS["full"]).net
    for _ in range(2):
        file = shipping.ship(net, "tiny", "train it", numbers, tmp_path)
        rows = tomllib.loads((tmp_path / "weights.toml").read_text())
        assert list(rows) == ["lifter", "refinetex"] and rows["refinetex"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert "hidden_psnr 20 (mirror 14, diffusion 15)" in rows["refinetex"]["scores"]
    assert "| psnr | 20 | 14 | 15 |" in file.with_suffix(".md").read_text() and load(file).config == TINY
