"""A person's own body file: what loads, what is refused and with which words."""

from __future__ import annotations

import os
import pickle
import sys
import types

import numpy as np
import pytest

from neural.body.model import BodyModel
from neural.contract.errors import BodyError
from neural.contract.joints import JOINT, LANDMARK, LANDMARKS


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """A small SMPL-format body: every 3rd triangle's vertices of ours would tear it, so ours as a whole, 4 betas, no extras."""
    return BodyModel.load().smpl_arrays(betas=4)


def saved(path, arrays, protocol=2, **changes):
    data = {k: v for k, v in {**arrays, **changes}.items() if v is not None}
    if path.suffix == ".npz":
        np.savez(path, **data)
    else:
        path.write_bytes(pickle.dumps(data, protocol=protocol))
    return path


@pytest.mark.parametrize("kind, protocol", [(".npz", 0), (".pkl", 2), (".pkl", 5)])
def test_an_smpl_file_loads_and_says_what_is_guessed(tmp_path, arrays, kind, protocol):
    warned = []
    model = BodyModel.load(saved(tmp_path / f"mine{kind}", arrays, protocol), warn=lambda code, sentence: warned.append(code))
    ours = BodyModel.load()
    assert model.betas_count == 4 and model.source == f"mine{kind}"
    assert np.allclose(model.template, ours.template) and np.array_equal(model.faces, ours.faces)
    assert "body.no-uv" in warned and "body.landmarks-guessed" in warned
    assert model.uv.min() >= 0 and model.uv.max() <= 1 and model.uv_faces.max() < len(model.uv)
    # joints by the regressor stay within its measured error of the true ones (libraries.md: knee 11 mm)
    assert np.abs(model.joint_mean - ours.joint_mean).max() < 0.02


def test_guessed_landmarks_lie_near_the_true_ones(tmp_path, arrays):
    guessed = BodyModel.load(saved(tmp_path / "mine.npz", arrays))
    ours = BodyModel.load()
    away = np.linalg.norm(guessed.landmarks(guessed.template)[:33] - ours.landmarks(ours.template)[:33], axis=1)
    assert guessed.landmark_names == LANDMARKS
    assert away.max() < 0.06 and away[LANDMARK["nose"]] < 0.01 and np.median(away) < 0.03


def test_pickles_with_chumpy_and_scipy_objects_become_arrays(tmp_path, arrays, monkeypatch):
    from scipy.sparse import csc_matrix

    fake = types.ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x):
            self.x = x

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    fake.Ch = Ch
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", fake)
    data = {**arrays, "shapedirs": Ch(arrays["shapedirs"]), "J_regressor": csc_matrix(arrays["J_regressor"])}
    path = tmp_path / "official.pkl"
    path.write_bytes(pickle.dumps(data, protocol=2))
    monkeypatch.delitem(sys.modules, "chumpy.ch")
    model = BodyModel.load(path)
    assert np.allclose(model.regressor, arrays["J_regressor"]) and np.allclose(model.directions, arrays["shapedirs"])


class _Evil:
    def __reduce__(self):
        return os.system, ("touch pwned-by-pickle",)


class _Quiet:
    def __reduce__(self):
        return eval, ("1+1",)


@pytest.mark.parametrize("evil", [_Evil(), _Quiet(), np.load, types.SimpleNamespace(a=1)])
def test_a_malicious_pickle_is_refused_before_it_runs(tmp_path, arrays, evil, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BodyError) as caught:
        BodyModel.load(saved(tmp_path / "evil.pkl", arrays, extra=evil))
    assert caught.value.code == "body.unsafe-pickle" and caught.value.remedy
    assert not (tmp_path / "pwned-by-pickle").exists()


def _changed(arrays, name, edit):
    value = np.array(arrays[name], copy=True)
    return {name: edit(value)}


@pytest.mark.parametrize("code, change", [
    ("body.missing-array", lambda a: {"weights": None}),
    ("body.wrong-joints", lambda a: {"kintree_table": np.tile(a["kintree_table"], 2)}),
    ("body.wrong-shape", lambda a: {"weights": a["weights"][:-1]}),
    ("body.wrong-shape", lambda a: {"shapedirs": a["shapedirs"][..., 0]}),
    ("body.wrong-values", lambda a: {"weights": 2 * a["weights"]}),
    ("body.wrong-values", lambda a: {"f": a["f"] + 10_000_000}),
    ("body.wrong-values", lambda a: {"v_template": np.where(a["v_template"] > 0.8, np.nan, a["v_template"])}),
    ("body.wrong-pose", lambda a: {"v_template": 100 * a["v_template"]}),
    ("body.wrong-pose", lambda a: {"v_template": a["v_template"] * [-1, 1, -1]}),
])
def test_broken_files_name_what_is_wrong(tmp_path, arrays, code, change):
    with pytest.raises(BodyError) as caught:
        BodyModel.load(saved(tmp_path / "broken.npz", arrays, **change(arrays)))
    assert caught.value.code == code and caught.value.remedy


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 not a zip")
    (tmp_path / "b.pkl").write_bytes(b"\x80\x04junk")
    (tmp_path / "c.obj").write_text("v 0 0 0")
    np.savez(tmp_path / "d.npz", v_template=np.array([{"a": 1}], dtype=object))
    codes = []
    for name in ("a.npz", "b.pkl", "c.obj", "d.npz", "missing.npz"):
        with pytest.raises(BodyError) as caught:
            BodyModel.load(tmp_path / name)
        codes.append(caught.value.code)
    assert codes == ["body.unreadable", "body.unreadable", "body.unknown-kind", "body.unreadable", "body.missing"]


def test_pose_correctives_are_declared_unused(tmp_path, arrays):
    small = np.zeros_like(arrays["posedirs"][..., :3])
    small[0, 0, 0] = 0.01
    model = BodyModel.load(saved(tmp_path / "mine.npz", arrays, posedirs=small))
    assert "body.no-pose-correctives" in [code for code, _ in model.warnings]


def test_the_shoulder_of_the_export_is_where_the_model_says(arrays):
    ours = BodyModel.load()
    joint = arrays["J_regressor"] @ arrays["v_template"]
    assert np.linalg.norm(joint[JOINT["left_shoulder"]] - ours.joint_mean[JOINT["left_shoulder"]]) < 0.02
