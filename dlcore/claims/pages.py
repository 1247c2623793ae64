"""The ledger as others read it: the chapters' tables, the README's ten rows, a picture of the verdicts, JSON."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from dlcore import studies
from dlcore.claims.ledger import STUDIES, TIMINGS, VERDICTS, Claim, Measured, shipped


class Look(NamedTuple):
    """How a verdict looks wherever it stands: a mark that needs no colour, and a colour that white text is readable on."""

    mark: str
    colour: str


LOOKS = {
    "reproduced": Look("●", "#00795a"),
    "undecided": Look("◐", "#9a6a00"),
    "not reproduced": Look("○", "#c14a00"),
    "identity": Look("◆", "#0067a6"),
    "not tested": Look("–", "#6b6b6b"),
}
# The README's rows: what the thesis is read for, two or three of each chapter, chosen without regard to the verdict.
HEADLINES = (
    "separation-cifar10",
    "flat-cifar10",
    "stitching-more-data",
    "stitching-path-halves",
    "stitching-self-supervised",
    "cats-become-objects",
    "tv-below-epsilon",
    "agreement-networks",
    "published-shared-p",
    "noise-kl-exponent-20",
)
TITLES = tuple(studies.study(name).TITLE for name in studies.STUDIES)
MARKS = ("<!-- ledger:start -->", "<!-- ledger:end -->")


def counts(claims: Sequence[Claim]) -> dict[str, int]:
    """Returns verdict -> number of claims, every verdict in its order; exploratory rows are leads, and have none."""
    return {v: sum(c.verdict == v and c.kind != "exploratory" for c in claims) for v in VERDICTS}


def told(claims: Sequence[Claim]) -> str:
    """Returns how many claims there are of each verdict, in words."""
    return ", ".join(f"{n} {verdict}" for verdict, n in counts(claims).items() if n)


def words(claims: Sequence[Claim]) -> dict[str, str]:
    """Returns what sentences say of claims: their values by id, their verdicts by id-verdict, and the counts as "verdicts"."""
    verdicts = {f"{c.id}-verdict": c.verdict for c in claims}
    return {c.id: c.quoted for c in claims} | verdicts | {"verdicts": told(claims)}


def badge(claim: Claim) -> str:
    """Returns the verdict for a page: a word, a mark and a colour, with what kind of row it is and when its region was fixed."""
    found = f"<span class='verdict verdict-{claim.verdict.replace(' ', '-')}' data-mark='{LOOKS[claim.verdict].mark}'>{claim.verdict}</span>"
    if claim.timing:
        found += f" <span class='timing' title='{TIMINGS[claim.timing]}'>{claim.timing}</span>"
    return found if claim.kind != "exploratory" else f"<span class='timing'>exploratory</span> {found}"


def ledger_html(claims: list[Claim] | None = None) -> str:
    """Returns the ledger as a plain HTML table, chapter by chapter."""
    head = "".join(
        f"<th scope='col'>{h}</th>" for h in ("Claim", "Setting here", "Thesis", "Here, 95 % interval", "Verdict")
    )
    every, rows = shipped() if claims is None else claims, []
    for previous, c in zip([None, *every], every, strict=False):
        if previous is None or previous.chapter != c.chapter:
            rows.append(f"<tr><th scope='rowgroup' colspan='5'>Chapter {c.chapter}</th></tr>")
        cells = [html.escape(v) for v in (c.claim, c.setting, c.reference, c.ours)]
        rows.append(f"<tr id='{c.id}'>" + "".join(f"<td>{v}</td>" for v in [*cells, badge(c)]) + "</tr>")
    return f"<div class='dl-scroll'><table class='dl-table'><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"


def ledger_markdown(claims: list[Claim] | None = None) -> str:
    """Returns the README's table: ten headline claims, and how many there are of each verdict."""
    every = shipped() if claims is None else claims
    rows = {c.id: c for c in every}
    lines = [
        "| | claim, and setting here | thesis | here (95 % interval) | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    for c in (rows[name] for name in HEADLINES if name in rows):
        claim = f"{c.claim}<br><sub>{c.setting}; `{c.id}`</sub>"
        cells = (str(c.chapter), claim, c.reference, c.brief, f"{LOOKS[c.verdict].mark} {c.verdict}")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    leads = sum(c.kind == "exploratory" for c in every)
    return "\n".join(
        [*lines, "", f"All {len(every)} rows: {told(every)}" + (f"; {leads} exploratory." if leads else ".")]
    )


def ledger_json(claims: list[Claim] | None = None) -> list[dict[str, Any]]:
    """Returns the ledger as plain data: a dictionary for each claim, numbers unrounded, null where there is none."""
    found = []
    for c in shipped() if claims is None else claims:
        m = c.measured or Measured(math.nan, math.nan, math.nan, 0)
        numbers = {k: v if k == "method" or math.isfinite(v) else None for k, v in m._asdict().items()}
        text = {"claim": c.claim, "setting": c.setting, "thesis": c.reference}
        head = {"id": c.id, "chapter": c.chapter, "study": STUDIES[c.chapter], "kind": c.kind, "headline": c.headline}
        dates: dict[str, Any] = {"timing": c.timing}
        if c.dates:
            dates |= {k: v and v.isoformat() for k, v in zip(("region", "first"), c.dates[:2], strict=True)}
            dates["groups"] = list(c.dates.groups)
        found.append({**head, **text, "accept": list(c.accept), **numbers, "verdict": c.verdict, **dates})
        if c.deciding:
            found[-1]["deciding"] = c.deciding
    return found


def picture(claims: list[Claim] | None = None) -> str:
    """Returns an SVG with a bar for each chapter, cut by verdict; it carries its own background, for light and dark pages."""
    every = shipped() if claims is None else claims
    words = [v for v, n in counts(every).items() if n]
    chapters = [[c for c in every if c.chapter == number and c.kind != "exploratory"] for number in STUDIES]
    left, full, step, top = 250, 510, 38, 74
    scale = full / max(len(rows) for rows in chapters)
    parts = []
    for i, (name, rows) in enumerate(zip(TITLES, chapters, strict=True)):
        x, y = float(left), top + i * step
        parts.append(f'<text x="{left - 14}" y="{y + 19}" text-anchor="end">{i + 1} {name}</text>')
        for verdict, n in counts(rows).items():
            width = n * scale
            if n:
                parts.append(
                    f'<rect x="{x:.1f}" y="{y}" width="{width - 2:.1f}" height="28" rx="3" fill="{LOOKS[verdict].colour}"/>'
                )
                if width > 16:
                    parts.append(
                        f'<text x="{x + width / 2 - 1:.1f}" y="{y + 19}" text-anchor="middle" fill="#fff">{n}</text>'
                    )
            x += width
    x = 20.0
    for verdict in words:
        parts.append(f'<rect x="{x:.0f}" y="41" width="14" height="14" rx="3" fill="{LOOKS[verdict].colour}"/>')
        parts.append(f'<text x="{x + 20:.0f}" y="53">{verdict}</text>')
        x += 42 + 7.3 * len(verdict)
    described = "; ".join(f"chapter {i}: {told(rows)}" for i, rows in enumerate(chapters, 1))
    height = top + len(chapters) * step + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 780 {height}" role="img" font-family="system-ui, sans-serif" font-size="14" fill="#1f2328">'
        f"<title>Verdicts on {sum(map(len, chapters))} claims</title><desc>{described}</desc>"
        f'<rect x=".5" y=".5" width="779" height="{height - 1}" rx="8" fill="#fff" stroke="#d0d7de"/>'
        f'<text x="20" y="26" font-size="16" font-weight="600">{sum(map(len, chapters))} claims of a thesis, tested again</text>'
        + "".join(parts)
        + "</svg>\n"
    )


def written(name: str, text: str = "") -> str:
    """Returns what `python -m dlcore claims --write` puts into a file: its kind is that of its name's end.

    Args:
        name: ends in .svg (the picture), .json (the ledger as data) or .md (the README's table, between the marks of `text`).
    """
    if name.endswith(".svg"):
        return picture()
    if name.endswith(".json"):
        return json.dumps(ledger_json(), indent=1) + "\n"
    if not name.endswith(".md") or any(text.count(mark) != 1 for mark in MARKS):
        raise ValueError(
            f"{name!r}: expected a name that ends in .svg or .json, or a Markdown file with {' and '.join(MARKS)}"
        )
    before, _, rest = text.partition(MARKS[0])
    return f"{before}{MARKS[0]}\n{ledger_markdown()}\n{MARKS[1]}{rest.partition(MARKS[1])[2]}"
