"""One cell of a sweep: where it lives on disk, whether it is done, and running it, here or in a worker.

Nothing here imports torch: the scheduler of a cluster and the workers that run notebooks do without.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import functools
import hashlib
import json
import os
import re
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dlcore.records import Record, RecordStore, write_atomically
from dlcore.sweep.signals import handled

DONE, FAILED, STOPPED, MISSING = "done", "failed", "stopped", "to run"
LAST_WORDS = 10.0  # seconds in which a cell that takes too long may end by itself
_STOPPING: set[str] = set()  # tokens of the sweeps that this process was told to stop
# torch's seed and papermill's working directory belong to the process: a worker with several threads takes turns
_ONE_AT_A_TIME = threading.Lock()
_running = ""  # the token of the sweep whose cell runs here


class Name(NamedTuple):
    """The study and the key of a configuration: all that a look-up in a record store needs."""

    STUDY: str
    key: str


class Outcome(NamedTuple):
    """How a cell ended; `error` is the last line of what went wrong."""

    key: str
    status: str
    error: str = ""


@dataclass(frozen=True)
class Place:
    """Where a sweep keeps what it makes, and how it runs a cell; sent to the workers.

    `folder` is OUT/STUDY/NAME; NAME carries the hash of the notebook, so that a changed notebook is another cell.
    `source` is the copy of the notebook in that folder (an edit while a sweep runs does not split it in two), `cwd`
    the folder of the original; both are None for cells that run without a notebook.
    """

    study: str
    store: Path
    folder: Path
    token: str
    source: Path | None = None
    cwd: Path | None = None
    timeout: int | None = None
    function: Callable[..., Any] | None = None  # in the place of a study
    plugins: tuple[str, ...] = ()

    def copy(self, key: str, given: Mapping[str, Any]) -> Path:
        """Returns where a cell's executed notebook is written: as in noise=0.2_seed=1-KEY.ipynb."""
        words = "_".join(f"{name}={value}" for name, value in given.items())
        return self.folder / f"{re.sub('[^A-Za-z0-9.=+_-]+', '-', words)[:100]}-{key}.ipynb".lstrip("-")

    def copies(self) -> dict[str, Path]:
        """Returns the executed notebooks by the key of their cell, whatever parameters were named when they were made."""
        found = self.folder.glob("*.ipynb")
        return {p.stem.rpartition("-")[2]: p for p in found if not p.name.startswith(".")}

    def failure(self, key: str) -> Path:
        """Returns the path of the file that says why a cell failed."""
        return self.folder / f"{key}.failed.json"

    def status(self, key: str, record: Record | None, copies: Mapping[str, Path]) -> str:
        """Returns "done" (a record, and the executed copy where there is a notebook), "failed" or "to run"."""
        if record is not None and (self.source is None or key in copies):
            return DONE
        return FAILED if self.failure(key).exists() else MISSING

    def read_failure(self, key: str) -> dict[str, Any]:
        """Returns what the file of a failed cell says, and its path as "file"; a damaged file says so."""
        path = self.failure(key)
        try:
            about = json.loads(path.read_text("utf8"))
        except (OSError, ValueError) as error:
            about = {"key": key, "error": f"the file cannot be read: {error}", "traceback": ""}
        return {**about, "file": str(path)}

    def forget_failure(self, key: str) -> None:
        """Removes what an earlier failure of the cell left."""
        for left in (self.failure(key), *self.folder.glob(f"*{key}.failed.ipynb")):
            left.unlink(missing_ok=True)


