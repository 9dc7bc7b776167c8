"""The door: units, frames and files of the 2K2K networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from neural.body.maps import pose, surface, tables, vertex_normals
from neural.body.model import BodyModel
from neural.contract.errors import WeightsError
from neural.contract.frames import Camera
from neural.geometry.raster import rasterize
from neural.nets.two_k import units, weights
from neural.nets.two_k.config import CPU, PAPER
from neural.nets.two_k.door import (
    View, compact_inputs, compact_maps, depth_target, joints_from_landmarks, normalised, paper_inputs, paper_maps, run)
from neural.nets.two_k.merge import Warps
from neural.nets.two_k.net import Output, TwoK
from neural.nets.two_k.ours import Coarse, base_of
from neural.nets.two_k.parts import INDEX


def body_view(side: int = 512, maps: int = 256) -> tuple[View, np.ndarray]:
    """Our body in its T-pose turned to the camera, 3 m away, drawn by the pipeline's rasteriser; and its joints in metres."""
    model = BodyModel.load()
    body = tables(model)
    turn = torch.tensor([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]]).expand(1, 24, 3, 3)          # body (y up, facing +z) -> camera
    vertices, joints = pose(body, turn, torch.zeros(1, 10), torch.ones(1), torch.tensor([[0.0, -0.1, 3.0]]))
    camera = Camera.from_fov(side, side)
    small = camera.resized(maps, maps)
    normals = vertex_normals(body, vertices)
    out = {}
    for name in ("front", "back"):
        seen = rasterize(vertices[0].numpy(), body.drawn.numpy(), small, farthest=name == "back")
        hit = torch.as_tensor(seen.hit)
        n, part, uv = surface(body, normals, torch.zeros(int(hit.sum()), dtype=torch.long), torch.as_tensor(seen.face)[hit].long(),
                              torch.as_tensor(seen.bary)[hit], name)
        for key, value in (("normal", n), ("uv", uv)):
            picture = torch.zeros(maps, maps, value.shape[1])
            picture[hit] = value
            out[f"{key}_{name}"] = picture.permute(2, 0, 1)[None]
        picture = torch.zeros(maps, maps, dtype=torch.uint8)
        picture[hit] = part
        out[f"part_{name}"], out["mask"] = picture[None], hit[None]
        out[f"depth_{name}"] = torch.nan_to_num(torch.as_tensor(seen.depth))[None]
    points = camera.project(model.landmarks(vertices[0].numpy().astype(np.float64)))
    matte = torch.nn.functional.interpolate(out["mask"][:, None].float(), (side, side))
    view = View(torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)), matte, torch.ones_like(matte),
                torch.tensor([camera.fx]), torch.tensor([[camera.cx, camera.cy]]), joints_from_landmarks(points, model.landmark_names)[None],
                out, joints[:, 0, 2])
    return view, joints[0].numpy()


@pytest.fixture(scope="module")
def view():
    return body_view()


