"""The rows of the ledger: claims and their regions, what our records say, and the verdict that follows from the interval."""

from __future__ import annotations

import functools
import html
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy import stats

from dlcore import cache, studies
from dlcore.claims import history
from dlcore.claims.multiplicity import holm, place, smallest_error
from dlcore.config import one_of
from dlcore.measures import MEASURES, WITHOUT_RUNS, Measured, two_digits, with_interval
from dlcore.records import PACKAGED, RecordStore

# chapter -> its study
STUDIES = dict(enumerate(studies.STUDIES, start=1))
VERDICTS = ("reproduced", "undecided", "not reproduced", "identity", "not tested")
# identity: holds by proof, so that the row tests the code; exploratory: looked for in runs that had been seen, a lead and no test
KINDS = ("claim", "identity", "exploratory")
TIMINGS = {
    "before": "The region was committed before the first of these runs was made.",
    "after": "Some of these runs, or the published data, are older than the commit of the region.",
    "post hoc": "The row or what it measures was chosen after its runs had been seen.",
}


@dataclass(frozen=True)
class Claim:
    """A row of the ledger; `headline` marks what a chapter stands for, `post_hoc` what was added after its runs.

    `measured` is None where there is no run; its value is NaN where there are runs and none meets the claim's condition.
    `dates`: when region and first record were made, None where that is not known.
    """

    id: str
    chapter: int
    claim: str
    reference: str
    setting: str
    accept: tuple[float, float]
    measured: Measured | None
    headline: bool = False
    kind: str = "claim"
    post_hoc: bool = False
    dates: history.Dates | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.id}: kind = {self.kind!r} is none of {', '.join(KINDS)}")

    @property
    def verdict(self) -> str:
        """What the interval says of the region: inside of it, outside of it, or across its edge, which is undecided.

        One run has no interval and decides nothing. An identity inside of its region is called just that.
        """
        if self.measured is None or not np.isfinite(self.measured.value):
            return "not tested"
        inside = "identity" if self.kind == "identity" else "reproduced"
        verdicts = {"inside": inside, "across": "undecided", "outside": "not reproduced"}
        return verdicts[place(self.measured, self.accept)]

    @property
    def estimated(self) -> bool:
        """Whether it has an interval, as neither an identity nor one run nor a test statistic has."""
        m = self.measured
        return self.kind != "identity" and m is not None and np.isfinite(m.low) and m.low < m.high

    @property
    def deciding(self) -> int | None:
        """How many runs in all would decide an undecided mean over seeds if value and spread stayed as they are.

        None for others: no number of runs narrows an interval that carries the misfit of a law.

        >>> Claim("", 2, "", "", "", (-1, 0.04), Measured(0.036, 0.031, 0.041, 5, "seeds")).deciding
        7
        """
        m = self.measured
        if m is None or self.verdict != "undecided" or not self.estimated or m.method != "seeds":
            return None
        nearest = min(abs(m.value - edge) for edge in self.accept)
        runs = np.arange(2, 10_000)
        # of a mean of runs with spread 1, as Student's t has it
        half = stats.t.ppf(0.975, runs - 1) / np.sqrt(runs)
        # an interval that was cut to what is possible has one whole side
        spread = max(m.high - m.value, m.value - m.low) / half[m.runs - 2]
        enough = runs[spread * half < nearest]
        return int(enough[0]) if enough.size else None

    @property
    def timing(self) -> str:
        """A key of TIMINGS, or "" where the dates are not recorded yet."""
        if self.post_hoc or self.kind == "exploratory":
            return "post hoc"
        if self.id in WITHOUT_RUNS:
            return "after"
        if self.dates is None:
            return ""
        return "before" if self.dates.first is None or self.dates.region < self.dates.first else "after"

    @property
    def ours(self) -> str:
        """The measured value as text."""
        if self.measured is None:
            return "no run"
        m = self.measured
        runs = f"{m.runs} runs" if m.runs > 1 else "one run"
        if not np.isfinite(m.value):
            return f"{runs}, {'none meets' if m.runs > 1 else 'it does not meet'} the condition"
        value, low, high = (f"{round(v, 3) + 0.0:.3f}" for v in (m.value, m.low, m.high))  # no minus before a zero
        if not np.isfinite(m.low):
            return f"{value}, one run"
        # else a largest value or a statistic, not an estimate
        return f"{value} [{low}, {high}], {runs}" if m.low < m.high else f"{value}, {runs}"

    @property
    def brief(self) -> str:
        """The measured value as a sentence quotes it: two digits, the interval in words.

        >>> Claim("", 1, "", "", "", (0, 1), Measured(39.625, 33.292, 47.162, 3)).brief
        '40 (33 to 47)'
        """
        if self.measured is None or not np.isfinite(self.measured.value):
            return self.ours
        m = self.measured
        if not np.isfinite(m.low):
            return f"{two_digits(m.value)} (one run)"
        if m.low == m.value == m.high:
            return two_digits(m.value)
        return with_interval(m.value, m.low, m.high)

    @property
    def quoted(self) -> str:
        """The measured value as a chapter quotes it, with the number of runs: on the page it shows with the interval.

        >>> Claim("", 1, "", "", "", (0, 1), Measured(39.625, 33.292, 47.162, 3)).quoted
        '40 (33 to 47, 3 runs)'
        """
        brief = self.brief
        return f"{brief[:-1]}, {self.measured.runs} runs)" if self.measured and " to " in brief else brief


