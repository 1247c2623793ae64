"""Small vision networks with named stages, for 1-D signals and 2-D images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from dlcore import runtime
from dlcore.arrays import as_whole, typed
from dlcore.config import ELSEWHERE, one_of, registered
from dlcore.models import NETWORKS


class Stages(nn.Sequential):
    """A network as a chain of named stages; `stages(model)` lists them, `get_submodule(name)` finds one."""


def stages(model: nn.Module) -> list[str]:
    """Returns the names of a network's stages from input to output."""
    return [name for name, _ in model.named_children()]


def _kinds(dims: int) -> tuple[type, type, type]:
    if dims == 1:
        return nn.Conv1d, nn.BatchNorm1d, nn.AdaptiveAvgPool1d
    return nn.Conv2d, nn.BatchNorm2d, nn.AdaptiveAvgPool2d


class _Block(nn.Module):
    """Two 3-wide convolutions with BatchNorm and a shortcut (He et al. 2016, figure 2)."""

    def __init__(self, dims: int, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        conv, norm, _ = _kinds(dims)
        self.conv1 = conv(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = norm(outside)
        self.conv2 = conv(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = norm(outside)
        self.shortcut = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(conv(inside, outside, 1, stride, bias=False), norm(outside))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(out)) + self.shortcut(x))


@typed
def mlp(shape: tuple[int, ...], num_classes: int, *, width: int = 256, depth: int = 2) -> nn.Module:
    """Fully connected network with `depth` hidden ReLU layers of `width` units."""
    size = int(torch.Size(shape).numel())
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for i in range(depth):
        layers[f"hidden{i + 1}"] = nn.Sequential(nn.Linear(size, width), nn.ReLU())
        size = width
    layers["classifier"] = nn.Linear(size, num_classes)
    return Stages(layers)


@typed
def convnet(shape: tuple[int, ...], num_classes: int, *, width: int = 32, depth: int = 3) -> nn.Module:
    """Plain convolutional network: `depth` stages of convolution, BatchNorm, ReLU; width doubles as size halves.

    Takes 1-D signals (C, L) and images (C, H, W). The first stage keeps the size, later ones have stride 2.
    """
    dims = len(shape) - 1
    conv, norm, pool = _kinds(dims)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = shape[0]
    for i in range(depth):
        out, kernel, stride = width * 2**i, 5 if dims == 1 else 3, 1 if i == 0 else 2
        convolution = conv(channels, out, kernel, stride, kernel // 2, bias=False)
        layers[f"conv{i + 1}"] = nn.Sequential(convolution, norm(out), nn.ReLU())
        channels = out
    layers["pool"] = nn.Sequential(pool(1), nn.Flatten())
    layers["classifier"] = nn.Linear(channels, num_classes)
    return Stages(layers)


@typed
def resnet(shape: tuple[int, ...], num_classes: int, *, width: int = 16, depth: int = 1, groups: int = 3) -> nn.Module:
    """Residual network for small inputs: `groups` groups of `depth` blocks, widths w, 2w, 4w, ... (He et al. 2016).

    `width=64, depth=2, groups=4` is ResNet-18 in its CIFAR form (3 x 3 stem, no max-pool).
    """
    dims = len(shape) - 1
    conv, norm, pool = _kinds(dims)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["stem"] = nn.Sequential(conv(shape[0], width, 3, 1, 1, bias=False), norm(width), nn.ReLU())
    channels = width
    for g in range(groups):
        for b in range(depth):
            out = width * 2**g
            layers[f"group{g + 1}_block{b + 1}"] = _Block(dims, channels, out, 2 if g > 0 and b == 0 else 1)
            channels = out
    layers["pool"] = nn.Sequential(pool(1), nn.Flatten())
    layers["classifier"] = nn.Linear(channels, num_classes)
    return Stages(layers)


@typed
def resnet18(shape: tuple[int, ...], num_classes: int, *, width: int = 64, depth: int = 2) -> nn.Module:
    """ResNet-18 for 32 x 32 images: 11.2 million parameters at width 64 and ten classes."""
    return resnet(shape, num_classes, width=width, depth=depth, groups=4)


CONSTRUCTORS: dict[str, Callable[..., nn.Module]] = {make.__name__: make for make in (mlp, convnet, resnet, resnet18)}


@typed
def network(name: str, shape: tuple[int, ...], num_classes: int, *, seed: int = 0, **sizes: Any) -> nn.Module:
    """Returns a freshly initialised network, the same of a seed in every default precision of torch, and of that precision.

    Shapes: `shape` is that of one input, (C, L) for signals or (C, H, W) for images.
    Args: sizes: `width` and `depth`; the defaults are those of the constructor.
    Raises: ValueError for an unknown name, or an input that a convolution cannot take; TypeError for an option of the training.

    >>> stages(network("mlp", (1, 40), 10, width=8, depth=1))
    ['flatten', 'hidden1', 'classifier']
    """
    for size in sizes:
        if (here := ELSEWHERE.get(size, size)) in ELSEWHERE.values():
            raise TypeError(f"{size} belongs to the training: TrainConfig({here}=...)")
    sizes = {k: as_whole(k, v, 0 if k == "depth" else 1) for k, v in sizes.items() if v is not None}
    if (own := registered("architecture").get(name)) is not None:
        with runtime.seeded(seed, 0x1217):
            return own.build(tuple(shape), num_classes, **sizes)
    one_of("network", name, NETWORKS)
    if name != "mlp" and len(shape) not in (2, 3):
        raise ValueError(f"{name} takes (channels, length) or (channels, height, width), not {tuple(shape)}")
    as_whole("num_classes", num_classes, 1)
    with runtime.seeded(seed, 0x1217), runtime.single_precision():
        net = CONSTRUCTORS[name](tuple(shape), num_classes, **sizes)
    return net.to(torch.get_default_dtype())
