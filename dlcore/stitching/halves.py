"""Any network cut at a named stage: what runs until its output (the head), and what runs after (the tail)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dlcore import borrowed, runtime
from dlcore.arrays import as_inputs, as_whole, typed
from dlcore.config import closest


class _Reached(BaseException):
    """Ends a forward pass at a stage, so that what comes after is not computed; no network catches it by mistake."""


class Head(nn.Module):
    """The network until the output of a stage; `norms` are the BatchNorm layers that it runs. It works on a copy."""

    def __init__(self, model: nn.Module, stage: str, example: torch.Tensor) -> None:
        super().__init__()
        found = find_stage(model, stage)
        chain = _chain(model, stage)
        self.model = model if chain is None else chain[0]
        self._stage = None if chain else [found]  # in a list, so that it is not registered twice
        self.norms = _norms(self.model) if chain else _norms_by_time(model, found, example)[0]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the activation."""
        inputs = inputs.clone()
        if self._stage is None:
            return self.model(inputs)
        out = []

        def stop(module, args, output):
            out.append(output)
            raise _Reached

        with self._stage[0].register_forward_hook(stop), contextlib.suppress(_Reached):
            self.model(inputs)
        return out[0]


class Tail(nn.Module):
    """The network after a stage, as a function of the activation; `norms` are the BatchNorm layers that it runs.

    A chain of modules is cut. Any other network is run as a whole, on inputs of zeros, with the stage's output
    replaced. Head and tail together give the network's own output, which is checked here. The activation is copied,
    because layers may work in place on it, and put in rows where a layer may ask for a view of it.
    """

    def __init__(self, model: nn.Module, stage: str, example: torch.Tensor) -> None:
        super().__init__()
        found = find_stage(model, stage)
        chain = _chain(model, stage)
        self.model = model if chain is None else chain[1]
        self.chain = chain is not None
        self._stage = None if chain else [found]
        self.norms = _norms(self.model) if chain else _norms_by_time(model, found, example)[1]
        self._example = example[:1]
        self._format = torch.preserve_format if borrowed.plain(model) else torch.contiguous_format
        self._check_cut(model, stage, example)

    def forward(self, activation: torch.Tensor) -> torch.Tensor:
        """Returns the network's output for an activation in place of the stage's own."""
        activation = activation.clone(memory_format=self._format)
        if self._stage is None:
            return self.model(activation)
        shape = (len(activation), *self._example.shape[1:])
        zeros = torch.zeros(shape, dtype=self._example.dtype, device=activation.device)
        with self._stage[0].register_forward_hook(lambda *_: activation):
            return self.model(zeros)

    @torch.no_grad()
    def _check_cut(self, model: nn.Module, stage: str, example: torch.Tensor) -> None:
        with borrowed.evaluating(model):
            wholes = []
            for _ in range(2):
                with runtime.seeded(0):
                    wholes.append(borrowed.run(model, example))
            with runtime.seeded(0):
                activation = Head(model, stage, example)(example)
                if self._stage is None:  # a chain goes on where it stopped, another network starts again
                    cut = self(activation)
            if self._stage is not None:
                with runtime.seeded(0):
                    cut = self(activation)
        if not _close(*wholes):
            raise ValueError(
                "the top gives different outputs for the same inputs, twice in a row and with the same random numbers: "
                "it keeps a state, so no cut can be checked; its outputs must depend on its inputs alone"
            )
        if not _close(wholes[0], cut):
            raise ValueError(
                f"the input reaches the output of the top without passing stage {stage!r} (a skip connection goes "
                "around it), so a stitch there proves nothing; cut between blocks, not inside one"
            )


