"""Builds the site when it is out of date, serves it, and opens it in a headless Chromium without a network."""

import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from dlcore.charts.theme import ROLES

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book"), str(ROOT / "book" / "_ext")]

import experiments  # noqa: E402
import laboratory  # noqa: E402

SITE = ROOT / "_build" / "html"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def served(folder):
    """The address of a folder that is served for as long as the block lasts."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            """Keeps the output clean."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="session")
def site():
    """The address of the served site, freshly built."""
    env = {k: v for k, v in os.environ.items() if k != "DLCORE_RECORDS"}
    built = subprocess.run([sys.executable, "book/build.py"], cwd=ROOT, env=env, capture_output=True, text=True)
    assert built.returncode == 0, f"the book was not built:\n{built.stdout[-4000:]}\n{built.stderr[-6000:]}"
    with served(SITE) as address:
        yield address


def found_chromium():
    """Returns the path of a Chromium, or None."""
    return next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)


@pytest.fixture(scope="session")
def chromium():
    """A headless browser; without one the tests of the page fail with what to install."""
    path = found_chromium()
    if path is None:
        pytest.fail("no Chromium: install it (Debian: apt-get install chromium) to test the page", pytrace=False)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(site, chromium):
    """Opens a page with everything that is not local blocked; fails on any such request, or a console error."""
    problems, contexts = [], []

    def open_page(name, *, width=1280, scheme="light", draw=True, root=site, reduced=None):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion=reduced
        )
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda m: problems.append(f"{name}: {m.text} {m.location.get('url')}") if m.type == "error" else None,
        )
        page.on("pageerror", lambda e: problems.append(f"{name}: {e}"))

        def guard(route):
            if route.request.url.startswith((root, "data:", "blob:")):
                route.continue_()
            else:
                problems.append(f"{name} asked for {route.request.url}")
                route.abort()

        page.route("**/*", guard)
        page.goto(f"{root}/{name}")
        if page.locator(".dl-chart").count() and draw:
            # what is out of view is drawn, and what is folded is open, for paper only, which is light
            page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
            page.wait_for_function(
                "[...document.querySelectorAll('.dl-chart')].every(c => c.dataset.ready)", timeout=90_000
            )
        page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems, "\n".join(problems)


THEME = {
    "light": "--pst-color-text-base:#222832;--pst-color-text-muted:#48566b;--pst-color-border:#d1d5da;--pst-color-surface:#f3f4f5;"
    "--pst-color-background:#fff;--pst-color-primary:#0a7d91;--pst-color-link:#0a7d91",
    "dark": "--pst-color-text-base:#ced6dd;--pst-color-text-muted:#9ca4af;--pst-color-border:#48566b;--pst-color-surface:#29313d;"
    "--pst-color-background:#14181e;--pst-color-primary:#3fb1c5;--pst-color-link:#3fb1c5",
}


def scripts(made):
    """Puts the scripts into a folder as the site has them, with their banks; returns the folder."""
    shutil.copytree(ROOT / "book" / "_static" / "lab", made / "lab")
    laboratory.write(made / "lab", laboratory.banks(("digits", "recorded")))
    return made


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The scripts as the site has them, with their banks."""
    return scripts(tmp_path_factory.mktemp("laboratory"))


@pytest.fixture(scope="session")
def opened(chromium, folder):
    """Opens pages with the named experiments; fails on an error, or on anything asked for that is not a file beside it."""
    return lambda: experiments_of(chromium, folder)


@contextlib.contextmanager
def experiments_of(chromium, folder):
    """Opens pages with the named experiments, of the scripts in a folder."""
    problems, contexts = [], []

    def open_page(*names, width=1000, address="", reduced=None):
        colours = "".join(f"--dl-{role}:{colour};" for role, colour in ROLES.items())
        places = "".join(
            f'<section class="dl-lab" data-lab="{n}" aria-label="{n}"><p class="dl-lab-title">{experiments.EXPERIMENTS[n][0]}</p></section>'
            f'<script defer src="lab/load.js"></script>'
            for n in names
        )
        style = f":root{{{colours}{THEME['light']}}}[data-theme=dark]{{{THEME['dark']}}}body{{background:var(--pst-color-background);color:var(--pst-color-text-base);font-family:sans-serif}}a{{color:var(--pst-color-link)}}"
        page_file = folder / f"{'-'.join(names)}.html"
        page_file.write_text(
            f'<!doctype html><html lang="en"><head><meta charset="utf8"><title>lab</title><meta name="viewport" content="width=device-width"><style>{style}</style></head><body><main><h1>Lab</h1>{places}</main></body></html>',
            "utf8",
        )
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, reduced_motion=reduced, accept_downloads=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda e: problems.append(str(e)))
        page.on(
            "request", lambda r: r.url.startswith(("file:", "blob:", "data:")) or problems.append(f"asked for {r.url}")
        )
        page.goto(page_file.as_uri() + address)
        for name in names:
            page.locator(f".dl-lab[data-lab={name}]").scroll_into_view_if_needed()
            page.wait_for_selector(f".dl-lab[data-lab={name}] .dl-lab-run")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems, problems


@pytest.fixture
def show(opened):
    """Opens pages with the named experiments, for one test."""
    with opened() as open_page:
        yield open_page
