"""The one training loop: data on the device, batched augmentation, resumable to the same curve after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from tqdm.auto import tqdm

from dlcore import optimization, parallel, runtime
from dlcore.config import unknown_choice

Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


@dataclass(frozen=True)
class TrainConfig:
    """How to train. Units: epochs, samples, learning rate per step of the mean loss.

    `schedule` "cosine" warms up linearly for the first 5 % of the steps and decays to zero; "constant" does
    neither. `stop_at_zero_error` ends after the first epoch whose training error, measured in evaluation mode on
    all training samples, is at most `target_error`. `drop_last` leaves out an epoch's last batch when it is smaller
    than the others, for losses that compare the samples of a batch. `precision` "auto" is bfloat16 where that is faster and the
    model is convolutional, else float32; the weights are float32 always.
    """

    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 0.1
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "cosine"
    stop_at_zero_error: bool = False
    target_error: float = 0.0
    drop_last: bool = False
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for kind, value, choices in (
            ("optimizer", self.optimizer, ("sgd", "adam", "adamw")),
            ("schedule", self.schedule, ("cosine", "constant")),
            ("precision", self.precision, ("auto", "float32", "bfloat16")),
        ):
            if value not in choices:
                raise unknown_choice(kind, value, choices)
        if self.epochs < 0 or self.batch_size < 1 or not self.learning_rate > 0:
            raise ValueError(f"epochs >= 0, batch_size >= 1 and learning_rate > 0 are needed, not {self}")


@dataclass
class Curves:
    """What a training run logged, one entry an epoch. `values` holds whatever `evaluate` returned.

    `train_loss` is the running mean over the epoch's batches, `train_error` (a fraction) is measured after the
    epoch in evaluation mode where it was asked for, else the running one.
    """

    train_loss: list[float] = field(default_factory=list)
    train_error: list[float] = field(default_factory=list)
    values: dict[str, list] = field(default_factory=dict)
    stopped: str = "running"
    resumed: int = 0
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return len(self.train_loss)


def cross_entropy(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the mean cross-entropy of a batch, in nats, and its number of errors."""
    logits = model(inputs)
    return functional.cross_entropy(logits.float(), targets), (logits.detach().argmax(1) != targets).sum()


