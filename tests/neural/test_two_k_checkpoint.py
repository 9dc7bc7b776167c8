"""Import of an official 2K2K checkpoint: on files that we write in its format, and on hostile and broken ones."""

import json
import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from neural import checkpoint
from neural.checkpoint.official import official, tensors_of
from neural.contract.errors import LikenessError, OptionError, WeightsError


def state(prefix: str = "", real: tuple[str, ...] = ()) -> OrderedDict:
    """All tensors of the network; those in `real` with numbers of their own, the rest one number seen through strides of 0 (a small file)."""
    out = OrderedDict()
    for k, (name, shape) in enumerate(official("2k2k").tensors().items()):
        if name.endswith("num_batches_tracked"):
            value = torch.tensor(k)
        elif name.startswith(real) if real else False:
            value = torch.randn(shape, generator=torch.Generator().manual_seed(k))
        else:
            value = torch.tensor([0.25]).expand(shape) if shape else torch.tensor(0.25)
        out[prefix + name] = value.abs() if name.endswith("running_var") else value
    return out


def released(tensors: OrderedDict) -> dict:
    """The dictionary that the release's save function writes (reference/2k2k/state_dict.json)."""
    return {"epoch": 7, "model": "Model_2K2K", "best_loss": torch.tensor(0.5), "model_state_dict": tensors,
            "optimizer_state_dict": {"state": {0: {"step": 3, "exp_avg": torch.ones(4)}}, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999)}]}}


def refused(file, code: str) -> LikenessError:
    with pytest.raises(LikenessError) as caught:
        tensors_of(file, "2k2k")
    assert caught.value.code == code, (caught.value.code, caught.value.message, caught.value.trace)
    return caught.value


def test_the_released_form_imports(tmp_path, prefix="module."):
    file, out = tmp_path / "ckpt_bg_mask.pth.tar", tmp_path / "mine"
    tensors = state(prefix, real=("refine.", "img2normal_face.Conv1"))
    transposed = prefix + "refine.merge1_1.conv.0.weight"
    tensors[transposed] = tensors[transposed].transpose(0, 1)          # strides that are not the usual ones
    torch.save(released(tensors), file)
    answer = checkpoint.run(file, "2k2k", out)
    assert answer["tensors"] == 1504 and answer["parameters"] == 77_655_212
    assert json.loads((out / "2k2k.json").read_text("utf-8"))["sha256"] == answer["sha256"]
    have = load_file(out / "2k2k.safetensors")
    for name, want in tensors.items():
        got = have[name.removeprefix("module.")]
        assert got.shape == tuple(want.shape) and got.dtype in (np.float32, np.int64)
        if name.startswith(prefix + "refine."):
            np.testing.assert_array_equal(got, want.numpy())


def test_a_plain_state_dict_in_halves_imports(tmp_path):
    file = tmp_path / "plain.pth"
    torch.save(OrderedDict((k, v.half() if v.is_floating_point() else v) for k, v in state(real=("refine.merge3",)).items()), file)
    have = tensors_of(file, "2k2k")
    assert have["refine.merge3_2.weight"].dtype == np.float32 and have["refine.merge3_2.weight"].std() > 0.5


class Evil:
    def __init__(self, call, *args):
        self.call = call, args

    def __reduce__(self):
        return self.call


def with_pickle(path, raw: bytes, *, compress=zipfile.ZIP_STORED, extra=()):
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("archive/data.pkl", raw, compress)
        for name, data in extra:
            z.writestr(name, data)
    return path


def test_hostile_files_are_refused_and_run_nothing(tmp_path):
    flag = tmp_path / "flag"
    for evil in (Evil(os.system, f"touch {flag}"), Evil(eval, f"open({str(flag)!r}, 'w')"), Evil(open, str(flag), "w"),
                 Evil(__import__, "os"), Evil(torch.load, str(flag))):
        file = with_pickle(tmp_path / "evil.pth", pickle.dumps({"model_state_dict": {"x": evil}}))
        assert "never need" in refused(file, "weights.unsafe-pickle").message
        torch.save({"model_state_dict": {"x": evil}}, file)
        refused(file, "weights.unsafe-pickle")
    assert not flag.exists()


