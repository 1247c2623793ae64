"""Data sets by name, real ones from a folder in torchvision's layout, embedded ones from nothing at all."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from dlcore import cache
from dlcore.arrays import as_numbers, as_whole, typed
from dlcore.config import registered, unknown_choice
from dlcore.data import memory as kept
from dlcore.data import mnist1d, own, tabular, vision
from dlcore.translation import text

EMBEDDED = {"digits": "scikit-learn", "mnist1d": "generated"}
NAMES = (*EMBEDDED, *vision.SETS, *tabular.TABLES)
CHANGEABLE = tuple(tabular.TABLES)  # a file of another content is used with a warning; the others are refused


@dataclass(frozen=True, eq=False)
class Dataset:
    """Arrays of one data set and an honest sentence on which rows are train and which are test.

    Shapes: images uint8 (N, C, H, W); signals float32 (N, 1, L); digits float32 (N, 1, 8, 8) in [0, 1]; tables
    float32 (N, p), standardised with the training rows; labels int64 in 0..num_classes-1.

    `extra` holds "train_index" and "test_index", the rows' numbers in their pools (not for generated data). For
    CIFAR-10 also, where the file is found, "human_labels": CIFAR-10N's annotator -> (train, test) labels of the returned rows.
    """

    name: str
    train_inputs: np.ndarray
    train_labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray
    num_classes: int
    class_names: tuple[str, ...]
    split: str
    extra: dict[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def checksum(self) -> str:
        """The first 16 hex digits of the SHA-256 of the four arrays' shapes, types and bytes."""
        digest = hashlib.sha256()
        for a in (self.train_inputs, self.train_labels, self.test_inputs, self.test_labels):
            digest.update(f"{a.shape}{a.dtype}".encode())
            digest.update(np.ascontiguousarray(a).data)
        return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Returns the folder of downloaded sets, ~/.cache/dlcore/data unless XDG_CACHE_HOME says otherwise."""
    return cache.folder("data")


def _places(root: str | Path | None) -> list[Path]:
    """Returns the folders to look in: `root` alone, or $DLCORE_DATA and the cache."""
    given = cache.expanded(root) if root else cache.path_of("DLCORE_DATA")
    if given is not None and not given.is_dir():
        raise FileNotFoundError(
            f"the data folder {given} does not exist; set DLCORE_DATA to one in torchvision's layout"
        )
    # without a home, nothing was downloaded into its cache
    return [place for place in (given, None if root else cache.possible(cache_folder)) if place is not None]


def _find(name: str, places: Sequence[Path]) -> tuple[Path | None, str]:
    """Returns the folder with all files of a set, or None, and what is missing."""
    layouts = (tabular if name in tabular.TABLES else text if name in text.SETS else vision).layouts(name)
    partly = ""
    for place in places:
        for folder, files in layouts.items():
            absent = [file for file in files if not (place / folder / file).is_file()]
            if not absent:
                return place / folder, ""
            if (place / folder / f"{absent[0]}.gz").is_file():
                partly = partly or f"{folder}/{absent[0]} (only the .gz is there: gunzip -k it)"
            elif len(absent) < len(files):
                partly = partly or f"{folder}/{absent[0]} (other files of the set are there)"
    return None, partly or " or ".join(f"{folder}/{files[0]}" for folder, files in layouts.items())


def _locate(name: str, root: str | Path | None, download: bool) -> Path:
    """Returns the folder with all files of a set, downloaded when that is allowed and needed."""
    known = name in vision.SETS
    if download and root and known:
        cache.expanded(root).mkdir(parents=True, exist_ok=True)
    places = _places(root)
    path, missing = _find(name, places)
    if path is None and download and known:
        # never into $DLCORE_DATA, which may be shared
        target = cache.expanded(root) if root else cache_folder()
        vision.fetch(name, target)
        path, missing = _find(name, [target])
    if path is None:
        unset = "" if root or os.environ.get("DLCORE_DATA") else " (DLCORE_DATA is not set)"
        todo = "put the file there (header row, class labels in a last column 'class'); this table has no download"
        if known:
            todo = f"allow its download with download=True, or: python -m dlcore data --download {name}"
        raise FileNotFoundError(
            f"{name} was not found: no {missing} in {' or '.join(map(str, places)) or 'any folder'}{unset}. "
            f"Set DLCORE_DATA to the folder that has it, or {todo}."
        )
    return path


@typed
def load(
    name: str,
    *,
    n_train: int | None = None,
    n_test: int | None = None,
    seed: int = 0,
    root: str | Path | None = None,
    download: bool = False,
) -> Dataset:
    """Returns a data set, or random subsets of its train and test pools.

    Subsets are nested: the first rows of the seed's order, so 250 samples are among the 500 of the same seed. A
    fixed test set (MNIST, Fashion-MNIST, CIFAR-10) gives the same test subset for every seed; digits and tables
    are split again by each seed; MNIST-1D is generated by each seed. The last few sets, half a gigabyte together, are kept for
    the rest of the process, until their files change; the arrays returned are the caller's own.

    Args:
        n_train, n_test: numbers of samples; None takes the usual ones: all, digits 1,200 and 597, tables two
            thirds and one third, MNIST-1D 4,000 and 1,000. More training rows of digits or a table than usual
            are taken from the test rows.
        root: data folder in torchvision's layout; default $DLCORE_DATA, then the cache. It is only read, except
            that a download goes into a `root` that was given.
        download: whether torchvision may fetch a missing set, into `root` or the user's cache.
    Raises:
        ValueError: an unknown name, or more samples than there are.
        TypeError: a number that is not an integer.
        FileNotFoundError: a real set that was not found; the message says what to do.
        OSError: a file that is not what it should be; the message names it.

    >>> load("digits").train_inputs.shape
    (1200, 1, 8, 8)
    """
    if name not in NAMES and not own.is_own(name):
        raise unknown_choice("dataset", name, (*NAMES, *registered("dataset")))
    n_train = None if n_train is None else as_whole("n_train", n_train, 1)
    n_test = None if n_test is None else as_whole("n_test", n_test, 1)
    seed = as_whole("seed", seed, 0)
    if own.is_own(name):  # `own` keeps the file, a function may give something else each time
        return _read(name, n_train, n_test, seed)
    source: tuple[Any, ...] = ()
    if name not in EMBEDDED:
        path = _locate(name, root, download).resolve()
        source = path, kept.stamp(*sorted(path.iterdir()), path.parent / "cifar10" / "cifar10n_labels.npz")
    return kept.get((name, n_train, n_test, seed, source), lambda: _read(name, n_train, n_test, seed, source))


def _read(name: str, n_train: int | None, n_test: int | None, seed: int, source: tuple[Any, ...] = ()) -> Dataset:
    """Returns a data set, with what `load` checked; `source` is the folder of its files and their stamp."""
    if name == "mnist1d":
        x, y = mnist1d.generate(n_train or 4000, seed=seed, stream=0)
        x_test, y_test = mnist1d.generate(n_test or 1000, seed=seed, stream=1)
        split = f"generated: train and test are independent streams of seed {seed}"
        return Dataset(name, x, y, x_test, y_test, 10, tuple("0123456789"), split)
    if name == "digits" or name in tabular.TABLES:
        return _split_pool(name, n_train, n_test, seed, source)
    if mine := own.is_own(name):
        given = own.arrays(name, seed)
        names = tuple(map(str, range(max(given[1].max(), given[3].max()) + 1)))
        pools = vision.Pools(*given, class_names=names, split=f"train and test as in {name}")
    else:
        pools = vision.pools(name, *source)
    rows = _first(np.random.default_rng([seed, 3]).permutation(len(pools.train_labels)), n_train, name, "n_train")
    order = np.arange(len(pools.test_labels))
    if mine or n_test is not None:  # one order for every seed
        order = np.random.default_rng(20200917).permutation(order)
    rows_test = _first(order, n_test, name, "n_test")
    extra: dict[str, Any] = {"train_index": rows, "test_index": rows_test}
    if pools.human_labels:
        extra["human_labels"] = {k: (a[rows], b[rows_test]) for k, (a, b) in pools.human_labels.items()}
    train, test = (pools.train_inputs, pools.train_labels), (pools.test_inputs, pools.test_labels)
    arrays = [*(a[rows] for a in train), *(a[rows_test] for a in test)]
    named = {"class_names": pools.class_names, "split": pools.split, "extra": extra}
    return Dataset(name, *arrays, num_classes=len(pools.class_names), **named)


def _first(order: np.ndarray, count: int | None, name: str, what: str) -> np.ndarray:
    if count is not None and count > len(order):
        raise ValueError(f"{what} = {count} is too large: {name} has at most {len(order)}")
    return order[:count]


def _split_pool(name: str, n_train: int | None, n_test: int | None, seed: int, source: tuple[Any, ...]) -> Dataset:
    """Splits one pool of rows at random: digits 1,200/597, tables two thirds to one third."""
    if name == "digits":
        from sklearn.datasets import load_digits

        raw = cast(Any, load_digits())
        x = (raw.images / 16).astype(np.float32)[:, None]
        y, names = raw.target.astype(np.int64), tuple("0123456789")
        usual = 1200
    else:
        x, y, names = tabular.table(name, *source)
        usual = 2 * len(y) // 3
    order = np.random.default_rng([seed, 5]).permutation(len(y))
    # at least one row is left to test on
    cut = max(usual, min(n_train or 0, len(y) - 1))
    if n_train is not None and n_train > cut:
        raise ValueError(f"n_train = {n_train} is too large: of the {len(y)} rows of {name} at most {cut} can train")
    rows = order[:cut][:n_train]
    rows_test = _first(order[cut:], n_test, f"{name} with n_train = {len(rows)}", "n_test")
    x_train, x_test = x[rows], x[rows_test]
    if name != "digits":
        mean, std = x_train.mean(0), _scale(x_train.mean(0), x_train.std(0))
        x_train, x_test = ((v - mean) / std for v in (x_train, x_test))
    split = f"{len(y)} rows split at random by seed {seed}"
    arrays = (x_train.astype(np.float32), y[rows], x_test.astype(np.float32), y[rows_test])
    return Dataset(name, *arrays, len(names), names, split, {"train_index": rows, "test_index": rows_test})


def _scale(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Returns the divisor: 1 for a constant, whose computed deviation may be 1e-17 instead of 0."""
    return np.where(std > 1e-10 * np.abs(mean), std, 1.0)


