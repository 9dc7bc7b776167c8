"""`python -m neural.checkpoint FILE --net 2k2k --out FOLDER`: one JSON line on stdout says what was written, or the error. Exit status 0 or 3."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import traceback
from pathlib import Path

import numpy as np

from ..contract import checkpoints
from ..contract.errors import LikenessError, WeightsError, internal, output_error
from .official import NETS, tensors_of

MEMORY = 8 << 30


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m neural.checkpoint", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--net", required=True, help=f"one of: {', '.join(NETS)}")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER")
    args = parser.parse_args(argv)
    _limit()
    try:
        answer = write(args.file, args.net, args.out)
    except LikenessError as exc:
        answer = {**exc.to_json(), "trace": exc.trace}
    except MemoryError:
        answer = WeightsError("weights.unreadable", "The checkpoint is too large for this computer's memory.",
                              "Close other programs, or choose an unmodified checkpoint.").to_json()
    except Exception as exc:
        error = internal(exc, traceback.format_exc())
        answer = {**error.to_json(), "trace": error.trace}
    print(json.dumps(answer), flush=True)
    return 3 if "code" in answer else 0


def _limit() -> None:
    """Where the system offers it: no more than 8 GB of memory, no core dump."""
    try:
        import resource
    except ImportError:                                        # Windows
        return
    for kind, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0)):
        soft, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def write(file: Path, net: str, out: Path) -> dict:
    """Read, check and write `<out>/<net>.safetensors` and `<net>.json`. Nothing is left behind when something is wrong."""
    from safetensors.numpy import save_file
    if not file.is_file():
        raise WeightsError("weights.missing", f"There is no file '{file.name}'.", "Choose the checkpoint file.")
    tensors = tensors_of(file, net)
    target, part = checkpoints.weights_of(out, net), checkpoints.part_of(out, net)
    about = {"file": target.name, "net": net, "tensors": len(tensors), "parameters": int(sum(
        v.size for k, v in tensors.items() if not k.endswith(("running_mean", "running_var", "num_batches_tracked")))),
        "source": file.name, "sha256": _digest(file), "bytes": file.stat().st_size}
    try:
        out.mkdir(parents=True, exist_ok=True)
        save_file({k: np.array(v, order="C", copy=None) for k, v in tensors.items()}, str(part), {"net": net, "source_sha256": about["sha256"]})
        os.replace(part, target)
        checkpoints.about_of(out, net).write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    except OSError as exc:
        raise output_error(exc, out) from exc
    finally:
        part.unlink(missing_ok=True)
    return about


def _digest(file: Path) -> str:
    with open(file, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
