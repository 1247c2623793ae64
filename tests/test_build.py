"""The book's build: what it takes for unchanged, what a failure leaves, one at a time; the Makefile's environment."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import pytest
import yaml

from dlcore import claims, records

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))

import build  # noqa: E402

NOTEBOOK = """# %% [markdown]
# # A chapter

# %% tags=["parameters"]
# Parameters of the run
size = 2

# %%
import os
from pathlib import Path

from small import used

print(used.double(size), sum(int(p.read_text()) for p in Path("small/records").glob("*.json")))
print(os.environ["DLCORE_RECORDS"], os.environ.get("DLCORE_DATA"))
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one notebook, one package of two modules and two folders of records."""
    for name, text in {
        "notebooks/1_chapter.py": NOTEBOOK,
        "small/__init__.py": "",
        "small/used.py": "def double(x):\n    return 2 * x\n",
        "small/unused.py": "y = 1\n",
        "small/records/a.json": "1",
        "small/others/a.json": "1",
        "requirements.txt": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for name, path in {"ROOT": "", "BUILD": "_build", "STAGE": "_build/stage", "HTML": "_build/html"}.items():
        monkeypatch.setattr(build, name, tmp_path / path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    return tmp_path


@pytest.fixture
def page(project):
    """Its notebook, executed."""
    page = build.Page(project / "notebooks" / "1_chapter.py")
    page.execute(build.tree(project / "small"))
    assert not page.error
    return page


def current(project):
    return build.Page(project / "notebooks" / "1_chapter.py").current(build.tree(project / "small"))


def test_a_page_is_executed_again_when_what_it_is_made_of_has_changed_and_only_then(project, page):
    assert current(project)

    def after(name, text):
        """Whether the page is still current with other content of a file, or None for none; then as before."""
        path = project / name
        before = path.read_bytes() if path.exists() else None
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
        found = current(project)
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)
        assert current(project)
        return found

    same = {
        "small/used.py": "# a comment\ndef double(x):\n\n    return 2 * x  # and one more\n",
        "small/unused.py": "y = 2\n",
        "small/new.py": "z = 1\n",
        "small/others/a.json": "2",
        "small/others/b.json": "2",
        "small/.used.py.swp": "x",
        "small/records/.a.json.swp": "x",
        "small/records/a.json~": "x",
        "notebooks/1_chapter.py": NOTEBOOK.replace("A chapter", "Another title"),
    }
    assert {name: after(name, text) for name, text in same.items()} == dict.fromkeys(same, True)
    changed = {
        "small/used.py": "def double(x):\n    return 3 * x\n",
        "small/__init__.py": "x = 1\n",
        "small/records/a.json": "2",
        "small/records/b.json": "2",
        "requirements.txt": "numpy==3.0",
        "notebooks/1_chapter.py": NOTEBOOK.replace("size = 2", "size = 3"),
        "_build/executed/1_chapter.ipynb": page.copy.read_text()[:-100],
        "_build/executed/1_chapter.json": page.note.read_text()[:-100],
    }
    assert {name: after(name, text) for name, text in changed.items()} == dict.fromkeys(changed, False)
    assert not after("small/used.py", None)
    assert not after("_build/executed/1_chapter.ipynb", None)


def test_a_page_sees_shipped_records_only(project, monkeypatch):
    """Neither a reader's store nor what an earlier execution left."""
    monkeypatch.setenv("DLCORE_RECORDS", "/mine")
    stale = project / "_build" / "local" / "1_chapter" / "records" / "stale.json"
    stale.parent.mkdir(parents=True)
    stale.touch()
    page = build.Page(project / "notebooks" / "1_chapter.py")
    page.execute(build.tree(project / "small"))
    text = "".join(o.text for c in page.staged().cells for o in c.get("outputs", []))
    assert text == f"4 1\n{project}/_build/local/1_chapter/records None\n"
    assert not stale.exists()


def test_the_page_of_a_failed_notebook_says_so(project, page):
    source = page.source
    source.write_text(NOTEBOOK.replace("print(used", "print('first')\nprint(nothing.at.all, used"))
    failing = build.Page(source)
    failing.execute(build.tree(project / "small"))
    assert failing.error == "NameError: name 'nothing' is not defined"
    shown = failing.staged()
    assert "This page is incomplete" in shown.cells[0].source
    assert failing.error in shown.cells[0].source
    assert [o.output_type for c in shown.cells for o in c.get("outputs", [])] == ["stream", "error"]
    assert not page.copy.exists()
    assert not current(project)
    source.write_text(NOTEBOOK)
    assert not current(project)


def test_an_unchanged_page_is_the_same_to_the_letter(project, page):
    nbformat.validate(page.staged())
    assert json.dumps(page.staged()) == json.dumps(build.Page(page.source).staged())


