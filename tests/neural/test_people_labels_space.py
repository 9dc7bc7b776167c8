"""Inside and outside of analytic solids and of cloth; textures on the body's layout; training points."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neural.body.maps import tables
from neural.body.model import BodyModel
from train.people.draw.fabric import BRIGHTEST, DARKEST
from train.people.draw.raster import rasterize
from train.people.labels.maps import maps
from train.people.labels.occupancy import CAP_M, SHEET_M, look, occupancy
from train.people.labels.queries import QueryConfig, sample
from train.people.labels.table import bare
from train.people.labels.texture import finish, layout, observed, painted, unwrap
from train.people.types import Cameras, People, Textures

torch.set_num_threads(1)


def _turned(profile, turns=72, closed=False):
    """A surface of revolution about z of (r, h) rows; the profile runs so that its left hand is outside. (V, 3), (F, 3)."""
    p = np.asarray(profile, float)
    a = np.arange(turns) / turns * 2 * np.pi
    v = np.stack([p[:, :1] * np.cos(a), p[:, :1] * np.sin(a), np.repeat(p[:, 1:], turns, 1)], -1).reshape(-1, 3)
    rows = len(p) if closed else len(p) - 1
    i, j = np.meshgrid(np.arange(rows), np.arange(turns), indexing="ij")
    at = lambda i, j: (i % len(p)) * turns + j % turns
    quad = [at(i, j), at(i, j + 1), at(i + 1, j + 1), at(i + 1, j)]
    f = np.concatenate([np.stack([quad[0], quad[1], quad[2]], -1).reshape(-1, 3), np.stack([quad[0], quad[2], quad[3]], -1).reshape(-1, 3)])
    return v, f


def _joined(*parts):
    """Several (V, 3), (F, 3) as one."""
    start = np.cumsum([0] + [len(v) for v, _ in parts])
    return np.concatenate([v for v, _ in parts]), np.concatenate([f + s for (_, f), s in zip(parts, start)])


def _people(v, f) -> People:
    return bare(torch.as_tensor(v, dtype=torch.float32)[None], torch.as_tensor(f))


def _points(people, count=12000, seed=0, spread=0.02):
    """Half anywhere around, half near the surface."""
    rng = np.random.default_rng(seed)
    v, f = people.vertices.double().numpy(), people.faces.numpy()
    low, high = v.min(0) - 0.1, v.max(0) + 0.1
    corner = v[f[rng.integers(len(f), size=count // 2)]]
    near = (corner * rng.dirichlet(np.ones(3), (count // 2, 1)).swapaxes(1, 2)).sum(1) + rng.normal(0, spread, (count // 2, 3))
    return np.concatenate([rng.uniform(low, high, (count // 2, 3)), near])


def _asked(people, points, size=256):
    inside, margin = occupancy(look(people, size), torch.as_tensor(points, dtype=torch.float32)[None])
    return inside[0].numpy(), margin[0].numpy()


def _winding(people, points):
    """Generalized winding number (Van Oosterom and Strackee's solid angle): the other way, slow."""
    t = people.vertices[people.faces].double()
    out = []
    for q in torch.as_tensor(points, dtype=torch.float64).split(50):
        a, b, c = (t[None, :, k] - q[:, None] for k in range(3))
        la, lb, lc = (x.norm(dim=-1) for x in (a, b, c))
        top = (a * torch.linalg.cross(b, c)).sum(-1)
        low = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
        out.append(2 * torch.atan2(top, low).sum(1) / (4 * np.pi))
    return torch.cat(out).numpy()


TURN = np.linspace(0, 2 * np.pi, 65)[:-1]
BALL = np.stack([0.5 * np.sin(np.linspace(0, np.pi, 49)[::-1]), 0.5 * np.cos(np.linspace(0, np.pi, 49)[::-1])], 1)
RING = np.stack([0.4 + 0.15 * np.cos(TURN), 0.15 * np.sin(TURN)], 1)
CUP = np.array([(1e-6, 0), (0.3, 0), (0.3, 0.5), (0.26, 0.5), (0.26, 0.04), (1e-6, 0.04)])


def _ball(q):
    return np.linalg.norm(q, axis=1) - 0.5


def _torus(q):
    return np.hypot(np.hypot(q[:, 0], q[:, 1]) - 0.4, q[:, 2]) - 0.15


def _cup(q):
    """Signed distance to the thick-walled cup: exact sign; distance to its profile's segments."""
    r, h = np.hypot(q[:, 0], q[:, 1]), q[:, 2]
    inside = (r < 0.3) & (h > 0) & (h < 0.5) & ((r > 0.26) | (h < 0.04))
    away = np.full(len(q), np.inf)
    for (r0, h0), (r1, h1) in zip(CUP[:-1], CUP[1:]):
        t = np.clip(((r - r0) * (r1 - r0) + (h - h0) * (h1 - h0)) / ((r1 - r0) ** 2 + (h1 - h0) ** 2), 0, 1)
        away = np.minimum(away, np.hypot(r - r0 - t * (r1 - r0), h - h0 - t * (h1 - h0)))
    return np.where(inside, -away, away)


SOLIDS = {"ball": (_turned(BALL), _ball), "ring": (_turned(RING, closed=True), _torus), "cup": (_turned(CUP), _cup)}


@pytest.mark.parametrize("name", SOLIDS)
def test_solids_in_closed_form(name):
    (v, f), distance = SOLIDS[name]
    people = _people(v, f)
    q = _points(people)
    d = distance(q)
    inside, margin = _asked(people, q)
    clear = np.abs(d) > 0.004
    assert 0.05 < (d < 0).mean() < 0.8 and clear.sum() > 8000
    assert (inside != (d < 0))[clear].mean() < 0.0005
    assert (margin[d < -0.004] >= np.minimum(-d[d < -0.004], CAP_M) - 0.004).all()         # never less than the distance
    close = (d < -0.004) & (d > -0.03)
    assert np.median(margin[close] + d[close]) < 0.006
    few = np.flatnonzero(clear)[::100]
    assert ((_winding(people, q[few]) > 0.5) == (d[few] < 0)).mean() > 0.99                 # the second way says the same


def test_turned_and_flipped_faces_change_nothing_far_from_the_surface():
    (v, f), distance = SOLIDS["cup"]
    turn = np.array([[1, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])                                # the cup lies, its mouth to the side
    flipped = np.where((np.arange(len(f)) % 2 == 0)[:, None], f, f[:, ::-1])
    people = _people(v @ turn.T, flipped)
    q = _points(people)
    d = distance(q @ turn)
    inside, _ = _asked(people, q)
    clear = np.abs(d) > SHEET_M + 0.003                                                   # faces turned inside out count as thin sheets
    assert (inside != (d < 0))[clear].mean() < 0.001
    few = np.flatnonzero(clear)[::100]
    assert ((_winding(people, q[few]) > 0.5) == (d[few] < 0)).mean() < 0.95                 # which the winding number cannot do


def test_nested_sleeves_are_filled():
    """Two sheets round an arm, open below, closed at the shoulder: all within the outer one is inside, the gaps too."""
    outer, inner = _turned([(0.25, -0.5), (0.25, 0.3), (1e-6, 0.5)]), _turned([(0.2, -0.5), (0.2, 0.3), (1e-6, 0.42)])
    arm = _turned([(1e-6, -0.7), (0.1, -0.7), (0.1, 0.3), (1e-6, 0.3)])
    people = _people(*_joined(outer, inner, arm))
    q = _points(people)
    r, h = np.hypot(q[:, 0], q[:, 1]), q[:, 2]
    inside, _ = _asked(people, q)
    edge = np.where(h < 0.3, 0.25, 0.25 * (0.5 - h) / 0.2)
    assert inside[(r < edge - 0.004) & (h > -0.4)].all()
    assert not inside[(h > -0.5) & (r > edge + 0.004)].any()
    below = (h < -0.505) & (np.abs(r - 0.1) > 0.004) & (h > -0.695)
    assert (inside == (r < 0.1))[below].mean() > 0.999


def test_an_open_pipe_is_only_its_wall():
    """A pipe, wider at the top, that one can look through: nothing but SHEET_M of wall."""
    people = _people(*_turned([(0.2, -0.3), (0.3, 0.3)]))
    rng = np.random.default_rng(0)
    r, a, h = rng.uniform(0, 0.4, 8000), rng.uniform(0, 2 * np.pi, 8000), rng.uniform(-0.2, 0.2, 8000)
    inside, _ = _asked(people, np.stack([r * np.cos(a), r * np.sin(a), h], 1))
    wall = np.abs(r - (h + 0.3) / 6 - 0.2 + SHEET_M / 2)
    assert inside[wall < SHEET_M / 2 - 0.001].mean() > 0.9
    assert not inside[wall > 5 * SHEET_M].any()                                           # some pixels' width


def test_skirt_is_closed_at_its_hem_and_a_cup_is_not_at_its_mouth():
    """A skirt is a sheet with a waist, open below: legs, the air between them within the skirt, and its hem."""
    skirt = _turned([(0.35, 0.4), (0.2, 0.9), (1e-6, 0.9)])
    legs = [_turned([(1e-6, 0), (0.07, 0), (0.07, 0.9), (1e-6, 0.9)]) for _ in range(2)]
    for leg, x in zip(legs, (-0.1, 0.1)):
        leg[0][:, 0] += x
    people = _people(*_joined(skirt, *legs))
    q = _points(people, 20000)
    h = q[:, 2]
    edge = 0.35 - 0.15 * (h - 0.4) / 0.5
    r = np.hypot(q[:, 0], q[:, 1])
    leg = np.minimum(np.hypot(q[:, 0] - 0.1, q[:, 1]), np.hypot(q[:, 0] + 0.1, q[:, 1])) - 0.07
    inside, _ = _asked(people, q)
    within = (h > 0.45) & (h < 0.896) & (r < edge - 0.005)
    assert inside[within & (h > 0.55)].mean() > 0.995 and inside[within].mean() > 0.9
    assert not inside[(h > 0.4) & (r > edge + 0.004)].any()
    below = (h > 0.005) & (h < 0.39)
    assert (inside == (leg < 0))[below & (np.abs(leg) > 0.004)].mean() > 0.999
    upright = _turned([(0.2, 0.0), (0.3, 0.5)])                                           # a bowl without a floor, mouth upwards
    floor = _turned([(1e-6, 0.0), (0.2, 0.0)])
    q = _points(_people(*_joined(upright, floor)))
    r, h = np.hypot(q[:, 0], q[:, 1]), q[:, 2]
    inside, _ = _asked(_people(*_joined(upright, floor)), q)
    assert not inside[(r < 0.15) & (h > 0.1)].any()


def test_a_lone_sheet_has_its_thickness():
    """A coat tail: nothing but a sheet, seen from both sides; SHEET_M behind its outer side is cloth."""
    v = np.array([[-0.4, -0.1, 0.0], [0.4, -0.1, 0.0], [0.4, 0.1, 1.0], [-0.4, 0.1, 1.0]])
    people = _people(v, np.array([[0, 1, 2], [0, 2, 3]]))                                 # outer side looks along -y, a little down
    rng = np.random.default_rng(1)
    q = np.stack([rng.uniform(-0.35, 0.35, 4000), rng.uniform(-0.02, 0.02, 4000), rng.uniform(0.05, 0.95, 4000)], 1)
    y = q[:, 1].copy()
    q[:, 1] += 0.2 * q[:, 2] - 0.1
    inside, _ = _asked(people, q)
    assert inside[(y > 0.0005) & (y < SHEET_M - 0.0005)].all()
    assert not inside[(y < -0.0005) | (y > 2.8 * SHEET_M)].any()


def test_chunks_change_nothing():
    (v, f), _ = SOLIDS["cup"]
    people = _people(v, f)
    q = torch.as_tensor(_points(people, 2000), dtype=torch.float32)[None]
    views = look(people, 128)
    one = occupancy(views, q)
    other = occupancy(look(people, 128, chunk=5), q, chunk=4000)
    assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
    assert occupancy(views, q[:, :0])[0].shape == (1, 0)


def test_training_points_are_repeatable_and_where_they_should_be():
    (v, f), distance = SOLIDS["ball"]
    twice = bare(torch.as_tensor(np.stack([v, 0.5 * v + 1]), dtype=torch.float32), torch.as_tensor(f))
    views = look(twice, 160)
    seeds = torch.tensor([7, 8])
    points, inside, margin = sample(twice, views, seeds, QueryConfig(count=4000, sigma=0.03))
    again = sample(twice, views, seeds, QueryConfig(count=4000, sigma=0.03))
    assert all(torch.equal(a, b) for a, b in zip((points, inside, margin), again))
    one = _people(v, f)
    seen_alone = look(one, 160)
    alone = sample(one, seen_alone, seeds[:1], QueryConfig(count=4000, sigma=0.03))
    assert torch.allclose(alone[0][0], points[0], atol=1e-5)                              # whoever else is in the batch
    assert not torch.allclose(sample(one, seen_alone, seeds[1:], QueryConfig(count=4000, sigma=0.03))[0][0], points[0])
    d = distance(points[0].double().numpy())
    near = d[:3750]
    assert abs(near.std() - 0.03) < 0.003 and abs(near.mean()) < 0.004
    clear = np.abs(d) > 0.004
    assert (inside[0].numpy() == (d < 0))[clear].mean() > 0.999
    box = points[0, 3750:]
    assert box.min() > -0.61 and box.max() < 0.61 and 0.3 < box.std() < 0.4
    along = sample(one, seen_alone, seeds[:1], QueryConfig(count=4000, sigma=0.03, along_normal=True))[0][0, :3750].double()
    assert abs(distance(along.numpy()).std() - 0.03) < 0.002


def test_hidden_layers_get_no_points():
    inner, outer = _turned(BALL * 0.8), _turned(BALL)
    people = _people(*_joined(inner, outer))
    points, inside, _ = sample(people, look(people), torch.tensor([1]), QueryConfig(count=3000, uniform=0.0, sigma=0.005))
    assert (torch.linalg.vector_norm(points, dim=-1) > 0.45).float().mean() > 0.999


def _facing_camera(size=128, distance=2.0):
    turn = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    eye = torch.tensor([0.0, -distance, 1.0])
    return Cameras(turn[None], (-turn @ eye)[None], torch.tensor([float(size)]), torch.full((1, 2), size / 2), size)


def _card(y=0.0, half=0.4, height=0.0, u=(0.2, 0.8)):
    """A square facing -y with UVs over [u0, u1] squared."""
    v = np.array([[-half, y, 1 - half], [half, y, 1 - half], [half, y, 1 + half], [-half, y, 1 + half]])
    uv = np.array([[u[0], u[0]], [u[1], u[0]], [u[1], u[1]], [u[0], u[1]]])
    return v, np.array([[0, 1, 2], [0, 2, 3]]), uv, np.full(4, height)


def _cards(*cards):
    v, f = _joined(*((c[0], c[1]) for c in cards))
    people = _people(v, f)
    single = lambda k: torch.as_tensor(np.concatenate([c[k] for c in cards]), dtype=torch.float32)
    return replace(people, body_uv=single(2), height=single(3), body_place=people.vertices)


def test_layout_carries_a_picture_from_the_photo_and_back():
    """A card with a known picture: colours seen by the camera land at the texels that belong to them."""
    people, cameras, size = _cards(_card()), _facing_camera(), 64
    drawn = rasterize(people, cameras, 128)
    labels = maps(people, cameras, *drawn)
    photo = torch.cat([labels["uv_front"], torch.ones(1, 1, 128, 128)], 1)                # a photo that shows its own UVs
    seen = unwrap(people, size)
    found = observed(people, cameras, seen, photo, labels["depth_front"], labels["mask"])
    steps = (torch.arange(size) + 0.5) / size
    want = torch.stack([steps[None].expand(size, -1), 1 - steps[:, None].expand(-1, size)])
    covered = (want > 0.2).all(0) & (want < 0.8).all(0)
    assert torch.equal(seen.image(torch.ones_like(seen.depth))[0] > 0, covered)
    visible = found["visible"][0]
    assert visible[covered].float().mean() > 0.9 and not visible[~covered].any()
    assert (found["colour"][0, :2] - want)[:, visible].abs().max() < 1e-3
    assert (found["facing"][0][visible] > 0.9).all()


def test_outermost_wins_and_the_hidden_is_not_observed():
    """A patch worn over a card: the texture shows the patch there; turned away from the camera, nothing is observed of it."""
    people = _cards(_card(0.0, 0.4, 0.0, (0.2, 0.8)), _card(0.1, 0.2, 0.05, (0.35, 0.65)))        # the patch lies behind the card
    seen = unwrap(people, 64)
    colours = (seen.face >= 2).to(torch.float32)[:, None]
    steps = (torch.arange(64) + 0.5) / 64
    patch = ((steps > 0.35) & (steps < 0.65))[None] & ((steps > 0.35) & (steps < 0.65))[:, None]
    assert torch.equal(seen.image(colours)[0, 0] > 0.5, patch)
    cameras = _facing_camera()
    labels = maps(people, cameras, *rasterize(people, cameras, 128))
    photo = torch.ones(1, 3, 128, 128)
    visible = observed(people, cameras, seen, photo, labels["depth_front"], labels["mask"])["visible"][0]
    assert not visible[patch].any() and visible[~patch].sum() > 500
    hidden = torch.ones(1, 128, 128, dtype=torch.bool)
    assert not observed(people, cameras, seen, photo, labels["depth_front"], labels["mask"], hidden)["visible"].any()


def test_painted_layout_has_the_materials_colour():
    people = _cards(_card())
    seen = unwrap(people, 64)
    textures = Textures(torch.full((1, 4), 255, dtype=torch.uint8), *(torch.full((1, 1), k) for k in (0, 1, 1)), ("white",))
    grey = DARKEST + (BRIGHTEST - DARKEST) * 0.5                                             # `bare` is plain grey, a little uneven
    assert (painted(people, seen, textures) - grey).abs().max() < 0.03
    pictured = replace(people, materials=replace(people.materials, kind=torch.tensor([0]), texture=torch.tensor([0])))
    assert painted(pictured, seen, textures).min() > 0.9


def test_gaps_are_closed_within_the_charts_only():
    people = _cards(_card())
    seen = unwrap(people, 64)
    keep = ~((seen.x >= 30) & (seen.x < 33))                                              # a slit of three texels
    part = replace(seen, **{n: getattr(seen, n)[keep] for n in ("picture", "y", "x", "face", "bary", "depth")})
    charts = seen.image(torch.ones_like(seen.depth))[0] > 0
    out = finish(part, torch.full((int(keep.sum()), 3), 0.25), charts, reach=2)
    assert torch.equal(out["valid"][0] | out["filled"][0], charts) and out["filled"].sum() == 3 * charts[:, 30].sum()
    assert (out["colour"][0][:, charts] - 0.25).abs().max() < 1e-5 and (out["colour"][0][:, ~charts] == 0).all()


def test_seam_triangles_are_left_out():
    v, f, uv, height = _card(u=(0.2, 0.8))
    uv = uv.copy()
    uv[2] = 0.05, 0.95                                                                    # one corner on another chart
    people = replace(_cards((v, f, uv, height)), body_place=torch.zeros(4, 3))
    assert len(unwrap(people, 64).face) == 0


def test_layout_is_the_bodys():
    charts = layout(128)
    model = BodyModel.load()
    assert 0.4 < charts.float().mean() < 0.9
    body = tables(model)
    middle = body.uv[body.uv_faces].mean(1)
    big = torch.linalg.vector_norm(body.uv[body.uv_faces][:, 0] - middle, dim=1) > 0.01
    at = (torch.stack([middle[:, 0], 1 - middle[:, 1]], 1) * 128).long()[big]
    assert charts[at[:, 1], at[:, 0]].float().mean() > 0.97
