"""When each claim's region was committed, the first of its records made, and where these are: from Git's history into `history.json`."""

from __future__ import annotations

import datetime
import functools
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml

from dlcore import machine
from dlcore.cache import write_atomically

FILE = Path(__file__).with_name("history.json")


class Dates(NamedTuple):
    """When a region was committed, when the first record that its claim measures was made (None without records), and the
    groups of these records."""

    region: datetime.datetime
    first: datetime.datetime | None
    groups: tuple[str, ...] = ()


@functools.cache
def load() -> dict[str, Dates]:
    """Returns dates and groups by claim, as `python -m dlcore claims --history` found them."""
    found = json.loads(FILE.read_text("utf8"))
    return {
        name: Dates(*(v and datetime.datetime.fromisoformat(v) for v in dates), groups=tuple(groups))
        for name, (*dates, groups) in found.items()
    }


def write(measures: Mapping[str, Callable], tables: Mapping[str, pd.DataFrame]) -> None:
    """Writes the dates of all claims; those whose region is not committed yet are left out.

    Args: measures: claim -> its measure; tables: claim -> the table that it is measured on, if it is on records.
    """
    dates = {}
    for name, (region, _) in sorted(regions().items()):
        if name in tables:
            few = _of_its_groups(measures[name], tables[name])
            dates[name] = Dates(region, first_record(measures[name], few), groups(measures[name], few))
        elif name in measures:
            dates[name] = Dates(region, None)
    rows = [
        f'  "{name}": {json.dumps([*(v and v.isoformat() for v in row[:2]), row.groups])}'
        for name, row in dates.items()
    ]
    write_atomically(FILE, "{\n" + ",\n".join(rows) + "\n}\n")
    load.cache_clear()


def first_record(measure: Callable, table: pd.DataFrame) -> datetime.datetime | None:
    """Returns when the first record was made without which the measure is another; None where nothing is measured.

    Found by halving: the oldest records are left out, more and more of them, until the value or the number of runs changes.
    """
    whole = measure(table) if len(table) else None
    if whole is None:
        return None
    order = table.created.sort_values(kind="stable")
    same, changed = 0, len(order)
    while changed - same > 1:
        middle = (same + changed) // 2
        rest = measure(table.drop(order.index[:middle]))
        # as text: NaN differs from itself
        same, changed = (middle, changed) if repr(rest) == repr(whole) else (same, middle)
    return datetime.datetime.fromisoformat(order.iloc[same])


def behind(measure: Callable, table: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of a table without which the measure is another."""
    table = _of_its_groups(measure, table)
    return table.iloc[sorted(_needed(measure, table, [table.index[i : i + 1] for i in range(len(table))]))]


def groups(measure: Callable, table: pd.DataFrame) -> tuple[str, ...]:
    """Returns the recorded groups without which the measure is another, by name."""
    parts = table.groupby("group").groups
    return tuple(sorted(str([*parts][i]) for i in _needed(measure, table, [*parts.values()])))


def _of_its_groups(measure: Callable, table: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of the groups that a measure needs: on them it takes a fraction of the time."""
    few = table.loc[table.group.isin(groups(measure, table))]
    return few if repr(measure(few)) == repr(measure(table)) else table


def _needed(measure: Callable, table: pd.DataFrame, parts: Sequence[pd.Index]) -> list[int]:
    """Returns the numbers of the parts of a table without which the measure is another.

    Found by halving: parts that can be left out together without a change are left out for good, others are divided.
    """
    whole, found, tried = repr(measure(table)), [], [range(len(parts))] if parts else []
    while tried:
        some = tried.pop()
        rows, half = np.concatenate([parts[i] for i in some]), len(some) // 2
        if not _changes(measure, table, rows, whole):
            table = table.drop(rows)
        elif half:
            tried += [some[half:], some[:half]]
        else:
            found.append(some[0])
    return found


def _changes(measure: Callable, table: pd.DataFrame, rows: np.ndarray, whole: str) -> bool:
    try:
        return repr(measure(table.drop(rows))) != whole
    except (ArithmeticError, LookupError, ValueError):  # nothing is left to measure
        return True


def regions() -> dict[str, tuple[datetime.datetime, tuple[float, float]]]:
    """Returns, for each claim ever committed, when its last region was, and that region.

    Reads every version of every claims.yml in Git's history, in any folder; by the committer's date, the later of the two.
    Raises: RuntimeError without a history that reaches back to the ledger's first commit.
    """
    found: dict[str, tuple[datetime.datetime, tuple[float, float]]] = {}
    for date, text in _versions():
        for entry in yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            region = tuple(entry["accept"])
            if entry["id"] not in found or found[entry["id"]][1] != region:
                found[entry["id"]] = (date, region)
    return found


def _versions() -> Iterator[tuple[datetime.datetime, str]]:
    try:
        if _git("rev-parse", "--is-shallow-repository").strip() == "true":
            raise RuntimeError("this clone is shallow: git fetch --unshallow")
        commits = _git(
            "log", "--full-history", "--topo-order", "--reverse", "--format=%H %cI", "--", ":(top,glob)**/claims.yml"
        )
        for commit, date in map(str.split, commits.splitlines()):
            for path in _git("ls-tree", "-r", "--full-tree", "--name-only", commit).splitlines():
                if path.endswith("/claims.yml"):
                    yield datetime.datetime.fromisoformat(date), _git("show", f"{commit}:{path}")
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeError(f"the history of the claims needs Git and the repository: {error}") from None


def _git(*arguments: str) -> str:
    return machine.git(FILE.resolve().parents[2], *arguments)
