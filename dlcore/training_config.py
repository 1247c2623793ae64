"""How `dlcore.training` trains, and what it logs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from dlcore.config import Options, one_of
from dlcore.results import usable

# how every self-supervised network is pretrained
PRETRAINING: dict[str, Any] = {
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "schedule": "cosine",
}


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Options):
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
            one_of(kind, value, choices)
        if self.epochs < 0 or self.batch_size < 1 or not self.learning_rate > 0:
            raise ValueError(f"epochs >= 0, batch_size >= 1 and learning_rate > 0 are needed, not {self}")

    @classmethod
    def interpolating(cls, **changes: Any) -> Self:
        """Returns a recipe that fits a small set to its last label, right or wrong: Adam, until no training error is left.

        The defaults are those of a classifier that is to generalize, and leave noisy labels unlearnt.

        >>> TrainConfig.interpolating(seed=1).stop_at_zero_error
        True
        """
        recipe = {"epochs": 500, "optimizer": "adam", "learning_rate": 1e-3, "schedule": "constant"}
        return cls(**{**recipe, "stop_at_zero_error": True, **changes})


@usable(plot="curves", frozen=False)
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
