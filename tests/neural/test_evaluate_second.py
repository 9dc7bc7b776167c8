"""Measures against second implementations (pymeshlab, scipy, OpenCV) and against numbers known by hand; documents of several runs."""

import json

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.optimize import least_squares
from scipy.spatial import procrustes as scipy_procrustes
from scipy.spatial.transform import Rotation

from evaluate.document import BEGIN, END, document, main, read_run
from evaluate.errors import SuiteError
from evaluate.labels import from_joints, limbs
from evaluate.metrics.align import icp, procrustes
from evaluate.metrics.closest import Surface
from evaluate.metrics.distance import joint_errors, summary, surface_distances
from evaluate.metrics.image import psnr, ssim
from evaluate.metrics.outside import look_from_outside, volume_iou
from evaluate.readers.mesh import simple_mesh
from neural.body.model import BodyModel
from neural.contract.joints import JOINT
from neural.geometry.layers import PIECES, piece_of_joint


def ball(radius=1.0, rings=40, squash=(1.0, 1.0, 1.0)):
    lat, lon = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False), indexing="ij")
    v = radius * np.stack([np.sin(lat) * np.cos(lon), np.cos(lat), -np.sin(lat) * np.sin(lon)], -1).reshape(-1, 3) * squash
    i, j = (a.ravel() for a in np.meshgrid(np.arange(rings), np.arange(2 * rings), indexing="ij"))
    p, q = i * 2 * rings + j, i * 2 * rings + (j + 1) % (2 * rings)
    return v, np.concatenate([np.stack([p, p + 2 * rings, q], 1)[i > 0], np.stack([q, p + 2 * rings, q + 2 * rings], 1)[i < rings - 1]])


def test_mean_distances_agree_with_meshlab():
    ml = pytest.importorskip("pymeshlab")
    a, b = ball(0.5, 30, (1, 1.6, 0.7)), ball(0.47, 36, (1.1, 1.5, 0.8))
    samples = [look_from_outside(*m, 32, 200).sample(20_000) for m in (a, b)]
    ours = summary(*surface_distances(samples[0].xyz, Surface(*a), samples[1].xyz, Surface(*b)))
    meshes = ml.MeshSet(verbose=False)
    for v, f in (a, b):
        meshes.add_mesh(ml.Mesh(vertex_matrix=v, face_matrix=f.astype(np.int32)))
    mean = [100 * meshes.get_hausdorff_distance(sampledmesh=s, targetmesh=t, samplevert=False, sampleface=True, samplenum=20_000)["mean"]
            for s, t in ((0, 1), (1, 0))]
    assert ours["p2s_cm"] == pytest.approx(mean[0], rel=0.02) and ours["s2p_cm"] == pytest.approx(mean[1], rel=0.02)


def test_procrustes_and_its_error_agree_with_scipy():
    rng = np.random.default_rng(1)
    a = rng.normal(0, 0.4, (24, 3))
    b = 1.3 * a @ Rotation.from_euler("xyz", (20, -40, 70), degrees=True).as_matrix().T + (0.3, 1, -2) + rng.normal(0, 0.02, (24, 3))
    fit = procrustes(a, b)
    turn = Rotation.align_vectors(b - b.mean(0), a - a.mean(0))[0].as_matrix()
    assert np.allclose(fit.rotation, turn, atol=1e-6)
    disparity = scipy_procrustes(b, a)[2]                             # sum of squares after both were scaled to unit norm
    ours = ((fit(a) - b) ** 2).sum() / ((b - b.mean(0)) ** 2).sum()
    assert ours == pytest.approx(disparity, rel=1e-6)
    assert joint_errors(a, b)["pa_mpjpe_mm"] == pytest.approx(1000 * np.linalg.norm(fit(a) - b, axis=1).mean())


def test_icp_ends_where_a_general_solver_ends():
    """The sum of squared distances both ways, minimised by scipy over scale, rotation and shift, is no smaller than ours."""
    a, b = ball(0.5, 24, (1, 1.6, 0.7)), ball(0.5, 28, (1.05, 1.55, 0.72))
    move = Rotation.from_euler("xyz", (6, -5, 8), degrees=True).as_matrix()
    b = (0.95 * b[0] @ move.T + (0.02, -0.03, 0.04), b[1])
    sa, sb = Surface(*a), Surface(*b)
    pa, pb = (look_from_outside(*m, 20, 120).sample(700).xyz for m in (a, b))

    def gaps(scale, rotation, shift):
        there = sb.closest(scale * pa @ rotation.T + shift)[0]
        back = scale * sa.closest((pb - shift) @ rotation / scale)[0]
        return np.concatenate([there, back])

    ours = icp(pa, sa, pb, sb)
    start = gaps(ours.scale, ours.rotation, ours.shift)
    best = least_squares(lambda x: gaps(np.exp(x[0]), Rotation.from_rotvec(x[1:4]).as_matrix(), x[4:]),
                         [np.log(ours.scale), *Rotation.from_matrix(ours.rotation).as_rotvec(), *ours.shift], max_nfev=6)
    assert (start ** 2).sum() <= 1.06 * 2 * best.cost
    assert ours.scale == pytest.approx(0.95, abs=0.02) and ours.angle_deg > 5


