"""Builds the site when it is out of date, serves it, and opens it in a headless Chromium without a network."""

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

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.fixture(scope="session")
def site():
    """The address of the served site, freshly built."""
    env = {k: v for k, v in os.environ.items() if k != "DLCORE_RECORDS"}
    built = subprocess.run([sys.executable, "book/build.py"], cwd=ROOT, env=env, capture_output=True, text=True)
    assert built.returncode == 0, f"the book was not built:\n{built.stdout[-4000:]}\n{built.stderr[-6000:]}"

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            """Keeps the test's output clean."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(SITE)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def chromium():
    """A headless browser; without one the tests of the page fail with what to install."""
    path = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
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

    def open_page(name, *, width=1280, scheme="light", draw=True):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda m: problems.append(f"{name}: {m.text} {m.location.get('url')}") if m.type == "error" else None,
        )
        page.on("pageerror", lambda e: problems.append(f"{name}: {e}"))

        def guard(route):
            if route.request.url.startswith((site, "data:", "blob:")):
                route.continue_()
            else:
                problems.append(f"{name} asked for {route.request.url}")
                route.abort()

        page.route("**/*", guard)
        page.goto(f"{site}/{name}")
        if page.locator(".dl-chart").count() and draw:
            # what is out of view is drawn, and what is folded is open, for paper only, which is light
            page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
            page.wait_for_function(
                "[...document.querySelectorAll('.dl-chart')].every(c => c.dataset.ready)", timeout=30_000
            )
        page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems, "\n".join(problems)
