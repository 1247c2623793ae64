"""Any network cut at a named stage: what runs until its output (the head), and what runs after (the tail)."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dlcore.arrays import as_inputs
from dlcore.config import closest


class _Reached(Exception):
    """Ends a forward pass at a stage, so that what comes after is not computed."""


class Head(nn.Module):
    """The network until the output of a stage; `norms` are the BatchNorm layers that it runs."""

    def __init__(self, model: nn.Module, stage: str, example: torch.Tensor) -> None:
        super().__init__()
        found = find_stage(model, stage)
        chain = _chain(model, stage)
        self.model = model if chain is None else chain[0]
        self._stage = None if chain else [found]  # in a list, so that it is not registered twice
        self.norms = _norms(self.model) if chain else _norms_by_time(model, found, example)[0]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the activation."""
        if self._stage is None:
            return self.model(inputs)
        out = []

        def stop(module, args, output):
            out.append(output)
            raise _Reached

        handle = self._stage[0].register_forward_hook(stop)
        try:
            self.model(inputs)
        except _Reached:
            pass
        finally:
            handle.remove()
        return out[0]


class Tail(nn.Module):
    """The network after a stage, as a function of the activation; `norms` are the BatchNorm layers that it runs.

    A chain of modules is cut. Any other network is run as a whole, on inputs of zeros, with the stage's output
    replaced: its result does not depend on the inputs, which is checked here.
    """

    def __init__(self, model: nn.Module, stage: str, example: torch.Tensor) -> None:
        super().__init__()
        found = find_stage(model, stage)
        chain = _chain(model, stage)
        self.model = model if chain is None else chain[1]
        self._stage = None if chain else [found]
        self.norms = _norms(self.model) if chain else _norms_by_time(model, found, example)[1]
        self._example = example[:1]
        if chain is None:
            self._check_cut(stage, example)

    def forward(self, activation: torch.Tensor) -> torch.Tensor:
        """Returns the network's output for an activation in place of the stage's own."""
        if self._stage is None:
            return self.model(activation)
        zeros = torch.zeros((len(activation), *self._example.shape[1:]), dtype=self._example.dtype)
        return self._replaced(zeros.to(activation.device), activation)

    def _replaced(self, inputs: torch.Tensor, activation: torch.Tensor) -> torch.Tensor:
        handle = self._stage[0].register_forward_hook(lambda *_: activation)
        try:
            return self.model(inputs)
        finally:
            handle.remove()

    @torch.no_grad()
    def _check_cut(self, stage: str, example: torch.Tensor) -> None:
        activation = Head(self.model, stage, example)(example)
        seen, unseen = (self._replaced(x, activation) for x in (example, torch.zeros_like(example)))
        if not torch.allclose(seen, unseen, rtol=1e-4, atol=1e-5):
            raise ValueError(
                f"the input reaches the output of the top without passing stage {stage!r} (a skip connection goes "
                "around it), so a stitch there proves nothing; cut between blocks, not inside one"
            )


def find_stage(model: nn.Module, stage: str, role: str = "the network") -> nn.Module:
    """Returns the module of that name. Raises ValueError that names the nearest and lists the network's parts."""
    try:
        found = model.get_submodule(stage) if stage else None
    except AttributeError:
        found = None
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
    outputs: list = []
    handle = module.register_forward_hook(lambda _m, _a, output: outputs.append(output))
    try:
        with torch.no_grad():
            model(example)
    finally:
        handle.remove()
    if len(outputs) != 1:
        times = "does not run" if not outputs else f"runs {len(outputs)} times"
        raise ValueError(f"stage {stage!r} of {role} {times} in a forward pass; choose a module that runs once")
    out = outputs[0]
    if not isinstance(out, torch.Tensor) or out.ndim < 2 or len(out) != len(example):
        what = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise ValueError(
            f"stage {stage!r} of {role} returns {what}, not one tensor with a row for each of {len(example)} inputs"
        )
    return tuple(out.shape[1:])


