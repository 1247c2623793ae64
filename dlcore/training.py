"""The one training loop: data on the device, batched augmentation, resumable to the same curve after a kill."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm.auto import tqdm

from dlcore import borrowed, cache, ensembles, optimization, parallel, runtime
from dlcore.arrays import as_inputs, as_integers, as_network, as_tensor, as_whole, typed
from dlcore.config import configured_by
from dlcore.training_config import LOOP, Curves, TrainConfig

Loss = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor | tuple[torch.Tensor, torch.Tensor]]
Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
Evaluate = Callable[[nn.Module, int], dict[str, Any]]


def cross_entropy(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the mean cross-entropy of a batch, in nats, and its number of errors."""
    logits = model(inputs)
    return functional.cross_entropy(logits.float(), targets), (logits.detach().argmax(1) != targets).sum()


class _Prepared(NamedTuple):
    """What a run starts from, on its device: data, precision, optimizer, and the checkpoint's curves."""

    inputs: torch.Tensor
    targets: torch.Tensor
    cast: torch.autocast
    used: int
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    curves: Curves
    keep: Callable[[], None]


def _can_be_last(model: nn.Module, inputs: torch.Tensor, where: torch.device) -> bool:
    """Whether a network trains with its channels last, which is faster: one of images that gives the same outputs so.

    Layers of one's own may ask for a view that this layout does not have: a copy of the network tries.
    """
    if inputs.ndim != 4 or (where.type == "cpu" and not runtime.safe_last(model)):
        return False
    if borrowed.plain(model):
        return True
    try:
        trial, few_inputs = borrowed.copied(model), inputs[:2]
        found = []
        for layout in (torch.contiguous_format, torch.channels_last):
            with torch.no_grad(), runtime.seeded(0):
                trial.train().to(memory_format=layout)(few_inputs.to(where, copy=True, memory_format=layout))
                trial.eval()
                found.append(trial(few_inputs.to(where, copy=True, memory_format=layout)))
        return torch.allclose(*found, rtol=1e-3, atol=1e-4 * float(found[0].abs().max()))
    except Exception:
        return False


