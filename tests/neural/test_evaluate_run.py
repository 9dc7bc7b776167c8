"""The command: rows of a whole run, failures that do not stop the others, JSON, pictures, exit statuses."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import evaluate.run
from evaluate import __main__ as command
from evaluate.degrade import KINDS
from evaluate.methods import ORACLES, PIPELINES, USUAL, Reconstruction, Runner
from evaluate.toy import write_glb
from evaluate.truth import MeasureConfig
from neural.contract.errors import PersonError


class CopyRunner:
    """In place of the pipeline: the true mesh 10 % larger; finds nobody in the oracle's row."""

    def __init__(self, preset, device, work, seed, depth):
        self.pipeline = SimpleNamespace(device="cpu")

    def run(self, method, photo, truth):
        assert photo.is_file()
        if method == "oracle":
            raise PersonError("person.none", "Nobody was found in the photo.", "Choose another photo.")
        matrix = np.diag([1.1, 1.1, 1.1, 1.0])
        stages = [{"name": "s01_photo", "seconds": 1.5, "peak_mb": 300.0, "method": "pillow"}] if method == "pipeline" else []
        return Reconstruction(method, truth.shot.mesh.moved(matrix), 1.1 * truth.pelvis, None, 2.5, {}, {"stages": stages})


@pytest.fixture
def suite(tmp_path, monkeypatch):
    lat, lon = np.meshgrid(np.linspace(0.02, np.pi - 0.02, 24), np.linspace(0, 2 * np.pi, 32, endpoint=False), indexing="ij")
    vertices = np.stack([0.3 * np.sin(lat) * np.sin(lon), 0.85 + 0.85 * np.cos(lat), 0.2 * np.sin(lat) * np.cos(lon)], -1)
    i, j = (a.ravel() for a in np.meshgrid(np.arange(23), np.arange(32), indexing="ij"))
    p, q = i * 32 + j, i * 32 + (j + 1) % 32
    faces = np.concatenate([np.stack([p, p + 32, q], 1), np.stack([q, p + 32, q + 32], 1)])
    write_glb(tmp_path / "egg.glb", vertices.reshape(-1, 3), faces)
    item = {"file": "egg.glb", "height_m": 1.7, "licence": "CC0-1.0", "kind": "toy"}
    items = [{"name": "egg", **item}, {"name": "gone", **item, "file": "gone.glb"}]
    (tmp_path / "index.json").write_text(json.dumps({"about": "an egg", "items": items}))
    monkeypatch.setattr(evaluate.run, "Runner", CopyRunner)
    monkeypatch.setitem(evaluate.run.LONG_SIDE, "draft", 200)
    monkeypatch.setattr(MeasureConfig, "quick", staticmethod(lambda: MeasureConfig(1500, 500, 16, 96, 64, 96, 0.04)))
    return tmp_path


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
    return command.main()


def test_a_run_measures_what_it_can_and_says_what_it_could_not(suite, monkeypatch, capsys):
    status = call(monkeypatch, "--suite", suite, "--quick", "--out", suite / "o/r.json", "--pictures", suite / "p")
    assert status == 3                                                # the second person is missing
    data = json.loads((suite / "o/r.json").read_text())
    rows = {(r["item"], r["method"]): r for r in data["results"]}
    assert len(rows) == 2 * len(USUAL)
    good = rows["egg", "pipeline"]["numbers"]
    assert good["as_is_p2s_cm"] < 0.05 and good["seconds"] == 2.5 and "seen_psnr_db" not in good
    assert rows["egg", "oracle"]["error"]["code"] == "person.none"
    assert {rows["gone", m]["error"]["code"] for m in USUAL} == {"suite.mesh-missing"}
    assert data["means"]["pipeline"]["n"] == 1 and data["means"]["pipeline"]["failed"] == 1 and data["worst"] == ["egg"]
    assert (suite / "p/egg-pipeline.png").is_file()
    printed = capsys.readouterr().out
    assert "| s01_photo | 1.5 | 300 | pillow |" in printed and "seconds" not in rows["egg", "body"]["numbers"]
    assert "Protocol." in printed and "| pipeline | 1 (1 failed) |" in printed and "only with other quick runs" in printed


def test_all_good_is_status_zero_and_limit_and_methods_are_kept(suite, monkeypatch, capsys):
    assert call(monkeypatch, "--suite", suite, "--quick", "--limit", "1", "--methods", "body") == 0
    assert "| body | 1 |" in capsys.readouterr().out


def test_all_degradations_are_rows_of_one_table(suite, monkeypatch, capsys):
    out = suite / "d.json"
    assert call(monkeypatch, "--suite", suite, "--quick", "--limit", "1", "--methods", "pipeline", "--degrade", "all", "--out", out) == 0
    data, printed = json.loads(out.read_text()), capsys.readouterr().out
    assert list(data["means"]) == ["pipeline"] + [f"pipeline, {k}" for k in KINDS if k != "none"]
    assert all(f"| {m} | 1 |" in printed for m in data["means"]) and data["command"].endswith("--degrade all") and data["cpu_seconds"] > 0
    assert "s of CPU" in printed and "crop: only what the frame shows is measured (egg)" in printed


def test_quick_takes_the_first_people_only(suite, monkeypatch, capsys):
    index = json.loads((suite / "index.json").read_text())
    index["items"] = [{**index["items"][0], "name": f"egg{k}"} for k in range(command.QUICK_PEOPLE + 2)]
    (suite / "index.json").write_text(json.dumps(index))
    assert call(monkeypatch, "--suite", suite, "--quick", "--methods", "body") == 0
    assert f"| body | {command.QUICK_PEOPLE} |" in capsys.readouterr().out


def test_wrong_usage_is_status_two(suite, monkeypatch, tmp_path, capsys):
    assert call(monkeypatch, "--suite", suite / "nowhere") == 2
    assert "index.json" in capsys.readouterr().err
    for arguments in (("--methods", "magic"), ("--limit", "0"), ("--preset", "huge")):
        with pytest.raises(SystemExit) as caught:
            call(monkeypatch, "--suite", suite, *arguments)
        assert caught.value.code == 2


def test_rows_differ_from_what_ships_as_they_say(tmp_path):
    runner = Runner("draft", "cpu", tmp_path)
    usual = runner._asked(PIPELINES["pipeline"])
    differ = lambda row: {n for n in ("depth", "texture") if getattr(runner._asked(row), n) != getattr(usual, n)}
    assert {n: differ(r) for n, r in (PIPELINES | ORACLES).items()} == {
        "pipeline": set(), "parts": set(), "coarse": set(), "body-prior": {"depth"}, "mirror": {"texture"}, "oracle": set(), "oracle-mirror": {"texture"}}
    assert [PIPELINES[n].upto for n in ("pipeline", "parts", "coarse")] == ["depth", "parts", "coarse"]
    assert runner.job(tmp_path / "x.png", ORACLES["oracle-mirror"]).context.options.texture == "mirror"
