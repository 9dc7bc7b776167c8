"""What the unseen side is given: garments without prints, hair without faces, and the same charts as by brute force."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np

from neural.contract.frames import Camera
from neural.contract.joints import JOINT, LANDMARK
from neural.geometry.bake import sight
from neural.geometry.calm import calm_colours
from neural.geometry.fill import strands
from neural.geometry.plate import make_plate
from neural.geometry.raster import rasterize
from neural.geometry.unwrap import _touches, _uncovered
from neural.stages.s10_unseen import LEFT_ARM, TORSO, _beside_others

_spec = importlib.util.spec_from_file_location("unwrap_shapes", Path(__file__).with_name("test_texture_unwrap.py"))
_shapes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_shapes)
SHIRT, TROUSERS, PRINT = np.array([120.0, 60, 40]), np.array([30.0, 40, 90]), np.array([250.0, 250, 250])


def dressed(n=6000, seed=0):
    """Points of a trunk: shirt above trousers (belt line at 0.1), a white print and a zip down the middle of the front."""
    rng = np.random.default_rng(seed)
    x, y, z = rng.uniform(-0.18, 0.18, n), rng.uniform(-0.2, 0.4, n), rng.choice([-0.1, 0.1], n)
    colour = np.where((y > 0.1)[:, None], SHIRT, TROUSERS) + rng.normal(0, 3, (n, 3))
    colour[(np.abs(x) < 0.08) & (y > 0.15) & (y < 0.25)] = PRINT
    colour[np.abs(x) < 0.01] = PRINT
    weights = np.eye(24)[np.full(n, JOINT["spine2"])]
    return np.stack([x, y, z], 1), weights, colour, (z > 0).astype(float)


def test_prints_go_and_the_belt_line_stays():
    rest, weights, colour, seen = dressed()
    calm, known = calm_colours(rest, weights, colour, seen)
    back = known & (seen == 0)
    assert back.any() and not known[(rest[:, 1] > 0.3) & (rest[:, 2] > 0)].any()                # the neckline in front is the mirrored photo's
    assert known[(rest[:, 1] < 0.36) & (rest[:, 2] < 0)].all()                                  # behind, clothes are closed up to the nape
    off = np.abs(rest[:, 1] - 0.1) > 0.02                                  # two rings from the belt
    right = np.where((rest[:, 1] > 0.1)[:, None], SHIRT, TROUSERS)
    assert np.abs(calm - right)[back & off].max() < 8


def test_the_last_rings_of_a_cut_photo_do_not_colour_all_beyond():
    """The photo ends at the waist, and its last two centimetres of trunk hold a bare arm: what is below is still trousers."""
    rest, weights, colour, seen = dressed()
    arm = np.array([200.0, 150, 130])
    y = rest[:, 1]
    seen = seen * (y > -0.05)
    colour = np.where(((y > -0.05) & (y < -0.03))[:, None], arm, colour)
    calm, known = calm_colours(rest, weights, colour, seen)
    below = known & (y < -0.05)
    assert below.sum() > 500 and np.abs(calm - TROUSERS)[below].max() < 8


def test_too_little_seen_is_left_alone():
    rest, weights, colour, _ = dressed()
    seen = np.zeros(len(rest))
    seen[:30] = 1
    calm, known = calm_colours(rest, weights, colour, seen)
    assert not known.any() and (calm == colour).all()


def test_detail_holds_the_weave_but_no_print():
    side = 256
    grid = np.indices((side, side))
    weave = np.where(grid.sum(0) % 4 < 2, 4.0, -4.0)
    rgb = np.repeat((120 + weave)[..., None], 3, 2)
    rgb[100:140, 60:200] = np.where((grid[1][100:140, 60:200] // 8 % 2 == 0)[..., None], 240, 20)
    plate = make_plate(rgb.astype(np.uint8), np.ones((side, side), np.float32), np.eye(3), 1.0, 3.0)
    plain, printed = plate.detail[30:70, 30:-30], plate.detail[105:135, 70:190]
    assert plain.std() > 2 and np.abs(printed).max() < plain.std()


def test_strands_run_down_from_the_crown():
    """At the back of a head the noise changes far faster across than along; standard deviation about 1; repeatable."""
    y, x = np.meshgrid(np.linspace(0.05, 0.2, 160), np.linspace(-0.04, 0.04, 160), indexing="ij")
    points = np.stack([x, y, np.full_like(x, 0.09)], -1)
    noise = strands(points.reshape(-1, 3)).reshape(160, 160)
    across = np.abs(np.diff(noise, axis=1)).mean() / (0.08 / 159)
    along = np.abs(np.diff(noise, axis=0)).mean() / (0.15 / 159)
    assert across > 4 * along and 0.6 < noise.std() < 1.6
    assert (noise == strands(points.reshape(-1, 3)).reshape(160, 160)).all()


def brute(v, f, view):
    """All pairs of faces that one pixel shows: drawn one at a time."""
    owner = np.zeros((view.height, view.width), int)
    for row in range(len(f)):
        owner += rasterize(v, f[row:row + 1], view).hit
    return owner


def test_charts_do_not_overlap_whatever_is_looked_at_again():
    v, f = _shapes.two_spheres()
    camera = Camera.from_fov(96, 96, 30)
    centre = v[f].mean(1)
    towards = (np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]]) * centre).sum(1) < 0
    f, centre = f[towards], centre[towards]
    alive = _uncovered(v, f, centre, camera, False, "cpu")
    assert 0.5 < alive.mean() < 1
    assert brute(v, f[alive], camera).max() <= 1


def test_touching_boxes():
    marked = np.zeros((20, 30), bool)
    marked[5, 7] = True
    corners = np.array([[[6.2, 4.1], [8.3, 4.2], [7.1, 6.4]], [[9.5, 5.1], [12, 5.2], [10, 9]], [[7.2, 5.2], [7.4, 5.3], [7.3, 5.6]]])
    assert _touches(corners, marked).tolist() == [True, False, True]
    assert cv2.countNonZero(marked.astype(np.uint8)) == 1


def test_the_back_of_a_head_is_hair():
    """A ball with a face on fair hair: behind the ears hair of the hair's own colour, never the face."""
    bake = importlib.util.spec_from_file_location("bake_scene", Path(__file__).with_name("test_texture_bake.py"))
    module = importlib.util.module_from_spec(bake)
    bake.loader.exec_module(module)
    hair, skin = np.array([150.0, 110, 50]), np.array([225.0, 170, 150])

    def pattern(points):
        x, y, _ = (points - (0, 0, 2.5)).T
        face = (x / 0.24) ** 2 + ((y - 0.08) / 0.34) ** 2 < 1
        return np.where(face[:, None] | (y > 0.28)[:, None], skin, hair)

    module.pattern = pattern
    photo, person, body, normals, surface = module.scene(_shapes.sphere(72, 48))
    person.facing = "front"
    centre, metre = person.camera.width / 2, person.camera.fx / 2.3
    for name, (x, y) in {"left_eye": (0.08, 0), "right_eye": (-0.08, 0), "mouth_left": (0.06, 0.2), "mouth_right": (-0.06, 0.2),
                         "left_ear": (0.24, 0.05), "right_ear": (-0.24, 0.05)}.items():
        person.landmarks[LANDMARK[name]] = centre + x * metre, centre + y * metre
    body.part[:] = JOINT["head"]
    body.weights = np.eye(24)[body.part]
    body.camera_from_rest = np.tile(np.diag([1.0, -1, -1, 1]), (24, 1, 1))       # the head looks at the camera
    texture = module.paint_texture(photo, person, body, normals, None, surface, None,
                                   module.Context(module.JobOptions(preset="draft")))
    x, y, z = (surface.vertices - (0, 0, 2.5)).T
    colour = texture.vertex_color.astype(float)
    back = (z > 0.15) & (y < 0.05)
    assert back.sum() > 100 and np.abs(colour[back] - hair).max(1).mean() < 20
    to_skin, to_hair = np.linalg.norm(colour - skin, axis=1), np.linalg.norm(colour - hair, axis=1)
    assert (to_hair[back] < to_skin[back]).all()


