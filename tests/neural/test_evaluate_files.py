"""Readers and suites: what is read is what was written, and bad files say what is wrong."""

import json
import struct

import numpy as np
import pytest
from PIL import Image

from evaluate.errors import SuiteError
from evaluate.readers import read_mesh
from evaluate.readers.obj import triangulate
from evaluate.render.shade import holes_cut
from evaluate.suite import read_suite
from evaluate.toy import write_glb

BOX = np.array(np.meshgrid([-0.2, 0.2], [0, 1.7], [-0.1, 0.1], indexing="ij"), float).reshape(3, -1).T
BOX_FACES = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6],
                      [0, 6, 4], [1, 5, 7], [1, 7, 3]])


def volume(mesh):
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    return (a * np.cross(b, c)).sum() / 6


def code(call):
    with pytest.raises(SuiteError) as caught:
        call()
    assert caught.value.message.endswith(".") and caught.value.remedy.endswith(".")
    return caught.value.code


def edited(path, change):
    """Rewrite a .glb after changing its JSON."""
    data = path.read_bytes()
    size = struct.unpack_from("<I", data, 12)[0]
    scene = json.loads(data[20:20 + size])
    change(scene)
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + size:]
    path.write_bytes(struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON") + text + rest)
    return path


@pytest.fixture
def glb(tmp_path):
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4], image[4:] = (250, 10, 20), (10, 20, 250)              # upper half red (v > 0.5), lower half blue
    uv = np.stack([np.full(8, 0.5), np.where(BOX[:, 1] > 1, 0.9, 0.1)], 1)
    write_glb(tmp_path / "box.glb", BOX, BOX_FACES, None, uv, image)
    return tmp_path / "box.glb"


def test_glb_comes_back_as_written(glb):
    mesh = read_mesh(glb)
    assert np.allclose(mesh.vertices, BOX, atol=1e-6) and np.array_equal(mesh.faces, BOX_FACES)
    assert volume(mesh) == pytest.approx(0.4 * 1.7 * 0.2, rel=1e-5)
    top = mesh.vertices[mesh.faces][..., 1] > 1
    assert np.allclose(mesh.uv[..., 1][top], 0.9, atol=1e-6) and np.allclose(mesh.uv[..., 1][~top], 0.1, atol=1e-6)
    assert tuple(mesh.materials[0].image[0, 0]) == (250, 10, 20)
    assert mesh.textured and mesh.notes == ()


def test_glb_node_transforms_apply_in_order_and_mirrors_keep_the_outside_out(glb):
    def change(scene):
        scene["nodes"] = [{"children": [1], "rotation": [0, 0, 0.7071067811865476, 0.7071067811865476]},
                          {"mesh": 0, "scale": [-1, 1, 1], "translation": [0.3, 0, 0]}]
    mesh = read_mesh(edited(glb, change), up="-x", front="+z")
    assert np.allclose(np.sort(np.ptp(mesh.vertices, axis=0)), [0.2, 0.4, 1.7], atol=1e-6)
    assert np.ptp(mesh.vertices[:, 1]) == pytest.approx(1.7, abs=1e-6)
    assert volume(mesh) > 0 and mesh.notes == ()
    moved = BOX * (-1, 1, 1) + (0.3, 0, 0)
    moved = np.stack([-moved[:, 1], moved[:, 0], moved[:, 2]], 1)    # a quarter turn about z
    again = moved @ mesh.from_file[:3, :3].T + mesh.from_file[:3, 3]
    assert np.allclose(again, mesh.vertices, atol=1e-5)


