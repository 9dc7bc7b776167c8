"""Our layout, the door and COMPACT: a body painted with a known texture is photographed, and the texture must come back."""

from dataclasses import fields, replace
from functools import lru_cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from neural.body.maps import towards
from neural.body.model import BodyModel
from neural.contract.errors import WeightsError
from neural.contract.frames import Camera
from neural.contract.joints import JOINT
from neural.geometry.normals import vertex_normals
from neural.geometry.raster import rasterize
from neural.nets.refinetex import door, weights
from neural.nets.refinetex.compact import PICTURE, Compact, Inputs, Texels
from neural.nets.refinetex.config import COMPACT, CPU, PAPER, TEXFORMER
from neural.nets.refinetex.identity import Identity
from neural.nets.refinetex.layout import layout
from neural.nets.refinetex.paper_door import paper_inputs, paper_labels
from neural.nets.refinetex.refine import RefineTex
from neural.nets.refinetex.render import BodyView, render
from neural.nets.refinetex.texformer import Texformer
from neural.nets.refinetex.view import View, texels_of
from train.losses.refinetex_direct import direct_loss
from train.refinetex.views import in_light, target, view_of

SMALL = replace(COMPACT, picture=(8, 8, 16, 16), texture=(8, 16, 16, 16), heads=2, width=8)
SIDE = 256


def paint(places: np.ndarray) -> np.ndarray:
    """(..., 3) places on the T-pose -> colours in [0, 1]: different everywhere, so that a copy from a wrong place shows."""
    x, y, z = np.moveaxis(places, -1, 0)
    return np.stack([0.5 + 0.45 * np.sin(9 * x + 3 * z), 0.5 + 0.45 * np.sin(7 * y + 1), 0.5 + 0.45 * np.sin(20 * z + 5 * x)], -1)


BACKGROUND = np.array([1.0, 0.0, 1.0])


@lru_cache(maxsize=4)
def photographed(turn: float = 0.3, side: int = SIDE) -> View:
    """The mean body in its T-pose, turned about the vertical, 3 m away, with its own maps; the photo is made of the same drawing."""
    model = BodyModel.load()
    spin = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    flip = np.diag([1.0, -1.0, -1.0])
    centre = (model.template.max(0) + model.template.min(0)) / 2
    vertices = (model.template - centre) @ (flip @ spin).T + (0, 0, 3.0)
    camera = Camera(side, side, side * 1.3, side * 1.3, side / 2, side / 2)
    faces = model.faces[~model.inner[model.faces].all(1)]
    uv_faces = model.uv_faces[~model.inner[model.faces].all(1)]
    seen = rasterize(vertices.astype(np.float32), faces, camera)
    colour = paint(seen.interpolate(model.template, faces))
    image = np.where(seen.hit[..., None], colour, BACKGROUND)
    normal = seen.interpolate(vertex_normals(vertices, model.faces), faces)
    single = lambda a: torch.as_tensor(np.ascontiguousarray(a, np.float32))
    picture = lambda a: single(a).permute(2, 0, 1)[None].contiguous()
    hit = torch.as_tensor(seen.hit)
    front = picture(normal)
    front[0].permute(1, 2, 0)[hit] = towards(front[0].permute(1, 2, 0)[hit], "front")
    part = np.zeros(seen.face.shape, np.uint8)
    part[seen.hit] = model.part[faces[seen.face[seen.hit], 0]] + 1
    body = {"mask": hit[None], "depth_front": single(np.nan_to_num(seen.depth))[None], "normal_front": front,
            "uv_front": picture(seen.interpolate(model.uv, uv_faces)), "part_front": torch.as_tensor(part)[None]}
    return View(picture(image), hit[None, None].float(), torch.ones(1, 1, side, side), torch.tensor([side * 1.3]),
                torch.tensor([[side / 2, side / 2]]), single(vertices)[None], body)


def truth(size: int) -> torch.Tensor:
    """(1, 3, T, T) in [-1, 1]: the painted body on the layout."""
    colours = torch.as_tensor(paint(layout(size).place.permute(1, 2, 0).double().numpy()), dtype=torch.float32)
    return 2 * colours.permute(2, 0, 1)[None] - 1


