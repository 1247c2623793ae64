"""Several chains of linear layers as one chain with one more axis; `training.fit_many` decides when and calls it.

A step of a small network is mostly overhead, of Python and of kernels too small to fill a core: K networks in one stack
pay it once. Larger networks gain nothing, since the arithmetic is the same, and lose the cache; nor do convolutions, which
`torch.vmap` would stack.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from tqdm.auto import tqdm

from dlcore import borrowed, optimization, runtime
from dlcore.training_config import LOOP

# Parameters of one network up to which a stack is faster, for chains of linear layers. On a CPU measured by
# benchmarks/ensembles.py, one thread. On a GPU not measured: there such a network is bound by launches, which a stack shares.
PAYS = {"cpu": 150_000, "cuda": 1_000_000}
_ELEMENTWISE = (nn.ReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.Sigmoid, nn.LeakyReLU, nn.ELU, nn.Softplus, nn.Identity)


def _layers(model: nn.Module) -> list[nn.Module]:
    """Returns the layers of a chain of chains in their order; any other network is one layer."""
    if borrowed.altered(model) or type(model).forward is not nn.Sequential.forward:
        return [model]
    return [layer for part in model.children() for layer in _layers(part)]


def _chain(models: Sequence[nn.Module]) -> list[nn.Module] | None:
    """Returns the layers that stand for those of all models, or None where there is no such chain.

    A layer of an unknown kind stands for all when it is one and the same in all, of no parameters and no parts, such as a
    normalisation of the inputs.
    """
    chains = [_layers(model) for model in models]
    known = (nn.Linear, nn.Flatten, *_ELEMENTWISE)
    for first, *others in zip(*chains, strict=True):
        library = type(first).__module__.startswith("torch.nn")
        alone = all(other is first for other in others) and not [*first.parameters(), *first.children()]
        able = type(first) in known or (alone and not library)
        if not able or any(map(borrowed.altered, (first, *others))):
            return None
    return chains[0]


def pays(models: Sequence[nn.Module], where: torch.device) -> bool:
    """Whether these networks can be trained in one stack, faster than one after the other.

    They must be chains that differ in their weights alone, and share none.
    """

    def form(model: nn.Module) -> tuple[Any, ...]:
        return str(model), [(name, p.shape, p.dtype, p.requires_grad) for name, p in model.named_parameters()]

    weights = [id(p) for model in models for p in model.parameters()]
    small = sum(p.numel() for p in models[0].parameters()) <= PAYS.get(where.type, 0)
    apart = len(weights) == len(set(weights)) and all(form(m) == form(models[0]) for m in models[1:])
    return len(models) > 1 and small and apart and _chain(models) is not None


@dataclass
class Run:
    """One network of a stack; `start` is what `training.fit` would start from."""

    model: nn.Module
    start: Any
    seed: int
    label: str
    evaluate: Callable[[nn.Module, int], dict[str, Any]] | None

    @property
    def curves(self) -> Any:
        """The curves that the run fills."""
        return self.start.curves


class Stack:
    """The weights of K networks, (K, ...) each, their optimizer's state, and the pass of K batches through them.

    Batched products are twice as fast as `torch.vmap` for a few small networks.
    """

    def __init__(self, runs: Sequence[Run], config: Any) -> None:
        self.runs = list(runs)
        self.base, models = runs[0].model, [run.model for run in runs]
        self.chain = _chain(models) or []  # `pays` has looked
        each = list(zip(*(model.parameters() for model in models), strict=True))
        self.weights = [nn.Parameter(torch.stack([p.detach() for p in own]), own[0].requires_grad) for own in each]
        # elementwise optimizers: on a stack they do what they do on each
        self.optimizer = optimization.optimizer(nn.ParameterList(self.weights), config)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, runs[0].start.schedule.lr_lambdas)

    def __call__(self, inputs: torch.Tensor, rows: Sequence[int] | None = None) -> torch.Tensor:
        """Returns the outputs (K, b, ...) for batches (K, b, ...), or for those of the networks `rows`."""
        rest = iter(self.weights if rows is None else [w[rows] for w in self.weights])
        for layer in self.chain:
            if type(layer) is nn.Linear:
                weight, bias = next(rest), next(rest)[:, None] if layer.bias is not None else None
                x, weight = inputs.flatten(1, -2), weight.transpose(1, 2)
                out = torch.bmm(x, weight) if bias is None else torch.baddbmm(bias, x, weight)
                inputs = out.view(*inputs.shape[:-1], -1)
            elif type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1):
                inputs = inputs.flatten(2)
            elif type(layer) in _ELEMENTWISE:
                inputs = layer(inputs)
            else:
                inputs = torch.vmap(layer, randomness="error")(inputs)
        return inputs

    def keep(self, rows: list[int]) -> None:
        """Leaves the networks `rows` in the stack."""
        self.runs = [self.runs[k] for k in rows]
        old, self.weights = self.weights, [nn.Parameter(w.detach()[rows], w.requires_grad) for w in self.weights]
        self.optimizer.param_groups[0]["params"] = [w for w in self.weights if w.requires_grad]
        for before, after in zip(old, self.weights, strict=True):
            if state := self.optimizer.state.pop(before, None):
                self.optimizer.state[after] = {k: v if _alone(k, v) else v[rows] for k, v in state.items()}

    @torch.no_grad()
    def write(self) -> None:
        """Gives every network its weights, and its optimizer and schedule their state."""
        for k, run in enumerate(self.runs):
            for mine, all_of_it in zip(run.model.parameters(), self.weights, strict=True):
                mine.copy_(all_of_it[k])
                if state := self.optimizer.state.get(all_of_it):
                    run.start.optimizer.state[mine] = {
                        n: v.clone() if _alone(n, v) else v[k].clone() for n, v in state.items()
                    }
            run.start.optimizer.param_groups[0]["lr"] = self.optimizer.param_groups[0]["lr"]
            run.start.schedule.load_state_dict(self.schedule.state_dict())


def _alone(name: str, value: Any) -> bool:
    """Whether an entry of an optimizer's state is one for all networks: its count of steps, or nothing."""
    return name == "step" or not isinstance(value, torch.Tensor)


