"""Training on sentence pairs: batches by tokens, early stopping on held-out pairs, resumable to the same curve.

`dlcore.training.fit` goes through two tensors by rows and counts epochs; here batches have a budget of tokens, the
learning curve is in steps, and the weights of the best held-out loss are what a run ends with.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm.auto import tqdm

from dlcore import borrowed, cache, optimization, parallel, runtime
from dlcore.arrays import typed
from dlcore.config import Options, configured_by, option
from dlcore.results import Result
from dlcore.translation.models import Seq2Seq
from dlcore.translation.sentence_pairs import PAD, Pairs, Ragged, token_batches


@dataclass(frozen=True, kw_only=True)
class SequenceConfig(Options):
    """How to train. Units: steps (batches), tokens, learning rate per step of the mean loss per target token.

    Args:
        batch_tokens: sentence pairs times the longest sequence among them, at most.
        warm: steps of linear warm-up, of any schedule; "cosine" falls to zero at `steps`.
        evaluate_every, patience: the held-out loss is taken every so many steps, and training ends when it has not become
            smaller by `least_gain` nats for `patience` times; 0 never ends it.
        clip: largest norm of the gradient. precision "auto" is bfloat16 on a GPU alone: on a CPU with native
            bfloat16 it trained a 1.6 million parameter transformer 1.15 times slower than float32.
    Raises: ValueError for an unknown choice or a number out of range.
    """

    steps: int = option(4000, low=0)
    batch_tokens: int = option(2048, low=1)
    learning_rate: float = option(1e-3, above=0)
    optimizer: str = option("adam", choices=("sgd", "adam", "adamw"))
    weight_decay: float = option(0.0, low=0)
    momentum: float = option(0.9, low=0)
    schedule: str = option("inverse_sqrt", choices=("inverse_sqrt", "cosine", "constant"))
    warm: int = option(200, low=0)
    clip: float = option(1.0, above=0)
    evaluate_every: int = option(200, low=1)
    patience: int = option(5, low=0)
    least_gain: float = option(0.0, low=0)
    precision: str = option("auto", choices=("auto", "float32", "bfloat16"))
    seed: int = option(0, low=0)


class SequenceCurves(Result, plot="curves", frozen=False):
    """What a run logged, one entry an evaluation. Losses are nats per target token, EOS included.

    `train_loss` is the running mean since the last evaluation, with dropout (and the objective's other terms left
    out); `dev_loss` is in evaluation mode. `tokens` counts target tokens seen; `best` is the entry whose weights the
    model ends with, -1 before the first. `values` holds what `evaluate` returned.
    """

    steps: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    dev_loss: list[float] = field(default_factory=list)
    values: dict[str, list] = field(default_factory=dict)
    best: int = -1
    stopped: str = "running"
    resumed: int = 0
    seconds: float = 0.0


class _Resident:
    """Ragged sequences on a device, padded there: no Python per sentence, 4 bytes a token."""

    def __init__(self, sequences: Ragged, where: torch.device) -> None:
        self.lengths = sequences.lengths
        self.starts = torch.from_numpy(sequences.offsets[:-1].copy()).to(where)
        self.device_lengths = torch.from_numpy(self.lengths).to(where)
        flat = np.append(sequences.flat, np.int32(PAD))
        self.flat = torch.from_numpy(flat).to(where)

    def batch(self, rows: np.ndarray, rows_there: torch.Tensor | None = None) -> torch.Tensor:
        """Returns sequences (n, longest) int64, PAD on the right; `rows_there` are the rows, on the device already."""
        width = int(self.lengths[rows].max())
        if rows_there is None:
            rows_there = torch.from_numpy(rows).to(self.flat.device)
        column = torch.arange(width, device=self.flat.device)
        inside = column < self.device_lengths[rows_there, None]
        index = torch.where(inside, self.starts[rows_there, None] + column, len(self.flat) - 1)
        return self.flat[index].long()


def _check(pairs: Pairs, model: Seq2Seq, what: str) -> None:
    if not isinstance(pairs, Pairs) or not isinstance(model, Seq2Seq):
        raise ValueError(f"Pairs and a translation model are needed, not {type(pairs)} and {type(model)}")
    if len(pairs) == 0:
        raise ValueError(f"there are no {what} pairs")
    for side in ("source", "target"):
        sequences, size = getattr(pairs, side), getattr(model.shape, f"{side}_vocabulary")
        if sequences.lengths.min() == 0:
            raise ValueError(f"{what} {side} {int(sequences.lengths.argmin())} is empty")
        low, high = int(sequences.flat.min()), int(sequences.flat.max())
        if low <= PAD or high >= size:
            raise ValueError(f"{what} {side} token {low if low <= PAD else high} is outside 1..{size - 1}")


@typed
@torch.inference_mode(False)
@torch.no_grad()
def sentence_losses(model: Seq2Seq, pairs: Pairs, *, batch_tokens: int = 8192, cast: Any = None) -> np.ndarray:
    """Returns the teacher-forced loss of each pair in nats per sentence (n,) float64, EOS included.

    Divide sums by `pairs.target.lengths.sum()` for nats per token; subtract minus the log-probability of
    `Transduction.log_prob` for the excess over the oracle on the same sentences.

    Raises: ValueError for no pairs or tokens that the model does not know.
    """
    _check(pairs, model, "scored")
    where = next(model.parameters()).device
    cast = cast or torch.autocast(where.type, enabled=False)
    source, target = _Resident(pairs.source, where), _Resident(pairs.target, where)
    longest = int(max(source.lengths.max(), target.lengths.max()))
    result = np.empty(len(pairs))
    with borrowed.evaluating(model):
        for rows in token_batches(pairs, max(batch_tokens, longest)):
            x, y = source.batch(rows), target.batch(rows)
            keep = y != PAD
            with cast:
                logits = model.logits(model.hidden(x, y)[keep])
            nats = functional.cross_entropy(logits.float(), y[keep], reduction="none").double()
            table = torch.zeros(y.shape, dtype=torch.float64, device=where).masked_scatter_(keep, nats)
            result[rows] = table.sum(1).cpu().numpy()
    return result


@typed
def token_loss(model: Seq2Seq, pairs: Pairs, *, batch_tokens: int = 8192, cast: Any = None) -> float:
    """Returns the teacher-forced loss in nats per target token, the log-perplexity; see `sentence_losses`."""
    return float(sentence_losses(model, pairs, batch_tokens=batch_tokens, cast=cast).sum() / pairs.target.lengths.sum())


@typed
@configured_by(SequenceConfig)
def fit_pairs(
    model: Seq2Seq,
    train: Pairs,
    dev: Pairs,
    config: SequenceConfig,
    *,
    evaluate: Callable[[Seq2Seq, int], dict[str, Any]] | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 30.0,
    device: str | torch.device = "auto",
    progress: bool = False,
    label: str = "",
) -> SequenceCurves:
    """Trains a `translation.models` model, leaves it with its best weights and in the mode it had, and returns the curves.

    Batches are drawn from (seed, epoch), dropout from (seed, step of the evaluation) alone, so a run that is
    killed and started again with the same `checkpoint` ends with the curve of an uninterrupted one.

    Args:
        evaluate: called at every evaluation in evaluation mode; what it returns joins the curves.
        checkpoint: file for resuming, written at evaluations, at most every `checkpoint_seconds`; the caller
            deletes it.
    Raises: ValueError for no pairs, tokens that the model does not know, a sequence longer than `batch_tokens`;
        FloatingPointError when the loss becomes not-a-number; RuntimeError under torchrun with several processes.
    """
    parallel.only_one("training on sentence pairs")
    _check(train, model, "training")
    _check(dev, model, "development")
    with borrowed.training(model):
        where = device if isinstance(device, torch.device) else runtime.device(device)
        if where.type == "cpu":
            runtime.keep_memory()
        model.to(where)
        low = config.precision == "bfloat16" or (
            config.precision == "auto" and where.type == "cuda" and runtime.fast_bfloat16(where)
        )
        cast = torch.autocast(where.type, dtype=torch.bfloat16, enabled=low, cache_enabled=False)
        source, target = _Resident(train.source, where), _Resident(train.target, where)
        optimizer = optimization.optimizer(model, config, fused=where.type in ("cpu", "cuda"))
        schedule = optimization.schedule(optimizer, config.schedule, config.steps, config.warm)
        curves, path = SequenceCurves(), cache.expanded(checkpoint) if checkpoint else None
        identity = {
            "config": asdict(config),
            "model_shape": asdict(model.shape),
            "pairs": [train.checksum, dev.checksum],
        }
        step = epoch = index = tokens = stale = 0
        best = {k: v.detach().clone() for k, v in model.state_dict().items()}
        if path is not None and path.exists():
            saved = optimization.resume(path, identity, model, optimizer, schedule, where)
            if saved is not None:
                curves, best = SequenceCurves(**saved["curves"]), saved["best"]
                step, epoch, index, tokens, stale = saved["at"]
                curves.resumed += 1

        def of_epoch(number: int) -> list[tuple[np.ndarray, torch.Tensor]]:
            """Returns the rows of an epoch's batches, here and on the device: one copy an epoch, none in a step."""
            batches = token_batches(train, config.batch_tokens, seed=(config.seed, 7, number))
            there = torch.from_numpy(np.concatenate(batches)).to(where)
            return list(zip(batches, there.split([len(rows) for rows in batches]), strict=True))

        batches = of_epoch(epoch)
        start = written = time.perf_counter()
        spent = curves.seconds
        bar = tqdm(total=config.steps, initial=step, desc=label or "training", disable=not progress, unit="step")

        def keep() -> None:
            if path is not None:
                extra = {"curves": asdict(curves), "best": best, "at": [step, epoch, index, tokens, stale]}
                optimization.save(path, identity, model, optimizer, schedule, extra)

        while step < config.steps and curves.stopped == "running":
            model.train()
            until = min(config.steps, step + config.evaluate_every)
            seen, nats = 0, torch.zeros((), dtype=torch.float64, device=where)  # a GPU's tokens are a tensor too
            with runtime.seeded(config.seed, 0x5E9, step):
                for _ in range(until - step):
                    if index == len(batches):
                        epoch, index = epoch + 1, 0
                        batches = of_epoch(epoch)
                    rows = batches[index]
                    index += 1
                    with cast:
                        loss = model.loss(source.batch(*rows), target.batch(*rows))
                    optimizer.zero_grad(set_to_none=True)
                    loss.objective.backward()
                    nn.utils.clip_grad_norm_(model.parameters(), config.clip)
                    optimizer.step()
                    schedule.step()
                    nats += loss.nats
                    seen += loss.tokens
            bar.update(until - step)
            step, tokens, mean = until, tokens + int(seen), float(nats) / int(seen)
            if mean != mean:
                raise FloatingPointError(f"the loss is not a number at step {step}; lower learning_rate?")
            held_out = token_loss(model, dev, batch_tokens=4 * config.batch_tokens, cast=cast)
            for name, entry in (("steps", step), ("tokens", tokens), ("train_loss", mean), ("dev_loss", held_out)):
                getattr(curves, name).append(entry)
            if curves.best < 0 or held_out < curves.dev_loss[curves.best] - config.least_gain:
                curves.best, stale = len(curves.steps) - 1, 0
                best = {k: v.detach().clone() for k, v in model.state_dict().items()}
            else:
                stale += 1
            optimization.evaluate(curves, model, evaluate, cast, step)
            if config.patience and stale >= config.patience:
                curves.stopped = "no gain"
            elif step == config.steps:
                curves.stopped = "all steps"
            curves.seconds = spent + time.perf_counter() - start
            if time.perf_counter() - written > checkpoint_seconds or curves.stopped != "running":
                keep()
                written = time.perf_counter()
            try:
                runtime.report(label or "training", step, config.steps, loss=mean, held_out=held_out)
            except runtime.Stopped:
                keep()
                raise
            bar.set_postfix(train=f"{mean:.3f}", dev=f"{held_out:.3f}", refresh=False)
        bar.close()
        curves.stopped = "all steps" if curves.stopped == "running" else curves.stopped
        model.load_state_dict(best)
    return curves
