"""Colours can be seen and told apart, controls offer what was run, rows reach the page once and whole."""

import base64
import itertools
import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dlcore.charts import controls, page, theme

sys.path.append(str(Path(__file__).parent))

from colours import BACKGROUNDS, contrast, linear, over, thin_marks

ROOT = Path(__file__).resolve().parents[1]
# what a person without one kind of cone sees (Machado, Oliveira and Fernandes 2009, severity 1), in linear RGB
CONES = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def _lab(linear):
    """Returns CIE L*a*b* for the white of a screen."""
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    x = to_xyz @ np.clip(linear, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(x > (6 / 29) ** 3, np.cbrt(x), x * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_contrast_is_the_one_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # WCAG's own example of a near miss


@pytest.mark.parametrize("scheme", BACKGROUNDS)
@pytest.mark.parametrize("role", theme.ROLES)
def test_every_role_can_be_seen(role, scheme):
    assert contrast(theme.ROLES[role], BACKGROUNDS[scheme]) >= 3


@pytest.mark.parametrize("cones", CONES)
@pytest.mark.parametrize("pair", list(itertools.combinations(theme.ROLES, 2)), ids="-".join)
def test_two_roles_are_two_colours_for_everybody(pair, cones):
    one, two = (_lab(np.array(CONES[cones]) @ linear(theme.ROLES[role])) for role in pair)
    # 2.3 is a just noticeable difference; small dots need several
    assert np.linalg.norm(one - two) > 14


@pytest.mark.parametrize("scheme", BACKGROUNDS)
def test_a_faint_mark_is_seen_to_be_faint(scheme):
    faint = {"layer": [{"mark": {"type": "rule", "color": theme.ROLES["null"], "opacity": 0.4}}]}
    [(colour, opacity)] = thin_marks(faint)
    assert contrast(over(colour, BACKGROUNDS[scheme], opacity), BACKGROUNDS[scheme]) < 3
    assert over("#204060", "#000000", 0.5) == "#102030"


def test_lines_of_the_laboratory_are_not_faint():
    style = (ROOT / "book" / "_static" / "lab" / "lab.css").read_text("utf8")
    lines = re.findall(r"^\.dl-lab svg \.(?:line|thin|dash|dotted) \{.*$", style, re.M)
    assert len(lines) == 4
    assert not any("opacity" in line for line in lines)


def test_charts_have_no_colours_of_their_own():
    """All colours are roles; text in a heat map is light or dark by the cell that it stands on."""
    allowed = {"#222", "#1a1a1a"}
    files = [*(ROOT / "dlcore").glob("figures/*.py"), *(ROOT / "dlcore").glob("studies/*/figures/*.py")]
    assert len(files) > 10
    for file in files:
        code = re.sub(r"(?m)^\s*>>>.*$", "", file.read_text("utf8"))
        assert set(re.findall(r"#[0-9A-Fa-f]{3,8}\b", code)) <= allowed, file


TABLES = {
    "few": [{"a": "x", "b": 0.123456789, "c": i % 3} for i in range(200)],
    "many": [{"a": f"name {i}", "b": i / 7, "c": None} for i in range(200)],
    "gaps": [{"a": "x"}, {"b": 1.0}, {"a": None, "b": float("nan")}],
    "alike": [{"a": True}, {"a": 1}, {"a": 0}, {"a": False}] * 40,
    "letters": [{"a": v} for v in range(len(page.LETTERS) + 1)] * 3,
    "two letters": [{"a": 1 / (1 + v % 300)} for v in range(2000)],
    "too many": [{"a": v % 8000} for v in range(9000)],
}


def _decoded(found):
    """Returns the rows of a table in columns, as the page's script reads them."""
    columns, place = {}, {letter: i for i, letter in enumerate(page.LETTERS)}
    for name, c in found["columns"].items():
        if isinstance(c, dict):
            step = 1 if len(c["of"]) <= len(place) else 2
            codes = [[place[letter] for letter in c["at"][i : i + step]] for i in range(0, len(c["at"]), step)]
            c = [c["of"][code[0] if step == 1 else code[0] * len(place) + code[1]] for code in codes]
        columns[name] = c
    return [{name: c[i] for name, c in columns.items()} for i in range(found["n"])]


@pytest.mark.parametrize("name", TABLES)
def test_rows_come_back_from_their_columns(name):
    rows = _decoded(json.loads(json.dumps(page.table(TABLES[name]))))
    assert len(rows) == len(TABLES[name])
    for found, row in zip(rows, TABLES[name], strict=True):
        for key, value in found.items():
            wanted = row.get(key)
            if wanted is None or wanted != wanted:
                assert value is None
            else:
                assert value == pytest.approx(wanted, rel=1e-4) if isinstance(wanted, float) else value == wanted
                assert isinstance(value, bool) == isinstance(wanted, bool)


def _chart(name, rows):
    import altair as alt

    chart = alt.Chart(rows).mark_point().encode(x="a:Q", y="b:Q", tooltip=["a", "n_train:Q"])
    text = "A description that says what can be seen."
    return theme.finish(chart, name=name, title="It rises <at once>", description=text, rows=rows).to_dict()


def test_a_page_writes_a_column_once_and_pictures_into_files(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "book" / "_ext"), *sys.path])
    import dlbook

    rows = pd.DataFrame({"a": np.arange(40) / 7, "b": np.arange(40) ** 2, "n_train": 100})
    body = "".join(page.render(_chart(name, rows))["text/html"] for name in ("one", "two"))
    slim = dlbook.unpacked(body, "notebooks/x", tmp_path)
    assert page.ROWS not in slim
    assert "base64" not in slim
    assert 'src="../_static/charts/notebooks-x-one.svg"' in slim
    assert (tmp_path / "charts" / "notebooks-x-two.svg").read_text().startswith("<svg")
    assert "It rises &lt;at once&gt;" in slim
    script = (tmp_path / "charts" / "notebooks-x.js").read_text()
    store = json.loads(script.removeprefix("window.dlRows=").rstrip().removesuffix(";"))
    # the data of two charts and the tables behind them: the same three columns
    assert len(store["pool"]) == 3
    own = store["charts"]["two"]["rows"]["columns"]
    assert store["pool"][own["b"]] == (np.arange(40) ** 2).tolist()
    with pytest.raises(ValueError, match="two charts of notebooks/x have the name 'one'"):
        dlbook.unpacked(body.replace('data-name="two"', 'data-name="one"'), "notebooks/x", tmp_path)


