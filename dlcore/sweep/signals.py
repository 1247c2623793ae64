"""Ctrl-C and SIGTERM: taken where they can be answered, put off where they cannot."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import resource_tracker
from typing import Any

AGAIN = 20.0  # seconds


def _main() -> bool:
    return threading.current_thread() is threading.main_thread()  # Python forbids handlers elsewhere


@contextlib.contextmanager
def handled(call: Callable[..., None], *signals: int) -> Iterator[None]:
    """Calls `call` for the signals inside the block; does nothing in a thread."""
    if not _main():
        yield
        return
    before: Mapping[int, Any] = {number: signal.signal(number, call) for number in signals}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Hears Ctrl-C inside the block, and the end of child processes, although the parent told this process not to.

    A shell starts what runs in the background with SIGINT ignored, as nohup scripts and some batch systems do; others
    leave it blocked. With SIGCHLD ignored, a failed command would count as a success.

    A Ctrl-C that is lost, because it fell into a destructor or into an import that takes every exception for its own, comes
    again `AGAIN` seconds later, until the block ends.
    """
    if not _main():
        yield
        return
    over, pressed = threading.Event(), threading.Event()

    def remind() -> None:
        while not over.wait(AGAIN):
            if signal.getsignal(signal.SIGINT) is ctrl_c:  # else it is answered in another way just now
                os.kill(os.getpid(), signal.SIGINT)

    def ctrl_c(*_: Any) -> None:
        if not pressed.is_set():
            pressed.set()
            threading.Thread(target=remind, name="dlcore-ctrl-c", daemon=True).start()
        raise KeyboardInterrupt

    wanted: dict[int, Any] = {signal.SIGINT: ctrl_c} | ({signal.SIGCHLD: signal.SIG_DFL} if os.name == "posix" else {})
    inherited = (signal.SIG_IGN, signal.default_int_handler)
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, ()) if hasattr(signal, "pthread_sigmask") else set()
    before = {n: signal.signal(n, call) for n, call in wanted.items() if signal.getsignal(n) in inherited}
    if masked:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        over.set()
        for number, old in before.items():
            signal.signal(number, old)
        if masked:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)


def interrupted(*_: Any) -> None:
    """Takes SIGTERM, which batch systems send, for Ctrl-C."""
    raise KeyboardInterrupt


@contextlib.contextmanager
def put_off() -> Iterator[None]:
    """Raises KeyboardInterrupt for a signal inside the block when the block is over: half-started workers cannot be ended.

    SIGINT is blocked rather than handled, because a terminal sends it to the workers too, and those that are started
    inside the block, or later by its threads, inherit that. `dask_setup` lets them hear it again.
    """
    if not _main() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    late: list[int] = []
    resource_tracker.ensure_running()  # its start, in whichever thread it falls, would let SIGINT through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with handled(lambda number, _: late.append(number), signal.SIGTERM):
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if late:
        raise KeyboardInterrupt


def dask_setup(worker: Any) -> None:
    """Called by Dask when a worker of this machine starts: Ctrl-C is for the sweep, which tells its workers what to do."""
    if _main():
        # a function, not SIG_IGN, which the kernels would inherit, as they would the sweep's blocked signal
        signal.signal(signal.SIGINT, lambda *_: None)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
