"""Controls (self-stitch, random bottom) and the penalty over all stages, cross-stage pairs and seeds."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList
from tqdm.auto import tqdm

from dlcore import borrowed, runtime
from dlcore.arrays import as_network, as_whole, typed
from dlcore.results import Result, drawn
from dlcore.stitching import CLOSED
from dlcore.stitching.cached import Kept
from dlcore.stitching.fitting import Stitch, standard_error, stitch_all, stitch_subjects
from dlcore.stitching.halves import stage_names
from dlcore.stitching.options import StitchOptions
from dlcore.stitching.subject import StitchData, Subject, checked_data


class StagePenalty(Result):
    """One stitch beside its controls; fractions, NaN for a control that was not asked for.

    `penalty` = error - top_error. `self_penalty`: the top stitched to itself at its stage. `excess` = penalty -
    self_penalty, the headline: what the map's own limits cost is taken off. `random_penalty`: an untrained bottom.
    The standard errors are over test samples, paired; the spread over seeds and pairs of networks is another thing.
    """

    bottom_stage: str
    top_stage: str
    seed: int
    family: str
    bn_mode: str
    top_error: float
    penalty: float
    penalty_se: float
    self_penalty: float
    excess: float
    excess_se: float
    random_penalty: float
    random_se: float
    random_excess: float


class Penalties(list):
    """The rows of a penalty curve, each a `StagePenalty`."""

    _repr_pretty_ = Result._repr_pretty_

    def __str__(self) -> str:
        shown = ["top_stage", "seed", "penalty", "self_penalty", "excess", "excess_se", "random_penalty"]
        signed: Any = "{:+.4f}".format  # pandas takes a function here, and says otherwise
        return self.to_frame()[shown].to_string(index=False, float_format=signed)

    def to_frame(self) -> pd.DataFrame:
        """Returns a row per stage and seed."""
        return pd.DataFrame([dataclasses.asdict(row) for row in self])

    def to_dict(self) -> list[dict[str, Any]]:
        """Returns the rows as plain values that JSON takes."""
        return [row.to_dict() for row in self]

    def plot(self, **options: Any) -> Any:
        """Returns the penalties by depth as an Altair chart."""
        return drawn(self, "penalties", **options)


@borrowed.own_settings()
def penalty_curve(
    bottom: nn.Module,
    top: nn.Module,
    data: StitchData | tuple,
    stages: Sequence[str | tuple[str, str]] | None = None,
    *,
    family: str = "auto",
    self_stitch: bool = True,
    random: nn.Module | Callable[[int], nn.Module] | bool = True,
    seeds: Sequence[int] = (0,),
    keep: str | Path | None = None,
    together: bool = True,
    fit: Callable[..., Stitch] | None = None,
    progress: bool = False,
    **options: Any,
) -> Penalties:
    """Returns the stitching penalty at every stage, with its controls; a row for each stage and seed.

    The activations of all stages are collected in one pass over the inputs of each network, where they are needed and
    fit into memory.

    Args:
        data, family, options: as in `stitch`.
        stages: names, for the same stage of both, or pairs (bottom's stage, top's stage) for a cross-stage matrix; by
            default all parts at which both can be cut.
        self_stitch: whether to stitch the top to itself at the same stage.
        random: the untrained bottom: True re-initialises a copy of the bottom (`random_bottom`), a function builds one
            from a seed, a network is taken as it is, False leaves the control out.
        seeds: of the map's first weights, the order of the samples and the random bottom. A closed form depends on
            them only through the random bottom.
        keep: a folder for the controls: a later call with the same networks, data, stages and options takes them from
            there. Files are named by a hash of all of these, so nothing else can be taken by mistake.
        together: whether the maps of a stage are trained at once, nearly twice as fast, where that gives each what it gets alone up
            to rounding, which in a thousand steps moves some of 1,000 test errors. With keep they never are: what is kept
            would depend on what was missing.
        fit: how one stitch is made; a `Search` tries starts and numbers of steps. Its controls are not kept.
    Raises: ValueError where there are no stages, or keep with another fit, and as `stitch` and `random_bottom` do, before anything is trained.
    Paper: Bansal, Nakkiran and Barak 2021, figures 2, 3, 5 and 6.
    Differs: they show the penalty; we show its excess over the self-stitch beside it, and the random bottom is built
        again in every layer.

    >>> from dlcore.models import network
    >>> x, y = torch.randn(64, 1, 8, 8), torch.randint(3, (64,))
    >>> a, b = (network("mlp", (1, 8, 8), 3, width=8, seed=s) for s in (0, 1))
    >>> rows = penalty_curve(a, b, (x, y, x, y), family="least_squares", device="cpu")
    >>> [(row.top_stage, row.self_penalty) for row in rows]
    [('hidden1', 0.0), ('hidden2', 0.0)]
    """
    first, second, pairs, chosen = prepared(bottom, top, data, stages, options)
    checked = first.data
    # one by one and not as an array, since a seed may be of any size
    seeds = [as_whole("seeds", seed) for seed in (seeds if np.ndim(seeds) else [seeds])]
    if not seeds:
        raise ValueError("seeds are needed, one or more")
    if keep is not None and fit is not None:
        raise ValueError("keep needs the usual fit: the names of kept controls do not say how they were made")
    controls = {seed: _untrained(random, bottom, seed) for seed in seeds}
    kept = None if keep is None else Kept(keep, checked, chosen)

    def alone(kind: str, one: Subject, stage: str, high: str, options: StitchOptions) -> Stitch:
        make = functools.partial(fit or stitch_subjects, one, second, stage, high, family, checked, options)
        if kept is None or kind == "main":
            return make()
        return kept.stitch(one, second, (stage, high, family, options.training.seed), make)

    rows = Penalties()
    done: dict[tuple, Stitch] = {}
    runs = len(seeds) * len(pairs)
    with tqdm(total=runs, desc="stitching", unit="stage", disable=not progress) as bar:
        for seed in seeds:
            with_seed = dataclasses.replace(chosen, training=dataclasses.replace(chosen.training, seed=seed))
            third = None
            if (drawn := controls[seed]) is not None:
                third = Subject(drawn, "the random bottom", checked, first.where, chosen.cache_bytes, first.plan)
            for low, high in pairs:
                asked = {"main": (first, low)} | ({"self": (second, high)} if self_stitch else {})
                asked |= {"random": (third, low)} if third else {}
                # self-stitches are shared by all pairs with one top stage, closed forms by all seeds
                keys = {
                    kind: (kind, stage, high, seed if family not in CLOSED or kind == "random" else None)
                    for kind, (_, stage) in asked.items()
                }
                missing = [kind for kind, key in keys.items() if key not in done]
                if together and kept is None and fit is None:
                    made = stitch_all([asked[kind] for kind in missing], second, high, family, checked, with_seed)
                else:
                    made = (alone(kind, *asked[kind], high, with_seed) for kind in missing)
                for kind, stitch in zip(missing, made, strict=True):
                    done[keys[kind]] = dataclasses.replace(stitch, model=None)
                own, control = (done[keys[kind]] if kind in keys else None for kind in ("self", "random"))
                rows.append(_row(done[keys["main"]], own, control, seed))
                bar.update()
    return rows


def _row(main: Stitch, own: Stitch | None, control: Stitch | None, seed: int) -> StagePenalty:
    return StagePenalty(
        bottom_stage=main.bottom_stage,
        top_stage=main.top_stage,
        seed=seed,
        family=main.family,
        bn_mode=main.bn_mode,
        top_error=main.top_error,
        penalty=main.penalty,
        penalty_se=main.standard_error,
        self_penalty=own.penalty if own else nan,
        excess=main.penalty - own.penalty if own else nan,
        excess_se=standard_error(main.wrong.astype(float) - own.wrong) if own else nan,
        random_penalty=control.penalty if control else nan,
        random_se=control.standard_error if control else nan,
        random_excess=control.penalty - own.penalty if control and own else nan,
    )


def prepared(
    bottom: nn.Module, top: nn.Module, data: StitchData | tuple, stages: Sequence | None, options: dict[str, Any]
) -> tuple[Subject, Subject, list[tuple[str, str]], StitchOptions]:
    """Returns both networks, the pairs of stages and the options, all checked before anything is trained."""
    chosen, checked = StitchOptions.of(options), checked_data(data)
    where = runtime.device(chosen.device)
    if stages is not None:
        stages = [stages] if isinstance(stages, str) else stages
        pairs = [(stage, stage) if isinstance(stage, str) else tuple(stage) for stage in stages]
        if bad := [pair for pair in pairs if len(pair) != 2]:
            raise ValueError(f"stages are names or pairs (bottom's stage, top's stage), not {bad[0]}")
    else:
        names = []
        for model in (bottom, top):
            at = borrowed.device_of(model, torch.device("cpu"))
            names.append(stage_names(model, checked.train_inputs[:2].to(at)))
        pairs = [(name, name) for name in names[0] if name in names[1]]
    if not pairs:
        raise ValueError("no stages: the two networks have no part of the same name; give pairs of names")
    subjects = []
    for model, role, plan in zip((bottom, top), ("the bottom", "the top"), zip(*pairs, strict=True), strict=True):
        subjects.append(Subject(model, role, checked, where, chosen.cache_bytes, plan))
        for stage in plan:
            subjects[-1].shape(stage)
    return (*subjects, pairs, chosen)


def _untrained(random: Any, bottom: nn.Module, seed: int) -> nn.Module | None:
    if random is False or random is None:
        return None
    if random is True:
        return random_bottom(bottom, seed=seed)
    if isinstance(random, nn.Module):
        return random
    with runtime.seeded(seed, 0x4A2D):  # what it draws depends on the seed alone
        built = random(seed)
    if not isinstance(built, nn.Module):
        raise ValueError(f"random must build a network from a seed, not {type(built).__name__}")
    return built


def _resettable(module: nn.Module):
    draw = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    return draw if callable(draw) else None


@typed
@borrowed.own_settings()
def random_bottom(model: nn.Module, *, seed: int = 0) -> nn.Module:
    """Returns an untrained copy of a network: every parameter drawn again, no storage shared with the original.

    Every module with `reset_parameters` is reset, at any depth; BatchNorm's statistics with it. Bare parameters of a module
    without one (class tokens, position embeddings, layer scales) are drawn from N(0, 0.02^2), as transformers draw them.
    Raises: ValueError where parameters would keep their trained values, because their module cannot reset them (weight or
        spectral normalisation, say); build such a network with its own constructor instead.
    Differs: the authors' script resets direct children only, so that residual stages keep the trained weights.

    >>> net = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    >>> bool((random_bottom(net)[0][0].weight == net[0][0].weight).any())
    False
    """
    if not any(True for _ in as_network(model, "the bottom").parameters()):
        raise ValueError("the bottom has no parameters that could be drawn again; is it quantised?")
    fresh = borrowed.copied(model, "the bottom")
    reset: set[int] = set()
    with runtime.seeded(seed, 0x4A2D):
        for module in fresh.modules():
            if draw := _resettable(module):
                draw()
                reset |= {id(p) for p in module.parameters(recurse=False)}
        for module in fresh.modules():
            for p in module.parameters(recurse=False):
                # what a parametrization computes from may be a norm, of which 0 is no start
                if id(p) not in reset and not _resettable(module) and not isinstance(module, ParametrizationList):
                    nn.init.normal_(p, std=0.02)
                    reset.add(id(p))
    with borrowed.bare(model) as inner:
        old = dict(inner.named_parameters())
    # the modules of torch.ao.nn hold their weights in one of these
    kinds = ("_packed_params", "_all_weight_values")
    packed = [n for n, m in fresh.named_modules() if any(hasattr(m, kind) for kind in kinds) and not n.endswith(kinds)]
    if packed:
        why = "quantised weights are no parameters; give random=a function that builds an untrained network from a seed"
        raise ValueError(f"{', '.join(packed[:5])} cannot be re-initialised: {why}")
    same = [
        name
        for name, p in fresh.named_parameters()
        if id(p) not in reset or (torch.equal(p, old[name]) and p.numel() > 1 and bool((p != p.flatten()[0]).any()))
    ]
    if same:
        raise ValueError(
            f"{', '.join(same[:5])}{' and more' if len(same) > 5 else ''} cannot be re-initialised: their modules have no "
            "reset_parameters that draws them; give random=a function that builds an untrained network from a seed"
        )
    return fresh
