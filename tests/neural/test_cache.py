"""The stage cache: what goes in comes out, what it depends on changes the key, damage is not trusted."""

import dataclasses

import numpy as np
import pytest

from neural import cache as module
from neural.cache import READS, StageCache, code_key, photo_key, stage_key
from neural.contract.frames import Camera
from neural.contract.job import STAGES, JobOptions


@dataclasses.dataclass(frozen=True)
class Inner:
    camera: Camera
    grid: np.ndarray


@dataclasses.dataclass(frozen=True)
class Outer:
    name: str
    number: float
    missing: np.ndarray | None
    there: np.ndarray | None
    inner: Inner
    names: tuple[str, ...] = ()


@pytest.fixture
def result():
    rng = np.random.default_rng(0)
    return Outer("x", 1.5, None, rng.random(4), Inner(Camera(4, 3, 1, 2, 3, 4), rng.random((2, 3)).astype(np.float32)),
                 ("a", "b"))


def test_round_trip(tmp_path, result):
    cache = StageCache(tmp_path)
    cache.save("k", result, [{"code": "c", "message": "m"}])
    back, warnings = cache.load("k", Outer)
    assert warnings == [{"code": "c", "message": "m"}]
    assert (back.name, back.number, back.missing, back.names) == ("x", 1.5, None, ("a", "b"))
    assert back.inner.camera == result.inner.camera
    np.testing.assert_array_equal(back.there, result.there)
    np.testing.assert_array_equal(back.inner.grid, result.inner.grid)
    assert back.inner.grid.dtype == np.float32


def test_damage_counts_as_missing(tmp_path, result):
    cache = StageCache(tmp_path)
    cache.save("k", result, [])
    file = tmp_path / "k.npz"
    file.write_bytes(file.read_bytes()[:200])
    assert cache.load("k", Outer) is None
    assert cache.load("never", Outer) is None


def test_old_results_make_room(tmp_path, result):
    cache = StageCache(tmp_path, limit_bytes=1)
    cache.save("a", result, [])
    assert not list(tmp_path.glob("*.npz"))


def test_every_stage_says_what_it_reads():
    assert set(READS) == set(STAGES)
    names = {f.name for f in dataclasses.fields(JobOptions)}
    assert all(set(options) <= names for options in READS.values())
    read = {o for options in READS.values() for o in options}
    of_sequences = {"sequence", "fps", "frames"}                  # which use no cache
    assert names - of_sequences == read, f"options that no stage reads: {names - read}"


def test_key_depends_on_what_matters_only(tmp_path):
    photo = tmp_path / "p"
    photo.write_bytes(b"1")
    one = photo_key(photo)
    base, tall = JobOptions(), JobOptions(height_m=1.9)
    assert stage_key("s02_person", base, [one]) == stage_key("s02_person", tall, [one])
    assert stage_key("s03_body", base, [one]) != stage_key("s03_body", tall, [one])
    photo.write_bytes(b"2")
    assert photo_key(photo) != one
    assert stage_key("s02_person", base, [one], (photo,)) != stage_key("s02_person", base, [one])


def test_other_code_is_another_result(tmp_path, monkeypatch):
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/a.py").write_text("x = 1")
    (tmp_path / "notes.md").write_text("no code")
    keys = []
    for change in (lambda: None, lambda: (tmp_path / "stages/a.py").write_text("x = 2"), lambda: (tmp_path / "stages/a.py").rename(tmp_path / "a.py"),
                   lambda: (tmp_path / "notes.md").write_text("still none")):
        change()
        code_key.cache_clear()
        keys.append(code_key(tmp_path))
    code_key.cache_clear()
    assert len(set(keys)) == 3 and keys[2] == keys[3]
    before = stage_key("s10_texture", JobOptions(), ["a"])
    monkeypatch.setattr(module, "code_key", lambda: "other")
    assert stage_key("s10_texture", JobOptions(), ["a"]) != before
