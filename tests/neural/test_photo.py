"""s01: every format and mode that photos come in, written here by code and compared by pixel."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from neural.context import Context
from neural.contract.errors import PhotoError
from neural.stages.s01_photo import PhotoConfig, read_photo

H, W = 48, 64


def picture() -> np.ndarray:
    """(48, 64, 3) uint8 smooth picture with four different corners."""
    y, x = np.mgrid[0:H, 0:W]
    return np.stack([40 + 3 * x, 40 + 4 * y, 200 - 2 * x], -1).clip(0, 255).astype(np.uint8)


def collecting() -> tuple[Context, list[str]]:
    said: list[str] = []
    return Context(warn=lambda code, message: said.append(code)), said


def error_code(path) -> str:
    with pytest.raises(PhotoError) as info:
        read_photo(path, Context())
    assert info.value.message.endswith(".") and info.value.remedy
    return info.value.code


@pytest.mark.parametrize("suffix, options, tolerance", [
    ("png", {}, 0), ("tiff", {}, 0), ("tiff", {"compression": "tiff_lzw"}, 0), ("bmp", {}, 0),
    ("webp", {"lossless": True}, 0), ("webp", {"quality": 95}, 8), ("jpg", {"quality": 97, "subsampling": 0}, 4),
    ("heic", {"quality": 98}, 8)])
def test_formats(tmp_path, suffix, options, tolerance):
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    path = tmp_path / f"one.{suffix}"
    Image.fromarray(picture()).save(path, **options)
    photo = read_photo(path, Context())
    assert photo.name == "one" and photo.alpha is None and photo.focal_px is None
    assert photo.rgb.dtype == np.uint8 and photo.rgb.shape == (H, W, 3)
    assert np.abs(photo.rgb.astype(int) - picture()).max() <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    upright = picture()
    # the stored picture is what the inverse of the EXIF transform gives
    stored = {1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
              5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, 1), 7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
              8: lambda a: np.rot90(a, -1)}[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    assert np.array_equal(read_photo(path, Context()).rgb, upright)


def linear_profile() -> bytes:
    """An ICC profile with sRGB's primaries and a gamma of 1, made from little-cms's sRGB by replacing its curves."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    for i in range(count):
        tag, offset, size = struct.unpack(">4sII", data[132 + 12 * i:144 + 12 * i])
        if tag in (b"rTRC", b"gTRC", b"bTRC"):
            assert size >= 12
            data[offset:offset + 12] = b"curv" + bytes(4) + struct.pack(">I", 0)
            data[136 + 12 * i + 4:144 + 12 * i] = struct.pack(">I", 12)
    return bytes(data)


def test_embedded_profile_is_applied(tmp_path):
    path = tmp_path / "linear.png"
    values = np.linspace(20, 250, W).astype(np.uint8)
    Image.fromarray(np.broadcast_to(values[None, :, None], (H, W, 3)).copy()).save(path, icc_profile=linear_profile())
    linear = values / 255.0
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    got = read_photo(path, Context()).rgb[0].astype(float)
    assert np.abs(got - expected[:, None]).max() <= 2
    assert np.abs(expected - values).max() > 40        # the test can tell applied from ignored


def test_broken_profile_warns_and_reads(tmp_path):
    path = tmp_path / "bad.png"
    Image.fromarray(picture()).save(path, icc_profile=b"this is no profile" * 20)
    context, said = collecting()
    assert np.array_equal(read_photo(path, context).rgb, picture())
    assert said == ["photo.profile"]


def test_sixteen_bit_grey(tmp_path):
    path = tmp_path / "deep.png"
    values = np.linspace(0, 65535, W).astype(np.uint16)
    Image.fromarray(np.broadcast_to(values, (H, W)).copy()).save(path)
    got = read_photo(path, Context()).rgb
    assert np.abs(got[3].astype(float) - (values / 257.0)[:, None]).max() <= 0.51


def test_dark_sixteen_bit_grey_is_not_stretched(tmp_path):
    path = tmp_path / "dark.tiff"
    Image.fromarray(np.full((H, W), 200, np.uint16)).save(path)
    assert read_photo(path, Context()).rgb.max() == 1


def png16(rgb: np.ndarray) -> bytes:
    """A 16-bit RGB PNG, which Pillow cannot write."""
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    h, w, _ = rgb.shape
    rows = b"".join(b"\0" + rgb[y].astype(">u2").tobytes() for y in range(h))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 16, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def test_sixteen_bit_colour(tmp_path):
    path = tmp_path / "deep_rgb.png"
    path.write_bytes(png16(picture().astype(np.uint16) * 257))
    assert np.abs(read_photo(path, Context()).rgb.astype(int) - picture()).max() <= 1


def test_alpha_is_kept_and_rubbish_under_it_hidden(tmp_path):
    rgba = np.dstack([picture(), np.full((H, W), 255, np.uint8)])
    rgba[:, :20, 3] = 0
    rgba[:, :20, :3] = np.random.default_rng(0).integers(0, 255, (H, 20, 3))
    rgba[:, 20:24, 3] = 128
    path = tmp_path / "cut.png"
    Image.fromarray(rgba).save(path)
    photo = read_photo(path, Context())
    assert np.array_equal(photo.alpha, rgba[..., 3])
    assert (photo.rgb[:, :20] == 128).all() and np.array_equal(photo.rgb[:, 24:], picture()[:, 24:])
    half = (picture()[:, 20:24].astype(float) * 128 + 128 * 127) / 255
    assert np.abs(photo.rgb[:, 20:24] - half).max() <= 1