def test_layout_knows_the_body():
    shape, model = layout(256), BodyModel.load()
    assert 0.55 < shape.charts.mean() < 0.65
    on = shape.charts[0] > 0
    assert torch.allclose(shape.normal[:, on].norm(dim=0), torch.ones(int(on.sum())), atol=1e-4)
    assert ((shape.part > 0) == on).all() and set(shape.part.unique().tolist()) == set(range(25))
    drawn = shape.drawn(torch.as_tensor(model.template, dtype=torch.float32)[None])[0]
    assert torch.allclose(drawn, shape.place, atol=1e-6)
    mirrored = shape.drawn(torch.as_tensor(model.template, dtype=torch.float32)[None, shape.twin])[0]
    assert torch.allclose(mirrored * torch.tensor([-1.0, 1, 1])[:, None, None], shape.place, atol=1e-4)
    left = torch.tensor([k + 1 for name, k in JOINT.items() if name.startswith("left")])
    assert shape.place[0][torch.isin(shape.part, left)].median() > 0.1
    code = shape.encoding()
    assert code.shape == (3, 256, 256) and code.abs().max() <= 1 and (code[:, ~on] == 0).all() and code[:, on].amin() == -1
    with pytest.raises(ValueError):
        shape.drawn(torch.zeros(1, 6890, 3))


def test_padding_keeps_charts_and_fills_their_rims():
    shape = layout(256)
    texture = truth(256) * shape.charts
    padded = shape.padded(texture, 3)
    assert torch.equal(padded * shape.charts, texture)
    near = F.max_pool2d(shape.charts[None], 3, 1, 1)[0] - shape.charts
    assert (padded.abs().sum(1) * near > 0).sum() == near.sum()
    far = 1 - F.max_pool2d(shape.charts[None], 9, 1, 4)[0]
    assert (padded * far == 0).all() and far.sum() > 0


@pytest.mark.parametrize("turn", [0.3, np.pi - 0.4])
def test_texels_lie_where_the_photo_shows_them(turn):
    view, shape = photographed(turn), layout(256)
    texels = texels_of(view, shape)
    assert texels.flow.shape == (1, 2, 2, 256, 256)
    seen = texels.seen[0, 0] > 0.99
    assert 0.15 < seen[shape.charts[0] > 0].float().mean() < 0.5
    photo = F.grid_sample(2 * view.image - 1, texels.flow[:, 0].permute(0, 2, 3, 1), align_corners=False)
    error = (photo - truth(256)).abs().mean(1)[0]
    assert error[seen].mean() < 0.02 and error[seen].quantile(0.99) < 0.12
    hidden = (texels.facing[0, 0] < 0) & (shape.charts[0] > 0)
    assert texels.seen[0, 0][hidden].max() == 0 and error[hidden].mean() > 0.2
    behind = (shape.normal[2] < -0.8) & (shape.charts[0] > 0)                                 # the back of the body
    assert (texels.facing[0, 0][behind] > 0).float().mean() == pytest.approx(float(turn > 1), abs=0.1)


