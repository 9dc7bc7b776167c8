"""Small files that ask for much memory, read in a process that has 300 MB to spare:   python bombs.py FOLDER

Each has to be refused for what it is, not because memory ran out. Prints one line a file; exit status 1 when one got through.
"""

import io
import json
import resource
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from neural.body.model import BodyModel  # noqa: E402
from neural.checkpoint.unpickle import Checkpoint  # noqa: E402
from neural.context import Context  # noqa: E402
from neural.contract.errors import LikenessError  # noqa: E402
from neural.nets.two_k import weights  # noqa: E402
from neural.stages.s01_photo import read_photo  # noqa: E402


def npy(shape: tuple, data: bytes) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


def zipped(**entries: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name.replace("__", "/"), data)
    return stream.getvalue()


def claiming(archive: bytes, size: int) -> bytes:
    """A zip whose list says that its first entry has this size."""
    at = archive.index(b"PK\x01\x02") + 24
    return archive[:at] + struct.pack("<I", size) + archive[at + 4:]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(bytes(64 * 193))) + chunk(b"IEND", b"")


def safetensors(header: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header


MEMO = b"\x80\x04}r\xff\xff\xff\x0f."                 # "put the dictionary at place 268 435 455": 2 GB in C's reader
ARRAY = b"\x80\x02}X\x01\0\0\0acnumpy\nndarray\nJ\xff\xff\xff\x0f\x85\x85Rs."      # {"a": numpy.ndarray((268435455,))}
FILLED = b"\x80\x02}X\x01\0\0\0acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nJ\xff\xff\xff\x0f\x85X\x02\0\0\0f8\x87Rs."
FILES = {
    "shape.npz": (BodyModel.load, zipped(**{"v_template.npy": npy((200_000_000,), bytes(80))})),
    "large.npz": (BodyModel.load, claiming(zipped(**{"v_template.npy": npy((10,), bytes(80))}), 0xF0000000)),
    "memo.pkl": (BodyModel.load, MEMO),
    "array.pkl": (BodyModel.load, ARRAY),
    "filled.pkl": (BodyModel.load, FILLED),
    "memo.pt": (Checkpoint, zipped(a__data=b"", **{"m__data.pkl": MEMO})),
    "length.safetensors": (weights.load, safetensors(b"{}", 1 << 60)),
    "tensor.safetensors": (weights.load, safetensors(json.dumps({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}).encode())),
    "text.png": (lambda f: read_photo(f, Context()), png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(400_000_000), 1)))),
    "profile.png": (lambda f: read_photo(f, Context()), png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(400_000_000), 1)))),
}
READABLE = ("text.png", "profile.png")                # what is wrong with them is not the picture

if __name__ == "__main__":
    folder, bad = Path(sys.argv[1]), 0
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 300_000_000
    for name, (read, data) in FILES.items():
        file = folder / name
        file.write_bytes(data)
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        try:
            read(file)
            told, good = "read", name in READABLE
        except LikenessError as exc:
            told, good = f"{exc.code}: {exc.trace}", "MemoryError" not in exc.trace
        except BaseException as exc:                  # noqa: BLE001
            told, good = repr(exc), False
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        print(f"{'ok ' if good else 'BAD'} {name}: {told[:200]}")
        bad += not good
    sys.exit(bad > 0)
