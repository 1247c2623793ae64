"""Where files of the user's go, and how they are written: whole or not at all, under names that no other call has."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import importlib.metadata
import io
import os
import pickle
import re
import secrets
import shutil
import socket
import stat
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

WEEK = 7 * 24 * 3600.0  # nothing is written for so long: a temporary file as old has no owner, wherever that was
_TEMPORARY = re.compile(r"^\..*\.(?P<host>[^.]+)-(?P<pid>\d+)-[0-9a-f]{8}\.tmp$")
# of earlier versions, which did not name the machine; and what a sweep puts down to see whether its workers see it
_OLD = re.compile(r"^\..*\.\d+\.tmp(\.npz)?$|^\.sweep-[0-9a-f]{12}(\..*)?$")
_SWEPT: set[Path] = set()
T = TypeVar("T")


class KeptWarning(UserWarning):
    """A file that only saves time could not be written; the run goes on without it."""


def path_of(variable: str) -> Path | None:
    """Returns the folder that an environment variable names, `~` expanded; None where it is unset or empty."""
    given = os.environ.get(variable)
    return expanded(given) if given else None


def expanded(path: str | Path) -> Path:
    """Returns a path with `~`, or $HOME where no shell has read it, expanded: for every path that a caller gives.

    Raises: ValueError when there is no such folder; the message says so.
    """
    first, *rest = Path(path).parts or [""]
    if first in ("~", "$HOME", "${HOME}"):
        if (found := home()) is None:
            raise ValueError(f"{path}: there is no home folder to put for {first}; write the whole path")
        return found.joinpath(*rest)
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: {error}") from None


def home() -> Path | None:
    """Returns the user's home folder; an empty or relative HOME is none, and then the system's list of users decides."""
    if os.path.isabs(given := os.environ.get("HOME", "")):
        return Path(given)
    try:
        if os.name != "posix":
            return Path.home()
        import pwd

        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except (KeyError, RuntimeError):
        return None


def folder(name: str) -> Path:
    """Returns the folder `name` of this package in the user's cache: under $XDG_CACHE_HOME, else under ~/.cache.

    A relative XDG_CACHE_HOME is ignored, as its specification demands. Raises: ValueError where there is no home.
    """
    given = path_of("XDG_CACHE_HOME")
    if given is not None and given.is_absolute():
        return given / "dlcore" / name
    if (found := home()) is None:
        todo = "set XDG_CACHE_HOME to an absolute path (or DLCORE_RECORDS and DLCORE_DATA to folders of their own)"
        raise ValueError(f"there is no home folder for the cache; {todo}")
    return found / ".cache" / "dlcore" / name


def possible(place: Callable[[], Path]) -> Path | None:
    """Returns the folder that a function finds, None where there is no home to have it in."""
    try:
        return place()
    except ValueError:
        return None


class _File(io.BufferedWriter):
    """A binary file that remembers why a write failed: torch.save says "unexpected pos 128 vs 0" instead."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.error = error
            raise

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what could not be written was said before
            super().close()


