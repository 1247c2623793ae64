"""Your data sets, classifiers and studies, under a name that configurations, sweeps and the command line know.

A module that calls these functions is a plugin: `python -m dlcore run STUDY ... --plugin MODULE` imports it, and so do the
kernels and workers of a sweep.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from dlcore.config import Config, registered
from dlcore.data import NAMES
from dlcore.models import CLASSICAL, NETWORKS

RECIPE = ("epochs", "batch_size", "learning_rate", "optimizer", "schedule")


class Source(NamedTuple):
    """A registered data set: `load(seed)`, how many rows train by default, and whose recipes its networks take."""

    load: Callable[[int], tuple]
    n_train: int
    kind: str


class Architecture(NamedTuple):
    """A registered classifier; a `recipe` makes it a network that the training loop trains."""

    build: Callable[..., Any]
    recipe: dict[str, Any]


def dataset(name: str, load: Callable[[int], tuple], *, n_train: int = 1000, kind: str = "tabular") -> None:
    """Registers a data set of `load(seed)` -> train inputs (n, ...), train labels (n,), test inputs, test labels.

    Args: n_train: rows that train where a configuration does not say; kind: "tabular", "images" or "mnist1d" (signals): whose
        training recipes built-in networks take.
    Raises: ValueError for a name that is taken.
    """
    _free("dataset", name, NAMES)
    registered("dataset")[name] = Source(load, n_train, kind)


def architecture(name: str, build: Callable[..., Any], **recipe: Any) -> None:
    """Registers a classifier for chapter 3's study, `distributional`.

    Chapters 1 and 2 build networks of named stages by width and depth, and take no other; for one of yours there are
    `dlcore.rationality` and `dlcore.penalty_curve`, which measure the same.

    Without a recipe `build(seed)` returns an unfitted one with `fit` and `predict`. With one, as `epochs=30,
    learning_rate=1e-3, batch_size=64, optimizer="adam", schedule="constant"`, `build(shape, num_classes)` returns a network,
    for the shape of one input, and is called under the run's seed. The text of `build` is part of a run's name.

    Raises: ValueError for a name that is taken, or a recipe with other names than these, or fewer.
    """
    _free("architecture", name, (*NETWORKS, *CLASSICAL))
    if recipe and set(recipe) != set(RECIPE):
        raise ValueError(f"the recipe of {name} must name {', '.join(RECIPE)}, not {', '.join(recipe)}")
    registered("architecture")[name] = Architecture(build, recipe)


def study(module: ModuleType | Any) -> None:
    """Registers a study: a module with `Config`, a subclass of `dlcore.config.Config` with a STUDY, and `run(config)`.

    `run(config, checkpoint=None, progress=False)` returns a `dlcore.records.Record`.
    Raises: ValueError for a module that lacks one of them.
    """
    config, runs = getattr(module, "Config", None), callable(getattr(module, "run", None))
    if not (isinstance(config, type) and issubclass(config, Config) and config.STUDY and runs):
        raise ValueError(f"{module!r} needs Config, with a STUDY, and run(config, checkpoint=None, progress=False)")
    registered("study")[config.STUDY] = module


def plugins(modules: Iterable[str]) -> None:
    """Imports plugins, from the current folder too, here and in all processes that this one starts.

    Raises: ValueError for a module that cannot be imported.
    """
    if not (modules := list(modules)):
        return
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ValueError(f"plugin {module!r}: {error}") from error
    known = os.environ.get("DLCORE_PLUGINS", "").split(",")
    os.environ["DLCORE_PLUGINS"] = ",".join(dict.fromkeys(filter(None, [*known, *modules])))
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, [*path, here])))


def _free(kind: str, name: str, taken: Iterable[str]) -> None:
    if name in taken or not name.isidentifier():
        raise ValueError(f"{kind} {name!r}: the name is taken, or is none (letters, digits and _)")
