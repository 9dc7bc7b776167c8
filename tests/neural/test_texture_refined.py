"""s10 with RefineTex: a painted body is photographed; a network that knows its paint gives the hidden side, as far as it is believed."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from neural.body.model import BodyModel
from neural.cache import StageCache
from neural.context import Context
from neural.contract.errors import OptionError, WeightsError
from neural.contract.frames import Camera
from neural.contract.job import JobOptions
from neural.contract.joints import LANDMARKS
from neural.contract.result import Report
from neural.geometry.bake import cosines, texels
from neural.geometry.fill import mesh_edges
from neural.geometry.normals import vertex_normals
from neural.models import Models, RefineTexModel
from neural.nets.refinetex import weights
from neural.nets.refinetex.compact import Compact, Guess, Output
from neural.nets.refinetex.config import CPU, PAPER
from neural.nets.refinetex.layout import layout
from neural.nets.refinetex.refine import RefineTex
from neural.pipeline import Pipeline, StageRunner
from neural.stages import s10_refined
from neural.stages.s10_refined import RefinedConfig, matched, view_of
from neural.stages.s10_texture import paint_texture
from tests.neural.test_refinetex_compact import SIDE, SMALL, paint, photographed, truth

TINY = replace(SMALL, size=64)
PHOTO = Path(__file__).resolve().parents[1] / "data/woman_arms.jpg"


@lru_cache(maxsize=1)
def scene():
    """The painted mean body, seen from the front and a little from its side: what s01 to s09 would hand over if they were right."""
    view, model = photographed(), BodyModel.load()
    numpy = lambda t: t[0].permute(1, 2, 0).numpy() if t.dim() == 4 else t[0].numpy()
    vertices, inner = view.vertices[0].numpy(), model.inner[model.faces].all(1)
    used, faces = np.unique(model.faces[~inner], return_inverse=True)
    faces = faces.reshape(-1, 3).astype(np.int32)
    camera = Camera(SIDE, SIDE, SIDE * 1.3, SIDE * 1.3, SIDE / 2, SIDE / 2)
    image = np.rint(numpy(view.image) * 255).astype(np.uint8)
    hit = view.body["mask"][0].numpy()
    depth = np.where(hit, view.body["depth_front"][0].numpy(), np.nan)
    flat, none = np.zeros((SIDE, SIDE, 3), np.float32), np.zeros((SIDE, SIDE, 2), np.float32)
    part = view.body["part_front"][0].numpy()
    maps = SimpleNamespace(depth_front=depth, depth_back=depth + 0.2, normal_front=numpy(view.body["normal_front"]), normal_back=flat,
                           part_front=part, part_back=part, uv_front=numpy(view.body["uv_front"]), uv_back=none)
    person = SimpleNamespace(camera=camera, photo_from_crop=np.eye(3), crop=image, mask=view.matte[0, 0].numpy(), inside=np.ones((SIDE, SIDE), bool),
                             face=None, landmarks=np.full((len(LANDMARKS), 2), SIDE / 2, np.float32), facing="side")
    body = SimpleNamespace(vertices=vertices, faces=model.faces, part=model.part, rest_vertices=model.template, weights=model.weights, uv=model.uv,
                           uv_faces=model.uv_faces, maps=maps)
    normals = SimpleNamespace(front=numpy(view.body["normal_front"]), back=flat, method="body-prior")
    surface = SimpleNamespace(vertices=vertices[used], faces=faces, normals=vertex_normals(vertices[used], faces), watertight=True)
    return SimpleNamespace(rgb=image), person, body, normals, surface, model.template[used]


class Knows:
    """In place of a network: it paints what is given, everywhere, and says how sure it is."""

    config = SMALL

    def __init__(self, texture, log_scale=-6.0):
        self.texture, self.log_scale = texture, log_scale

    def __call__(self, inputs):
        shape, sources = inputs.fine.layout, inputs.fine.seen.shape[1]
        size = shape.size
        blank = torch.zeros(1, sources + 1, size, size)
        blank[:, -1] = 1
        scale = torch.full((1, 1, size, size), self.log_scale)
        guess = Guess(inputs.fine.flow, blank, torch.zeros(1, sources, 3, size, size), self.texture(size), scale, blank)
        return Output(guess, guess, guess)


BELIEVED = RefinedConfig(garment=1, hair=1, mirrored=1, rest=1)
"""All colours are the network's."""


