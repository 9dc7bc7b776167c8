"""Files that a job leaves behind."""

import errno

import cv2
import numpy as np
import pytest

from neural.contract.errors import output_error
from neural.output import normal_picture, write_ply, write_png


def test_ply_reads_back(tmp_path):
    rng = np.random.default_rng(1)
    v, n = rng.normal(size=(2, 7, 3)).astype(np.float32)
    f = rng.integers(0, 7, (5, 3)).astype(np.int32)
    c = rng.integers(0, 255, (7, 3)).astype(np.uint8)
    write_ply(tmp_path / "m.ply", v, f, n, c)
    head, body = (tmp_path / "m.ply").read_bytes().split(b"end_header\n", 1)
    assert b"element vertex 7" in head and b"element face 5" in head
    rows = np.frombuffer(body[:7 * 27], np.dtype([("p", "<f4", 3), ("n", "<f4", 3), ("c", "u1", 3)]))
    np.testing.assert_array_equal(rows["p"], v)
    np.testing.assert_array_equal(rows["n"], n)
    np.testing.assert_array_equal(rows["c"], c)
    tri = np.frombuffer(body[7 * 27:], np.dtype([("k", "u1"), ("v", "<i4", 3)]))
    assert set(tri["k"]) == {3}
    np.testing.assert_array_equal(tri["v"], f)


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3), (5, 4, 4)])
def test_png_keeps_channel_order(tmp_path, shape):
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    write_png(tmp_path / "x.png", image)
    back = cv2.imread(str(tmp_path / "x.png"), cv2.IMREAD_UNCHANGED)
    if image.ndim == 3:
        back = back[..., [2, 1, 0, 3][:shape[2]]]
    np.testing.assert_array_equal(back, image)


def test_normal_picture_is_how_people_know_it():
    """Facing the viewer is blue, up is green, right is red, nothing is black."""
    normals = np.zeros((1, 4, 3), np.float32)
    normals[0, 0] = (0, 0, -1)
    normals[0, 1] = (0, -1, 0)
    normals[0, 2] = (1, 0, 0)
    shown = normal_picture(normals)[0].astype(int)
    assert shown[0, 2] == 255 and shown[1, 1] == 255 and shown[2, 0] == 255 and not shown[3].any()


@pytest.mark.parametrize("number, code", [(errno.ENOSPC, "output.disk-full"), (errno.EROFS, "output.read-only"),
                                          (errno.EACCES, "output.read-only"), (errno.EIO, "output.failed")])
def test_disk_errors_have_a_code_and_a_remedy(tmp_path, number, code):
    error = output_error(OSError(number, "x"), tmp_path)
    assert error.code == code and error.remedy and str(tmp_path) in error.message
