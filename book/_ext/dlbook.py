"""Sphinx glue: the site carries its own MathJax and chart runtime, each page only what it needs, and no page asks another host."""

from __future__ import annotations

import base64
import html
import importlib.metadata
import json
import re
import shutil
import urllib.parse
from pathlib import Path

import myst_nb
import pydata_sphinx_theme
import sphinx_design

from dlcore.charts import page, theme

MATHJAX = ("tex-chtml.js", "output/chtml/fonts/woff-v2/")
ROWS = re.compile(rf'<script type="{re.escape(page.ROWS)}">(.*?)</script>', re.S)
STILL = re.compile(r'(<noscript><img [^>]*src=")data:image/svg\+xml;base64,([^"]*)(")')
STILL_FILE = re.compile(r'<noscript><img [^>]*src="[^"]*_static/charts/([^"]+)"')
NAME = re.compile(r'<div class="dl-chart"[^>]*data-name="([^"]*)"')
# what the theme puts on every page and no page uses: icons come from a font, and the search page loads its own index
UNUSED = re.compile(
    r'<script defer src="[^"]*scripts/fontawesome\.js[^"]*"></script>\n?'
    r'|<link rel="stylesheet"[^>]*sphinx-thebe\.css[^>]*>\n?'
    r'|<meta name="viewport" content="width=device-width, initial-scale=1" ?/>'
)
SEARCH = re.compile(r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>')
# citations in a page's description, which is plain text
CITED = re.compile(r" ?\[ ?[^\[\]\"]*?\d{4}[a-z]?\s*\]")
# names, punctuation, space and operators of highlighted code: they look like the text around them
PLAIN = re.compile(r'<span class="(?:n|nn|o|p|w)">([^<]*)</span>')
THEME = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
# the large style sheets of a page, where they come from
STYLES = {
    "styles/pydata-sphinx-theme.css": THEME / "styles" / "pydata-sphinx-theme.css",
    "sphinx-design.min.css": Path(sphinx_design.__file__).parent / "static" / "sphinx-design.min.css",
    "mystnb.*.css": Path(myst_nb.__file__).parent / "static" / "mystnb.css",
}
# an icon in the theme's script: its name, width, height, other names and path
ICON = re.compile(r'[{,]"?([\w-]+)"?:\[(\d+),(\d+),\[([^\]]*)\],"[0-9a-f]+","([^"]+)"')


def _options(app, config) -> None:
    """Sets theme options; as a dictionary in _config.yml they would replace Jupyter Book's own, launch buttons and all."""
    # the theme would show a second search field, in a header that clips the sidebar
    config.html_theme_options.update(navbar_persistent=[], show_toc_level=2)


def _vendor(app) -> None:
    """Writes scripts and the colours of the roles into the output's _static."""
    if app.builder.format != "html":
        return
    import vl_convert

    static = Path(app.outdir) / "_static"
    vendor = static / "vendor"
    vendor.mkdir(parents=True, exist_ok=True)
    # the bundle declares short top-level names; inside a function they stay its own
    bundle = "(function(){" + vl_convert.javascript_bundle() + "\n})();\n"
    (vendor / "vega.js").write_text(bundle, encoding="utf8")
    verdicts = (Path(app.srcdir) / "book" / "_static" / "verdicts.svg").read_text("utf8")
    (static / "card.png").write_bytes(vl_convert.svg_to_png(verdicts, scale=1.5))
    tokens = "".join(f"--dl-{role}:{colour};" for role, colour in theme.ROLES.items())
    (static / "roles.css").write_text(f":root{{{tokens}}}\n", encoding="utf8")
    for file in importlib.metadata.files("sphinx-mathjax-offline") or ():
        name = str(file).partition("static/mathjax/")[2]
        if name.startswith(MATHJAX):
            target = vendor / "mathjax" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), target)
    if not (vendor / "mathjax" / "tex-chtml.js").exists():
        raise RuntimeError("MathJax was not found: pip install -r requirements.txt")


