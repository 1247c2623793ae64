"""Sphinx glue: copies MathJax and the chart runtime into the site, so that no page asks another host for anything."""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path

MATHJAX = ("tex-chtml.js", "output/chtml/fonts/woff-v2/")


def _vendor(app) -> None:
    """Writes the scripts into the output's _static/vendor."""
    if app.builder.format != "html":
        return
    import vl_convert

    vendor = Path(app.outdir) / "_static" / "vendor"
    vendor.mkdir(parents=True, exist_ok=True)
    # the bundle declares short top-level names; inside a function they stay its own
    bundle = "(function(){" + vl_convert.javascript_bundle() + "\n})();\n"
    (vendor / "vega.js").write_text(bundle, encoding="utf8")
    for file in importlib.metadata.files("sphinx-mathjax-offline") or ():
        name = str(file).partition("static/mathjax/")[2]
        if name.startswith(MATHJAX):
            target = vendor / "mathjax" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), target)
    if not (vendor / "mathjax" / "tex-chtml.js").exists():
        raise RuntimeError("MathJax was not found: pip install -r requirements.txt")


def _page(app, pagename, templatename, context, doctree) -> None:
    """Drops thebe, which needs a server, and loads the chart runtime only on pages with charts."""
    charts = 'class="dl-chart"' in context.get("body", "")
    keep = []
    for script in context.get("script_files", []):
        name = str(getattr(script, "filename", script) or "")
        body = getattr(script, "attributes", {}).get("body") or ""
        if "THEBE_JS_URL" in body or "sphinx-thebe" in name:
            continue
        if not charts and ("vendor/vega" in name or "charts.js" in name):
            continue
        keep.append(script)
    context["script_files"] = keep


def setup(app):
    """Connects the two steps."""
    app.connect("builder-inited", _vendor, priority=900)
    app.connect("html-page-context", _page, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
