"""The ledger's page: every claim as a row that can be filtered, with links to its figure, study, records and region.

Without scripts it is a plain table; `_static/ledger.js` adds the filters.
"""

from __future__ import annotations

import datetime
import html
import re
import subprocess
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dlcore import claims as ledger
from dlcore import machine, studies
from dlcore.claims import pages
from dlcore.measures import WITHOUT_RUNS

ROOT = Path(__file__).resolve().parents[1]
SCALES = ("small", "near the papers' size", "published numbers")


def figure(claim: ledger.Claim) -> str:
    """Returns the name of the figure that shows what a claim is about. Raises: LookupError for a claim without one."""
    for pattern, found in studies.part(ledger.STUDIES[claim.chapter], "figures").CLAIMS.items():
        if re.match(pattern, claim.id):
            return found
    raise LookupError(f"the claim {claim.id!r} has no figure: add a pattern to the study's figures/__init__.py")


def chapter(number: int) -> str:
    """Returns the name of a chapter's page, without its ending."""
    return studies.study(ledger.STUDIES[number]).NOTEBOOK


def scale(claim: ledger.Claim) -> str:
    """Returns the size of a claim's runs, one of SCALES."""
    if claim.id in WITHOUT_RUNS:
        return SCALES[2]
    return SCALES["preset gpu" in claim.setting]


def commits() -> dict[datetime.datetime, str]:
    """Returns the commits that changed a file of claims, by date; none where there is no whole history to look at."""
    if not (ROOT / ".git").exists():
        return {}
    try:
        if machine.git(ROOT, "rev-parse", "--is-shallow-repository").strip() != "false":
            return {}
        lines = machine.git(
            ROOT, "log", "--full-history", "--format=%cI %H", "--", ":(top,glob)**/claims.yml"
        ).splitlines()
    except (OSError, subprocess.SubprocessError) as error:
        warnings.warn(
            f"git does not tell the commits of the claims, so the ledger links to none: {error}", stacklevel=2
        )
        return {}
    return {datetime.datetime.fromisoformat(date): commit for date, commit in map(str.split, lines)}


def data(claims: Iterable[ledger.Claim], url: str | None) -> list[dict[str, Any]]:
    """Returns the ledger as plain data with each claim's scale, its sources in the repository, and links to them.

    Sources: the file and line of the study, the files of records, and the commit that fixed the region; links need the address.
    """
    known, found = commits(), []
    for claim, row in zip(claims, pages.ledger_json(list(claims)), strict=True):
        links: dict[str, Any] = {"figure": f"../notebooks/{chapter(claim.chapter)}.html#fig-{figure(claim)}"}
        sources = {"study": f"blob/main/dlcore/studies/{row['study']}/claims.py{_line(row['study'], claim.id)}"}
        if claim.id not in WITHOUT_RUNS:
            sources["records"] = _records(claim, f"dlcore/records/{row['study']}")
        if claim.dates and (commit := known.get(claim.dates.region)):
            sources["region"] = f"commit/{commit}"
        if url:
            links |= {k: [f"{url}/{p}" for p in v] if isinstance(v, list) else f"{url}/{v}" for k, v in sources.items()}
        found.append({**row, "scale": scale(claim), "sources": sources, "links": links})
    return found


def _line(study: str, name: str) -> str:
    """Returns the anchor of the line that measures a claim; nothing where a loop makes its name."""
    lines = (ROOT / "dlcore" / "studies" / study / "claims.py").read_text("utf8").splitlines()
    return next((f"#L{i}" for i, line in enumerate(lines, 1) if f'"{name}"' in line), "")


def _records(claim: ledger.Claim, folder: str) -> list[str]:
    """Returns the places of the files whose records decide a claim: of the whole folder where they are many."""
    groups = claim.dates.groups if claim.dates else ()
    if 0 < len(groups) <= 4:
        return [f"blob/main/{folder}/{group}.jsonl" for group in groups]
    return [f"tree/main/{folder}"]


def _choice(label: str, name: str, values: list[str], rows: list[dict[str, Any]]) -> str:
    # what a row has of this name, to count the rows of every choice
    def has(row: dict[str, Any], value: str) -> bool:
        return row["headline"] if value == "headline" else str(row[name]) == value

    options = "".join(
        f"<option value='{html.escape(v)}'>{html.escape(v)} ({n})</option>"
        for v in values
        if (n := sum(has(r, v) for r in rows))
    )
    return f"<label>{label} <select name='{name}'><option value=''>all</option>{options}</select></label>"