def evaluate(shown: Mapping[str, pd.DataFrame] | None = None, chapter: int | None = None) -> list[Claim]:
    """Returns the ledger's rows, measured on the shipped records, or on tables of `studies.table`.

    Args:
        shown: study -> its table; a study that is not there counts as without records.
        chapter: only the claims of one chapter.
    Raises: ValueError when the studies' claims.yml and measures do not match one to one.
    """
    entries = _entries()
    if {e["id"] for e in entries} != set(MEASURES):
        raise ValueError(f"claims.yml and the measures differ: {sorted({e['id'] for e in entries} ^ set(MEASURES))}")
    found = []
    for e in entries:
        if chapter not in (None, e["chapter"]):
            continue
        study = STUDIES[e["chapter"]]
        table = _shipped(study) if shown is None else shown.get(study, pd.DataFrame())
        measured = MEASURES[e["id"]](table) if len(table) or e["id"] in WITHOUT_RUNS else None
        found.append(_claim(e, measured))
    return found


def shipped(chapter: int | None = None, only: str | None = None) -> list[Claim]:
    """Returns the ledger's rows as `evaluate` does on the shipped records, whose measures are kept: see `cache.remembered`.

    Raises: ValueError for an unknown id.
    """
    entries = {e["id"]: e for e in _entries()}
    if only is not None:
        chapter = entries[one_of("claim", only, entries)]["chapter"]
    chapters = STUDIES if chapter is None else [chapter]
    measured: dict[str, Measured | None] = {}
    for number in chapters:
        measured |= cache.remembered(
            f"claims-{number}", lambda n=number: {c.id: c.measured for c in evaluate(chapter=n)}
        )
    return [_claim(entries[name], m) for name, m in measured.items() if only in (None, name)]


def _claim(entry: dict, measured: Measured | None) -> Claim:
    known = {"accept": tuple(entry["accept"]), "measured": measured, "dates": history.load().get(entry["id"])}
    return Claim(**entry | known)


def headlines_corrected(claims: list[Claim] | None = None) -> dict[str, str]:
    """Returns the verdicts of the headlines that have an interval, after Holm's correction over them: decided or not.

    On the shipped records; kept as `shipped` keeps its measures. A verdict that does not survive is "undecided".
    """
    if claims is None:
        return cache.remembered("claims-corrected", lambda: headlines_corrected(shipped()))
    rows = [c for c in claims if c.headline and c.estimated]
    errors = {c.id: smallest_error(lambda c=c: MEASURES[c.id](_shipped(STUDIES[c.chapter])), c.accept) for c in rows}
    kept = holm(errors)
    return {c.id: c.verdict if c.id in kept else "undecided" for c in rows}


