"""Where a place on the mean body lies along its limbs: what sleeves are cut by and folds run along."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..types import Base
from .turn import unit


@dataclass(frozen=True)
class Coordinates:
    """arm (V,) 0 on the trunk … 1 on an arm; down_arm, down_leg (V,) metres from shoulder and hip towards hand and foot;
    along_arm (V, 3): (two across, one along) metres, a frame that follows the bent arm."""

    arm: Tensor
    down_arm: Tensor
    down_leg: Tensor
    along_arm: Tensor

    def rows(self, at: Tensor) -> "Coordinates":
        """Some of the places."""
        return Coordinates(self.arm[at], self.down_arm[at], self.down_leg[at], self.along_arm[at])


@dataclass(frozen=True)
class Limbs:
    """Mean rest places (3,) of the left limb's joints; the right is their mirror image. joints (J, 3) where cloth is squeezed, inner (J, 3)
    unit: towards the inside of the bend (0 = all round)."""

    shoulder: Tensor
    elbow: Tensor
    wrist: Tensor
    hip: Tensor
    joints: Tensor
    inner: Tensor

    @staticmethod
    def of(base: Base) -> "Limbs":
        at = lambda name: base.heads[base.bones.index(name)]
        shoulder, elbow, wrist, hip = at("upperarm01.L"), at("lowerarm01.L"), at("wrist.L"), at("upperleg01.L")
        knee, waist, chest = at("lowerleg01.L"), at("spine03"), at("spine01")
        bend = unit(unit(wrist - elbow) - unit(elbow - shoulder))
        m = shoulder.new_tensor([-1.0, 1, 1])
        zero, front, back = (shoulder.new_tensor(v) for v in ([0.0, 0, 0], [0.0, -1, 0], [0.0, 1, 0]))
        pit = 0.75 * shoulder + 0.25 * chest - shoulder.new_tensor([0, 0, 0.06])
        joints = [elbow, elbow * m, knee, knee * m, hip, hip * m, pit, pit * m, waist]
        inner = [bend, bend * m, back, back, front, front, zero, zero, front]
        return Limbs(shoulder, elbow, wrist, hip, torch.stack(joints), torch.stack(inner))

    def coordinates(self, neutral: Tensor) -> Coordinates:
        """neutral (V, 3) places on the mean body at rest."""
        p = torch.cat([neutral[:, :1].abs(), neutral[:, 1:]], 1)
        upper, fore = self.elbow - self.shoulder, self.wrist - self.elbow
        length = upper.norm()
        u, f = unit(upper), unit(fore)
        s = (p - self.shoulder) @ u
        t = (p - self.elbow) @ f
        bent = torch.sigmoid((s - length) / 0.025)
        down = (1 - bent) * s + bent * (length + t)
        hinge = unit(torch.linalg.cross(u, f))
        across_u, across_f = torch.linalg.cross(hinge, u), torch.linalg.cross(hinge, f)
        second = (1 - bent) * ((p - self.shoulder) @ across_u) + bent * ((p - self.elbow) @ across_f)
        first = (p - self.shoulder) @ hinge
        wide = 0.13 - 0.02 * torch.tanh(down / 0.2)                    # an arm's width and room for a sleeve
        off = torch.sqrt(first ** 2 + second ** 2)
        arm = torch.sigmoid((s - 0.02) / 0.015) * torch.sigmoid((wide - off) / 0.01) * (down < 0.9)
        leg = (self.hip[2] - p[:, 2]).clamp(min=0)
        return Coordinates(arm, down.clamp(min=0) * (arm > 0.01), leg * (arm < 0.5), torch.stack([first, second, down], 1))