def painted(net, config=BELIEVED, **options):
    """s10's result with that network (None: without any), and what it warned of."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s10_refined, "REFINED", config)
        return _painted(net, options)


def _painted(net, options):
    photo, person, body, normals, surface, _ = scene()
    said = []
    nets = net and SimpleNamespace(refinetex=lambda name: None if name == "mirror" else RefineTexModel(net, "refinetex.safetensors", "cpu"))
    context = Context(JobOptions(preset="draft", **options), warn=lambda code, message: said.append(code))
    return paint_texture(photo, person, body, normals, None, surface, nets, context), said


@pytest.fixture(scope="module")
def without():
    return painted(None)[0]


@pytest.fixture(scope="module")
def known():
    return painted(Knows(truth))[0]


def error_at_vertices(texture):
    """(V,) largest error of a channel, 0 to 255, and which vertices look well away from the camera."""
    *_, surface, rest = scene()
    cosine = -(surface.vertices * surface.normals).sum(1) / np.linalg.norm(surface.vertices, axis=1)
    return np.abs(texture.vertex_color - 255 * paint(rest)).max(1), cosine < -0.3


def test_what_the_network_knows_is_on_the_back(known, without):
    error, back = error_at_vertices(known)
    before, _ = error_at_vertices(without)
    assert back.mean() > 0.25 and np.median(error[back]) < 8 and np.quantile(error[back], 0.9) < 30
    assert np.median(error[back]) < 0.2 * np.median(before[back])
    assert known.method == "projection+refinetex+mirror+diffusion" and known.weights == ("refinetex.safetensors",)
    assert known.seen_fraction == without.seen_fraction and known.psnr_db > without.psnr_db + 3        # the rim is right now
    straight = known.confidence == 255
    assert np.abs(known.albedo[straight].astype(int) - without.albedo[straight]).max() <= 1 and straight.mean() > 0.03


def test_the_atlas_has_it_too(known):
    """Texels of the back: a point's paint, apart from the grain that invented colours get."""
    *_, surface, rest = scene()
    points = texels(known.uv, known.uv_faces, 1024)
    xyz = points.interpolate(surface.vertices, surface.faces)
    back = cosines(xyz, points.interpolate(surface.normals, surface.faces)) < -0.3
    want = 255 * paint(points.interpolate(rest, surface.faces))[back]
    got = known.albedo[points.row[back], points.column[back]]
    assert np.median(np.abs(got - want).max(1)) < 12 and (known.confidence[points.row[back], points.column[back]] < 96).all()


def test_the_body_s_own_layout(known, without):
    assert without.body_albedo is None and known.body_albedo.shape == (512, 512, 3)
    on = layout(512).charts[0].numpy() > 0
    want = (truth(512)[0].permute(1, 2, 0).numpy() + 1) * 127.5
    error = np.abs(known.body_albedo - want).max(-1)[on]
    assert np.median(error) < 12 and np.quantile(error, 0.9) < 45


def test_a_network_that_is_not_sure_changes_nothing(without):
    """It paints everything green, and says that it has no idea."""
    unsure, _ = painted(Knows(lambda size: torch.tensor([-1.0, 1, -1]).view(1, 3, 1, 1).expand(1, 3, size, size), 0.0))
    assert np.abs(unsure.albedo.astype(int) - without.albedo).max() <= 1 and np.abs(unsure.vertex_color.astype(int) - without.vertex_color).max() <= 1
    torch.manual_seed(0)
    untrained, _ = painted(Compact(TINY).for_inference())
    assert np.abs(untrained.albedo.astype(int) - without.albedo).mean() < 0.5


def test_shares_are_those_of_the_places(known, without):
    """Half believed is half way from the fill to the network's colours; with its own shares it is never farther than those say."""
    back = error_at_vertices(known)[1]
    way = lambda texture: texture.vertex_color[back].astype(float) - without.vertex_color[back]
    whole, half, usual = (way(t) for t in (known, *(painted(Knows(truth), c)[0] for c in (
        RefinedConfig(garment=0.5, hair=0.5, mirrored=0.5, rest=0.5), RefinedConfig()))))
    assert np.abs(half - whole / 2).max() <= 1.5
    clear = np.abs(whole) > 20
    share = usual[clear] / whole[clear]
    assert clear.any() and 0.2 < share.min() and share.max() < 0.85 and share.std() > 0.02
    plan = SimpleNamespace(guide=np.array([0, 1, 1, 1.0]), cloth=np.array([0, 0, 1, 1.0]), hair=np.array([0, 0, 0, 1.0]))
    assert np.allclose(RefinedConfig().shares(plan), [0.35, 0.8, 0.25, 0.45])


def test_colours_meet_at_the_border_of_what_is_seen():
    """The network has another light: where the photo ends its colours are the photo's, and from there they go over into its own."""
    darker = lambda size: (truth(size) + 1) * 0.6 - 1
    texture, _ = painted(Knows(darker))
    *_, surface, rest = scene()
    _, back = error_at_vertices(texture)
    paler = texture.vertex_color / np.maximum(255 * paint(rest), 1)
    edges = mesh_edges(surface.faces)
    border = (texture.vertex_seen[edges].max(1) > 0.9) & (texture.vertex_seen[edges].min(1) < 0.5)
    just = edges[border][np.arange(border.sum()), texture.vertex_seen[edges[border]].argmin(1)]
    assert len(just) > 50 and np.median(paler[just]) > 0.9                     # no jump to 0.6
    assert 0.55 < np.median(paler[back]) < 1.02


