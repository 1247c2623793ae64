"""UCI tables: gzipped CSV files with a header row and the class in the last column."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pandas as pd

# name -> (rows, features, classes) of the files we know
TABLES = {
    "splice_dna": (3186, 180, 3),
    "letter": (20000, 16, 26),
    "satimage": (6435, 36, 6),
    "shuttle": (58000, 9, 7),
    "vehicle": (846, 18, 4),
    "vowel": (990, 10, 11),
    "spambase": (4601, 57, 2),
    "abalone": (4177, 8, 28),
    "winequality_red": (1599, 11, 6),
    "winequality_white": (4898, 11, 7),
    "mushroom": (8124, 22, 2),
}


def find(name: str, folder: Path | None) -> Path | None:
    """Returns the table's file, or None."""
    path = folder / "uci" / f"{name}.csv.gz" if folder else None
    return path if path is not None and path.exists() else None


@functools.lru_cache(maxsize=4)
def _read(path: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    name = path.name.split(".")[0]
    try:
        frame = pd.read_csv(path)
    except Exception as error:
        raise OSError(f"{path} cannot be read: {error}") from error
    rows, features, classes = TABLES[name]
    if frame.shape != (rows, features + 1) or frame.columns[-1] != "class":
        raise OSError(
            f"{path} has shape {frame.shape}; {rows} rows, {features} features and a last column 'class' expected"
        )
    names, labels = np.unique(frame["class"].to_numpy(), return_inverse=True)
    if len(names) != classes:
        raise OSError(f"{path} has {len(names)} classes, not {classes}")
    # text columns (abalone's sex) become one column per value
    values = pd.get_dummies(frame.drop(columns="class"), dtype=float).to_numpy(np.float64)
    if not np.isfinite(values).all():
        raise OSError(f"{path} contains missing values")
    return values, labels.astype(np.int64), tuple(str(v) for v in names)


def table(name: str, folder: Path | None) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Returns (values (N, p) float64, labels (N,) int64, class names) of a UCI table.

    Raises: FileNotFoundError when it is missing, OSError when the file is not the table we know.
    """
    path = find(name, folder)
    if path is None:
        raise FileNotFoundError(
            f"{name} was not found; put uci/{name}.csv.gz (a header row, the class in the last column 'class') into "
            f"the folder that DLCORE_DATA names ({folder or 'not set'})"
        )
    return _read(path)
