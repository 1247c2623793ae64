"""What the status page says: what built the book, how long each notebook took, which records it shows."""

from __future__ import annotations

import html
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dlcore import machine, studies
from dlcore.records import PACKAGED, RecordStore

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "dlcore",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "altair",
    "jupyter-book",
    "sphinx",
    "papermill",
)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Returns an HTML table in the book's style."""
    top = "".join(f"<th scope='col'>{html.escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(v))}</td>" for v in row) + "</tr>" for row in rows)
    return f"<div class='dl-scroll'><table class='dl-table'><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def commit() -> str:
    """Returns the commit that is built and its date, or that there is no repository, or that git cannot tell."""
    if not (ROOT / ".git").exists():
        return "not in a repository"
    try:
        return machine.git(ROOT, "log", "-1", "--format=%h of %cs").strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown: git cannot be asked"


def recorded() -> pd.DataFrame:
    """Returns the shipped records counted by study, preset, data set and device, with the dates of the first and the last."""
    store, found = RecordStore(PACKAGED), []
    for study in studies.STUDIES:
        t = store.table(study)
        if t.empty:
            continue
        t = t.assign(study=study, day=pd.to_datetime(t.created, utc=True, format="ISO8601").dt.date)
        by = t.groupby(["study", "preset", "dataset", "device"], sort=True)
        found.append(by.agg(runs=("key", "count"), first=("day", "min"), last=("day", "max")).reset_index())
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def versions() -> list[tuple[str, str]]:
    """Returns what built the book: names and versions."""
    known = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions() if d.metadata["Name"]}
    return [("Python", platform.python_version()), *((n, known[n]) for n in PACKAGES if n in known)]


def page(times: dict[str, float | None]) -> str:
    """Returns the page's HTML.

    Args: times: notebook -> the seconds that its execution took, None where that is not known.
    """
    runs = recorded()
    made = [("source", commit()), ("notebooks", f"{len(times)}, executed by papermill"), *versions()]
    took = [(name, "not known" if seconds is None else f"{seconds:.0f} s") for name, seconds in times.items()]
    return "\n\n".join(
        [
            "## What built it",
            table(("what", "version"), made),
            "## How long each notebook took",
            table(("notebook", "last execution"), took),
            f"## The {runs.runs.sum() if len(runs) else 0:,} recorded runs",
            table(tuple(runs.columns), runs.itertuples(index=False)),
        ]
    )
