"""Samples on disk: what is read is what was written, to the stated precision."""

from __future__ import annotations

import numpy as np
import torch

from train.people.shards import Shards, write_shard


def _fields(n: int, size: int = 8) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(3)
    normal = torch.nn.functional.normalize(torch.randn(n, 3, size, size, generator=g), dim=1)
    depth = 3 + torch.rand(n, size, size, generator=g)
    depth[:, :2] = 0
    joints = torch.zeros(n, 24, 3)
    joints[:, 0, 2] = torch.linspace(3.2, 3.4, n)
    return {"image": torch.rand(n, 3, size, size, generator=g), "mask": depth > 0, "depth_front": depth, "normal_front": normal, "joints": joints,
            "part_front": torch.randint(0, 24, (n, size, size), generator=g).to(torch.uint8)}


def test_what_is_read_is_what_was_written(tmp_path):
    fields = _fields(5)
    write_shard(tmp_path / "000000000", [10, 11, 12, 13, 14], fields)
    got = Shards(tmp_path, ("image", "mask", "depth_front", "normal_front", "part_front")).batch([3, 0])
    for name, error in (("image", 0.5 / 255 + 1e-6), ("depth_front", 0.5e-4 + 1e-6), ("normal_front", 0.5 / 127 + 1e-6)):
        assert (got[name] - fields[name][[3, 0]]).abs().max() <= error, name
    assert torch.equal(got["mask"], fields["mask"][[3, 0]]) and torch.equal(got["part_front"], fields["part_front"][[3, 0]])
    assert (got["depth_front"] == 0).sum() == (fields["depth_front"][[3, 0]] == 0).sum() > 0
    assert torch.allclose(got["pelvis"], fields["joints"][[3, 0], 0, 2])


def test_a_half_written_shard_is_not_read(tmp_path):
    write_shard(tmp_path / "000000000", [0, 1], _fields(2))
    write_shard(tmp_path / "000000032", [32, 33], _fields(2))
    (tmp_path / "000000032" / "seeds.npy").unlink()
    shards = Shards(tmp_path, ("image",))
    assert len(shards) == 2
    np.save(tmp_path / "000000032" / "seeds.npy", np.array([32, 33]))
    assert shards.refresh() == 4


def test_the_fitted_body_is_kept_from_its_own_pelvis(tmp_path):
    """A guessed lens may put it metres away from where the person is."""
    fields = _fields(2)
    fields["body_joints"] = fields["joints"] + 6
    fields["body_depth_front"] = torch.where(fields["depth_front"] > 0, fields["depth_front"] + 6, 0)
    fields["visible"] = torch.linspace(0, 1, 128).view(2, 8, 8)
    write_shard(tmp_path / "000000000", [0, 1], fields)
    got = Shards(tmp_path, ("body_depth_front", "visible")).batch([1])
    assert (got["body_depth_front"] - fields["body_depth_front"][1:]).abs().max() < 1e-4
    assert (got["visible"] - fields["visible"][1:]).abs().max() < 0.5 / 255 + 1e-6
