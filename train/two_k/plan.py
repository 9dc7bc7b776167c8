"""What is trained in which order, for two cores without a GPU and for a GPU."""

from __future__ import annotations

from dataclasses import dataclass

from ..loop import LoopConfig
from .task import Phase


@dataclass(frozen=True)
class Plan:
    """net: name in neural.nets.two_k.config.CONFIGS. phases: in order. held: samples of validation at each canvas.

    Only where samples are drawn into a folder: first: samples of each canvas that must be there before a phase begins; fresh: new samples
    of each canvas for a minute of the whole training. average: moving average of the weights per step.
    """

    net: str
    device: str
    phases: tuple[Phase, ...]
    held: int
    average: float
    first: int = 256
    fresh: tuple[tuple[int, float], ...] = ()

    def loop(self, phase: Phase, minutes: float, half: bool, steps: int = 0) -> LoopConfig:
        return LoopConfig(minutes=minutes, steps=steps, rate=phase.rate, average=self.average, half_on_cpu=half, clip_each=True,
                          warm_steps=100 if self.device == "cpu" else 300, validate_s=min(300.0, max(minutes * 6, 15.0)), log_s=20.0)


PLANS = {
    "cpu": Plan("cpu", "cpu", (Phase("coarse", ((0.0, 256, 4),), 0.64, 1.2e-3), Phase("parts", ((0.0, 512, 2), (0.0, 512, 2), (0.0, 1024, 1)), 0.22, 1.5e-3),
                               Phase("depth", ((0.0, 512, 2), (0.0, 1024, 1)), 0.14, 1.5e-3)),
                held=32, average=0.998, fresh=((256, 12.0), (512, 10.0), (1024, 2.0))),
    "gpu": Plan("compact", "cuda", (Phase("coarse", ((0.0, 256, 96), (0.5, 512, 48)), 0.6, 1e-3), Phase("parts", ((0.0, 512, 48), (0.0, 1024, 12)), 0.25, 1e-3),
                                    Phase("depth", ((0.0, 512, 16), (0.5, 1024, 8)), 0.15, 1e-3)),
                held=64, average=0.999),
}
