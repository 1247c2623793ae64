"""What the text of a chapter can do: details fold, numbers carry their interval, words set a figure, terms explain themselves."""

from __future__ import annotations

import html
import json
import re
import urllib.parse

from docutils import nodes

FOLDED = "details"  # the part of a chapter whose sections open on a click
DRIVE = re.compile(r"(.+?)\s+<([\w-]+)(?::\s+(.+))?>", re.S)
TARGET = re.compile(r'href="#fig-([\w-]+)(?:\?([^"]+))?"')
NOTE = re.compile(r'<script type="application/vnd\.dlcore\.chart\+json">(.*?)</script>', re.S)
NUMBER = re.compile(r'(<span class="pasted-text)(">)([^<]*?[^<\s]) \(((?:[^<()]* to |one run)[^<()]*)\)</span>')
TERM = re.compile(r'(<a class="reference internal" href="[^"]*glossary\.html#term-[^"]*")( title="[^"]*")?>')


def _drive(name, rawtext, text, lineno, inliner, options=None, content=None):
    """The role {drive}`words <figure: control=option; ...>`: a link that sets the controls of a figure of the page."""
    match = DRIVE.fullmatch(text)
    if not match:
        message = inliner.reporter.error(f"{rawtext}: not of the form words <figure: control=option; ...>", line=lineno)
        return [inliner.problematic(rawtext, rawtext, message)], [message]
    link = nodes.reference(rawtext, match[1], refuri=target(match[2], match[3]), internal=True, classes=["dl-drive"])
    return [link], []


def target(figure: str, choices: str | None) -> str:
    """Returns the address, within a page, of a figure with some choices.

    >>> target("noise-sweep", "source=CIFAR-10 (ours); noise=0.4")
    '#fig-noise-sweep?source=CIFAR-10%20%28ours%29&noise=0.4'
    """
    pairs = [" ".join(part.split()).partition("=") for part in choices.split(";")] if choices else []
    query = "&".join(f"{key}={urllib.parse.quote(value)}" for key, _, value in pairs)
    return f"#fig-{figure}?{query}" if query else f"#fig-{figure}"


def checked(body: str, pagename: str) -> None:
    """Raises: ValueError for words that set a figure, a control or an option that the page does not have."""
    notes = {note["name"]: note for note in map(json.loads, NOTE.findall(body))}
    for figure, query in TARGET.findall(body):
        if figure not in notes:
            raise ValueError(f"{pagename}: there is no figure {figure!r}: {', '.join(notes)}")
        known = {c["column"]: [*map(str, c["options"]), *c["shown"]] for c in notes[figure]["controls"]}
        for key, value in urllib.parse.parse_qsl(html.unescape(query)):
            if value not in known.get(key, []):
                raise ValueError(
                    f"{pagename}: the figure {figure!r} has no choice {key} = {value!r}: {known.get(key, list(known))}"
                )


def _fold(app, doctree, docname) -> None:
    if app.builder.format != "html":
        return
    for proof in [n for n in doctree.findall(nodes.Admonition) if type(n).__name__ == "proof_node"]:
        place = proof.parent.index(proof)
        ends = ("<details class='dl-proof'><summary>Proof</summary>", "</details>")
        before, after = (nodes.raw("", text, format="html") for text in ends)
        proof.parent[place : place + 1] = [before, proof, after]
    for part in doctree.findall(nodes.section):
        if FOLDED not in part["ids"]:
            continue
        for section in [child for child in part if isinstance(child, nodes.section)]:
            title, *rest = list(section)
            raw = [
                nodes.raw("", text, format="html")
                for text in ("<details class='dl-fold'><summary>", "</summary>", "</details>")
            ]
            section.clear()
            section.extend([raw[0], title, raw[1], *rest, raw[2]])


def _terms(app) -> dict[str, str]:
    """Returns the glossary: the id of a term -> what it means."""
    if not hasattr(app.env, "dl_terms"):
        found = {}
        if "book/glossary" in app.env.found_docs:
            for item in app.env.get_doctree("book/glossary").findall(nodes.definition_list_item):
                meaning = item.next_node(nodes.definition).astext().replace("\n", " ")
                found |= {name: meaning for term in item.findall(nodes.term) for name in term["ids"]}
        app.env.dl_terms = found
    return app.env.dl_terms


def _page(app, pagename, templatename, context, doctree) -> None:
    body = context.get("body", "")
    checked(body, pagename)

    def number(match: re.Match) -> str:
        more = f'<span class="dl-more"> ({match[4]})</span>'
        return f'{match[1]} dl-number" tabindex="0{match[2]}{match[3]}{more}</span>'

    def term(match: re.Match) -> str:
        meaning = _terms(app).get(match[1].rpartition("#")[2].rstrip('"'), "")
        return f'{match[1]} data-meaning="{html.escape(meaning, quote=True)}">' if meaning else match[0]

    context["body"] = TERM.sub(term, NUMBER.sub(number, body))


def setup(app):
    """Connects the steps; the page's comes before the charts' rows are taken out."""
    app.add_role("drive", _drive)
    app.connect("doctree-resolved", _fold)
    app.connect("html-page-context", _page, priority=800)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
