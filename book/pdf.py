"""One PDF of the book: Chromium opens every page of the built site, draws its charts, and prints all of them as one document.

python book/pdf.py [FILE]       _build/book.pdf unless FILE is given; needs Chromium and playwright
"""

from __future__ import annotations

import argparse
import contextlib
import html
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
# What a page becomes: its article as it looks on paper, with names of its own and links that stay in the document or lead to
# the web. Code that the page folds away is in the notebooks; what only a browser can do is in the site.
TAKE = """
async (names) => {
  window.dispatchEvent(new Event("beforeprint"));
  const charts = [...document.querySelectorAll(".dl-chart")];
  for (const c of charts) await c.dlDone();
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  const here = location.href.split("#")[0], key = (url) => names[url.split("#")[0]];
  const article = document.querySelector("article");
  for (const e of article.querySelectorAll("script, noscript, style, .headerlink, .dl-rows, .dl-controls, .toggle-button, .copybtn, .prev-next-footer, input, audio, details.hide, .dl-lab > :not(.dl-lab-title, .dl-lab-sub)")) e.remove();
  for (const e of article.querySelectorAll("img")) e.src = e.src;
  for (const e of article.querySelectorAll("a[href]")) {
    const page = key(e.href), mark = e.href.split("#")[1];
    if (page) e.setAttribute("href", "#" + page + (mark ? "--" + mark.split("?")[0] : ""));
    else if (e.protocol === "file:") e.removeAttribute("href");
  }
  for (const e of article.querySelectorAll("[id]")) if (!e.closest("svg")) e.id = key(here) + "--" + e.id;
  // colours and clips of a drawing are named by the page's address
  for (const e of article.querySelectorAll("svg :is(clipPath, linearGradient)")) e.id = key(here) + "--" + e.id;
  for (const e of article.querySelectorAll("svg *")) for (const a of e.attributes) {
    a.value = a.value.replace(/url\\([^)]*#/, "url(#" + key(here) + "--");
  }
  const maths = [...document.querySelectorAll("style[id^=MJX]")].map((s) => s.textContent).join("\\n");
  return { text: `<article class="bd-article" id="${key(here)}">${article.innerHTML}</article>`, maths,
           styles: [...document.querySelectorAll("link[rel=stylesheet]")].map((l) => l.href) };
}
"""
PAPER = """
html { font-size: 15px; } body { margin: 0; } article { break-before: page; max-width: none; padding: 0; }
article:first-of-type { break-before: auto; } .bd-article table { font-size: .8em; width: 100%; }
.bd-article pre { font-size: .78em; } summary { list-style: none; } .dl-scroll { overflow: visible; }
h1, h2, h3, h4 { break-after: avoid; } tr { break-inside: avoid; } table:has(tr:nth-child(16)) { break-inside: auto; }
.landing .verdicts, .landing .cards { break-inside: avoid; } .landing .cards { grid-template-columns: repeat(4, 1fr); }
"""


def pages() -> list[str]:
    """Returns the book's pages in the order of its contents, without their ending."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    return [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Yields a headless Chromium. Raises: FileNotFoundError where there is none."""
    from playwright.sync_api import sync_playwright

    path = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
    if path is None:
        raise FileNotFoundError("no Chromium: install it (Debian: apt-get install chromium)")
    with sync_playwright() as p:
        started = p.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


def write(target: Path) -> None:
    """Prints the built site into one PDF, with an outline and its links. Raises: FileNotFoundError without a site or Chromium."""
    addresses = {(SITE / f"{name}.html").as_uri(): name.replace("/", "-") for name in pages()}
    if missing := [a for a in addresses if not Path(a.removeprefix("file://")).exists()]:
        raise FileNotFoundError(f"{missing[0]} is not built: make book")
    with browser() as chromium, tempfile.TemporaryDirectory() as folder:
        view = chromium.new_page(viewport={"width": 1000, "height": 1200}, color_scheme="light")
        parts, maths, styles = [], [], {}
        for url in addresses:
            view.goto(url)
            view.wait_for_load_state("load")
            view.evaluate("document.documentElement.dataset.theme = 'light'")
            found = view.evaluate(TAKE, addresses)
            parts.append(found["text"])
            maths.append(found["maths"])
            styles |= dict.fromkeys(found["styles"])
        links = "".join(f'<link rel="stylesheet" href="{html.escape(s)}">' for s in styles)
        whole = Path(folder) / "book.html"
        whole.write_text(
            f'<!doctype html><html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">'
            f"<title>Deep learning as a natural science</title>{links}<style>{' '.join(maths)}{PAPER}</style></head>"
            f"<body>{''.join(parts)}</body></html>",
            "utf8",
        )
        view.goto(whole.as_uri())
        view.emulate_media(media="print")
        target.parent.mkdir(parents=True, exist_ok=True)
        foot = '<div style="font-size:8px;width:100%;text-align:center"><span class="pageNumber"></span></div>'
        view.pdf(
            path=str(target),
            format="A4",
            margin={"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"},
            scale=0.78,
            print_background=True,
            outline=True,
            tagged=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=foot,
        )


def command(about: str | None, name: str, print_to: Callable[[Path], None]) -> int:
    """Writes a PDF, by default _build/NAME.pdf, and says where it is; returns the exit status."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=ROOT / "_build" / f"{name}.pdf")
    given = parser.parse_args()
    try:
        print_to(given.file)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The {name} is printed: {given.file} ({given.file.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(command(__doc__, "book", write))