def fail(place: Place, key: str, parameters: Mapping[str, Any], error: str, trace: str) -> Outcome:
    """Writes the file of a failed cell and returns the outcome."""
    notebook = place.copy(key, parameters).with_suffix(".failed.ipynb")
    about = {
        "study": place.study,
        "key": key,
        "parameters": dict(parameters),
        "error": error,
        "traceback": trace,
        "notebook": str(notebook) if notebook.exists() else None,
        "sweep": place.token,
        "host": socket.gethostname(),
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    write_atomically(place.failure(key), json.dumps(about, indent=1) + "\n")
    return Outcome(key, FAILED, error)


def run(place: Place, key: str, given: Mapping[str, Any], fields: Mapping[str, Any]) -> Outcome:
    """Runs one cell and says how it ended: an error is written beside the results, never raised.

    Args:
        given: the parameters that were asked for; a notebook is executed with these.
        fields: the whole configuration.
    """
    global _running
    if place.plugins:
        from dlcore import register

        register.plugins(place.plugins)
    with _ONE_AT_A_TIME:
        if place.token in _STOPPING:
            return Outcome(key, STOPPED)
        if (before := _hung(place, key)) is not None:
            return before
        _running = place.token
        try:
            if place.source is None:
                with limited(place, key, given):
                    _direct(place, fields)
            else:
                _notebook(place, key, given)
        except Exception as error:
            if place.token in _STOPPING:
                place.copy(key, given).with_suffix(".failed.ipynb").unlink(missing_ok=True)
                return Outcome(key, STOPPED)
            return fail(place, key, given, _last_line(error), traceback.format_exc())
        finally:
            _running = ""
    place.forget_failure(key)
    return Outcome(key, DONE)


class TimeIsUp(TimeoutError):
    """Raised in a cell that has run for longer than it may."""


def _too_long(place: Place) -> str:
    return f"it had not ended after {place.timeout} s (--timeout)"


def _hung(place: Place, key: str) -> Outcome | None:
    """Returns the failure of a cell that this sweep has ended together with its worker, so that it is not run again."""
    if place.timeout and place.failure(key).exists():
        about = place.read_failure(key)
        if about.get("sweep") == place.token and about["error"] == f"TimeIsUp: {_too_long(place)}":
            return Outcome(key, FAILED, about["error"])
    return None


@contextlib.contextmanager
def limited(place: Place, key: str, given: Mapping[str, Any]) -> Iterator[None]:
    """Raises TimeIsUp in a block that takes longer than the timeout of the sweep.

    In the main thread by an alarm. A worker runs its cells in another thread, where an exception is heard only between
    two lines of Python: a cell that has not ended `LAST_WORDS` seconds after it ends the worker, which is replaced.
    """
    if not place.timeout:
        yield
        return
    if threading.current_thread() is threading.main_thread():
        if not hasattr(signal, "setitimer"):
            raise RuntimeError("--timeout needs workers on this system: --workers 1")

        def alarm(*_: Any) -> None:
            raise TimeIsUp(_too_long(place))

        with handled(alarm, signal.SIGALRM):
            signal.setitimer(signal.ITIMER_REAL, place.timeout)
            try:
                yield
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        return
    over, ident = threading.Event(), threading.get_ident()

    def watch() -> None:
        if over.wait(place.timeout):
            return
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(TimeIsUp))
        if over.wait(LAST_WORDS):
            return
        stack = sys._current_frames().get(ident)
        trace = "".join(traceback.format_stack(stack)) if stack else ""
        fail(place, key, given, f"TimeIsUp: {_too_long(place)}", trace)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="dlcore-timeout").start()
    try:
        yield
    except TimeIsUp:
        raise TimeIsUp(_too_long(place)) from None
    finally:
        over.set()


def _last_line(error: BaseException) -> str:
    name = getattr(error, "ename", None)  # papermill's error for an error in a cell
    text = f"{name}: {error.evalue}" if name else f"{type(error).__name__}: {error}"
    return text.strip().splitlines()[-1]


def _direct(place: Place, fields: Mapping[str, Any]) -> None:
    from dlcore import runtime, studies

    def listen(*_: Any) -> None:
        if place.token in _STOPPING:
            raise runtime.Stopped

    if place.function is not None:
        from dlcore.sweep import function

        run = functools.partial(function.run, place.function)
        RecordStore(place.store).load_or_run(function.Call(place.study, fields), run=run)
        return
    config = studies.study(place.study).Config(**fields)
    with runtime.listening(listen):
        RecordStore(place.store).load_or_run(config)


def _notebook(place: Place, key: str, given: Mapping[str, Any]) -> None:
    from dlcore import notebook

    env = {"DLCORE_RECORDS": str(place.store), "PYTHONPATH": _search_path()}
    notebook.execute(
        place.source, place.copy(key, given), given, cwd=place.cwd, timeout=place.timeout, env=env, retries=1
    )
    if RecordStore(place.store).load(Name(place.study, key)) is None:
        raise RuntimeError(
            f"the notebook ran, but left no record {key} in {place.store}; does it call RecordStore().load_or_run "
            "with Config.from_namespace(globals())? --direct runs the study without a notebook"
        )


def _search_path() -> str:
    """Returns PYTHONPATH for a kernel: it must find this very package, wherever the kernel starts."""
    root = Path(__file__).resolve().parents[2]
    found = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    # an installed package is found anyway, and site-packages must not come before the standard library
    return os.pathsep.join(found if "site-packages" in root.parts else [str(root), *found])


def stop(token: str) -> None:
    """Stops this process's cells of a sweep: training ends after its epoch with a checkpoint, kernels are interrupted."""
    _STOPPING.add(token)
    if _running == token and "papermill" in sys.modules:
        from dlcore import notebook

        notebook.interrupt()


@functools.cache
def code() -> str:
    """Returns a hash of the package's source: workers with another would make other records under the same names."""
    root, found = Path(__file__).resolve().parents[1], hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return found.hexdigest()[:12]


def probe(folders: list[str], token: str) -> dict[str, Any]:
    """Says what a worker sees: its package, and which of the folders hold this sweep's token; leaves one of its own.

    The client looks for the worker's token, so that a folder of the same name on another machine is noticed.
    """
    import dlcore

    mine = f"{socket.gethostname()}.{os.getpid()}"
    seen = {}
    for folder in folders:
        seen[folder] = (Path(folder) / f".sweep-{token}").exists()
        if seen[folder]:
            with contextlib.suppress(OSError):
                (Path(folder) / f".sweep-{token}.{mine}").touch()
    return {"version": dlcore.__version__, "code": code(), "where": mine, "seen": seen}
