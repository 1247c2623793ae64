"""Representations of chapter 1, by name: what turns inputs into features without looking at a label."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import numpy as np
import torch
from tqdm.auto import tqdm

from dlcore import parallel, pretraining, runtime
from dlcore.cache import read_arrays, write_arrays
from dlcore.config import one_of
from dlcore.studies.rationality.config import FIXED, NETWORK, REPRESENTATIONS


class Features(NamedTuple):
    """Features of the training inputs (n, d) and of the test inputs (m, d), float32, and the pretraining loss."""

    train: np.ndarray
    test: np.ndarray
    loss: list[float]


def represent(
    name: str, inputs: torch.Tensor, test_inputs: torch.Tensor, *, cache: Path | None = None, **options: Any
) -> Features:
    """Returns features that were made from inputs alone.

    "pixels" as they are; "pca", the first `dimension` components; "random_relu", `dimension` random ReLU units;
    "clusters", one column for each of `dimension` k-means clusters, so that a linear probe is a vote inside each
    cluster; "neighbours", the mean of the nearest training inputs, for training inputs only; "random", a network
    that was never trained; else the objective of that name. Network features are standardised with the training
    inputs' statistics, and cut to `dimension` principal components when it is given.

    Args:
        cache: a file for the result; it is written atomically, and read when it is there. Processes that want the
            same file wait for the first of them.
        options: seed (0); dimension;
            also_test: whether the test inputs join the training inputs while the representation is made;
            views: 0, or how many random views of each training input to return features of, one after the other
            (views * n, d), instead of the inputs themselves, only for features of a network;
            network: `architecture` and what `pretraining.pretrain` takes;
            checkpoint, progress and device of `pretraining.pretrain`.
    Raises: ValueError for an unknown name.
    """
    one_of("representation", name, REPRESENTATIONS)
    if cache is None:
        return _make(name, inputs, test_inputs, **options)
    if (found := _read(cache)) is not None:
        return found
    cache.parent.mkdir(parents=True, exist_ok=True)  # for the lock
    with _alone(cache, tell=bool(options.get("progress"))):
        if (found := _read(cache)) is None:
            found = _make(name, inputs, test_inputs, **options)
            write_arrays(cache, train=found.train, test=found.test, loss=np.array(found.loss))
    return found


@contextlib.contextmanager
def _alone(cache: Path, tell: bool) -> Iterator[None]:
    """Waits until no other run makes the same features: those of a sweep that differ in noise alone want them at once."""
    if parallel.size() > 1:  # the processes of one run make them together
        yield
        return
    lock = filelock.FileLock(cache.with_name(f".{cache.stem}.lock"))
    try:
        lock.acquire(timeout=1)
    except filelock.Timeout:
        if tell:
            tqdm.write("another run is making the same features; waiting for them")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _make(
    name: str,
    inputs: torch.Tensor,
    test_inputs: torch.Tensor,
    *,
    seed: int = 0,
    dimension: int | None = None,
    also_test: bool = False,
    views: int = 0,
    network: dict[str, Any] | None = None,
    **options: Any,
) -> Features:
    seen = torch.cat([inputs, test_inputs]) if also_test else inputs
    loss: list[float] = []
    if name in NETWORK:
        settings = dict(network or {})
        architecture = settings.pop("architecture")
        if name == "random":
            sizes = {k: settings[k] for k in ("width", "depth") if k in settings}
            net, _ = pretraining.encoder(architecture, seen, seed=seed, **sizes)
        else:
            net, curves = pretraining.pretrain(seen, name, architecture, seed=seed, **settings, **options)
            loss = curves.train_loss
        shown = _views(inputs, views, seed) if views else inputs
        train, test, all_seen = (pretraining.features(net, x) for x in (shown, test_inputs, seen))
        mean, deviation = all_seen.mean(0), all_seen.std(0)
        # a unit that is dead on the training inputs says nothing
        alive = deviation > 1e-6
        train, test, all_seen = (
            ((v - mean) / np.where(alive, deviation, 1))[:, alive] for v in (train, test, all_seen)
        )
        if dimension is not None:
            train, test = _components(all_seen, dimension, train, test)
    else:
        flat, flat_test, all_seen = (x.flatten(1).numpy() for x in (inputs, test_inputs, seen))
        train, test = _fixed(name, flat, flat_test, all_seen, dimension, seed)
    return Features(train.astype(np.float32), test.astype(np.float32), loss)


def _views(inputs: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    view = pretraining.view(tuple(inputs.shape[1:]))
    with runtime.seeded(seed, 0xA06) as generator:
        return torch.cat([view(inputs, generator) for _ in range(count)])


def _components(seen: np.ndarray, dimension: int, *arrays: np.ndarray) -> list[np.ndarray]:
    from sklearn.decomposition import PCA

    if dimension > min(seen.shape):
        raise ValueError(f"dimension = {dimension} is more than the {min(seen.shape)} components there are")
    fitted = PCA(dimension, random_state=0).fit(seen)
    return [fitted.transform(a) for a in arrays]


def _fixed(
    name: str, train: np.ndarray, test: np.ndarray, seen: np.ndarray, dimension: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    if name == "pixels":
        return train, test
    if name == "pca":
        return tuple(_components(seen, dimension or 20, train, test))
    if name == "random_relu":
        rng = runtime.rng(seed, 0x2E1)
        width = dimension or 500
        weights = rng.normal(size=(train.shape[1], width)) / np.sqrt(train.shape[1])
        offset = FIXED[name]["offset"] * rng.normal(size=width)
        return tuple(np.maximum(x @ weights + offset, 0) for x in (train, test))
    if name == "clusters":
        from sklearn.cluster import KMeans

        found = KMeans(dimension or 10, n_init=FIXED[name]["starts"], random_state=seed % 2**32).fit(seen)
        eye = np.eye(found.n_clusters)
        return eye[found.predict(train)], eye[found.predict(test)]
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=FIXED[name]["averaged"]).fit(train).kneighbors(train, return_distance=False)
    return train[near].mean(1), test


def _read(path: Path) -> Features | None:
    found = read_arrays(path)
    return None if found is None else Features(found["train"], found["test"], found["loss"].tolist())
