"""Files that appear whole or not at all, and which photos are meant."""

import os
from pathlib import Path

import pytest

from neural.contract import files
from neural.contract.errors import OptionError
from neural.contract.photos import expand, natural_key, photos_in


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


@pytest.mark.skipif(os.name == "nt", reason="folders are not synced there")
def test_all_is_on_the_disk_before_the_rename_and_the_rename_after(tmp_path, monkeypatch):
    part, final = tree(tmp_path / "part", "a", "deep/b"), tree(tmp_path / "final", "old")
    done = []
    real_sync, real_rename = os.fsync, Path.rename
    monkeypatch.setattr(os, "fsync", lambda h: (done.append(os.readlink(f"/proc/self/fd/{h}") if Path("/proc/self/fd").exists() else ""),
                                                real_sync(h)))
    monkeypatch.setattr(Path, "rename", lambda p, to: (done.append(f"{p.name}>{Path(to).name}"), real_rename(p, to))[1])
    files.replace_folder(part, final)
    renamed = done.index("part>final")
    if Path("/proc/self/fd").exists():
        assert {str(part / "a"), str(part / "deep/b"), str(part / "deep"), str(part)} <= set(done[:renamed])
        assert done[renamed + 1:] == [str(tmp_path)]
    assert names(tmp_path) == {"final"} and names(final) == {"a", "deep"}


def test_a_rename_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    part, final = tree(tmp_path / "part", "a"), tree(tmp_path / "final", "old")
    real = Path.rename
    monkeypatch.setattr(Path, "rename", lambda p, to: (_ for _ in ()).throw(OSError(5, "x")) if p == part else real(p, to))
    with pytest.raises(OSError):
        files.replace_folder(part, final)
    assert names(final) == {"old"} and names(tmp_path) == {"part", "final"}


def test_sweep_ends_what_a_crash_left_and_touches_nothing_else(tmp_path):
    tree(tmp_path, ".a.likeness-part/x", ".b.likeness-old/good", "c/new", ".c.likeness-old/x", ".d.blend.likeness-part.blend",
         ".config.old/precious", ".e.part/precious", "likeness-part")
    files.sweep(tmp_path)
    assert names(tmp_path) == {"b", "c", ".config.old", ".e.part", "likeness-part"}
    assert names(tmp_path / "b") == {"good"} and names(tmp_path / "c") == {"new"}


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_linked_folder_is_replaced_and_what_it_leads_to_stays(tmp_path):
    elsewhere = tree(tmp_path / "elsewhere", "precious")
    out = tree(tmp_path / "out", "part/new")
    (out / "a").symlink_to(elsewhere)
    files.replace_folder(out / "part", out / "a")
    assert names(out) == {"a"} and names(out / "a") == {"new"} and names(elsewhere) == {"precious"}


def test_natural_order():
    assert sorted(["b1", "a10", "A2", "a02", "a", "1", "10", "9"], key=natural_key) == ["1", "9", "10", "a", "A2", "a02", "a10", "b1"]


def test_files_folders_and_patterns(tmp_path, monkeypatch):
    tree(tmp_path, "p/a10.jpg", "p/a9.JPG", "p/notes.txt", "p/.hid.png", "p/sub/c.png", "p/[x].jpg", "q/one.webp", "q/odd.jfif")
    monkeypatch.chdir(tmp_path)

    def got(*given: str) -> list[str]:
        return [p.relative_to(tmp_path).as_posix() for p in expand(given, tmp_path / "p/sub/out")]

    assert got("p") == ["p/[x].jpg", "p/a9.JPG", "p/a10.jpg"] == [f"p/{p.name}" for p in photos_in(Path("p"))]
    assert got("p/a*.jpg", "p/a10.jpg") == ["p/a10.jpg"]
    assert got("p/a*") == ["p/a9.JPG", "p/a10.jpg"]
    assert got("p/[x].jpg") == ["p/[x].jpg"]                       # a name, not a pattern
    assert got("q/*.jfif") == ["q/odd.jfif"] and got("q/*") == ["q/one.webp"]
    tree(tmp_path, "p/sub/out/c/albedo.png")                        # a result is no photo
    assert got("**/*.png") == ["p/sub/c.png"] and got("p/sub/out/c/albedo.png") == ["p/sub/out/c/albedo.png"]
    assert got("[pq]") == ["p/[x].jpg", "p/a9.JPG", "p/a10.jpg", "q/one.webp"]
    assert got("no.jpg", "p/notes.txt", "./p/../p/a9.JPG") == ["no.jpg", "p/notes.txt", "p/a9.JPG"]
    (tmp_path / "empty").mkdir()
    for wrong in ("empty", "*.tif", "p/s*"):
        with pytest.raises(OptionError) as told:
            got("p", wrong) if wrong != "p/s*" else got("p/z*")
        assert told.value.code == "option.no-photos"