def test_what_hides_behind_the_body_is_not_seen():
    """An arm held before the belly, roughly: everything that a nearer surface covers must not be taken from the photo."""
    view, shape = photographed(), layout(256)
    plain = texels_of(view, shape).seen[0, 0]
    nearer = {**view.body, "depth_front": torch.where(view.body["mask"], view.body["depth_front"] - 0.05, 0.0)}
    covered = texels_of(replace(view, body=nearer), shape)
    faced = covered.facing > 0.5
    assert (covered.seen[faced] > 0).float().mean() < 0.02 and (plain[faced[0, 0]] > 0.9).float().mean() > 0.7      # edges of depth have both
    farther = {**view.body, "depth_front": torch.where(view.body["mask"], view.body["depth_front"] + 0.05, 0.0)}
    assert (texels_of(replace(view, body=farther), shape).seen[0, 0] >= plain - 1e-6).all()
    matte = view.matte.clone()
    matte[..., SIDE // 2:, :] = 0
    half = texels_of(replace(view, matte=matte), shape)
    below = half.flow[0, 0, 1] > 0.02
    assert half.seen[0, 0][below].max() == 0 and half.seen[0, 0][~below].sum() > 0


def test_an_untrained_network_already_copies_what_is_seen():
    torch.manual_seed(0)
    net, view, shape = Compact(SMALL).eval(), photographed(), layout(256)
    with torch.inference_mode():
        inputs = door.compact_inputs(view, 256)
        out = net(inputs)
    assert inputs.picture.shape == (1, PICTURE, SIDE, SIDE) and out.fine is None
    seen = inputs.texels.seen[:, :1] > 0.99
    error = (out.last.texture - truth(256)).abs().mean(1, keepdim=True)
    assert error[seen].median() < 0.05 and out.last.mask[seen].min() > 0.9
    other = (inputs.texels.seen.amax(1, keepdim=True) < 0.01) & (shape.charts > 0)
    assert out.last.mask[other].max() < 0.2                                                   # nothing to copy: invented
    shared = out.last.share.sum(1)
    assert torch.allclose(shared, torch.ones_like(shared), atol=1e-5)


def test_copies_never_hold_background():
    """The photo's background is magenta; the colours that are copied continue the person's beyond the matte."""
    view = photographed()
    picture = door.copied_from(2 * view.image - 1, view.matte)
    magenta = torch.tensor(2 * BACKGROUND - 1, dtype=torch.float32).view(1, 3, 1, 1)
    apart = (picture[:, :3] - magenta).abs().amax(1)
    body = ((2 * view.image - 1) - magenta).abs().amax(1)[view.matte[:, 0] > 0].min()
    assert apart.min() > 0.8 * body
    inner = view.matte[:, 0] == 1
    assert torch.allclose((picture[:, :3] - (2 * view.image - 1)).abs().amax(1)[inner], torch.zeros(int(inner.sum())), atol=1e-6)
    empty = door.copied_from(2 * view.image - 1, torch.zeros_like(view.matte))
    assert torch.isfinite(empty).all() and empty.abs().max() < 1e-3


def test_copies_are_as_sharp_as_the_photo():
    """Stripes of two pixels in a photo of 1024 that the encoder sees at 512: a layout of 512 still has their full contrast on the face,
    where it has more texels than the photo has pixels."""
    side = 1024
    view = photographed(0.0)
    stripes = ((torch.arange(side) // 2) % 2).float().view(1, 1, side, 1).expand(1, 3, side, side)
    view = View(stripes, F.interpolate(view.matte, (side, side)), torch.ones(1, 1, side, side), view.focal * 4, view.centre * 4, view.vertices,
                view.body)
    torch.manual_seed(0)
    with torch.inference_mode():
        out = Compact(replace(SMALL, refine="none")).eval()(door.compact_inputs(view, 512))
        shape = layout(512)
    seen = door.texels_of(view, shape).seen[0, 0] > 0.99
    face = seen & (shape.part == JOINT["head"] + 1)
    assert face.sum() > 1000 and out.last.texture[0, 0][face].std() > 0.75      # at 512 pixels: at most 0.58


@pytest.mark.parametrize("change", [{}, {"refine": "plain"}, {"refine": "none"}, {"sources": 1}, {"fine": False}])
def test_every_variant_learns_everywhere(change):
    torch.manual_seed(0)
    config = replace(SMALL, **change)
    net, view = Compact(config), photographed()
    inputs = door.compact_inputs(view, 128, fine=config.fine)
    out = net(inputs)
    assert out.last.texture.shape == (1, 3, 128, 128) and (out.fine is None) == (not config.fine)
    loss, terms = direct_loss(out, truth(128), layout(128).charts[None], (inputs.texels.seen[:, :1] > 0.5).float())
    if out.fine is not None:
        loss = loss + (out.fine.texture - truth(256)).abs().mean()
    loss.backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all() or not p.grad.abs().sum() > 0]
    assert not [n for n in silent if not n.startswith("jitter.bias")], silent


def test_training_brings_the_hidden_side(steps: int = 12):
    """A few steps on one person lower the error where the photo shows nothing."""
    torch.manual_seed(0)
    net, view = Compact(replace(SMALL, fine=False)), photographed()
    inputs = door.compact_inputs(view, 128)
    known, wanted = layout(128).charts[None], truth(128)
    hidden = (known > 0) & (inputs.texels.seen[:, :1] < 0.01)
    away = lambda out: (out.last.texture - wanted).abs().mean(1, keepdim=True)[hidden].mean().item()
    solver, before = torch.optim.Adam(net.parameters(), 3e-3), None
    for _ in range(steps):
        out = net(inputs)
        before = before or away(out)
        loss, _ = direct_loss(out, wanted, known, 1 - hidden.float())
        solver.zero_grad()
        loss.backward()
        solver.step()
    assert away(net(inputs)) < 0.85 * before


@pytest.mark.parametrize("dtype, far", [(torch.float32, 2e-4), (torch.bfloat16, 0.1)])
def test_the_folded_network_is_the_same(dtype, far):
    torch.manual_seed(0)
    net = Compact(SMALL).eval()
    torch.nn.init.normal_(net.jitter.weight, std=0.02)
    with torch.inference_mode():
        inputs = door.compact_inputs(photographed(), 128, fine=True)
        want, have = net(inputs), net.for_inference(dtype)(inputs)
    for a, b in ((want.last, have.last), (want.fine, have.fine)):
        assert (a.texture - b.texture).abs().mean() < far / 4 and (a.texture - b.texture).abs().quantile(0.99) < far


def test_the_door(tmp_path):
    torch.manual_seed(0)
    weights.save(Compact(SMALL), tmp_path / "net.safetensors")
    net, view = weights.load(tmp_path / "net.safetensors").for_inference(), photographed()
    with torch.inference_mode():
        out = door.run(net, replace(view, normals=view.body["normal_front"]), 128)
        small = door.run(net, view, 128, fine=False)
    charts = layout(256).charts[None]
    assert out.albedo.shape == (1, 3, 256, 256) and small.albedo.shape == (1, 3, 128, 128)
    assert 0 <= out.albedo.min() and out.albedo.max() <= 1
    for one in (out.confidence, out.seen):
        assert one.shape == (1, 1, 256, 256) and one.min() >= 0 and one.max() <= 1 and (one[charts == 0] == 0).all()
    shown = out.seen > 0.9
    assert 0.1 < shown[charts > 0].float().mean() < 0.5
    assert (out.albedo - (truth(256) + 1) / 2).abs().mean(1, keepdim=True)[shown].median() < 0.05


def test_there_and_back():
    """The true texture rendered in the view is the photo, and the paper's inputs come from the same view."""
    view, shape = photographed(), layout(512)
    seen = BodyView.of(view.body, SIDE)
    background = (2 * view.image - 1)
    picture = render(truth(512) * shape.charts, seen, background, shape)
    assert (picture - background).abs().mean() < 0.01
    inputs = paper_inputs(view)
    assert inputs.image.shape == (1, 3, 128, 64) and inputs.query.shape == (1, 3, 128, 128)
    assert set(inputs.labels.unique().tolist()) <= set(range(8)) and (inputs.labels > 0).float().mean() > 0.1
    table = paper_labels(torch.arange(25))
    assert table[0] == 0 and table[1 + JOINT["head"]] == 1 and table[1 + JOINT["left_knee"]] == table[1 + JOINT["right_knee"]] == 6
    assert sorted(set(table.tolist())) == list(range(8))


def test_colours_in_the_photos_light():
    """An affine change of colours is found again, although a tenth of what is seen shows something else."""
    generator = torch.Generator().manual_seed(0)
    albedo = torch.rand(2, 3, 32, 32, generator=generator)
    matrix = torch.tensor([[0.7, 0.1, 0.0], [0.05, 0.8, 0.05], [0.0, 0.0, 0.6]])
    lit = torch.einsum("pchw,cd->pdhw", albedo, matrix) + 0.1
    shown = torch.rand(2, 1, 32, 32, generator=generator) < 0.5
    photo = torch.where(torch.rand(2, 1, 32, 32, generator=generator) < 0.1, torch.ones(()), lit)
    assert (in_light(albedo, photo, shown) - lit).abs().mean() < 0.02
    nothing = in_light(albedo, photo, torch.zeros_like(shown))
    assert torch.allclose(nothing, albedo, atol=1e-5)


def test_samples_become_views_and_targets():
    """The body is posed by what the sample says; the canvas beyond the photo is marked; seen texels keep the photo's colours."""
    model, side = BodyModel.load(), 32
    eye = torch.eye(3).expand(1, 24, 3, 3)
    zeros = lambda *shape: torch.zeros(1, *shape)
    sample = {"image": torch.full((1, 3, side, side), 0.5), "mask_seen": zeros(side, side) + 1, "border": torch.tensor([[4.0, -3.0, 40.0, 20.0]]),
              "assumed_focal": torch.tensor([40.0]), "centre": torch.tensor([[16.0, 16.0]]), "body_rotations": eye, "body_betas": zeros(10),
              "body_scale": torch.ones(1), "body_translation": torch.tensor([[0.0, 0.1, 3.0]]), "body_mask": zeros(16, 16) > 0,
              "body_depth_front": zeros(16, 16), "body_normal_front": zeros(3, 16, 16), "body_uv_front": zeros(2, 16, 16),
              "body_part_front": zeros(16, 16).to(torch.uint8), "texture": zeros(3, 8, 8) + 0.2, "texture_valid": zeros(8, 8) == 0,
              "texture_seen": zeros(3, 8, 8), "texture_visible": zeros(8, 8) > 0}
    sample["texture_seen"][..., :4], sample["texture_visible"][..., :4] = 0.3, True
    view = view_of(sample)
    assert view.inside[0, 0].sum() == 20 * 28 and view.inside[0, 0, 0, 4] == 1 and view.inside[0, 0, 20, 4] == 0 and view.inside[0, 0, 5, 3] == 0
    placed = torch.as_tensor(model.template, dtype=torch.float32) + torch.tensor([0.0, 0.1, 3.0])
    assert torch.allclose(view.vertices[0], placed, atol=1e-5) and set(view.body) == {"mask", "depth_front", "normal_front", "uv_front", "part_front"}
    wanted, known, shown = target(sample)
    assert torch.allclose(wanted[..., :4], torch.tensor(-0.4)) and known.all() and shown[..., :4].all() and not shown[..., 4:].any()
    assert torch.allclose(wanted[..., 4:], torch.tensor(-0.4), atol=0.02)                     # the light of what is seen


BUDGET = {"compact": (COMPACT, 7.5e6, 75), "cpu": (CPU, 4e6, 30)}
"""Parameters, and GFLOP (a multiplication and an addition are two) of a layout of 512 and its head for 1024 on a crop of 512."""


def empty_inputs(config, device: str) -> Inputs:
    zeros = lambda *shape: torch.zeros(*shape, device=device)
    shape = replace(layout(64).to(device), size=512, charts=zeros(1, 512, 512), part=zeros(512, 512).long(), place=zeros(3, 512, 512),
                    normal=zeros(3, 512, 512))
    large = replace(shape, size=1024)
    texels = lambda size, of: Texels(zeros(1, 2, 2, size, size), zeros(1, 2, size, size), zeros(1, 2, size, size), of)
    return Inputs(zeros(1, 4, 1024, 1024), zeros(1, PICTURE, 512, 512), zeros(1, 512, 512).long(), texels(512, shape), texels(1024, large))


@pytest.mark.parametrize("name", list(BUDGET))
def test_budget(name):
    config, most, gflop = BUDGET[name]
    with torch.device("meta"):
        net = Compact(config)
    parameters = sum(p.numel() for p in net.parameters())
    assert 2e6 < parameters < most and 2 * parameters < 15e6                                  # float16: 15 MB
    with FlopCounterMode(display=False) as counter:
        net(empty_inputs(config, "meta"))
    assert counter.get_total_flops() < gflop * 1e9


def test_weights_files(tmp_path):
    torch.manual_seed(0)
    for net in (Compact(SMALL), RefineTex(replace(PAPER, width=8, heads=2)), Identity()):
        path = tmp_path / "net.safetensors"
        weights.save(net, path)
        same = weights.load(path)
        assert type(same) is type(net) and same.config == net.config
        for (name, a), b in zip(net.state_dict().items(), same.state_dict().values()):
            assert torch.equal(a.half().float() if a.is_floating_point() else a, b), name
    weights.save(Texformer(replace(TEXFORMER, width=8, heads=2)), path)
    assert isinstance(weights.load(path), Texformer)
    path.write_bytes(path.read_bytes()[:1000])
    for wrong, code in ((path, "weights.unreadable"), (tmp_path / "none.safetensors", "weights.missing")):
        with pytest.raises(WeightsError) as caught:
            weights.load(wrong)
        assert caught.value.code == code
    assert {f.name for f in fields(View)} >= {"image", "vertices", "body"}
