"""Work in a process of its own beside the training (drawing samples), and what is left of the cores for the training."""

from __future__ import annotations

import multiprocessing
import os
from typing import Callable

import torch


class Producer:
    """`work(*arguments)` in a fresh process; ends with this process at the latest. work: a module's function; arguments can be pickled."""

    def __init__(self, work: Callable, *arguments):
        self.process = multiprocessing.get_context("spawn").Process(target=work, args=arguments, daemon=True)
        self.process.start()

    @property
    def working(self) -> bool:
        return self.process.is_alive()

    def check(self) -> None:
        """RuntimeError when it died before it was done."""
        if not self.working and self.process.exitcode:
            raise RuntimeError(f"the process that draws samples ended with status {self.process.exitcode}")

    def stop(self) -> None:
        if self.process.is_alive():
            self.process.terminate()
        self.process.join()


def threads(busy: bool) -> None:
    """All cores for training, less one for a producer."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(cores - busy, 1))
