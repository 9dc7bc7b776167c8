"""Mutated files against what reads them, in a process with limits:   python fuzz.py TARGET COUNT SEED FOLDER

The same seed gives the same files. Exit status 0 and one JSON line {tried, good, codes, peak_mb} when every file was read or
refused with a coded error. Else the file that did it lies in FOLDER as `culprit`, and the status is 1 (wrong exception), 2 (one file
took longer than 30 s), or that of the crash. Memory is limited to ROOM_MB above what the process needs to begin.
"""

from __future__ import annotations

import collections
import contextlib
import io
import json
import os
import random
import signal
import sys
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
ROOM_MB, PATIENCE_S = 1500, 30
NUMBERS = [b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\x80\0\0\0", b"\0\0\x40\0", b"\0\x40\0\0"]
WORDS = [b"null", b"{", b"}", b'"', b"[", b"[" * 3000, b"]", b"1e400", b"-1", b"9" * 40, b"NaN", b"\\u0000", b"../../", b"true", b"0"]


def mutants(seeds: list[bytes], count: int, rng: random.Random) -> Iterator[bytes]:
    """Mutated copies; of zip files also such whose checksums are right and one entry is not."""
    for _ in range(count):
        data = rng.choice(seeds)
        if data[:2] != b"PK" or rng.random() < 0.3:
            yield mutated(data, seeds, rng)
            continue
        stream = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(stream, "w") as target:
            chosen = rng.choice(source.namelist())
            for name in source.namelist():
                inner = source.read(name)
                target.writestr(name, mutated(inner, [inner], rng) if name == chosen and inner else inner)
        yield stream.getvalue()


def mutated(original: bytes, seeds: list[bytes], rng: random.Random) -> bytes:
    """One to eight changes: bytes, numbers, words; spans that are cut, doubled or moved from another seed."""
    data = bytearray(original)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = int(len(data) * rng.random() ** rng.choice((1, 3)))      # headers matter more
        how = rng.randrange(8)
        if how == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
        elif how == 1:
            data[at:at + 4] = rng.choice(NUMBERS)
        elif how == 2:
            data[at:at + rng.randint(0, 4)] = rng.choice(WORDS)
        elif how == 3:
            del data[at:at + rng.randint(1, 64)]
        elif how == 4:
            data[at:at] = data[at:at + rng.randint(1, 200)]
        elif how == 5:
            other = rng.choice(seeds)
            start = rng.randrange(len(other))
            data[at:at + 64] = other[start:start + rng.randint(1, 64)]
        elif how == 6:
            data[at:at + 8] = rng.randbytes(8)
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def image_seeds() -> list[bytes]:
    """Each format that is read, with colour profile, EXIF, matte, palette and 16 bits where it can have them."""
    import numpy as np
    from PIL import Image, ImageCms
    from pillow_heif import register_heif_opener
    register_heif_opener()
    rgb = (np.indices((40, 56)).sum(0)[..., None] * [3, 2, 1] % 256).astype(np.uint8)
    rgba = np.dstack([rgb, rgb[..., 0]])
    exif = Image.Exif()
    exif[0x0112], exif.get_ifd(0x8769)[0xA405] = 6, 28
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made = []
    for array, kinds in ((rgb, ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "HEIF", "AVIF")), (rgba, ("PNG", "WEBP", "TIFF")),
                         (rgb[..., 0].astype(np.uint16) * 200, ("PNG", "TIFF"))):
        for kind in kinds:
            for extra in ({}, {"exif": exif, "icc_profile": profile}):
                stream = io.BytesIO()
                with contextlib.suppress(KeyError, OSError, ValueError):      # a format that this Pillow cannot write
                    Image.fromarray(array).save(stream, kind, **extra)
                    made.append(stream.getvalue())
    return made


def image(path: Path) -> None:
    from neural.context import Context
    from neural.stages.s01_photo import read_photo
    photo = read_photo(path, Context())
    assert photo.rgb.dtype.name == "uint8" and photo.rgb.ndim == 3 and photo.rgb.size <= 3e8


def weights_seeds() -> list[bytes]:
    import torch
    from safetensors.torch import save
    from tests.neural.test_weight_files import Net
    tensors = {k: v.half() for k, v in Net().state_dict().items()}
    seeds = [save(tensors, {"config": '{"width": 8}'}), save(tensors, {"config": '{"width": 8}', "parts": "[]", "kind": "x"}), save(tensors)]
    return [*seeds, save({"a": torch.zeros(2, 2, dtype=torch.bfloat16), "b": torch.zeros(0)})]


def weights(path: Path) -> None:
    from tests.neural.test_weight_files import read
    read(path)


def shipped_seeds() -> list[bytes]:
    """Headers of real weights: 2K2K and RefineTex, small and with random numbers."""
    from neural.nets.refinetex.compact import Compact
    from neural.nets.refinetex.config import CompactConfig
    from neural.nets.refinetex.weights import save
    from tests.neural.test_weight_files import TINY, TwoK, weights as two_k
    folder = Path(sys.argv[4])
    return [files[0].read_bytes() for files in (two_k.save(TwoK(TINY), folder / "a.safetensors"), save(Compact(CompactConfig()), folder / "b.safetensors"))]