def unpacked(body: str, pagename: str, static: Path) -> str:
    """Returns a page's body without the rows and pictures of its charts, which it writes into `static`/charts.

    Charts have columns in common: each column is written once.
    """
    folder, slug = static / "charts", pagename.replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    pool: dict[str, int] = {}
    charts: dict[str, dict] = {}
    names = NAME.findall(body)
    found = [json.loads(match[1]) for match in ROWS.finditer(body)]
    for name, tables in zip(names, found, strict=True):
        if name in charts:
            raise ValueError(f"two charts of {pagename} have the name {name!r}")
        for table in tables.values():
            codes = {k: json.dumps(c, separators=(",", ":")) for k, c in table["columns"].items()}
            table["columns"] = {k: pool.setdefault(code, len(pool)) for k, code in codes.items()}
        charts[name] = tables
    script = f'window.dlRows={{"letters":{json.dumps(page.LETTERS)},"charts":{json.dumps(charts, separators=(",", ":"))},"pool":[\n'
    (folder / f"{slug}.js").write_text(script + ",\n".join(pool) + "\n]};\n", encoding="utf8")
    root, still = "../" * pagename.count("/"), iter(names)

    def file(match: re.Match) -> str:
        name = f"{slug}-{next(still)}.svg"
        (folder / name).write_bytes(base64.b64decode(html.unescape(match[2])))
        return f"{match[1]}{root}_static/charts/{name}{match[3]}"

    return STILL.sub(file, ROWS.sub("", body))


def card(context: dict, charts: Path, slug: str) -> None:
    """Makes a page's first chart the picture by which links to the page are shown."""
    import vl_convert

    first = STILL_FILE.search(context["body"])
    if first and "card.png" in context.get("metatags", ""):
        svg = (charts / first[1]).read_text("utf8")
        (charts / f"{slug}.png").write_bytes(vl_convert.svg_to_png(svg, scale=1.5))
        context["metatags"] = context["metatags"].replace("_static/card.png", f"_static/charts/{slug}.png")


def _page(app, pagename, templatename, context, doctree) -> None:
    """Drops thebe, which needs a server, and loads MathJax and the chart runtime only where there is a formula or a chart."""
    body = context.get("body", "")
    charts, maths = 'class="dl-chart"' in body, 'class="math' in body
    if charts:
        static = Path(app.outdir) / "_static"
        context["body"] = unpacked(body, pagename, static)
        card(context, static / "charts", pagename.replace("/", "-"))
    context["metatags"] = CITED.sub("", context.get("metatags", ""))
    keep = []
    for script in context.get("script_files", []):
        name = str(getattr(script, "filename", script) or "")
        inline = getattr(script, "attributes", {}).get("body") or ""
        if "THEBE_JS_URL" in inline or "sphinx-thebe" in name:
            continue
        if not charts and name.endswith(("vendor/vega.js", "charts.js", "export.js")):
            continue
        if not maths and ("mathjax" in name or "MathJax" in inline):
            continue
        if "charts.js" in name:
            rows = f"_static/charts/{pagename.replace('/', '-')}.js"
            keep.append(type(script)(rows, priority=script.priority, defer="defer"))
        keep.append(script)
    context["script_files"] = keep


SIDEBAR = '<div id="pst-primary-sidebar"'


def icons(names: set[str]) -> str:
    """Returns the style of icons as pictures: the theme's two fonts hold thousands, and its pages show a dozen."""
    rules = {}
    for name, width, height, others, path in ICON.findall((THEME / "scripts/fontawesome.js").read_text("utf8")):
        picture = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}'><path d='{path}'/></svg>"
        mask = f'url("data:image/svg+xml,{urllib.parse.quote(picture)}") center/contain no-repeat'
        size = f"width:{int(width) / int(height):.3g}em;height:1em;vertical-align:-.125em"
        look = f'content:"";display:inline-block;{size};background:currentColor;mask:{mask}'
        for one in [name, *re.findall(r'"([\w-]+)"', others)]:
            rules[one] = f".fa-{one}::before{{{look}}}"
    found = [rules[name] for name in sorted(names & rules.keys())]
    # a space in the icons' font would load it
    return "\n".join(['[class*=" fa-"]{font-family:inherit}', *found]) + "\n"


