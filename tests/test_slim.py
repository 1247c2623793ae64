"""What no page uses is cut from the theme's styles, and nothing else."""

import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

import slim  # noqa: E402


@pytest.mark.parametrize(
    ("css", "kept"),
    [
        (".a{x:1}", ".a{x:1}"),
        (".gone{x:1}", ""),
        (".a .gone,.a{x:1}", ".a{x:1}"),
        (".a:not(.gone){x:1}", ".a:not(.gone){x:1}"),
        (":is(.gone,.a) p{x:1}", ":is(.gone,.a) p{x:1}"),
        ("#gone{x:1}#a{x:1}", "#a{x:1}"),
        ("p>a[href]{color:#fff}", "p>a[href]{color:#fff}"),
        ("@media print{.gone{x:1}.a{x:1}}", "@media print{.a{x:1}}"),
        ("@media print{.gone{x:1}}", ""),
        ("@import url(basic.css);", "@import url(basic.css);"),
        ("@font-face{src:url(x)}@keyframes k{to{x:1}}", "@font-face{src:url(x)}@keyframes k{to{x:1}}"),
    ],
)
def test_selectors_that_match_nothing_go(css, kept):
    assert slim.slim(css, {"a"}) == kept


def test_a_site_keeps_its_classes_and_our_own_styles(tmp_path):
    site, source = tmp_path / "html", tmp_path / "source" / "book" / "_static"
    source.mkdir(parents=True)
    (site / "_static").mkdir(parents=True)
    (source / "own.css").write_text(".made-by-a-script{x:1}")
    (site / "_static" / "own.css").write_text(".made-by-a-script{x:1}")
    (site / "index.html").write_text("<i class='fa-bars'></i>")
    (site / "_static" / "a.js").write_text("x.classList.add('shown-later')")
    (site / "_static" / "theme.css").write_text(
        r'.fa-bars:before{content:"\f0c9"}.fa-x:before{content:"\f00d"}.shown-later{x:1}'
    )
    app = types.SimpleNamespace(builder=types.SimpleNamespace(format="html"), outdir=site, srcdir=tmp_path / "source")
    for _ in range(2):  # again: what is slim stays as it is
        slim._finish(app, None)
        css = (site / "_static" / "theme.css").read_text("utf8")
        assert ".fa-bars" in css
        assert ".fa-x" not in css
        assert ".shown-later" in css
        assert (site / "_static" / "own.css").read_text() == ".made-by-a-script{x:1}"