def test_opaque_alpha_is_no_matte(tmp_path):
    path = tmp_path / "opaque.png"
    Image.fromarray(np.dstack([picture(), np.full((H, W), 255, np.uint8)])).save(path)
    photo = read_photo(path, Context())
    assert photo.alpha is None and np.array_equal(photo.rgb, picture())


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "CMYK"])
def test_other_modes(tmp_path, mode):
    image = Image.fromarray(picture()).convert(mode)
    path = tmp_path / f"{mode}.{'tiff' if mode == 'CMYK' else 'png'}"
    image.save(path)
    context, said = collecting()
    photo = read_photo(path, context)
    expected = np.asarray(image.convert("RGB"))
    assert np.abs(photo.rgb.astype(int) - expected).max() <= 1
    assert said == (["photo.cmyk"] if mode == "CMYK" else [])


def test_lab(tmp_path):
    lab = Image.new("LAB", (W, H), (int(53.2 * 2.55), 80 + 128, 67 + 128))       # CIE Lab of sRGB red; Pillow adds 128
    lab.save(tmp_path / "lab.tiff")
    assert np.abs(read_photo(tmp_path / "lab.tiff", Context()).rgb.astype(int) - [255, 0, 0]).max() < 12


def test_palette_with_a_transparent_colour(tmp_path):
    image = Image.new("P", (W, H), 1)
    image.putpalette([255, 0, 0, 0, 0, 255] + [0] * 762)
    image.paste(0, (0, 0, 16, H))
    path = tmp_path / "palette.png"
    image.save(path, transparency=0)
    photo = read_photo(path, Context())
    assert (photo.alpha[:, :16] == 0).all() and (photo.alpha[:, 16:] == 255).all()
    assert (photo.rgb[:, 16:] == [0, 0, 255]).all() and (photo.rgb[:, :16] == 128).all()


@pytest.mark.parametrize("suffix", ["tiff", "gif", "webp"])
def test_first_of_several_frames(tmp_path, suffix):
    first = Image.new("RGB", (W, H), (250, 10, 10))
    path = tmp_path / f"many.{suffix}"
    first.save(path, save_all=True, append_images=[Image.new("RGB", (W, H), (0, 0, 250))],
               **({"lossless": True} if suffix == "webp" else {}))
    context, said = collecting()
    assert np.abs(read_photo(path, context).rgb.astype(int) - [250, 10, 10]).max() <= 4
    assert said == ["photo.several-frames"]


@pytest.mark.parametrize("tags, expected", [
    ({0xA405: 50}, 50 / np.hypot(36, 24) * np.hypot(W, H)),                     # FocalLengthIn35mmFilm
    ({0xA405: 0}, None), ({0xA405: 5000}, None), ({}, None),
    ({0x920A: 8.0}, None),                                                      # FocalLength alone says nothing
    ({0x920A: 8.0, 0xA20E: 100.0, 0xA210: 3, 0xA002: 2 * W, 0xA003: 2 * H}, 8.0 * 10.0 / 2),   # 10 px/mm, halved since
    ({0xA405: 50, 0xA002: W, 0xA003: W}, None),                                 # cropped since it was taken
])
def test_focal_length(tmp_path, tags, expected):
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(tags)
    path = tmp_path / "lens.jpg"
    Image.fromarray(picture()).save(path, exif=exif)
    focal = read_photo(path, Context()).focal_px
    assert focal is None if expected is None else focal == pytest.approx(expected, rel=1e-6)


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header claims this size and whose data are nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    body = b"IDAT" + zlib.compress(b"\0" * 100)
    return (b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
            + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)))


def test_bad_files(tmp_path):
    def file(name: str, data: bytes):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    Image.fromarray(picture()).save(tmp_path / "good.jpg")
    good = (tmp_path / "good.jpg").read_bytes()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(tmp_path / "noise.png")
    noise = (tmp_path / "noise.png").read_bytes()
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    assert error_code(tmp_path / "nowhere.jpg") == "photo.missing"
    assert error_code(tmp_path) == "photo.not-an-image"
    assert error_code(file("text.jpg", b"Dear diary, this is no picture. " * 40)) == "photo.not-an-image"
    assert error_code(file("empty.jpg", b"")) == "photo.truncated"
    assert error_code(file("half.jpg", good[:len(good) // 2])) == "photo.truncated"
    assert error_code(file("head.jpg", good[:20])) == "photo.truncated"
    assert error_code(file("half.png", noise[:len(noise) // 2])) == "photo.truncated"
    assert error_code(tmp_path / "dot.png") == "photo.too-small"


@pytest.mark.parametrize("side", [(30_000, 30_000), (10_001, 10_000), (60_000, 60_000)])
def test_pixel_bomb_is_judged_by_its_header(tmp_path, side):
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(*side))
    assert error_code(path) == "photo.too-large"


def test_limit_is_a_choice(tmp_path):
    path = tmp_path / "one.png"
    Image.fromarray(picture()).save(path)
    with pytest.raises(PhotoError, match="pixels; the limit"):
        read_photo(path, Context(), PhotoConfig(max_pixels=W * H - 1))
    assert read_photo(path, Context(), PhotoConfig(max_pixels=W * H)).rgb.shape == (H, W, 3)


def test_no_permission(tmp_path, monkeypatch):
    path = tmp_path / "mine.png"
    Image.fromarray(picture()).save(path)
    if hasattr(os, "geteuid") and os.geteuid() == 0:      # root may read everything: make the call itself refuse
        def refuse(self):
            raise PermissionError(13, "Permission denied")
        monkeypatch.setattr(type(path), "read_bytes", refuse)
    else:
        path.chmod(0)
    assert error_code(path) == "photo.permission"
