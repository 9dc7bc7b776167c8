"""A Dask cluster on this machine, and a batch that is sent to it."""

from __future__ import annotations

import importlib
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

distributed = pytest.importorskip("distributed", reason="the optional package 'distributed' (requirements/cluster.txt) is not installed")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "addon"))
import headless_main  # noqa: E402

headless_main.load_package()
client, dask_cluster = (importlib.import_module(f"likeness.farm.{n}") for n in ("client", "dask_cluster"))
batch = importlib.import_module("likeness.addon.batch")
job, journal, result = (importlib.import_module(f"likeness.neural.contract.{n}") for n in ("job", "journal", "result"))


class Farm:
    """Photos, an output folder, and the workers; `run` is a whole batch."""

    def __init__(self, folder: Path):
        self.folder, self.out, self.log = folder, folder / "out", folder / "ran.txt"
        self.said: list[str] = []
        self.cluster: distributed.LocalCluster | None = None

    def start(self, workers: int = 2) -> "Farm":
        os.environ.update(LIKENESS_STATION=f"'{sys.executable}' '{ROOT / 'tests/cluster/fake_station.py'}'", FAKE_LOG=str(self.log))
        self.cluster = distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0", preload=[str(ROOT / "farm/preload.py")],
                                                local_directory=str(self.folder / "dask"), silence_logs=50)
        return self

    def photos(self, *names: str) -> list[Path]:
        (self.folder / "photos").mkdir(exist_ok=True)
        made = [self.folder / "photos" / n for n in names]
        for photo in made:
            photo.write_bytes(photo.name.encode())
        return made

    def run(self, photos: list[Path], shared: bool = False, cancelled=lambda: False, address: str = "", **options) -> dict[str, tuple[str, str]]:
        """photo -> (state, code of the error)."""
        request = batch.Request(photos, self.out, job.JobOptions(preset="draft", **options))
        where = address or self.cluster.scheduler_address
        answers = client.ClusterBatch(request, lambda: dask_cluster.Cluster(where), shared, self.said.append, cancelled).run()
        return {a.photo.name: (a.state, a.error.code if a.error else "") for a in answers}

    def pids(self) -> list[int]:
        return [w.pid for w in self.cluster.workers.values() if w.pid]

    def check(self, names: list[str]) -> None:
        """Every result is there once and whole, and nothing else; the journal says so."""
        assert {p.name for p in self.out.iterdir()} == {*names, "journal.sqlite"}
        with journal.Journal(self.out) as book:
            rows, events = {r.id: r for r in book.rows()}, book.events()
        done = Counter(rows[photo].output for _, photo, state, _, _ in events if state == "done")
        assert done == {n: 1 for n in names} and {r.state for r in rows.values()} == {"done"}
        for row in rows.values():
            report = result.whole_report(self.out / row.output)
            assert report["job"] == row.stamp()
            assert (self.out / row.output / "mesh.ply").read_bytes() == b"mesh.ply" + Path(row.path).name.encode()

    def ran(self) -> Counter:
        return Counter(line.split()[0] for line in self.log.read_text().splitlines())


@pytest.fixture
def farm(tmp_path, monkeypatch):
    for name in ("LIKENESS_STATION", "FAKE_LOG", "FAKE_STEP_S", "FAKE_USELESS"):
        monkeypatch.setenv(name, "")                  # what a test sets ends with it
        monkeypatch.delenv(name)
    made = Farm(tmp_path)
    yield made
    if made.cluster is not None:
        made.cluster.close()
