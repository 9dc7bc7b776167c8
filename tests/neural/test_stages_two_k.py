"""Stages s04 to s06 on the networks: weights found, limbs labelled, and a whole photo with a network that gives the body itself."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from neural.cache import StageCache
from neural.context import Context
from neural.contract.errors import OptionError, WeightsError
from neural.contract.frames import Camera
from neural.contract.job import JobOptions
from neural.contract.result import Report
from neural.geometry.compose import Composed
from neural.geometry.layers import PIECES, piece_of_joint
from neural.geometry.normals import vertex_normals
from neural.geometry.owners import owners
from neural.geometry.predicted import outline, sides
from neural.geometry.raster import rasterize
from neural.models import Models
from neural.nets.two_k import door, weights
from neural.nets.two_k.config import COMPACT, CPU, PAPER
from neural.nets.two_k.net import TwoK
from neural.nets.two_k.passes import Passes
from neural.pipeline import Pipeline, StageRunner
from neural.stages import s04_coarse
from tests.neural.test_prior import person, t_pose, two_boxes
from tests.neural.test_two_k_door import body_view

PHOTOS = Path(__file__).resolve().parents[1] / "data"
TINY = replace(CPU, normal=(4, 8, 8, 8), depth=(4, 8, 8, 8), part=(4, 8, 8, 8), cascade=4)


def write(config, file, zero=True):
    """Weights of an untrained network; zero: with heads that say nothing, so that it gives the body."""
    torch.manual_seed(0)
    net = TwoK(config)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if zero and name.endswith(("Conv_1x1.weight", "Conv_1x1.bias", "last.weight", "last.bias")):
                p.zero_()
    file.parent.mkdir(parents=True, exist_ok=True)
    weights.save(net, file)
    return file


# -- which weights -----------------------------------------------------------------------------------------------------

def test_without_weights_there_is_the_body_prior(tmp_path):
    models = Models("cpu", tmp_path / "ours", tmp_path / "own")
    assert models.two_k("auto") is None and models.two_k("body-prior") is None
    with pytest.raises(OptionError) as error:
        models.two_k("2k2k")
    assert error.value.code == "option.depth-unavailable" and "body-prior" in error.value.remedy
    pipeline = Pipeline("cpu")
    pipeline.models = models
    with pytest.raises(OptionError):
        pipeline.run(PHOTOS / "man_front.jpg", tmp_path / "out", JobOptions(depth="2k2k"))
    assert not (tmp_path / "out").exists()


def test_weights_are_loaded_once_and_dropped(tmp_path):
    write(TINY, tmp_path / "ours/two_k.safetensors")
    models = Models("cpu", tmp_path / "ours", tmp_path / "own")
    model = models.two_k("auto")
    assert model.kind == "compact" and model.file == "two_k.safetensors" and models.two_k("2k2k") is model
    assert models.two_k("body-prior") is None
    models.release()
    assert models.two_k("auto") is not model


def test_an_imported_checkpoint_is_used_when_2k2k_is_asked_for(tmp_path):
    write(TINY, tmp_path / "ours/two_k.safetensors")
    write(replace(PAPER, normal=(4, 4, 4, 4), depth=(4, 4, 4, 4, 4), part=(4, 4, 4, 4), cascade=4), tmp_path / "own/2k2k.safetensors")
    models = Models("cpu", tmp_path / "ours", tmp_path / "own")
    assert models.two_k("2k2k").kind == "paper" and models.two_k("auto").kind == "compact"
    only = Models("cpu", tmp_path / "nothing", tmp_path / "own")
    assert only.two_k("auto") is None and only.two_k("2k2k").file == "2k2k.safetensors"


def test_damaged_weights_are_not_used(tmp_path):
    file = write(TINY, tmp_path / "two_k.safetensors")
    listed = tmp_path / "weights.toml"
    listed.write_text(f'[two_k]\nfile = "{file.name}"\nsha256 = "{hashlib.sha256(file.read_bytes()).hexdigest()}"\n')
    assert Models("cpu", tmp_path).two_k("auto") is not None
    listed.write_text(f'[two_k]\nfile = "{file.name}"\nsha256 = "{"0" * 64}"\n')
    with pytest.raises(WeightsError) as error:
        Models("cpu", tmp_path).two_k("auto")
    assert error.value.code == "weights.unreadable"


def test_other_weights_other_key(tmp_path):
    """What the cache holds of older weights, or of none, is not taken."""
    runner = StageRunner(JobOptions(), "cpu", Report("p", JobOptions(), "cpu"), None, None, 2048, StageCache(tmp_path / "c"))
    models, keys = Models("cpu", tmp_path / "w"), set()
    keys.add(runner._key("s04_coarse", (models,), None))
    for config in (TINY, replace(TINY, cascade=8)):
        write(config, tmp_path / "w/two_k.safetensors")
        keys.add(runner._key("s04_coarse", (models,), None))
    assert len(keys) == 3


# -- passes ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("tile", [2048, 1024])
def test_three_steps_give_what_one_gives(tile):
    view, _ = body_view()
    torch.manual_seed(1)
    net = TwoK(TINY).eval().for_inference(512)
    with torch.inference_mode():
        want = door.run(net, view)
    passes = Passes(net, "compact", view, tile)
    assert net.tile == tile // 4
    coarse = passes.coarse_maps()
    assert coarse.depth.shape == (1, 2, 256, 256)
    assert (passes.normals() - want.normals[0]).abs().max() < 1e-5
    got = passes.maps()
    near = want.mask[:, 0] > 1e-4
    assert (got.depth - want.depth).abs().amax(1)[near].max() < 1e-4 and (got.mask - want.mask).abs().max() < 1e-4


def test_what_is_left_out_is_enlarged():
    view, _ = body_view()
    torch.manual_seed(1)
    net = TwoK(TINY).eval().for_inference(512)
    full, parts, coarse = (Passes(net, "compact", view, upto=upto) for upto in ("depth", "parts", "coarse"))
    large = lambda x: torch.nn.functional.interpolate(x, full.view.image.shape[-2:], mode="bilinear", align_corners=False)
    assert torch.equal(parts.normals(), full.normals()) and not torch.allclose(coarse.normals(), full.normals(), atol=0.01)
    near = full.maps().mask[0, 0] > 1e-4
    cosine = (coarse.normals()[:3] * door.sided(large(coarse._coarse.normals[:, :6]))[0, :3]).sum(0)[near]
    assert cosine.quantile(0.05) > 0.98                          # another filter enlarges
    assert torch.equal(parts.maps().depth, coarse.maps().depth) and not torch.equal(parts.maps().depth, full.maps().depth)
    assert torch.allclose(parts.maps().depth, large(parts.coarse_maps().depth), atol=1e-4)
    with pytest.raises(ValueError):
        Passes(net, "paper", view, upto="coarse")


def test_the_paper_s_network_goes_the_same_way(monkeypatch):
    monkeypatch.setattr(door, "OFFICIAL", 512)                  # a sixteenth of its pixels
    view, _ = body_view(256, 256)
    torch.manual_seed(1)
    net = TwoK(replace(PAPER, normal=(4, 4, 4, 4), depth=(4, 4, 4, 4, 4), part=(4, 4, 4, 4), cascade=4)).eval().for_inference(256)
    with torch.inference_mode():
        want = door.run(net, view)
    passes = Passes(net, "paper", view)
    coarse = passes.coarse_maps()
    assert coarse.depth.shape == (1, 2, 64, 64) and passes.normals().shape == (6, 256, 256)
    assert (passes.normals() - want.normals[0]).abs().max() < 1e-5
    assert (passes.maps().depth - want.depth).abs().max() < 1e-4 and net.tile == 256


# -- maps to surfaces --------------------------------------------------------------------------------------------------

def seen(body, camera, back=False):
    """z, unit normals, (S, S) true piece + 1, mask of a body as drawn."""
    drawn = rasterize(body.vertices, body.faces, camera, farthest=back)
    n = drawn.interpolate(vertex_normals(body.vertices, body.faces), body.faces)
    n = n / np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-9)
    corner = body.faces[np.maximum(drawn.face, 0), drawn.bary.argmax(-1)]
    return drawn.depth, n, np.where(drawn.hit, piece_of_joint()[body.part[corner]] + 1, 0), drawn.hit


@pytest.mark.parametrize("side, back", [(256, False), (1024, False), (512, True)])
def test_limbs_of_the_body_itself(side, back):
    body, camera = t_pose(), Camera.from_fov(side, side)
    z, n, true, mask = seen(body, camera, back)
    got = owners(z, n, mask, camera, body, body.height_m)
    assert (got[~mask] == 0).all() and (got[mask] > 0).all()
    assert (got == true)[mask].mean() > 0.97
    blown = owners(z - (-0.03 if back else 0.03), n, mask, camera, body, body.height_m)     # loose clothes
    assert (blown == true)[mask].mean() > 0.93


def subdivided(body, times):
    """The same surface of smaller triangles."""
    vertices, faces, part = body.vertices, body.faces, body.part
    for _ in range(times):
        n, (a, b, c) = len(vertices), faces.T
        middle = np.concatenate([vertices[a] + vertices[b], vertices[b] + vertices[c], vertices[c] + vertices[a]]) / 2
        ab, bc, ca = n + np.arange(3 * len(faces)).reshape(3, -1)
        vertices, part = np.concatenate([vertices, middle]).astype(np.float32), np.concatenate([part, *[part[a]] * 3])
        faces = np.concatenate([np.stack(f, 1) for f in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    return SimpleNamespace(**{**vars(body), "vertices": vertices, "faces": faces, "part": part, "rest_vertices": vertices})


def test_borders_of_limbs_lie_where_depth_jumps():
    body, camera = subdivided(two_boxes(), 5), Camera.from_fov(1024, 1024)
    z, n, true, mask = seen(body, camera)
    got = owners(z, n, mask, camera, body, 1.7)
    assert {PIECES[k - 1] for k in np.unique(got[mask])} == {"torso", "left_forearm"}
    assert (got != true)[mask].mean() < 2e-3


def test_the_matte_rules_unless_the_network_is_sure():
    matte, sure = np.zeros((64, 64), np.float32), np.full((64, 64), 0.5, np.float32)
    matte[10:50, 10:30] = 1
    sure[10:50, 28:30] = 0.02            # a halo
    sure[20:30, 30:40] = 0.95             # hidden by something
    sure[55:60, 55:60] = 0.95             # nobody
    inside = np.ones((64, 64), bool)
    inside[:12] = False
    want = np.zeros((64, 64), bool)
    want[12:50, 10:28] = True
    want[20:30, 30:40] = True
    who = SimpleNamespace(mask=matte, inside=inside)
    got = outline(who, sure)
    assert (got == want)[:, :28].all() and not got[55:60, 55:60].any() and not got[31:50, 28:].any()
    sure[20:30, 28:30] = 0.95
    assert outline(who, sure)[20:30, 12:40].all()


def test_sides_do_not_cross():
    body, camera = t_pose(), Camera.from_fov(256, 256)
    z, n, _, mask = seen(body, camera)
    who = person(mask, camera)
    pieces = np.where(mask, PIECES.index("torso"), -1)
    out = sides(who, body, z, z - 0.01, n, -n, mask, Composed(z, z + 0.2, n, -n, pieces, pieces, mask))
    assert (out.back > out.front)[mask].all() and np.isnan(out.front[~mask]).all()
    assert (out.piece_front[mask] > 0).all() and out.piece_back.dtype == np.uint8
    assert (out.settled_front != 0).any() and not out.settled_front[~mask].any()          # the body's arms are no torso


# -- a whole photo -----------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """woman_arms at draft, by a COMPACT network whose heads are zero."""
    folder = tmp_path_factory.mktemp("two_k")
    write(COMPACT, folder / "w/two_k.safetensors")
    pipeline = Pipeline("cpu")
    pipeline.models = Models("cpu", folder / "w")
    report = pipeline.run(PHOTOS / "woman_arms.jpg", folder / "out", JobOptions(preset="draft", device="cpu"))
    return folder / "out", report


def test_the_report_says_that_networks_ran(done):
    out, report = done
    assert report == json.loads((out / "report.json").read_text("utf-8")) and report["ok"]
    for stage in report["stages"][3:6]:
        assert stage["weights"] == ["two_k.safetensors"]
    assert [s["method"] for s in report["stages"][3:6]] == ["2k2k(compact)", "2k2k(compact)+face", "2k2k(compact)+body-limbs+body-arms"]
    assert report["mesh"]["watertight"] and "surface.limb-lost" not in [w["code"] for w in report["warnings"]]


def test_a_network_that_says_nothing_gives_the_body(done):
    out, _ = done
    result, fitted = np.load(out / "result.npz"), np.load(out / "stages/body.npz")
    got, want = result["surface_vertices"].astype(np.float64), fitted["vertices"].astype(np.float64)
    away = cKDTree(got).query(want)[0]
    assert np.mean(away) < 0.012, f"{1e3 * np.mean(away):.1f} mm"
    for joint in fitted["joints"]:                             # no limb is lost
        assert cKDTree(got).query(joint)[0] < 0.16
    thin = cKDTree(want).query(got)[0]
    assert np.mean(thin) < 0.02 and np.percentile(thin, 99) < 0.09
    depth = np.load(out / "stages/depth.npz")
    mask = np.isfinite(depth["front"])
    assert mask.mean() > 0.05 and (depth["back"] >= depth["front"])[mask].all()


@pytest.mark.parametrize("depth", ["auto", "body-prior"])
def test_without_networks_s04_is_the_body_prior(depth, tmp_path):
    class Named(SimpleNamespace):
        """May be referred to weakly."""
    body, camera = Named(**vars(t_pose())), Camera.from_fov(256, 256)
    who = Named(**vars(person(seen(body, camera)[3], camera)))
    write(TINY, tmp_path / "two_k.safetensors")
    nets = None if depth == "auto" else Models("cpu", tmp_path)
    coarse = s04_coarse.coarse_maps(who, body, nets, Context(JobOptions(depth=depth)))
    assert coarse.method == "body-prior" and not coarse.weights and coarse.mask.shape == (64, 64)
