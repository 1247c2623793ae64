"""The last few data sets of a process: the runs of one worker read, split and hash the same data once."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

LIMIT = 2**29  # bytes of all sets together: CIFAR-10 fits twice
_SETS: OrderedDict[Hashable, Any] = OrderedDict()
_LOCK = threading.RLock()


def stamp(*files: Path) -> Hashable:
    """Returns the sizes and modification times of the files that are there: of changed files they are others."""
    stats = {file: file.stat() for file in files if file.exists()}
    return tuple((str(file), s.st_size, s.st_mtime_ns) for file, s in stats.items())


def get(key: Hashable, make: Callable[[], Any]) -> Any:
    """Returns the data set of a key, `make()` the first time; every caller gets arrays of its own to write into.

    The checksum is that of the arrays as they were read.
    """
    with _LOCK:
        if key not in _SETS:
            found = make()
            if (size := sum(a.nbytes for a in _arrays(vars(found)))) > LIMIT:
                return found
            assert found.checksum  # a cached property: hashed once for all
            _SETS[key] = size, found
            while sum(size for size, _ in _SETS.values()) > LIMIT:
                _SETS.popitem(last=False)
        _SETS.move_to_end(key)
        _, held = _SETS[key]
    return copy.deepcopy(held)


def _arrays(value: Any) -> Iterator[np.ndarray]:
    """Yields the arrays in nested dictionaries and tuples."""
    if isinstance(value, dict | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _arrays(inner)
    elif isinstance(value, np.ndarray):
        yield value