def test_glb_skins_are_posed_by_their_nodes(glb):
    """All vertices on one joint that is raised by 0.5 m with an inverse bind matrix of -0.2 m: they rise by 0.3 m."""
    def change(scene):
        start = scene["buffers"][0]["byteLength"]
        extra = np.zeros((8, 4), "<u2").tobytes() + np.tile(np.float32([1, 0, 0, 0]), (8, 1)).tobytes()
        bind = np.eye(4, dtype="<f4")
        bind[1, 3] = -0.2
        extra += bind.T.tobytes()
        change.extra = extra
        for offset, length, kind, component, count in ((0, 64, "VEC4", 5123, 8), (64, 128, "VEC4", 5126, 8), (192, 64, "MAT4", 5126, 1)):
            scene["bufferViews"].append({"buffer": 0, "byteOffset": start + offset, "byteLength": length})
            scene["accessors"].append({"bufferView": len(scene["bufferViews"]) - 1, "componentType": component,
                                       "count": count, "type": kind})
        n = len(scene["accessors"])
        scene["meshes"][0]["primitives"][0]["attributes"] |= {"JOINTS_0": n - 3, "WEIGHTS_0": n - 2}
        scene["skins"] = [{"joints": [1], "inverseBindMatrices": n - 1}]
        scene["nodes"] = [{"mesh": 0, "skin": 0, "translation": [9, 9, 9]}, {"translation": [0, 0.5, 0]}]
        scene["scenes"] = [{"nodes": [0, 1]}]
        scene["buffers"][0]["byteLength"] += len(extra)
    edited(glb, change)
    glb.write_bytes(glb.read_bytes() + change.extra)
    data = bytearray(glb.read_bytes())
    struct.pack_into("<I", data, 8, len(data))
    size = struct.unpack_from("<I", data, 12)[0]
    struct.pack_into("<I", data, 20 + size, len(data) - 28 - size)
    glb.write_bytes(bytes(data))
    mesh = read_mesh(glb)
    back = (mesh.vertices - mesh.from_file[:3, 3]) @ mesh.from_file[:3, :3]
    assert np.allclose(back, BOX + (0, 0.3, 0), atol=1e-6)


@pytest.mark.parametrize("change, expected", [
    (lambda s: s.update(extensionsRequired=["KHR_draco_mesh_compression"]), "suite.mesh-extension"),
    (lambda s: s["accessors"][0].update(count=10_000), "suite.mesh-damaged"),
    (lambda s: s["buffers"][0].update(uri="other.bin"), "suite.mesh-external"),
    (lambda s: s["images"][0].update(uri="skin.png") or s["images"][0].pop("bufferView"), "suite.mesh-external"),
    (lambda s: s["images"][0].update(bufferView=0), "suite.mesh-texture"),
    (lambda s: s["scenes"][0].update(nodes=[]), "suite.mesh-empty"),
])
def test_bad_glb_says_what_is_wrong(glb, change, expected):
    assert code(lambda: read_mesh(edited(glb, change))) == expected


def test_truncated_foreign_and_missing_files(tmp_path, glb):
    glb.write_bytes(glb.read_bytes()[:200])
    assert code(lambda: read_mesh(glb)) == "suite.mesh-damaged"
    glb.write_bytes(b"not a mesh at all, really")
    assert code(lambda: read_mesh(glb)) == "suite.mesh-not-glb"
    assert code(lambda: read_mesh(tmp_path / "gone.glb")) == "suite.mesh-missing"
    (tmp_path / "a.fbx").write_bytes(b"x")
    assert code(lambda: read_mesh(tmp_path / "a.fbx")) == "suite.mesh-kind"


def test_inverted_normals_are_turned_and_said(tmp_path):
    write_glb(tmp_path / "in.glb", BOX, BOX_FACES[:, ::-1])
    mesh = read_mesh(tmp_path / "in.glb")
    assert volume(mesh) > 0 and any(n.startswith("inverted normals") for n in mesh.notes)
    assert any(n.startswith("no texture") for n in mesh.notes)


@pytest.mark.parametrize("factor, fits", [(1.0, True), (100.0, False), (0.001, False)])
def test_scale_must_be_that_of_a_person(tmp_path, factor, fits):
    write_glb(tmp_path / "s.glb", BOX * factor, BOX_FACES)
    if fits:
        assert len(read_mesh(tmp_path / "s.glb").faces) == 12
    else:
        assert code(lambda: read_mesh(tmp_path / "s.glb")) == "suite.mesh-scale"
        mesh = read_mesh(tmp_path / "s.glb", units=1 / factor)
        assert np.ptp(mesh.vertices[:, 1]) == pytest.approx(1.7, rel=1e-5)


def test_textured_glb_without_uvs_says_so(glb):
    mesh = read_mesh(edited(glb, lambda s: s["meshes"][0]["primitives"][0]["attributes"].pop("TEXCOORD_0")))
    assert any(n.startswith("no UVs") for n in mesh.notes)