def test_garments_take_no_colours_beside_another_limb():
    """A forearm's strip before the trunk's sheet: what lies within the reach of the strip's outline says nothing of the trunk's cloth."""
    side, z = 128, 2.0
    camera = Camera(side, side, 200.0, 200.0, side / 2, side / 2)
    line = np.linspace(-0.5, 0.5, 41)
    sheet = lambda x0, x1, y0, y1, depth: np.stack([*np.meshgrid(x0 + (x1 - x0) * (line + 0.5), y0 + (y1 - y0) * (line + 0.5)), np.full((41, 41), depth)], -1).reshape(-1, 3)
    k = np.arange(40)[:, None] * 41 + np.arange(40)
    faces = np.concatenate([np.stack([k, k + 41, k + 1], -1).reshape(-1, 3), np.stack([k + 1, k + 41, k + 42], -1).reshape(-1, 3)])
    vertices = np.concatenate([sheet(-0.5, 0.5, -0.5, 0.5, z), sheet(-0.5, 0.5, -0.05, 0.05, z - 0.3)])
    faces = np.concatenate([faces, faces + 41 * 41])
    group = np.repeat([TORSO, LEFT_ARM], 41 * 41)
    flagged = _beside_others(group, sight(vertices, faces, camera), vertices, faces, 4.0)
    row = camera.project(vertices)[:, 1]
    edge = 200 * 0.05 / (z - 0.3)
    away = np.abs(np.abs(row - side / 2) - edge)
    trunk = group == TORSO
    assert flagged[trunk & (np.abs(row - side / 2) > edge) & (away < 3)].all() and not flagged[trunk & (np.abs(row - side / 2) > edge + 6)].any()
    inner = ~trunk & (np.abs(camera.project(vertices)[:, 0] - side / 2) < 40)
    assert flagged[inner & (away < 2)].all() and not flagged[inner & (away > 5.5)].any()
    assert not _beside_others(np.full(len(group), TORSO), sight(vertices, faces, camera), vertices, faces, 4.0).any()
