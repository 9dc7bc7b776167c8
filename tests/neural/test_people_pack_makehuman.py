"""MakeHuman's own files turned into the asset folder."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from neural.contract.errors import OptionError
from train.people import makehuman, pack
from train.people.pack import obj

OBJ = """# a tile
v 0 0 0
v 1 0 0
v 1.5 0.5 0
v 1 1 0
v 0 1 0
v 0 2 0
vt 0 0
vt 1 0
vt 1 0.5
vt 1 1
vt 0 1
vt 0.5 0.9
g front
f 1/1 2/2 3/3 4/4 5/5
f 5/5 4/4 -1/-1
"""

MHCLO = """# author: Someone
# license: CC0
basemesh hm08
name my tile
obj_file tile.obj
x_scale 5399 11998 1.3980
y_scale 791 881 2.2048
z_scale 962 5320 1.8461
z_depth 57
material tile.mhmat
verts 0
100
101
   102 103 104 0.2 0.3 0.5 0.01 -0.02 0.03
105
106
107

delete_verts
100 - 103 110
"""


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "in/clothes/tile"
    folder.mkdir(parents=True)
    (folder / "tile.obj").write_text(OBJ)
    (folder / "tile.mhclo").write_text(MHCLO)
    (folder / "tile.mhmat").write_text("name tile\ndiffuseTexture tile_diffuse.png\ntransparent True\n")
    image = np.full((8, 8, 4), 255, np.uint8)
    image[0, 0, 3] = 0
    Image.fromarray(image).save(folder / "tile_diffuse.png")
    skin = tmp_path / "in/skins/old_female"
    skin.mkdir(parents=True)
    (skin / "old_darkskinned_female.mhmat").write_text("diffuseTexture skin.png\n")
    Image.new("RGB", (16, 16), (90, 60, 50)).save(skin / "skin.png")
    return tmp_path / "in"


def test_garment_and_skin_become_a_folder_that_loads(source, tmp_path, capsys):
    assert makehuman.main(["--in", str(source), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "1 faces of more than four corners" in said and "2 assets converted" in said
    with np.load(tmp_path / "out/clothes/tile/mesh.npz") as z:
        assert z["f"].tolist() == [[0, 1, 2, 3], [0, 3, 4, -1], [4, 3, 5, -1]] and z["ft"].tolist()[1] == [0, 3, 4, -1]
        assert z["ref"][0].tolist() == [100] * 3 and z["w"][0].tolist() == [1, 0, 0] and np.allclose(z["off"][2], [0.01, -0.02, 0.03])
        assert z["scale"][1].tolist() == [791, 881, 2.2048] and z["delete"].tolist() == [100, 101, 102, 103, 110]
    entries = {e.name: e for e in pack.catalogue(tmp_path / "out").entries}
    skin = entries["old_darkskinned_female"]
    assert (skin.sex, skin.age, skin.tone) == ("f", "old", "dark") and entries["tile"].author == "Someone" and entries["tile"].licence == "CC0"
    from train.people.pack import items
    from train.people.pack.folder import Source
    folder = Source.open(tmp_path / "out")
    piece = items.piece(items.Tailor.make(), folder, folder.record("tile", "clothes"), 0, "train")
    assert piece.item.layer == 57 and piece.item.alpha and len(piece.ref) == 6 and np.isfinite(piece.neutral).all()


def test_second_run_adds_to_the_folder(source, tmp_path):
    makehuman.convert(source / "clothes", tmp_path / "out", lambda _: None)
    makehuman.convert(source, tmp_path / "out", lambda _: None)
    assert {e.name for e in pack.catalogue(tmp_path / "out").entries} >= {"tile", "old_darkskinned_female"}


def _break(folder, what):
    file = folder / "clothes/tile" / ("tile.obj" if what.startswith("obj") else "tile.mhclo")
    text = file.read_text()
    edits = {"line": ("   102 103", "   102 x"), "base": ("hm08", "other_mesh"), "far": ("\n107\n", "\n99999\n"), "count": ("\n107\n", "\n"),
             "scale": ("1.3980", "0"), "obj line": ("v 0 2 0", "v 0 two 0"), "obj index": ("f 5/5", "f 9/5"), "range": ("103 110", "103 110 -")}
    if what == "no obj":
        (folder / "clothes/tile/tile.obj").unlink()
    elif what == "picture":
        (folder / "clothes/tile/tile_diffuse.png").write_bytes(b"no")
    else:
        file.write_text(text.replace(*edits[what], 1))


@pytest.mark.parametrize("what, code", [("line", "option.mhclo"), ("base", "option.mhclo"), ("far", "option.mhclo"), ("count", "option.mhclo"),
                                        ("scale", "option.mhclo"), ("obj line", "option.obj"), ("obj index", "option.obj"),
                                        ("no obj", "option.missing"), ("picture", "option.picture"), ("range", "option.mhclo")])
def test_broken_garment_is_named_and_the_rest_converted(source, tmp_path, capsys, what, code):
    _break(source, what)
    assert makehuman.main(["--in", str(source), "--out", str(tmp_path / "out")]) == 3
    told = capsys.readouterr()
    assert code in told.err and "1 assets converted, 1 left out" in told.out


def test_missing_texture_and_coordinates_are_said(source, tmp_path):
    (source / "clothes/tile/tile_diffuse.png").unlink()
    text = (source / "clothes/tile/tile.obj").read_text()
    (source / "clothes/tile/tile.obj").write_text("\n".join(
        " ".join(w.split("/")[0] for w in line.split()) for line in text.splitlines() if not line.startswith("vt")) + "\n")
    said = []
    done, wrong = makehuman.convert(source, tmp_path / "out", said.append)
    assert done == 2 and not wrong and any("no texture coordinates" in s for s in said) and any("no diffuse texture" in s for s in said)


def test_empty_folder_is_an_error(tmp_path, capsys):
    assert makehuman.main(["--in", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "option.makehuman" in capsys.readouterr().err


@pytest.mark.parametrize("name, slot", [("punkduck_tube_top", "top"), ("camo_tee", "top"), ("winter_boots", "shoes"), ("shoes05", "shoes"),
                                        ("male_casualsuit01", "full"), ("black_mini_skirt", "bottom"), ("F_Beach_Dress_01", "dress"),
                                        ("fedora_cocked", "hat"), ("low_socks", "socks")])
def test_slots_are_read_from_names(name, slot):
    assert makehuman.slot_of("clothes", name, {"tags": [], "ref": np.array([[0, 0, 0]])}) == slot


def test_large_polygon_becomes_quads_and_a_triangle(tmp_path):
    (tmp_path / "a.obj").write_text("".join(f"v {np.cos(i)} {np.sin(i)} 0\n" for i in range(7)) + "f 1 2 3 4 5 6 7\n")
    mesh = obj.read(tmp_path / "a.obj")
    assert mesh.faces.tolist() == [[0, 1, 2, 3], [0, 3, 4, 5], [0, 5, 6, -1]] and mesh.cut == 1
    with pytest.raises(OptionError):
        obj.read(tmp_path / "none.obj")
