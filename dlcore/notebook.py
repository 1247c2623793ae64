"""Executes notebooks by papermill: unknown parameters refused, a stalled kernel retried, nothing half-written."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import logging
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlcore.config import unknown_choice

_KERNELS: set[int] = set()  # process ids of the kernels that this process runs


def read(source: str | Path):
    """Returns a notebook node from a .py (py:percent) or .ipynb file, with a kernel named."""
    import jupytext

    try:
        book = jupytext.read(source)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # of JSON, of nbformat, of YAML, of jupytext: each has its own
        raise ValueError(f"{source} is no notebook: {' '.join(str(error).split())}") from error
    book.metadata.setdefault("kernelspec", {"name": "python3", "display_name": "Python 3", "language": "python"})
    return book


def parameters(source: str | Path) -> list[str]:
    """Returns the names that the parameters cell of a notebook sets."""
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    return list(papermill.inspect_notebook(read(source)))


def defaults(source: str | Path) -> dict[str, Any]:
    """Returns the parameters of a notebook and their values; None for a value that is not a literal."""
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    found = {}
    for name, about in papermill.inspect_notebook(read(source)).items():
        try:
            found[name] = ast.literal_eval(about["default"])
        except (ValueError, SyntaxError):
            found[name] = None
    return found


def fingerprint(source: str | Path) -> str:
    """Returns a hash of a notebook's cells, the same for both files of a pair; outputs do not count."""
    cells = [(cell.cell_type, cell.source) for cell in read(source).cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:10]


def execute(
    source: str | Path,
    output: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    cwd: str | Path | None = None,
    timeout: int | None = 600,
    retries: int = 1,
    env: Mapping[str, str] | None = None,
) -> Path:
    """Runs a notebook and writes its executed copy to `output`, atomically; returns the path.

    Args:
        parameters: replace those of the parameters cell; an unknown name is refused before anything runs.
        timeout: seconds that one cell may take; None is no limit.
        retries: how often a run whose kernel stalled or died is started again. An error in a cell is never retried.
        env: variables of the kernel's environment, over this process's own.
    Raises:
        ValueError: an unknown parameter; the message names the closest one.
        papermill.PapermillExecutionError: an error in a cell; what was executed is kept as NAME.failed.ipynb.
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError

    target = Path(output)
    if parameters:
        known = list(papermill.inspect_notebook(read(source)))
        for name in parameters:
            if name not in known:
                raise unknown_choice("parameter", name, known)
    target.parent.mkdir(parents=True, exist_ok=True)
    # a name of its own: on a cluster, the copy that a lost worker was writing may still be open
    temporary = target.with_name(f".{target.stem}.{socket.gethostname()}.{os.getpid()}.ipynb")
    failed = target.with_name(f"{target.stem}.failed.ipynb")
    for left in range(retries, -1, -1):
        try:
            papermill.execute_notebook(
                read(source),
                str(temporary),
                parameters=dict(parameters or {}),
                cwd=str(cwd) if cwd else None,
                progress_bar=False,
                execution_timeout=timeout,
                start_timeout=120,
                kernel_manager_class=_manager(env or {}),
                # "running over TCP without encryption" once a kernel, on the loopback
                extra_arguments=["--log-level=ERROR"],
            )
        except (CellTimeoutError, RuntimeError):  # papermill's own error for an error in a cell is neither
            _keep(temporary, failed)
            if not left:
                raise
        except BaseException:
            _keep(temporary, failed)
            raise
        else:
            temporary.replace(target)
            failed.unlink(missing_ok=True)
            break
    return target


def _keep(temporary: Path, failed: Path) -> None:
    if temporary.exists():
        temporary.replace(failed)


def _manager(env: Mapping[str, str]) -> type:
    """Returns a class of kernel managers that add to the environment and tell `interrupt` of their kernels."""
    from jupyter_client.manager import AsyncKernelManager

    class Manager(AsyncKernelManager):
        async def start_kernel(self, **options: Any) -> None:
            await super().start_kernel(env={**os.environ, **env}, **options)
            self._pid = getattr(self.provisioner, "pid", None)
            if self._pid is not None:
                _KERNELS.add(self._pid)

        async def cleanup_resources(self, restart: bool = False) -> None:
            _KERNELS.discard(getattr(self, "_pid", None))
            await super().cleanup_resources(restart)

    return Manager


def interrupt() -> None:
    """Interrupts the cell that each running kernel of this process executes, as the stop button of Jupyter does."""
    for pid in list(_KERNELS):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
