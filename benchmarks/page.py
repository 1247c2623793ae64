"""Runs all benchmarks, one after the other, and writes the book's page on them.

    python benchmarks/page.py                      # or: make bench
    python benchmarks/page.py --only training      # prints the tables, and leaves the book alone

A benchmark is a script of this folder with a function `tables`. One that fails is named in the page, the others go on,
and the exit status is 1.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import harness

from dlcore import runtime
from dlcore.machine import cpu_name

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = ROOT / "book" / "benchmarks.md"
PARTIAL = ROOT / "_build" / "benchmarks.md"


@dataclass(frozen=True)
class Outcome:
    """What became of a benchmark: its tables, or the last line of its error."""

    name: str
    sentence: str
    seconds: float
    tables: tuple[harness.Table, ...] = ()
    error: str = ""


def scripts(folder: Path = HERE) -> dict[str, Path]:
    """Returns the benchmarks: name -> script with a function `tables`, by name."""
    found = {}
    for path in sorted(folder.glob("*.py")):
        names = [n.name for n in ast.parse(path.read_text("utf8")).body if isinstance(n, ast.FunctionDef)]
        if "tables" in names:
            found[path.stem] = path
    return found


def sentence(path: Path) -> str:
    """Returns the first sentence of a script's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text("utf8"))) or path.stem).split("\n\n")[0].replace("\n", " ")


def run(path: Path, quick: bool, limit: float) -> Outcome:
    """Runs a benchmark in a process of its own, which prints what it finds."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(harness.THREADS))
    places = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    env = os.environ | threads | {"PYTHONPATH": os.pathsep.join(filter(None, places))}
    start = time.perf_counter()

    def outcome(*tables: harness.Table, error: str = "") -> Outcome:
        return Outcome(path.stem, sentence(path), time.perf_counter() - start, tables, error)

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "tables.json"
        command = [sys.executable, str(path), "--json", str(target), *["--quick"] * quick]
        # a session of its own: what the benchmark started ends with it
        with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
            try:
                errors = process.communicate(timeout=limit)[1]
            except BaseException as stopped:
                os.killpg(process.pid, signal.SIGKILL)
                if not isinstance(stopped, subprocess.TimeoutExpired):
                    raise
                return outcome(error=f"it took more than {limit:g} s")
        if process.returncode:
            print(errors, file=sys.stderr)
            return outcome(error=(errors.strip().splitlines() or [f"exit status {process.returncode}"])[-1])
        try:
            found = [harness.Table(**table) for table in json.loads(target.read_text("utf8"))]
        except (OSError, ValueError, TypeError) as error:
            return outcome(error=f"it wrote no tables ({type(error).__name__})")
    return outcome(*found) if found else outcome(error="it wrote no tables")


def machine() -> dict[str, str]:
    """Returns what a reader must know of the machine, the moment and the code."""
    import torch

    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = {
        "Processor": f"{cpu_name()}, {seen} cores visible, {memory:.0f} GB of memory",
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "System": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "Packages": harness.versions("torch", "numpy", "scipy", "scikit-learn"),
        "Native bfloat16": "yes" if runtime.fast_bfloat16(torch.device("cpu")) else "no (float32 is used instead)",
        "Load before the run": f"{os.getloadavg()[0]:.1f} (on a quiet machine, well below 1)",
        "Date": datetime.date.today().isoformat(),
        "Commit": runtime.commit(),
    }
    return found


def page(outcomes: list[Outcome], facts: dict[str, str], quick: bool = False) -> str:
    """Returns the page in Markdown."""
    parts = [
        "(benchmarks)=",
        "# Benchmarks",
        "How fast the package is beside what one would otherwise write or install, how much memory it takes, and what "
        "happens when a size doubles. `make bench` runs everything again and writes this page.",
    ]
    if quick:
        parts.append("**Tiny sizes, to try the benchmarks out: none of these numbers means anything.**")
    failed = [o for o in outcomes if o.error]
    if failed:
        parts.append("```{warning}\nNot measured: " + ", ".join(o.name for o in failed) + ". See below.\n```")
    parts += [
        "\n".join(
            [
                "- The numbers come from *one run on one machine*. What carries over to yours, roughly, is the ratios, "
                "which are taken within the run; run it again to see how roughly.",
                "- Seconds are CPU seconds unless a column says wall, and the median of some runs. Rivals take turns where "
                f"one process can hold them all. Linear algebra has {harness.THREADS} thread unless a row says otherwise.",
                '- "Extra MB" is the resident memory at the peak above what the process held before the work; a worker '
                "process's own is not in it.",
                "- A ratio above 1 in a column named *time / dlcore's* means that dlcore is faster; below 1, slower.",
                "- What is not installed has a row that says so; `pip install -r benchmarks/requirements.txt` installs all.",
            ]
        ),
    ]
    if not outcomes:
        return "\n\n".join([*parts, "No run has been recorded yet."]) + "\n"
    parts.append("\n".join([":::{table} Where and when", "| what | here |", "| --- | --- |", *_lines(facts), ":::"]))
    return "\n\n".join([*parts, *(section(outcome) for outcome in outcomes)]) + "\n"


def section(outcome: Outcome) -> str:
    """Returns the section of a benchmark."""
    about = f"`python benchmarks/{outcome.name}.py`, {outcome.seconds:.0f} s."
    parts = [f"## {_title(outcome.name)}", f"{harness.escaped(outcome.sentence)} {about}"]
    if outcome.error:
        parts.append(f"```{{error}}\nThis benchmark failed: {harness.escaped(outcome.error)}\n```")
    for table in outcome.tables:
        versions = f" ({harness.escaped(table.versions)})" if table.versions else ""
        parts += [f"### {table.title}", harness.escaped(table.note) + versions, table.markdown()]
    return "\n\n".join(parts)


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _lines(facts: dict[str, str]) -> list[str]:
    return [f"| {name} | {harness.escaped(value)} |" for name, value in facts.items()]


def write(text: str, target: Path) -> None:
    """Writes a file atomically: a run that is killed leaves the old page."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, "utf8")
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def main(arguments: list[str] | None = None, folder: Path = HERE, target: Path = PAGE) -> int:
    """Runs the benchmarks and writes the page; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="some of the benchmarks; the book's page stays as it is"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, whose ratios mean nothing: to try it out")
    parser.add_argument("--limit", type=float, default=1200, metavar="SECONDS", help="for one benchmark (1200)")
    parser.add_argument("--output", type=Path, help=f"where the page goes ({PAGE.relative_to(ROOT)})")
    options = parser.parse_args(arguments)
    found, asked = scripts(folder), options.only
    if unknown := set(asked or ()) - set(found):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    chosen = {name: path for name, path in found.items() if asked is None or name in asked}
    # a page of some benchmarks, or of tiny sizes, is not the book's
    target = options.output or (PARTIAL if options.only or options.quick else target)
    facts, outcomes = machine(), []
    # from the end: training and translation need a quiet machine most, and one who waits goes back to work
    for i, (name, path) in enumerate(reversed(chosen.items())):
        print(f"[{i + 1}/{len(chosen)}] {name}", flush=True)
        outcomes.append(run(path, options.quick, options.limit))
        last = outcomes[-1]
        print(f"\n{name}: {f'FAILED: {last.error}' if last.error else 'done'}, {last.seconds:.0f} s\n", flush=True)
    outcomes.reverse()
    failed = [o.name for o in outcomes if o.error]
    write(page(outcomes, facts, options.quick), target)
    print(f"{target} is written" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
