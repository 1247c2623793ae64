"""A report of four pages in the form that reproducibility venues ask for, its numbers from the ledger and the records.

python book/reproducibility.py [FILE]       _build/report.pdf unless FILE is given; needs Chromium and playwright
"""

from __future__ import annotations

import html
import string
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pdf import browser, command
from status import commit

from dlcore import claims, studies
from dlcore.claims import pages
from dlcore.records import PACKAGED, RecordStore

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = Path(__file__).with_name("reproducibility.html")
NAMES = {
    "digits": "Digits",
    "mnist1d": "MNIST-1D",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "tatoeba_eng-deu": "Tatoeba sentence pairs",
    "transduction": "a synthetic translation task",
}


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Any]], numbers: Sequence[int] = ()) -> str:
    """Returns an HTML table; the columns `numbers` stand on the right."""

    def line(tag: str, cells: Sequence[Any]) -> str:
        kinds = [" class='n'" if i in numbers else "" for i in range(len(cells))]
        return (
            "<tr>"
            + "".join(f"<{tag}{k}>{html.escape(str(c))}</{tag}>" for k, c in zip(kinds, cells, strict=True))
            + "</tr>"
        )

    body = "".join(line("td", row) for row in rows)
    return f"<table><caption>{html.escape(caption)}</caption><thead>{line('th', head)}</thead><tbody>{body}</tbody></table>"


def runs() -> pd.DataFrame:
    """Returns the shipped runs: chapter, data set, device and seconds."""
    store = RecordStore(PACKAGED)
    tables = [store.table(name).assign(chapter=i) for i, name in enumerate(studies.STUDIES, 1)]
    found = pd.concat([t[["chapter", "dataset", "device", "seconds"]] for t in tables], ignore_index=True)
    return found.assign(gpu=found.device.str.startswith("cuda"))


def written() -> str:
    """Returns the report as HTML."""
    rows, made = claims.shipped(), runs()
    tested = [c for c in rows if c.kind != "exploratory"]
    hours = (
        made.groupby(["chapter", "gpu"])
        .seconds.sum()
        .unstack(fill_value=0.0)
        .reindex(columns=[False, True], fill_value=0.0)
        / 3600
    )
    counts = []
    for chapter, title in enumerate(pages.TITLES, 1):
        of = pages.counts([c for c in rows if c.chapter == chapter])
        counts.append([f"{chapter} {title}", *of.values(), sum(of.values())])
    known = [NAMES[name] for name in NAMES if name in set(made.dataset)]
    others = made.dataset.nunique() - len(known)
    listed = {c.id: c for c in rows}
    headlines = [listed[name] for name in pages.HEADLINES]
    timing = [c.timing for c in rows]
    verdicts = list(pages.counts(rows))
    statement = claims.multiplicity_statement(rows).partition("** ")[2].replace("`", "")
    fields = {
        "source": f"Source: {commit()}.",
        "runs": f"{len(made):,}",
        "cpu": f"{hours[False].sum():.0f}",
        "gpu": f"{hours[True].sum():.1f}",
        "claims": str(len(tested)),
        "before": str(timing.count("before")),
        "after": str(timing.count("after")),
        "posthoc": str(timing.count("post hoc")),
        "seeds": listed["stitching-path-seeds"].verdict,
        "halves": listed["stitching-path-halves"].verdict,
        "ten": listed["ten-classes-mlp"].verdict,
        "sizes": listed["tv-below-epsilon"].verdict,
        "told": f"Of {len(tested)} claims: {pages.told(rows)}",
        "counts": table("Claims by verdict.", ["chapter", *verdicts, "all"], counts, range(1, len(verdicts) + 2)),
        "datasets": f"{', '.join(known[:-1])}, {known[-1]}, and {others} small tables of the UCI repository",
        "holm": html.escape(statement),
        "compute": table(
            "Recorded runs, and their hours on CPU cores (one thread a run) and on one GPU.",
            ["chapter", "runs", "core hours", "GPU hours"],
            [
                [f"{i} {title}", f"{(made.chapter == i).sum():,}", f"{hours[False][i]:.1f}", f"{hours[True][i]:.1f}"]
                for i, title in enumerate(pages.TITLES, 1)
            ],
            (1, 2, 3),
        ),
        "headlines": table(
            "Claim and setting here, the value of thesis or paper, ours with its 95 % interval.",
            ["", "claim and setting", "thesis", "here", "verdict"],
            [[c.chapter, f"{c.claim} ({c.setting})", c.reference, c.brief, c.verdict] for c in headlines],
        ),
    }
    return string.Template(TEMPLATE.read_text("utf8")).substitute(fields)


def write(target: Path) -> None:
    """Prints the report. Raises: FileNotFoundError without Chromium."""
    with browser() as chromium, tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "report.html"
        source.write_text(written(), "utf8")
        page = chromium.new_page()
        page.goto(source.as_uri())
        target.parent.mkdir(parents=True, exist_ok=True)
        page.pdf(path=str(target), prefer_css_page_size=True, print_background=True, tagged=True, outline=True)


if __name__ == "__main__":
    sys.exit(command(__doc__, "report", write))
