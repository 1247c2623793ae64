"""What a sweep would do: its cells, which are done, how long the others should take, and the table of results."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import os
import statistics
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dlcore import cache, studies
from dlcore.records import Record, RecordStore
from dlcore.sweep import function, grid
from dlcore.sweep.cells import DONE, FAILED, MISSING, Place
from dlcore.sweep.grid import Cell

# how long a run takes does not depend on these
TIMELESS = ("seed", "preset", "noise")
NEEDED = ("architecture", "dataset", "objective")


@dataclass
class Plan:
    """The checked cells of a sweep, where they go, and their state."""

    place: Place
    cells: list[Cell]
    repeated: int
    records: dict[str, Record]
    status: dict[str, str]
    sources: dict[str, str] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def fields(self) -> list[str]:
        """The names in which cells differ; all that were asked for when there is one cell."""
        names = list(dict.fromkeys(name for cell in self.cells for name in cell.given))
        varied = [n for n in names if len({str(getattr(c.config, n)) for c in self.cells}) > 1]
        return varied or names

    @property
    def studies(self) -> list[str]:
        """The studies of the cells: one, but for a queue of recorded runs."""
        return list(dict.fromkeys(cell.config.STUDY for cell in self.cells))

    def at(self, cell: Cell) -> Place:
        """Returns the place of a cell, which names its study."""
        return dataclasses.replace(self.place, study=cell.config.STUDY)

    def look(self) -> None:
        """Reads the state of every cell from the disk."""
        store, copies = RecordStore(self.place.store), self.place.copies()
        there = set[str]().union(*(store.keys(study) for study in self.studies))
        stores = {"local": RecordStore(self.place.store, packaged=False), "shipped": store}
        for cell in self.cells:
            record = None
            for source in stores if cell.key in there else ():
                if (record := stores[source].load(cell.config)) is not None:
                    self.records[cell.key], self.sources[cell.key] = record, source
                    break
            self.status[cell.key] = self.place.status(cell.key, record, copies)

    def todo(self, retry_failed: bool = False) -> list[Cell]:
        """Returns the cells that are neither done nor, unless asked for, failed before."""
        wanted = (MISSING, FAILED) if retry_failed else (MISSING,)
        return [cell for cell in self.cells if self.status[cell.key] in wanted]

    def counts(self) -> str:
        """Returns the numbers of cells done, failed and to run, in words."""
        found = list(self.status.values())
        return f"{len(found)} cells: " + ", ".join(f"{found.count(s)} {s}" for s in (DONE, FAILED, MISSING))

    def table(self) -> pd.DataFrame:
        """Returns one row per cell: the swept fields, status, seconds, every metric, the other fields, the files."""
        rows, copies = [], self.place.copies()
        for cell in self.cells:
            record, status = self.records.get(cell.key), self.status[cell.key]
            row = {name: getattr(cell.config, name) for name in self.fields}
            row |= {"status": status, "seconds": record.seconds if record else math.nan}
            row |= record.metrics if record else {}
            row |= {"key": cell.key, "source": self.sources.get(cell.key, ""), "error": "", "notebook": ""}
            if status == FAILED:
                row["error"] = self.place.read_failure(cell.key)["error"]
            elif self.place.source is not None and status == DONE:
                row["notebook"] = str(copies.get(cell.key, ""))
            rows.append(row | {n: v for n, v in cell.config.to_dict().items() if n not in row})
        table = pd.DataFrame(rows)
        last = ["key", "source", "error", "notebook"]
        return table[[name for name in table.columns if name not in last] + last]

    @property
    def name(self) -> str:
        """What the table's file is called: the study and a hash of cells and store, so that no sweep overwrites another's."""
        text = " ".join([self.place.folder.name, str(self.place.store), *sorted(cell.key for cell in self.cells)])
        return f"{self.place.study}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.csv"

    def summary(self, table: pd.DataFrame) -> str:
        """Returns the table's main columns as text."""
        metrics = [name for record in self.records.values() for name in record.metrics]
        names = [*self.fields, *_of(self.place.study, "SUMMARY", metrics), "seconds", "status"]
        shown = table[[name for name in dict.fromkeys(names) if name in table]]
        return shown.to_string(index=False, max_rows=60, float_format=lambda v: f"{v:.4g}", na_rep="-")


def _of(study: str, name: str, default: Any) -> Any:
    """Returns what a study says of itself; a function in its place, or one that is registered, need not."""
    return getattr(studies.study(study), name, default) if study in studies.STUDIES else default


def find_notebook(study: str) -> Path:
    """Returns the chapter of a study, in the source tree or under the current folder.

    Raises:
        FileNotFoundError: an installed package has them where `python -m dlcore notebooks` has written them.
    """
    if (name := _of(study, "NOTEBOOK", None)) is None:
        raise ValueError(f"{study} has no chapter; name a notebook, or run the study without one: --direct")
    name = f"{name}.ipynb"
    places = [Path(__file__).resolve().parents[2] / "notebooks", Path("notebooks").resolve(), Path.cwd()]
    for folder in places:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"the notebook {name} is in none of {', '.join(map(str, dict.fromkeys(places)))}; write it with "
        "python -m dlcore notebooks, name it with --notebook PATH, or run the study without a notebook: --direct"
    )


