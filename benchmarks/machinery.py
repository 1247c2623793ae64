"""What our own machinery costs, beside the limit that each part is held to.

python benchmarks/machinery.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import harness

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "3_distributional_generalization.ipynb"
TABLES = (
    "import time; from dlcore import records, studies; s = records.RecordStore(); t = time.process_time();"
    "[s.table(n) for n in studies.STUDIES]; print(time.process_time() - t)"
)


def _spent(command: list[str], folder: str, status: int = 0) -> tuple[float, float, str]:
    """Returns the CPU seconds and MB of a command and its children, with a cache of its own, and what it printed."""
    env = {**os.environ, "XDG_CACHE_HOME": folder, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with open(Path(folder) / "said", "w+", encoding="utf8") as said:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=said, stderr=subprocess.STDOUT)
        _, end, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(end)
        said.seek(0)
        text = said.read()
    if process.returncode != status:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {text[-500:]}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, text


def _row(what: str, seconds: float, limit: float, memory: float, most: float | None = None) -> dict:
    row = {"what": what, "CPU, s": seconds, "limit, s": limit, "CPU / limit": seconds / limit, "MB": memory}
    return row | ({"limit, MB": most, "MB / limit": memory / most} if most else {})


def costs(quick: bool) -> harness.Table:
    """Returns the table of costs."""
    count, ours = (100 if quick else 10_000), [sys.executable, "-m", "dlcore"]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for when in ("with an empty cache", "again")[: 1 if quick else 2]:
            _, memory, printed = _spent([sys.executable, "-c", TABLES], folder)
            rows.append(_row(f"all records to tables, {when}", float(printed), 0.3, memory))
        dry = ["sweep", "distributional", "--direct", "--dry-run", "--grid", f"seed=0:{count - 1}:1"]
        cpu, memory, _ = _spent([*ours, *dry, "--store", f"{folder}/s", "--out", f"{folder}/o"], folder)
        rows.append(_row(f"dry run of {count:,} cells", cpu, 5, memory, 200))
    if quick:
        return _table(rows)
    with tempfile.TemporaryDirectory() as folder:
        for when in ("with an empty cache", "again"):
            cpu, memory, _ = _spent([*ours, "claims"], folder)
            rows.append(_row(f"`claims`, {when}", cpu, 2, memory))
        run = [sys.executable, "-m", "papermill", "--no-progress-bar", "-p", "noise", "-1"]
        empty = Path(folder) / "empty.ipynb"
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        page = {"cells": [], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        empty.write_text(json.dumps(page), "utf8")
        bare, *_ = _spent([*run, str(empty), f"{folder}/out.ipynb"], folder)
        cpu, memory, text = _spent([*run, str(NOTEBOOK), f"{folder}/out.ipynb"], folder, status=1)
        if "noise = -1" not in text:
            raise RuntimeError(f"the notebook was not refused for its noise: {text[-500:]}")
        rows.append(_row("a wrong parameter refused by a chapter, above an empty notebook", cpu - bare, 2, memory))
    if (ROOT / "_build" / "html" / "index.html").exists():
        build = [sys.executable, "book/build.py"]
        with tempfile.TemporaryDirectory() as folder:
            _spent(build, folder)
            cpu, memory, _ = _spent(build, folder)
        rows.append(_row("`make book` without a change", cpu, 4, memory))
    else:
        rows.append(harness.remark("there is no site: make book", what="`make book` without a change"))
    return _table(rows)


def _table(rows: list[dict]) -> harness.Table:
    note = (
        "CPU seconds of a fresh process and of those that it starts, and the peak of the memory of the largest; for the tables "
        "the work alone, without the imports. Each once: the ratio to the limit is what matters."
    )
    return harness.Table("What the machinery costs", note, rows, ("CPU / limit", "MB / limit"))


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the table of costs."""
    return [costs(quick)]


if __name__ == "__main__":
    harness.main(tables, __doc__)
