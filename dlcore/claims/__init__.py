"""The ledger of claims: what the thesis says, what our records say, and the verdict that follows from the interval."""

from __future__ import annotations

import functools
import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from dlcore import tables
from dlcore.claims import distributional, rationality, scaling, stitching
from dlcore.claims.measures import MEASURES, WITHOUT_RUNS, Measured
from dlcore.records import PACKAGED, RecordStore

__all__ = ["Claim", "Measured", "evaluate", "ledger_html", "ledger_markdown"]

FILE = Path(__file__).with_name("claims.yml")
# chapter -> its study; the modules of the measures are imported for what they register
STUDIES = {1: "rationality", 2: "stitching", 3: "distributional", 4: "scaling"}
_ = (distributional, rationality, scaling, stitching)
VERDICTS = ("reproduced", "partly reproduced", "not reproduced", "not tested at this scale")


@dataclass(frozen=True)
class Claim:
    """A row of the ledger; `headline` marks what a chapter stands for.

    `measured` is None where there is no run; its value is NaN where there are runs and none meets the claim's condition.
    """

    id: str
    chapter: int
    claim: str
    reference: str
    setting: str
    accept: tuple[float, float]
    measured: Measured | None
    headline: bool = False

    @property
    def verdict(self) -> str:
        """Inside the accepted region: reproduced; overlapping it: partly; outside: not reproduced."""
        if self.measured is None or not np.isfinite(self.measured.value):
            return "not tested at this scale"
        m, (low, high) = self.measured, self.accept
        # one run has no interval: its value alone can at most reproduce in part
        if not (np.isfinite(m.low) and np.isfinite(m.high)):
            return "partly reproduced" if low <= m.value <= high else "not reproduced"
        if low <= m.low and m.high <= high:
            return "reproduced"
        return "partly reproduced" if m.high >= low and m.low <= high else "not reproduced"

    @property
    def ours(self) -> str:
        """The measured value as text."""
        if self.measured is None:
            return "no run"
        m = self.measured
        if not np.isfinite(m.value):
            return (
                f"{m.runs} runs, none meets the condition" if m.runs > 1 else "one run, it does not meet the condition"
            )
        value, low, high = (f"{round(v, 3) + 0.0:.3f}" for v in (m.value, m.low, m.high))  # no minus before a zero
        if not np.isfinite(m.low):
            return f"{value}, one run"
        if m.low == m.value == m.high:  # a largest value or a statistic, not an estimate
            return f"{value}, {m.runs} runs" if m.runs > 1 else f"{value}, one run"
        return f"{value} [{low}, {high}], {m.runs} runs"


def evaluate(shown: Mapping[str, pd.DataFrame] | None = None, chapter: int | None = None) -> list[Claim]:
    """Returns the ledger's rows, measured on the shipped records, or on tables of `dlcore.tables`.

    Args:
        shown: study -> its table; a study that is not there counts as without records.
        chapter: only the claims of one chapter.
    Raises: ValueError when claims.yml and the measures do not match one to one.
    """
    entries = yaml.safe_load(FILE.read_text("utf8"))
    if {e["id"] for e in entries} != set(MEASURES):
        raise ValueError(f"claims.yml and the measures differ: {sorted({e['id'] for e in entries} ^ set(MEASURES))}")
    found = []
    for e in entries:
        if chapter not in (None, e["chapter"]):
            continue
        study = STUDIES[e["chapter"]]
        table = _shipped(study) if shown is None else shown.get(study, pd.DataFrame())
        measured = MEASURES[e["id"]](table) if len(table) or e["id"] in WITHOUT_RUNS else None
        found.append(Claim(**{**e, "accept": tuple(e["accept"])}, measured=measured))
    return found


@functools.cache
def _shipped(study: str) -> pd.DataFrame:
    store = RecordStore(PACKAGED)
    more = {"records": {r.key: r for r in store.records(study)}} if study in ("stitching", "distributional") else {}
    return getattr(tables, study)(store.table(study), **more)


def ledger_html(claims: list[Claim] | None = None) -> str:
    """Returns the ledger as an HTML table for the page."""
    head = "".join(
        f"<th scope='col'>{h}</th>" for h in ("Claim", "Setting here", "Thesis", "Here, 95 % interval", "Verdict")
    )
    every, rows = evaluate() if claims is None else claims, []
    for previous, c in zip([None, *every], every, strict=False):
        if previous is None or previous.chapter != c.chapter:
            rows.append(f"<tr><th scope='rowgroup' colspan='5'>Chapter {c.chapter}</th></tr>")
        badge = f"<span class='verdict verdict-{c.verdict.replace(' ', '-')}'>{c.verdict}</span>"
        cells = [html.escape(v) for v in (c.claim, c.setting, c.reference, c.ours)]
        rows.append(f"<tr id='{c.id}'>" + "".join(f"<td>{v}</td>" for v in [*cells, badge]) + "</tr>")
    return f"<div class='dl-scroll'><table class='dl-table'><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"


def ledger_markdown(claims: list[Claim] | None = None) -> str:
    """Returns the README's ledger in Markdown: verdicts counted, each chapter's headlines, and all tested claims, folded."""
    every = evaluate() if claims is None else claims
    lines = [f"| chapter | {' | '.join(VERDICTS)} |", "| --- |" + " ---: |" * len(VERDICTS)]
    for chapter, study in STUDIES.items():
        counts = [sum(c.chapter == chapter and c.verdict == v for c in every) for v in VERDICTS]
        lines.append(f"| {chapter} {study} | {' | '.join(str(n) for n in counts)} |")
    tested = [c for c in every if c.verdict != "not tested at this scale"]
    summary = f"All {len(tested)} tested claims, of {len(every)} in dlcore/claims/claims.yml"
    fold = ["<details>", f"<summary>{summary}</summary>", "", *_rows(tested), "", "</details>"]
    return "\n".join([*lines, "", *_rows([c for c in tested if c.headline]), "", *fold])


def _rows(claims: list[Claim]) -> list[str]:
    return [
        "| | claim | setting here | thesis | here, 95 % interval | verdict |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
            for c in claims
            for cells in [(str(c.chapter), c.claim, c.setting, c.reference, c.ours, f"**{c.verdict}**")]
        ),
    ]
