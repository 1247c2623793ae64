"""The book's sources: pages that are executed, a build that needs nothing from outside."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


def test_every_page_of_the_table_of_contents_exists():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    pages = [toc["root"], *[c["file"] for part in toc["parts"] for c in part["chapters"]]]
    for page in pages:
        assert any((ROOT / f"{page}{kind}").exists() for kind in (".md", ".ipynb")), page


@pytest.mark.parametrize("page", sorted((ROOT / "book").glob("*.md")), ids=lambda p: p.name)
def test_the_python_of_a_page_runs_anywhere(page, tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text("utf8"), re.S | re.M)
    if blocks:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-W", "error", "-c", "\n".join(blocks)], check=True, cwd=tmp_path, env=env)


@pytest.mark.parametrize("path", sorted([ROOT / "README.md", *(ROOT / "book").glob("*.md")]), ids=lambda p: p.name)
def test_local_links_lead_somewhere(path):
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", path.read_text("utf8")):
        assert (path.parent / target).exists(), target


def test_the_bibliography_has_what_the_pages_cite_and_nothing_else():
    bib = (ROOT / "book" / "references.bib").read_text("utf8")
    pages = [*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.py")]
    cited = {
        key.strip()
        for page in pages
        for group in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", page.read_text("utf8"))
        for key in group.split(",")
    }
    assert set(re.findall(r"^@\w+\{([^,]+),", bib, re.M)) == cited
    assert "check before print" not in bib, "an entry that nobody checked is not printed"