OBJ = """mtllib a.mtl
v -0.2 0 -0.1
v 0.2 0 -0.1
v 0.2 0 0.1
v -0.2 0 0.1
v -0.2 1.7 -0.1
v 0.2 1.7 -0.1
v 0.2 1.7 0.1
v -0.2 1.7 0.1
vt 0.25 0.75
usemtl cloth
f 1/1 2/1 3/1 4/1
f 8/1 7/1 6/1 5/1
usemtl skin
f -8 -4 -3 -7
f 2 6 7 3
f 3 7 8 4
f 4 8 5 1
"""


def test_obj_with_quads_negative_indices_and_two_materials(tmp_path):
    (tmp_path / "a.obj").write_text(OBJ)
    Image.fromarray(np.full((4, 4, 3), 90, np.uint8)).save(tmp_path / "cloth.png")
    (tmp_path / "a.mtl").write_text("newmtl cloth\nmap_Kd cloth.png\nnewmtl skin\nKd 0.5 0.25 0.1\n")
    mesh = read_mesh(tmp_path / "a.obj")
    assert len(mesh.faces) == 12 and volume(mesh) == pytest.approx(0.136, rel=1e-6)
    assert [mesh.materials[m].name for m in mesh.material] == ["cloth"] * 4 + ["skin"] * 8
    assert mesh.materials[0].image.shape == (4, 4, 3) and mesh.materials[1].colour[:3] == (0.5, 0.25, 0.1)
    turned = read_mesh(tmp_path / "a.obj", up="+y", front="-z")
    assert np.allclose(np.sort(turned.vertices[:, 2]), np.sort(-mesh.vertices[:, 2]))


def test_obj_says_what_is_missing(tmp_path):
    (tmp_path / "a.obj").write_text(OBJ)
    assert any("library 'a.mtl' is missing" in n for n in read_mesh(tmp_path / "a.obj").notes)
    (tmp_path / "a.mtl").write_text("newmtl cloth\nmap_Kd gone.png\nnewmtl skin\nmap_Kd gone.png\n")
    assert any("gone.png" in n for n in read_mesh(tmp_path / "a.obj").notes)
    (tmp_path / "a.obj").write_text(OBJ + "f 1 2 99\n")
    assert code(lambda: read_mesh(tmp_path / "a.obj")) == "suite.mesh-damaged"
    (tmp_path / "a.obj").write_text("v 0 0 0\n")
    assert code(lambda: read_mesh(tmp_path / "a.obj")) == "suite.mesh-empty"


@pytest.mark.parametrize("turn", range(3))
def test_n_gons_are_cut_without_gaps_even_when_not_convex(turn):
    """A U-shaped polygon in each of the three planes, both orientations: areas add up and no triangle is turned."""
    flat = np.array([[0, 0], [3, 0], [3, 2], [2, 2], [2, 1], [1, 1], [1, 2], [0, 2]], float)
    for points in (flat, flat[::-1]):
        polygon = np.roll(np.concatenate([points, np.zeros((8, 1))], 1), turn, axis=1)
        triples = triangulate(polygon)
        tri = polygon[np.array(triples)]
        normal = np.cross(tri[:, 1] - tri[:, 0], tri[:, 2] - tri[:, 0])
        whole = np.cross(polygon, np.roll(polygon, -1, 0)).sum(0)
        assert len(triples) == 6 and np.linalg.norm(normal, axis=1).sum() / 2 == pytest.approx(5.0)
        assert (normal @ whole > 0).all()


def test_transparent_parts_are_cut_to_their_alpha(tmp_path):
    image = np.full((64, 64, 4), 255, np.uint8)
    image[:, 32:, 3] = 0                                             # the right half is a hole
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    write_glb(tmp_path / "card.glb", vertices, np.array([[0, 1, 2], [0, 2, 3]]), None, vertices[:, :2], image)
    edited(tmp_path / "card.glb", lambda s: s["materials"][0].update(alphaMode="BLEND"))
    mesh = read_mesh(tmp_path / "card.glb")
    cut = holes_cut(mesh, 0.04)
    corner = cut.vertices[cut.faces]
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1).sum() / 2
    assert area == pytest.approx(0.5, abs=0.02)
    assert corner.mean(1)[:, 0].max() - mesh.vertices[:, 0].min() < 0.53
    assert any(n.startswith("transparency") for n in cut.notes)


def index(folder, items):
    (folder / "index.json").write_text(json.dumps({"about": "a test", "items": items}))
    return folder