def fit_stack(
    runs: Sequence[Run],
    config: Any,
    *,
    augment: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None,
    checkpoint_seconds: float,
    progress: bool,
) -> None:
    """Trains the networks of fresh runs, all with `config` but for the seed, to their ends; fills their curves."""
    inputs, _, cast, used, *_ = runs[0].start
    stack, where = Stack(runs, config), inputs.device
    targets = torch.stack([run.start.targets for run in runs])
    bar = tqdm(total=len(runs) * config.epochs, disable=not progress, desc=f"{len(runs)} networks", unit="epoch")
    written = time.perf_counter()
    for epoch in range(config.epochs):
        start = time.perf_counter()
        seeds = [runtime.mix(run.seed, epoch) for run in stack.runs]
        orders = [torch.randperm(len(inputs), generator=torch.Generator().manual_seed(s), device="cpu") for s in seeds]
        generators = [torch.Generator(where).manual_seed(s) for s in seeds]
        sums = torch.zeros(len(seeds), 2, dtype=torch.float64, device=where)
        stack.base.train()
        for rows in torch.stack(orders)[:, :used].to(where).split(config.batch_size, 1):
            batch, given = inputs[rows], targets.gather(1, rows)
            if augment is not None:
                batch = torch.stack([augment(x, g) for x, g in zip(batch, generators, strict=True)])
            with cast:
                logits = stack(batch)
            nats = functional.cross_entropy(logits.flatten(0, 1).float(), given.flatten(), reduction="none")
            values = nats.view(given.shape).mean(1)
            stack.optimizer.zero_grad(set_to_none=True)
            values.sum().backward()
            stack.optimizer.step()
            stack.schedule.step()
            wrong = (logits.detach().argmax(2) != given).sum(1)
            sums += torch.stack([values.detach().double() * given.shape[1], wrong.double()], 1)
        means = (sums / used).tolist()
        for run, (loss, _) in zip(stack.runs, means, strict=True):
            if loss != loss:
                what = f"the loss of {run.label} is not a number in epoch {epoch + 1}"
                raise FloatingPointError(f"{what}; lower learning_rate?")
        errors = [error for _, error in means]
        if config.stop_at_zero_error:
            near = [k for k, error in enumerate(errors) if error < LOOP["near_zero"] + config.target_error]
            for k, error in zip(near, _errors(stack, near, inputs, targets, cast), strict=True):
                errors[k] = error
        late = time.perf_counter() - written > checkpoint_seconds
        for run, (loss, _), error in zip(stack.runs, means, errors, strict=True):
            optimization.log(run.curves, config, loss, error)
        ended = [run.curves.stopped != "running" for run in stack.runs]
        if any(run.evaluate for run in stack.runs) or late or any(ended):
            stack.write()
        for run in stack.runs:
            optimization.evaluate(run.curves, run.model, run.evaluate, cast, epoch + 1)
        share = (time.perf_counter() - start) / len(stack.runs)
        for run, over in zip(stack.runs, ended, strict=True):
            run.curves.seconds += share
            if late or over:
                run.start.keep()
        written = time.perf_counter() if late else written
        try:
            for run in stack.runs:
                loss, error = run.curves.train_loss[-1], run.curves.train_error[-1]
                runtime.report(run.label, run.curves.epochs, config.epochs, loss=loss, error=error)
        except runtime.Stopped:
            stack.write()
            for run in stack.runs:
                run.start.keep()
            raise
        bar.update(sum(config.epochs - epoch if over else 1 for over in ended))
        if any(ended):
            left = [k for k, over in enumerate(ended) if not over]
            if not left:
                break
            stack.keep(left)
            targets = targets[left]
    bar.close()


@torch.no_grad()
def _errors(stack: Stack, rows: list[int], inputs: torch.Tensor, targets: torch.Tensor, cast: Any) -> list[float]:
    """Returns the training errors of the networks `rows`, in evaluation mode."""
    if not rows:
        return []
    stack.base.eval()
    wrong = torch.zeros(len(rows), dtype=torch.float64, device=inputs.device)
    with cast:
        for part, given in zip(inputs.split(1024), targets[rows].split(1024, 1), strict=True):
            # each network gets its own copy: it may write to what it is given
            found = stack(part.repeat(len(rows), *[1] * part.ndim), rows).argmax(2)
            wrong += (found != given).double().sum(1)
    return (wrong / len(inputs)).tolist()
