"""One stitch: the stitched network, the fit, the penalty with its standard error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from dlcore import borrowed, runtime
from dlcore.results import Result
from dlcore.stitching import CLOSED, TRAINED, families, together
from dlcore.stitching.halves import Head, Tail, activations, find_stage
from dlcore.stitching.layouts import layout_of
from dlcore.stitching.options import StitchOptions, check_options
from dlcore.stitching.subject import StitchData, Subject, checked_data, evaluated, pass_over
from dlcore.training import Curves, fit


class Stitched(nn.Module):
    """Head, stitcher, tail. In training mode only the stitcher and the given BatchNorm layers are in training mode."""

    def __init__(
        self, head: nn.Module | None, stitcher: families.Stitcher, tail: nn.Module, norms: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        self.head, self.stitcher, self.tail = head, stitcher, tail
        self._norms = norms

    def train(self, mode: bool = True) -> Stitched:
        """Sets the mode of what is trained or recalibrated; dropout of the frozen halves stays off."""
        super().train(False)
        self.training = mode
        self.stitcher.train(mode)
        for norm in self._norms:
            norm.train(mode)
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the top's output; takes inputs, or activations of the bottom where there is no head."""
        if self.head is not None:
            with torch.no_grad():
                x = self.head(x)
        return self.tail(self.stitcher(x))


class Stitch(Result):
    """A stitched network and its test error beside the top's own; errors and penalty are fractions.

    `penalty` = error - top_error, negative where the bottom is the better one; `standard_error` of the penalty over
    test samples, paired; `loss` mean test cross-entropy of the stitched network in nats;
    `wrong`, `top_wrong` (n,) which test samples are misclassified; `parameters` of the map that
    were trained; `cached` whether the bottom's activations were kept; `model` the stitched network, which takes inputs.
    """

    family: str
    bottom_stage: str
    top_stage: str
    bn_mode: str
    error: float
    loss: float
    top_error: float
    penalty: float
    standard_error: float
    wrong: np.ndarray
    top_wrong: np.ndarray
    parameters: int
    cached: bool
    curves: Curves
    model: nn.Module

    def __str__(self) -> str:
        pair = f"{self.bottom_stage} -> {self.top_stage}, {self.family}"
        return f"{pair}: error {self.error:.4f}, penalty {self.penalty:+.4f} (s.e. {self.standard_error:.4f})"


@borrowed.own_settings()
def stitch(
    bottom: nn.Module,
    top: nn.Module,
    bottom_stage: str,
    top_stage: str | None = None,
    *,
    family: str = "auto",
    data: StitchData | tuple | None = None,
    **options: Any,
) -> Stitch:
    """Returns the stitch of the bottom's layers until a stage with the top's layers after one, and its penalty.

    Both networks are copied and frozen: parameters, buffers, mode and device of the originals stay as they are.

    Shapes: data = train inputs, train labels, test inputs, test labels; the inputs as both networks take them.
    Args:
        bottom_stage, top_stage: names for `get_submodule`; the top's is the bottom's unless given.
        family: "identity", "permutation" (Hungarian, on correlations), "orthogonal", "least_squares", "low_rank"
            (closed forms, from the activations of the training inputs in both networks); "conv1x1" (BatchNorm, 1x1
            convolution, BatchNorm), "linear" (BatchNorm, linear, BatchNorm; of all numbers at once, for any shapes),
            "token_linear" (one map for every token), trained; "auto" takes the trained one that fits the shapes.
        options: the fields of `StitchOptions`.
    Raises: ValueError for an unknown stage, family or option (with the nearest), a network that does not run on the
        inputs, is not in float32 or returns no finite class scores, a stage that runs not once or that the input
        bypasses, positions that differ without `resize`, a family that does not fit, labels that are no classes of the
        top, empty data, NaN.
    Paper: Bansal, Nakkiran and Barak 2021, "Revisiting model stitching to compare neural representations", section 2
        (definition) and appendix A.4 (stitchers); least squares as "direct matching" in Csiszarik et al. 2021.
    Differs: Adam with the loop's cosine schedule (5 % warm-up) for 30 epochs by default, their 120,000 steps take
        longer; without augmentation by default; in "recalibrate" only BatchNorm layers are in training mode, not
        dropout.

    >>> from dlcore.models import network
    >>> x, y = torch.randn(64, 1, 8, 8), torch.randint(3, (64,))
    >>> net = network("mlp", (1, 8, 8), 3, width=8)
    >>> stitch(net, net, "hidden1", family="least_squares", data=(x, y, x, y), device="cpu").penalty
    0.0
    """
    chosen = StitchOptions.of(options)
    if data is None:
        raise ValueError("data is needed: train inputs, train labels, test inputs, test labels")
    where = runtime.device(chosen.device)
    checked = checked_data(data)
    first = Subject(bottom, "the bottom", checked, where, chosen.cache_bytes)
    second = Subject(top, "the top", checked, where, chosen.cache_bytes)
    return stitch_subjects(first, second, bottom_stage, top_stage or bottom_stage, family, checked, chosen)


