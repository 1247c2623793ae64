"""The last few data sets of a process: the runs of one worker read, split and hash the same data once."""

from __future__ import annotations

import dataclasses
import mmap
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

LIMIT = 2**29  # bytes of all sets together: CIFAR-10 fits twice
LARGE = 2**20  # bytes from which an array is shared until it is written into; smaller ones are copied
_SETS: OrderedDict[Hashable, Any] = OrderedDict()
_STAMPS: dict[Path, Hashable] = {}
_LOCK = threading.RLock()


def changed(folder: Path, files: Iterable[Path]) -> tuple[Hashable, bool]:
    """Returns the sizes and modification times of a folder's files, and whether they differ from the last call's."""
    stats = {file: file.stat() for file in files if file.exists()}
    stamp = tuple((str(file), s.st_size, s.st_mtime_ns) for file, s in stats.items())
    with _LOCK:
        before = _STAMPS.get(folder, stamp)
        _STAMPS[folder] = stamp
    return stamp, before != stamp


class _Pages:
    """An array in a file in memory, mapped copy-on-write: each reader has its own, which copies only what is written.

    Not read-only arrays, of which torch.from_numpy warns; and copying CIFAR-10 takes as long as reading it again.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.shape, self.type, self.nbytes = array.shape, array.dtype, array.nbytes
        memory = hasattr(os, "memfd_create")
        self.file = os.fdopen(os.memfd_create("dlcore"), "w+b") if memory else tempfile.TemporaryFile()  # noqa: SIM115
        self.file.write(np.ascontiguousarray(array).data)
        self.file.flush()

    def __del__(self) -> None:  # maps that are still read stay valid
        self.file.close()

    def array(self) -> np.ndarray:
        """Returns the array, writable; what is written stays with this one."""
        pages = mmap.mmap(self.file.fileno(), self.nbytes, access=mmap.ACCESS_COPY)
        return np.frombuffer(pages, self.type).reshape(self.shape)


def get(key: Hashable, make: Callable[[], Any]) -> Any:
    """Returns the data set of a key, `make()` the first time; every caller gets arrays of its own to write into.

    The checksum is that of the arrays as they were read.
    """
    with _LOCK:
        if key not in _SETS:
            found = make()
            if _size(found) > LIMIT:
                return found
            # a cached property: hashed once for all
            _SETS[key] = (found.checksum, dataclasses.replace(found, **_each(found, _pack)))
            while sum(_size(held) for _, held in _SETS.values()) > LIMIT:
                _SETS.popitem(last=False)
        _SETS.move_to_end(key)
        checksum, held = _SETS[key]
    mine = dataclasses.replace(held, **_each(held, _unpack))
    vars(mine)["checksum"] = checksum
    return mine


def clear() -> None:
    """Forgets all sets."""
    with _LOCK:
        _SETS.clear()
        _STAMPS.clear()


def _pack(value: Any) -> Any:
    return _Pages(value) if isinstance(value, np.ndarray) and value.nbytes >= LARGE else value


def _unpack(value: Any) -> Any:
    if isinstance(value, _Pages):
        return value.array()
    return value.copy() if isinstance(value, np.ndarray) else value


def _walk(value: Any, leaf: Callable[[Any], Any]) -> Any:
    """Returns nested dictionaries and tuples with `leaf` of everything else."""
    if isinstance(value, dict):
        return {k: _walk(v, leaf) for k, v in value.items()}
    return tuple(_walk(v, leaf) for v in value) if isinstance(value, tuple) else leaf(value)


def _each(found: Any, leaf: Callable[[Any], Any]) -> dict[str, Any]:
    return {f.name: _walk(getattr(found, f.name), leaf) for f in dataclasses.fields(found)}


def _size(found: Any) -> int:
    sizes: list[int] = []
    _each(found, lambda v: sizes.append(getattr(v, "nbytes", 0)))
    return sum(sizes)
