"""A large sample made small is the small sample: against the same sphere drawn small, exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from train.people.shards import write_shard
from train.two_k.data import FIELDS
from train.two_k.shrink import SAME_SURFACE_M, halved
from train.two_k.sources import Disk, folder_of
from tests.neural.test_train_two_k_data import FOCAL, SIDE, sample, sphere


def large() -> dict[str, torch.Tensor]:
    """The sample of the other tests as a camera with twice the pixels sees it."""
    out, small = sample(), sample()
    for prefix, given in (("", sphere(side=2 * SIDE, focal=2 * FOCAL, centre=(60.0, 70.0))), ("body_", sphere(0.2, -0.12, 1.9, 0.45, 2 * SIDE, 120.0, (60.0, 70.0)))):
        out |= {f"{prefix}{k}": v for k, v in given.items()}
    repeat = lambda t: t.repeat_interleave(2, -1).repeat_interleave(2, -2)
    out |= {k: repeat(small[k]) for k in ("image", "visible", "mask_seen", "body_part_front", "body_part_back")}
    return out | {k: 2 * small[k] for k in ("centre", "border", "landmarks_seen", "assumed_focal")}


def test_a_halved_sphere_is_the_small_sphere():
    got, want = halved(large()), sample()
    assert set(got) == set(FIELDS)
    for name in FIELDS:
        assert got[name].shape == want[name].shape and got[name].dtype == want[name].dtype, name
    for side in ("front", "back"):
        both = (got[f"depth_{side}"] > 0) & (want[f"depth_{side}"] > 0)
        assert both.sum() > 0.97 * ((got[f"depth_{side}"] > 0) | (want[f"depth_{side}"] > 0)).sum()
        core = torch.nn.functional.avg_pool2d(both.float(), 5, 1, 2) > 0.999             # slopes are finite there
        assert (got[f"depth_{side}"] - want[f"depth_{side}"])[core].abs().max() < 0.01
        cosine = (got[f"normal_{side}"] * want[f"normal_{side}"]).sum(1)
        assert cosine[core].min() > 0.999
    for name in ("image", "mask_seen", "centre", "border", "landmarks_seen", "assumed_focal", "metres", "body_joints"):
        assert torch.allclose(got[name].float(), want[name].float()), name
    assert ((got["body_part_front"] > 0) == (want["body_part_front"] > 0)).float().mean() > 0.98


def test_nothing_floats_between_two_surfaces():
    given = large()
    given["depth_front"][:] = 3.0
    given["depth_front"][:, ::2] = 2.0
    given["depth_back"][:] = given["depth_front"]
    out = halved(given)
    assert (out["depth_front"] == 2).all() and (out["depth_back"] == 3).all()
    given["depth_front"][:, ::2] = 3.0 + SAME_SURFACE_M / 2
    assert torch.allclose(halved(given)["depth_front"], torch.tensor(3.0 + SAME_SURFACE_M / 4))


def test_a_field_that_is_not_known_is_refused():
    with pytest.raises(KeyError):
        halved({"albedo": torch.zeros(1, 3, 4, 4)})


def test_a_folder_serves_smaller_canvases(tmp_path):
    given = large()
    write_shard(folder_of(tmp_path, "train", 2 * SIDE) / "000000000", [0], given)
    source = Disk(tmp_path)
    small, full = (source.draw(side, 1, np.random.default_rng(0)) for side in (SIDE, 2 * SIDE))
    assert small["image"].shape[-1] == SIDE and full["image"].shape[-1] == 2 * SIDE
    assert torch.allclose(small["centre"], full["centre"] / 2)
    with pytest.raises(ValueError):
        source.draw(4 * SIDE, 1, np.random.default_rng(0))
    write_shard(folder_of(tmp_path, "train", SIDE) / "000000001", [1], {**halved(given), "image": torch.zeros_like(small["image"])})
    both = Disk(tmp_path).draw(SIDE, 64, np.random.default_rng(0))["image"].mean((1, 2, 3))
    assert 16 < int((both == 0).sum()) < 48 and torch.allclose(both[both > 0], small["image"].mean(), atol=1e-5)   # its own and larger ones
