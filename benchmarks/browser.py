"""The page in headless Chromium: its own experiments, and its charts, beside the times that the book promises.

python benchmarks/browser.py      # after `make book`, or the charts' rows say that there is no site
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import harness
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]


def _of_the_tests(name: str) -> ModuleType:
    """Returns a module of the browser's tests, under a name that no other conftest has taken."""
    spec = importlib.util.spec_from_file_location(f"browser_{name}", ROOT / "tests" / "browser" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


conftest, speed = _of_the_tests("conftest"), _of_the_tests("test_lab_speed")
TURNS = 5
RATIO = "time / limit"
CHAPTERS = sorted(path.stem for path in (ROOT / "notebooks").glob("[1-4]_*.py"))
HEAVIEST = 2  # chapters whose charts are timed
# times slower -> seconds until the first chart, and of a control's step: a frame at 60 a second, and what still feels direct
CHARTS = {1: (0.8, 1 / 60), 4: (3.0, 0.05)}
SLOW = {1: "", 4: ", a quarter of the CPU"}
# notes when the first chart has been painted, in ms since the page was asked for
FIRST = """
new MutationObserver((_, seen) => {
  if (!document.querySelector(".dl-chart[data-ready='1']")) return;
  seen.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.dlFirst = performance.now(); }));
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-ready"] });
"""
# sets the first control of the first chart that has one to its next option, as a reader would; the seconds until it is drawn
STEP = """
async () => {
  const control = ":is(input[type=range], select, input[type=radio]:not(:checked))";
  const shown = (root) => [...root.querySelectorAll(control)].find((e) => !e.disabled && e.checkVisibility());
  const root = [...document.querySelectorAll(".dl-chart")].find((c) => c.checkVisibility() && shown(c)), input = shown(root);
  root.scrollIntoView();
  while (root.dataset.ready !== "1") await new Promise((done) => setTimeout(done, 50));
  await root.dlDone();
  if (input.type === "range") input.value = (Number(input.value) + 1) % (Number(input.max) + 1);
  else if (input.type === "radio") input.checked = true;
  else input.selectedIndex = (input.selectedIndex + 1) % input.options.length;
  const start = performance.now();
  input.dispatchEvent(new Event(input.type === "range" ? "input" : "change", { bubbles: true }));
  await root.dlDone();
  return (performance.now() - start) / 1000;
}
"""


def row(what: str, limit: float, seconds: list[float]) -> dict[str, Any]:
    """Returns the row of one promise: what it took in each turn, in seconds, beside its limit."""
    middle = median(seconds)
    span = f"{harness.cell(min(seconds))} to {harness.cell(max(seconds))}"
    return {"what": what, "limit, s": limit, "median, s": middle, "min to max": span, RATIO: middle / limit}


def experiments(browser: Browser, turns: int, names: list[str]) -> list[dict[str, Any]]:
    """Returns the rows of the page's own experiments, and of what a reader notices while one runs."""
    with (
        tempfile.TemporaryDirectory() as folder,
        conftest.experiments_of(browser, conftest.scripts(Path(folder))) as open_page,
    ):
        page = open_page("samplers", "rationality", "stitching", "scaling")
        found: dict[tuple[str, float], list[float]] = {}
        for turn in range(turns):  # the first one compiles, as a reader's first run does, and counts
            for name in names:
                found.setdefault(speed.LIMITS[name], []).append(page.evaluate(speed.TIMES, [name, turn]))
            gap = "the longest time between two frames while an MLP trains"
            found.setdefault((gap, speed.FRAME / 1000), []).append(max(speed.frames(page)) / 1000)
            # nothing that changes after Stop counts as the millisecond that the clock can tell
            found.setdefault(("from Stop to rest", speed.STOPPED / 1000), []).append(max(1, speed.stop(page)[0]) / 1000)
    return [row(*key, seconds) for key, seconds in found.items()]


@contextlib.contextmanager
def visit(browser: Browser, address: str, slow: int) -> Iterator[Page]:
    """Opens a page for the first time, with that part of the CPU, and waits for its first chart."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slow})
    page.add_init_script(FIRST)
    page.goto(address, wait_until="commit")
    page.wait_for_function("window.dlFirst", timeout=120_000)
    yield page
    context.close()


def charts(browser: Browser, turns: int, chapters: list[str]) -> list[dict[str, Any]]:
    """Returns the rows of the charts: each turn is a first visit."""
    found: dict[tuple[str, float], list[float]] = {}
    with conftest.served(conftest.SITE) as address:
        for _ in range(turns):
            for chapter in chapters:
                for slow, (first, step) in CHARTS.items():
                    where = f"chapter {chapter[0]}{SLOW[slow]}"
                    with visit(browser, f"{address}/notebooks/{chapter}.html", slow) as page:
                        painted, drawn = page.evaluate("window.dlFirst") / 1000, page.evaluate(STEP)
                    found.setdefault((f"first chart, {where}", first), []).append(painted)
                    found.setdefault((f"a control's step, {where}", step), []).append(drawn)
    return [row(*key, seconds) for key, seconds in found.items()]


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the tables; without a Chromium, or without a site, a row says so."""
    turns, chapters = (1, CHAPTERS[:1]) if quick else (TURNS, CHAPTERS)
    names = ["knn", "first", "power"] if quick else list(speed.LIMITS)
    path, version = conftest.found_chromium(), ""
    mine = theirs = [harness.remark("no Chromium here", what="all of it")]
    if path:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=conftest.FLAGS)
            version = f"Chromium {browser.version}, {datetime.date.today()}"
            mine = experiments(browser, turns, names)
            if (conftest.SITE / "notebooks" / f"{CHAPTERS[0]}.html").exists():
                weights = {name: (conftest.SITE / "notebooks" / f"{name}.html").stat().st_size for name in chapters}
                theirs = charts(browser, turns, sorted(weights, key=weights.get)[-HEAVIEST:])
            else:
                theirs = [harness.remark("no site here: make book", what="all of it")]
            browser.close()
    about = f"Seconds of the clock, {turns} turns of each; a ratio of at most 1 keeps the promise."
    note = f"In headless Chromium, on a page opened from a file, the data loaded. {about}"
    return [
        harness.Table("The page's own experiments", note, mine, (RATIO,), version),
        harness.Table(
            "The charts of a chapter",
            f"The {HEAVIEST} heaviest pages; a first visit, from a server on the same machine: from the request until the first chart is painted, and from "
            f"a control's event until its chart is drawn; with the whole CPU, and slowed to a quarter of it. {about}",
            theirs,
            (RATIO,),
            version,
        ),
    ]


if __name__ == "__main__":
    harness.main(tables, __doc__)