def multiplicity_statement(claims: list[Claim] | None = None) -> str:
    """Returns what so many verdicts at once are worth, as a paragraph of Markdown."""
    every = shipped() if claims is None else claims
    n = sum(c.estimated for c in every)
    corrected = headlines_corrected(claims)
    lost = [c for c in every if c.id in corrected and corrected[c.id] != c.verdict]
    names = ", ".join(f"`{c.id}` ({c.verdict})" for c in lost)
    decided = sum(v != "undecided" for v in corrected.values())
    after = f"one by one; of them {names} would be undecided" if lost else "one by one, and none changes"
    return (
        f"**Many verdicts at once.** {n} rows have a 95 % interval. If all of these are as good as they claim, about "
        f"{n / 20:.0f} miss the true value by chance, on either side, and a region's edge that lies near the truth turns "
        f"some of those into wrong verdicts. For the {len(corrected)} headlines with an interval there is a stricter reading: "
        f"by Holm's correction, which keeps the chance of even one wrong verdict among them at 5 %, {decided} are decided, "
        f"against {decided + len(lost)} {after}."
    )


def sceptics_html(claims: list[Claim] | None = None) -> str:
    """Returns, for each headline claim, what a sceptic would ask and the row that answers, as an HTML table."""
    rows, lines = {c.id: c for c in (shipped() if claims is None else claims)}, []
    for name, entry in yaml.safe_load(Path(__file__).with_name("sceptics.yml").read_text("utf8")).items():
        if name in rows and entry["answer"] in rows:
            links = [f"<a href='#{c.id}'>{c.id}</a>: {c.verdict}" for c in (rows[name], rows[entry["answer"]])]
            answer = f"{links[1]}, {html.escape(rows[entry['answer']].brief)}"
            lines.append(f"<tr><td>{links[0]}</td><td>{html.escape(entry['asks'])}</td><td>{answer}</td></tr>")
    head = "".join(f"<th scope='col'>{h}</th>" for h in ("Headline", "A sceptic asks", "The row that answers"))
    table = f"<table class='dl-table'><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f"<div class='dl-scroll' tabindex='0'>{table}</div>"


def write_history() -> None:
    """Dates every claim's region and first record by Git's history, for `Claim.timing`; writes history.json."""
    with_runs = [e for e in _entries() if e["id"] not in WITHOUT_RUNS]
    history.write(MEASURES, {e["id"]: _shipped(STUDIES[e["chapter"]]) for e in with_runs})


def _entries() -> list[dict]:
    """Returns the texts and regions of all claims; a study's measures are imported for what they register."""
    for name in studies.STUDIES:
        studies.part(name, "claims")
    files = [Path(studies.__file__).parent / name / "claims.yml" for name in studies.STUDIES]
    # the parser in C takes a tenth of the time
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [entry for file in files for entry in yaml.load(file.read_text("utf8"), loader)]


def runs(name: str) -> pd.DataFrame:
    """Returns the shipped runs that a claim is measured on: those without which its value is another, a row a run.

    Raises: ValueError for an unknown claim, or one that needs no runs.
    """
    entries = {e["id"]: e for e in _entries()}
    chapter = entries[one_of("claim", name, entries)]["chapter"]
    if name in WITHOUT_RUNS:
        raise ValueError(f"{name} is measured on published numbers, not on runs")
    return history.behind(MEASURES[name], _shipped(STUDIES[chapter]))


@functools.cache
def _shipped(study: str) -> pd.DataFrame:
    def derived() -> pd.DataFrame:
        store = RecordStore(PACKAGED)
        # some tables take the curves too
        wanted = "records" in inspect.signature(studies.part(study, "table").derived).parameters
        more = {"records": {r.key: r for r in store.records(study)}} if wanted else {}
        return studies.table(study, store.table(study), **more)

    return cache.remembered(f"table-{study}", derived)
