"""How `dlcore.training` trains, and what it logs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from dlcore.config import Options, option
from dlcore.results import Result

# how every self-supervised network is pretrained
PRETRAINING: dict[str, Any] = {
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "schedule": "cosine",
}
# a cosine schedule warms up for one step in so many; below this running error all training samples are looked at
LOOP = {"warm_up": 20, "near_zero": 0.05}
# of each objective, SimCLR's where a study has no option for it, and the width of the projector of all
LOSSES: dict[str, dict[str, float]] = {
    "simclr": {"temperature": 0.5, "projection": 256},
    "vicreg": {"invariance": 25.0, "variance": 25.0, "covariance": 1.0, "floor": 1e-4, "projection": 256},
    "barlow_twins": {"redundancy": 5e-3, "projection": 256},
    "rotation": {},
}
# the random views of each kind of inputs: functions of `augment`, one after the other
_COLOURS = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "probability": 0.8, "gray": 0.2}
_BLUR = {"sigma": (0.1, 1.0), "probability": 0.3}
_CROP = {"scale": (0.2, 1.0), "ratio": (3 / 4, 4 / 3), "flip": True}
VIEWS: dict[str, dict[str, dict[str, Any]]] = {
    "signals": {"warp_signal": {"shift": 1.0, "stretch": 0.15, "amplitude": 0.2, "slope": 0.5, "noise": 0.1}},
    "small": {
        "affine": {"degrees": 15.0, "scale": (0.85, 1.15), "shift": 0.08},
        "colour_jitter": {**_COLOURS, "brightness": 0.2, "contrast": 0.3, "gray": 0.0},
    },
    "gray": {
        "resized_crop": {**_CROP, "scale": (0.4, 1.0)},
        "colour_jitter": {**_COLOURS, "gray": 0.0},
        "blur": _BLUR,
    },
    # SimCLR's recipe for CIFAR-10: crop, flip, colour jitter at s = 0.5, grayscale; and a little blur
    "colour": {"resized_crop": _CROP, "colour_jitter": _COLOURS, "blur": _BLUR},
}


def views_of(dataset: str) -> dict[str, Any]:
    """Returns the constants of the views of a data set's inputs, of all kinds where it is one of your own."""
    usual = {
        "digits": "small",
        "mnist1d": "signals",
        "fashion_mnist": "gray",
        "cifar10": "colour",
        "cifar10_full": "colour",
    }
    return {f"views_{kind}": VIEWS[kind] for kind in ([usual[dataset]] if dataset in usual else VIEWS)}


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Options):
    """How to train. Units: epochs, samples, learning rate per step of the mean loss.

    `schedule` "cosine" warms up linearly for the first 5 % of the steps and decays to zero; "constant" does
    neither. `stop_at_zero_error` ends after the first epoch whose training error, measured in evaluation mode on
    all training samples, is at most `target_error`. `drop_last` leaves out an epoch's last batch when it is smaller
    than the others, for losses that compare the samples of a batch. `precision` "auto" is bfloat16 where that is faster and the
    model is convolutional, else float32; the weights are float32 always.
    """

    epochs: int = option(20, low=0)
    batch_size: int = option(128, low=1)
    learning_rate: float = option(0.1, above=0)
    optimizer: str = option("sgd", choices=("sgd", "adam", "adamw"))
    momentum: float = option(0.9, low=0)
    weight_decay: float = option(0.0, low=0)
    schedule: str = option("cosine", choices=("cosine", "constant"))
    stop_at_zero_error: bool = False
    target_error: float = option(0.0, low=0)
    drop_last: bool = False
    precision: str = option("auto", choices=("auto", "float32", "bfloat16"))
    seed: int = option(0, low=0)

    @classmethod
    def interpolating(cls, **changes: Any) -> Self:
        """Returns a recipe that fits a small set to its last label, right or wrong: Adam, until no training error is left.

        The defaults are those of a classifier that is to generalize, and leave noisy labels unlearnt.

        >>> TrainConfig.interpolating(seed=1).stop_at_zero_error
        True
        """
        recipe = {"epochs": 500, "optimizer": "adam", "learning_rate": 1e-3, "schedule": "constant"}
        return cls(**{**recipe, "stop_at_zero_error": True, **changes})


class Curves(Result, plot="curves", frozen=False):
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
