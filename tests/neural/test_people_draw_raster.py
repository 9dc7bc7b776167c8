"""The rasteriser of many pictures, against an independent ray caster, the single-picture rasteriser, and its own invariances."""

import numpy as np
import pytest
import torch

from neural.contract.frames import Camera
from neural.geometry import raster as single
from train.people.draw.kernel import EMPTY, draw, face_of, snap
from train.people.draw.raster import depth_maps, rasterize, rasterize_flat
from train.people.types import Cameras, Materials, People, Textures

SIZE = 48


def soup(faces: int, seed: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Random triangles about 3 m before the camera at the origin (x right, y down, z forward)."""
    rng = np.random.default_rng(seed)
    middle = rng.uniform([-1, -1, 2], [1, 1, 4], (faces, 1, 3))
    return (middle + spread * rng.normal(0, 0.35, (faces, 3, 3))).reshape(-1, 3), np.arange(3 * faces).reshape(-1, 3)


def people_of(meshes, alpha=False, uv=None) -> People:
    """People from (vertices, faces) pairs; everything that drawing does not need is zero."""
    v = torch.tensor(np.concatenate([m[0] for m in meshes]), dtype=torch.float32)
    starts = np.cumsum([0] + [len(m[0]) for m in meshes])
    faces = torch.tensor(np.concatenate([m[1] + s for m, s in zip(meshes, starts)]))
    owner = torch.repeat_interleave(torch.arange(len(meshes)), torch.tensor([len(m[0]) for m in meshes]))
    face_owner = torch.repeat_interleave(torch.arange(len(meshes)), torch.tensor([len(m[1]) for m in meshes]))
    n, p, zero = len(v), len(meshes), torch.zeros(len(v), 3)
    one = torch.zeros(1, dtype=torch.int64)
    materials = Materials(one, one, torch.zeros(1, 3, 3), torch.ones(1, 3), torch.ones(1), torch.zeros(1), one, torch.zeros(1),
                          torch.tensor([alpha]), torch.zeros(1, 3))
    return People(v, zero, owner, faces, face_owner, torch.zeros_like(face_owner), torch.zeros(n, 2) if uv is None else uv, zero, zero,
                  torch.zeros(n, 2), zero, torch.zeros(n, dtype=torch.uint8), torch.zeros(n), torch.zeros_like(face_owner),
                  torch.zeros(p, 24, 3), torch.zeros(p, 24, 3, 3), torch.zeros(p, 10), torch.ones(p), torch.zeros(p, 53, 3),
                  torch.ones(p), materials)


def cameras_of(count: int, size: int = SIZE, focal: float = 1.1) -> Cameras:
    return Cameras(torch.eye(3).repeat(count, 1, 1), torch.zeros(count, 3), torch.full((count,), focal * size),
                   torch.full((count, 2), size / 2), size)


def cast(vertices: np.ndarray, faces: np.ndarray, camera: Cameras) -> tuple[np.ndarray, ...]:
    """Moeller and Trumbore's test of every ray with every face: nearest and farthest (face, depth, barycentrics), coverage margin."""
    s, f = camera.size, float(camera.focal[0])
    y, x = np.mgrid[0:s, 0:s] + 0.5
    ray = np.stack([(x - s / 2) / f, (y - s / 2) / f, np.ones_like(x)], -1).reshape(-1, 1, 3)
    a, b, c = vertices[faces].transpose(1, 0, 2)
    e1, e2 = b - a, c - a
    h = np.cross(ray, e2)
    det = (e1 * h).sum(-1)
    u = -(a * h).sum(-1) / det
    q = np.cross(-a, e1)
    v = (ray * q).sum(-1) / det
    t = (e2 * q).sum(-1) / det
    bary = np.stack([1 - u - v, u, v], -1)
    hit = (bary > 0).all(-1) & (t > 0)
    return hit, t, bary


@pytest.mark.parametrize("seed,faces,spread", [(0, 40, 1.0), (1, 300, 0.2), (2, 8, 3.0)])
def test_against_a_ray_caster(seed, faces, spread):
    vertices, tri = soup(faces, seed, spread)
    vertices[:, 2] = np.maximum(vertices[:, 2], 0.3)
    camera = cameras_of(1)
    front, back = rasterize(people_of([(vertices, tri)]), camera, SIZE)
    hit, t, bary = cast(vertices.astype(np.float32).astype(np.float64), tri, camera)
    any_hit = hit.any(1)
    covered = np.zeros(SIZE * SIZE, bool)
    covered[(front.y * SIZE + front.x).numpy()] = True
    assert (covered != any_hit).mean() < 4e-3                          # snapping moves an edge by at most 1/512 pixel
    assert any_hit.mean() > 0.05
    for fragments, pick, bound in ((front, np.argmin, np.inf), (back, np.argmax, -np.inf)):
        at = (fragments.y * SIZE + fragments.x).numpy()
        wanted = pick(np.where(hit, t, bound), 1)[at]
        same = wanted == fragments.face.numpy()
        assert same.mean() > 0.99
        w = bary[at, wanted][same]
        assert np.quantile(np.abs(w - fragments.bary.numpy()[same]), 0.99) < 0.02
        assert np.quantile(np.abs(t[at, wanted][same] - fragments.depth.numpy()[same]), 0.99) < 0.01
        assert np.allclose(fragments.bary.sum(1), 1, atol=1e-6) and (fragments.bary >= 0).all()


def test_exact_on_the_grid():
    """Vertices on the sub-pixel grid: coverage and winners are those of exact arithmetic, without exception."""
    rng = np.random.default_rng(3)
    xy = rng.integers(-40, SIZE + 40, (360, 2)).astype(np.float64) + rng.integers(0, 256, (360, 2)) / 256
    z = rng.uniform(1, 2, 360)
    tri = np.arange(360).reshape(-1, 3)
    front, back = rasterize_flat(torch.tensor(xy), torch.tensor(z), torch.tensor(tri), torch.zeros(120, dtype=torch.int64), 1, SIZE)
    y, x = np.mgrid[0:SIZE, 0:SIZE].reshape(2, -1, 1) + 0.5
    a, b, c = xy[tri].transpose(1, 0, 2)
    cross = lambda p, q: (q[:, 0] - p[:, 0]) * (y - p[:, 1]) - (q[:, 1] - p[:, 1]) * (x - p[:, 0])
    e = np.stack([cross(b, c), cross(c, a), cross(a, b)], -1)
    inside = (e > 0).all(-1) | (e < 0).all(-1)
    edge = ((e >= 0).all(-1) | (e <= 0).all(-1)) & ~inside             # on an edge: the fill rule decides, tested below
    clear = ~edge.any(1)
    covered = np.zeros(SIZE * SIZE, bool)
    covered[(front.y * SIZE + front.x).numpy()] = True
    assert (covered == inside.any(1))[clear].all()
    w = e / e.sum(-1, keepdims=True)
    depth = (w * z[tri]).sum(-1)
    for fragments, pick, bound in ((front, np.argmin, np.inf), (back, np.argmax, -np.inf)):
        at = (fragments.y * SIZE + fragments.x).numpy()
        best = pick(np.where(inside, depth, bound), 1)[at]
        assert (best == fragments.face.numpy())[clear[at]].all()
        assert np.allclose(fragments.depth.numpy()[clear[at]], depth[at, best][clear[at]], atol=1e-5)


def test_a_shared_edge_is_drawn_once():
    """A fan and a grid that tile a square, vertices and edges on pixel centres: every pixel belongs to exactly one face."""
    grid = np.stack(np.meshgrid(np.arange(0, 33, 4), np.arange(0, 33, 4)), -1).reshape(-1, 2) + 0.5
    k = np.arange(72).reshape(8, 9)[:, :8].reshape(-1)
    tri = torch.tensor(np.concatenate([np.stack([k, k + 1, k + 10], 1), np.stack([k, k + 10, k + 9], 1)]))
    flip = torch.arange(len(tri)) % 3 == 0
    tri = torch.where(flip[:, None], tri[:, [0, 2, 1]], tri)           # either way round
    x, y = snap(torch.tensor(grid))
    each = torch.arange(len(tri))                                      # every face into a picture of its own
    count = draw(x, y, torch.ones(len(grid)), tri, each, len(tri), 40)[0].view(-1, 40, 40) != EMPTY
    expected = torch.zeros(40, 40, dtype=torch.int64)
    expected[:32, :32] = 1
    assert torch.equal(count.sum(0), expected)


def test_agrees_with_the_single_picture_rasteriser():
    vertices, tri = soup(200, 5, 0.5)
    vertices = vertices.astype(np.float32)
    camera = Camera(SIZE, SIZE, 1.1 * SIZE, 1.1 * SIZE, SIZE / 2, SIZE / 2)
    front, back = rasterize(people_of([(vertices, tri)]), cameras_of(1), SIZE)
    for fragments, farthest in ((front, False), (back, True)):
        other = single.rasterize(vertices, tri, camera, farthest)
        face = fragments.image(fragments.face, fill=-1)[0].numpy()
        assert (face == other.face).mean() > 0.99
        both = (face == other.face) & other.hit
        assert np.abs(fragments.image(fragments.depth)[0].numpy() - other.depth)[both].max() < 0.2
        assert np.median(np.abs(fragments.image(fragments.depth)[0].numpy() - other.depth)[both]) < 1e-3


def test_order_of_faces_and_batches_change_nothing():
    meshes = [soup(n, s, 0.4) for n, s in ((90, 1), (10, 2), (200, 3))]
    together = rasterize(people_of(meshes), cameras_of(3), SIZE)
    order = np.random.default_rng(0).permutation(90)
    alone = rasterize(people_of([(meshes[0][0], meshes[0][1][order])]), cameras_of(1), SIZE)
    for whole, part in zip(together, alone):
        here = whole.picture == 0
        assert torch.equal(whole.face[here], torch.tensor(order)[part.face])
        assert torch.equal(whole.depth[here], part.depth) and torch.equal(whole.bary[here], part.bary)
        assert torch.equal(whole.y[here], part.y) and torch.equal(whole.x[here], part.x)
    assert torch.equal(together[0].y, together[1].y) and torch.equal(together[0].x, together[1].x)


def test_behind_the_camera_and_degenerate_faces_are_left_out():
    good, tri = soup(1, 0)
    bad = np.array([[0, 0, -1], [1, 0, 3], [0, 1, 3], [0, 0, 3], [0, 0, 3], [1, 1, 3], [np.nan, 0, 3], [1, 0, 3], [0, 1, 3]])
    mesh = np.concatenate([good, bad]), np.arange(12).reshape(-1, 3)
    front, _ = rasterize(people_of([mesh]), cameras_of(1), SIZE)
    alone, _ = rasterize(people_of([(good, tri)]), cameras_of(1), SIZE)
    assert len(alone.face) > 0 and torch.equal(front.face, alone.face) and torch.equal(front.depth, alone.depth)


def test_a_huge_face_covers_all():
    mesh = np.array([[-900.0, -900, 1], [900, -900, 1], [0, 900, 1]]), np.array([[0, 1, 2]])
    front, _ = rasterize(people_of([mesh]), cameras_of(1), SIZE)
    assert len(front.face) == SIZE * SIZE and torch.allclose(front.depth, torch.ones(()), atol=1e-5)


def test_depth_maps_are_the_front():
    vertices, tri = soup(150, 7, 0.6)
    xy, z = torch.tensor((vertices[:, :2] + 1.5) * 16), torch.tensor(vertices[:, 2])
    picture = torch.arange(150) % 2
    front, _ = rasterize_flat(xy, z, torch.tensor(tri), picture, 2, SIZE)
    maps = depth_maps(xy, z, torch.tensor(tri), picture, 2, SIZE)
    assert torch.isfinite(maps).sum() == len(front.face)
    assert torch.allclose(maps[front.picture, front.y, front.x], front.depth, atol=5e-6)


def test_holes_of_a_texture_let_the_surface_behind_show():
    """A quad whose texture is transparent on its left half stands before another quad."""
    texels = torch.full((8, 8, 4), 255, dtype=torch.uint8)
    texels[:, :4, 3] = 0
    one = torch.zeros(1, 1, dtype=torch.int64)
    textures = Textures(texels.view(-1, 4), one, one + 8, one + 8, ("half",))
    corners = np.array([[-1.0, -1, 2], [1, -1, 2], [1, 1, 2], [-1, 1, 2]])
    far = corners * [1.6, 1.6, 1.5]
    mesh = np.concatenate([corners, far]), np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    uv = torch.tensor([[0.0, 1], [1, 1], [1, 0], [0, 0]]).repeat(2, 1)
    solid = uv.clone()
    solid[4:, 0] = 0.9
    people = people_of([mesh], alpha=True, uv=solid)
    front, back = rasterize(people, cameras_of(1), SIZE, textures)
    depth = front.image(front.depth)[0]
    inner = slice(SIZE // 4, -SIZE // 4)
    assert torch.allclose(depth[inner, 4:SIZE // 2 - 6], torch.tensor(3.0), atol=1e-4)
    assert torch.allclose(depth[inner, SIZE // 2 + 6:-6], torch.tensor(2.0), atol=1e-4)
    assert torch.allclose(back.depth, torch.tensor(3.0), atol=1e-4)
    whole, _ = rasterize(people, cameras_of(1), SIZE)
    assert torch.allclose(whole.image(whole.depth)[0][inner, 4:-4], torch.tensor(2.0), atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_same_on_cuda():
    people, cameras = people_of([soup(300, 1, 0.3), soup(50, 2, 2.0)]), cameras_of(2)
    for a, b in zip(rasterize(people, cameras, SIZE), rasterize(people.to("cuda"), cameras.to("cuda"), SIZE)):
        assert torch.equal(a.face, b.face.cpu()) and torch.equal(a.depth, b.depth.cpu()) and torch.equal(a.bary, b.bary.cpu())


def test_keys_name_their_face():
    x, y = snap(torch.tensor([[0.0, 0], [9, 0], [0, 9]]))
    front, back = draw(x, y, torch.ones(3), torch.tensor([[0, 1, 2]]), torch.zeros(1, dtype=torch.int64), 1, 8)
    hit = front != EMPTY
    assert hit.sum() == 35 + 1 and (face_of(front[hit]) == 0).all() and torch.equal(front[hit], back[hit])
