"""Takes from the finished site's styles what no page uses: the theme brings rules for every site there is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import tinycss2

WORD = re.compile(r"[A-Za-z_][\w-]*")


def words(site: Path) -> set[str]:
    """Returns every word of the pages and of their scripts: no class or id that is used anywhere is another word."""
    scripts = [p for p in site.rglob("*.js") if "vendor" not in p.parts and p.name != "searchindex.js"]
    return {word for p in [*site.rglob("*.html"), *scripts] for word in WORD.findall(p.read_text("utf8"))}


def needed(prelude: list, used: set[str]) -> bool:
    """Returns whether a selector can match: all its classes and ids are used. What stands in :not(), :is() is not asked.

    >>> ask = lambda text: needed(tinycss2.parse_component_value_list(text), {"a", "b"})
    >>> ask("p.a > .b:not(.c)"), ask(".a .c"), ask("#c"), ask("table td")
    (True, False, False, True)
    """
    for before, token in zip([None, *prelude], prelude, strict=False):
        if token.type == "ident" and before is not None and before == "." and token.value not in used:
            return False
        if token.type == "hash" and token.value not in used:
            return False
    return True


def selectors(prelude: list) -> Iterable[list]:
    """Splits a list of selectors at its commas."""
    one: list = []
    for token in prelude:
        if token == ",":
            yield one
            one = []
        else:
            one.append(token)
    yield one


def slim(css: str, used: set[str]) -> str:
    """Returns the style sheet without the selectors that match nothing, and without what is left empty by that.

    >>> slim("a{b:c}.x,.y{d:e}@media print{.x{f:g}}@font-face{src:h}", {"y"})
    'a{b:c}.y{d:e}@font-face{src:h}'
    """
    return _kept(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True), used)


def _kept(rules: list, used: set[str]) -> str:
    found = []
    for rule in rules:
        text = rule.serialize()
        if rule.type == "qualified-rule":
            left = [s for s in selectors(rule.prelude) if needed(s, used)]
            head = ",".join(tinycss2.serialize(s) for s in left)
            text = f"{head}{{{tinycss2.serialize(rule.content)}}}" if left else ""
        elif (
            rule.type == "at-rule"
            and rule.lower_at_keyword in ("media", "supports", "layer")
            and rule.content is not None
        ):
            inner = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
            inside = _kept(inner, used)
            text = f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{inside}}}" if inside else ""
        found.append(text)
    return "".join(found)


def _finish(app, exception) -> None:
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    used = words(site)
    # ours are small, and style what vendored scripts make
    ours = {p.name for p in Path(app.srcdir, "book", "_static").rglob("*.css")}
    for file in (p for p in (site / "_static").rglob("*.css") if p.name not in ours):
        file.write_text(slim(file.read_text("utf8"), used), "utf8")


def setup(app):
    """Connects the step, after those that change pages."""
    app.connect("build-finished", _finish, priority=950)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
