"""Numbers of published papers, each with the note of its source.

They were released or printed as tables, but for two tables that were read off figures and say so, with their precision.
A number that was restated by others or remembered is not here.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import pandas as pd

__all__ = ["names", "note", "read"]

_FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """Returns the names of the tables.

    >>> "bansal2021_gaps" in names()
    True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.csv"))


def read(name: str) -> pd.DataFrame:
    """Returns a table, a row per number.

    "bansal2021_gaps" has the 44 rows of self-supervised methods and 3 of end-to-end networks, "bansal2021_noise_sweep"
    train and test accuracy of six methods at 19 noise rates; "bansal2022" the 53 points (architecture, million_pairs,
    loss) of the data-scaling curves, "alabdulmohsin2022" the printed errors of their extrapolation.
    "bansal2021_stitching" and "bansal2021_cka" have the stitching penalties and the linear CKA read off that paper's
    figures.

    Raises: ValueError for an unknown name.

    >>> table = read("bansal2022")
    >>> len(table), float(table.loc[0, "loss"])
    (53, 0.9312)
    """
    return pd.read_csv(_path(name), comment="#")


def note(name: str) -> str:
    """Returns where a table comes from, what is attributed to whom, and what is not known of it.

    Raises: ValueError for an unknown name.

    >>> "ICML 2022" in note("bansal2022")
    True
    """
    lines = _path(name).read_text("utf8").splitlines()
    return " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))


def _path(name: str) -> Path:
    if name not in names():
        close = get_close_matches(str(name), names(), n=1)
        raise ValueError(f"{name!r} is not one of {', '.join(names())}" + (f": {close[0]!r}?" if close else ""))
    return _FOLDER / f"{name}.csv"
