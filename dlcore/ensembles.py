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


def _layers(model: nn.Module) -> list[nn.Module] | None:
    """Returns the layers of a chain, linear ones and ones without parameters, or None for another network."""
    if borrowed.altered(model):
        return None
    if type(model).forward is nn.Sequential.forward:
        layers: list[nn.Module] = []
        for part in model.children():
            if (inner := _layers(part)) is None:
                return None
            layers += inner
        return layers
    bare = not any(True for _ in model.parameters()) and not any(True for _ in model.children())
    return [model] if type(model) is nn.Linear or bare else None


def _chain(models: Sequence[nn.Module]) -> list[nn.Module] | None:
    """Returns the layers that stand for those of all models, or None where there is no such chain.

    A layer of an unknown kind stands for all when it is one and the same in all, such as a normalisation of the inputs.
    """
    chains = [_layers(model) for model in models]
    if None in chains:
        return None
    known = (nn.Linear, nn.Flatten, *_ELEMENTWISE)
    for layers in zip(*chains, strict=True):
        library = type(layers[0]).__module__.startswith("torch.nn")
        if type(layers[0]) not in known and (library or any(layer is not layers[0] for layer in layers)):
            return None
    return chains[0]


def pays(models: Sequence[nn.Module], where: torch.device) -> bool:
    """Whether these networks can be trained in one stack, faster than one after the other.

    They must be chains that differ in their weights alone, and share none.
    """

    def form(model: nn.Module) -> tuple[Any, ...]:
        return str(model), [(name, p.shape, p.requires_grad) for name, p in model.named_parameters()]

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
        if (chain := _chain(models)) is None:
            raise ValueError("these networks are no chains that a stack can stand for: see `pays`")
        self.chain = chain
        each = [[p.detach() for p in model.parameters()] for model in models]
        free = [p.requires_grad for p in self.base.parameters()]
        stacked = [torch.stack(values).contiguous() for values in zip(*each, strict=True)]
        self.weights = [nn.Parameter(v, requires_grad=f) for v, f in zip(stacked, free, strict=True)]
        # elementwise optimizers: on a stack they do what they do on each
        self.optimizer = optimization.optimizer(nn.ParameterList(self.weights), config)
        for own, weight in enumerate(self._trained(self.weights)):
            states = [run.start.optimizer.state[self._trained(run.model.parameters())[own]] for run in runs]
            if states[0]:
                self.optimizer.state[weight] = {
                    k: v if _alone(k, v) else torch.stack([s[k] for s in states]) for k, v in states[0].items()
                }

    @staticmethod
    def _trained(weights: Any) -> list[nn.Parameter]:
        return [w for w in weights if w.requires_grad]

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
        self.optimizer.param_groups[0]["params"] = self._trained(self.weights)
        for before, after in zip(old, self.weights, strict=True):
            if state := self.optimizer.state.pop(before, None):
                self.optimizer.state[after] = {k: v if _alone(k, v) else v[rows] for k, v in state.items()}

    @torch.no_grad()
    def write(self, step: int) -> None:
        """Gives every network its weights, and its optimizer and schedule their state after `step` steps."""
        for k, run in enumerate(self.runs):
            for mine, all_of_it in zip(run.model.parameters(), self.weights, strict=True):
                mine.copy_(all_of_it[k])
                if state := self.optimizer.state.get(all_of_it):
                    run.start.optimizer.state[mine] = {
                        n: v.clone() if _alone(n, v) else v[k].clone() for n, v in state.items()
                    }
            rate = self.optimizer.param_groups[0]["lr"]
            run.start.optimizer.param_groups[0]["lr"] = rate
            now = {"last_epoch": step, "_step_count": step + 1, "_last_lr": [rate]}
            run.start.schedule.load_state_dict({**run.start.schedule.state_dict(), **now})


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
    """Trains the networks of the runs, all with `config` but for the seed, to their ends; fills their curves.

    Runs that resume at different epochs go on as several stacks until they meet.
    """
    with tqdm(total=len(runs) * config.epochs, disable=not progress, desc=f"{len(runs)} networks", unit="epoch") as bar:
        bar.update(sum(run.curves.epochs for run in runs))
        while going := [r for r in runs if r.curves.stopped == "running" and r.curves.epochs < config.epochs]:
            first = min(run.curves.epochs for run in going)
            group = [run for run in going if run.curves.epochs == first]
            until = min([run.curves.epochs for run in going if run not in group], default=config.epochs)
            _advance(group, until, config, augment, checkpoint_seconds, bar)
    for run in runs:
        run.curves.stopped = "all epochs" if run.curves.stopped == "running" else run.curves.stopped


