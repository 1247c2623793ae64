"""The ledger as others read it: the README's ten rows, the picture, JSON, and one look for each verdict."""

import json
import re
import shlex
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from dlcore import claims, studies
from dlcore.__main__ import main
from dlcore.claims import pages
from dlcore.sweep import grid

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def ledger():
    """The shipped ledger, evaluated once."""
    return claims.shipped()


def _claim(measured, **more):
    return claims.Claim(
        **{
            "id": "x",
            "chapter": 3,
            "claim": "a < b | c",
            "reference": "r",
            "setting": "s",
            "accept": (0, 1),
            "measured": measured,
            **more,
        }
    )


def test_the_readme_and_the_picture_repeat_the_ledger():
    readme = (ROOT / "README.md").read_text("utf8")
    assert pages.written("README.md", readme) == readme, "run: python -m dlcore claims --write README.md"
    drawn = (ROOT / "book" / "_static" / "verdicts.svg").read_text("utf8")
    assert pages.picture() == drawn, "run: python -m dlcore claims --write book/_static/verdicts.svg"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= 8000


def test_the_readme_has_three_ways_of_use_with_an_example_each_that_runs(capsys):
    ways = (ROOT / "README.md").read_text("utf8").partition("## Three ways to use it\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\*\*(\w+)\.\*\*|^```(\w+)", ways, re.M) == [
        pair for name in ("Read", "Run", "Sweep") for pair in ((name, ""), ("", "bash"))
    ]
    run, sweep = (shlex.split(line)[3:] for line in re.findall(r"^python -m dlcore .*", ways, re.M))
    studies.study(run[1]).Config.from_parameters(**grid.parameters(run[2:]))
    assert main([*sweep, "--dry-run"]) == 0
    assert "100 cells" in capsys.readouterr().out


def test_ten_rows_from_all_chapters_and_every_claim_is_counted(ledger):
    lines = claims.ledger_markdown(ledger).splitlines()
    rows = [line for line in lines if re.match(r"\| \d \|", line)]
    assert len(rows) == len(pages.HEADLINES) == 10
    assert {row[2] for row in rows} == {str(chapter) for chapter in claims.STUDIES}
    # no text breaks the table
    assert {re.sub(r"\\\|", "", row).count("|") for row in rows} == {6}
    assert sum(int(n) for n in re.findall(r"(\d+) (?!rows)[a-z]", lines[-1])) == len(ledger)


def test_the_ten_rows_are_headlines_of_their_chapters(ledger):
    headlines = {c.id for c in ledger if c.headline}
    assert set(pages.HEADLINES) <= headlines


def test_every_verdict_has_one_look_and_no_two_look_alike():
    looks = [pages.LOOKS[verdict] for verdict in claims.VERDICTS]
    for field in zip(*looks, strict=True):
        assert len(set(field)) == len(claims.VERDICTS)
    assert set(pages.LOOKS) == set(claims.VERDICTS)
    css = (ROOT / "book" / "_static" / "companion.css").read_text("utf8")
    for verdict in claims.VERDICTS:
        assert f".verdict-{verdict.replace(' ', '-')} " in css


@pytest.mark.parametrize("verdict", claims.VERDICTS)
def test_white_text_is_readable_on_each_colour(verdict):
    channels = [int(pages.LOOKS[verdict].colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    light = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]
    assert 1.05 / (luminance + 0.05) >= 4.5


def test_the_picture_is_valid_counts_all_and_stays_in_its_frame(ledger):
    root = ET.fromstring(pages.picture(ledger))
    tag = "{http://www.w3.org/2000/svg}"
    tested = sum(c.kind != "exploratory" for c in ledger)
    assert f"{tested} claims" in root.find(f"{tag}title").text
    assert sum(int(n) for n in re.findall(r"(\d+) [a-z]", root.find(f"{tag}desc").text)) == tested
    width, height = (float(v) for v in root.get("viewBox").split()[2:])
    for bar in root.iter(f"{tag}rect"):
        assert float(bar.get("x")) + float(bar.get("width")) <= width
        assert float(bar.get("y")) + float(bar.get("height")) <= height


def test_json_has_every_claim_and_only_numbers_that_json_knows(ledger):
    found = json.loads(json.dumps(claims.ledger_json(ledger), allow_nan=False))
    assert [row["id"] for row in found] == [c.id for c in ledger]
    assert {row["verdict"] for row in found} <= set(claims.VERDICTS)
    none = claims.ledger_json([_claim(None)])[0]
    assert (none["value"], none["low"], none["runs"]) == (None, None, 0)


def test_markdown_and_html_escape_what_would_break_them():
    claim = _claim(None, id=pages.HEADLINES[0])
    assert "a < b \\| c" in claims.ledger_markdown([claim])
    assert "a &lt; b | c" in claims.ledger_html([claim])


@pytest.mark.parametrize(
    ("name", "text"),
    [("README.rst", ""), ("README.md", "no marks"), ("README.md", f"{pages.MARKS[0]} {pages.MARKS[0]}")],
)
def test_a_file_that_cannot_take_the_ledger_is_refused(name, text):
    with pytest.raises(
        ValueError, match="expected a name that ends in .svg or .json, or a Markdown file with <!-- ledger:start -->"
    ):
        pages.written(name, text)
