"""A data set of your own: a file of four arrays, named with a hash of its content, or a registered function."""

from __future__ import annotations

import functools
import hashlib
import stat
from typing import Any

import numpy as np

from dlcore import cache, reading
from dlcore.arrays import as_array, as_integers, as_reals, as_single
from dlcore.config import registered

ARRAYS = ("train_inputs", "train_labels", "test_inputs", "test_labels")


def is_own(name: str) -> bool:
    """Whether a name is that of a file of arrays or of a registered set."""
    return ".npz" in name or name in registered("dataset")


def named(name: str) -> str:
    """Returns the name of a file with the hash of its content: "mine.npz#0123456789ab"; other names as they are.

    Raises: ValueError where there is no such file.
    """
    path, sign, _ = name.partition("#")
    return name if sign or not path.endswith(".npz") else f"{path}#{_hash(path)}"


def usual(name: str) -> tuple[int, str]:
    """Returns how many rows train by default, and whose recipes networks take."""
    if (source := registered("dataset").get(name)) is not None:
        return source.n_train, source.kind
    x = arrays(name, 0)[0]
    return len(x), "images" if x.ndim == 4 else "mnist1d" if x.ndim == 3 else "tabular"


def arrays(name: str, seed: int) -> tuple[np.ndarray, ...]:
    """Returns inputs and labels of train and test, checked.

    Raises: ValueError for a file that is missing, damaged or has changed, arrays that lack or do not fit, and inputs whose
        spread float32 cannot hold.
    """
    if (source := registered("dataset").get(name)) is not None:
        found = source.load(seed)
    else:
        path, _, wanted = name.partition("#")
        if wanted and wanted != _hash(path):
            raise ValueError(f"{path} has changed: its content has the hash {_hash(path)}, the run asks for {wanted}")
        found = _read(path, _stamp(path))
    x, y, x_test, y_test = found
    x, x_test = (_single(name, v) for v in (x, x_test))
    y, y_test = (as_integers(f"labels of {name}", v, ndim=1) for v in (y, y_test))
    if x.ndim < 2 or len(x) != len(y) or len(x_test) != len(y_test) or x.shape[1:] != x_test.shape[1:]:
        raise ValueError(f"{name}: shapes {x.shape}, {y.shape}, {x_test.shape}, {y_test.shape} do not fit")
    return x, y, x_test, y_test


def _single(name: str, given: Any) -> np.ndarray:
    """Returns inputs in float32, uint8 as they are. Raises: ValueError where float32 is too coarse for their spread."""
    array = as_array(given, f"inputs of {name}")
    if array.dtype in (np.uint8, np.float32) or array.ndim < 2 or not array.size:
        return array
    return as_single(name, as_reals(f"inputs of {name}", array))


def _stamp(path: str) -> tuple[int, int]:
    try:
        about = cache.expanded(path).stat()
    except OSError as error:
        raise ValueError(f"dataset {path}: {error.strerror}") from None
    if not stat.S_ISREG(about.st_mode):  # a pipe would wait for its other end
        raise ValueError(f"dataset {path} is not a regular file")
    return about.st_mtime_ns, about.st_size


def _hash(path: str) -> str:
    return _digest(path, _stamp(path))


@functools.lru_cache(8)
def _digest(path: str, stamp: tuple[int, int]) -> str:
    with cache.expanded(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


@functools.lru_cache(2)
def _read(path: str, stamp: tuple[int, int]) -> tuple[np.ndarray, ...]:
    try:
        with reading.arrays(path) as file:
            if not (missing := [array for array in ARRAYS if array not in file]):
                return tuple(file[array] for array in ARRAYS)
    except OSError as error:
        raise ValueError(str(error)) from None
    raise ValueError(f"{path} has no array {missing[0]!r}; it needs {', '.join(ARRAYS)}")
