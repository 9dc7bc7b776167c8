"""The set-up of environments, tried on a tiny one (no package, so no network)."""

import subprocess
import sys

import pytest

from neural.contract import engine
from neural.contract.errors import CancelledError, EngineError


@pytest.fixture
def empty_requirements(tmp_path):
    file = tmp_path / "none.txt"
    file.write_text("# nothing\n\n")
    return file


def test_create_check_and_reuse(tmp_path, empty_requirements):
    folder, seen = tmp_path / "env", []
    python = engine.create(folder, (empty_requirements,), sys.executable, lambda text, part: seen.append(part))
    assert subprocess.run([python, "-c", "pass"]).returncode == 0
    assert engine.finished(folder, empty_requirements) and seen[-1] == 1.0 and seen == sorted(seen)
    assert engine.check(python, ("json",)) is None
    assert "no_such_module" in engine.check(python, ("json", "no_such_module"))
    before = (folder / engine.STAMP).stat().st_mtime_ns
    engine.create(folder, (empty_requirements,), sys.executable)
    assert (folder / engine.STAMP).stat().st_mtime_ns == before


def test_other_pins_mean_another_environment(tmp_path):
    a, b, c = (tmp_path / n for n in "abc")
    a.write_text("x==1  # why\n")
    b.write_text("# other words\nx==1\n")
    c.write_text("x==2\n")
    assert engine.lock_hash(a) == engine.lock_hash(b) != engine.lock_hash(c)


def test_a_half_made_environment_is_not_finished(tmp_path, empty_requirements):
    (tmp_path / "env").mkdir()
    assert not engine.finished(tmp_path / "env", empty_requirements)


def test_failures_are_coded(tmp_path, empty_requirements):
    with pytest.raises(EngineError) as error:
        engine.create(tmp_path / "env", (empty_requirements,), str(tmp_path / "no-python"))
    assert error.value.code == "engine.setup-failed" and error.value.remedy
    with pytest.raises(CancelledError):
        engine.create(tmp_path / "env2", (empty_requirements,), sys.executable, cancelled=lambda: True)
    assert not engine.finished(tmp_path / "env2", empty_requirements)
    assert "cannot be started" in engine.check(tmp_path / "no-python")


def test_damaged_models_are_not_present(tmp_path):
    assert not engine.models_present(tmp_path)
    for stem in engine.MODELS:
        (tmp_path / f"{stem}.tflite").write_bytes(b"not a model")
    assert not engine.models_present(tmp_path)
