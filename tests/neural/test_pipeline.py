"""The whole way on a test photo: every file, every promise that can be checked without Blender."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from neural.contract.errors import CancelledError, LikenessError
from neural.contract.job import STAGES, JobOptions
from neural.contract.result import HANDOVER
from neural.pipeline import Pipeline
from tests.support.photos import photo_points

PHOTOS = Path(__file__).resolve().parents[1] / "data"
DRAFT = JobOptions(preset="draft", height_m=1.80)


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline("cpu")


@pytest.fixture(scope="module")
def done(pipeline, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    said = []
    cache = tmp_path_factory.mktemp("cache")
    report = pipeline.run(PHOTOS / "man_front.jpg", out, DRAFT, lambda *what: said.append(what), cache=cache)
    return out, report, said, cache


def test_report_says_what_ran(done):
    out, report, said, _ = done
    assert report == json.loads((out / "report.json").read_text("utf-8"))
    assert report["ok"] and report["error"] is None and report["preset"] == "draft" and report["device"] == "cpu"
    assert [s["name"] for s in report["stages"]] == [*STAGES, "output"]
    assert all(s["method"] and s["seconds"] >= 0 and not s["cached"] for s in report["stages"])
    assert [s["method"].split("+")[0] for s in report["stages"][3:6]] == ["2k2k(compact)"] * 3
    assert report["stages"][5]["weights"] == ["two_k.safetensors"]
    assert report["mesh"]["watertight"] and report["mesh"]["faces"] <= 20_000
    assert report["mesh"]["height_m"] == pytest.approx(1.80, abs=0.002)
    assert report["rig"] == {"joints": 54}
    assert report["texture"]["size"] == 1024 and 0.15 < report["texture"]["seen_fraction"] < 0.6
    assert report["texture"]["psnr_db"] >= 28
    assert [name for name, done, of in said if name == "s09_surface" and done == 0]
    assert "body.height-guess" not in [w["code"] for w in report["warnings"]]


def test_files_are_there_and_open(done):
    out, report, _, _ = done
    assert cv2.imread(str(out / "albedo.png")).shape == (1024, 1024, 3)
    assert cv2.imread(str(out / "preview.png")).shape == (960, 1440, 3)
    assert cv2.imread(str(out / "stages/mask.png"), 0).shape == (512, 512)
    stored = np.load(out / "result.npz", allow_pickle=False)
    assert set(stored.files) == set(HANDOVER)
    assert json.loads(str(stored["report"]))["ok"]
    landmarks = json.loads((out / "stages/landmarks.json").read_text("utf-8"))
    assert len(landmarks["landmarks"]) == 33 and landmarks["facing"] == "front" and landmarks["framing"] == "full"


def test_surface_is_closed_and_near_the_truth(done):
    out, report, _, _ = done
    d = np.load(out / "result.npz")
    edges = np.sort(np.concatenate([d["faces"][:, [0, 1]], d["faces"][:, [1, 2]], d["faces"][:, [2, 0]]]), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    truth = photo_points("man_front")
    got = d["surface_vertices"] * (np.ptp(truth[:, 1]) / np.ptp(d["surface_vertices"][:, 1]))
    got, truth = got - got.mean(0), truth - truth.mean(0)
    p2s = cKDTree(truth).query(got)[0].mean()
    assert p2s < 0.05, f"{100 * p2s:.1f} cm"


def test_photo_pose_gives_the_surface_back(done):
    """Linear blend skinning of the stored rest mesh with the stored weights: 0.5 mm."""
    d = np.load(done[0] / "result.npz")
    blend = np.einsum("vk,vkab->vab", d["weight_values"].astype(np.float64), d["camera_from_rest"][d["weight_joints"]])
    again = np.einsum("vab,vb->va", blend[:, :3, :3], d["vertices"].astype(np.float64)) + blend[:, :3, 3]
    assert np.abs(again - d["surface_vertices"]).max() < 5e-4
    np.testing.assert_allclose(d["weight_values"].sum(1), 1, atol=1e-5)


def test_same_photo_same_bytes_and_the_cache_is_used(done, pipeline, tmp_path):
    out, _, _, cache = done
    again = pipeline.run(PHOTOS / "man_front.jpg", tmp_path, DRAFT)
    for name in ("mesh.ply", "albedo.png", "normal.png"):
        assert (out / name).read_bytes() == (tmp_path / name).read_bytes(), name
    cached = pipeline.run(PHOTOS / "man_front.jpg", tmp_path / "c", DRAFT, cache=cache)
    assert all(s["cached"] for s in cached["stages"] if s["name"] in STAGES and s["name"] != "s08_face")
    assert (out / "mesh.ply").read_bytes() == (tmp_path / "c/mesh.ply").read_bytes()
    assert cached["warnings"] == again["warnings"]


def test_only_the_texture_is_new_without_shading(done, pipeline, tmp_path):
    out, before, _, cache = done
    report = pipeline.run(PHOTOS / "man_front.jpg", tmp_path / "out", replace(DRAFT, remove_shading=True), cache=cache)
    anew = [s["name"] for s in report["stages"] if not s["cached"] and s["name"] in STAGES]
    assert anew == ["s08_face", "s10_texture"]
    assert next(s["method"] for s in report["stages"] if s["name"] == "s10_texture").endswith("+unshaded")
    assert 0 < report["texture"]["shading_removed"] < 0.9 and before["texture"]["shading_removed"] is None
    assert report["texture"]["psnr_db"] >= 28
    old, new = (cv2.imread(str(folder / "albedo.png")).astype(float) for folder in (out, tmp_path / "out"))
    assert 0.5 < np.abs(old - new).mean() < 40


def test_a_surface_without_network_is_refused(pipeline, tmp_path):
    with pytest.raises(LikenessError) as error:
        pipeline.run(PHOTOS / "man_front.jpg", tmp_path, JobOptions(surface="pifuhd"))
    assert error.value.code == "option.surface-unavailable"
    assert not list(tmp_path.iterdir())


def test_cancel_leaves_nothing(pipeline, tmp_path):
    calls = []

    def cancelled():
        calls.append(1)
        return len(calls) > 4
    with pytest.raises(CancelledError):
        pipeline.run(PHOTOS / "man_front.jpg", tmp_path / "x", DRAFT, cancelled=cancelled)
    assert not (tmp_path / "x/report.json").exists()