def fit(
    model: nn.Module,
    data: tuple[torch.Tensor, torch.Tensor],
    config: TrainConfig,
    *,
    loss: Loss = cross_entropy,
    augment: Augment | None = None,
    evaluate: Callable[[nn.Module, int], dict[str, Any]] | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 30.0,
    device: str | torch.device = "auto",
    progress: bool = False,
    label: str = "",
) -> Curves:
    """Trains `model` in place and returns its curves.

    The data are moved to the device once. Each epoch's order, augmentation and dropout are drawn from
    (seed, epoch) alone, so a run that is killed and started again with the same `checkpoint` repeats the epochs
    after the last checkpoint and ends with the curve of an uninterrupted run.

    Several GPUs, or processes on CPUs, share a run through `torchrun --nproc-per-node 2 -m dlcore run STUDY name=value`,
    or in a script of your own inside `with dlcore.parallel.group():`. `batch_size` stays the size of the whole batch:
    every process draws the whole order and augmentation and takes its slice, BatchNorm and the losses that compare
    samples see the whole batch, DDP averages the gradients, so the result is that of one process up to rounding. (Dropout is
    drawn by each process; a loss of your own that compares samples calls `parallel.gather`.) `evaluate` is called on
    all; process 0 alone writes checkpoints and reports. All must reach the same file.

    Shapes: data = inputs (n, ...) float, targets (n,) int or anything that `loss` takes, first axis n.
    Args:
        loss: `loss(model, inputs, targets)` -> mean loss, or (mean loss, number of errors).
        augment: `augment(inputs, generator)` on a whole batch, on the device.
        evaluate: called after every epoch in evaluation mode; what it returns joins the curves.
        checkpoint: file for resuming, written at most every `checkpoint_seconds`; the caller deletes it.
    Raises: ValueError for empty data, lengths that disagree or NaN inputs; FloatingPointError when the loss
        becomes not-a-number; a checkpoint of another configuration is named and ignored.
    """
    inputs, targets = data
    if len(inputs) == 0 or len(inputs) != len(targets):
        raise ValueError(f"training data: {len(inputs)} inputs and {len(targets)} targets")
    if inputs.is_floating_point() and not torch.isfinite(inputs).all():
        raise ValueError("training inputs contain NaN or infinity")
    where = runtime.device(device) if isinstance(device, str) else device
    if where.type == "cpu":
        runtime.keep_memory()
    model.to(where)
    images = inputs.ndim == 4
    layout = torch.channels_last if images else torch.contiguous_format
    if images:
        model.to(memory_format=layout)
    inputs, targets = inputs.to(where, memory_format=layout), targets.to(where)
    low = config.precision == "bfloat16" or (config.precision == "auto" and images and runtime.fast_bfloat16(where))
    cast = torch.autocast(where.type, dtype=torch.bfloat16, enabled=low)

    used = len(inputs)
    if config.drop_last and used > config.batch_size:
        used -= used % config.batch_size
    steps = -(-used // config.batch_size)
    optimizer = optimization.optimizer(model, config)
    total = max(1, steps * config.epochs)
    warm = 0 if config.schedule == "constant" else max(1, total // 20)
    schedule = optimization.schedule(optimizer, config.schedule, total, warm)
    curves, path = Curves(), Path(checkpoint) if checkpoint else None
    state = {"config": asdict(config), "size": len(inputs)}
    if path is not None and path.exists():
        saved = optimization.resume(path, state, model, optimizer, schedule, where)
        if saved is not None:
            curves = Curves(**saved["curves"])
            curves.resumed += 1
    parallel.agree("the epochs of the checkpoint", curves.epochs)

    start = written = time.perf_counter()
    spent = curves.seconds
    bar = tqdm(
        total=config.epochs,
        initial=curves.epochs,
        desc=label or "training",
        disable=not progress or parallel.rank() > 0,
        unit="epoch",
    )

    def keep() -> None:
        if path is not None and parallel.rank() == 0:
            optimization.save(path, state, model, optimizer, schedule, {"curves": asdict(curves)})

    with parallel.replicated(model, loss, where) as objective:
        while curves.epochs < config.epochs and curves.stopped == "running":
            epoch = curves.epochs
            model.train()
            with runtime.seeded(config.seed, epoch) as generator:
                order = torch.randperm(len(inputs), generator=generator).to(where)
                on_device, alike = (torch.Generator(where).manual_seed(generator.initial_seed()) for _ in range(2))
                if parallel.rank() > 0:  # the dropout of other rows is other dropout
                    torch.manual_seed(generator.initial_seed() + parallel.rank())
                sums = torch.zeros(2, dtype=torch.float64, device=where)
                for rows in order[:used].split(config.batch_size):
                    batch = inputs[rows]
                    if augment is not None:
                        batch = augment(batch, on_device)
                    with parallel.share(len(rows), alike) as mine:
                        batch, rows = mine.of(batch), rows[mine.rows]
                        with cast:
                            out = objective(batch, targets[rows])
                    value, errors = out if isinstance(out, tuple) else (out, out.new_tensor(torch.nan))
                    optimizer.zero_grad(set_to_none=True)
                    (value * mine.weight).backward()
                    optimizer.step()
                    schedule.step()
                    if mine.counts:
                        sums += torch.stack([value.detach().double() * len(rows), errors.double()])
            mean_loss, error = (parallel.add(sums) / used).tolist()
            if mean_loss != mean_loss:
                raise FloatingPointError(f"the loss is not a number in epoch {epoch + 1}; lower learning_rate?")
            if config.stop_at_zero_error and error < 0.05 + config.target_error:
                # the running error lags behind the weights; the full pass is cheap once it is small
                rows = parallel.own(len(inputs))
                wrong = (predict(model, inputs[rows], cast=cast) != targets[rows]).double().sum()
                error = float(parallel.add(wrong) / len(inputs))
            curves.train_loss.append(mean_loss)
            curves.train_error.append(error)
            if evaluate is not None:
                model.eval()
                with torch.no_grad(), cast:
                    for name, entry in evaluate(model, epoch + 1).items():
                        curves.values.setdefault(name, []).append(entry)
            if config.stop_at_zero_error and error <= config.target_error:
                curves.stopped = "zero training error"
            elif curves.epochs == config.epochs:
                curves.stopped = "all epochs"
            curves.seconds = spent + time.perf_counter() - start
            if time.perf_counter() - written > checkpoint_seconds or curves.stopped != "running":
                keep()
                written = time.perf_counter()
            try:
                if parallel.rank() == 0:
                    runtime.report(label or "training", curves.epochs, config.epochs, loss=mean_loss, error=error)
            except runtime.Stopped:
                keep()
                raise
            bar.set_postfix(loss=f"{mean_loss:.3f}", error=f"{error:.3f}", refresh=False)
            bar.update()
    bar.close()
    parallel.from_first(None)  # the last checkpoint is written before any process goes on
    curves.stopped = "all epochs" if curves.stopped == "running" else curves.stopped
    model.eval()
    return curves


@torch.no_grad()
def predict(model: nn.Module, inputs: torch.Tensor, batch_size: int = 1024, cast: Any = None) -> torch.Tensor:
    """Returns the predicted classes (n,), in evaluation mode, on the model's device; restores the mode after."""
    where = next(model.parameters()).device
    training = model.training
    model.eval()
    cast = cast or torch.autocast(where.type, enabled=False)
    with cast:
        out = torch.cat([model(part.to(where)).argmax(1) for part in inputs.split(batch_size)])
    model.train(training)
    return out
