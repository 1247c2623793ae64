"""The API pages: docstrings of the public contract, in the house's form, as reStructuredText."""

from __future__ import annotations

import re

HEAD = re.compile(r"(Args|Shapes|Raises|Paper|Differs|Metrics):(?: (.*))?$")
ENTRY = re.compile(r"    (\*{0,2}\w[\w, *]*): (.*)$")
CODE = re.compile(r"(?<![`:])`([^`\n]+)`(?![`_])")


def plain(line: str) -> str:
    """Returns a line with its code as code, and bars that are no substitution.

    >>> plain("`a` of |b|")
    '``a`` of \\\\|b\\\\|'
    """
    parts = re.split(r"(``.*?``)", CODE.sub(r"``\1``", line))
    return "".join(part if part.startswith("``") else part.replace("|", "\\|") for part in parts)


def lines(doc: list[str]) -> list[str]:
    """Returns a docstring's lines with the house's heads as fields, arguments as a list, and code as code.

    >>> lines(["A sum.", "", "Args:", "    x: one", "Raises: ValueError for `none`."])
    ['A sum.', '', '', ':Args:', '  - ``x``: one', '', ':Raises: ValueError for ``none``.']
    """
    found, inside, example = [], "", False
    for line in doc:
        example = line.lstrip().startswith((">>>", "...")) or (example and bool(line.strip()))
        if example:
            if inside:
                found.append("")
            found.append(line)
            inside = ""
            continue
        text = plain(line)
        if head := HEAD.match(text):
            inside = head[1]
            found += ["", f":{inside}: {head[2]}" if head[2] else f":{inside}:"]
        elif inside and (entry := ENTRY.match(line)) and inside == "Args":
            found.append(f"  - ``{entry[1]}``: {plain(entry[2])}")
        elif inside and text.startswith("    "):
            found.append(("    " if inside == "Args" else "  ") + text.strip())
        elif not text.strip():
            inside = ""
            found.append("")
        elif inside:  # the line goes on without an indent: it belongs to what follows
            found += ["", text]
            inside = ""
        else:
            found.append(text)
    return found


def _process(app, what, name, obj, options, doc) -> None:
    doc[:] = lines(doc)


def _foreign(app, config) -> None:
    # names of other packages would need their inventories, from the network
    config.nitpick_ignore_regex = [(r"py:.*", r"(?!dlcore\.).*")]


def setup(app):
    """Connects the steps."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("config-inited", _foreign)
    app.connect("autodoc-process-docstring", _process)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