def _advance(group: list[Run], until: int, config: Any, augment: Any, checkpoint_seconds: float, bar: tqdm) -> None:
    """Trains runs that are at the same epoch until another."""
    inputs, _, cast, used, *_ = group[0].start
    stack, where, steps = Stack(group, config), inputs.device, -(-used // config.batch_size)
    targets = torch.stack([run.start.targets for run in group])
    base, total = config.learning_rate, max(1, steps * config.epochs)
    warm = 0 if config.schedule == "constant" else max(1, total // LOOP["warm_up"])
    written = time.perf_counter()
    for epoch in range(group[0].curves.epochs, until):
        start = time.perf_counter()
        seeds = [runtime.mix(run.seed, epoch) for run in stack.runs]
        orders = [torch.randperm(len(inputs), generator=torch.Generator().manual_seed(s)) for s in seeds]
        generators = [torch.Generator(where).manual_seed(s) for s in seeds]
        sums = torch.zeros(len(seeds), 2, dtype=torch.float64, device=where)
        stack.base.train()
        for i, rows in enumerate(torch.stack(orders)[:, :used].to(where).split(config.batch_size, 1)):
            batch, given = inputs[rows], targets.gather(1, rows)
            if augment is not None:
                batch = torch.stack([augment(x, g) for x, g in zip(batch, generators, strict=True)])
            with cast:
                logits = stack(batch)
            nats = functional.cross_entropy(logits.flatten(0, 1).float(), given.flatten(), reduction="none")
            values = nats.view(given.shape).mean(1)
            stack.optimizer.zero_grad(set_to_none=True)
            values.sum().backward()
            at = epoch * steps + i
            stack.optimizer.param_groups[0]["lr"] = base * optimization.rate(at, config.schedule, total, warm)
            stack.optimizer.step()
            wrong = (logits.detach().argmax(2) != given).sum(1)
            sums += torch.stack([values.detach().double() * given.shape[1], wrong.double()], 1)
        step = (epoch + 1) * steps
        stack.optimizer.param_groups[0]["lr"] = base * optimization.rate(step, config.schedule, total, warm)
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
            run.curves.train_loss.append(loss)
            run.curves.train_error.append(error)
            if config.stop_at_zero_error and error <= config.target_error:
                run.curves.stopped = "zero training error"
            elif run.curves.epochs == config.epochs:
                run.curves.stopped = "all epochs"
        ended = [run.curves.stopped != "running" for run in stack.runs]
        if any(run.evaluate for run in stack.runs) or late or any(ended) or epoch + 1 == until:
            stack.write(step)
        for run in stack.runs:
            if run.evaluate is not None:
                run.model.eval()
                with torch.no_grad(), cast:
                    for name, entry in run.evaluate(run.model, epoch + 1).items():
                        run.curves.values.setdefault(name, []).append(entry)
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
            stack.write(step)
            for run in stack.runs:
                run.start.keep()
            raise
        bar.update(sum(config.epochs - epoch if over else 1 for over in ended))
        if any(ended):
            left = [k for k, over in enumerate(ended) if not over]
            if not left:
                return
            stack.keep(left)
            targets = targets[left]


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