def _dates(claim: ledger.Claim, links: dict[str, str]) -> str:
    if not claim.dates:
        return ""
    region, first = (d and f"<time datetime='{d.isoformat()}'>{d:%Y-%m-%d %H:%M}</time>" for d in claim.dates[:2])
    when = f"<a href='{links['region']}'>region {region}</a>" if "region" in links else f"region {region}"
    return f"<span class='dates'>{when}{f', first run {first}' if first else ''}</span>"


def _row(claim: ledger.Claim, row: dict[str, Any]) -> str:
    links = row["links"]
    shown = {"figure": links["figure"], "code": links.get("study")}
    files = links.get("records", [])
    shown |= {"records" if len(files) == 1 else Path(link).stem: link for link in files}
    asked = " ".join(f"<a href='{link}'>{word}</a>" for word, link in shown.items() if link)
    if "study" not in links:  # without the repository's address its files are named
        places = [row["sources"]["study"], *row["sources"].get("records", []), row["sources"].get("region", "")[:14]]
        asked += "".join(f" <small>{re.sub('^(blob|tree)/main/', '', place)}</small>" for place in places if place)
    keys = {
        "chapter": row["chapter"],
        "verdict": row["verdict"],
        "scale": row["scale"],
        "kind": row["kind"],
        "timing": row["timing"],
    }
    marks = "".join(f" data-{k}='{html.escape(str(v), quote=True)}'" for k, v in keys.items())
    if row["headline"]:
        marks += " data-headline='1'"
    more = f"; some {claim.deciding:,} runs like these would decide" if claim.deciding else ""
    if claim.verdict == "undecided" and claim.measured.method == "law":
        more = "; more seeds would not decide: the interval carries the law's misfit"
    cells = [
        (
            "Claim",
            f"<a class='name' href='#{claim.id}' title='Link to this row'>{claim.id}</a> {html.escape(claim.claim)}<small>{html.escape(claim.setting)}</small>",
        ),
        ("Thesis", html.escape(claim.reference)),
        ("Here", html.escape(claim.ours) + f"<small>region: {claim.accept[0]:g} to {claim.accept[1]:g}{more}</small>"),
        ("Verdict", pages.badge(claim)),
        ("See", f"<span class='links'>{asked}</span>{_dates(claim, links)}"),
    ]
    return (
        f"<tr id='{claim.id}'{marks}>"
        + "".join(f"<td data-label='{label}'>{text}</td>" for label, text in cells)
        + "</tr>"
    )


def page(claims: list[ledger.Claim], url: str | None) -> str:
    """Returns the page's HTML: filters, the table in a part for each chapter, and a link to all of it as JSON."""
    # an exploratory row is a lead: it does not count among the verdicts, and their filter leaves it out
    rows = [row | ({"verdict": ""} if row["kind"] == "exploratory" else {}) for row in data(claims, url)]
    told = ", ".join(f"{n} {v}" for v, n in pages.counts(claims).items() if n)
    filters = "".join(
        [
            _choice("chapter", "chapter", [str(n) for n in ledger.STUDIES], rows),
            _choice("verdict", "verdict", list(ledger.VERDICTS), rows),
            _choice("scale", "scale", list(SCALES), rows),
            _choice("kind", "kind", ["headline", *ledger.KINDS], rows),
            _choice("region fixed", "timing", list(ledger.TIMINGS), rows),
            "<label>words <input type='search' name='words' size='14'></label>",
            "<button type='reset'>show all</button>",
        ]
    )
    heads = ("Claim, and setting here", "Thesis", "Here, 95 % interval", "Verdict", "See")
    parts = []
    for number in ledger.STUDIES:
        own = "".join(_row(c, r) for c, r in zip(claims, rows, strict=True) if c.chapter == number)
        title = f"<a href='../notebooks/{chapter(number)}.html'>{number} {pages.TITLES[number - 1]}</a>"
        parts.append(f"<tbody><tr class='part'><th colspan='5' scope='rowgroup'>{title}</th></tr>{own}</tbody>")
    return (
        "<link rel='stylesheet' href='../_static/ledger.css'><div class='ledger'>"
        f"<form class='filters' hidden aria-label='Filter the ledger'>{filters}</form>"
        f"<p class='told'><output aria-live='polite'>{len(rows)} rows: {told}</output> "
        "<a href='claims.json' download>All of it as JSON</a>, "
        "<a href='runs.csv.gz' download>all runs as a table</a></p>"
        "<table class='dl-table'><thead><tr>"
        + "".join(f"<th scope='col'>{h}</th>" for h in heads)
        + "</tr></thead>"
        + "".join(parts)
        + "</table></div><script defer src='../_static/ledger.js'></script>"
    )
