"""The list of all figures, made of the executed notebooks: no figure can be forgotten, and no title be another."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from dlcore.charts import page

NOTE = re.compile(rf'<script type="{re.escape(page.SPEC)}">(.*?)</script>', re.S)


def figures(books: Mapping[str, Any]) -> str:
    """Returns the list as HTML, a part for each notebook with figures: name -> executed notebook."""
    parts = []
    for name, book in books.items():
        notes = [json.loads(match) for output in _outputs(book) for match in NOTE.findall(output)]
        if not notes:
            continue
        heading = re.search(r"(?m)^# (.+)", book.cells[0].source)[1]
        items = "".join(
            f"<li><a href='../notebooks/{name}.html#fig-{note['name']}'>{html.escape(note['title'])}</a></li>"
            for note in notes
        )
        parts.append(f"<p><strong>{html.escape(heading)}</strong></p><ul>{items}</ul>")
    return "".join(parts)


def _outputs(book: Any) -> Iterable[str]:
    for cell in book.cells:
        for output in cell.get("outputs", []):
            text = output.get("data", {}).get("text/html", "")
            yield text if isinstance(text, str) else "".join(text)
