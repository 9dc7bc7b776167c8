"""The body over all frames: one shape, and poses that are fitted together (SMPLify's energy of every frame plus `temporal`).

1. Each frame alone, quickly (body/fit, landmarks only): where to start. Starts that jump away from their neighbours are replaced, and all
   are calmed (start.smoothed), since a solver is slow at taking jitter away.
2. The shape: frames that show the person best, spread over the sequence, fitted together with one shape.
3. Windows of frames, shape held, overlapping: energies of the frames, accelerations, standing feet. What was solved before stays, and the
   window looks ahead further than what is kept of it; so the length of a sequence costs time, not memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np
import torch

from ..body.evidence import Evidence
from ..body.fit import FitConfig, _head_box, fit
from ..body.model import BodyModel
from ..body.objective import Objective, Spreads
from ..body.prior import pose_prior
from ..body.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from ..body.silhouette import Silhouette
from ..body.torch_skinning import rotation_matrices
from .start import between, jumps, smoothed, smoothed_rotations
from .temporal import FEET, TemporalSpreads, chain, rounding, standing_feet, stiffness, temporal_terms


@dataclass(frozen=True)
class SequenceFitConfig:
    """start: the fit of single frames. window, overlap: frames solved together, and how many of them again with the next. shape_frames: frames
    that decide the shape. rounds, shape_rounds: L-BFGS steps with landmarks only, then with the silhouettes, matched anew each round.
    """

    start: FitConfig = FitConfig(rounds=(45,))
    window: int = 40
    overlap: int = 10
    shape_frames: int = 12
    shape_rounds: tuple[int, ...] = (25, 20)
    rounds: tuple[int, ...] = (25, 20)
    spreads: Spreads = Spreads()
    temporal: TemporalSpreads = TemporalSpreads()


@dataclass(frozen=True)
class SequenceFit:
    """N frames. poses (N, 24, 3) axis-angle, poses[:, 0] = camera from body; betas (B,); translations (N, 3) camera metres at scale 1;
    tilts (N,); errors (N,) mean miss of the landmarks over the person's size, NaN where not used; used (N,) bool: the frame's own evidence counts;
    contact (N, 2): the left and the right foot stand."""

    poses: np.ndarray
    betas: np.ndarray
    translations: np.ndarray
    tilts: np.ndarray
    errors: np.ndarray
    used: np.ndarray
    contact: np.ndarray


@dataclass
class _Frame:
    """One frame in work. x (76,): turn of the root 3, pose 23 x 3, translation 3, tilt 1; root (3, 3)."""

    x: torch.Tensor
    root: torch.Tensor
    objective: Objective | None = None
    outline: Silhouette | None = None

    def full(self, x: torch.Tensor, betas: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[:75], betas, x[75:]])


def fit_sequence(model: BodyModel, evidence: list[Callable[[], Evidence] | None], times: np.ndarray, score: np.ndarray,
                 config: SequenceFitConfig = SequenceFitConfig(), step: Callable[[float, float], None] = lambda done, of: None) -> SequenceFit:
    """evidence: one call a frame that gives it (None: the person is not seen); times (N,) seconds; score (N,) in [0, 1]: how well a frame shows
    the person. At least one frame must be seen. One torch thread, as body/fit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _fit(model, evidence, np.asarray(times, np.float64), np.asarray(score, np.float64), config, step)
    finally:
        torch.set_num_threads(threads)