def test_a_person_seen_whole_has_all_parts_where_the_body_is(view):
    view, _ = view
    given = compact_inputs(view)
    assert given.present.all()
    warps = Warps(given.part_to_image, given.present, CPU.at(512), torch.device("cpu"))
    body = given.body.hit
    for group in ("face", "upper", "arm", "leg"):
        from neural.nets.two_k.merge import cut
        patches = cut([body], warps, group)
        middle = patches[:, :, patches.shape[2] // 2 - 3:patches.shape[2] // 2 + 3, patches.shape[3] // 2 - 3:patches.shape[3] // 2 + 3]
        assert (middle.mean((1, 2, 3)) > 0.6).all(), group


def test_depths_are_measured_from_the_pelvis_in_sides_of_the_canvas(view):
    view, joints = view
    given = compact_inputs(view)
    assert view.pelvis.item() == pytest.approx(joints[0, 2])
    assert view.unit.item() == pytest.approx(joints[0, 2] * 512 / view.focal.item())
    truth = view.body["depth_front"], view.body["depth_back"]
    target = depth_target(view, *truth)
    known = torch.isfinite(target)
    assert torch.equal(known[:, :1], given.body.hit > 0)
    assert (torch.where(known, target, 0) - given.body.depth).abs().max() < 1e-6
    raw = torch.cat([torch.nan_to_num(target), torch.full_like(target[:, :1], 4.0), torch.zeros_like(target)], 1)
    normals = torch.cat([view.body["normal_front"], view.body["normal_back"], torch.full_like(target, -3.0)], 1)
    maps = compact_maps(view, normals, raw)
    assert (maps.depth[:, 0] - truth[0])[known[:, 0]].abs().max() < 1e-5
    assert maps.error.mean().item() == pytest.approx(0.01 * view.unit.item(), rel=1e-4)       # log 0: a hundredth of the canvas
    assert (maps.normals[:, 2] <= 0).all() and (maps.normals[:, 5] >= 0).all()
    assert 0 < maps.confidence.min() and maps.confidence.max() < 1


def test_the_base_is_the_body_and_goes_on_outside(view):
    view, _ = view
    given = compact_inputs(view)
    base = base_of(given, 256)
    on = (given.body.hit > 0).expand_as(given.body.depth)
    assert (base.depth - given.body.depth)[on].abs().max() < 1e-5
    rim = torch.nn.functional.max_pool2d(given.body.hit, 5, 1, 2) - given.body.hit > 0
    assert base.depth[:, :1][rim].abs().max() < 0.3 and torch.isfinite(base.normals).all()
    assert (base.normals.unflatten(1, (2, 3)).norm(dim=2) - 1).abs()[on].max() < 1e-3


@torch.inference_mode()
def test_an_untrained_network_is_the_body(view):
    """Outputs are differences from the body's maps: with heads of zero they are the body, at every resolution."""
    view, _ = view
    net = TwoK(CPU).eval()
    for name, p in net.named_parameters():
        if name.endswith(("Conv_1x1.weight", "last.weight")):
            p.zero_()
    maps = run(net.for_inference(), view)
    on = torch.nn.functional.interpolate(-torch.nn.functional.max_pool2d(-view.body["mask"][:, None].float(), 5, 1, 2), (512, 512)) > 0
    for k, name in enumerate(("front", "back")):
        want = torch.nn.functional.interpolate(view.body[f"depth_{name}"][:, None], (512, 512), mode="bilinear")
        far = (maps.depth[:, k:k + 1] - want).abs()[on]
        assert far.median() < 1e-3 and far.quantile(0.9) < 0.02
        normal = torch.nn.functional.interpolate(view.body[f"normal_{name}"], (512, 512))
        dot = (maps.normals[:, 3 * k:3 * k + 3] * normal).sum(1, keepdim=True)[on]
        assert dot.median() > 0.99
    assert maps.normals.shape == (1, 6, 512, 512) and maps.mask.shape == (1, 1, 512, 512)


def test_the_papers_camera_and_ours_agree():
    """A point's depth goes through the release's ray length and back to metres when the cameras are the same."""
    side = 64
    f = units.focal(side)
    view = View(torch.zeros(1, 3, side, side), torch.ones(1, 1, side, side), torch.ones(1, 1, side, side), torch.tensor([f]),
                torch.tensor([[32.0, 32.0]]), np.full((1, 31, 2), np.nan), {}, torch.tensor([2.5]))
    z = 2.5 + 0.2 * torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    ray = torch.as_tensor(units.unit_rays(side)[..., 2], dtype=torch.float32)
    t = z / 2.5 / ray                                                            # in distances of the centroid
    value = ((t - 1) * f + side / 2) * 4 / side
    raw = torch.cat([value, value, torch.full_like(value, 5.0)], 1)
    out = Output(Coarse(raw, raw, raw, side), {}, None, torch.full((1, 6, side, side), 0.7), raw)
    maps = paper_maps(view, out)
    assert (maps.depth[:, :1] - z).abs().max() < 1e-4


def test_pseudo_normals_become_true_ones():
    """A plane z = a x + b y in pixels has the outward normals (a, b, -1) in front and (-a, -b, 1) at the back."""
    side, a, b = 64, 0.3, -0.2
    x, y = torch.arange(side, dtype=torch.float32), torch.arange(side, dtype=torch.float32)
    depth = (2 * side / 4 + a * (x[None] - 32) + b * (y[:, None] - 32)) * 4 / side
    made = units.pseudo_normals(depth[None, None])
    front, back = (units.true_normals(made, side, side, k)[0, :, 5:-5, 5:-5] for k in (False, True))
    want = torch.tensor([a, b, -1.0]) / (a * a + b * b + 1) ** 0.5
    assert (front - want.view(3, 1, 1)).abs().max() < 1e-4 and (back + want.view(3, 1, 1)).abs().max() < 1e-4


def test_what_paper_is_given(view):
    view, _ = view
    view = replace(view, image=torch.full_like(view.image, 0.6))
    given = paper_inputs(view)
    assert given.image.shape == (1, 3, 2048, 2048) and given.present.all()
    assert given.image[0, 0, 5, 5].item() < -0.5                                 # background: black, then towards the mean grey
    assert normalised(np.array([0.0, 512.0]), 512) == pytest.approx([-1, 1])
    pelvis = view.joints[0, INDEX["left_hip"]]
    assert 200 < pelvis[0] < 312


@torch.inference_mode()
def test_weights_come_back_as_they_went(tmp_path):
    torch.manual_seed(1)
    net = TwoK(CPU).eval()
    file = tmp_path / "two_k.safetensors"
    weights.save(net, file, half=False)
    again = weights.load(file)
    assert again.config == net.config
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values()))
    weights.save(net, file)
    assert file.stat().st_size < 8.5e6 and weights.load(file).config == CPU
    with pytest.raises(WeightsError, match="another network"):
        weights.load(file, PAPER)
    tensors = load_file(file)
    tensors.pop("refine.last.bias")
    save_file(tensors, file)
    with pytest.raises(WeightsError) as caught:
        weights.load(file, CPU)
    assert caught.value.code == "weights.wrong-net"
    file.write_bytes(file.read_bytes()[:99])
    with pytest.raises(WeightsError) as caught:
        weights.load(file)
    assert caught.value.code == "weights.unreadable"
    with pytest.raises(WeightsError) as caught:
        weights.load(tmp_path / "none.safetensors")
    assert caught.value.code == "weights.missing"
