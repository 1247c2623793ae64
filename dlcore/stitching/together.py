"""Several maps below one stage of a top, trained at once: the top's layers run once a step, on the batches of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from dlcore import borrowed, runtime
from dlcore.stitching.options import StitchOptions

# bytes of the activations of all networks, beyond which they are not held twice; larger networks would gain nothing
MOST = 2**28
# layers that do with signals what they do with images of height 1
_ALIKE = (nn.Linear, nn.Flatten, nn.Identity, nn.Dropout, nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh)


def can(models: Sequence[Any], kept: Sequence[torch.Tensor], options: StitchOptions) -> bool:
    """Whether stitched networks give together what each gives alone: linear maps of one size, on kept activations, and a top
    that is a chain of torch's layers, of which BatchNorm alone looks beyond a row."""
    shared = torch.distributed.is_available() and torch.distributed.is_initialized()
    if options.objective != "labels" or options.training.precision != "float32" or shared:
        return False
    first, size = models[0].stitcher, sum(each.nbytes for each in kept)
    alike = {(str(m.stitcher), m.stitcher.arrange.target) for m in models}
    if len(alike) > 1 or type(first.core) is not nn.Linear or size > MOST:
        return False
    return all(m.head is None and m.tail.chain and borrowed.plain(m.tail.model) for m in models)


