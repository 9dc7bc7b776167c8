"""The phases of 2K2K's training on tiny made-up people: what learns and what stays, numbers, samples on disk, resuming, shipping."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from neural.contract.errors import OptionError
from neural.contract.joints import LANDMARKS
from neural.nets.two_k.config import COMPACT, CPU
from neural.nets.two_k.door import compact_inputs
from neural.nets.two_k.net import TwoK
from neural.nets.two_k.weights import load
from train.people.shards import write_shard
from train.two_k import ship as shipping
from train.two_k.__main__ import main, start, train
from train.two_k.data import batch_of
from train.two_k.losses import scores
from train.two_k.picture import COLUMNS, sheet
from train.two_k.plan import PLANS, Plan
from train.two_k.ship import export
from train.two_k.sources import Disk, folder_of
from train.two_k.task import TRAINED, Phase, TwoKTask, fresh

torch.set_num_threads(1)
SMALL = replace(CPU, normal=(4, 4, 4, 8), depth=(4, 4, 4, 8), part=(4, 4, 4, 8), cascade=4)


def people(count: int = 2, side: int = 256) -> dict[str, torch.Tensor]:
    """Tilted ellipsoid "people"; their bodies are thinner and a little too near. Landmarks make all parts possible."""
    at = (torch.arange(side) + 0.5) / side * 2 - 1
    x, y = at.view(1, 1, -1), at.view(1, -1, 1)
    out = {}
    for prefix, wide, lift in (("", 0.4, 0.0), ("body_", 0.3, 0.05)):
        r = 1 - (x / wide) ** 2 - (y / 0.8) ** 2
        hit = (r > 0).expand(count, -1, -1)
        bulge = 0.3 * r.clamp(min=0).sqrt()
        for name, sign in (("front", -1.0), ("back", 1.0)):
            out[f"{prefix}depth_{name}"] = torch.where(hit, 3 - lift + sign * bulge, 0)
            n = torch.stack([x / wide**2 + 0 * y, y / 0.64 + 0 * x, sign * bulge / 0.09], 1).expand(count, -1, -1, -1)
            out[f"{prefix}normal_{name}"] = torch.nn.functional.normalize(n, dim=1) * hit[:, None]
    for name in ("front", "back"):
        out[f"body_part_{name}"] = (out[f"body_depth_{name}"] > 0).to(torch.uint8) * 4
    mask = (out["depth_front"] > 0).float()
    joints = torch.zeros(count, 24, 3)
    joints[..., 2] = 3.0
    chance = torch.Generator().manual_seed(0)
    marks = torch.tensor([[0.5 + (0.12 if n.startswith("left") else -0.12 if n.startswith("right") else 0.0),
                           0.12 + 0.76 * (k / (len(LANDMARKS) - 1)) ** 1.5] for k, n in enumerate(LANDMARKS)]) * side
    return out | {"image": 0.2 + 0.6 * mask[:, None] * torch.rand(count, 3, side, side, generator=chance), "visible": mask, "mask_seen": mask,
                  "joints": joints, "body_joints": joints.clone(), "metres": torch.ones(count), "assumed_focal": torch.full((count,), 1.5 * side),
                  "centre": torch.full((count, 2), side / 2), "border": torch.tensor([[0.0, 0, side, side]]).expand(count, -1).clone(),
                  "landmarks_seen": marks.expand(count, -1, -1).clone(), "landmarks_trust": torch.ones(count, len(LANDMARKS))}


class Same:
    def draw(self, canvas, count, rng):
        return people(count, canvas)


@pytest.mark.parametrize("name, canvas", [("coarse", 256), ("parts", 512), ("depth", 512)])
def test_a_phase_teaches_its_own_nets_alone(name, canvas):
    task = TwoKTask(fresh(SMALL), Phase(name, ((0.0, canvas, 1),), 1.0, 1e-3), Same(), None)
    loss, numbers = task.loss(task.net, task.batch(0, 0.0))
    loss.backward()
    assert loss.isfinite() and all(torch.as_tensor(v).isfinite() for v in numbers.values())
    for child, module in task.net.named_children():
        grads = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in module.parameters()]
        assert any(grads) == (child in TRAINED[name]), child


def test_depth_does_not_pull_at_the_normals():
    task = TwoKTask(fresh(SMALL), Phase("coarse", ((0.0, 256, 1),), 1.0, 1e-3), Same(), None)
    out = task.net.coarse(compact_inputs(batch_of(people(1)).view))
    out.raw.sum().backward()
    assert all(p.grad is None for p in task.net.img2normal_down.parameters())


def test_validation_tells_network_and_body_apart():
    held = people(2)
    task = TwoKTask(fresh(SMALL), Phase("coarse", ((0.0, 256, 1),), 1.0, 1e-3), Same(), held)
    with torch.no_grad():
        found = task.validate(task.net.eval())
    assert next(iter(found)) == "front_deg" and 45 > found["body_depth_abs_mm"] >= found["body_depth_mm"] > 10
    assert found["body_mask_iou"] == pytest.approx(0.75, abs=0.02) and 5 < found["body_front_deg"] < 30


def test_scores_of_the_truth_are_perfect_and_of_a_shift_known():
    t = batch_of(people(1)).targets
    unit, inside = torch.tensor([2.0]), torch.ones(1, 1, 256, 256)
    perfect = scores(t.normals, t.depth, t.mask > 0, t, unit, inside)
    assert perfect["front_deg"] < 0.02 and perfect["depth_abs_mm"] == 0 and perfect["mask_iou"] == 1
    shifted = scores(t.normals, t.depth + 0.01, t.mask > 0, t, unit, inside)
    assert shifted["depth_abs_mm"] == pytest.approx(20, abs=0.01) and shifted["depth_mm"] < 0.01
    angle = np.radians(10)
    turned = t.normals.clone()
    turned[:, 1] = np.cos(angle) * t.normals[:, 1] - np.sin(angle) * t.normals[:, 2]
    turned[:, 2] = np.sin(angle) * t.normals[:, 1] + np.cos(angle) * t.normals[:, 2]
    found = scores(turned, t.depth, t.mask > 0, t, unit, inside)
    assert 5 < found["front_deg"] < 10.1 and found["back_deg"] < 0.02


def test_the_sheet_shows_body_network_and_truth_side_by_side():
    net = fresh(SMALL)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if "Conv_1x1" in name or "refine.last" in name:
                p.zero_()
    given = people(1, 512)
    image = np.asarray(sheet(net, given, 64)).astype(int)[18:]
    assert image.shape == (128, 64 * len(COLUMNS), 3)
    column = {name: image[:, 64 * k:64 * k + 64] for k, name in enumerate(COLUMNS)}
    inside = slice(28, 36), slice(28, 36)                       # the middle of the front's row
    assert abs(column["coarse normals"][inside] - column["body"][inside]).max() <= 2          # heads that say nothing give the body
    assert abs(column["body depth"][inside] - column["depth"][inside]).max() <= 6
    assert column["true depth"][32, 32, 0] > column["true depth"][32, 22, 0] > 0                # nearer is lighter
    assert (column["true"][:3, :3] == 255).all()


def _folder(root, canvas=256):
    for part in ("train", "val"):
        write_shard(folder_of(root, part, canvas) / "000000000", [0, 1], people(2, canvas))


def args_of(tmp_path, **kw):
    return SimpleNamespace(**{"config": "cpu", "minutes": 0.02, "steps": 0, "phase": "coarse", "resume": False, "out": tmp_path / "out",
                              "samples": tmp_path / "s", "no_drawing": True, "ship": False, "assets": None, "threads": 1, "batch": 1, "start": None, **kw})


TINY = Plan("tiny", "cpu", (Phase("coarse", ((0.0, 256, 1),), 1.0, 1e-3),), held=2, average=0.9)


def test_training_from_a_folder_exports_weights_that_load(tmp_path, monkeypatch):
    import train.two_k.__main__ as cli
    monkeypatch.setitem(cli.CONFIGS, "tiny", SMALL)
    _folder(tmp_path / "s")
    plan = replace(TINY, fresh=((256, 1.0),))
    said = []
    file = train(args_of(tmp_path), plan, said.append)
    assert (tmp_path / "out/coarse/curves.png").is_file() and load(file).config == SMALL
    steps = json.loads((tmp_path / "out/coarse/progress.json").read_text())["step"]
    train(args_of(tmp_path, resume=True, minutes=0.04), plan, said.append)
    assert json.loads((tmp_path / "out/coarse/progress.json").read_text())["step"] > steps >= 1


def test_training_can_begin_with_weights_that_are_there(tmp_path, monkeypatch):
    import train.two_k.__main__ as cli
    monkeypatch.setitem(cli.CONFIGS, "tiny", SMALL)
    _folder(tmp_path / "s")
    plan, file = replace(TINY, fresh=((256, 1.0),)), tmp_path / "old.safetensors"
    given = fresh(SMALL, seed=3)
    export(given, file)
    old = load(file).state_dict()
    new = load(train(args_of(tmp_path, minutes=1e-6, start=file), plan, lambda text: None)).state_dict()
    parts = [name for name in old if not name.startswith(TRAINED["coarse"])]
    assert parts and all(torch.equal(old[name], new[name]) for name in parts)                     # another phase's
    near = [(new[name] - old[name]).abs().max() < 0.02 for name in old if name.startswith(TRAINED["coarse"])]
    assert np.mean(near) > 0.9 and any(not torch.equal(old[name], new[name]) for name in old)      # one step from there
    monkeypatch.setitem(cli.CONFIGS, "tiny", CPU)
    with pytest.raises(OptionError) as error:
        train(args_of(tmp_path, start=file), plan, lambda text: None)
    assert error.value.code == "option.start"


def test_samples_that_are_not_there_are_missed(tmp_path):
    with pytest.raises(ValueError, match="no samples of 256 pixels"):
        Disk(tmp_path).draw(256, 1, np.random.default_rng(0))
    _folder(tmp_path)
    found = Disk(tmp_path).draw(256, 3, np.random.default_rng(0))
    want = people(2)
    assert found["image"].shape == (3, 3, 256, 256) and (found["depth_front"] - want["depth_front"][:1]).abs().max() < 1e-4
    with pytest.raises(ValueError, match="only 2 of 3"):
        Disk(tmp_path).held(256, 3)


def test_a_later_phase_needs_the_one_before(tmp_path):
    with pytest.raises(OptionError) as error:
        start(tmp_path, SMALL, "parts", PLANS["cpu"])
    assert error.value.code == "option.phase"


def test_a_gpu_is_asked_for_only_where_there_is_one(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert main(["--config", "gpu"]) == 2 and "GPU" in capsys.readouterr().err


def test_what_ships_is_listed_once(tmp_path):
    """Also when COMPACT, which takes two files, ships in between."""
    (tmp_path / "weights.toml").write_text('# Weights.\n\n[lifter]\nfile = "a"\nscores = "[x]"\n')
    numbers = {"front_deg": 12.0, "body_front_deg": 30.0}
    for net in (fresh(SMALL), fresh(COMPACT), fresh(SMALL)):
        file = shipping.ship(net, "tiny", "train it", numbers, tmp_path)
        rows = tomllib.loads((tmp_path / "weights.toml").read_text())
        assert list(rows) == ["lifter", "two_k", "two_k_2"][:3 if net.config == COMPACT else 2] and rows["lifter"]["scores"] == "[x]"
        assert {p.name for p in tmp_path.glob("*.safetensors")} == {r["file"] for r in rows.values()} - {"a"}
        for row in list(rows.values())[1:]:
            size = (tmp_path / row["file"]).stat().st_size
            assert row["bytes"] == size <= 16e6 and row["sha256"] == hashlib.sha256((tmp_path / row["file"]).read_bytes()).hexdigest()
        assert torch.equal(load(file).state_dict()["refine.last.weight"], net.state_dict()["refine.last.weight"].half().float())
    assert "# Weights." in (tmp_path / "weights.toml").read_text() and "| front_deg | 12 | 30 |" in file.with_suffix(".md").read_text()


def test_a_fresh_network_starts_near_the_body():
    given = compact_inputs(batch_of(people(1)).view)
    with torch.no_grad():
        out = fresh(CPU).coarse(given)
    assert (out.raw[:, :2] - out.base.depth).abs().mean() < 0.02 and isinstance(fresh(SMALL), TwoK)
