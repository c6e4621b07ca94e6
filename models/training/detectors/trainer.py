"""One training loop for every detector that comes after the two shipped ones.

A task brings a net, batches and a validation figure; the loop brings seeds, a warm-up and cosine schedule, clipping, mixed precision on CUDA,
early stopping, checkpoints, resuming and a log. On one kind of processor the same configuration gives the same bytes, resumed or not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Config:
    """Everything that decides what comes out, `task` included: its hash names the run and guards a resume."""

    seed: int
    steps: int
    rate: float = 2e-3
    warmup: float = 0.1
    weight_decay: float = 1e-3
    clip: float = 2.0
    evaluate_every: int = 100
    patience: int = 5
    threads: int = 2
    mixed_precision: bool = True
    task: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.evaluate_every < 1 or self.patience < 1 or not 0 <= self.warmup < 1:
            raise ValueError(f"steps, evaluate_every and patience are at least 1 and warmup is in 0..1, not {self}")

    @property
    def hash(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def for_debug(self) -> "Config":
        """A few steps with two evaluations, to see that everything works."""
        return replace(self, steps=6, evaluate_every=3)


@dataclass(frozen=True)
class Task:
    """What is trained. `batch(step, rng)` makes the inputs of a step, `loss(net, batch)` a scalar, `validate(net)` figures of held-out files.

    `watched` names the figure that early stopping and the best checkpoint follow; larger is better.
    """

    net: nn.Module
    batch: Callable[[int, np.random.Generator], Batch]
    loss: Callable[[nn.Module, Batch], torch.Tensor]
    validate: Callable[[nn.Module], dict[str, float]]
    watched: str


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its best figures and the step that they are of, the last step, and whether it stopped early."""

    best_step: int
    best: dict[str, float]
    last_step: int
    stopped_early: bool


class ResumeError(RuntimeError):
    """A checkpoint that does not belong to this run; the message says what differs."""


def rate_at(step: int, config: Config) -> float:
    """Of step 1..steps: rises evenly over the warm-up, then falls along half a cosine, to nothing after the last step."""
    warm = max(1, round(config.steps * config.warmup))
    if step <= warm:
        return config.rate * step / warm
    return config.rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / (config.steps - warm + 1)))


def seeded(config: Config, device: torch.device) -> None:
    random.seed(config.seed)
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    # cuBLAS is deterministic only with a workspace of fixed size, and reads this when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")


