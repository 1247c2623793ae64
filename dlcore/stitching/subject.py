"""A network under study: its private frozen copy, its activations, its errors; and the data, checked."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from dlcore import borrowed
from dlcore.arrays import as_integers, as_network, as_single, as_tensor
from dlcore.stitching.halves import Head, activations, checked_stage, private

BATCH = 512


class StitchData(NamedTuple):
    """Inputs as both networks take them, and integer labels. The map is fitted on the first two.

    Shapes: train_inputs (n, ...), train_labels (n,), test_inputs (m, ...), test_labels (m,), n >= 2, m >= 1; the inputs of
        both have one shape, (channels, height, width) for images; labels 0, 1, ... below the number of classes.
    """

    train_inputs: torch.Tensor
    train_labels: torch.Tensor
    test_inputs: torch.Tensor
    test_labels: torch.Tensor


def checked_data(data) -> StitchData:
    """Returns the data as tensors, the labels on the CPU.

    Raises: ValueError for anything but four arrays, empty sets, lengths that disagree, NaN, labels that are no
        integers.
    """
    if not isinstance(data, tuple | list) or len(data) != 4:
        what = f"{len(data)} arrays" if isinstance(data, tuple | list) else type(data).__name__
        raise ValueError(f"data are train inputs, train labels, test inputs and test labels, not {what}")
    names = ("train inputs", "train labels", "test inputs", "test labels")
    parts = [
        as_tensor(name, part) if name.endswith("inputs") else torch.from_numpy(as_integers(name, part, ndim=1))
        for name, part in zip(names, data, strict=True)
    ]
    # stitching works in float32; NumPy's own precision is float64
    parts = [as_single(n, part) if part.is_floating_point() else part for n, part in zip(names, parts, strict=True)]
    for name, inputs, labels in (("train", *parts[:2]), ("test", *parts[2:])):
        if len(inputs) == 0 or labels.ndim != 1 or len(inputs) != len(labels):
            raise ValueError(f"{name} data: {len(inputs)} inputs and labels of shape {tuple(labels.shape)}")
        if inputs.is_floating_point() and not torch.isfinite(inputs).all():
            raise ValueError(f"{name} inputs contain NaN or infinity")
    if parts[0].shape[1:] != parts[2].shape[1:]:
        raise ValueError(
            f"train inputs {tuple(parts[0].shape)} and test inputs {tuple(parts[2].shape)} differ in shape"
        )
    if len(parts[0]) < 2:
        raise ValueError("two training inputs or more are needed")
    return StitchData(*parts)


@torch.no_grad()
def pass_over(model: nn.Module, inputs: torch.Tensor, where: torch.device) -> torch.Tensor:
    """Returns the model's outputs for all inputs, batch by batch."""
    return torch.cat([borrowed.run(model, batch, where).clone() for batch in inputs.split(BATCH)])


def evaluated(
    model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, where: torch.device, role: str
) -> tuple[np.ndarray, float]:
    """Returns which inputs a network misclassifies (n,), and its mean cross-entropy in nats.

    Raises: ValueError for NaN or infinite scores: the largest of NaN is class 0, an error rate that looks like one.
    """
    scores = pass_over(model, inputs, where)
    if bad := int((~torch.isfinite(scores).all(1)).sum()):
        raise ValueError(f"{role} returns NaN or infinity for {bad} of {len(scores)} test inputs")
    wrong = scores.argmax(1).cpu().numpy() != labels.numpy()
    return wrong, float(functional.cross_entropy(scores.cpu().double(), labels))


class Subject:
    """A private frozen copy of a network on a device; computes shapes, activations and errors once.

    `plan` names the stages whose activations will be asked for: they are collected in one pass, if they fit.
    """

    def __init__(
        self, model: nn.Module, role: str, data: StitchData, where: torch.device, cache_bytes: int, plan: tuple = ()
    ) -> None:
        as_network(model, role)
        self.model, self.role, self.data, self.where = private(model, where, role), role, data, where
        self.cache_bytes, self.plan = cache_bytes, tuple(dict.fromkeys(plan))
        self.example = data.train_inputs[:2].to(where)
        kinds = {p.dtype for p in self.model.parameters() if p.is_floating_point()} - {torch.float32}
        if kinds:
            raise ValueError(f"{role} has weights of {kinds.pop()}; stitching works in float32: model.float()")
        with torch.no_grad():
            borrowed.run(
                self.model, self.example, role=role
            )  # an error, before any work, for inputs that it does not take
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._kept: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def shape(self, stage: str) -> tuple[int, ...]:
        """Returns the shape of one activation. Raises ValueError for a stage that cannot be cut at."""
        if stage not in self._shapes:
            self._shapes[stage] = checked_stage(self.model, stage, self.example, self.role)
        return self._shapes[stage]

    @property
    def wrong(self) -> np.ndarray:
        """Which test samples the whole network misclassifies (n,)."""
        return self._whole[0]

    @property
    def loss(self) -> float:
        """Mean test cross-entropy of the whole network, nats."""
        return self._whole[1]

    @functools.cached_property
    def _whole(self) -> tuple[np.ndarray, float]:
        return evaluated(self.model, self.data.test_inputs, self.data.test_labels, self.where, self.role)

    def check_labels(self, data: StitchData) -> int:
        """Returns the number of classes. Raises ValueError unless the output is (n, classes) and every label is one of the classes."""
        with torch.no_grad():
            out = borrowed.run(self.model, self.example)
        if not isinstance(out, torch.Tensor) or out.ndim != 2 or len(out) != len(self.example) or out.is_complex():
            what = tuple(out.shape) if isinstance(out, torch.Tensor) else f"a {type(out).__name__}"
            raise ValueError(
                f"{self.role} must return class scores (n, classes), not {what}; wrap it in a module that returns them"
            )
        for name, labels in (("train", data.train_labels), ("test", data.test_labels)):
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= out.shape[1]:
                raise ValueError(f"{name} labels run from {low} to {high}; {self.role} has {out.shape[1]} classes")
        return out.shape[1]

    def bytes(self, stage: str) -> int:
        """Returns the size of the activations of all train and test inputs at a stage, in float32."""
        return 4 * math.prod(self.shape(stage)) * (len(self.data.train_inputs) + len(self.data.test_inputs))

    def kept(self, stage: str) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Returns the activations of train and test inputs at a stage, or None where they need too much memory."""
        if stage not in self._kept:
            together = (stage, *(other for other in self.plan if other != stage and other not in self._kept))
            if sum(self.bytes(one) for one in (*together, *self._kept)) > self.cache_bytes:
                self._kept.clear()
                together = (stage,)
                if self.bytes(stage) > self.cache_bytes:
                    return None
            train, test = (
                activations(self.model, inputs, together, batch_size=BATCH)
                for inputs in (self.data.train_inputs, self.data.test_inputs)
            )
            self._kept |= {one: (train[one], test[one]) for one in together}
        return self._kept[stage]

    def stream(self, stage: str) -> Iterator[torch.Tensor]:
        """Yields the activations of the training inputs at a stage, kept or computed, in batches."""
        kept = self.kept(stage)
        if kept is not None:
            yield from kept[0].split(BATCH)
            return
        head = Head(self.model, stage, self.example)
        for batch in self.data.train_inputs.split(BATCH):
            with torch.no_grad():
                yield head(batch.to(self.where))