class Together(nn.Module):
    """K stitched networks below one top, each with its own kept activations (n, ...); takes the numbers of rows."""

    def __init__(self, models: Sequence[Any], kept: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self._models, self._target = models, models[0].stitcher.arrange.target
        stitchers = [model.stitcher for model in models]
        with torch.no_grad():
            rows = [
                stitcher.rows(each).unflatten(0, (len(each), -1))
                for stitcher, each in zip(stitchers, kept, strict=True)
            ]
            self._kept = torch.cat(rows, 2)
        self.norm_in, self.norm_out = (
            _joined([getattr(one, name) for one in stitchers]) for name in ("norm_in", "norm_out")
        )
        self.weight = nn.Parameter(torch.stack([one.core.weight.detach().T for one in stitchers]))
        self.bias = nn.Parameter(torch.stack([one.core.bias.detach()[None] for one in stitchers]))
        tails = [model.tail.model for model in models]
        self.tail = borrowed.copied(tails[0])
        norms = [name for name, part in self.tail.named_modules() if isinstance(part, _BatchNorm)]
        for name in norms:
            self.tail.set_submodule(name, _Apart([tail.get_submodule(name) for tail in tails]))
        convs = any(isinstance(part, nn.Conv1d | nn.Conv2d) for part in self.tail.modules())
        self._last = convs and rows[0].device.type == "cpu" and runtime.safe_last(self.tail)
        self._signals = self._last and _as_images(self.tail)
        if self._last:
            self.tail.to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> Together:
        """Sets the mode of what is trained or recalibrated."""
        self.training = mode
        for part in (*self._models, self.norm_in, self.norm_out):
            part.train(mode)
        return self

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Returns the outputs (K, rows, classes) of K networks."""
        count, x = len(self.weight), self._kept[rows]
        x = self.norm_in(x.flatten(0, 1)).unflatten(1, (count, -1)).transpose(0, 1)
        x = torch.baddbmm(self.bias, x, self.weight)
        x = self.norm_out(x.transpose(0, 1).flatten(1)).unflatten(1, (count, -1)).transpose(0, 1)
        x = self._target.from_matrix(x.reshape(count * len(rows), self._target.positions, -1))
        x = x.unsqueeze(2) if self._signals else x
        x = x.contiguous(memory_format=torch.channels_last) if self._last and x.ndim == 4 else x
        return self.tail(x).unflatten(0, (count, -1))

    def size(self) -> torch.Tensor:
        """Returns the sum of the sizes of the maps, as `Stitcher.size`."""
        return self.weight.abs().sum()

    @torch.no_grad()
    def write(self) -> None:
        """Gives every network its map."""
        for k, stitcher in enumerate(model.stitcher for model in self._models):
            stitcher.core.weight.copy_(self.weight[k].T)
            stitcher.core.bias.copy_(self.bias[k, 0])
            for own, joined in ((stitcher.norm_in, self.norm_in), (stitcher.norm_out, self.norm_out)):
                state = joined.state_dict()
                for name, value in own.state_dict().items():
                    value.copy_(state[name].chunk(len(self.weight))[k] if value.ndim else state[name])


def _joined(norms: Sequence[nn.Module]) -> nn.Module:
    """Returns one BatchNorm of the channels of several, or nothing where they are nothing."""
    if not isinstance(norms[0], nn.BatchNorm1d):
        return nn.Identity()
    states = [norm.state_dict() for norm in norms]
    channels = torch.cat([state["weight"] for state in states])
    found = nn.BatchNorm1d(len(channels), device=channels.device)
    found.load_state_dict({k: torch.cat([s[k] for s in states]) if v.ndim else v for k, v in states[0].items()})
    return found


def objective(penalty: float):
    """Returns the loss of `Together`: the sum over the networks of the mean cross-entropy, and of `penalty` times the size of
    the map, so that each map gets the gradient that it gets alone."""

    def loss(model: Together, rows: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model(rows).float()
        count = len(logits)
        value = count * functional.cross_entropy(logits.flatten(0, 1), labels.repeat(count))
        if penalty:
            value = value + penalty * model.size()
        return value, (logits.detach().argmax(2) != labels).sum() / count

    return loss


class _Apart(nn.Module):
    """BatchNorm of batches that are joined in one, each with its own layer."""

    def __init__(self, norms: Sequence[nn.Module]) -> None:
        super().__init__()
        self.norms = nn.ModuleList(norms)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.ndim == 4 and isinstance(self.norms[0], nn.BatchNorm1d)
        flat = x.movedim(1, -1) if rows else x
        parts = flat.chunk(len(self.norms))
        if not rows:
            return torch.cat([norm(part) for norm, part in zip(self.norms, parts, strict=True)])
        found = [norm(part.flatten(0, -2)) for norm, part in zip(self.norms, parts, strict=True)]
        return torch.cat(found).view(flat.shape).movedim(-1, 1)


class _Mean(nn.Module):
    """The mean of an image. The pool's backward pass leaves the layout, and the ReLU before it then takes 20 times as long."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.movedim(1, -1).mean((1, 2))[..., None, None]


class _Conv(nn.Module):
    """A convolution of signals, given as images of height 1."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(conv.weight.unsqueeze(2), requires_grad=False), conv.bias
        along = ((1, conv.stride[0]), (0, int(conv.padding[0])), (1, conv.dilation[0]))
        self._how = (*along, conv.groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, self.weight, self.bias, *self._how)


def _as_images(network: nn.Module) -> bool:
    """Makes a network of signals one of images of height 1, where it has only layers for which that is known.

    Only images have a layout with the channels last: there BatchNorm's backward pass takes a third to a nineteenth of the
    time, a convolution's two thirds.
    """
    apart = tuple(f"{name}." for name, part in network.named_modules() if isinstance(part, _Apart))
    leaves = {
        name: part
        for name, part in network.named_modules()
        if not name.startswith(apart) and (isinstance(part, _Apart) or not any(True for _ in part.children()))
    }
    convs = {n: part for n, part in leaves.items() if type(part) is nn.Conv1d}
    pools = {n: part for n, part in leaves.items() if type(part) is nn.AdaptiveAvgPool1d and part.output_size == 1}
    known = all(n in convs or n in pools or type(part) in (_Apart, *_ALIKE) for n, part in leaves.items())
    if not convs or not known or any(c.padding_mode != "zeros" or isinstance(c.padding, str) for c in convs.values()):
        return False
    for name, conv in convs.items():
        network.set_submodule(name, _Conv(conv))
    for name in pools:
        network.set_submodule(name, _Mean())
    return True