def test_tooltips_say_words():
    spec = _chart("one", pd.DataFrame({"a": [1, 2], "b": [1, 2], "n_train": [3, 4]}))
    assert [tip["title"] for tip in spec["encoding"]["tooltip"]] == ["a", "training samples"]


def test_a_picture_where_scripts_are_off():
    rows = pd.DataFrame({"a": [1, 2], "b": [1, 2], "n_train": [3, 4]})
    html = page.render(_chart("one", rows))["text/html"]
    found = re.search(r'<noscript><img alt="([^"]*)" src="data:image/svg\+xml;base64,([^"]*)"', html)
    assert found[1] == "A description that says what can be seen."
    assert base64.b64decode(found[2]).startswith(b"<svg")


MENUS = [
    controls.menu(["x", "y", "z"], "x", "first", "dl_one"),
    controls.menu(["all", "p", "q"], "all", "second", "dl_two"),
    controls.slider([0.1, 0.4], 0.1, name="dl_noise"),
]


def test_states_are_those_of_the_rows():
    there = pd.DataFrame({"one": ["x", "x", "y"], "two": ["p", "q", "p"], "noise": [0.1, 0.1, 0.4], "more": 0})
    [found] = controls.states(MENUS, there)
    assert found["of"] == [0, 1, 2]
    # each row itself, and with "all" in the place of its second
    assert found["rows"] == sorted([[0, 1, 0], [0, 2, 0], [1, 1, 1], [0, 0, 0], [1, 0, 1]])


def test_a_control_may_be_limited_by_a_table_of_its_own():
    tables = [pd.DataFrame({"one": ["x", "y"], "two": ["p", "q"]}), pd.DataFrame({"one": ["x"], "noise": [0.4]})]
    first, second = controls.states(MENUS, tables)
    assert (first["of"], second["of"]) == ([0, 1], [0, 2])
    assert second["rows"] == [[0, 1]]


def test_a_start_that_no_run_has_moves_to_one_that_has():
    """Both choices were run, and not with each other; what moved is told, what was not asked for is not."""
    there = pd.DataFrame({"one": ["x", "y"], "noise": [0.1, 0.4]})
    asked = [
        controls.menu(["x", "y"], "x", "first", "dl_one", asked="x"),
        controls.slider([0.1, 0.4], 0.4, asked=0.4),
    ]
    begun = controls.begun(asked, controls.states(asked, there))
    assert [c.value for c in begun] == ["x", 0.1]
    assert controls.unrecorded(begun) == "Not recorded at noise 40 %: shown at 10 %."
    silent = controls.begun([asked[0], controls.slider([0.1, 0.4], 0.4)], controls.states(asked, there))
    assert [c.value for c in silent] == ["x", 0.1]
    assert controls.unrecorded(silent) == ""


@pytest.mark.parametrize(
    ("options", "kind"), [([0.1, 0.2, 0.3], "range"), ([0.1, 0.2, 0.4], "select"), ([0.0, 0.3], "range")]
)
def test_a_slider_over_uneven_values_is_a_menu_in_a_notebook(options, kind):
    spec = controls.slider(options, options[0]).parameter().param.to_dict()
    assert spec["bind"]["input"] == kind


def test_two_options_are_radio_buttons_in_a_notebook():
    assert controls.menu(["a", "b"], "a", "one", "dl_one").parameter().param.to_dict()["bind"]["input"] == "radio"


def test_a_sentence_follows_the_controls():
    """One that states share is there once, its numbers beside it."""
    said = {("x", 0.1): "of MNIST-1D 10 %", ("y", 0.4): "of MNIST-1D 2.5 %", ("y", 0.1): "4 have none"}
    saying = controls.Saying((MENUS[0], MENUS[2]), said, "else")
    assert saying.start(MENUS) == "of MNIST-1D 10 %"
    assert saying.spec(MENUS) == {
        "of": [0, 2],
        "states": {"0|0": [0, "1", "10"], "1|1": [0, "1", "2.5"], "1|0": [1]},
        "texts": ["of MNIST-{}D {} %", "4 have none"],
        "other": "else",
    }