def temporary_name(path: Path) -> Path:
    """Returns a name beside `path` that no other call has, and that `sweep` removes when this process is gone."""
    return path.with_name(f".{path.name}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


@contextlib.contextmanager
def writing(path: Path, *, sync: bool = False) -> Iterator[BinaryIO]:
    """Yields a file that takes the place of `path` when the block ends without an error, and else leaves no trace.

    A reader, or a kill at any moment, sees the old file or all of the new one. Two threads or processes that write
    the same path have a temporary file each. What killed processes left in the folder is removed.

    Args:
        sync: waits until it is on the disk, so that not even a power failure leaves half of it.
    Raises: OSError when the disk is full or the folder cannot be written; the message names path and reason.
    """
    if path.is_dir():  # the error of os.replace would name the temporary file
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    temporary, file = temporary_name(path), None
    try:
        # "x" refuses a file that is there
        with _File(open(temporary, "xb", buffering=0)) as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        failed = error if isinstance(error, OSError) else file and file.error
        if failed is None:
            raise
        raise OSError(failed.errno, failed.strerror or str(failed), str(path)) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file as `writing` does, and waits until it is on the disk."""
    with writing(path, sync=True) as file:
        file.write(text.encode())


def keep(path: Path, write: Callable[[BinaryIO], object]) -> bool:
    """Writes a file that only saves time; returns whether it could. A failure is a warning, and the run goes on."""
    try:
        with writing(path) as file:
            write(file)
    except OSError as error:
        warnings.warn(f"not kept, the run goes on without it: {error}", KeptWarning, stacklevel=2)
        return False
    return True


def beside(checkpoint: Path | None, folder: str, made: str | bytes, suffix: str) -> Path | None:
    """Returns the file of what runs share, named by a hash of all it depends on, in a folder beside those of checkpoints."""
    if checkpoint is None:
        return None
    name = hashlib.sha256(made.encode() if isinstance(made, str) else made).hexdigest()[:16]
    return checkpoint.parents[1] / folder / f"{name}{suffix}"


def kept(path: Path | None, read: Callable[[Path], T]) -> T | None:
    """Returns what `read` makes of a kept file, or None where there is none. A damaged file costs time, never the run.

    It is removed. One that cannot be read now, for want of a right or of memory, is not damaged, and stays.
    """
    if path is None:
        return None
    try:
        return read(path)
    except Exception as error:
        unread = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None)
        if not unread:
            forget(path)
        return None


def remembered(name: str, make: Callable[[], T], of: str = "") -> T:
    """Returns what `make` makes of the package alone: its records, its published numbers, its code.

    It is kept in the user's cache until any file of the package changes, or the version of Python, NumPy, SciPy or pandas;
    where it cannot be kept, or was made with a warning, it is made again. Every call returns an object of its own. Only the last
    `of` of a name is kept, and only in a folder to which nobody else can write: a pickle runs what its writer wants. A page of
    the book remembers nothing: it is made again when a file changes that it was made of.
    """
    if "DLCORE_TRACE" in os.environ or (place := possible(lambda: folder("remembered"))) is None:
        return make()
    if not _private(place):
        return make()
    path = place / f"{name}-{contents()}{of and f'-{of}'}.pickle"
    found = kept(path, lambda path: pickle.loads(path.read_bytes()))
    if found is None:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = make()
        for one in told:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        if told:
            return found
        for old in path.parent.glob(f"{name}-*.pickle"):
            forget(old)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KeptWarning)
            keep(path, lambda file: pickle.dump(found, file))
    return found


def _private(place: Path) -> bool:
    """Makes a folder for its owner alone; whether it is this user's and nobody else may write to it."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        about = place.lstat()
    except OSError:
        return False
    if os.name != "posix":  # elsewhere the mode says nothing, and a user's folders are his
        return True
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & 0o022


@functools.cache
def contents() -> str:
    """Returns a hash of every file of this package, and of the versions that its numbers may depend on."""
    root = Path(__file__).resolve().parent
    versions = [sys.version, *(importlib.metadata.version(name) for name in ("numpy", "scipy", "pandas"))]
    found = hashlib.sha256("\n".join(versions).encode())
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.parent.name != "__pycache__":
            found.update(f"\n{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def forget(path: Path) -> None:
    """Removes a kept file that is damaged or a temporary one, where that is allowed."""
    with contextlib.suppress(OSError):
        path.unlink()


def sweep(place: Path, *, again: bool = False) -> None:
    """Removes the temporary files in a folder whose processes are gone; once a process and folder, unless `again`."""
    if place in _SWEPT and not again:
        return
    _SWEPT.add(place)
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(".") and _left_behind(entry):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    forget(Path(entry.path))


def _left_behind(entry: os.DirEntry) -> bool:
    if found := _TEMPORARY.match(entry.name):
        if found["host"] == _host():
            return not alive(int(found["pid"]))
    elif not _OLD.match(entry.name):
        return False
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > WEEK


def alive(pid: int) -> bool:
    """Whether a process of this machine has this number; True where that cannot be asked."""
    if os.name != "posix":  # elsewhere signal 0 is Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's, or a system that cannot be asked
        return True
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname()) or "host"


def read_arrays(path: Path | None) -> dict[str, np.ndarray] | None:
    """Returns the arrays of a kept file by name, or None."""

    def read(path: Path) -> dict[str, np.ndarray]:
        with np.load(path) as found:
            return dict(found)

    return kept(path, read)


def write_arrays(path: Path, **arrays: Any) -> None:
    """Writes arrays, so that a reader or a kill sees either nothing or all of them; on a full disk, a warning."""
    keep(path, lambda file: np.savez(file, **arrays))
