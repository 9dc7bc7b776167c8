"""`dask worker … --preload preload.py`: makes this checkout the package `likeness` in a Dask worker, and ends its stations with it."""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "addon"))
import headless_main  # noqa: E402

headless_main.load_package()
remote = importlib.import_module("likeness.farm.remote")


def dask_teardown(worker) -> None:
    """Called by Dask when the worker ends in good order; after a crash the stations notice by themselves."""
    remote.stop()