def _digest(*given: Any) -> str:
    """Returns a hash of training data, by which a checkpoint knows its own; of what is no tensor, of its text."""
    found = hashlib.sha256()
    for one in given:
        if isinstance(one, torch.Tensor):
            found.update(f"{one.dtype} {tuple(one.shape)}".encode())
            found.update(one.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
        else:
            found.update(repr(one).encode())
    return found.hexdigest()[:16]


def _pair(data: Any) -> Any:
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise ValueError(f"data are (inputs, targets), each with a row a sample, not {type(data).__name__}")
    return data


def _checked_labels(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Returns the labels, one for each score of the network or for each place of its maps.

    Raises: ValueError, before any work, where a network does not take the inputs or has no output for a class.
    """
    with borrowed.evaluating(model, weights=True), torch.no_grad(), runtime.seeded(0):
        # of one row some layers have no statistics
        out = borrowed.one_tensor(model, inputs[:2])
    labels = torch.from_numpy(as_integers("training labels", targets, out.shape[1], ndim=out.ndim - 1))
    if labels.shape[1:] != out.shape[2:]:
        raise ValueError(f"training labels of shape {tuple(labels.shape)} for scores of shape {tuple(out.shape)}")
    return labels.to(targets.device)


def _prepare(
    model: nn.Module, data: Any, config: TrainConfig, file: Any, where: torch.device, loss: Loss, fused: bool = False
) -> _Prepared:
    given, targets = _pair(data)
    inputs = as_inputs("training inputs", given, model)
    if loss is cross_entropy and len(inputs):
        targets = torch.from_numpy(np.atleast_1d(as_integers("training labels", targets)))
    else:
        targets = as_tensor("training targets", targets)
    if len(inputs) == 0 or len(inputs) != len(targets):
        raise ValueError(f"training data: {len(inputs)} inputs and {len(targets)} targets")
    if inputs.is_floating_point() and not torch.isfinite(inputs).all():
        raise ValueError("training inputs contain NaN or infinity")
    if where.type == "cpu":
        runtime.keep_memory()
    model.to(where)
    layout = torch.channels_last if _can_be_last(model, inputs, where) else torch.contiguous_format
    images = inputs.ndim == 4
    if images:
        model.to(memory_format=layout)
    inputs, targets = inputs.to(where, memory_format=layout), targets.to(where)
    if loss is cross_entropy:
        targets = _checked_labels(model, inputs, targets)
    low = config.precision == "bfloat16" or (config.precision == "auto" and images and runtime.fast_bfloat16(where))
    # no cache: under an autocast of the caller it would outlive the step, and the weights with it
    cast = torch.autocast(where.type, dtype=torch.bfloat16, enabled=low, cache_enabled=False)

    used = len(inputs)
    if config.drop_last and used > config.batch_size:
        used -= used % config.batch_size
    steps = -(-used // config.batch_size)
    optimizer = optimization.optimizer(model, config, fused=fused)
    total = max(1, steps * config.epochs)
    warm = 0 if config.schedule == "constant" else max(1, total // LOOP["warm_up"])
    schedule = optimization.schedule(optimizer, config.schedule, total, warm)
    curves, path = Curves(), cache.expanded(file) if file else None
    state = {"config": asdict(config), "size": len(inputs), "data": _digest(inputs, targets) if path else ""}
    if path is not None and path.exists():
        saved = optimization.resume(path, state, model, optimizer, schedule, where)
        if saved is not None:
            curves = Curves(**saved["curves"])
            curves.resumed += 1

    def keep() -> None:
        if path is not None and parallel.rank() == 0:
            optimization.save(path, state, model, optimizer, schedule, {"curves": asdict(curves)})

    return _Prepared(inputs, targets, cast, used, optimizer, schedule, curves, keep)


@typed
@configured_by(TrainConfig)
def fit(
    model: nn.Module,
    data: tuple[torch.Tensor, torch.Tensor],
    config: TrainConfig,
    *,
    loss: Loss = cross_entropy,
    augment: Augment | None = None,
    evaluate: Evaluate | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 30.0,
    device: str | torch.device = "auto",
    progress: bool = False,
    label: str = "",
    fused: bool = False,
) -> Curves:
    """Trains the weights of `model` and returns its curves; its mode and memory format are as they were afterwards.

    Whatever mode its parts have, they are trained in training mode; before you use the network, call `model.eval()`, or
    use `predict`. A last batch of one sample goes through BatchNorm with the running statistics: it has no variance.
    The data are moved to the device once. Each epoch's order, augmentation and dropout are drawn from
    (seed, epoch) alone, so a run that is killed and started again with the same `checkpoint` repeats the epochs
    after the last checkpoint and ends with the curve of an uninterrupted run.

    Several GPUs, or processes on CPUs, share a run through `torchrun --nproc-per-node 2 -m dlcore run STUDY name=value`,
    or in a script of your own inside `with dlcore.parallel.group():`. `batch_size` stays the size of the whole batch:
    every process draws the whole order and augmentation and takes its slice, BatchNorm and the losses that compare
    samples see the whole batch, DDP averages the gradients, so the result is that of one process up to rounding. (Dropout is
    drawn by each process; a loss of your own that compares samples calls `parallel.gather`.) `evaluate` is called on
    all; process 0 alone writes checkpoints and reports. All must reach the same file.

    Shapes: data = inputs (n, ...) float, targets (n,) int or anything that `loss` takes, first axis n; tensors, arrays
        or lists. Real inputs are brought to the precision of the network's weights, classes to int64.
    Args:
        loss: `loss(model, inputs, targets)` -> mean loss, or (mean loss, number of errors).
        augment: `augment(inputs, generator)` on a whole batch, on the device.
        evaluate: called after every epoch in evaluation mode; what it returns joins the curves.
        checkpoint: file for resuming, written at most every `checkpoint_seconds`; the caller deletes it.
        fused: as in `optimization.optimizer`.
    Raises: ValueError for empty data, lengths that disagree, NaN inputs, labels that are no integers or have no output
        of the network, inputs that it does not take, nothing but batches of one sample where there is BatchNorm, or
        weights made under `torch.inference_mode()`; FloatingPointError when the loss becomes not-a-number; a checkpoint
        of another configuration is named and ignored.
    """
    where = device if isinstance(device, torch.device) else runtime.device(device)
    with borrowed.training(model):
        ready = _prepare(model, data, config, checkpoint, where, loss, fused)
        inputs, targets, cast, used, optimizer, schedule, curves, keep = ready
        parallel.agree("the epochs of the checkpoint", curves.epochs)
        first = where.type == "cpu" and inputs.ndim == 4 and not runtime.safe_last(model)

        start = written = time.perf_counter()
        spent = curves.seconds
        label, quiet = label or "training", not progress or parallel.rank() > 0
        bar = tqdm(total=config.epochs, initial=curves.epochs, desc=label, disable=quiet, unit="epoch")

        with parallel.replicated(model, loss, where) as objective:
            while curves.epochs < config.epochs and curves.stopped == "running":
                epoch = curves.epochs
                model.train()
                with runtime.seeded(config.seed, epoch) as generator:
                    order = torch.randperm(len(inputs), generator=generator, device="cpu").to(where)
                    on_device, alike = (torch.Generator(where).manual_seed(generator.initial_seed()) for _ in range(2))
                    if parallel.rank() > 0:  # the dropout of other rows is other dropout
                        torch.manual_seed(generator.initial_seed() + parallel.rank())
                    sums = torch.zeros(2, dtype=torch.float64, device=where)
                    for rows in order[:used].split(config.batch_size):
                        batch = inputs[rows]
                        if augment is not None:
                            batch = augment(batch, on_device)
                        batch = runtime.channels_first(batch) if first else batch
                        with parallel.share(len(rows), alike) as mine:
                            batch, rows = mine.of(batch), rows[mine.rows]
                            with borrowed.batch_of(model, mine.total, used, config.batch_size), cast:
                                out = objective(batch, targets[rows])
                        value, errors = out if isinstance(out, tuple) else (out, torch.nan)
                        if not isinstance(value, torch.Tensor) or value.numel() != 1:
                            what = f"{tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__
                            raise ValueError(f"the loss must return one number as a tensor, the mean, not {what}")
                        if not value.requires_grad:
                            raise ValueError("the loss depends on no trained weight: are all frozen, or under no_grad?")
                        optimizer.zero_grad(set_to_none=True)
                        (value * mine.weight).backward()
                        if all(p.grad is None for p in model.parameters()):
                            why = "is a part of it quantised, or was it copied after net.forward = torch.compile(net.forward)?"
                            raise ValueError(f"no gradient reaches a weight of this network: {why}")
                        optimizer.step()
                        schedule.step()
                        if mine.counts:
                            counted = errors.double() if isinstance(errors, torch.Tensor) else sums.new_tensor(errors)
                            sums += torch.stack([value.detach().double().sum() * len(rows), counted])
                mean_loss, error = (parallel.add(sums) / used).tolist()
                if mean_loss != mean_loss:
                    raise FloatingPointError(f"the loss is not a number in epoch {epoch + 1}; lower learning_rate?")
                if config.stop_at_zero_error and error < LOOP["near_zero"] + config.target_error:
                    # the running error lags behind the weights; the full pass is cheap once it is small
                    rows = parallel.own(len(inputs))
                    wrong = (predict(model, inputs[rows], cast=cast) != targets[rows]).double().sum()
                    error = float(parallel.add(wrong) / len(inputs))
                optimization.log(curves, config, mean_loss, error)
                optimization.evaluate(curves, model, evaluate, cast, epoch + 1)
                curves.seconds = spent + time.perf_counter() - start
                if time.perf_counter() - written > checkpoint_seconds or curves.stopped != "running":
                    keep()
                    written = time.perf_counter()
                try:
                    if parallel.rank() == 0:
                        runtime.report(label, curves.epochs, config.epochs, loss=mean_loss, error=error)
                except runtime.Stopped:
                    keep()
                    raise
                bar.set_postfix(loss=f"{mean_loss:.3f}", error=f"{error:.3f}", refresh=False)
                bar.update()
        bar.close()
        parallel.from_first(None)  # the last checkpoint is written before any process goes on
        curves.stopped = "all epochs" if curves.stopped == "running" else curves.stopped
    return curves


@typed
@configured_by(TrainConfig)
def fit_many(
    models: Sequence[nn.Module],
    data: tuple[torch.Tensor, torch.Tensor | Sequence[torch.Tensor]],
    configs: TrainConfig | Sequence[TrainConfig],
    *,
    evaluate: Sequence[Evaluate] | None = None,
    checkpoints: Sequence[str | Path] | None = None,
    labels: Sequence[str] | None = None,
    loss: Loss = cross_entropy,
    augment: Augment | None = None,
    checkpoint_seconds: float = 30.0,
    device: str | torch.device = "auto",
    progress: bool = False,
) -> list[Curves]:
    """Trains several models on the same inputs, each as `fit` would, up to rounding; returns their curves.

    Every model has its own order, augmentation, schedule, early stop, curves and checkpoint. Small networks of linear layers
    (`ensembles.PAYS`) train as one stack, in a fraction of the time; all others, and any under torchrun, one by one, because
    a stack of them would be slower (`benchmarks/ensembles.py`). A stack holds the models whose configurations
    differ in the seed alone; what goes on from a checkpoint is trained one by one. `seconds` of a stacked model is its share.

    Shapes: data = inputs (n, ...), targets (n,) of all models or a sequence of K.
    Args:
        configs, evaluate, checkpoints, labels: one for each model; one configuration serves all.
        The others as in `fit`.
    Raises: ValueError for sequences of other lengths, or a network that is there twice; and as `fit`.
    """
    inputs, targets = _pair(data)
    count = len([as_network(model) for model in models])
    # a list of numbers is one vector of targets
    several = isinstance(targets, list | tuple) and len(targets) > 0 and np.ndim(targets[0]) > 0
    each: dict[str, list[Any]] = {
        "targets": [*targets] if several else [targets] * count,
        "configs": [configs] * count if isinstance(configs, TrainConfig) else [*configs],
        "evaluate": [None] * count if evaluate is None else [*evaluate],
        "checkpoints": [None] * count if checkpoints is None else [*checkpoints],
        "labels": [f"model {k}" for k in range(count)] if labels is None else [*labels],
    }
    for name, values in each.items():
        if len(values) != count:
            raise ValueError(f"{len(values)} {name} for {count} models")
    if len({id(model) for model in models}) < count:
        raise ValueError("one network is there several times, to be trained by turns: give copies (copy.deepcopy)")
    vectors, recipes, watched, files, names = each.values()
    inputs = as_tensor("training inputs", inputs)  # once, not once a model
    where = device if isinstance(device, torch.device) else runtime.device(device)
    options = {"augment": augment, "checkpoint_seconds": checkpoint_seconds, "progress": progress}
    groups: dict[TrainConfig, list[int]] = {}
    for k, config in enumerate(recipes):
        groups.setdefault(replace(config, seed=0), []).append(k)
    found: dict[int, Curves] = {}
    for config, rows in groups.items():
        group = [models[k] for k in rows]
        able = loss is cross_entropy and parallel.size() == 1 and config.epochs
        if able and ensembles.pays(group, where):
            with borrowed.training(*group):
                runs: list[ensembles.Run] = []
                for k in rows:  # the data once, not once a model
                    same = runs[0].start.inputs if runs else inputs
                    start = _prepare(models[k], (same, vectors[k]), recipes[k], files[k], where, loss)
                    runs.append(ensembles.Run(models[k], start, recipes[k].seed, names[k], watched[k]))
                if not any(run.curves.epochs for run in runs):  # what goes on from a checkpoint is trained alone
                    ensembles.fit_stack(runs, config, **options)
                    found |= {k: run.curves for k, run in zip(rows, runs, strict=True)}
                    continue
        for k in rows:
            own = {"evaluate": watched[k], "checkpoint": files[k], "label": names[k]}
            found[k] = fit(models[k], (inputs, vectors[k]), recipes[k], loss=loss, device=where, **own, **options)
    return [found[k] for k in range(count)]


@typed
@torch.inference_mode(False)
@torch.no_grad()
def predict(model: nn.Module, inputs: torch.Tensor, *, batch_size: int = 1024, cast: Any = None) -> torch.Tensor:
    """Returns the predicted classes (n,), in evaluation mode, on the model's device; every part's mode is as before.

    Shapes: inputs (n, ...), a tensor, an array or a list, as for `fit`.
    Raises: ValueError for inputs that the network does not take, one score an input, and scores that are NaN.
    """
    inputs, batch_size = as_inputs("inputs", inputs, model), as_whole("batch_size", batch_size, 1)
    where = borrowed.device_of(model, inputs.device)
    cast = cast or torch.autocast(where.type, enabled=False)
    with borrowed.evaluating(model), cast:
        outputs = (borrowed.one_tensor(model, part, where, 2) for part in inputs.split(batch_size))
        classes = torch.cat([out.argmax(1).where(~out.isnan().any(1), -1) for out in outputs])
    if (classes < 0).any():
        raise ValueError(f"the network returns NaN for {int((classes < 0).sum())} inputs: their largest score is none")
    return classes
