"""Chapter 2, stitching: can the first layers of one network take the place of another's?"""

from __future__ import annotations

import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dlcore import pretraining, runtime, training
from dlcore.metrics import similarity
from dlcore.records import Record
from dlcore.stitching import (
    Search,
    StagePenalty,
    activations,
    penalty_curve,
    stage_names,
)
from dlcore.studies.stitching import networks as pairs
from dlcore.studies.stitching.config import (
    INDICES,
    MOST_SIMILARITY_INPUTS,
    SEARCH_GAIN,
    SEARCH_STEPS,
    SIMILARITY_INPUTS,
    STITCH_OPTIMIZER,
    VALIDATION,
    Config,
)
from dlcore.studies.stitching.networks import Inputs, built, freeze_trained, population, rows_of, trained


def _similarities(
    bottom: nn.Module, top: nn.Module, x: torch.Tensor, stages: list[str], shuffles: int
) -> dict[str, list[float]]:
    """Returns each index at each stage; with shuffles of the inputs also its mean and threshold where nothing is common."""
    found: dict[str, list[float]] = {name: [] for name in INDICES}
    if shuffles:
        found |= {f"{name}_null_{what}": [] for name in INDICES for what in ("mean", "threshold")}
    ours, theirs = activations(bottom, x, stages), activations(top, x, stages)
    for stage in stages:
        one, two = (part[stage].flatten(1).cpu().numpy() for part in (ours, theirs))
        for name in INDICES:
            with warnings.catch_warnings():
                # a dead layer has no similarity: NaN says so in the record
                warnings.simplefilter("ignore", similarity.SimilarityWarning)
                found[name].append(float(similarity.similarity(name, one, two)))
                if shuffles:
                    null = similarity.permutation_null(name, one, two, permutations=shuffles)
                    found[f"{name}_null_mean"].append(null.mean)
                    found[f"{name}_null_threshold"].append(null.threshold)
    return found


def _errors(net: nn.Module, source: Inputs) -> float:
    return float((training.predict(net, source.x_test).cpu() != source.y_test).double().mean())


def _untrained(config: Config, source: Inputs) -> Any:
    return lambda seed: built(config, config.bottom, source, 10_000 + seed)


def _matrices(bottom: nn.Module, top: nn.Module, given: tuple, stages: list[str], options: dict) -> dict[str, list]:
    """Returns the cross-stage penalties (bottom's stage x top's stage), by the task loss and by least squares."""
    shapes = {s: v.ndim for s, v in activations(top, given[0][:2], stages).items()}
    inner = [s for s in stages if shapes[s] == shapes[stages[0]]]
    pairs = [(low, high) for low in inner for high in inner]
    found: dict[str, list] = {"stages": inner}
    for name, family in (("task", "auto"), ("least_squares", "least_squares")):
        more = options if family == "auto" else {"device": options["device"]}
        resize = "bilinear" if shapes[stages[0]] > 2 else None
        rows = penalty_curve(
            bottom, top, given, pairs, family=family, self_stitch=False, random=False, resize=resize, **more
        )
        size = len(inner)
        found[name] = np.reshape([row.penalty for row in rows], (size, size)).tolist()
    return found