ITEM = {"name": "a", "file": "box.glb", "height_m": 1.7, "licence": "CC0-1.0", "kind": "toy"}


def test_a_suite_is_read_with_its_joints(tmp_path, glb):
    joints = {"pelvis": [0, 0.9, 0], "head": [0, 1.5, 0], "tail": [0, 0, 0]}
    suite = read_suite(index(tmp_path, [{**ITEM, "joints": joints}]))
    place, known = suite.items[0].joint_array()
    assert known.sum() == 2 and np.allclose(place[0], (0, 0.9, 0))
    assert len(suite.items[0].mesh().faces) == 12
    (tmp_path / "j.json").write_text(json.dumps(joints))
    assert read_suite(index(tmp_path, [{**ITEM, "joints": "j.json"}])).items[0].joints == joints


@pytest.mark.parametrize("items, expected", [
    ([], "suite.empty"), ([ITEM, ITEM], "suite.index"), ([{**ITEM, "height_m": 170}], "suite.index"),
    ([{k: v for k, v in ITEM.items() if k != "licence"}], "suite.index"), ([{**ITEM, "joints": "none.json"}], "suite.joints"),
])
def test_bad_indices_say_what_is_wrong(tmp_path, items, expected):
    assert code(lambda: read_suite(index(tmp_path, items))) == expected


def test_missing_and_broken_indices(tmp_path):
    assert code(lambda: read_suite(tmp_path)) == "suite.missing"
    (tmp_path / "index.json").write_text("{")
    assert code(lambda: read_suite(tmp_path)) == "suite.index"


@pytest.mark.parametrize("axes", [{"up": "+y", "front": "-y"}, {"up": "north"}, {"units": "furlong"}])
def test_wrong_axes_and_units(glb, axes):
    assert code(lambda: read_mesh(glb, **axes)) in ("suite.axes", "suite.units")


# -- bad input: each a coded error, or a sentence in the notes ------------------------------------------------------------
def test_numbers_that_are_none_are_an_error(tmp_path):
    broken = BOX.copy()
    broken[3, 1] = np.nan
    write_glb(tmp_path / "nan.glb", np.nan_to_num(broken), BOX_FACES)
    data = bytearray((tmp_path / "nan.glb").read_bytes())
    size = struct.unpack_from("<I", data, 12)[0]
    struct.pack_into("<f", data, 28 + size + 4 * (3 * 3 + 1), float("nan"))
    (tmp_path / "nan.glb").write_bytes(data)
    assert code(lambda: read_mesh(tmp_path / "nan.glb")) == "suite.mesh-damaged"
    (tmp_path / "nan.obj").write_text(OBJ.replace("v -0.2 1.7 0.1", "v nan 1.7 0.1"))
    assert code(lambda: read_mesh(tmp_path / "nan.obj")) == "suite.mesh-damaged"
    (tmp_path / "inf.obj").write_text(OBJ.replace("v -0.2 1.7 0.1", "v 1e400 1.7 0.1"))
    assert code(lambda: read_mesh(tmp_path / "inf.obj")) == "suite.mesh-damaged"


def test_an_unused_vertex_far_away_does_not_count(tmp_path):
    (tmp_path / "a.obj").write_text(OBJ.replace("v -0.2 1.7 0.1\n", "v -0.2 1.7 0.1\nv 900 900 900\n").replace("f -8 -4 -3 -7", "f 1 5 6 2"))
    assert np.ptp(read_mesh(tmp_path / "a.obj").vertices[np.unique(read_mesh(tmp_path / "a.obj").faces)], axis=0).max() == pytest.approx(1.7)


def test_faces_without_area_are_left_out_and_said(tmp_path):
    faces = np.concatenate([BOX_FACES, [[0, 0, 1], [2, 2, 2]]])
    write_glb(tmp_path / "flat.glb", BOX, faces)
    mesh = read_mesh(tmp_path / "flat.glb")
    assert len(mesh.faces) == 12 and any(n.startswith("degenerate faces: 2 ") for n in mesh.notes)
    write_glb(tmp_path / "none.glb", BOX, np.array([[0, 0, 1], [2, 2, 3]]))
    assert code(lambda: read_mesh(tmp_path / "none.glb")) == "suite.mesh-empty"


