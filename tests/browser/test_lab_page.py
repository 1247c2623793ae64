"""The experiments as a reader meets them, on a page opened from a file: runs, stops, bad files, keyboard, address."""

import json
import shlex
import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from dlcore import studies
from dlcore.sweep import grid

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book"), str(ROOT / "book" / "_ext")]

import experiments  # noqa: E402

ANSWERS = "\n".join(f"{i % 4},{(i + i // 7) % 3},{i % 3}" for i in range(120))


@pytest.fixture(scope="module")
def ran(opened):
    """Returns the page of an experiment, its frame and what it said after a run with its first settings; for tests that only look."""
    done = {}
    with opened() as open_page:

        def run(name):
            if name not in done:
                page = open_page(name)
                part = _part(page, name)
                if name == "yours":
                    part.locator("textarea").first.fill(ANSWERS)
                done[name] = page, part, _run(page, part)
            return done[name]

        yield run


def _part(page, name):
    inner = page.locator(f".dl-lab[data-lab={name}]")
    return inner.locator(".dl-lab-part").first if name == "scaling" else inner


def _run(page, part, button=0, seconds=60):
    """Presses a button and returns what the page says at the end."""
    part.locator(".dl-lab-run").nth(button).click()
    part.evaluate(
        "(e) => new Promise((done) => { const look = () => e.dataset.state === 'running' ? setTimeout(look, 20) : done(); look(); })"
    )
    return part.locator(".dl-lab-says").inner_text()


def _fits(page, part):
    assert all(
        len(label) > 20
        for label in part.locator("svg").evaluate_all("all => all.map((e) => e.getAttribute('aria-label'))")
    )
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    wide = part.evaluate(
        "(e) => [...e.querySelectorAll('textarea, input, select, svg, output')].filter((o) => o.getBoundingClientRect().right > e.getBoundingClientRect().right && !o.closest('.scroll')).length"
    )
    assert wide == 0
    small = part.locator("svg text").evaluate_all(
        "all => all.filter((t) => parseFloat(getComputedStyle(t).fontSize) * t.ownerSVGElement.getBoundingClientRect().width / t.ownerSVGElement.viewBox.baseVal.width < 11.5).length"
    )
    assert small == 0


@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_an_experiment_runs_from_a_file_and_fits_a_desk_and_a_phone(ran, name):
    page, part, says = ran(name)
    assert part.get_attribute("data-state") == "ready", says
    assert part.locator("svg").count() >= 1
    _fits(page, part)
    page.set_viewport_size({"width": 390, "height": 900})
    page.wait_for_function(
        "[...document.querySelectorAll('.dl-lab svg')].every((e) => e.getBoundingClientRect().width < 390)"
    )
    _fits(page, part)


@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_nothing_stands_in_the_way_of_a_screen_reader(ran, name):
    page = ran(name)[0]
    options = {"preload": False}
    for scheme in ("light", "dark"):
        page.evaluate("(scheme) => { document.documentElement.dataset.theme = scheme; }", scheme)
        found = Axe().run(page, context=".dl-lab", options=options).response["violations"]
        assert not found, (scheme, [(v["id"], [n["html"][:160] for n in v["nodes"]][:3]) for v in found])


def test_the_keyboard_runs_changes_and_stops(show):
    page = show("samplers", reduced="reduce")
    part = _part(page, "samplers")
    part.locator(".dl-lab-run").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.dl-lab').dataset.moved")
    before = float(part.get_attribute("data-moved"))
    part.locator("input[data-name=rate]").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(f"Number(document.querySelector('.dl-lab').dataset.moved) > {before + 0.1}")
    assert "50\xa0%" in part.locator("input[data-name=rate]").get_attribute("aria-valuetext")


def test_a_picture_shows_who_taught_a_wrong_label(ran):
    _, part, _ = ran("samplers")
    captions = part.locator(".dl-lab-pictures figcaption").all_inner_texts()
    assert len(captions) == 12
    for text in captions:
        own, said = (int(word) for word in (text[2], text.split("called ")[1][0]))
        assert said == (own + 1) % 10