def test_attributes_of_allowed_names_are_no_way_out(tmp_path):
    """GLOBAL with a dotted name could walk from an allowed module to anything."""
    for module, name in (("torch", "os.system"), ("collections", "abc.sys.modules"), ("torch._utils", "_rebuild_tensor_v2.__globals__")):
        raw = b"\x80\x04" + b"\x8c" + bytes([len(module)]) + module.encode() + b"\x8c" + bytes([len(name)]) + name.encode() + b"\x93."
        refused(with_pickle(tmp_path / "evil.pth", raw), "weights.unsafe-pickle")


def test_storages_cannot_name_other_files(tmp_path):
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return ("storage", torch.FloatStorage, "../../../etc/passwd", "cpu", 4) if obj == "here" else None
    import io
    out = io.BytesIO()
    Pickler(out, protocol=2).dump({"x": "here"})
    raw = out.getvalue().replace(b"torch.storage\nTypedStorage", b"torch\nFloatStorage")
    refused(with_pickle(tmp_path / "evil.pth", raw), "weights.unsafe-pickle")


def test_broken_files_are_said_to_be_broken(tmp_path):
    file = tmp_path / "c.pth"
    file.write_bytes(b"")
    refused(file, "weights.unreadable")
    file.write_bytes(b"not a checkpoint at all" * 99)
    refused(file, "weights.unreadable")
    torch.save({"x": torch.ones(3)}, file, _use_new_zipfile_serialization=False)
    refused(file, "weights.unreadable")
    torch.save(released(state()), file)
    whole = file.read_bytes()
    file.write_bytes(whole[:len(whole) // 2])
    refused(file, "weights.unreadable")
    refused(with_pickle(file, b"\x80\x02}q\x00"), "weights.unreadable")
    refused(with_pickle(file, pickle.dumps({}), compress=zipfile.ZIP_DEFLATED), "weights.unreadable")
    nested = b"\x80\x02" + b"(" * 100_000 + b"t" * 100_000 + b"."
    refused(with_pickle(file, nested), "weights.wrong-net")
    with zipfile.ZipFile(file, "w") as z:
        z.writestr("other/thing.txt", b"x")
    refused(file, "weights.unreadable")


def test_a_tensor_must_lie_within_its_bytes(tmp_path):
    file = tmp_path / "c.pth"
    torch.save({"x": torch.arange(4.0)}, file)
    with zipfile.ZipFile(file) as z:
        root = z.namelist()[0].split("/")[0]
        entries = {n: z.read(n) for n in z.namelist()}
    raw = entries[f"{root}/data.pkl"]
    short = raw.replace(b"K\x04\x85", b"K\x7f\x85")                        # shape (4,) -> (127,)
    assert short != raw
    with zipfile.ZipFile(file, "w") as z:
        for name, data in entries.items():
            z.writestr(name, short if name.endswith("data.pkl") else data)
    refused(file, "weights.unreadable")


def test_wrong_networks_are_named(tmp_path):
    file = tmp_path / "c.pth"
    first = OrderedDict((k, v) for k, v in state().items() if not k.startswith("refine."))
    torch.save(released(first), file)
    refused(file, "weights.first-phase")
    other = state()
    other["stranger.weight"] = other.pop("refine.merge3_2.weight")
    torch.save(released(other), file)
    assert "1 of 1504" in refused(file, "weights.wrong-net").message
    shaped = state()
    shaped["refine.merge3_2.weight"] = torch.zeros(3, 64, 3, 3)
    torch.save(released(shaped), file)
    refused(file, "weights.wrong-shape")
    bad = state()
    bad["refine.merge3_2.bias"] = torch.tensor([0.0, float("nan"), 1.0])
    torch.save(released(bad), file)
    refused(file, "weights.not-finite")
    torch.save([1, 2, 3], file)
    refused(file, "weights.wrong-net")
    with pytest.raises(OptionError):
        tensors_of(file, "3k3k")


def test_the_process_says_errors_and_leaves_nothing(tmp_path):
    file, out = tmp_path / "evil.pth", tmp_path / "mine"
    with_pickle(file, pickle.dumps(Evil(os.system, "true")))
    with pytest.raises(WeightsError) as caught:
        checkpoint.run(file, "2k2k", out)
    assert caught.value.code == "weights.unsafe-pickle" and not list(tmp_path.glob("mine/*"))