def _fit(model, evidence, times, score, config, step):
    n, size = len(times), min(config.start.betas, model.betas_count)
    windows = list(_windows(n, config))
    of = n + 4 + sum(stop - start for start, stop, _ in windows)
    poses, moves, tilts, betas = _starts(model, evidence, size, config, lambda k: step(k, of))
    seen = np.array([e is not None for e in evidence])
    good = _mend(model, poses, moves, tilts, betas, seen, times)
    evidence = [e if ok else None for e, ok in zip(evidence, good)]     # what was found wrong says nothing: its neighbours do
    shape = _shape(model, evidence, poses, moves, tilts, betas, score, good, config, lambda k: step(n + k, of))
    _calm(model, poses, moves, tilts, shape, good, times, config)
    contact, errors = np.zeros((n, 2)), np.full(n, np.nan)
    done = n + 4
    for start, stop, keep in windows:
        frames = _frames(model, evidence, range(start, stop), poses, moves, tilts, config)
        before = range(max(start - 2, 0), start)
        fixed = _frames(model, evidence, before, poses, moves, tilts, None)
        mine = slice(before.start, stop)
        contact[mine] = _contact(model, shape, poses[mine], moves[mine], tilts[mine], times[mine], contact[mine], len(before))
        solver = _Window(model, frames, fixed, torch.as_tensor(times[mine]), torch.as_tensor(contact[mine]), torch.as_tensor(shape), config)
        for i, count in enumerate(config.rounds):
            step(done + (stop - start) * i / len(config.rounds), of)
            solver.solve(count, outlines=i > 0)
        done += stop - start
        for k, frame in zip(range(start, stop), frames):      # what lies beyond `keep` is a better start for the next window
            poses[k], moves[k], tilts[k] = _read(frame)
            if k < keep and frame.objective is not None:
                errors[k] = _miss(frame, torch.as_tensor(shape))
    return SequenceFit(poses, shape, moves, tilts, errors, good, contact)


def _windows(n: int, config: SequenceFitConfig):
    """(first, end, end of what is kept) of the windows of n frames."""
    start = 0
    while True:
        stop = min(start + config.window, n)
        keep = n if stop == n else stop - config.overlap
        yield start, stop, keep
        if stop == n:
            return
        start = keep


def _starts(model, evidence, size, config, step):
    """Every frame alone: poses (N, 24, 3), translations (N, 3), tilts (N,), betas (N, size); rows that are not seen are 0."""
    n = len(evidence)
    poses, moves, tilts, betas = np.zeros((n, 24, 3)), np.zeros((n, 3)), np.zeros(n), np.zeros((n, size))
    for k, give in enumerate(evidence):
        step(k)
        if give is not None:
            found = fit(model, give(), config.start)
            poses[k], moves[k], tilts[k], betas[k] = found.pose, found.translation, found.tilt, found.betas
    return poses, moves, tilts, betas


def _mend(model, poses, moves, tilts, betas, seen, times) -> np.ndarray:
    """Frames that jump away from their neighbours, or show nobody, start between those that do not. (N,) bool: those."""
    rows = np.nonzero(seen)[0]
    joints = np.stack([model.posed(poses[k], betas[k], 1.0, moves[k])[1] for k in rows])
    good = np.zeros(len(seen), bool)
    good[rows[~jumps(joints, times[rows])]] = True
    for k in np.nonzero(~good)[0]:
        poses[k], moves[k], tilts[k] = between(k, np.nonzero(good)[0], times, poses, moves, tilts)
    return good


def _calm(model, poses, moves, tilts, shape, good, times, config) -> None:
    """The starts without their jitter, in pieces as long as a window: so the solver only has to find what the energies disagree about."""
    s, rest = config.temporal, torch.as_tensor(model.shaped(shape)[1])
    stiff = stiffness(rest, s).numpy() * (1.7 * config.spreads.landmark) ** 2
    turn, place = np.maximum(stiff[:72:3] * 12, 1e-12), stiff[72]                 # a turn moves points by about 0.3 of itself
    for start, stop, _ in list(_windows(len(times), config)):
        rows = slice(start, stop)
        trust = good[rows].astype(np.float64)
        if trust.sum() < 2:
            continue
        turned = smoothed_rotations(matrix_from_axis_angle(poses[rows]), trust, times[rows], turn)
        poses[rows] = axis_angle_from_matrix(turned)
        moves[rows] = smoothed(moves[rows], trust, times[rows], place)
        tilts[rows] = smoothed(tilts[rows, None], trust, times[rows], place)[:, 0]


