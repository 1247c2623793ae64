"""Arrays that runs share, kept in files: written atomically, read when they are whole, else made again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dlcore import cache


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """Returns the arrays of a file by name, or None where there is none. A damaged file costs time, never the run."""
    try:
        with np.load(path) as found:
            return dict(found)
    except FileNotFoundError:
        return None
    except Exception:
        cache.forget(path)
        return None


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Writes arrays, so that a reader or a kill sees either nothing or all of them; on a full disk, a warning."""
    cache.keep(path, lambda file: np.savez(file, **arrays))