def _close(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Whether two outputs are equal but for rounding."""
    if one.shape != two.shape:
        return False
    size = one.abs().nan_to_num(0, 0, 0).max().item()
    return torch.allclose(one, two, rtol=1e-4, atol=1e-5 * size, equal_nan=True)


def find_stage(model: nn.Module, stage: str, role: str = "the network") -> nn.Module:
    """Returns the module of that name. Raises ValueError that names the nearest and lists the network's parts."""
    found = borrowed.find(model, stage)[0] if isinstance(stage, str) else None
    if found is None:
        near = closest(stage, [name for name, _ in model.named_modules() if name])
        hint = f"; did you mean {near!r}?" if near else ";"
        parts = ", ".join(name for name, _ in model.named_children())
        raise ValueError(f"unknown stage {stage!r} of {role}{hint} choose from: {parts}, or a module inside them")
    return found


def checked_stage(model: nn.Module, stage: str, example: torch.Tensor, role: str) -> tuple[int, ...]:
    """Returns the shape of one activation at a stage.

    Raises: ValueError for an unknown stage, one that runs not at all or several times in a forward pass, or whose
        output is not one tensor with a row for each input.
    """
    module = find_stage(model, stage, role)
    _check_heard(module, f"stage {stage!r} of {role}")
    outputs: list = []
    with module.register_forward_hook(lambda _m, _a, output: outputs.append(output)), torch.no_grad():
        borrowed.run(model, example)
    if len(outputs) != 1:
        times = "does not run" if not outputs else f"runs {len(outputs)} times"
        raise ValueError(f"stage {stage!r} of {role} {times} in a forward pass; choose a module that runs once")
    out = outputs[0]
    if isinstance(out, torch.Tensor) and out.is_quantized:
        todo = "choose one of real numbers, or give the network from before it was quantised"
        raise ValueError(f"stage {stage!r} of {role} returns quantised numbers ({out.dtype}): {todo}")
    if not isinstance(out, torch.Tensor) or out.ndim < 2 or len(out) != len(example):
        what = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise ValueError(
            f"stage {stage!r} of {role} returns {what}, not one tensor with a row for each of {len(example)} inputs"
        )
    return tuple(out.shape[1:])


def _check_heard(module: nn.Module, what: str) -> None:
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError(
            f"{what} is inside TorchScript, which lets nobody listen to its parts (those of a scripted nn.Sequential "
            "excepted); give the network from before torch.jit"
        )


@typed
def stage_names(model: nn.Module, example: torch.Tensor, *, depth: int = 1) -> list[str]:
    """Returns the names of a network's parts at which it can be cut, in the order in which they run.

    These are the direct children that have parameters or follow one, run once, and are not the last; of a network that
    is all in one part, the children of that part.

    Args:
        example: a batch of inputs, two or more.
        depth: 2 puts the children of each part in its place (`layer1.0` of torchvision's ResNets, `blocks.0` of timm's
            transformers), 3 theirs (`encoder.layers.encoder_layer_0` of torchvision's transformers). Parts inside of a
            block have a path around them: compare them, but do not stitch there.

    >>> stage_names(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.zeros(2, 4))
    ['1', '2']
    """
    example = as_inputs("example", example, model)
    with borrowed.evaluating(model), borrowed.bare(model) as inner:
        prefix, parent = "", inner
        order = _order(inner, inner, example)
        while len(set(order)) == 1 and any(True for _ in parent.get_submodule(order[0]).children()):
            # all is in one part, as in a wrapper: the cuts are inside it
            prefix, parent = f"{prefix}{order[0]}.", parent.get_submodule(order[0])
            order = _order(inner, parent, example)
        once = [prefix + name for name in order if order.count(name) == 1][:-1]
        for _ in range(1, depth):
            once = [inside for name in once for inside in _opened(inner, name, example)]
        trained = [any(True for _ in inner.get_submodule(name).parameters()) for name in once]
    first = trained.index(True) if True in trained else 0
    return once[first:]


def _opened(model: nn.Module, name: str, example: torch.Tensor) -> list[str]:
    """Returns the names of a part's children that run once, or its own where there are none."""
    order = _order(model, model.get_submodule(name), example)
    return [f"{name}.{child}" for child in order if order.count(child) == 1] or [name]


@torch.no_grad()
def _order(model: nn.Module, parent: nn.Module, example: torch.Tensor) -> list[str]:
    """Returns the names of the children of a part in the order in which they run in a pass of the network."""
    order: list[str] = []
    for name, child in parent.named_children():
        _check_heard(child, f"part {name!r} of the network")
    handles = [
        child.register_forward_hook(lambda _m, _a, _out, name=name: order.append(name))
        for name, child in parent.named_children()
    ]
    with borrowed.hooked(handles):
        borrowed.run(model, example)
    return order


@typed
@torch.inference_mode(False)
@torch.no_grad()
def activations(
    model: nn.Module, inputs: torch.Tensor, stages: Sequence[str], *, batch_size: int = 512
) -> dict[str, torch.Tensor]:
    """Returns the activations of all inputs at several stages, in evaluation mode, from one pass over the inputs.

    Shapes: inputs (n, ...) on any device; each result (n, ...), on the model's device.
    Raises: ValueError for an unknown stage, and as `checked_stage` does.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> {k: tuple(v.shape) for k, v in activations(net, torch.zeros(5, 2), ["0", "1"]).items()}
    {'0': (5, 3), '1': (5, 3)}
    """
    inputs, batch_size = as_inputs("inputs", inputs, model), as_whole("batch_size", batch_size, 1)
    where = borrowed.device_of(model, inputs.device)
    stages = [stages] if isinstance(stages, str) else stages
    parts: dict[str, list[torch.Tensor]] = {stage: [] for stage in stages}

    def take(stage: str, out: torch.Tensor) -> None:
        parts[stage].append(out.clone())  # a later layer may work in place

    with borrowed.evaluating(model), borrowed.bare(model) as inner, watching(inner, parts, inputs[:2].to(where), take):
        for batch in inputs.split(batch_size):
            borrowed.run(inner, batch, where)
    return {stage: torch.cat(found) for stage, found in parts.items()}


@contextlib.contextmanager
def watching(
    model: nn.Module, stages: Iterable[str], example: torch.Tensor, take: Callable[[str, torch.Tensor], None]
) -> Iterator[None]:
    """A block in which `take(stage, output)` is called when a stage has run. Raises ValueError as `checked_stage` does."""
    names = list(dict.fromkeys(stages))
    with borrowed.evaluating(model):
        for stage in names:
            checked_stage(model, stage, example, "the network")
    with borrowed.hooked(
        find_stage(model, stage).register_forward_hook(lambda _m, _a, out, stage=stage: take(stage, out))  # pyright: ignore[reportArgumentType]
        for stage in names
    ):
        yield


def private(model: nn.Module, where: torch.device, role: str) -> nn.Module:
    """Returns a frozen copy in evaluation mode on a device, without wrappers; the original stays as it is."""
    mine = borrowed.copied(model, role).to(where).eval()
    for parameter in mine.parameters():  # TorchScript has no requires_grad_ of its own
        parameter.requires_grad_(False)
    return mine


def _chain(model: nn.Module, stage: str) -> tuple[nn.Module, nn.Module] | None:
    """Returns both halves of a (nested) nn.Sequential, or None for any other network, or one whose call does more."""
    before: list[nn.Module] = []
    after: list[nn.Module] = []
    here = model
    for part in borrowed.find(model, stage)[1].split("."):
        own = isinstance(here, nn.Sequential) and type(here).forward is nn.Sequential.forward
        if not isinstance(here, nn.Sequential) or not own or borrowed.altered(here):
            return None
        layers, index = list(here), list(here._modules).index(part)
        before += layers[:index]
        after = layers[index + 1 :] + after
        here = layers[index]
    return nn.Sequential(*before, here), nn.Sequential(*after)


def _norms(model: nn.Module) -> list[_BatchNorm]:
    return [part for part in model.modules() if isinstance(part, _BatchNorm) and part.running_mean is not None]


@torch.no_grad()
def _norms_by_time(
    model: nn.Module, stage: nn.Module, example: torch.Tensor
) -> tuple[list[_BatchNorm], list[_BatchNorm]]:
    """Returns the BatchNorm layers that run until the stage's output, and after it."""
    done: list[bool] = []
    sides: tuple[list[_BatchNorm], list[_BatchNorm]] = [], []
    handles = [m.register_forward_pre_hook(lambda *_, m=m: sides[bool(done)].append(m)) for m in _norms(model)]
    handles.append(stage.register_forward_hook(lambda *_: done.append(True)))
    with borrowed.hooked(handles), borrowed.evaluating(model):
        borrowed.run(model, example)
    return sides