def stage_names(model: nn.Module, example: torch.Tensor) -> list[str]:
    """Returns the names of a network's parts at which it can be cut, in the order in which they run.

    These are the direct children that have parameters or follow one, run once, and are not the last.

    Args: example: a batch of inputs, two or more.

    >>> stage_names(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.zeros(2, 4))
    ['1', '2']
    """
    model, example = eager(model), as_inputs("example", example, model)
    order: list[str] = []
    handles = [
        child.register_forward_hook(lambda _m, _a, out, name=name: order.append(name))
        for name, child in model.named_children()
    ]
    mode = model.training
    model.eval()
    try:
        with torch.no_grad():
            model(example)
    finally:
        model.train(mode)
        for handle in handles:
            handle.remove()
    once = [name for name in order if order.count(name) == 1][:-1]
    trained = [any(True for _ in model.get_submodule(name).parameters()) for name in once]
    first = trained.index(True) if True in trained else 0
    return once[first:]


@torch.no_grad()
def activations(
    model: nn.Module, inputs: torch.Tensor, stages: Sequence[str], batch_size: int = 512
) -> dict[str, torch.Tensor]:
    """Returns the activations of all inputs at several stages, in evaluation mode, from one pass over the inputs.

    Shapes: inputs (n, ...) on any device; each result (n, ...), on the model's device.
    Raises: ValueError for an unknown stage, and as `checked_stage` does.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> {k: tuple(v.shape) for k, v in activations(net, torch.zeros(5, 2), ["0", "1"]).items()}
    {'0': (5, 3), '1': (5, 3)}
    """
    model, inputs = eager(model), as_inputs("inputs", inputs, model)
    where = next((p.device for p in model.parameters()), inputs.device)
    training = model.training
    model.eval()
    parts: dict[str, list[torch.Tensor]] = {stage: [] for stage in stages}
    handles = []
    try:
        for stage in parts:
            checked_stage(model, stage, inputs[:2].to(where), "the network")
        # a clone: a later layer may work in place
        handles = [
            find_stage(model, stage).register_forward_hook(lambda _m, _a, out, into=into: into.append(out.clone()))
            for stage, into in parts.items()
        ]
        for batch in inputs.split(batch_size):
            model(batch.to(where))
    finally:
        for handle in handles:
            handle.remove()
        model.train(training)
    return {stage: torch.cat(found) for stage, found in parts.items()}


def eager(model: nn.Module) -> nn.Module:
    """Returns what `torch.compile` wraps: a compiled network ignores hooks that are set after its first run."""
    return getattr(model, "_orig_mod", model)


def private(model: nn.Module, where: torch.device) -> nn.Module:
    """Returns a frozen copy in evaluation mode on a device; the original stays as it is."""
    return copy.deepcopy(eager(model)).to(where).requires_grad_(False).eval()


def _chain(model: nn.Module, stage: str) -> tuple[nn.Module, nn.Module] | None:
    """Returns both halves of a (nested) nn.Sequential, or None for any other network."""
    before: list[nn.Module] = []
    after: list[nn.Module] = []
    here = model
    for part in stage.split("."):
        if type(here).forward is not nn.Sequential.forward:
            return None
        names = list(here._modules)
        index = names.index(part)
        before += [here._modules[name] for name in names[:index]]
        after = [here._modules[name] for name in names[index + 1 :]] + after
        here = here._modules[part]
    return nn.Sequential(*before, here), nn.Sequential(*after)


def _tracked(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.running_mean is not None


def _norms(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if _tracked(module)]


@torch.no_grad()
def _norms_by_time(
    model: nn.Module, stage: nn.Module, example: torch.Tensor
) -> tuple[list[nn.Module], list[nn.Module]]:
    """Returns the BatchNorm layers that run until the stage's output, and after it."""
    done, sides = [], ([], [])
    handles = [m.register_forward_pre_hook(lambda m, _: sides[bool(done)].append(m)) for m in _norms(model)]
    handles.append(stage.register_forward_hook(lambda *_: done.append(True)))
    try:
        model(example)
    finally:
        for handle in handles:
            handle.remove()
    return sides