def make(
    study: str | Callable[..., Any],
    wanted: Sequence[Mapping[str, Any]],
    *,
    store: str | Path | None = None,
    out: str | Path = "sweeps",
    notebook: str | Path | None = None,
    direct: bool = False,
    timeout: int | None = None,
) -> Plan:
    """Returns the plan of the cells that `wanted` describes; every mistake is raised here, before anything runs.

    Args: study: its name, or a function of the parameters that returns numbers by name.

    Raises:
        ValueError: an unknown study, a parameter or a value that is not valid, a field that the notebook does not set.
        FileNotFoundError: the study's notebook was not found.
    """
    out, name = cache.expanded(out).resolve(), function.name(study) if callable(study) else study
    local, token = RecordStore(store).path.resolve(), uuid.uuid4().hex[:12]
    place = Place(name, local, out / name / "direct", token, timeout=timeout)
    if callable(study):
        if notebook is not None:
            raise ValueError("a function runs without a notebook; leave notebook out")
        place, found = dataclasses.replace(place, function=study), function.cells(study, wanted)
    else:
        config, base = studies.study(study).Config, dict(_of(study, "CHAPTER", {}))
        if direct and notebook is not None:
            raise ValueError("--direct runs the study without a notebook; leave --notebook out")
        plugins = tuple(filter(None, os.environ.get("DLCORE_PLUGINS", "").split(",")))
        place = dataclasses.replace(place, plugins=plugins)
        if not direct:
            place, known = _with_notebook(
                place, cache.expanded(notebook) if notebook is not None else find_notebook(study)
            )
            base = {name: entry for name, entry in known.items() if name in config.names()}
            for name in dict.fromkeys(name for given in wanted for name in given):
                if name in config.names() and name not in known:
                    raise ValueError(
                        f"the parameters cell of {place.source.name} does not set {name!r}, only {', '.join(known)}; "
                        "--direct sweeps every field of the study"
                    )
        found = grid.cells(config, wanted, base)
    plan = Plan(place, *found, {}, {})
    plan.look()
    return plan


def _with_notebook(place: Place, source: Path) -> tuple[Place, dict[str, Any]]:
    """Returns the place of a notebook's cells and the values of its parameters cell."""
    try:
        from dlcore import notebook

        if not source.is_file():
            raise FileNotFoundError(f"there is no notebook {source}")
        base = notebook.defaults(source)
        folder = place.folder.with_name(f"{source.stem}-{notebook.fingerprint(source)}")
    except ImportError as error:
        raise RuntimeError(
            f"notebooks need papermill and jupytext: pip install papermill jupytext ipykernel ({error})"
        ) from error
    if not base:
        raise ValueError(f"{source} has no cell with the tag 'parameters' that sets any")
    source = source.resolve()
    return dataclasses.replace(place, folder=folder, source=source, cwd=source.parent), base


def estimate(records: Iterable[Record], fields: Mapping[str, Any]) -> tuple[float, tuple[str, ...]] | None:
    """Returns the seconds that a configuration should take, and the fields in which the records behind that differ from it.

    The rule: of the records with the same architecture, data set and objective take those that differ in the fewest of the
    fields and, among these, those whose numbers are nearest in proportion; the estimate is the median of their seconds, None
    without any. Nothing is scaled: twice the epochs by a record of half as many is an estimate too low, and the fields that
    differ are named.
    """
    found: dict[tuple[int, float], list[tuple[float, list[str]]]] = {}
    for record in records:
        if any(record.config.get(name) != fields.get(name) for name in NEEDED):
            continue
        differ = [name for name, entry in fields.items() if record.config.get(name, entry) != entry]
        pairs = [(record.config[name], fields[name]) for name in differ]
        far = sum(abs(math.log(a / b)) for a, b in pairs if all(isinstance(v, (int, float)) and v > 0 for v in (a, b)))
        found.setdefault((len(differ), round(far, 9)), []).append((record.seconds, differ))
    if not found:
        return None
    nearest = found[min(found)]
    names = {name for _, differ in nearest for name in differ}
    return statistics.median(seconds for seconds, _ in nearest), tuple(name for name in fields if name in names)


def describe_time(plan: Plan, todo: Sequence[Cell], workers: int, device: str = "") -> list[str]:
    """Returns lines: how many cells take about how long, by which records of a kind of device, and the whole for the workers."""
    records = [
        record
        for record in RecordStore(plan.place.store).records(plan.place.study)
        if record.seconds > 0 and record.environment.get("device", "").startswith(device)
    ]
    known: dict[tuple, tuple[float, tuple[str, ...]] | None] = {}
    groups: dict[tuple[str, ...] | None, list[float]] = {}
    for cell in todo:
        fields = {name: entry for name, entry in cell.config.to_dict().items() if name not in TIMELESS}
        if (alike := tuple(fields.values())) not in known:
            known[alike] = estimate(records, fields)
        # a notebook whose record is there runs its own cells only
        seconds, differ = (0.0, ()) if cell.key in plan.records else known[alike] or (math.nan, None)
        groups.setdefault(differ, []).append(seconds)
    lines = []
    for differ, seconds in groups.items():
        if differ is None:
            lines.append(f"{len(seconds)} cells: no record to go by")
            continue
        span = " to ".join(dict.fromkeys(map(duration, (min(seconds), max(seconds)))))
        like = f"records that differ in {', '.join(differ)}" if differ else "records alike but for seed and noise"
        lines.append(f"{len(seconds)} cells: about {span} each, by {like}")
    told = [s for differ, group in groups.items() if differ is not None for s in group]
    if told:
        total = max(max(told), sum(told) / workers)
        rest = f" for the {len(told)} of {len(todo)} cells with an estimate" if len(told) < len(todo) else ""
        own = "; the notebooks' own cells come on top" if plan.place.source is not None else ""
        lines.append(f"in all about {duration(total)} on {workers} worker{'s' * (workers > 1)}{rest}{own}")
    return lines


def duration(seconds: float) -> str:
    """Returns a time in words.

    >>> duration(0.4), duration(75), duration(7300)
    ('0.4 s', '1.2 min', '2.0 h')
    """
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