def pruned(style: str, words: set[str]) -> str:
    """Returns a style sheet without the rules of classes that no page and no script of the site names.

    >>> pruned("/*! a.d */.a,.b .c{color:red}.d{margin:0}p:not(.d){top:0}", {"a", "b"})
    '/*! a.d */.a{color:red}p:not(.d){top:0}'
    """

    def kept(rule: re.Match) -> str:
        if rule[1] is None:  # a comment, the licences' among them
            return rule[0]
        # of alternatives and exceptions in parentheses any may hold; the scripts make names that begin with bs-
        parts = re.split(r",(?![^()]*\))", rule[1])
        names = [re.findall(r"\.(?!bs-)(-?[A-Za-z_][\w-]*)", re.sub(r"\([^()]*\)", "", part)) for part in parts]
        left = [part for part, classes in zip(parts, names, strict=True) if words.issuperset(classes)]
        return f"{','.join(left)}{{{rule[2]}}}" if left else ""

    return re.sub(r"/\*.*?\*/|([^{}@;]+)\{([^{}]*)\}", kept, style, flags=re.S)


def compact(text: str) -> str:
    """Returns a page without indents, and without the marks of code that have no colour of their own.

    >>> compact('<p>\\n  a</p><pre>\\n  <span class="n">x</span> <span class="k">if</span></pre>')
    '<p>\\na</p><pre>\\n  x <span class="k">if</span></pre>'
    """
    parts = re.split(r"(<pre.*?</pre>)", text, flags=re.S)
    parts[::2] = [re.sub(r"\n\s+", "\n", part) for part in parts[::2]]
    parts[1::2] = [PLAIN.sub(r"\1", part) for part in parts[1::2]]
    # a class of two thousand bytes a chapter: translators leave <pre> and <code> alone, and formulas are typeset before
    return "".join(parts).replace(" notranslate", "")


TITLE = re.compile(r"<title>(.*?)(?: - [^<]*)?</title>", re.S)


def described(text: str) -> str:
    """Returns a page with a description where Sphinx, which made it of no source, gave none, and with a list of entries
    that is a list to a screen reader: what it holds are items.

    >>> described('<title>Search - The book</title><p role="doc-biblioentry">')[-19:]
    '<p role="listitem">'
    """
    text = text.replace('role="doc-biblioentry"', 'role="listitem"')
    title = TITLE.search(text)
    if not title or '<meta name="description"' in text:
        return text
    words = f"{title[1]}. Four findings of a doctoral thesis, re-run so that you can try to break them."
    return text.replace(title[0], f'{title[0]}\n<meta name="description" content="{words}" />')


def _slim(app, exception) -> None:
    """Takes from the finished pages what the theme loads and nothing uses."""
    if exception or app.builder.format != "html":
        return
    out, used = Path(app.outdir), set()
    for file in out.rglob("*.html"):
        text = file.read_text("utf8")
        used.update(re.findall(r"[\w-]+", " ".join(re.findall(r'class="([^"]*)"', text))))
        # the theme's sidebar is no landmark: what stands in it beside the contents belongs to none
        slim = described(compact(UNUSED.sub("", text))).replace(
            SIDEBAR, f'{SIDEBAR} role="region" aria-label="The book"'
        )
        if file.name != "search.html":
            slim = SEARCH.sub("", slim)
        if slim != text:
            file.write_text(slim, "utf8")
    (out / "_static" / "icons.css").write_text(icons({name.removeprefix("fa-") for name in used}), "utf8")
    for file in (out / "_static").rglob("*.js"):
        if not {"vendor", "charts"} & set(file.parts):
            used.update(re.findall(r"[\w-]+", file.read_text("utf8")))
    for pattern, whole in STYLES.items():
        for file in (out / "_static").glob(pattern):
            file.write_text(pruned(whole.read_text("utf8"), used), "utf8")
    for file in [
        *out.glob("_static/scripts/fontawesome*"),
        *out.glob("_static/**/*.map"),
        *out.glob("_static/**/*.ttf"),
    ]:
        file.unlink(missing_ok=True)


def setup(app):
    """Connects the steps."""
    app.connect("config-inited", _options, priority=900)
    app.connect("builder-inited", _vendor, priority=900)
    app.connect("html-page-context", _page, priority=900)
    app.connect("build-finished", _slim)
    app.add_css_file("roles.css", priority=400)
    app.add_css_file("icons.css", priority=900)
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