def device_of(wanted: str = "auto") -> torch.device:
    """ValueError where CUDA is asked for and not there."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here; leave it out or name cpu")
    return torch.device(wanted)


def train(task: Task, config: Config, folder: Path, device: torch.device | None = None, resume: bool = False, stop_at: int | None = None) -> Outcome:
    """Trains until the steps are done or `watched` has not risen for `patience` evaluations, and leaves the best weights in the net.

    Writes `last.pt`, `best.pt` and `log.jsonl` into the folder. With `resume` it goes on from `last.pt`: ResumeError where there is none or it is of
    another configuration. `stop_at` ends after that step as if the machine had gone away, for tests. ValueError when a loss is not finite.
    """
    device = device or device_of()
    folder.mkdir(parents=True, exist_ok=True)
    seeded(config, device)
    net = task.net.to(device)
    optimiser = torch.optim.AdamW(net.parameters(), config.rate, weight_decay=config.weight_decay)
    mixed = config.mixed_precision and device.type == "cuda"
    scaler = torch.cuda.amp.GradScaler(enabled=mixed)
    progress = Progress(0, 0, {}, 0)
    if resume:
        progress = restored(folder / "last.pt", config, net, optimiser, scaler, device)
    with Log(folder / "log.jsonl", config, resume) as log:
        log.write("resumed" if resume else "started", step=progress.step, device=device.type, parameters=sum(p.numel() for p in net.parameters()), config=asdict(config))
        losses: list[float] = []
        for step in range(progress.step + 1, config.steps + 1):
            if progress.stale >= config.patience:
                break
            losses.append(one_step(task, net, optimiser, scaler, config, step, device, mixed))
            progress = replace(progress, step=step)
            if step % config.evaluate_every == 0 or step == config.steps:
                progress = evaluated(task, net, progress)
                log.write("evaluated", step=step, loss=float(np.mean(losses)), rate=rate_at(step, config), **{f"validation {name}": value for name, value in progress.latest.items()})
                losses = []
                if progress.best_step == step:
                    save(folder / "best.pt", config, progress, net)
            if step % config.evaluate_every == 0 or step in (config.steps, stop_at):
                save(folder / "last.pt", config, progress, net, optimiser, scaler)
            if step == stop_at:
                break
        stopped = progress.stale >= config.patience and progress.step < config.steps
        log.write("ended", step=progress.step, best_step=progress.best_step, best=progress.best, stopped_early=stopped)
    best = folder / "best.pt"
    if progress.best_step:
        net.load_state_dict(torch.load(best, map_location=device)["net"])
    net.eval()
    return Outcome(progress.best_step, progress.best, progress.step, stopped)


@dataclass(frozen=True)
class Progress:
    step: int
    best_step: int
    best: dict[str, float]
    stale: int
    latest: dict[str, float] = field(default_factory=dict)


def one_step(task: Task, net: nn.Module, optimiser: torch.optim.Optimizer, scaler: torch.cuda.amp.GradScaler, config: Config, step: int, device: torch.device, mixed: bool) -> float:
    """Each step has a generator of its own, so that a resumed run draws what the whole one drew."""
    torch.manual_seed(config.seed * 1_000_003 + step)
    batch = {name: tensor.to(device) for name, tensor in task.batch(step, np.random.default_rng([config.seed, step])).items()}
    for group in optimiser.param_groups:
        group["lr"] = rate_at(step, config)
    net.train()
    with torch.autocast(device.type, enabled=mixed) if mixed else contextlib.nullcontext():
        loss = task.loss(net, batch)
    if not torch.isfinite(loss):
        raise ValueError(f"the loss of step {step} is {float(loss)}: lower the rate, or look at the data")
    optimiser.zero_grad()
    scaler.scale(loss).backward()
    scaler.unscale_(optimiser)
    nn.utils.clip_grad_norm_(net.parameters(), config.clip)
    scaler.step(optimiser)
    scaler.update()
    return float(loss)


def evaluated(task: Task, net: nn.Module, progress: Progress) -> Progress:
    """A figure that is nan is no progress."""
    net.eval()
    with torch.no_grad():
        found = task.validate(net)
    if task.watched not in found:
        raise ValueError(f"validation gives {', '.join(found)}, not {task.watched}")
    best = progress.best.get(task.watched, -math.inf)
    if found[task.watched] > best:
        return replace(progress, best_step=progress.step, best=found, stale=0, latest=found)
    return replace(progress, stale=progress.stale + 1, latest=found)


def save(path: Path, config: Config, progress: Progress, net: nn.Module, optimiser: torch.optim.Optimizer | None = None, scaler: torch.cuda.amp.GradScaler | None = None) -> None:
    """Whole or not there: written beside the path and renamed."""
    state = {"configHash": config.hash, "config": asdict(config), "progress": asdict(progress), "torch": torch.__version__, "net": net.state_dict()}
    if optimiser is not None and scaler is not None:
        state |= {"optimiser": optimiser.state_dict(), "scaler": scaler.state_dict()}
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def restored(path: Path, config: Config, net: nn.Module, optimiser: torch.optim.Optimizer, scaler: torch.cuda.amp.GradScaler, device: torch.device) -> Progress:
    if not path.exists():
        raise ResumeError(f"{path}: there is no checkpoint to go on from")
    state = torch.load(path, map_location=device)
    if state["configHash"] != config.hash:
        now = asdict(config)
        changed = sorted(name for name in now if now[name] != state["config"].get(name))
        raise ResumeError(f"{path}: is of a run with another {', '.join(changed)}; start anew, or ask for what it was made with")
    net.load_state_dict(state["net"])
    optimiser.load_state_dict(state["optimiser"])
    scaler.load_state_dict(state["scaler"])
    return Progress(**state["progress"])


class Log:
    """One JSON object a line: what happened, the run's hash, seconds since the process began with it."""

    def __init__(self, path: Path, config: Config, append: bool) -> None:
        self.stream = path.open("a" if append else "w", encoding="utf-8")
        self.hash, self.began = config.hash, time.monotonic()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def write(self, event: str, **values: object) -> None:
        self.stream.write(json.dumps({"event": event, "run": self.hash, "seconds": round(time.monotonic() - self.began, 2), **values}) + "\n")
        self.stream.flush()


def temporal_consistency(logits: torch.Tensor, tracks: torch.Tensor) -> torch.Tensor:
    """Mean squared step of the logits [N] between neighbouring frames of a track; `tracks` [N] names each frame's, frames in order of time.

    Zero where no track has two frames. A penalty beside the classification loss: a face does not turn real for one frame.
    """
    if logits.ndim != 1 or logits.shape != tracks.shape:
        raise ValueError(f"logits and tracks are lists of one length, not of shapes {tuple(logits.shape)} and {tuple(tracks.shape)}")
    together = tracks[1:] == tracks[:-1]
    if not bool(together.any()):
        return logits.sum() * 0
    return ((logits[1:] - logits[:-1])[together] ** 2).mean()


def lines_of(path: Path) -> Iterator[dict[str, object]]:
    """The events of a log."""
    with path.open(encoding="utf-8") as stream:
        yield from map(json.loads, stream)