def _shape(model, evidence, poses, moves, tilts, betas, score, seen, config, step) -> np.ndarray:
    """(B,) one shape for all: the frames that show the person best, spread over the sequence, fitted together."""
    rows = np.nonzero(seen)[0]
    parts = [p for p in np.array_split(rows, config.shape_frames) if len(p)]
    chosen = [int(p[np.argmax(score[p])]) for p in parts]
    frames = _frames(model, evidence, chosen, poses, moves, tilts, config)
    middle = torch.as_tensor(np.median(betas[chosen], axis=0))
    solver = _Window(model, frames, [], torch.arange(len(chosen), dtype=torch.float64), torch.zeros(len(chosen), 2, dtype=torch.float64), middle, config,
                     shape=True)
    for i, count in enumerate(config.shape_rounds):
        step(2 * i)
        solver.solve(count, outlines=i > 0)
    return solver.betas.numpy().copy()


def _frames(model, evidence, rows, poses, moves, tilts, config) -> list[_Frame]:
    """config None: frames that stay as they are."""
    out = []
    for k in rows:
        x = np.concatenate([np.zeros(3), poses[k, 1:].ravel(), moves[k], [tilts[k]]])
        root = matrix_from_axis_angle(poses[k, 0])
        frame = _Frame(torch.as_tensor(x), torch.as_tensor(root))
        if config is not None and evidence[k] is not None:
            e = evidence[k]()
            hanging = tuple(e.seen(f"{side}_elbow") < 0.3 for side in ("left", "right"))
            prior = pose_prior((e.standing_leg("left"), e.standing_leg("right")), hanging)
            frame.objective = Objective(model, e, prior, root, config.start.betas, config.spreads, distance=float(moves[k, 2]))
            frame.outline = Silhouette(e.mask, e.inside, _head_box(e))
        out.append(frame)
    return out


def _read(frame: _Frame) -> tuple[np.ndarray, np.ndarray, float]:
    """Pose (24, 3), translation (3,), tilt."""
    turn = rotation_matrices(frame.x[None, :3])[0] @ frame.root
    pose = np.concatenate([axis_angle_from_matrix(turn.numpy())[None], frame.x[3:72].view(23, 3).numpy()])
    return pose, frame.x[72:75].numpy().copy(), float(frame.x[75])


def _miss(frame: _Frame, betas: torch.Tensor) -> float:
    """Mean distance of the landmarks that are seen, over the person's size."""
    o = frame.objective
    rows = np.nonzero(o.e.trust > 0.3)[0]
    with torch.no_grad():
        marks = o.posed(frame.full(frame.x, betas), False).marks[:33]
        return float((o.project(marks) - o.pixels).norm(dim=1)[rows].mean()) / o.size if len(rows) else float("nan")


def _contact(model, betas, poses, moves, tilts, times, known, fixed) -> np.ndarray:
    """(N, 2): which feet stand; the first `fixed` rows are known."""
    _, rest = model.shaped(betas)
    local = torch.as_tensor(matrix_from_axis_angle(poses))
    joints = chain(local, torch.as_tensor(rest))[1].numpy() + moves[:, None]
    tilt = float(np.median(tilts))                              # of all: one degree lifts a foot at 3 m by 5 cm
    up = np.repeat([[0.0, -np.cos(tilt), np.sin(tilt)]], len(tilts), 0)
    feet = np.stack([joints[:, list(f)].mean(1) for f in FEET], 1)
    out = standing_feet(feet, times, up)
    out[:fixed] = known[:fixed]
    return out