def test_pictures_agree_with_opencv_and_scipy():
    rng = np.random.default_rng(0)
    a = cv2.GaussianBlur(rng.random((80, 90, 3)).astype(np.float32), (0, 0), 2)
    b = np.clip(a + 0.03 * rng.normal(0, 1, a.shape), 0, 1).astype(np.float32)
    everything = np.ones(a.shape[:2], bool)
    assert psnr(a, b, everything) == pytest.approx(cv2.PSNR(a.astype(np.float64), b.astype(np.float64), 1.0), abs=1e-3)
    x, y = (m.astype(np.float64) @ [0.299, 0.587, 0.114] for m in (a, b))
    blur = lambda m: gaussian_filter(m, 1.5, truncate=3.34)          # radius 5, as Wang's window of 11
    mx, my = blur(x), blur(y)
    value = (2 * mx * my + 1e-4) * (2 * (blur(x * y) - mx * my) + 9e-4) / (
        (mx ** 2 + my ** 2 + 1e-4) * (blur(x * x) - mx ** 2 + blur(y * y) - my ** 2 + 9e-4))
    inner = np.zeros(a.shape[:2], bool)
    inner[8:-8, 8:-8] = True
    assert ssim(a, b, inner) == pytest.approx(value[inner].mean(), abs=2e-4)


def test_concentric_balls_share_the_cube_of_their_radii():
    a, b = (look_from_outside(*ball(r, 60), 64, 320) for r in (1.0, 0.8))
    assert volume_iou(a, b, 0.03) == pytest.approx(0.8 ** 3, rel=0.03)


@pytest.fixture(scope="module")
def standing():
    model = BodyModel.load()
    pose = np.zeros((24, 3))
    pose[JOINT["left_shoulder"], 2], pose[JOINT["right_shoulder"], 2] = -1.1, 1.1
    pose[JOINT["left_elbow"], 1], pose[JOINT["right_elbow"], 1] = -1.4, 1.4           # forearms before the belly
    vertices, joints, _ = model.posed(pose, np.zeros(10))[:3]
    return model, simple_mesh(vertices, model.faces), joints


def test_limbs_from_joints_agree_with_the_bodys_own_parts(standing):
    model, mesh, joints = standing
    limb = from_joints(mesh, joints, np.ones(24, bool))
    true = piece_of_joint()[model.part] + 1
    assert (limb == true).mean() > 0.85
    for name in ("left_forearm", "right_forearm", "left_shin", "right_shin", "head", "torso"):
        own = true == PIECES.index(name) + 1
        assert (limb[own] == PIECES.index(name) + 1).mean() > 0.8, name


def test_limbs_come_from_the_file_first_and_say_so(standing):
    from dataclasses import replace
    model, mesh, joints = standing
    known = np.ones(24, bool)
    assert limbs(mesh, joints, known)[1] == "joints"
    own = replace(mesh, part=model.part.astype(np.int16))
    limb, source = limbs(own, joints, known)
    assert source == "file" and np.array_equal(limb, piece_of_joint()[model.part] + 1)
    part = model.part.astype(np.int16).copy()
    part[:50] = -1
    assert limbs(replace(mesh, part=part), joints, known)[1] == "file, joints"
    assert limbs(mesh, joints, np.zeros(24, bool)) [1] == "none"


def run_of(suite, quick=False, value=1.0):
    numbers = {"as_is_p2s_cm": value, "aligned_p2s_cm": None, "seconds": 12.0}
    return {"suite": suite, "about": f"about {suite}", "preset": "draft", "device": "cpu", "quick": quick, "seconds": 60.0, "cpu_seconds": 90.0,
            "command": f"python3 dev.py evaluate --suite {suite}", "head": "head", "means": {"pipeline": {**numbers, "n": 1, "failed": 0}},
            "results": [{"item": "a", "method": "pipeline", "numbers": numbers, "error": None, "notes": ["n-gons: 3 faces"]}]}


def test_a_document_has_a_row_for_each_run_and_the_command_that_made_it(tmp_path, capsys):
    files = []
    for name, value in (("one", 1.25), ("two", 2.5)):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(run_of(name, value=value)))
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert main([*map(str, files), "--into", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("before") and text.endswith("after\n") and "old" not in text
    assert "| one draft: pipeline | 1 | 1.25 |" in text and "| two draft: pipeline | 1 | 2.50 |" in text
    assert "`python3 dev.py evaluate --suite two`" in text and "n-gons: 3 faces (a)" in text
    main([*map(str, files), "--into", str(page)])
    assert page.read_text() == text                                  # made again, the same


def test_documents_say_what_they_cannot_do(tmp_path, capsys):
    (tmp_path / "x.json").write_text("{}")
    assert main([str(tmp_path / "x.json")]) == 2 and "no results" in capsys.readouterr().err
    with pytest.raises(SuiteError, match="Quick"):
        document([run_of("one"), run_of("two", quick=True)])
    (tmp_path / "y.json").write_text(json.dumps(run_of("one")))
    (tmp_path / "page.md").write_text("no marks")
    assert main([str(tmp_path / "y.json"), "--into", str(tmp_path / "page.md")]) == 2 and "no place" in capsys.readouterr().err
    assert read_run(tmp_path / "y.json")["suite"] == "one"
