"""What a worker of this machine loads first."""

import signal
import threading
from typing import Any


def dask_setup(worker: Any) -> None:
    """Called by Dask when the worker starts: Ctrl-C is for the sweep, which tells its workers what to do."""
    if threading.current_thread() is threading.main_thread():
        # a function, not SIG_IGN, which the kernels would inherit, as they would the sweep's blocked signal
        signal.signal(signal.SIGINT, lambda *_: None)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
