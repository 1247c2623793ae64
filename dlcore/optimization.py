"""Optimizers, learning-rate schedules and checkpoints, shared by the training loops."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dlcore import cache
from dlcore.arrays import outside


def optimizer(model: nn.Module, config: Any, *, fused: bool = False) -> torch.optim.Optimizer:
    """Returns SGD with Nesterov momentum, Adam or AdamW over the trainable parameters.

    `config` has the fields optimizer ("sgd", "adam", "adamw"), learning_rate, weight_decay and, for SGD, momentum.
    `fused` makes Adam's step one kernel: ten times faster for a table of 65,000 embeddings, with other last digits.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        raise ValueError("the network has no weights to train, or all are frozen")
    options: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimizer == "sgd":
        return torch.optim.SGD(trainable, momentum=config.momentum, nesterov=config.momentum > 0, **options)
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return kind(trainable, fused=fused or None, **options)


def rate(step: int, kind: str, total: int, warm: int) -> float:
    """Returns the factor of the learning rate at a step: linear warm-up over `warm` steps, then the schedule.

    "constant" stays at 1, "cosine" falls to 0 at `total`, "inverse_sqrt" falls as (warm / step) ** 0.5.

    >>> [round(rate(s, "cosine", 6, 2), 6) for s in (0, 1, 4, 6)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if step < warm:
        return (step + 1) / warm
    if kind == "constant":
        return 1.0
    if kind == "inverse_sqrt":
        return (max(1, warm) / max(1, step + 1)) ** 0.5
    done = min(1.0, (step - warm) / max(1, total - warm))
    # in torch's single precision, as in the first records: a last digit would change their curves
    return 0.5 * (1 + torch.cos(torch.tensor(torch.pi * done, dtype=torch.float32, device="cpu")).item())


def schedule(of: torch.optim.Optimizer, kind: str, total: int, warm: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Returns the schedule that multiplies the optimizer's learning rate by `rate`, a call of `step` each."""
    return torch.optim.lr_scheduler.LambdaLR(of, lambda step: rate(step, kind, total, warm))


def log(curves: Any, config: Any, loss: float, error: float) -> None:
    """Adds an epoch to the curves of a run, and says when it is the last one."""
    curves.train_loss.append(loss)
    curves.train_error.append(error)
    if config.stop_at_zero_error and error <= config.target_error:
        curves.stopped = "zero training error"
    elif curves.epochs == config.epochs:
        curves.stopped = "all epochs"


def evaluate(curves: Any, model: nn.Module, how: Any, cast: torch.autocast, when: int) -> None:
    """Adds what `how(model, when)` returns, in evaluation mode, to the curves of a run; None does nothing."""
    if how is not None:
        model.eval()
        with torch.no_grad(), cast:
            for name, entry in (how(model, when) or {}).items():
                curves.values.setdefault(name, []).append(entry)


def save(path: Path, identity: dict, model: nn.Module, of: Any, schedule: Any, extra: dict[str, Any]) -> None:
    """Writes a checkpoint atomically; `identity` is what a run must have in common with it to go on from it.

    On a full disk the run goes on without it, with a warning.
    """
    parts = {"model": model, "optimizer": of, "schedule": schedule}
    saved = {**identity, **{k: v.state_dict() for k, v in parts.items()}, **extra}
    cache.keep(path, lambda file: torch.save(saved, file))


def resume(path: Path, identity: dict, model: nn.Module, of: Any, schedule: Any, where: Any) -> dict[str, Any] | None:
    """Returns the checkpoint, loaded into model, optimizer and schedule, or None (with a warning) when unfit."""
    try:
        saved = torch.load(path, map_location=where, weights_only=True)
        if {k: saved[k] for k in identity} != identity:
            raise ValueError("it belongs to another run")
        # torch copies the layers that fit before it says that another does not
        sizes, known = ({k: v.shape for k, v in state.items()} for state in (saved["model"], model.state_dict()))
        if sizes != known:
            raise ValueError("it belongs to another network")
        model.load_state_dict(saved["model"])
        of.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
    except Exception as error:  # a damaged checkpoint costs time, never the run
        warnings.warn(f"starting from scratch: the checkpoint {path} cannot be used: {error}", stacklevel=outside())
        return None
    return saved