class _Window:
    """Frames solved together. shape: the betas are solved as well, and frames say nothing about each other."""

    def __init__(self, model: BodyModel, frames: list[_Frame], fixed: list[_Frame], times, contact, betas, config: SequenceFitConfig, shape: bool = False):
        self.frames, self.times, self.contact, self.betas, self.config, self.shape = frames, times, contact, betas, config, shape
        self.fixed = torch.stack([f.x for f in fixed]) if fixed else torch.zeros(0, 76, dtype=torch.float64)
        self.roots = torch.stack([f.root for f in fixed + frames])
        mean, directions = torch.as_tensor(model.joint_mean), torch.as_tensor(np.ascontiguousarray(model.joint_directions[..., :len(betas)]))
        self.rest = lambda b: mean + directions @ b                       # noqa: E731
        some = next((f.objective.steps() for f in frames if f.objective is not None), None)
        if some is None:
            some = torch.full((76 + len(betas),), 0.02, dtype=torch.float64)
        self.steps, self.beta_steps = torch.cat([some[:75], some[-1:]]), some[75:-1]
        self.prior = pose_prior()
        stiff = torch.zeros(76, dtype=torch.float64) if shape else stiffness(self.rest(betas), config.temporal)
        self.round = rounding(self.steps, stiff, times, len(frames))

    def solve(self, count: int, outlines: bool) -> None:
        if outlines:
            with torch.no_grad():
                for f in self.frames:
                    if f.objective is not None:
                        f.outline.match(f.objective.project(f.objective.posed(f.full(f.x, self.betas), True).skin))
        whole = lambda y: torch.einsum("pmk,kp->mp", self.round, y)      # noqa: E731
        y = torch.linalg.solve(self.round, torch.stack([f.x for f in self.frames]).T[..., None])[..., 0].T.contiguous().requires_grad_(True)
        b = (self.betas / self.beta_steps).requires_grad_(self.shape)
        solver = torch.optim.LBFGS([y, b] if self.shape else [y], lr=1.0, max_iter=count, max_eval=int(1.3 * count) + 4, history_size=20,
                                   tolerance_change=1e-7, line_search_fn="strong_wolfe")

        def closure():
            solver.zero_grad()
            total = 0.0
            x = whole(y.detach()).requires_grad_(True)
            for k, f in enumerate(self.frames):                 # one graph at a time: memory does not grow with the window
                loss = self._own(f, x[k], b * self.beta_steps, outlines)
                loss.backward()
                total += float(loss.detach())
            if not self.shape:
                loss = self._together(x)
                loss.backward()
                total += float(loss.detach())
            y.grad = torch.einsum("pmk,mp->kp", self.round, x.grad).contiguous()
            return torch.tensor(total, dtype=torch.float64)

        solver.step(closure)
        with torch.no_grad():
            for f, row in zip(self.frames, whole(y.detach())):
                f.x = row.clone()
            self.betas = (b * self.beta_steps).detach().clone()

    def _own(self, f: _Frame, x: torch.Tensor, betas: torch.Tensor, outlines: bool) -> torch.Tensor:
        if f.objective is None:                                 # not seen: only limits of joints
            return 0.1 * self.prior.energy(torch.cat([torch.zeros(1, 3, dtype=x.dtype), x[3:72].view(23, 3)]))
        terms = f.objective.terms(f.full(x, betas), f.outline if outlines else None)
        return sum(v for name, v in terms.items() if self.shape or name != "betas")

    def _together(self, x: torch.Tensor) -> torch.Tensor:
        every = torch.cat([self.fixed, x])
        n = len(every)
        small = every[:, :72].reshape(n * 24, 3)
        local = rotation_matrices(small).view(n, 24, 3, 3)
        local = torch.cat([(local[:, 0] @ self.roots)[:, None], local[:, 1:]], 1)
        world, joints = chain(local, self.rest(self.betas))
        joints = joints + every[:, None, 72:75]
        return sum(temporal_terms(world, joints, every[:, 75], self.times, self.contact, self.config.temporal).values())


