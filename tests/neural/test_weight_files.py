"""Weights in one file and in several: what is written comes back, and a file that is missing, foreign or damaged is said to be."""

import hashlib
import json
import os
from dataclasses import dataclass

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from neural.contract.errors import WeightsError
from neural.models import Models
from neural.nets.blocks import file
from neural.nets.two_k import weights
from neural.nets.two_k.config import COMPACT
from neural.nets.two_k.net import TwoK
from tests.neural.test_stages_two_k import TINY


@dataclass(frozen=True)
class Config:
    width: int = 8


class Net(nn.Module):
    """Five tensors; in halves 128 + 16, 128 + 16 and 128 bytes."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        self.config = config
        n = config.width
        self.a, self.b, self.c = nn.Linear(n, n), nn.Linear(n, n), nn.Linear(n, n, bias=False)


def read(path) -> Net:
    def make(header):
        config = Config(**json.loads(header["config"]))
        return lambda: Net(config)
    return file.load(path, make)


def refused(path, code: str, word: str = "") -> None:
    with pytest.raises(WeightsError) as caught:
        read(path)
    assert caught.value.code == code and word in caught.value.message, (caught.value.code, caught.value.message)


def test_one_file_is_what_it_always_was(tmp_path):
    """Names, halves, config; nothing of sets: older readers take it."""
    net, path = Net(), tmp_path / "net.safetensors"
    assert file.save(net, path, kind="x") == [path] and list(tmp_path.iterdir()) == [path]
    with safe_open(str(path), "pt") as f:
        assert f.metadata() == {"kind": "x", "config": '{"width": 8}'}
    assert {k: v.dtype for k, v in load_file(path).items()} == dict.fromkeys(net.state_dict(), torch.float16)
    save_file({k: v.half() for k, v in net.state_dict().items()}, str(path), {"config": '{"width": 8}'})     # written without our help
    assert torch.equal(read(path).b.weight, net.b.weight.half().float())


@pytest.mark.parametrize("limit, sizes", [(416, [416]), (415, [288, 128]), (287, [272, 144]), (200, [144, 144, 128]), (100, [128, 16] * 2 + [128])])
def test_a_set_comes_back_as_it_went(tmp_path, limit, sizes):
    """Whole tensors in their order, each file as full as it may be; a tensor that is larger alone."""
    net, path = Net(), tmp_path / "net.safetensors"
    files = file.save(net, path, limit=limit)
    assert [f.name for f in files] == ["net.safetensors", *(f"net_{n}.safetensors" for n in range(2, len(sizes) + 1))]
    assert [sum(2 * v.numel() for v in load_file(f).values()) for f in files] == sizes
    back = read(path).state_dict()
    assert list(back) == list(net.state_dict()) and all(torch.equal(v.half().float(), back[k]) for k, v in net.state_dict().items())


def test_a_shorter_set_leaves_nothing_of_the_longer_one(tmp_path):
    path = tmp_path / "net.safetensors"
    (tmp_path / "net_big.safetensors").write_bytes(b"another network")
    assert len(file.save(Net(), path, limit=100)) == 5
    file.save(Net(), path, limit=415)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.safetensors", "net_2.safetensors", "net_big.safetensors"]
    read(path)


def test_a_set_that_is_not_whole_is_refused(tmp_path):
    path, other = tmp_path / "net.safetensors", tmp_path / "other.safetensors"
    _, second, third = file.save(Net(), path, limit=200)
    file.save(Net(), other, limit=200)
    good = second.read_bytes()
    for bad in (good[:-1], good[:-1] + bytes([good[-1] ^ 1]), third.read_bytes(), (tmp_path / "other_2.safetensors").read_bytes()):
        second.write_bytes(bad)
        refused(path, "weights.unreadable", "net_2.safetensors")
    second.unlink()
    refused(path, "weights.missing", "net_2.safetensors")
    second.write_bytes(good)
    read(path)
    refused(third, "weights.unreadable")                                            # no network of its own


def test_a_header_that_lies_about_its_set_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    first, second = file.save(Net(), path, limit=415)
    tensors, about = load_file(first), {"config": '{"width": 8}'}
    sha = hashlib.sha256(second.read_bytes()).hexdigest()
    for parts, code in (("[]", "weights.wrong-net"), (json.dumps([sha, sha]), "weights.missing"), ("7", "weights.unreadable"),
                        ("[7]", "weights.unreadable"), ("nonsense", "weights.unreadable")):
        save_file(tensors, str(first), {**about, "parts": parts})
        refused(path, code)
    save_file(tensors, str(first), {**about, "parts": json.dumps([sha])})
    read(path)


def test_compact_takes_two_files_that_a_repository_takes(tmp_path):
    path = tmp_path / "two_k.safetensors"
    net = TwoK(COMPACT)
    files = weights.save(net, path)
    assert len(files) == 2 and all(f.stat().st_size <= 15.2e6 for f in files) and sum(f.stat().st_size for f in files) < 24e6
    back = weights.load(path)
    assert back.config == COMPACT and torch.equal(back.refine.last.weight, net.refine.last.weight.half().float())


# -- what the pipeline takes -------------------------------------------------------------------------------------------

def test_every_listed_part_is_looked_at(tmp_path):
    files = weights.save(TwoK(TINY), tmp_path / "two_k.safetensors", limit=20_000)
    assert len(files) > 2
    rows = {f.stem: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}

    def listed(rows):
        (tmp_path / "weights.toml").write_text("".join(f'[{k}]\nsha256 = "{v}"\n' for k, v in rows.items()))
        return Models("cpu", tmp_path, tmp_path / "none").two_k("auto")

    assert listed(rows).file == "two_k.safetensors"
    for stem in rows:
        with pytest.raises(WeightsError) as caught:
            listed({**rows, stem: "0" * 64})
        assert caught.value.code == "weights.unreadable" and f"'{stem}.safetensors'" in caught.value.message
    with pytest.raises(WeightsError) as caught:
        listed({**rows, f"two_k_{len(files) + 1}": "0" * 64})
    assert caught.value.code == "weights.missing"


def test_a_checkpoint_that_is_imported_anew_is_loaded_anew(tmp_path):
    """The worker keeps models between photos."""
    path, models = tmp_path / "2k2k.safetensors", Models("cpu", tmp_path / "none", tmp_path)
    weights.save(TwoK(TINY), path)
    first = models.two_k("2k2k")
    assert models.two_k("2k2k") is first
    stamp = path.stat().st_mtime_ns
    weights.save(TwoK(TINY), path)
    os.utime(path, ns=(stamp, stamp + 1_000_000))                                     # a clock may be coarse
    again = models.two_k("2k2k")
    assert again is not first and not torch.equal(again.net.refine.last.weight, first.net.refine.last.weight)
