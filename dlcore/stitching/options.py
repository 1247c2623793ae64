"""How to stitch, beyond the family: every option checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import torch

from dlcore.config import ELSEWHERE, Options, option
from dlcore.stitching import INITIALISATIONS, layouts
from dlcore.training import Augment, TrainConfig

OBJECTIVES = ("labels", "soft_labels", "features")


@dataclass(frozen=True, kw_only=True)
class StitchOptions(Options):
    """How to stitch, beyond the family.

    init: of a trained map: "random", "identity" or "least_squares" (starts at the closed form).
    bn_mode: "recalibrate" (the authors'): while the map is trained, BatchNorm of the frozen halves uses batch
        statistics and its running ones are re-estimated; "frozen": nothing of the halves changes. By default
        "recalibrate" for trained families and "frozen" for closed forms; a closed form with "recalibrate" re-estimates
        the top's statistics in one pass.
    kernel_size: of the convolution, odd; 1 is the paper's. rank: of the map (low_rank needs it). ridge, l1: penalties
        of least squares and of trained weights.
    objective: "labels" (cross-entropy), "soft_labels" (cross-entropy with the top's own probabilities at
        `temperature`), "features" (squared error of the activations at `match_stage`, a later stage of the top,
        relative to their variance).
    resize: interpolation between positions that differ: "nearest", "bilinear", "area". bottom_layout, top_layout:
        "channels_first" or "channels_last" where "auto" guesses wrong.
    augment: as in `training.fit`. cache: whether to keep the bottom's activations; None where that is exact and they
        fit into `cache_bytes`. True is inexact with "recalibrate": the bottom then keeps its own statistics.
    training: the loop's configuration; its seed also draws the map's first weights.

    Raises: ValueError for an unknown choice, an even kernel_size, a negative or infinite ridge or l1, a temperature that is
        not positive, match_stage without objective="features" or the other way round, and augment with another
        objective than the labels or with cache=True. What does not fit the family is refused by `stitch`.
    Paper: Bansal, Nakkiran and Barak 2021, appendix A.4 (the maps, Adam at 1e-3 with a cosine schedule); the handling of
        BatchNorm is that of the authors' research code, which the paper does not mention.
    Differs: 30 epochs by default, where the authors train about ten times as long, and no crops and flips unless `augment`
        is given.
    """

    init: str = option("random", choices=INITIALISATIONS)
    bn_mode: str | None = option(None, choices=("recalibrate", "frozen"))
    kernel_size: int = option(1, low=1)
    rank: int | None = option(None, low=1)
    ridge: float = option(0.0, low=0)
    l1: float = option(0.0, low=0)
    objective: str = option("labels", choices=OBJECTIVES)
    temperature: float = option(1.0, above=0)
    match_stage: str | None = None
    resize: str | None = option(None, choices=layouts.RESIZE)
    bottom_layout: str = option("auto", choices=layouts.KINDS)
    top_layout: str = option("auto", choices=layouts.KINDS)
    augment: Augment | None = None
    cache: bool | None = None
    cache_bytes: int = option(2**31, low=0)
    training: TrainConfig = field(
        default_factory=lambda: TrainConfig(epochs=30, learning_rate=1e-3, optimizer="adam", precision="float32")
    )
    device: str | torch.device = "auto"

    def __new__(cls, *_: Any, **options: Any) -> Self:
        """Names the place of an option of the training."""
        for name in options:
            if (here := ELSEWHERE.get(name, name)) in TrainConfig.__dataclass_fields__:
                raise TypeError(f"option {name!r} belongs to the training of the map: training=TrainConfig({here}=...)")
        return super().__new__(cls, **options)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size = {self.kernel_size} must be an odd positive integer")
        if (self.objective == "features") != (self.match_stage is not None):
            raise ValueError("objective='features' and match_stage, a stage of the top, go together")
        if self.augment is not None and (self.objective != "labels" or self.cache):
            raise ValueError("augment goes with objective='labels' and without cache=True: targets are computed once")

    @classmethod
    def of(cls, options: dict[str, Any]) -> StitchOptions:
        """Returns the options. Raises ValueError for a name that is none, with the nearest."""
        try:
            return cls(**options)
        except TypeError as error:
            raise ValueError(str(error)) from None


def check_options(family: str, trained: bool, options: StitchOptions) -> None:
    """Raises ValueError where an option does not belong to the family."""
    if family == "low_rank" and options.rank is None:
        raise ValueError("family 'low_rank' needs rank, the rank of the map")
    if options.rank is not None and (options.kernel_size > 1 or not (trained or family == "low_rank")):
        raise ValueError(f"rank belongs to low_rank and to trained maps with kernel_size 1, not to {family!r}")
    if options.kernel_size > 1 and family != "conv1x1":
        raise ValueError(f"kernel_size = {options.kernel_size} belongs to family 'conv1x1', not to {family!r}")
    if not trained and (options.init != "random" or options.l1 or options.objective != "labels"):
        raise ValueError(f"init, l1 and objective belong to trained families; {family!r} is a closed form")