def shipped(path: Path) -> None:
    from neural.contract.errors import WeightsError
    from neural.nets.refinetex.weights import load
    from tests.neural.test_weight_files import weights as two_k
    try:
        two_k.load(path)
    except WeightsError:
        load(path)


def body_seeds() -> list[bytes]:
    """A body of 192 vertices around the true joints, in each form that is read."""
    import pickle

    import numpy as np
    from neural.body.model import BodyModel
    from neural.contract.joints import LANDMARKS, SMPL_PARENTS
    joints = BodyModel.load().joint_mean
    box = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * 0.04
    template = (joints[:, None] + box).reshape(-1, 3)
    own = np.repeat(np.eye(24), 8, axis=0)
    faces = np.concatenate([[[0, 1, 2], [3, 4, 5], [5, 6, 7], [0, 2, 7]] + np.array(8 * j) for j in range(24)])
    arrays = {"v_template": template, "shapedirs": np.ones((192, 3, 3)) * 0.01, "J_regressor": own.T / 8, "weights": own,
              "f": faces.astype(np.uint32), "kintree_table": np.array([SMPL_PARENTS, range(24)], np.int64), "posedirs": np.zeros((192, 3, 2)),
              "landmark_names": np.array(LANDMARKS), "landmark_index": np.arange(33)[:, None] * 5, "landmark_weight": np.ones((33, 1))}
    plain, packed = io.BytesIO(), io.BytesIO()
    np.savez(plain, **arrays)
    np.savez_compressed(packed, **arrays)
    return [plain.getvalue(), packed.getvalue(), *(pickle.dumps(arrays, protocol) for protocol in (0, 2, 5))]


def body(path: Path) -> None:
    from neural.body.model import BodyModel
    kind = path.with_suffix(".npz" if path.read_bytes()[:1] == b"P" else ".pkl")
    path.rename(kind)
    BodyModel.load(kind)


def checkpoint_seeds() -> list[bytes]:
    import torch
    made = []
    for data in ({"model_state_dict": {"a.weight": torch.ones(3, 4), "b": torch.zeros(2, dtype=torch.int64)}, "epoch": 3}, {"x": torch.ones(2).half()}):
        stream = io.BytesIO()
        torch.save(data, stream)
        made.append(stream.getvalue())
    return made


def checkpoint(path: Path) -> None:
    from neural.checkpoint.unpickle import Checkpoint, Lying
    file = Checkpoint(path)
    stack = [file.data]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack += value.values()
        elif isinstance(value, Lying):
            file.array(value)


def report_seeds() -> list[bytes]:
    from neural.contract.job import JobOptions
    from neural.contract.result import Report
    report = Report("a", JobOptions(), "cpu", ok=True).to_json() | {"job": {"run": "r", "photo_sha256": "00", "options_hash": "11"}}
    return [json.dumps(report, indent=1).encode(), json.dumps(report).encode()]


def report(path: Path) -> None:
    from neural.contract.job import JobOptions
    from neural.contract.result import whole_report
    folder = path.parent / "whole"
    folder.mkdir(exist_ok=True)
    for name in ("mesh.ply", "albedo.png", "whole.blend", "whole.glb"):
        (folder / name).write_text("x")
    path.rename(folder / "report.json")
    found = whole_report(folder)
    assert found is None or found["ok"] is True and isinstance(found["job"], dict)
    if found and isinstance(found.get("options"), dict):
        JobOptions.from_json(found["options"]).to_json()


TARGETS = {name: (globals()[f"{name}_seeds"], globals()[name]) for name in ("image", "weights", "shipped", "body", "checkpoint", "report")}


def main(target: str, count: int, seed: int, folder: Path) -> int:
    from neural.contract.errors import InternalError, LikenessError
    make, read = TARGETS[target]
    seeds = make()
    file = folder / "file"
    for data in seeds:                                    # the seeds themselves; also: all imports are done
        file.write_bytes(data)
        with contextlib.suppress(LikenessError):
            read(file)
    import resource

    from neural.worker_load import memory_mb
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM_MB * 1_000_000,) * 2)
    began, codes = memory_mb(), collections.Counter()

    def hangs(*_) -> None:
        traceback.print_stack()
        os._exit(2)

    signal.signal(signal.SIGALRM, hangs)
    for data in mutants(seeds, count, random.Random(seed)):
        (folder / "culprit").write_bytes(data)
        file.write_bytes(data)
        signal.alarm(PATIENCE_S)
        try:
            read(file)
            codes["good"] += 1
        except LikenessError as exc:
            if isinstance(exc, InternalError) or not (exc.message.endswith(".") and exc.remedy):
                raise
            codes[exc.code] += 1
        signal.alarm(0)
    (folder / "culprit").unlink()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"tried": count, "codes": codes, "began_mb": round(began), "peak_mb": round(peak)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
