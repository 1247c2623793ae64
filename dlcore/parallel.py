"""One training run on several processes: each takes its slice of every batch, and the sum is the run on one.

`torchrun` starts the processes, `group` joins them, `training.fit` does the rest. Alone, every function here does nothing.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import gc
import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import distributed, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


def size() -> int:
    """Returns the number of processes that share this run, 1 when it is alone.

    >>> size(), rank()
    (1, 0)
    """
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Returns the number of this process, 0 when it is alone; process 0 writes and prints for all."""
    return distributed.get_rank() if size() > 1 else 0


@contextlib.contextmanager
def group() -> Iterator[int]:
    """Joins the processes that `torchrun` started, one GPU each where there are GPUs; yields this one's number.

    Raises: RuntimeError for more processes on a machine than it has GPUs.
    """
    # a batch script may set them empty
    if _variable("WORLD_SIZE", 1) < 2 or not os.environ.get("LOCAL_RANK") or size() > 1:
        yield rank()
        return
    if torch.cuda.is_available():
        local, count = _variable("LOCAL_RANK", 0), torch.cuda.device_count()
        if local >= count:
            raise RuntimeError(f"process {local + 1} of this machine has no GPU: torch sees {count}, one a process")
        torch.cuda.set_device(local)
    distributed.init_process_group()  # gloo for the CPU, nccl for GPUs
    # after an error the others may be waiting for this process: torchrun ends them, and there is no leaving in order
    yield rank()
    distributed.destroy_process_group()


def _variable(name: str, default: int) -> int:
    """Returns the whole number that an environment variable holds, the default where it is unset or empty."""
    given = os.environ.get(name, "").strip() or str(default)
    if not given.isdecimal():
        raise RuntimeError(f"{name} = {given!r} is not a number of processes; unset it, or start with torchrun")
    return int(given)


def only_one(what: str) -> None:
    """Raises RuntimeError when several processes share the run, for what cannot be split."""
    if size() > 1:
        raise RuntimeError(f"{what} runs on one process, not on {size()}: start it without torchrun")


def from_first(value: T) -> T:
    """Returns process 0's value on all: a decision that must be the same everywhere."""
    if size() == 1:
        return value
    found = [value]
    distributed.broadcast_object_list(found)
    return found[0]


def agree(what: str, value: Any) -> None:
    """Raises RuntimeError where a value differs between the processes."""
    if size() > 1:
        values = [None] * size()
        distributed.all_gather_object(values, value)
        if any(v != value for v in values):
            raise RuntimeError(f"the processes differ in {what}: {values}; do they see the same files?")


def add(values: torch.Tensor) -> torch.Tensor:
    """Returns the sum over the processes, without a gradient."""
    if size() > 1:
        values = values.clone()
        distributed.all_reduce(values)
    return values


def own(rows: int) -> slice:
    """Returns this process's slice of `rows`; the first ones are longer by a row where they are not equal."""
    each, more = divmod(rows, size())
    first = rank() * each + min(rank(), more)
    return slice(first, first + each + (rank() < more))


@dataclass(frozen=True)
class Share:
    """This process's part of a batch of `total` rows.

    A batch with fewer rows than there are processes is not split (`split` is False): each computes all of it, and
    nothing is exchanged but equal gradients.
    """

    total: int
    rows: slice
    weight: float = 1.0
    split: bool = False
    generator: torch.Generator | None = None

    @property
    def counts(self) -> bool:
        """Whether this process's sums over its rows join the sum over all."""
        return self.split or rank() == 0

    def of(self, batch: torch.Tensor) -> torch.Tensor:
        """Returns this process's rows of a batch of k views a row, (k * total, ...), view after view."""
        if not self.split:
            return batch
        if len(batch) % self.total:
            raise ValueError(f"augmentation made {len(batch)} rows of {self.total}, which is no multiple")
        views = batch.view(-1, self.total, *batch.shape[1:])[:, self.rows]
        return views[0] if len(views) == 1 else views.flatten(0, 1)


_SHARE: contextvars.ContextVar[Share | None] = contextvars.ContextVar("share", default=None)


@contextlib.contextmanager
def share(total: int, generator: torch.Generator | None = None) -> Iterator[Share]:
    """Splits a batch inside the block; `generator` is one that all processes draw from alike.

    The mean over the batch is the mean over processes of `weight` times the mean over their rows.
    """
    split = 1 < size() <= total
    rows = own(total) if split else slice(0, total)
    weight = (rows.stop - rows.start) * size() / total if split else 1.0
    mine = Share(total, rows, weight, split, generator)
    token = _SHARE.set(mine)
    try:
        yield mine
    finally:
        _SHARE.reset(token)


