"""Device, precision, threads, seeds and the fingerprint of the machine that made a record."""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import functools
import hashlib
import importlib.metadata
import math
import os
import platform
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from dlcore import machine, parallel
from dlcore.arrays import as_whole
from dlcore.config import one_of, unknown_choice


def device(name: str | torch.device = "auto") -> torch.device:
    """Returns the torch device: "auto" takes the first GPU, then Apple's, then the CPU; "cuda:1" the second GPU.

    Raises:
        ValueError: an unknown name.
        RuntimeError: a GPU was demanded and there is none, or none of this number.
    """
    name, _, number = str(name).partition(":")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name not in ("cpu", "cuda", "mps") or (number and not number.isdecimal()):
        raise unknown_choice("device", name, ("auto", "cpu", "cuda", "mps"))
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("device 'cuda' was asked for, but torch sees no GPU; use device='auto' or 'cpu'")
    if number and name == "cuda":
        if int(number) >= torch.cuda.device_count():
            raise RuntimeError(f"device 'cuda:{number}' was asked for, but torch sees {torch.cuda.device_count()} GPUs")
        return torch.device(name, int(number))
    if name == "cuda" and parallel.size() > 1:
        return torch.device(name, torch.cuda.current_device())  # each process has its own
    return torch.device(name)


def safe_last(model: torch.nn.Module) -> bool:
    """Whether torch's CPU convolutions of a network may have their channels last.

    In that layout the gradient of a strided 1 x 1 convolution of few input channels is written outside of its memory: fewer
    than 8 without AVX-512, fewer than 16 with it (oneDNN's issue 6035, torch 2.14). The process dies, or the gradient is wrong.
    Networks with fewer than 8 output channels gain nothing by it and are left out as well.
    """
    convs = [m for m in model.modules() if isinstance(m, (torch.nn.Conv1d, torch.nn.Conv2d))]
    narrow = (m.in_channels < 16 and max(m.kernel_size) == 1 < max(m.stride) for m in convs)
    return not any(narrow) and all(m.out_channels >= 8 for m in convs)


def channels_first(images: torch.Tensor) -> torch.Tensor:
    """Returns images (n, C, H, W) that lie so in memory beyond a doubt: one channel's may have the strides of channels last.

    Convolutions go by the strides, and carry that layout on to what follows.
    """
    images = images.contiguous()
    doubtful = images.is_contiguous(memory_format=torch.channels_last)
    return images.clone(memory_format=torch.contiguous_format) if doubtful else images


@functools.cache
def keep_memory() -> bool:
    """Tells the C library to keep freed memory for the next tensor; returns whether it did. The training loops call it.

    By default glibc asks the kernel for every large tensor and hands it back, and the kernel fills each page with zeros:
    26 to 36 % of the time of a training step of a small ResNet on a CPU (batch 512, 32 x 32). Numbers do not change. The
    cost: the process keeps the memory of its largest moment until it ends. Once per process, on Linux with glibc
    alone, elsewhere nothing; the environment variable DLCORE_MALLOC=default leaves the C library as it is.

    Raises: ValueError for another value of DLCORE_MALLOC.
    """
    choice = one_of("DLCORE_MALLOC", os.environ.get("DLCORE_MALLOC", "keep"), ("keep", "default"))
    if choice == "default" or platform.libc_ver()[0] != "glibc":
        return False
    mmap_max, trim_threshold = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(trim_threshold, 2**31 - 1) and mallopt(mmap_max, 0))


def fast_bfloat16(where: torch.device) -> bool:
    """Whether bfloat16 arithmetic is faster than float32 on this device.

    On a CPU only native AVX512-BF16 or AMX counts (measured 1.8 times the images per second of float32 for a
    small ResNet); emulated bfloat16 is slower than float32.
    """
    if where.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if where.type != "cpu":
        return False
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(probe() for probe in probes if probe is not None)


