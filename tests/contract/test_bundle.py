"""Result folders from other machines: what cannot be a result of ours is refused before anything is written."""

import os

import pytest

from neural.contract import bundle
from neural.contract.errors import InternalError


def tree(folder, *files):
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def test_what_is_packed_comes_out(tmp_path):
    files = ("report.json", "mesh.ply", "stages/mask.png", "Ünï 'quoted' $(x);.blend")
    packed = bundle.pack(tree(tmp_path / "a", *files))
    (tmp_path / "b").mkdir()
    bundle.unpack(packed, tmp_path / "b")
    assert {p.relative_to(tmp_path / "b").as_posix(): p.read_bytes() for p in (tmp_path / "b").rglob("*") if p.is_file()} == {
        n: n.encode() for n in files}


@pytest.mark.parametrize("name", [
    "../x", "..", "a/../../x", "/etc/x", "//x", "a//x", "a/./x", "./x", "", "a/", ".hidden", "a/.hidden", "C:\\x", "..\\x", "a\\..\\x", "a\0b", "a\nb",
    "x" * 400, "a/b/c/d/e", 7, None, b"bytes", *(("C:x", "con", "a/NUL.txt", "x:stream", "x. ") if os.name == "nt" else ())])
def test_names_that_lead_out_are_refused_before_anything_is_written(tmp_path, name):
    (tmp_path / "out").mkdir()
    with pytest.raises(InternalError) as caught:
        bundle.unpack([("good.txt", b"x"), (name, b"evil")], tmp_path / "out")
    assert caught.value.code == "internal.result" and caught.value.remedy
    assert [p.name for p in tmp_path.rglob("*")] == ["out"]


@pytest.mark.parametrize("files", [[("a", b"1"), ("A", b"2")], [("a", "text")], [("a",)], 7, None, [None], [(f"f{i}", b"") for i in range(501)]])
def test_what_is_no_list_of_files_is_refused(tmp_path, files):
    with pytest.raises(InternalError):
        bundle.unpack(files, tmp_path)
    assert not list(tmp_path.iterdir())


def test_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "MOST_BYTES", 10)
    with pytest.raises(InternalError):
        bundle.unpack([("a", b"123456"), ("b", b"123456")], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("make", [lambda p: p.symlink_to("/etc/passwd"), lambda p: p.symlink_to("/etc"), lambda p: os.mkfifo(p)])
def test_links_and_pipes_do_not_travel(tmp_path, make):
    make(tree(tmp_path / "a", "sub/file") / "sub" / "away")
    with pytest.raises(InternalError):
        bundle.pack(tmp_path / "a")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_nothing_is_written_over_and_no_planted_link_is_followed(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        bundle.unpack([("a", b"evil")], tmp_path / "out")
    assert (tmp_path / "victim").read_text() == "precious"
