"""Immutable records of runs, named by the hash of their configurations: one JSON file each, the shipped ones a line each."""

from __future__ import annotations

import contextlib
import datetime
import importlib
import io
import json
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

import pandas as pd

from dlcore import cache, record_files
from dlcore.cache import write_atomically
from dlcore.config import Config, registered
from dlcore.record_files import FORMAT, DamagedError, NotUnderstoodError
from dlcore.results import Result

PACKAGED = Path(__file__).with_name("records")


class DamagedRecordWarning(UserWarning):
    """A record could not be read; it is named and skipped."""


class Record(Result):
    """One run: what was asked (`config`), what came out (`metrics`, `curves`), and how it was made.

    `metrics` are scalars, one column each in the tidy table. `curves` are lists over epochs or another axis.
    `arrays` are small nested lists (a joint density, say). Undefined numbers are NaN, stored as null.
    """

    study: str
    config: dict[str, Any]
    metrics: dict[str, float | int | str | bool]
    curves: dict[str, list] = field(default_factory=dict)
    arrays: dict[str, list] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    created: str = ""
    key: str = ""
    format: int = FORMAT

    def to_json(self) -> str:
        """Returns the file's text; not-a-number becomes null, as JSON has none."""
        # the configuration keeps its digits: its hash is the record's name
        return json.dumps(_plain(asdict(self)) | {"config": self.config}, separators=(",", ":"), allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Returns nested lists, dicts and plain scalars; NumPy and torch values are converted, NaN becomes None."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        # eight significant digits: far below any seed's noise, and a third of the bytes
        return float(f"{value:.8g}") if math.isfinite(value) else None
    return value


def default_path() -> Path:
    """Returns where new records go: $DLCORE_RECORDS, else dlcore/records in the user's cache folder.

    Raises: ValueError where there is no home folder to have a cache in.
    """
    return cache.path_of("DLCORE_RECORDS") or cache.folder("records")


class RecordStore:
    """Reads the records shipped with the package and a local folder; writes to the local folder only.

    Args:
        path: the local folder; None takes `default_path()`.
        packaged: whether the records shipped with the package are read too.
    """

    def __init__(self, path: str | Path | None = None, *, packaged: bool = True) -> None:
        self._path = cache.expanded(path) if path is not None else None
        self._packaged = packaged

    @property
    def path(self) -> Path:
        """The local folder."""
        if self._path is None:
            self._path = default_path()
        return self._path

    @property
    def _folders(self) -> list[Path]:
        if not self._packaged:
            return [self.path]
        # without a home there are no records of one's own, but the shipped ones can be read
        own = cache.possible(lambda: self.path)
        return [PACKAGED] if own is None else [own, PACKAGED]

    def _file(self, study: str, key: str) -> Path:
        return self.path / study / f"{key}.json"

    def checkpoint(self, config: Config) -> Path:
        """Returns the path of the checkpoint of a run that is not finished."""
        return self.path / config.STUDY / "unfinished" / f"{config.key}.pt"

    def load(self, config: Config) -> Record | None:
        """Returns the record of a configuration, or None. One that cannot be read is named, and counts as missing.

        So does a shipped record of another data set than the one that bears its name here.

        Raises:
            ValueError: a local record was made with other data than there are now; the message names both.
        """
        study, key = config.STUDY, config.key
        for folder in self._folders:
            entry = record_files.find(folder / study, key)
            if entry is None or (fields := _read(entry, study)) is None:
                continue
            record = Record(**fields)
            made = record.data.get("checksum")
            # a name and a key are enough to look something up; they say nothing of the data
            here = config.data_checksum() if isinstance(config, Config) else None
            if here is None or made in (None, here):
                return record
            if folder != PACKAGED:
                what = f"{entry.place} was made with the {record.data.get('name', 'data')} of checksum {made}"
                todo = "put the other back, or keep runs on this one in another folder (--store)"
                raise ValueError(f"{what}, but the file that is here now has {here}; {todo}")
        return None

    def save(self, config: Config, record: Record) -> Record:
        """Writes the record under its key, which is immutable: an intact record of the same key is kept.

        Raises:
            ValueError: the run returned a record of another configuration, or the file that is there holds something
                that this version does not understand; it is left as it is.
            OSError: it could not be written; the message names the file and why, a full disk for example.
        """
        if record.study != config.STUDY or (record.config and record.config != config.to_dict()):
            raise ValueError(f"the run of {config} returned the record of another: {record.study}, {record.config}")
        made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        more = {"config": config.to_dict(), "key": config.key, "created": record.created or made}
        text = Record(**{**asdict(record), **more}).to_json()
        saved = Record(**record_files.parse(text.encode(), config.STUDY, config.key))
        if (there := self._there(config)) is not None:
            return there
        write_atomically(self._file(config.STUDY, config.key), text)
        return saved

    def _there(self, config: Config) -> Record | None:
        """Returns the local record, or None where there is none, or half of one.

        Raises: ValueError for a file that this version does not understand, and must not replace.
        """
        path = self._file(config.STUDY, config.key)
        try:
            return Record(**record_files.read(path, config.STUDY, config.key))
        except (FileNotFoundError, DamagedError):
            return None
        except (OSError, NotUnderstoodError) as error:
            todo = "move it away, or take another folder (--store)"
            raise ValueError(f"{path} is not replaced: {error}; {todo}") from None

    def load_or_run(self, config: Config, *, run: Callable[..., Record] | None = None, **options: Any) -> Record:
        """Returns the stored record of `config`, or runs it and stores the result.

        Args:
            run: `run(config, checkpoint=path, **options)`; by default that of the configuration's study.
        Raises:
            ValueError: the local file of this run was made with other data, or by a later version of the package; or
                the recipe of the configuration is another version's. Nothing was run.
        """
        if (record := self.load(config)) is not None:
            # a process killed after it had saved the record could not delete its checkpoint any more
            with contextlib.suppress(OSError, ValueError):  # a folder that cannot be written, or none
                self._forget(config)
                self.tidy(config.STUDY)
            return record
        self._there(config)
        config.check_constants()
        self.tidy(config.STUDY)
        checkpoint = self.checkpoint(config)
        if run is None:
            own = registered("study").get(config.STUDY)
            run = (own or importlib.import_module(f"dlcore.studies.{config.STUDY}")).run
        assert run is not None
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        record = run(config, checkpoint=checkpoint, **options)
        seconds = record.seconds or round(time.perf_counter() - start, 2)
        saved = self.save(config, Record(**{**asdict(record), "seconds": seconds}))
        self._forget(config)
        return saved

    def _forget(self, config: Config) -> None:
        """Removes the checkpoints of a finished run, also those of its parts, KEY.0.pt, that a kill has left."""
        for path in self.checkpoint(config).parent.glob(f"{config.key}.*pt"):
            path.unlink(missing_ok=True)

    def tidy(self, study: str, *, again: bool = False) -> None:
        """Removes the half-written files of killed processes, of records and of all that runs keep beside them.

        Once a process, unless `again`.
        """
        for name in ("", "unfinished", "networks", "controls", "reverse", "features", "end_to_end"):
            cache.sweep(self.path / study / name, again=again)

    def records(self, study: str) -> Iterator[Record]:
        """Yields every intact record of a study, the local ones first; a key is yielded once."""
        for _, fields in self._found(study):
            yield Record(**fields)

    def keys(self, study: str) -> set[str]:
        """Returns the keys of all records of a study, read or not, damaged ones too."""
        return {entry.key for folder in self._folders for entry in record_files.entries(folder / study)}

    def _found(self, study: str) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
        """Yields where each intact record of a study comes from, its `group` and `source`, and its fields."""
        known: set[str] = set()
        for folder in self._folders:
            source, seen = "shipped" if folder == PACKAGED else "local", set[str]()
            for entry in record_files.entries(folder / study):
                if entry.key in seen:
                    _skipped(entry, f"the record {entry.key} is there twice")
                elif entry.key not in known and (fields := _read(entry, study)) is not None:
                    seen.add(entry.key)
                    yield {"group": entry.group, "source": source}, fields
            known |= seen

    def table(self, study: str, **where: Any) -> pd.DataFrame:
        """Returns one tidy row per record: key, the fields of the configuration, the metrics, provenance.

        `source` is "shipped" or "local", `group` the recorded group of a shipped record, "" for a local one.

        Args:
            where: keep rows whose field equals the value, or is among the values of a list or tuple.
        """
        folders = self._folders
        shipped = PACKAGED in folders and PACKAGED.parent == Path(__file__).parent
        if shipped and not where and not any(record_files.entries(f / study) for f in folders if f != PACKAGED):
            return cache.remembered(f"runs-{study}", lambda: RecordStore(PACKAGED, packaged=False)._table(study))
        return self._table(study, **where)

    def _table(self, study: str, **where: Any) -> pd.DataFrame:
        rows = []
        wanted = {k: v if isinstance(v, (list, tuple, set)) else (v,) for k, v in where.items()}
        for origin, r in self._found(study):
            config, environment = r["config"], r["environment"]
            if all(config.get(name) in values for name, values in wanted.items()):
                made = {"device": environment.get("device", ""), "commit": environment.get("commit", "")}
                made |= {"split": r["data"].get("split", ""), "seconds": r["seconds"], "created": r["created"]}
                rows.append({"key": r["key"], **origin, **config, **r["metrics"], **made})
        return pd.DataFrame(rows)


def export(path: str | Path, studies: Iterable[str], *, store: RecordStore | None = None) -> int:
    """Writes all runs of studies into one file, a row a run: study, settings, metrics, provenance; returns how many.

    A column that a study has not is empty in its rows. Curves and arrays are left out; `RecordStore.records` has them.

    Args:
        path: FILE.csv, FILE.csv.gz or FILE.parquet; the last needs the package pyarrow.
        store: by default the shipped and the local runs.
    Raises: ValueError for another ending, ImportError without pyarrow.
    """
    name = str(path).lower()
    if not name.endswith((".csv", ".csv.gz", ".parquet")):
        raise ValueError(f"{path}: the name must end in .csv, .csv.gz or .parquet")
    store = store or RecordStore()
    tables = [t.assign(study=s)[["study", *t.columns]] for s in studies if len(t := store.table(s))]
    runs = pd.concat(tables, ignore_index=True).convert_dtypes() if tables else pd.DataFrame()
    content = io.BytesIO()
    if name.endswith(".parquet"):
        mixed = {str(c): column.map(str, na_action="ignore") for c, column in runs.items() if column.dtype == object}
        try:
            runs.assign(**mixed).to_parquet(content, index=False)
        except ImportError:
            raise ImportError(f"{path} needs a package: pip install pyarrow, or write a .csv.gz") from None
    else:
        # the same runs give the same bytes
        packed = {"method": "gzip", "mtime": 0} if name.endswith(".gz") else None
        runs.to_csv(content, index=False, compression=packed, lineterminator="\n")
    with cache.writing(cache.expanded(path), sync=True) as file:
        file.write(content.getvalue())
    return len(runs)


def _read(entry: record_files.Entry, study: str) -> dict[str, Any] | None:
    """Returns the fields of a record; None where there is none, or, named by a warning, none of use."""
    try:
        return entry.read(study)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return _skipped(entry, error)


def _skipped(entry: record_files.Entry, why: object) -> None:
    warnings.warn(f"skipped the damaged record {entry.place}: {why}", DamagedRecordWarning, stacklevel=4)
