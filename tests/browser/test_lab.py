"""The live lab in a real JupyterLab: every panel draws; Run, a curve that grows, Stop, another noise rate, the new point."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from dlcore.charts.theme import ROLES
from dlcore.studies import STUDIES

ROOT = Path(__file__).resolve().parents[2]
SLOW = 180_000  # milliseconds: a kernel has to load torch on a busy machine


@pytest.fixture(scope="module")
def jupyterlab(tmp_path_factory):
    """The address of a JupyterLab whose folder holds the lab's notebook, and the folder of its records."""
    folder = tmp_path_factory.mktemp("lab")
    book = json.loads((ROOT / "notebooks" / "5_lab.ipynb").read_text("utf8"))
    (folder / "5_lab.ipynb").write_text(json.dumps(book))
    # all panels in one page are the reader's; one is enough to press its buttons
    book["cells"] = [c for c in book["cells"] if _study(c) in (None, "distributional")]
    (folder / "one.ipynb").write_text(json.dumps(book))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = {f"JUPYTER_{k}_DIR": str(folder / ".jupyter" / k) for k in ("CONFIG", "RUNTIME", "DATA")}
    # every cell stays in the page, also those that a reader would have to scroll to
    settings = folder / ".jupyter" / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(json.dumps({"windowingMode": "none"}))
    home["JUPYTERLAB_SETTINGS_DIR"] = str(settings.parents[1])
    env = {k: v for k, v in os.environ.items() if k != "DLCORE_BOOK"} | home
    # one thread: with two, a training step waits for a core that other work holds
    env |= {"OMP_NUM_THREADS": "1"}
    env |= {"DLCORE_RECORDS": str(folder / "store"), "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / ".ipython")}
    log = open(folder / "log.txt", "w")  # noqa: SIM115
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"),
            *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="),
            "--LabApp.extension_manager=readonly",
            "--LabApp.news_url=None",
        ],
        cwd=folder,
        env=env,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            with urllib.request.urlopen(f"{address}/api/status", timeout=5):
                break
        except OSError:
            assert server.poll() is None, (folder / "log.txt").read_text()[-3000:]
            time.sleep(0.5)
    yield address, folder / "store"
    server.terminate()
    server.wait(20)
    log.close()


def _study(cell):
    """Returns the study whose panel a cell shows, or None."""
    return next(iter(re.findall(r'lab\.panel\("(\w+)"', "".join(cell["source"]))), None)


def _opened(jupyterlab, chromium, name, height):
    """Returns the page of a notebook all of whose cells were started."""
    address, _ = jupyterlab
    page = chromium.new_context(viewport={"width": 1280, "height": height}).new_page()
    page.set_default_timeout(SLOW)
    # the reader's machine may be offline: nothing but the server is asked
    page.route("**/*", lambda r: r.continue_() if r.request.url.startswith((address, "data:", "blob:")) else r.abort())
    page.goto(f"{address}/doc/tree/{name}")
    page.wait_for_selector(".jp-Notebook-cell")
    session = "window.jupyterapp?.shell.currentWidget?.sessionContext"
    page.wait_for_function(f"{session}?.isReady && {session}.session?.kernel?.status === 'idle'")
    page.wait_for_function("window.jupyterapp && window.jupyterapp.commands.isEnabled('notebook:run-all-cells')")
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    return page


def test_every_panel_draws_in_jupyterlab(jupyterlab, chromium):
    page = _opened(jupyterlab, chromium, "5_lab.ipynb", 2400)
    book = json.loads((ROOT / "notebooks" / "5_lab.ipynb").read_text("utf8"))
    studies = [study for cell in book["cells"] if (study := _study(cell))]
    assert set(studies) == set(STUDIES)
    page.wait_for_function(f"document.querySelectorAll('.vega-embed svg.marks').length === {2 * len(studies)}")
    page.wait_for_function(f"document.querySelectorAll('[role=status]').length === {len(studies)}")
    assert page.locator("[role=status]").all_inner_texts() == ["Ready."] * len(studies)
    assert page.locator("button.jupyter-button", has_text="Run").count() == len(studies)
    assert page.locator("[data-mime-type='application/vnd.jupyter.error'], .jp-OutputArea-error").count() == 0
    for i in range(len(studies)):
        assert _marks(page, 2 * i + 1, at_least=10) >= 10, "recorded runs"
    page.context.close()


def test_run_stop_and_a_new_point_in_jupyterlab(jupyterlab, chromium):
    store = jupyterlab[1]
    page = _opened(jupyterlab, chromium, "one.ipynb", 2400)
    run = page.locator("button.jupyter-button", has_text="Run")
    stop = page.locator("button.jupyter-button", has_text="Stop")
    run.wait_for()
    page.wait_for_function("document.querySelectorAll('.vega-embed svg.marks').length >= 2")
    status = page.locator("[role=status]", has_text="Ready")
    status.wait_for()

    # the curve grows while it trains
    run.click()
    page.locator("[role=status]", has_text="Running").wait_for()
    grown = _marks(page, 0, at_least=2)
    assert _marks(page, 0, at_least=grown + 2) > grown

    # stopped: no record, and no half of one
    stop.click()
    page.locator("[role=status]", has_text="Stopped").wait_for()
    assert not list(store.rglob("*.json"))

    # another noise rate, to the end
    slider = page.locator(".jupyter-widgets .noUi-handle, .jupyter-widgets [role=slider]").first
    before = page.locator(".widget-readout").first.inner_text()
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"document.querySelector('.widget-readout').innerText !== {before!r}")
    own = page.evaluate(OWN)
    run.click()
    page.locator("[role=status]", has_text="Done in").wait_for()
    (record,) = store.rglob("*.json")
    found = json.loads(record.read_text())["config"]
    assert (found["noise"], found["seed"]) == (0.4, 100)
    page.wait_for_function(f"{OWN} === {own + 1}")
    page.context.close()


# the reader's runs among the recorded ones
OWN = f"""document.querySelectorAll(".vega-embed")[1].querySelectorAll(".mark-symbol path[fill='{ROLES["own"]}']").length"""


def _marks(page, index, at_least):
    """Waits until a chart draws so many points, and returns how many."""
    count = f"document.querySelectorAll('.vega-embed')[{index}].querySelectorAll('.mark-symbol path').length"
    page.wait_for_function(f"{count} >= {at_least}")
    return page.evaluate(count)
