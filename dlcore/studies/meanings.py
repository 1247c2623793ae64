"""What every column of the runs' tables means: settings in the words of their options, metrics in those below."""

from __future__ import annotations

import dataclasses

import pandas as pd

from dlcore import studies

_ALL = {
    "key": "name of the run: a hash of its settings",
    "group": 'recorded group of a shipped run, "" of a local one',
    "source": "shipped with the package, local, or published by others",
    "num_train": "training samples that were used",
    "num_test": "test samples",
    "device": "device and its model",
    "commit": "commit of the code that made the run",
    "split": "which rows are train and which are test",
    "seconds": "duration of the run",
    "created": "time of the run, UTC",
    "stopped": "why training ended",
}


def columns(study: str) -> pd.DataFrame:
    """Returns a row per column of a study's runs: `column`, `kind` (setting, metric, derived, record) and `meaning`.

    A metric with intervals also has its limits, `NAME_low` and `NAME_high`, at 95 %. Derived columns are those that
    `studies.table` adds.

    >>> columns("distributional").set_index("column").meaning["noise"]
    'rate at which the noisy labels are flipped'
    """
    fields = dataclasses.fields(studies.study(study).Config)
    rows = [(f.name, "setting", f.metadata["help"]) for f in fields]
    own = studies.part(study, "columns")
    for kind, names in {"metric": own.METRICS, "derived": own.DERIVED, "record": _ALL}.items():
        rows += [(name, kind, meaning) for name, meaning in names.items()]
    return pd.DataFrame(rows, columns=["column", "kind", "meaning"]).drop_duplicates("column", ignore_index=True)


def markdown() -> str:
    """Returns the page of all columns, `book/columns.md`."""
    parts = [
        "(columns)=\n# Every column of the runs\n",
        "A row is a run. `dlcore.load(STUDY)` gives a study's table, `dlcore.columns(STUDY)` the table below, `python -m dlcore "
        "export FILE.csv` all studies at once. Rates, errors, gaps and shares are fractions. A metric with an interval has its "
        "limits beside it, `NAME_low` and `NAME_high`, at 95 %. The settings' words are those of the options themselves. Columns "
        "of the kind *derived* are those that `dlcore.studies.table(STUDY, runs)` adds to the runs that the charts show.\n",
    ]
    for study in studies.STUDIES:
        parts.append(f"## {study}\n\n| column | kind | meaning |\n| --- | --- | --- |")
        lines = [
            f"| `{column}` | {kind} | {meaning.replace('|', chr(92) + '|')} |"
            for column, kind, meaning in columns(study).itertuples(index=False)
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)