def stitch_subjects(
    bottom: Subject,
    top: Subject,
    bottom_stage: str,
    top_stage: str,
    family: str,
    data: StitchData,
    options: StitchOptions,
) -> Stitch:
    """Returns the stitch of prepared networks; see `stitch`."""
    return stitch_all([(bottom, bottom_stage)], top, top_stage, family, data, options)[0]


def stitch_all(
    bottoms: Sequence[tuple[Subject, str]],
    top: Subject,
    top_stage: str,
    family: str,
    data: StitchData,
    options: StitchOptions,
) -> list[Stitch]:
    """Returns the stitches of several bottoms, each with its stage, below one stage of a top.

    Maps that are trained on kept activations are trained together where `together.can` says so: up to rounding, each as if
    it were alone. Their `curves` are then those of all.
    """
    if not bottoms:
        return []
    top.check_labels(data)
    _ = top.wrong  # an error, before anything is trained, where the top returns NaN
    begun = [_begin(bottom, stage, top, top_stage, family, data, options) for bottom, stage in bottoms]
    curves = Curves(stopped="closed form")
    if begun[0].family not in TRAINED:
        for one in begun:
            if one.norms:
                _recalibrate(one.model, one.norms, one.inputs(data), top.where)
        return [_finished(one, top, top_stage, data, curves) for one in begun]
    models, inputs = [one.model for one in begun], [one.inputs(data) for one in begun]
    if len(models) > 1 and together.can(models, inputs, options):
        group, labels = together.Together(models, inputs), data.train_labels
        how = {
            "loss": together.objective(options.l1),
            "device": top.where,
            "label": f"{len(models)} maps to {top_stage}",
        }
        curves = fit(
            group, (torch.arange(len(labels), device=labels.device), labels), options.training, fused=True, **how
        )
        group.write()
        return [_finished(one, top, top_stage, data, curves) for one in begun]
    found = []
    for one in begun:
        targets, loss = _objective(top, data, options, one.later)
        label = f"{one.bottom.role}, {one.stage} -> {top_stage}"
        how = {"loss": loss, "augment": options.augment, "device": top.where, "label": label}
        curves = fit(one.model, (one.inputs(data), targets), options.training, **how)
        found.append(_finished(one, top, top_stage, data, curves))
    return found


@dataclass
class _Begun:
    """A stitch whose map is not trained yet; `kept` are the bottom's activations of train and test inputs."""

    bottom: Subject
    stage: str
    family: str
    mode: str
    head: nn.Module
    stitcher: families.Stitcher
    tail: nn.Module
    norms: list[_BatchNorm]
    kept: tuple[torch.Tensor, torch.Tensor] | None
    later: nn.Module | None

    def __post_init__(self) -> None:
        self.model = Stitched(self.head if self.kept is None else None, self.stitcher, self.tail, self.norms)

    def inputs(self, data: StitchData) -> torch.Tensor:
        """Returns what the model takes, of the training inputs."""
        return data.train_inputs if self.kept is None else self.kept[0]