def test_the_ledger_is_evaluated_again_unless_all_that_a_workflow_keeps_is_intact(project, monkeypatch):
    made = []
    monkeypatch.setattr(records, "export", lambda path, *_, **__: path.write_text("runs"))
    monkeypatch.setattr(claims, "shipped", lambda: made.append(1) or [])
    for module, name in (
        (claims, "multiplicity_statement"),
        (claims, "sceptics_html"),
        (build.ledger, "page"),
        (build.ledger, "data"),
        (build.landing, "page"),
        (build.laboratory, "banks"),
    ):
        monkeypatch.setattr(module, name, lambda *_: "made")
    monkeypatch.setattr(build.address, "found", lambda root: (None, ""))
    monkeypatch.setattr(build.address, "in_sources", lambda root: None)
    build.BUILD.mkdir()
    first = build.evaluated({})
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text("utf8"))
    (kept,) = [s["with"]["path"] for s in workflow["jobs"]["build"]["steps"] if "cache@" in s.get("uses", "")]
    for path in build.BUILD.iterdir():
        if f"_build/{path.name}" not in kept.split():
            path.unlink()
    assert build.evaluated({}) == first
    assert len(made) == 1
    (build.BUILD / build.RUNS).write_text("other runs")
    assert build.evaluated({}) == first
    (build.BUILD / build.RUNS).unlink()
    assert build.evaluated({}) == first
    assert build.evaluated({"dlcore/x.py": "changed"}) != first
    assert len(made) == 4


def test_two_builds_wait_for_one_another(project, capsys):
    done = []

    def other():
        with build.alone():
            done.append("other")

    with build.alone():
        thread = threading.Thread(target=other)
        thread.start()
        deadline = time.monotonic() + 120
        while "waiting for it" not in (printed := capsys.readouterr().out) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "another build is at work in this folder" in printed
        done.append("first")
    thread.join()
    assert done == ["first", "other"]


@pytest.mark.parametrize("damage", ["truncate", "remove", "add"])
def test_a_site_that_is_not_what_was_made_is_made_again(project, monkeypatch, damage):
    made = []

    def book(command, **_):
        made.append("--all" in command)
        (build.HTML / "_sources" / "notebooks").mkdir(parents=True, exist_ok=True)
        (build.HTML / "book").mkdir(exist_ok=True)
        (build.HTML / "index.html").write_text("all of the page")
        return 0

    monkeypatch.setattr(subprocess, "call", book)
    (build.STAGE / "book" / "_static").mkdir(parents=True)
    text, style = build.STAGE / "book" / "index.md", build.STAGE / "book" / "_static" / "x.css"
    text.write_text("text")
    style.write_text("style")
    text.with_name("claims.json").write_text("[]")
    text.with_name(build.RUNS).write_text("")
    for _ in range(2):
        assert build.render({}) == 0
    assert made == [True]
    text.write_text("other text")
    assert build.render({}) == 0
    assert made == [True, False]
    style.write_text("another style")
    assert build.render({}) == 0
    assert made == [True, False, True]
    page = build.HTML / "index.html"
    match damage:
        case "truncate":
            page.write_text("all of")
        case "remove":
            page.unlink()
        case "add":
            (build.HTML / "gone.html").touch()
    assert build.render({}) == 0
    assert made == [True, False, True, True]
    assert page.read_text() == "all of the page"
    assert not (build.HTML / "gone.html").exists()
    text.write_text("a page that failed")
    for _ in range(2):  # it is not to be taken for a good one
        assert build.render(None) == 0
    assert len(made) == 6


MAKE = shutil.which("make")
OLD = "#!/bin/sh\ncase $1 in -V) echo Python 3.10.4;; *) exit 1;; esac\n"
# prints its version when asked, notes the making of an environment, in which every command succeeds
NEW = """#!/bin/sh
case "$1 $2" in
  "-c "*) echo {version};;
  "-m venv") echo "$@" >> made; rm -rf $4; mkdir -p $4/bin; cp $0 $4/bin/python;;
esac
"""


@pytest.fixture
def make(tmp_path):
    """Runs make with a Python of a given text in a folder with the Makefile alone."""
    if MAKE is None:
        pytest.fail("make is not installed", pytrace=False)
    for name in ("Makefile", "requirements.txt", "requirements.lock", "pyproject.toml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHON", "MAKEFLAGS", "MAKELEVEL")}

    def run(python, named=True):
        file = tmp_path / "python3"
        file.write_text(python)
        file.chmod(0o755)
        path = f"{tmp_path}:{env['PATH']}"
        command = [MAKE, "book", *(["PYTHON=./python3"] if named else [])]
        return subprocess.run(command, cwd=tmp_path, env={**env, "PATH": path}, capture_output=True, text=True)

    return run


def test_an_old_python_is_refused_in_one_line(make, tmp_path):
    done = make(OLD)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        "./python3 is Python 3.10.4: Python 3.11 or later is needed, as in: make book PYTHON=python3.12"
    )
    assert not (tmp_path / ".venv").exists()


def test_an_environment_of_another_version_is_made_anew(make, tmp_path):
    made = tmp_path / "made"
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").write_text(OLD)
    (tmp_path / ".venv" / "bin" / "python").chmod(0o755)
    for version, named, times in (
        ("3.11", True, 1),  # in place of that of an old Python
        ("3.11", True, 1),
        ("3.13", True, 2),
        ("3.12", False, 2),  # who names no Python keeps the environment that there is
    ):
        done = make(NEW.format(version=version), named)
        assert done.returncode == 0, done.stderr
        assert made.read_text().split("\n").count("-m venv --clear .venv") == times
