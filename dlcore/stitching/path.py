"""Stitching connectivity: the path of stitched networks that leads from one trained network to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from dlcore import borrowed
from dlcore.results import Result
from dlcore.stitching.curves import prepared
from dlcore.stitching.fitting import standard_error, stitch_subjects
from dlcore.stitching.subject import StitchData


class Path(Result, plot="path"):
    """The networks S_0 = top, S_1, ..., S_L = bottom; errors are fractions of the test samples.

    `share`, `stage`, `error`, `error_se`, `loss` have L + 1 entries: the share of the stages that the bottom gives,
    the last of them, the test error with its standard error, the mean test cross-entropy in nats. `barrier` is the
    largest error on the way above the worse end, at most 0 where no stitch is worse than both ends; `barrier_se` is its
    standard error, paired over test samples, at the stage where it was found. A largest value of noisy ones is biased
    upwards: the barrier of two ends that are truly connected is a little above 0.
    """

    share: list[float]
    stage: list[str]
    error: list[float]
    error_se: list[float]
    loss: list[float]
    barrier: float
    barrier_se: float


@borrowed.own_settings()
def connectivity(
    bottom: nn.Module,
    top: nn.Module,
    data: StitchData | tuple,
    stages: Sequence[str | tuple[str, str]] | None = None,
    *,
    family: str = "auto",
    **options: Any,
) -> Path:
    """Returns the path of stitched networks from the top to the bottom, stage by stage, and its barrier.

    Shapes: data = train inputs, train labels, test inputs, test labels; both networks know the same classes.
    Args:
        stages: in the order of the layers, as in `penalty_curve`; by default all at which both can be cut.
        family, options: as in `stitch`.
    Raises: ValueError as `stitch` does, and where the bottom's output has not the top's classes: its own end of the
        path would be another task.
    Paper: Bansal, Nakkiran and Barak 2021, definition 1: two networks are stitching-connected if the test loss of every
        stitched network on the way is comparable to the top's.
    Differs: "comparable" gets a number, the barrier, which is that of linear mode connectivity (Frankle et al. 2020)
        on this path.

    >>> import torch
    >>> from dlcore.models import network
    >>> x, y = torch.randn(64, 1, 8, 8), torch.randint(3, (64,))
    >>> net = network("mlp", (1, 8, 8), 3, width=8)
    >>> path = connectivity(net, net, (x, y, x, y), family="least_squares", device="cpu")
    >>> path.stage, path.barrier
    (['', 'hidden1', 'hidden2', 'the whole bottom'], 0.0)
    """
    first, second, pairs, chosen = prepared(bottom, top, data, stages, options)
    classes = [one.check_labels(first.data) for one in (first, second)]
    if classes[0] != classes[1]:
        raise ValueError(
            f"the bottom has {classes[0]} classes, the top {classes[1]}: a path leads from one network to "
            "another of the same task; penalty_curve stitches networks of different tasks"
        )
    wrongs, losses = [second.wrong], [second.loss]
    for a, b in pairs:
        found = stitch_subjects(first, second, a, b, family, first.data, chosen)
        wrongs.append(found.wrong)
        losses.append(found.loss)
    wrongs.append(first.wrong)
    losses.append(first.loss)
    worse = max((wrongs[0], wrongs[-1]), key=np.mean).astype(float)
    barriers = [wrong - worse for wrong in wrongs[1:-1]]
    largest = max(barriers, key=np.mean)
    count = len(wrongs) - 1
    return Path(
        share=[i / count for i in range(count + 1)],
        stage=["", *(low for low, _ in pairs), "the whole bottom"],
        error=[float(wrong.mean()) for wrong in wrongs],
        error_se=[standard_error(wrong.astype(float)) for wrong in wrongs],
        loss=losses,
        barrier=float(largest.mean()),
        barrier_se=standard_error(largest),
    )