def _begin(
    bottom: Subject,
    bottom_stage: str,
    top: Subject,
    top_stage: str,
    family: str,
    data: StitchData,
    options: StitchOptions,
) -> _Begun:
    source = layout_of(bottom.shape(bottom_stage), bottom.model, options.bottom_layout)
    target = layout_of(top.shape(top_stage), top.model, options.top_layout)
    family, arrange = families.arrangement(family, source, target, options.resize)
    trained = family in TRAINED
    check_options(family, trained, options)
    mode = options.bn_mode or ("recalibrate" if trained else "frozen")
    head, tail = Head(bottom.model, bottom_stage, bottom.example), Tail(top.model, top_stage, top.example)
    later = find_stage(top.model, options.match_stage, "the top") if options.match_stage else None
    if mode == "recalibrate":
        # statistics change, so each stitch has its own; what is shared by tail and matched stage stays shared
        tail, later = borrowed.copied((tail, later), top.role) if tail.norms else (tail, later)
        head = borrowed.copied(head, bottom.role) if head.norms and not options.cache and trained else head
    moves_head = trained and mode == "recalibrate" and bool(head.norms)
    keep = options.augment is None and (not moves_head if options.cache is None else options.cache)
    kept = bottom.kept(bottom_stage) if keep else None
    if options.cache and kept is None:
        raise ValueError(
            f"cache=True, but the activations at {bottom_stage!r} do not fit into cache_bytes = {options.cache_bytes:,}"
        )
    norms: list[_BatchNorm] = (
        [] if mode == "frozen" else [*tail.norms, *(head.norms if kept is None and moves_head else [])]
    )

    needs = family in CLOSED[1:] or (trained and options.init != "random")
    summary = None
    if needs:
        pairs = (
            (
                arrange(arrange.source.to_matrix(f)).flatten(0, 1),
                arrange.target.to_matrix(t).flatten(0, 1),
            )
            for f, t in zip(bottom.stream(bottom_stage), top.stream(top_stage), strict=True)
        )
        with torch.no_grad():
            summary = families.moments(pairs)
    # whatever the caller's default device and precision are
    with runtime.seeded(options.training.seed, 0x57), torch.device("cpu"), runtime.single_precision():
        stitcher = families.build(
            family, arrange, summary, options.init, options.kernel_size, options.rank, options.ridge
        ).to(bottom.where)
    return _Begun(bottom, bottom_stage, family, mode, head, stitcher, tail, norms, kept, later)


def _finished(one: _Begun, top: Subject, top_stage: str, data: StitchData, curves: Curves) -> Stitch:
    one.stitcher.requires_grad_(False)
    one.model.eval()
    tests = data.test_inputs if one.kept is None else one.kept[1]
    wrong, loss = evaluated(one.model, tests, data.test_labels, top.where, "the stitched network")
    difference = wrong.astype(float) - top.wrong
    return Stitch(
        family=one.family,
        bottom_stage=one.stage,
        top_stage=top_stage,
        bn_mode=one.mode,
        error=float(wrong.mean()),
        loss=loss,
        top_error=float(top.wrong.mean()),
        penalty=float(difference.mean()),
        standard_error=standard_error(difference),
        wrong=wrong,
        top_wrong=top.wrong,
        parameters=sum(p.numel() for p in one.stitcher.parameters()),
        cached=one.kept is not None,
        curves=curves,
        model=Stitched(one.head, one.stitcher, one.tail, one.norms).eval(),
    )


def standard_error(difference: np.ndarray) -> float:
    """Returns the standard error of the mean over test samples; NaN for one sample."""
    return float(difference.std(ddof=1) / math.sqrt(len(difference))) if len(difference) > 1 else math.nan


def _recalibrate(model: Stitched, norms: list[_BatchNorm], inputs: torch.Tensor, where: torch.device) -> None:
    """Re-estimates running statistics in one pass, as plain averages over batches."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    model.stitcher.eval()
    with torch.no_grad():
        # a last batch of a single row is joined to the one before
        cuts = range(256, len(inputs) - 1, 256)
        for batch in torch.tensor_split(inputs, list(cuts)):
            model(batch.to(where))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _objective(top: Subject, data: StitchData, options: StitchOptions, later: nn.Module | None):
    """Returns the targets and the loss of the training loop."""

    def finish(model: Stitched, value: torch.Tensor, errors: torch.Tensor):
        return (value + options.l1 * model.stitcher.size() if options.l1 else value), errors

    if options.objective == "labels":

        def on_labels(model, inputs, labels):
            logits = model(inputs).float()
            return finish(model, functional.cross_entropy(logits, labels), (logits.detach().argmax(1) != labels).sum())

        return data.train_labels, on_labels
    if options.objective == "soft_labels":
        heat = options.temperature
        targets = torch.softmax(pass_over(top.model, data.train_inputs, top.where).float() / heat, 1)

        def on_soft(model, inputs, targets):
            logits = model(inputs).float() / heat
            errors = (logits.detach().argmax(1) != targets.argmax(1)).sum()
            return finish(model, functional.cross_entropy(logits, targets), errors)

        return targets, on_soft
    if later is None or options.match_stage is None:
        raise ValueError(f"objective {options.objective!r} needs match_stage, the stage whose output is matched")
    targets = activations(top.model, data.train_inputs, [options.match_stage])[options.match_stage]
    variance = targets.float().var().clamp(min=1e-12)

    def on_features(model, inputs, targets):
        seen = []
        with later.register_forward_hook(lambda _m, _a, out: seen.append(out.clone())):
            model(inputs)
        if not seen:
            raise ValueError(f"match_stage {options.match_stage!r} does not run after the stitch; choose a later stage")
        value = functional.mse_loss(seen[0].float(), targets) / variance
        return finish(model, value, value.new_tensor(torch.nan))

    return targets, on_features
