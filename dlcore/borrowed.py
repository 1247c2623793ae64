"""A network that belongs to someone else: run on copies of the inputs, copied, and given back as it was."""

from __future__ import annotations

import contextlib
import copy
import types
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, cast

import torch
from torch import nn
from torch.jit._trace import TopLevelTracedModule
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from dlcore import runtime
from dlcore.arrays import as_network

T = TypeVar("T")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_LAZY = "run the network once on a batch first"
# the part of a wrapper's names that stands for the network inside
_INSIDE = ("module", "_orig_mod")


def run(
    model: nn.Module,
    inputs: torch.Tensor,
    where: torch.device | None = None,
    *,
    role: str = "the network",
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Any:
    """Returns the network's output for a copy of the inputs: a network may write to what it is given.

    Raises: ValueError where it does not take them; torch's own sentences speak of its inner matrices.
    """
    try:
        return model(inputs.to(where or inputs.device, copy=True, memory_format=memory_format))
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        shape = tuple(inputs.shape)
        raise ValueError(f"{role} does not run on inputs of shape {shape} and {inputs.dtype}: {error}") from error


def one_tensor(
    model: nn.Module, inputs: torch.Tensor, where: torch.device | None = None, classes: int = 1, **options: Any
) -> torch.Tensor:
    """Returns a network's output, as `run` does.

    Raises: ValueError where it is not one tensor of real numbers with a row for each input, of at least so many columns.
    """
    output, rows = run(model, inputs, where, **options), len(inputs)
    real = isinstance(output, torch.Tensor) and output.layout == torch.strided and not output.is_complex()
    if not real or output.ndim < 2 or len(output) != rows:
        what, todo = f"a {type(output).__name__}", "wrap it in a module that returns its scores"
        if isinstance(output, torch.Tensor):
            what = f"of shape {tuple(output.shape)} for {rows}" + ("" if real else f", {output.dtype}, {output.layout}")
        raise ValueError(f"the network must return one tensor with a row for each input, not {what}; {todo}")
    if output.shape[1] < classes:
        todo = "compare it with a threshold, or wrap the network in a module that returns a score for each class"
        raise ValueError(
            f"the network returns {output.shape[1]} score an input, of which class 0 is the largest always: {todo}"
        )
    return output


def device_of(model: nn.Module, otherwise: torch.device) -> torch.device:
    """Returns the device of the first parameter or buffer, or another where there is none."""
    _check_numbers(model)
    return next((t.device for group in (model.parameters(), model.buffers()) for t in group), otherwise)


def altered(module: nn.Module) -> bool:
    """Whether calling a module does more than its class says: it has hooks, or a `forward` of its own."""
    return _hooked(module) or "forward" in vars(module)


def _hooked(module: nn.Module) -> bool:
    return any(getattr(module, name) for name in _HOOKS)


def plain(model: nn.Module) -> bool:
    """Whether all parts are torch's or ours, as they come: such a network runs in any memory format."""
    return not any(altered(m) or not type(m).__module__.startswith(("torch.nn.", "dlcore.")) for m in model.modules())


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Gradients on and autocast off, whatever the caller has; the caller's modes and random state come back."""
    off = [torch.autocast(kind, enabled=False) for kind in ("cpu", "cuda")]
    with torch.inference_mode(False), torch.enable_grad(), off[0], off[1], runtime.same_random_state():
        yield


@contextlib.contextmanager
def unchanged(*models: nn.Module) -> Iterator[None]:
    """Gives back the mode of every part, the memory format of every weight and the random state, also after an error."""
    modes = [(part, part.training) for model in models for part in model.modules()]
    # by name: a buffer that changes its format is another tensor
    strides = [{name: t.stride() for name, t in _images(model)} for model in models]
    with runtime.same_random_state():
        try:
            yield
        finally:
            for part, mode in modes:
                part.training = mode
            for model, before in zip(models, strides, strict=True):
                for name, t in _images(model):
                    for held in (t, t.grad) if t.requires_grad else (t,):
                        if held is not None and held.stride() != before.get(name, held.stride()):
                            held.data = torch.empty_strided(
                                held.shape, before[name], dtype=held.dtype, device=held.device
                            ).copy_(held.data)


def _check_numbers(model: nn.Module, role: str = "the network") -> None:
    as_network(model, role)
    if any(t.is_meta for group in (model.parameters(), model.buffers()) for t in group):
        raise ValueError(f"{role} is on the meta device, which holds no numbers: load its weights first")


def _images(model: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Returns the parameters and buffers that `Module.to(memory_format=...)` rearranges."""
    named = (*model.named_parameters(), *model.named_buffers())
    return [(name, t) for name, t in named if not nn.parameter.is_lazy(t) and t.ndim in (4, 5)]


@contextlib.contextmanager
def evaluating(model: nn.Module, weights: bool = False) -> Iterator[None]:
    """Puts a network in evaluation mode; after the block each part has the mode and the buffers that it had.

    With `weights` these come back too: some layers take their first weights from the first batch that they see.
    """
    kinds = ("_buffers", "_parameters") if weights else ("_buffers",)
    _check_numbers(model)
    held = [
        (place, name, t, t.detach().clone())
        for part in model.modules()
        for place in (getattr(part, kind) for kind in kinds)
        for name, t in place.items()
        if t is not None and not nn.parameter.is_lazy(t)
    ]
    with unchanged(model):
        try:
            model.eval()
            yield
        finally:
            for place, name, t, before in held:
                if not torch.equal(t, before):
                    with torch.inference_mode(t.is_inference()), torch.no_grad():
                        t.copy_(before)
                place[name] = t


@contextlib.contextmanager
def training(*models: nn.Module) -> Iterator[None]:
    """A block in which networks can be trained wherever the caller stands; see `unchanged` and `own_settings`.

    Raises: ValueError for weights that cannot be trained: made under `torch.inference_mode()`, not made yet, or of half
        precision, in which small steps round to none.
    """
    for model in models:
        _check_numbers(model)
        for name, p in model.named_parameters():
            if nn.parameter.is_lazy(p):
                raise ValueError(f"parameter {name!r} has no shape yet: {_LAZY}")
            if p.requires_grad and p.is_floating_point() and p.element_size() < 4:
                todo = "train model.float(), with precision='bfloat16' for speed"
                raise ValueError(f"parameter {name!r} is {p.dtype}, in which small steps round to none: {todo}")
            if p.is_inference():
                why = "was made under torch.inference_mode(), where nothing can be trained"
                raise ValueError(f"parameter {name!r} {why}; build the network outside it")
    with own_settings(), unchanged(*models):
        yield


@contextlib.contextmanager
def hooked(handles: Iterable[RemovableHandle]) -> Iterator[None]:
    """Removes registered hooks after the block."""
    with contextlib.ExitStack() as stack:
        for handle in handles:
            stack.enter_context(handle)
        yield


@contextlib.contextmanager
def batch_of(model: nn.Module, rows: int, used: int, batch_size: int) -> Iterator[None]:
    """Around a training step: in a last batch of one row, BatchNorm takes its running statistics.

    One value a channel has no variance; a layer that gets more, from a row of many positions, works as always.
    Raises: ValueError where that happens in a batch that is not the rest of others.
    """
    rest = rows == 1 < min(used, batch_size)

    def before(norm: nn.Module, args: tuple) -> None:
        norm.training = args[0].numel() != args[0].shape[1]

    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)] if rest else []
    norms = [norm for norm in norms if norm.training and norm.running_mean is not None]
    try:
        with hooked([norm.register_forward_pre_hook(before) for norm in norms]):
            yield
    except (ValueError, RuntimeError) as error:
        if "more than 1 value per channel" not in str(error):
            raise
        what = f"{rows} sample in a batch, of {used} in all: BatchNorm knows no variance of one value"
        todo = f"drop_last=True leaves a last batch of one out, or choose another batch_size than {batch_size}"
        raise ValueError(f"{what}. {todo}") from error
    finally:
        for norm in norms:
            norm.training = True


class _Detached(TorchFunctionMode):
    """Lets `deepcopy` copy what torch refuses: tensors that a forward pass has left in a network, as values."""

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if function is torch.Tensor.__deepcopy__ and not args[0].is_leaf:
            tensor, memo = args
            memo[id(tensor)] = tensor.detach().clone()
            return memo[id(tensor)]
        return function(*args, **(kwargs or {}))


def copied(of: T, role: str = "the network") -> T:
    """Returns a deep copy of a network, or of several things that share parts, without what wraps it.

    Raises: ValueError for a network that cannot be copied, or has weights that are not made yet.
    """
    if isinstance(of, nn.Module) and any(map(nn.parameter.is_lazy, of.parameters())):
        raise ValueError(f"{role} has parameters without a shape: {_LAZY}")
    if isinstance(of, nn.Module):
        _check_numbers(of, role)
    with bare(of) if isinstance(of, nn.Module) else contextlib.nullcontext(of) as inner:
        try:
            with torch.no_grad(), _Detached():
                memo: dict[int, Any] = {}
                mine = copy.deepcopy(inner, memo)
                for part in mine.modules() if isinstance(mine, nn.Module) else ():
                    _rebind(part, memo)
                return cast(T, mine)
        except Exception as error:
            why = "does it hold a file, a lock or a generator? copy.deepcopy says:"
            raise ValueError(f"{role} cannot be copied, which keeps yours as it is; {why} {error}") from error


def _rebind(part: nn.Module, memo: dict[int, Any]) -> None:
    """Lets functions that a copied part holds, such as a patched `forward`, call the copy where they call the original."""
    for place in (vars(part), *(getattr(part, name) for name in _HOOKS)):
        for name, value in place.items():
            if isinstance(value, types.FunctionType):
                place[name] = _bound_anew(value, memo)


def _bound_anew(value: Any, memo: dict[int, Any]) -> Any:
    """Returns a part, a method of a part, or a function that has caught either, as that of the copies in `memo`."""
    if id(getattr(value, "__self__", value)) in memo and isinstance(getattr(value, "__self__", value), nn.Module):
        return copy.deepcopy(value, memo)
    if not isinstance(value, types.FunctionType):
        return value
    caught = [cell.cell_contents for cell in value.__closure__ or ()]
    given = value.__defaults__ or ()
    anew = [[_bound_anew(one, memo) for one in group] for group in (caught, given)]
    if all(a is b for a, b in zip([*anew[0], *anew[1]], [*caught, *given], strict=True)):
        return value
    cells = tuple(map(types.CellType, anew[0])) or None
    new = types.FunctionType(value.__code__, value.__globals__, value.__name__, tuple(anew[1]), cells)
    new.__kwdefaults__ = value.__kwdefaults__
    return new


@contextlib.contextmanager
def bare(model: nn.Module) -> Iterator[nn.Module]:
    """Yields a network without `torch.compile`, `DataParallel` and TorchScript around its parts, so that hooks run, and a
    copy runs its own parts: `net.forward = torch.compile(net.forward)` runs those of `net` wherever it is copied to.

    What was around the parts is back after the block.
    """
    inner = _inside(model)
    replaced: list[tuple[Any, str, Any]] = []
    queue, seen = [inner], set()
    try:
        while queue:
            parent = queue.pop()
            if id(parent) in seen or isinstance(parent, (torch.jit.ScriptModule, _Scripted)):
                continue
            seen.add(id(parent))
            if vars(parent).get("_compiled_call_impl") is not None:  # what `Module.compile()` leaves
                replaced.append((vars(parent), "_compiled_call_impl", parent._compiled_call_impl))
                parent._compiled_call_impl = None
            compiled = vars(parent).get("forward")
            if (eager := getattr(compiled, "_torchdynamo_orig_callable", None)) is not None:
                replaced.append((vars(parent), "forward", compiled))
                parent.forward = eager
                if getattr(eager, "__func__", None) is type(parent).forward:
                    del parent.forward  # the class's own
            for name, child in parent._modules.items():
                if child is None:
                    continue
                found = _inside(child)
                if isinstance(found, torch.jit.ScriptModule):
                    found = _Scripted(found)
                if found is not child:
                    replaced.append((parent._modules, name, child))
                    parent._modules[name] = found
                queue.append(found)
        yield inner
    finally:
        for place, name, value in reversed(replaced):
            place[name] = value


class _Scripted(nn.Module):
    """Takes the hooks that TorchScript refuses; otherwise what it holds."""

    def __init__(self, scripted: nn.Module) -> None:
        super().__init__()
        self.scripted, self.training = scripted, scripted.training

    def __getattr__(self, name: str) -> Any:
        if name == "scripted" or name.startswith("__"):
            return super().__getattr__(name)
        return getattr(self.scripted, name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.scripted(*args, **kwargs)


def _inside(module: nn.Module) -> nn.Module:
    """Returns the network in wrappers that change nothing. A TorchScript chain becomes a chain of its parts."""
    while True:
        if isinstance(module, TopLevelTracedModule):
            module = copy.deepcopy(module)  # the parts of a trace cannot be called, those of its copy can
        if isinstance(module, torch.jit.ScriptModule):
            kind = [part for part in module._c._type().qualified_name().split(".") if "mangle" not in part]
            if ".".join(kind) != "__torch__.torch.nn.modules.container.Sequential":
                return module
            chain = nn.Sequential(OrderedDict(module.named_children()))
            chain.training = module.training
            return chain
        found = module._modules.get("_orig_mod")
        if found is None and isinstance(module, (nn.DataParallel, DistributedDataParallel)):
            found = module.module
        if found is None:
            return module
        if _hooked(module):
            where = f"the {type(module).__name__} around a network"
            raise ValueError(f"hooks are registered on {where} and cannot be kept; register them on the network inside")
        module = found


def find(model: nn.Module, name: str) -> tuple[nn.Module | None, str]:
    """Returns a part of a `bare` network, or None, and its name there, without a wrapper's "module." or "_orig_mod."."""
    here, parts = model, []
    for part in name.split("."):
        if part in _INSIDE and part not in dict(here.named_children()):
            continue
        here = getattr(here, part, None)
        if not isinstance(here, nn.Module):
            return None, name
        parts.append(part)
    return (here, ".".join(parts)) if parts else (None, name)