def test_the_live_spectrum_lies_within_the_recorded_runs(show):
    """Of neighbours and kernels, whose recorded runs have the very same split and labels; of others the page says by how much not."""
    page = show("samplers")
    part = _part(page, "samplers")
    assert "All lie within" in _run(page, part, 1)
    part.locator("input[data-name=k]").fill("15")
    assert "All lie within" in _run(page, part, 1)
    assert part.locator("svg path.role-own.dot").count() == 10
    part.locator("select[data-name=rule]").select_option("kernel_laplace")
    assert "All lie within" in _run(page, part, 1)
    part.locator("select[data-name=rule]").select_option("tree")
    says = _run(page, part, 1)
    outside = says.count(" below at ") + says.count(" above at ")
    assert outside == int(part.get_attribute("data-outside")) <= 2
    assert ("All lie within" in says) == (outside == 0)
    assert "yours" in part.locator(".dl-lab-key").first.inner_text()


def test_the_address_carries_the_state(show):
    page = show("samplers")
    part = _part(page, "samplers")
    part.locator("select[data-name=rule]").select_option("kernel_laplace")
    part.locator("input[data-name=rate]").fill("0.45")
    part.locator("input[data-name=seed]").fill("7")
    part.locator("input[data-name=seed]").press("Tab")
    address = page.evaluate("location.hash")
    again = show("yours", "samplers", address=address)
    other = _part(again, "samplers")
    assert other.locator("select[data-name=rule]").input_value() == "kernel_laplace"
    assert [other.locator(f"input[data-name={k}]").input_value() for k in ("rate", "seed", "bandwidth")] == [
        "0.45",
        "7",
        "0.33",
    ]


def test_a_number_that_is_none_is_one_sentence(show):
    page = show("samplers")
    part = _part(page, "samplers")
    part.locator("input[data-name=seed]").fill("-3")
    part.locator("input[data-name=seed]").press("Tab")
    assert part.locator(".dl-lab-says").inner_text() == "seed must be a whole number from 0 to 9,999."
    part.locator("input[data-name=seed]").fill("3")
    part.locator("input[data-name=seed]").press("Tab")
    assert "1-NN" in _run(page, part)


