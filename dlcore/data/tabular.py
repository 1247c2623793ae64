"""UCI tables: gzipped CSV files with a header row and the class in the last column."""

from __future__ import annotations

import functools
import hashlib
import io
import warnings
from collections.abc import Hashable
from pathlib import Path

import numpy as np

from dlcore import reading
from dlcore.arrays import outside

LARGEST = 2**25  # bytes of a table, packed or not; the largest that we know has three million
# name -> (rows, features, classes, SHA-256 of the uncompressed CSV) of the files we know
TABLES = {
    "splice_dna": (3186, 180, 3, "b5f49dcb946b7711296ab7f07979dea0407e3b9eeaca4f4bc3d760c312fdffb6"),
    "letter": (20000, 16, 26, "fbc9216a6f8b6f038b73517c2377b21bc69cb161e642ea354b3497f89e21c232"),
    "satimage": (6435, 36, 6, "7adb238d678a0a96d0a0200f5b651d6caffab87b268d3fc720ba1f00a07e081d"),
    "shuttle": (58000, 9, 7, "dc3315eb651d4227060d8428fe32fbc877e59fdfad14b73441939a85f38c8f2c"),
    "vehicle": (846, 18, 4, "1228d08b5b45492c1d9f2b02b96fc21914f458df8e2bfd58c65e6ea444dc056a"),
    "vowel": (990, 10, 11, "51dceafcd75debd614c9ce4a1e36d6574074c7131d38a23dff12da18154e3e35"),
    "spambase": (4601, 57, 2, "a7ea349677e4bbb35154b3b9b0ba675340bbe03b83ae82dc038e1e544eec68f5"),
    "abalone": (4177, 8, 28, "3df7b3510ddb99bbe261acabd1f38b77d5b06b0e3072e4eeb1cd0cfdc9657e74"),
    "winequality_red": (1599, 11, 6, "259dc0e65027d8a942428270da9d737b059ed6eb5a2ca6aec8f973d2ef7e81ca"),
    "winequality_white": (4898, 11, 7, "2f44475e39b0fe71a82ead4f5f4b9a87c84fc95fe56334752e82ac223f8e92b8"),
    "mushroom": (8124, 22, 2, "31ae24ce4e131a31b6131761164fe5aa6736250c7833c2efd62192f3544e8a8d"),
}


def layouts(name: str) -> dict[str, tuple[str, ...]]:
    """Returns where a table lies in a data folder: sub-folder -> files.

    >>> layouts("letter")
    {'uci': ('letter.csv.gz',)}
    """
    return {"uci": (f"{name}.csv.gz",)}


@functools.lru_cache(maxsize=4)
def table(name: str, path: Path, stamp: Hashable = None) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Returns (values, labels, class names) of the table in the folder `path`, read once for each `stamp` of its file.

    Treat the arrays as read-only.

    Classes are numbered in sorted order and all are kept, rare ones too: abalone's rings 1 to 29 (28 occur) and
    the wines' grades have classes of one to five rows, which a random split may leave out of train or test. Text
    columns (abalone's sex) become one column per value. Some tables repeat rows (letter 1,332, winequality_white
    937, spambase 391, winequality_red 240, splice_dna 184), so a random split has a few equal rows on both
    sides; that is how these tables are commonly used.

    Shapes: values (N, p) float64, as in the file; labels (N,) int64 in 0..K-1.
    Raises: OSError when the file is damaged or has another shape; the message names it. A file of the right
        shape but other contents is used with a warning: it may be the reader's own copy, in another order.
    """
    import pandas as pd  # half of the time of a refusal, where configurations need the names alone

    file, (rows, features, classes, sha256) = path / f"{name}.csv.gz", TABLES[name]
    try:
        raw = reading.read_bytes(file, LARGEST)
        frame = pd.read_csv(io.BytesIO(raw))
    except (OSError, ValueError) as error:
        raise OSError(f"{file} cannot be read: {error}") from error
    if frame.shape != (rows, features + 1) or frame.columns[-1] != "class":
        there = f"{frame.shape[0]} rows, {frame.shape[1]} columns and the last column {frame.columns[-1]!r}"
        raise OSError(f"{file} has {there}, not {rows} rows, {features + 1} columns and 'class'")
    if frame.isna().to_numpy().any():
        raise OSError(f"{file} contains missing values")
    names, labels = np.unique(frame["class"].to_numpy(), return_inverse=True)
    if len(names) != classes:
        raise OSError(f"{file} has {len(names)} classes, not {classes}")
    if hashlib.sha256(raw).hexdigest() != sha256:
        told = f"{file} differs from the table behind the recorded runs: results may differ"
        warnings.warn(told, stacklevel=outside())
    values = pd.get_dummies(frame.drop(columns="class"), dtype=float).to_numpy(np.float64)
    if not np.isfinite(values).all():
        raise OSError(f"{file} contains infinite values")
    return values, labels.astype(np.int64), tuple(str(v) for v in names)
