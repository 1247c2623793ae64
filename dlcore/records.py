"""Immutable records of runs: one JSON file each, named by the hash of its configuration, written atomically."""

from __future__ import annotations

import datetime
import importlib
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from dlcore.config import Config

FORMAT = 1
PACKAGED = Path(__file__).with_name("records")


class DamagedRecordWarning(UserWarning):
    """A record could not be read; it is named and skipped."""


@dataclass(frozen=True)
class Record:
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
        return json.dumps(_plain(asdict(self)), indent=None, separators=(",", ":"), allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Returns the record in a file's text.

        Raises:
            ValueError: not a complete record, or one of a later format.
        """
        raw = json.loads(text)
        if not isinstance(raw, dict) or not {"study", "config", "metrics", "key"} <= raw.keys():
            raise ValueError("not a record: study, config, metrics and key are needed")
        if raw.get("format", 0) > FORMAT:
            raise ValueError(f"format {raw['format']} is newer than this package's {FORMAT}")
        nan = {k: math.nan if v is None else v for k, v in raw["metrics"].items()}
        return cls(**{**raw, "metrics": nan})


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


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that a reader or a kill sees either nothing or all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf8") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def default_path() -> Path:
    """Returns where new records go: $DLCORE_RECORDS, else dlcore/records in the user's cache folder."""
    if given := os.environ.get("DLCORE_RECORDS"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dlcore" / "records"


class RecordStore:
    """Reads the records shipped with the package and a local folder; writes to the local folder only.

    Args:
        path: the local folder; None takes `default_path()`.
        packaged: whether the records shipped with the package are read too.
    """

    def __init__(self, path: str | Path | None = None, *, packaged: bool = True) -> None:
        self.path = Path(path) if path is not None else default_path()
        self._folders = [self.path, PACKAGED] if packaged else [self.path]

    def _file(self, study: str, key: str) -> Path:
        return self.path / study / f"{key}.json"

    def checkpoint(self, config: Config) -> Path:
        """Returns the path of the checkpoint of a run that is not finished."""
        return self.path / config.STUDY / "unfinished" / f"{config.key}.pt"

    def load(self, config: Config) -> Record | None:
        """Returns the record of a configuration, or None. A damaged one is named, and counts as missing."""
        for folder in self._folders:
            path = folder / config.STUDY / f"{config.key}.json"
            if path.exists() and (record := _read(path)) is not None:
                return record
        return None

    def save(self, config: Config, record: Record) -> Record:
        """Writes the record under its key, which is immutable: an intact record of the same key is kept."""
        made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        record = Record(**{**asdict(record), "key": config.key, "created": record.created or made})
        path = self._file(config.STUDY, config.key)
        if path.exists() and _read(path) is not None:
            return Record.from_json(path.read_text("utf8"))
        write_atomically(path, record.to_json())
        return Record.from_json(record.to_json())

    def load_or_run(self, config: Config, run: Callable[..., Record] | None = None, **options: Any) -> Record:
        """Returns the stored record of `config`, or runs it and stores the result.

        Args:
            run: `run(config, checkpoint=path, **options)`; by default that of the configuration's study.
        """
        checkpoint = self.checkpoint(config)
        if (record := self.load(config)) is not None:
            # a process killed after it had saved the record could not delete its checkpoint any more
            checkpoint.unlink(missing_ok=True)
            return record
        if run is None:
            run = importlib.import_module(f"dlcore.studies.{config.STUDY}").run
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        record = run(config, checkpoint=checkpoint, **options)
        seconds = record.seconds or round(time.perf_counter() - start, 2)
        saved = self.save(config, Record(**{**asdict(record), "seconds": seconds}))
        checkpoint.unlink(missing_ok=True)
        return saved

    def records(self, study: str) -> Iterator[Record]:
        """Yields every intact record of a study, the local ones first; a key is yielded once."""
        seen = set()
        for folder in self._folders:
            for path in sorted((folder / study).glob("*.json")):
                if path.stem not in seen and (record := _read(path)) is not None:
                    seen.add(path.stem)
                    yield record

    def table(self, study: str, **where: Any) -> pd.DataFrame:
        """Returns one tidy row per record: key, the fields of the configuration, the metrics, provenance.

        Args:
            where: keep rows whose field equals the value, or is among the values of a list or tuple.
        """
        rows = []
        for r in self.records(study):
            if any(r.config.get(k) not in (v if isinstance(v, (list, tuple, set)) else (v,)) for k, v in where.items()):
                continue
            made = {"device": r.environment.get("device", ""), "commit": r.environment.get("commit", "")}
            made |= {"split": r.data.get("split", ""), "seconds": r.seconds, "created": r.created}
            rows.append({"key": r.key, **r.config, **r.metrics, **made})
        return pd.DataFrame(rows)


def _read(path: Path) -> Record | None:
    try:
        record = Record.from_json(path.read_text("utf8"))
    except (OSError, ValueError, TypeError, UnicodeDecodeError) as error:
        warnings.warn(f"skipped the damaged record {path}: {error}", DamagedRecordWarning, stacklevel=3)
        return None
    if record.key != path.stem:
        warnings.warn(f"skipped {path}: it holds the record {record.key}", DamagedRecordWarning, stacklevel=3)
        return None
    return record