def test_matching_is_exact_where_seen_and_fades_far_away():
    """On a strip of points in a row the correction falls by exp(-sqrt(keep)) an edge."""
    n, keep = 400, 0.01
    edges = np.stack([np.arange(n - 1), np.arange(1, n)], 1)
    seen = (np.arange(n) < 10).astype(np.float64)
    shift = matched(np.full((n, 3), 100.0), np.full((n, 3), 60.0), seen, edges, keep)
    assert np.allclose(shift[:8], 40, atol=0.1) and np.abs(shift[-1]).max() < 1e-3
    ratio = shift[60:100, 0] / shift[59:99, 0]
    want = 1 + keep / 2 - np.sqrt(keep + keep**2 / 4)                        # the recurrence s[k - 1] + s[k + 1] = (2 + keep) s[k]
    assert np.allclose(ratio, want, atol=1e-3)


def test_the_view_is_that_of_the_stages():
    photo, person, body, normals, _, _ = scene()
    have, want = view_of(person, body, normals), photographed()
    assert have.normals is None and view_of(person, body, SimpleNamespace(front=normals.front, method="2k2k(compact)")).normals is not None
    for name in ("image", "matte", "inside", "focal", "centre", "vertices"):
        assert torch.allclose(getattr(have, name), getattr(want, name), atol=2e-3), name
    assert all(torch.allclose(have.body[k].float(), want.body[k].float()) for k in want.body)


# -- which weights -----------------------------------------------------------------------------------------------------

def test_the_option_chooses(without):
    texture, said = painted(Knows(truth), texture="mirror")
    assert texture.method == "projection+mirror+diffusion" and texture.weights == () and (texture.albedo == without.albedo).all()
    texture, said = painted(Knows(truth), body="mine.npz")
    assert texture.method == "projection+mirror+diffusion" and "texture.own-body" in said and texture.body_albedo is None


def test_weights_that_ship_are_used(tmp_path):
    models = Models("cpu", tmp_path)
    assert models.refinetex("auto") is None and models.refinetex("mirror") is None
    with pytest.raises(OptionError) as error:
        models.refinetex("refinetex")
    assert error.value.code == "option.texture-unavailable"
    pipeline = Pipeline("cpu")
    pipeline.models = models
    with pytest.raises(OptionError):
        pipeline.run(tmp_path / "photo.jpg", tmp_path / "out", JobOptions(texture="refinetex"))
    torch.manual_seed(0)
    weights.save(Compact(TINY), tmp_path / "refinetex.safetensors")
    model = models.refinetex("auto")
    assert model.file == "refinetex.safetensors" and model.net.config == TINY and models.refinetex("refinetex") is model
    assert models.refinetex("mirror") is None
    models.release()
    assert models.refinetex("auto") is not model
    (tmp_path / "weights.toml").write_text(f'[refinetex]\nfile = "refinetex.safetensors"\nsha256 = "{"0" * 64}"\n')
    with pytest.raises(WeightsError):
        Models("cpu", tmp_path).refinetex("auto")
    (tmp_path / "weights.toml").unlink()
    weights.save(RefineTex(replace(PAPER, width=8, heads=2)), tmp_path / "refinetex.safetensors")
    with pytest.raises(WeightsError) as error:
        Models("cpu", tmp_path).refinetex("auto")
    assert error.value.code == "weights.wrong-net"


def test_other_weights_or_another_choice_other_key(tmp_path):
    def key(texture):
        options = JobOptions(texture=texture)
        runner = StageRunner(options, "cpu", Report("p", options, "cpu"), None, None, 2048, StageCache(tmp_path / "c"))
        return runner._key("s10_texture", (Models("cpu", tmp_path),), None)

    keys = [key("auto"), key("mirror")]
    for config in (TINY, replace(TINY, width=16)):
        weights.save(Compact(config), tmp_path / "refinetex.safetensors")
        keys += [key("auto"), key("mirror")]
    assert len(set(keys)) == 4                                                # mirror does not hang on weights


# -- a whole photo -----------------------------------------------------------------------------------------------------

def test_a_photo_with_and_without(tmp_path):
    """By an untrained network: the report says that it ran and the body's layout is there; with the choice "mirror" only s10 and what follows runs
    again, and the file goes."""
    torch.manual_seed(0)
    (tmp_path / "w").mkdir()
    weights.save(Compact(replace(CPU, fine=False)), tmp_path / "w/refinetex.safetensors")
    pipeline = Pipeline("cpu")
    pipeline.models = Models("cpu", tmp_path / "w")
    stage = lambda report: next(s for s in report["stages"] if s["name"] == "s10_texture")
    run = lambda texture: pipeline.run(PHOTO, tmp_path / "out", JobOptions(preset="draft", device="cpu", texture=texture), cache=tmp_path / "cache")
    report = run("auto")
    assert stage(report)["method"] == "projection+refinetex+mirror+diffusion" and stage(report)["weights"] == ["refinetex.safetensors"]
    assert cv2.imread(str(tmp_path / "out/albedo_body.png")).shape == (512, 512, 3)
    again = run("mirror")
    assert stage(again)["method"] == "projection+mirror+diffusion" and not stage(again)["weights"]
    assert [s["name"] for s in again["stages"] if not s["cached"]] == ["s08_face", "s10_texture", "output"]
    assert not (tmp_path / "out/albedo_body.png").exists() and (tmp_path / "out/albedo.png").is_file()