@runtime.single_precision()
def run(
    config: Config, *, checkpoint: Path | None = None, progress: bool = False, device: str | torch.device = "auto"
) -> Record:
    """Trains (or loads) both networks, stitches them at every stage, and returns the record.

    Metrics, fractions: `top_error`, `bottom_error` (NaN where the bottom has other classes), `excess_first`, at the middle stage
    `penalty_mid`, `excess_mid`, `random_excess_mid`, over all stages `excess_max`, and at the last `penalty_last`,
    `random_excess_last`. Curves have one entry a stage: those of `StagePenalty`, `depth` (share of the stages) and the
    similarity indices on the test inputs. With `cross`, arrays hold the two cross-stage matrices. With `converged`,
    curves also hold what the search chose (`_trials`). With `population`, metrics also hold those of `pairs.population`.
    With `freeze`, curves `freeze_error` and `freeze_random_error` hold the test error of the top's network retrained above the
    bottom's, or an untrained network's, frozen layers until the stage (the paper's freeze training, figure 9); the
    untrained network's BatchNorm statistics are those of the training inputs.
    """
    options = {"checkpoint": checkpoint, "progress": progress, "device": device}
    found, extra = config.load(), VALIDATION[config.dataset] if config.converged else 0
    x_test, y_test = pretraining.to_unit(found.test_inputs), torch.from_numpy(found.test_labels)
    cut = len(x_test) - extra
    source = Inputs(
        pretraining.to_unit(found.train_inputs),
        torch.from_numpy(found.train_labels),
        x_test[:cut],
        y_test[:cut],
        found.num_classes,
        found.checksum,
    )
    search = Search((x_test[cut:], y_test[cut:]), SEARCH_STEPS, SEARCH_GAIN) if config.converged else None
    where = runtime.device(device)
    top, bottom = (trained(config, role, source, options).to(where) for role in (config.top, config.bottom))
    stages = stage_names(top, source.x[:2].to(where))
    rows = slice(0, len(source.x)) if config.stitcher_data == "all" else rows_of(config.top, len(source.x))
    given = (source.x[rows], source.y[rows], source.x_test, source.y_test)
    closed = config.family in ("identity", "permutation", "orthogonal", "least_squares", "low_rank")
    large = config.architecture == "resnet18"
    settings = training.TrainConfig(
        epochs=config.stitch_epochs,
        batch_size=config.stitch_batch,
        learning_rate=config.stitch_rate,
        optimizer=STITCH_OPTIMIZER,
        schedule=pairs.SCHEDULE,
        precision="auto" if large else "float32",
        seed=config.seed,
    )
    how: dict[str, Any] = {"device": device, "bn_mode": config.bn_mode, "rank": config.rank}
    if not closed:
        # the bottom's own statistics see the inputs they were made on: keeping them is what makes a cache possible;
        # ResNet-18's activations of 40,000 images fill no memory: there the bottom is recalibrated too, as the authors do
        how |= {"training": settings, "init": config.init, "cache": None if large else True}
    kernel = {"kernel_size": config.kernel_size} if config.kernel_size > 1 else {}
    usable = stages if config.kernel_size == 1 else [s for s in stages if s != "pool"]
    curve = penalty_curve(
        bottom,
        top,
        given,
        usable,
        family=config.family,
        random=_untrained(config, source),
        seeds=(config.seed,),
        keep=checkpoint.parents[1] / "controls" if checkpoint and not search else None,
        fit=search,
        together=False,  # as in the first records, to the last digit
        progress=progress,
        **how,
        **kernel,
    )
    metrics = _summary(curve) | {
        "num_train": len(given[0]),
        "num_test": len(source.x_test),
        "top_error": _errors(top, source),
        "bottom_error": _errors(bottom, source) if config.bottom_labels == "classes" else float("nan"),
    }
    curves: dict[str, list] = {name: [getattr(row, name) for row in curve] for name in asdict(curve[0])}
    curves["depth"] = [(stages.index(s) + 1) / len(stages) for s in usable]
    if search:
        curves |= _trials(search, top, usable)
    compared = source.x_test[: SIMILARITY_INPUTS.get(config.architecture, MOST_SIMILARITY_INPUTS)]
    curves |= _similarities(bottom, top, compared, usable, config.shuffles)
    if config.freeze:
        curves["freeze_error"] = freeze_trained(config, config.top, source, bottom, usable, options)
        drawn = _untrained(config, source)(config.seed).to(where)
        # BatchNorm's first statistics (0 and 1) would spoil untrained layers for a reason that is not their weights
        torch.optim.swa_utils.update_bn(source.x[rows].split(512), drawn, where)
        curves["freeze_random_error"] = freeze_trained(config, config.top, source, drawn.eval(), usable, options)
    if config.population:
        twin = trained(config, config.twin, source, options).to(where)
        metrics |= population(config, source, (bottom, twin), (config.bottom, config.twin))
    arrays = _matrices(bottom, top, given, stages, how) if config.cross else {}
    about = {"name": found.name, "split": found.split, "checksum": found.checksum}
    made = runtime.environment(where)
    return Record("stitching", config.to_dict(), metrics, curves, arrays, about, made)


def _trials(search: Search, top: nn.Module, stages: list[str]) -> dict[str, list]:
    """Returns what was chosen at every stage, the best error of the first steps, and what the optimizer alone costs.

    `self_penalty_random_start`: a self-stitch that knows nothing of the identity, after the first steps, on the validation samples.
    """
    x, y = search.validation
    whole = float((training.predict(top, x).cpu() != y).double().mean())
    chosen = [search.chosen("the bottom", s, s) for s in stages]
    first = [min(t.error for t in search.tried["the bottom", s, s][:2]) for s in stages]
    own = [next(t.error for t in search.tried["the top", s, s] if t.start == "random") for s in stages]
    return {
        **{f"chosen_{name}": [getattr(t, name) for t in chosen] for name in ("start", "steps")},
        "validation_error": [t.error for t in chosen],
        "validation_error_first": first,
        "self_penalty_random_start": [error - whole for error in own],
    }


def _summary(curve: list[StagePenalty]) -> dict[str, float]:
    first, middle, last = curve[0], curve[len(curve) // 2], curve[-1]
    return {
        "excess_first": first.excess,
        "penalty_mid": middle.penalty,
        "excess_mid": middle.excess,
        "random_excess_mid": middle.random_excess,
        "excess_max": max(row.excess for row in curve),
        "penalty_last": last.penalty,
        "excess_last": last.excess,
        "random_excess_last": last.random_excess,
    }
