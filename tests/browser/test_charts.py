"""Every control of every chart, in every option: there and back gives the first picture, and no state is empty or cut."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = [f"notebooks/{path.stem}.html" for path in sorted((ROOT / "notebooks").glob("*.py"))]

# sets a control of a chart as a reader would, waits for the picture, and says what is wrong with it
CRAWL = """
async (root) => {
  const faults = [], name = root.dataset.name;
  // Vega appends rows that come back: what is drawn counts, not its order in the file
  const picture = () => [...root.querySelectorAll("svg :is(path, text, line, rect)")].filter((e) => e.getAttribute("d") !== "" && !e.closest("clipPath")).map((e) => e.outerHTML.replace(/[^"]*#gradient_\\d+|clip\\d+/g, "")).sort().join("\\n");
  const inputs = [...root.querySelectorAll(".dl-controls :is(select, input[type=range], fieldset)")].filter((e) => e.closest(".dl-control").checkVisibility());
  const choose = async (input, value) => {
    const event = (e, kind) => e.dispatchEvent(new Event(kind, { bubbles: true }));
    if (input.tagName === "FIELDSET") { const r = input.querySelectorAll("input")[value]; r.checked = true; event(r, "change"); }
    else if (input.type === "range") { input.value = value; event(input, "input"); }
    else { input.selectedIndex = value; event(input, "change"); }
    await root.dlDone();
  };
  const state = (input) => input.tagName === "FIELDSET" ? [...input.querySelectorAll("input")].findIndex((r) => r.checked)
    : input.type === "range" ? Number(input.value) : input.selectedIndex;
  const options = (input) => input.tagName === "FIELDSET"
    ? [...input.querySelectorAll("input")].map((r, i) => r.disabled ? -1 : i).filter((i) => i >= 0)
    : [...Array(input.type === "range" ? Number(input.max) + 1 : input.options.length).keys()];
  const items = (mark, found) => {
    for (const item of mark.items || []) {
      if (mark.marktype === "group") (item.items || []).forEach((m) => items(m, found)); else found.push([mark, item]);
    }
    return found;
  };
  const check = (where) => {
    const svg = root.querySelector("svg"), frame = svg.getBoundingClientRect(), box = root.querySelector(".dl-embed").getBoundingClientRect();
    if (frame.width > box.width + 1) faults.push(`${where}: the picture is wider than its column`);
    const scale = frame.width / Number(svg.getAttribute("width"));
    if (scale < 0.97) faults.push(`${where}: the picture is shrunk to ${scale.toFixed(2)}`);
    const heard = root.querySelector(".dl-embed").getAttribute("aria-label"), title = root.querySelector(".dl-title").textContent;
    if (!heard.startsWith(title)) faults.push(`${where}: a screen reader hears another title: ${heard}`);
    for (const e of svg.querySelectorAll("text, .mark-symbol path, .mark-rect path, .mark-line path, .mark-area path, .mark-rule line")) {
      if (e.closest("[clip-path]") || !(e.getBoundingClientRect().width + e.getBoundingClientRect().height) || e.getAttribute("opacity") === "0") continue;
      const b = e.getBoundingClientRect();
      if (b.left < frame.left - 1 || b.right > frame.right + 1 || b.top < frame.top - 1 || b.bottom > frame.bottom + 1)
        faults.push(`${where}: outside the picture: ${e.textContent || e.getAttribute("aria-label") || e.parentNode.getAttribute("class")}`);
      if (e.tagName === "text" && parseFloat(getComputedStyle(e).fontSize) * scale < 11.5)
        faults.push(`${where}: small text: ${e.textContent}`);
      if (e.tagName === "text" && e.textContent.includes("…")) faults.push(`${where}: cut text: ${e.textContent}`);
    }
    const marks = items(root.dlView().scenegraph().root, []).filter(([g, i]) => g.role === "mark" && i.opacity !== 0);
    const dots = marks.filter(([g]) => ["symbol", "rect", "line", "area"].includes(g.marktype));
    if (dots.length < 2) faults.push(`${where}: nothing is drawn`);
    if (/is recorded with/.test(svg.textContent)) faults.push(`${where}: a state without runs`);
    for (const [, item] of marks) {
      for (const [key, value] of Object.entries(item.tooltip && typeof item.tooltip === "object" ? item.tooltip : {})) {
        if (/_/.test(key) || /NaN|undefined|\\[object/.test(value)) { faults.push(`${where}: tooltip ${key}: ${value}`); break; }
      }
    }
  };
  check(`${name} at first`);
  for (const input of inputs) {
    const first = state(input), before = picture(), label = input.getAttribute("aria-label") || input.querySelector("legend").textContent;
    for (const value of options(input)) {
      if (value === first) continue;
      await choose(input, value);
      if (state(input) !== value) faults.push(`${name}: ${label}: option ${value} cannot be chosen`);
      check(`${name}: ${label}: option ${value}`);
      const live = root.querySelector(".dl-live").textContent;
      if (!live.includes(label + ": ") || !live.endsWith(root.querySelector(".dl-title").textContent)) faults.push(`${name}: ${label}: said aloud: ${live}`);
      await choose(input, first);
      if (picture() !== before) faults.push(`${name}: ${label}: ${first} -> ${value} -> ${first} gives another picture`);
    }
  }
  // two controls at once: the last option of each
  for (const [i, one] of inputs.entries()) for (const two of inputs.slice(i + 1)) {
    const first = [one, two].map(state), before = picture(), last = (input) => options(input).at(-1);
    await choose(one, last(one));
    if (two.closest(".dl-control").checkVisibility()) await choose(two, last(two));
    check(`${name}: the last options of two controls`);
    await choose(one, first[0]);
    await choose(two, first[1]);
    if (picture() !== before) faults.push(`${name}: two controls there and back give another picture`);
  }
  return [...new Set(faults)];
}
"""


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.slow), 390])
@pytest.mark.parametrize("name", CHAPTERS)
def test_every_choice_of_every_chart_draws_whole_and_comes_back(visit, name, width):
    page = visit(name, width=width)
    faults = [fault for chart in page.query_selector_all(".dl-chart") for fault in page.evaluate(CRAWL, chart)]
    assert not faults, "\n".join(faults[:40])


@pytest.mark.parametrize("name", CHAPTERS)
def test_controls_offer_only_what_was_run(visit, name):
    """Of two controls that limit each other, the second loses options; a slider stands on recorded values only."""
    page = visit(name)
    for chart in page.query_selector_all(".dl-chart"):
        note = json.loads(chart.query_selector("script").text_content())
        selects = chart.query_selector_all("select, input[type=range], fieldset")
        assert len(selects) == sum(len(c["options"]) > 1 for c in note["controls"])
        for c in note["controls"]:
            if c["kind"] == "slider":
                assert all(isinstance(o, int | float) for o in c["options"])
            if c["kind"] == "menu" and len(c["options"]) == 2:
                assert chart.query_selector(f"input[type=radio][name='dl-{note['name']}-{c['column']}']")


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_chart_gives_its_rows_its_picture_its_link_and_its_code(visit, name):
    """The page makes the table of a chart from the columns that it draws."""
    page = visit(name)
    for chart in page.query_selector_all(".dl-chart"):
        with page.expect_download() as download:
            chart.query_selector(".dl-rows a").click()
        lines = Path(download.value.path()).read_text("utf8").splitlines()
        assert download.value.suggested_filename == f"{chart.get_attribute('data-name')}.csv"
        assert len(lines) > 3
        assert len({line.count(",") for line in lines if '"' not in line}) == 1
        with page.expect_download() as download:
            chart.query_selector(".dl-rows a:text('SVG')").click()
        assert download.value.suggested_filename == f"{chart.get_attribute('data-name')}.svg"
        assert Path(download.value.path()).read_text("utf8").startswith("<svg ")
        chart.query_selector(".dl-rows a:text('Link to this view')").click()
        assert page.evaluate("location.hash").startswith(f"#fig-{chart.get_attribute('data-name')}")
        assert "leads to this view" in chart.query_selector(".dl-live").text_content()
        # the laboratory's panels have no cell of their own
        assert chart.query_selector(".dl-rows button:text('Code')") or name.endswith("5_lab.html")
