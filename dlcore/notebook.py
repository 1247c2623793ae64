"""Executes notebooks by papermill: unknown parameters refused, a stalled kernel retried, nothing half-written."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlcore.config import unknown_choice


def read(source: str | Path):
    """Returns a notebook node from a .py (py:percent) or .ipynb file, with a kernel named."""
    import jupytext

    book = jupytext.read(source)
    book.metadata.setdefault("kernelspec", {"name": "python3", "display_name": "Python 3", "language": "python"})
    return book


def parameters(source: str | Path) -> list[str]:
    """Returns the names that the parameters cell of a notebook sets."""
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    return list(papermill.inspect_notebook(read(source)))


def execute(
    source: str | Path,
    output: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    cwd: str | Path | None = None,
    timeout: int = 600,
    retries: int = 1,
) -> Path:
    """Runs a notebook and writes its executed copy to `output`, atomically; returns the path.

    Args:
        parameters: replace those of the parameters cell; an unknown name is refused before anything runs.
        timeout: seconds that one cell may take.
        retries: how often a run whose kernel stalled is started again. An error in a cell is never retried.
    Raises:
        ValueError: an unknown parameter; the message names the closest one.
        papermill.PapermillExecutionError: an error in a cell; what was executed is kept as NAME.failed.ipynb.
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    target = Path(output)
    if parameters:
        known = list(papermill.inspect_notebook(read(source)))
        for name in parameters:
            if name not in known:
                raise unknown_choice("parameter", name, known)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}")
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
            )
        except (CellTimeoutError, DeadKernelError):
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