def _pixel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and deviation of each channel, from counts of the 256 values: no float copy of the images."""
    values = np.arange(256.0)
    counts = np.stack([np.bincount(images[:, c].ravel(), minlength=256) for c in range(images.shape[1])])
    share = counts / counts.sum(1, keepdims=True)
    mean = share @ values
    return mean, np.sqrt((share * (values - mean[:, None]) ** 2).sum(1))


def to_float(inputs: np.ndarray, reference: np.ndarray | None = None) -> np.ndarray:
    """Returns float32 inputs standardised with the statistics of `reference`, the training inputs.

    uint8 images: per channel. Everything else: one mean and one standard deviation, taken off in float64 where float32
    would be too coarse. A constant becomes zero. The statistics are those of the first 10,000 rows, which `load` returns in random order.

    Shapes: inputs (n, ...) and reference (m, ...), of equal trailing shape; result as inputs.
    Raises: ValueError for shapes that disagree, text, an empty reference, or one with NaN or infinity.

    >>> to_float(np.array([[1.0, 3.0]]), np.array([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
    """
    inputs = as_numbers("inputs", inputs)
    reference = inputs if reference is None else as_numbers("reference", reference)
    if inputs.shape[1:] != reference.shape[1:]:
        raise ValueError(f"inputs {inputs.shape} and reference {reference.shape} differ in their trailing shape")
    if reference.size == 0:
        raise ValueError(f"the reference is empty: its shape is {reference.shape}")
    few = reference[:10000]
    if few.dtype == np.uint8 and few.ndim == 4:
        mean, std = (v[:, None, None] for v in _pixel_statistics(few))
    else:
        mean, std = few.mean(dtype=np.float64), few.std(dtype=np.float64)
    if not np.isfinite(mean).all():
        raise ValueError("the reference contains NaN or infinity")
    scale = _scale(mean, std)
    if np.can_cast(inputs.dtype, np.float32) and (np.abs(mean) <= 1e3 * scale).all():
        # in place: three copies of 40,000 CIFAR-10 images would be 1.5 GB
        result = inputs.astype(np.float32)
        result -= np.float32(mean)
        result /= np.float32(scale)
        return result
    return ((inputs - mean) / scale).astype(np.float32)


def available(root: str | Path | None = None) -> dict[str, str]:
    """Returns name -> where it comes from, or "missing: ...", without loading anything; parallel text is among them.

    >>> available()["mnist1d"]
    'generated'
    """
    found = EMBEDDED | {"transduction": "generated (sentence pairs)"}
    try:
        places = _places(root)
    except FileNotFoundError as error:
        return found | {name: f"missing: {error}" for name in (*NAMES, *text.SETS) if name not in found}
    downloads = cache.possible(cache_folder)
    for name in (*NAMES[len(EMBEDDED) :], *text.SETS):
        # `text.load` has no download, so it does not look into the cache
        path, missing = _find(name, [p for p in places if name not in text.SETS or p != downloads])
        if path is None:
            found[name] = f"missing: {missing}"
            continue
        place = next(p for p in places if path.is_relative_to(p))
        where = "the download cache, " if place == downloads else ""
        found[name] = f"found in {where}{path.relative_to(place).as_posix()}"
    return found