@pytest.mark.parametrize("factor, unit", [(100.0, "cm"), (1000.0, "mm"), (39.37, "in")])
def test_the_remedy_names_the_unit_that_fits_and_using_it_is_said(tmp_path, factor, unit):
    write_glb(tmp_path / "u.glb", BOX * factor, BOX_FACES)
    with pytest.raises(SuiteError) as caught:
        read_mesh(tmp_path / "u.glb")
    assert caught.value.code == "suite.mesh-scale" and f'"units": "{unit}"' in caught.value.remedy
    mesh = read_mesh(tmp_path / "u.glb", units=unit)
    assert np.ptp(mesh.vertices[:, 1]) == pytest.approx(1.7, rel=1e-3) and any(n.startswith("scale: ") for n in mesh.notes)


def test_several_materials_are_said(tmp_path):
    (tmp_path / "a.obj").write_text(OBJ)
    (tmp_path / "a.mtl").write_text("newmtl cloth\nKd 1 0 0\nnewmtl skin\nKd 0.5 0.25 0.1\n")
    assert any(n.startswith("several materials: 2") for n in read_mesh(tmp_path / "a.obj").notes)


def test_half_of_the_faces_turned_is_said(tmp_path):
    faces = BOX_FACES.copy()
    faces[4:8] = faces[4:8, ::-1]
    write_glb(tmp_path / "half.glb", BOX, faces)
    assert any(n.startswith(("mixed faces", "inverted normals")) for n in read_mesh(tmp_path / "half.glb").notes)


@pytest.mark.parametrize("change", [
    lambda s: s["meshes"][0]["primitives"][0]["attributes"].update(POSITION=99),
    lambda s: s.pop("accessors"),
    lambda s: s["nodes"][0].update(mesh=7),
    lambda s: s["nodes"][0].update(children=[5]),
    lambda s: s["accessors"][0].update(componentType=1),
    lambda s: s["nodes"][0].update(matrix=[1, 2, 3]),
    lambda s: s["meshes"][0]["primitives"][0].update(material=9),
    lambda s: s["textures"][0].update(source=4),
])
def test_parts_of_a_glb_that_do_not_fit_together_are_one_error(glb, change):
    assert code(lambda: read_mesh(edited(glb, change))) == "suite.mesh-damaged"


def test_body_parts_come_with_the_mesh_and_wrong_ones_are_refused(tmp_path):
    from train.people.glb import Look, write_glb as write
    part = np.arange(8) % 3
    write(tmp_path / "p.glb", "p", BOX, BOX, BOX[:, :2], [BOX_FACES[:6], BOX_FACES[6:]], [Look(), Look()], {}, part)
    mesh = read_mesh(tmp_path / "p.glb")
    back = {tuple(np.round(v - mesh.from_file[:3, 3], 4)): p for v, p in zip(mesh.vertices, mesh.part)}
    assert all(back[tuple(np.round(v, 4))] == p for v, p in zip(BOX, part))
    write(tmp_path / "q.glb", "q", BOX, BOX, BOX[:, :2], [BOX_FACES], [Look()], {}, part + 22)
    assert code(lambda: read_mesh(tmp_path / "q.glb")) == "suite.mesh-damaged"


@pytest.mark.parametrize("change, expected", [
    ({"name": ""}, "suite.index"), ({"file": 3}, "suite.index"), ({"file": "../box.glb"}, "suite.index"), ({"height_m": float("nan")}, "suite.index"),
    ({"height_m": "1.7"}, "suite.index"), ({"height_m": True}, "suite.index"), ({"yaw_deg": "left"}, "suite.index"), ({"up": "up"}, "suite.axes"),
    ({"units": "furlong"}, "suite.units"), ({"units": -1}, "suite.units"), ({"joints": [1, 2]}, "suite.joints"),
    ({"joints": {"pelvis": [0, 1]}}, "suite.joints"), ({"joints": {"pelvis": [0, 1, None]}}, "suite.joints"),
])
def test_every_field_of_an_item_is_checked(tmp_path, glb, change, expected):
    assert code(lambda: read_suite(index(tmp_path, [{**ITEM, **change}]))) == expected


def test_items_must_be_a_list_of_objects(tmp_path, glb):
    for items in ({"a": ITEM}, 3, ["box.glb"], [None]):
        assert code(lambda: read_suite(index(tmp_path, items))) == "suite.index"
