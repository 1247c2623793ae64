"""Representations learnt without labels: encoders of named stages, the views of each kind of data, features."""

from __future__ import annotations

import functools
from collections import OrderedDict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from dlcore import augment, borrowed, objectives, runtime, training
from dlcore.arrays import as_inputs, as_single, as_tensor, as_whole, typed
from dlcore.config import ELSEWHERE
from dlcore.models import network, networks
from dlcore.training_config import LOSSES, PRETRAINING, VIEWS


class Normalise(nn.Module):
    """Subtracts each channel's mean and divides by its deviation, both of the reference inputs (n, C, ...)."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, reference: torch.Tensor) -> None:
        super().__init__()
        axes = [a for a in range(reference.ndim) if a != 1]
        shape = (1, -1, *[1] * (reference.ndim - 2))
        self.register_buffer("mean", reference.mean(axes).view(shape))
        self.register_buffer("deviation", reference.std(axes).clamp(min=1e-6).view(shape))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the standardised inputs."""
        return (inputs - self.mean) / self.deviation


def to_unit(inputs: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Returns a float tensor of an array, a tensor or a list: uint8 images in [0, 1], everything else as it is."""
    values = as_tensor("inputs", inputs)
    return values.float() / 255 if values.dtype == torch.uint8 else as_single("inputs", values)


@typed
@runtime.single_precision()
def encoder(
    architecture: str, reference: torch.Tensor, *, seed: int = 0, **sizes: int | None
) -> tuple[networks.Stages, int]:
    """Returns a freshly initialised network without its classifier, and the dimension of its features.

    Shapes: reference (n, C, ...) inputs, whose statistics the first stage, "normalise", takes.
    Raises: ValueError for an unknown architecture.

    >>> encoder("mlp", torch.rand(4, 1, 40), width=8, depth=1)[1]
    8
    """
    reference = to_unit(reference)
    net = network(architecture, tuple(reference.shape[1:]), 2, seed=seed, **sizes)
    layers = OrderedDict(net.named_children())
    dimension = cast(nn.Linear, layers.pop("classifier")).in_features
    return networks.Stages(OrderedDict(normalise=Normalise(reference), **layers)), dimension


def view(shape: tuple[int, ...]) -> augment.Augment:
    """Returns the usual random view of inputs of a shape, of `VIEWS`: signals, small, gray or colour images."""
    kind = "signals" if len(shape) == 2 else "small" if shape[1] <= 8 else "gray" if shape[0] == 1 else "colour"
    return augment.chain(*[functools.partial(getattr(augment, name), **how) for name, how in VIEWS[kind].items()])


@typed
@borrowed.own_settings()
@runtime.single_precision()
def pretrain(
    inputs: torch.Tensor,
    objective: str,
    architecture: str,
    *,
    epochs: int,
    batch_size: int = 256,
    learning_rate: float | None = None,
    temperature: float = LOSSES["simclr"]["temperature"],
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: bool = False,
    device: str | torch.device = "auto",
    **sizes: Any,  # whole numbers, as those of `encoder`
) -> tuple[networks.Stages, training.Curves]:
    """Returns an encoder trained on inputs alone, and the curve of its loss. There is no place for a label.

    Shapes: inputs (n, C, ...) float, images in [0, 1] or uint8; an array, a tensor or a list.
    Args: sizes: `width` and `depth` of the network. The other arguments are those of `training.fit`.
    Raises: ValueError for an unknown objective or architecture, fewer than two inputs.
    """
    if wrong := sizes.keys() & ELSEWHERE:
        raise TypeError(" ".join(f"{name} is {ELSEWHERE[name]} here" for name in wrong))
    inputs = to_unit(inputs)
    if inputs.ndim not in (3, 4):
        raise ValueError(f"inputs (n, C, L) or (n, C, H, W) are needed, not {tuple(inputs.shape)}")
    if len(inputs) < 2:
        raise ValueError(f"{len(inputs)} input: nothing to compare it with")
    net, dimension = encoder(architecture, inputs, seed=seed, **sizes)
    with runtime.seeded(seed, 0x55E1F):
        own: dict[str, Any] = {**LOSSES.get(objective, {})}
        if objective == "simclr":
            own["temperature"] = temperature
        whole = objectives.SelfSupervised(net, dimension, objective, **own).to(inputs.dtype)
    random_view = view(tuple(inputs.shape[1:]))
    config = training.TrainConfig(
        epochs=epochs,
        batch_size=min(batch_size, len(inputs)),
        **{**PRETRAINING, **({} if learning_rate is None else {"learning_rate": learning_rate})},
        drop_last=True,
        seed=seed,
    )
    options: dict[str, Any] = {"checkpoint": checkpoint, "progress": progress, "device": device}
    curves = training.fit(
        whole,
        (inputs, torch.zeros(len(inputs), device=inputs.device)),
        config,
        loss=whole.loss,
        augment=random_view if objective == "rotation" else augment.two_views(random_view),
        label=f"{objective} {architecture} seed {seed}",
        **options,
    )
    return net.eval(), curves


@typed
@torch.inference_mode(False)
@torch.no_grad()
def features(net: nn.Module, inputs: torch.Tensor, *, batch_size: int = 1024) -> np.ndarray:
    """Returns the representation of inputs, (n, d) float32, in evaluation mode; the network is given back as it was."""
    inputs, batch_size = as_inputs("inputs", to_unit(inputs), net), as_whole("batch_size", batch_size, 1)
    where = borrowed.device_of(net, inputs.device)
    # as in training: convolutions of images run faster with the channels last
    layout = torch.channels_last if inputs.ndim == 4 and borrowed.plain(net) else torch.contiguous_format
    with borrowed.evaluating(net):
        if inputs.ndim == 4:
            net.to(memory_format=layout)
        outputs = (borrowed.one_tensor(net, part, where, memory_format=layout) for part in inputs.split(batch_size))
        return torch.cat([out.flatten(1).to("cpu", torch.float32, copy=True) for out in outputs]).numpy()
