"""How a chart travels to the book's page: a specification without data, and its rows once, in columns.

The output of a cell holds everything, so that a notebook is complete by itself; `book/_ext/dlbook.py` then moves the rows
of all charts of a page into one script, and the still pictures into files.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
import json
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

ROWS = "application/vnd.dlcore.rows+json"
SPEC = "application/vnd.dlcore.chart+json"
# one letter stands for a value: what neither JSON nor HTML has to escape
LETTERS = "".join(chr(i) for i in range(35, 127) if chr(i) not in "\\<&")


def short(value: Any) -> Any:
    """Returns a number with five digits, as much as a picture shows; whole numbers stay as they are."""
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return None
        rounded = float(f"{value:.5g}")
        return int(value) if value.is_integer() else rounded
    return value


def column(values: Sequence[Any]) -> Any:
    """Returns a column for the page: the values, or, where that is shorter, each of them once and letters for each row.

    >>> column(["north", "south"] * 20)["of"]
    ['north', 'south']
    >>> column([0.1234567, 2.0])
    [0.12346, 2]
    """
    values = [short(v) for v in values]
    # JSON tells True from 1, a dictionary does not
    distinct = list({(type(v), v): v for v in values}.values())
    width = 1 if len(distinct) <= len(LETTERS) else 2
    if len(distinct) > len(LETTERS) ** 2:
        return values
    codes = ["".join(letters) for letters in itertools.islice(itertools.product(LETTERS, repeat=width), len(distinct))]
    place = {(type(v), v): code for v, code in zip(distinct, codes, strict=True)}
    found = {"of": distinct, "at": "".join(place[type(v), v] for v in values)}
    return found if len(_inline(found)) < len(_inline(values)) else values


def table(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns a table in columns, from rows as Vega-Lite takes them."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {"n": len(rows), "columns": {name: column([row.get(name) for row in rows]) for name in names}}


def _csv_rows(text: str) -> list[dict[str, Any]]:
    frame = pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=[""])
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def _used(spec: Any) -> set[str]:
    """Returns all words of a specification's strings: a column that none of them names is drawn nowhere."""
    if isinstance(spec, (dict, list)):
        return set().union(*map(_used, spec.values() if isinstance(spec, dict) else spec))
    return {spec, *re.findall(r"\w+", spec)} if isinstance(spec, str) else set()


def render(spec: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Returns the page's output: title, specification and rows for the book's script, a picture where scripts are off."""
    import vl_convert

    spec = json.loads(json.dumps(spec))
    note = spec.pop("usermeta")
    still = json.loads(json.dumps(spec))
    if still.get("width") == "container":
        still["width"] = 560
    svg = vl_convert.vegalite_to_svg(still)
    height = re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', svg)
    text = html.escape(spec.pop("description", ""), quote=True)
    spec.pop("title", None)
    spec.pop("$schema", None)
    bound = {c["name"] for c in note["controls"]}
    spec["params"] = [
        {k: v for k, v in p.items() if k != "bind"} if p.get("name") in bound else p for p in spec.get("params", [])
    ]
    data = spec.pop("datasets", {})
    needed = _used(spec) | _used([c["options"] for c in note["controls"]])
    tables = {
        name: table([{k: v for k, v in row.items() if k in needed} for row in rows]) for name, rows in data.items()
    }
    tables["rows"] = table(_csv_rows(note.pop("csv")))
    about = _inline({"spec": spec, **note})
    subtitle = f'<p class="dl-sub">{html.escape(note["subtitle"])}</p>' if note["subtitle"] else ""
    picture = f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
    return {
        "text/plain": f"[chart] {html.unescape(text)}",
        "text/html": (
            f'<div class="dl-chart" role="group" id="fig-{note["name"]}" data-name="{note["name"]}" '
            f'style="--dl-height:{float(height[1]) if height else 300:.0f}px" aria-label="{text}">'
            f'<p class="dl-title">{html.escape(note["title"])}</p>{subtitle}'
            f'<script type="{SPEC}">{about}</script><script type="{ROWS}">{_inline(tables)}</script>'
            f'<noscript><img alt="{text}" src="{picture}"></noscript></div>'
        ),
    }


def _inline(found: Any) -> str:
    """Returns JSON that can stand in a script of a page."""
    return json.dumps(found, separators=(",", ":")).replace("</", "<\\/")