def mix(*seed: int) -> int:
    """Returns one seed of several integers, hashed together, so that streams do not overlap; 3.0 and np.int64(3) are 3."""
    whole = tuple(as_whole("seed", one, -math.inf) for one in seed)
    return int.from_bytes(hashlib.sha256(repr(whole).encode()).digest()[:7], "big")


@contextlib.contextmanager
def seeded(*seed: int) -> Iterator[torch.Generator]:
    """Seeds torch inside the block and restores its state after; yields a CPU generator of the same seed.

    Several integers (a seed and an epoch, say) are hashed together, so streams do not overlap.
    """
    mixed = mix(*seed)
    with same_random_state():
        torch.manual_seed(mixed)
        yield torch.Generator().manual_seed(mixed)


@contextlib.contextmanager
def single_precision() -> Iterator[None]:
    """torch's default precision is float32 in the block, and as it was afterwards: in another, a seed draws other numbers."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def same_random_state() -> Iterator[None]:
    """Gives torch's random state back after the block as it was before."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    if devices and parallel.size() > 1:  # the other GPUs belong to the other processes
        devices = [torch.cuda.current_device()]
    with torch.random.fork_rng(devices=devices):
        yield


class Stopped(Exception):
    """Raised by a listener to end a training run early; the loops write their checkpoint and let it pass."""


_LISTENER: contextvars.ContextVar[Callable[..., None] | None] = contextvars.ContextVar("listener", default=None)


@contextlib.contextmanager
def listening(listener: Callable[..., None]) -> Iterator[None]:
    """Calls `listener(label, done, total, values)` whenever a training loop inside the block reports.

    It is how a panel draws a curve while a study runs, and stops it: by raising `Stopped`. Other threads are not heard.

    >>> with listening(lambda label, done, total, values: print(label, f"{done} of {total}", values)):
    ...     report("network", 1, 2, loss=0.5)
    network 1 of 2 {'loss': 0.5}
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def report(label: str, done: int, total: int, **values: float) -> None:
    """Tells whoever listens how far a training loop is; without a listener, nothing."""
    if (listener := _LISTENER.get()) is not None:
        listener(label, done, total, values)


def rng(*seed: int) -> np.random.Generator:
    """Returns NumPy's generator for a tuple of non-negative integers."""
    return np.random.default_rng(np.random.SeedSequence(seed))


# what a git hook or a script sets to name another repository than that around the folder
def _git(*args: str) -> str | None:
    """Returns what git says of the repository of this source tree, None where it cannot be asked."""
    try:
        return machine.git(Path(__file__).resolve().parents[1], *args, timeout=20).strip()
    except (OSError, subprocess.SubprocessError):
        return None


@functools.cache
def commit() -> str:
    """Returns the commit of the code, with "+changes" when files of the package differ from it or are new.

    "+unknown" when git cannot tell whether they do; "unknown" without git, or where the package is not in the repository.
    """
    head, tracked = _git("rev-parse", "--short=12", "HEAD"), _git("ls-files", "--", "dlcore/runtime.py")
    if not head or not tracked:
        return "unknown"
    kinds = [f"dlcore/*.{kind}" for kind in ("py", "yml", "csv")]  # in git's patterns * is any number of folders
    changed = _git("status", "--porcelain", "--untracked-files=all", "--", *kinds)
    return head + ("+unknown" if changed is None else "+changes" if changed else "")


def environment(where: torch.device | None = None) -> dict[str, str]:
    """Returns what a record says of the machine and the packages."""
    where = where or torch.device("cpu")
    hardware = torch.cuda.get_device_name(where) if where.type == "cuda" else machine.cpu_name()
    versions = {}
    for name in ("numpy", "scikit-learn", "torch", "torchvision"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "device": f"{where.type}: {hardware}",
        "python": platform.python_version(),
        "commit": commit(),
        "threads": str(torch.get_num_threads()),
        **({"processes": str(parallel.size())} if parallel.size() > 1 else {}),
        **versions,
    }
