"""What is trained in which order, for two cores without a GPU and for a GPU."""

from __future__ import annotations

from dataclasses import dataclass

from ..loop import LoopConfig
from .sources import Kind
from .task import Phase, Step


@dataclass(frozen=True)
class Plan:
    """net: name in neural.nets.refinetex.config.CONFIGS. phases: in order. held: people of validation.

    Only where samples are drawn into a folder: first: people of each kind that must be there before a phase begins; fresh: new people of
    each kind for a minute of the whole training. average: moving average of the weights per step.
    """

    net: str
    device: str
    phases: tuple[Phase, ...]
    held: int
    average: float
    first: int = 128
    fresh: tuple[tuple[Kind, float], ...] = ()

    def loop(self, phase: Phase, minutes: float, half: bool, steps: int = 0) -> LoopConfig:
        return LoopConfig(minutes=minutes, steps=steps, rate=phase.rate, average=self.average, half_on_cpu=half, clip_each=True,
                          warm_steps=100 if self.device == "cpu" else 300, validate_s=min(300.0, max(minutes * 6, 15.0)), log_s=20.0)


PAIRS, LARGE = Kind(256, 256), Kind(512, 512, 1)
WIDE, PORTRAITS, HUGE = Kind(512, 512), Kind(256, 0), Kind(1024, 1024, 1)

PLANS = {
    "cpu": Plan("cpu", "cpu", (Phase("identity", (Step(0.0, PAIRS, 256, 24),), 0.06, 1.5e-3),
                               Phase("texture", (Step(0.0, PAIRS, 256, 3),), 0.82, 1e-3),
                               Phase("fine", (Step(0.0, LARGE, 256, 2),), 0.12, 1e-3)),
                held=32, average=0.998, fresh=((PAIRS, 24.0), (LARGE, 4.0))),
    "gpu": Plan("compact", "cuda", (Phase("identity", (Step(0.0, PORTRAITS, 256, 48),), 0.10, 1.5e-3),
                                    Phase("texture", (Step(0.0, PAIRS, 256, 24), Step(0.5, WIDE, 512, 12)), 0.75, 1e-3),
                                    Phase("fine", (Step(0.0, HUGE, 512, 8),), 0.15, 1e-3)),
                held=48, average=0.999),
}
