"""Every page of the built site, from files and from a server, light and dark, on a desk, at 200 %, a tablet and a phone.

    python tests/browser/crawl.py        # after `make book`: hours, most of them axe's on long pages

Says of each visit what is wrong: an error of the console, a request to another host, a page wider than its window, what
axe finds at any impact; of each chart, in every option of every control, what `test_charts.py` looks for, light from the
server and dark from files; and, once, each link that leads to no page or no place in it. Exit status 1 if there is anything.
"""

from __future__ import annotations

import argparse
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from axe_playwright_python.sync_playwright import Axe  # noqa: E402
from conftest import FLAGS, SITE, found_chromium, served  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from test_charts import CRAWL  # noqa: E402

# 640 is a desk's window at 200 %
WIDTHS = (1280, 768, 640, 390)
SCHEMES = ("light", "dark")


class Links(HTMLParser):
    """The addresses and the places of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(path.read_text("utf8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps what a tag leads to and how it can be reached."""
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.add(value)
            if name == "id" or (name == "name" and tag == "a"):
                self.places.add(value or "")


def dead(site: Path) -> list[str]:
    """Returns the links of the pages that lead to no file, or to no place in a page, of the site."""
    pages = {path: Links(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}
    faults = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(urljoin(path.as_uri(), link))
            if parts.scheme != "file":
                continue
            target = Path(unquote(parts.path))
            where = f"{path.relative_to(site)}: {link}"
            if not target.exists():
                faults.append(f"{where}: there is no such file")
                continue
            place = unquote(parts.fragment)
            # a state of a chart or of the laboratory, which has a =, is no place
            if target in pages and place and "=" not in place and place not in pages[target].places:
                faults.append(f"{where}: there is no such place")
    return faults


def look(page, address: str, scheme: str) -> list[str]:
    """Opens a page, draws its charts, and returns what is wrong with it as it stands."""
    page.goto(address)
    if page.locator(".dl-chart").count():
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        page.wait_for_function(
            "[...document.querySelectorAll('.dl-chart')].every(c => c.dataset.ready)", timeout=90_000
        )
    page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
    page.wait_for_timeout(200)
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    faults = [f"{wide} px wider than the window"] if wide > 0 else []
    for found in Axe().run(page, options={"preload": False}).response["violations"]:
        nodes = "; ".join(node["html"][:100].replace("\n", " ") for node in found["nodes"][:2])
        faults.append(f"axe {found['impact']} {found['id']} x{len(found['nodes'])}: {nodes}")
    return faults


def main() -> int:
    """Crawls the site; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="pages whose address holds this")
    options = parser.parse_args()

    names = [p.relative_to(SITE).as_posix() for p in sorted(SITE.rglob("*.html")) if "_static" not in p.parts]
    faults = {f"links: {fault}" for fault in dead(SITE)}
    visits = 0
    with served(SITE) as address, sync_playwright() as playwright:
        roots = {"file": SITE.as_uri(), "server": address}
        browser = playwright.chromium.launch(executable_path=found_chromium(), args=FLAGS)
        for name in (n for n in names if options.only in n):
            for width in WIDTHS:
                for scheme in SCHEMES:
                    for kind, root in roots.items():
                        where, seen = f"{name} {width} {scheme} {kind}", []
                        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
                        page = context.new_page()
                        page.on("console", lambda m, s=seen: m.type == "error" and s.append(f"console: {m.text}"))
                        page.on("pageerror", lambda e, s=seen: s.append(f"error: {e}"))
                        page.on(
                            "request",
                            lambda r, s=seen, own=root: (
                                r.url.startswith((own, "data:", "blob:")) or s.append(f"asked for {r.url}")
                            ),
                        )
                        try:
                            seen += look(page, f"{root}/{name}", scheme)
                            if (kind, scheme) in (("server", "light"), ("file", "dark")):
                                for chart in page.locator(".dl-chart").all():
                                    seen += chart.evaluate(CRAWL)
                        except Exception as error:
                            seen.append(f"{type(error).__name__}: {str(error).splitlines()[0]}")
                        context.close()
                        visits += 1
                        faults |= {f"{where}: {fault}" for fault in seen}
                        for fault in seen:
                            print(f"{where}: {fault}", flush=True)
        browser.close()
    for fault in sorted(f for f in faults if f.startswith("links: ")):
        print(fault)
    print(f"{visits} visits of {len(names)} pages: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