COMMANDS = {
    "samplers": (
        {},
        {"rule": "forest", "experiment": "sparse"},
        {"rule": "mlp", "experiment": "subgroup"},
        {"rule": "kernel_gaussian", "experiment": "pair"},
        {"rule": "tree"},
    ),
    "rationality": ({}, {"features": "random_relu", "probe": "knn"}, {"features": "vicreg", "probe": "logistic"}),
    "stitching": ({}, {"map": "trained"}),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_is_one_that_the_package_takes(show, folder, name):
    page = show(name)
    part = _part(page, name)
    part.locator("summary").first.click()
    script = part.locator(".dl-lab-python a").first.get_attribute("href").rpartition("/lab/")[2]
    assert (folder / "lab" / script).read_text("utf8").startswith("// Chapter ")
    for settings in COMMANDS[name]:
        for key, value in settings.items():
            part.locator(f"select[data-name={key}]").select_option(value)
        words = shlex.split(part.locator(".dl-lab-python pre").first.inner_text())
        assert words[:4] == ["python", "-m", "dlcore", "run"]
        given = dict(word.split("=") for word in words[5:])
        made = studies.study(words[4]).Config.from_parameters(**{k: _typed(v) for k, v in given.items()})
        assert made.dataset == "digits"
        # and the lines for the notebook's own cell say the same
        lines = {}
        exec(part.locator(".dl-lab-python pre").nth(1).inner_text(), {}, lines)
        assert lines == {k: _typed(v) for k, v in given.items()}
        assert {k: given[k] for k in ("probe", "experiment") if k in settings} == {
            k: v for k, v in settings.items() if k in ("probe", "experiment")
        }


def test_the_command_follows_the_button(show):
    page = show("samplers")
    part = _part(page, "samplers")
    part.locator("summary").first.click()
    part.locator(".dl-lab-run", has_text="All noise rates").click()
    page.wait_for_function(
        "document.querySelector('.dl-lab[data-lab=samplers]').dataset.state === 'ready'", timeout=120_000
    )
    words = shlex.split(part.locator(".dl-lab-python pre").first.inner_text())
    assert words[3:7] == ["sweep", "distributional", "--direct", "--grid"]
    assert len(grid.values(words[7].removeprefix("noise="))) == 10
    studies.study("distributional").Config.from_parameters(
        **{k: _typed(v) for k, v in (w.split("=") for w in words[8:])}
    )
    assert "noise" not in part.locator(".dl-lab-python pre").nth(1).inner_text().split("parameters")[1]
    page = show("rationality")
    part = _part(page, "rationality")
    part.locator("summary").first.click()
    part.locator(".dl-lab-run", has_text="end to end").click()
    words = shlex.split(part.locator(".dl-lab-python pre").first.inner_text())
    given = {k: _typed(v) for k, v in (w.split("=") for w in words[5:])}
    assert studies.study("rationality").Config.from_parameters(**given).objective == "supervised"


def _typed(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


BAD_CURVES = {
    "empty": ("", "empty"),
    "only a comment": ("# nothing\n", "empty"),
    "one column": ("1000\n2000\n3000\n4000\n", "One column"),
    "text": ("1000,2.3\n2000,high\n4000,1.9\n8000,1.8\n", "“high”"),
    "NaN": ("1000,2.3\n2000,NaN\n4000,1.9\n8000,1.8\n", "Line 2 has no number in column 2 (NaN)"),
    "missing": ("1000,2.3\n2000,\n4000,1.9\n8000,1.8\n", "Line 2 has no number"),
    "negative": ("1000,2.3\n2000,-1\n4000,1.9\n8000,1.8\n", "above 0"),
    "zero size": ("0,2.3\n2000,2.1\n4000,1.9\n8000,1.8\n", "above 0"),
    "one size": ("1000,2.3\n1000,2.2\n1000,2.1\n1000,2.4\n", "1 size is too few"),
    "three sizes": ("1000,2.3\n2000,2.1\n4000,1.9\n", "3 distinct sizes are too few"),
    "a copied line": ("1000,2.3\n2000,2.1\n2000,2.1\n4000,1.9\n8000,1.8\n", "occurs 2 times"),
    "ragged": ("1000,2.3\n2000,2.1,7\n4000,1.9\n8000,1.8\n", "Line 2 has 3 columns"),
    "not text": ("\u0000\u0001PK", "not a text file"),
    "too large": ("1000,1e999\n2000,2\n4000,1.9\n8000,1.8\n", "too large for a number"),
    "semicolons": ("D;loss\n1000;2,3\n2000;hoch\n4000;1,9\n8000;1,8\n", "Line 3 holds “hoch”"),
    "only a mark": ("\ufeff", "empty"),
    "many rows": ("".join(f"{i + 1},2\n" for i in range(401)), "at most 400 runs"),
}
BAD_ANSWERS = {
    "empty": ("", "empty"),
    "one column": ("1\n2\n3\n", "1 column was found"),
    "four columns": ("1,2,3,4\n1,2,3,4\n", "4 columns were found"),
    "one row": ("1,2\n", "One row"),
    "one class": ("1,0,0\n2,0,0\n3,0,0\n", "one class"),
    "NaN": ("1,0,0\n2,NaN,1\n", "Line 2 has an empty answer"),
    "numbers": ("\n".join(f"{i % 3},{i / 7}" for i in range(200)), "Are these classes"),
    "ragged": ("1,0,0\n2,1\n", "Line 2 has 2 columns"),
    "semicolons": ("\ufefffeature;prediction\n1;0\n2;\n", "Line 3 has an empty answer"),
    "only a mark": ("\ufeff\r\n", "empty"),
    "not text": ("\u0000PNG", "not a text file"),
}

DROP = """(area, [text, name]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name));
  area.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


@pytest.mark.parametrize(
    ("name", "cases"), [("scaling", BAD_CURVES), ("yours", BAD_ANSWERS)], ids=["curves", "answers"]
)
def test_a_bad_file_is_one_sentence_and_nothing_is_lost(show, tmp_path, name, cases):
    """Half are chosen, half are dropped; after each the field holds what it held."""
    page = show(name)
    part = _part(page, name)
    area = part.locator("textarea").first
    area.fill(ANSWERS if name == "yours" else area.input_value())
    kept = area.input_value()
    for i, (case, (text, wanted)) in enumerate(cases.items()):
        if i % 2:
            area.evaluate(DROP, [text, f"{case}.csv"])
        else:
            file = tmp_path / f"{case}.csv"
            file.write_text(text, "utf8")
            part.locator("input[type=file]").first.set_input_files(file)
        page.wait_for_function("(e) => e.dataset.state === 'wrong'", arg=part.element_handle())
        says = part.locator(".dl-lab-says").inner_text()
        assert wanted in says, f"{case}: {says}"
        assert says.startswith(f"In {case}.csv: ")
        assert says.endswith(" What was there stays.")
        assert says.count("\n") == 0
        assert area.input_value() == kept, case
        part.evaluate("(e) => { e.dataset.state = ''; }")
    large = tmp_path / "large.csv"
    large.write_bytes(b"1000,2.3\n" * 5_600_000)
    part.locator("input[type=file]").first.set_input_files(large)
    page.wait_for_function("(e) => e.dataset.state === 'wrong'", arg=part.element_handle())
    assert "50 MB; at most 20 MB" in part.locator(".dl-lab-says").inner_text()
    assert area.input_value() == kept


SPREADSHEETS = {
    "semicolons and a mark": "\ufeffD;loss\n1000;2,3\n2000;2,1\n4000;1,95\n8000;1,84\n16000;1,77\n",
    "tabs": "1000\t2.3\r\n2000\t2.1\r\n4000\t1.95\r\n8000\t1.84\r\n16000\t1.77\r\n",
    "quotes": '"D","loss"\n"1000","2.3"\n2000,2.1\n\n4000,1.95\n8000,1.84\n16000,1.77',
}


def test_what_spreadsheets_write_is_read(show, tmp_path):
    page = show("scaling")
    part = _part(page, "scaling")
    for name, text in SPREADSHEETS.items():
        file = tmp_path / f"{name}.csv"
        file.write_bytes(text.encode())
        part.evaluate("(e) => { delete e.dataset.best; }")
        part.locator("input[type=file]").set_input_files(file)
        page.wait_for_function("(e) => e.dataset.best", arg=part.element_handle(), timeout=60_000)
        assert "On 5 runs of 5 sizes (1000 to 16000 samples)" in part.locator("blockquote").inner_text(), name


def test_answers_that_a_spreadsheet_writes_are_read(show):
    page = show("yours")
    part = _part(page, "yours")
    text = "\ufeff" + "feature;prediction;label\r\n" + "cat;object;object\r\ndog;animal;animal\r\n" * 40
    part.locator("textarea").first.evaluate(DROP, [text, "answers.csv"])
    page.wait_for_function("(e) => e.dataset.state === 'ready'", arg=part.element_handle())
    assert "Prediction and label agree on 100.0\xa0% of 80 rows" in part.locator(".dl-lab-says").inner_text()


def test_features_that_cannot_be_compared_are_one_sentence(show):
    page = show("yours")
    part = _part(page, "yours")
    part.locator("select[data-name=what]").select_option("alignment")
    for one, two, wanted in (
        ("1,2\n3,4\n5,7\n1,1\n", "1\n2\n3\n", "4 and 3 rows"),
        ("1,2\n3,4\n5,7\n1,1\n", "1\n1\n1\n1\n", "No column of one"),
        ("1,2\n3,a4\n5,7\n1,1\n", "1\n2\n3\n4\n", "In the first table: Line 2 holds “a4”"),
        ("1,2\n3,4\n5,7\n", "1\n2\n3\n", "3 rows are too few"),
    ):
        for area, text in zip(part.locator("textarea").all(), (one, two), strict=True):
            area.fill(text)
        assert wanted in _run(page, part)
        assert part.get_attribute("data-state") == "wrong"


def test_features_of_two_models_are_aligned(show):
    page = show("yours")
    part = _part(page, "yours")
    part.locator("select[data-name=what]").select_option("alignment")
    rows = [(i % 5 - 2, i % 3, (i * i) % 7) for i in range(40)]
    part.locator("textarea").nth(0).fill("\n".join(",".join(map(str, r)) for r in rows))
    part.locator("textarea").nth(1).fill("\n".join(",".join(str(3 * v) for v in (r[2], -r[0], r[1])) for r in rows))
    assert "Linear CKA of the two tables: 1.0000, debiased 1.0000" in _run(page, part)


def test_counts_can_be_downloaded(ran):
    page, part, _ = ran("samplers")
    with page.expect_download() as download:
        part.locator(".dl-lab-foot a").click()
    lines = Path(download.value.path()).read_text("utf8").splitlines()
    assert lines[0] == "set,class,label,count"
    totals = [
        sum(int(line.rsplit(",", 1)[1]) for line in lines[1:] if line.startswith(kind)) for kind in ("train", "test")
    ]
    assert totals == [1200, 597]


def test_networks_are_stitched_and_asked(ran):
    _, part, says = ran("stitching")
    assert "Joined at layer 2" in says
    assert part.locator("svg path.role-own.dot").count() == 3
    rows = part.locator(".dl-lab-pictures table tr").count()
    assert rows == 1 + 2 + 3
    before = part.locator(".dl-lab-pictures input").input_value()
    part.locator(".dl-lab-pictures button").click()
    assert part.locator(".dl-lab-pictures input").input_value() != before