def randint(high: int, count: int, device: torch.device) -> torch.Tensor:
    """Returns integers in 0..high-1 (count,): this process's rows of what one process alone would draw for the batch.

    From torch's global generator when alone.
    """
    mine = _SHARE.get()
    if size() == 1 or mine is None:
        return torch.randint(0, high, (count,), device=device)
    return torch.randint(0, high, (mine.total,), device=device, generator=mine.generator)[mine.rows]


def _sum(values: torch.Tensor) -> torch.Tensor:
    """Returns the sum over processes; each one's gradient is the sum of the gradients of all."""
    from torch.distributed.nn.functional import all_reduce  # some builds of torch have none

    return all_reduce(values)


def gather(rows: torch.Tensor) -> torch.Tensor:
    """Returns the whole batch's rows in order, differentiably, for losses that compare the samples of a batch.

    Every process then computes the whole batch's loss. `fit` weighs that of a process with n_r of n rows by R n_r / n; over
    the R processes the gradients add up to R times the loss's, which DDP divides by R.

    Shapes: rows (own rows, ...); result (total, ...).
    """
    mine = _SHARE.get()
    if mine is None or not mine.split:
        return rows
    return _sum(functional.pad(rows, (0, 0) * (rows.ndim - 1) + (mine.rows.start, mine.total - mine.rows.stop)))


def _normalise(norm: _BatchNorm, x: torch.Tensor) -> torch.Tensor:
    """BatchNorm's forward with the statistics of the whole batch. torch's SyncBatchNorm does not run on a CPU."""
    mine = _SHARE.get()
    if mine is None or not mine.split or not (norm.training or norm.running_mean is None):
        return type(norm).forward(norm, x)
    norm._check_input_dim(x)
    axes, shape = [a for a in range(x.ndim) if a != 1], (1, -1, *[1] * (x.ndim - 2))
    values = x.float()
    variance, mean = torch.var_mean(values, axes, correction=0)
    # sums of squares in float64: in float32 a mean far from 0 would cancel the variance
    count = values.new_full((1,), values.numel() // values.shape[1], dtype=torch.float64)
    mean, variance = mean.double(), variance.double()
    sums = _sum(torch.cat([count, count * mean, count * (variance + mean.square())]))
    n = sums[0].detach()
    mean, square = (sums[1:] / n).chunk(2)
    variance = (square - mean.square()).clamp(min=0)
    means, variances, batches = norm.running_mean, norm.running_var, norm.num_batches_tracked
    if norm.training and means is not None and variances is not None and batches is not None:
        batches.add_(1)
        step = 1 / float(batches) if norm.momentum is None else norm.momentum
        with torch.no_grad():
            means.lerp_(mean.to(means), step)
            variances.lerp_((variance * n / (n - 1)).to(variances), step)
    scale = torch.rsqrt(variance + norm.eps).float()
    if norm.weight is not None:
        scale = scale * norm.weight
    out = (values - mean.float().view(shape)) * scale.view(shape)
    return (out if norm.bias is None else out + norm.bias.view(shape)).to(x.dtype)


class _Objective(nn.Module):
    """The loss as a module, so that DDP sees one forward pass a step, and the loss the model as it is."""

    def __init__(self, model: nn.Module, loss: Callable[..., Any]) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, inputs: torch.Tensor, targets: torch.Tensor) -> Any:
        return self.loss(self.model, inputs, targets)


@contextlib.contextmanager
def replicated(model: nn.Module, loss: Callable[..., Any], where: torch.device) -> Iterator[Callable[..., Any]]:
    """Yields `objective(inputs, targets)`, the loss of the model; on several processes DDP averages its gradients.

    Weights start as process 0's. Inside the block, BatchNorm takes the statistics of the whole batch.

    Raises: ValueError for a device whose tensors processes cannot exchange.
    """
    if size() == 1:
        yield lambda inputs, targets: loss(model, inputs, targets)
        return
    if where.type not in ("cpu", "cuda"):
        raise ValueError(f"several processes share a run on CPUs or on CUDA GPUs, not on {where.type!r}")
    # equal on all processes, as the statistics of BatchNorm are
    known = inspect.signature(DistributedDataParallel).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {name: False}
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and not isinstance(m, nn.SyncBatchNorm)]
    for norm in norms:
        vars(norm)["forward"] = functools.partial(_normalise, norm)
    # DDP is a cycle of references; alive, it would go on averaging the gradients of the model's next run
    held = [DistributedDataParallel(_Objective(model, loss), [where] if where.type == "cuda" else None, **options)]
    try:
        yield lambda inputs, targets: held[0](inputs, targets)
    finally:
        for norm in norms:
            del vars(norm)["forward"]
        held.clear()
        gc.collect()
