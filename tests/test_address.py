"""The repository's address: found by itself, written by one command, absent where there is none."""

import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))

import address  # noqa: E402
import build  # noqa: E402
import landing  # noqa: E402

URL = "https://github.com/someone/else"
OLD = "https://github.com/first/owner"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.fixture
def sources(tmp_path):
    """A copy of every source that repeats the address."""
    for pattern in address.COPIES:
        for path in ROOT.glob(pattern):
            target = tmp_path / path.relative_to(ROOT)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)
    return tmp_path


@pytest.fixture
def nowhere(monkeypatch):
    """No workflow runs."""
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://github.com/someone/else", URL),
        ("https://github.com/someone/else.git", URL),
        ("https://github.com/someone/else/", URL),
        ("git@github.com:someone/else.git\n", URL),
        ("ssh://git@github.com/someone/else", URL),
        ("https://github.com/someone/else.js.git", URL + ".js"),
        ("https://user:token@github.com/someone/else.git", URL),
        ("http://www.github.com/someone/else", URL),
        ("ssh://git@ssh.github.com:443/someone/else.git", URL),
        ("git://github.com/someone/else.git", URL),
        ("https://notgithub.com/someone/else", None),
        ("https://github.com.example.org/someone/else", None),
        ("/somewhere/main", None),
        ("https://example.org/someone/else", None),
        ("https://github.com/someone", None),
        ("", None),
    ],
)
def test_forms_of_an_address(text, url):
    assert address.parsed(text) == url


def test_a_workflow_comes_before_the_remote_and_the_remote_before_the_sources(sources, nowhere, monkeypatch):
    address.write(OLD, sources)
    assert address.found(sources) == (OLD, "pyproject.toml")
    subprocess.run(["git", "init", "--quiet", sources], check=True)
    assert address.found(sources) == (OLD, "pyproject.toml")
    # a remote that is a folder says nothing
    subprocess.run(["git", "-C", sources, "remote", "add", "origin", "/some/folder"], check=True)
    assert address.found(sources) == (OLD, "pyproject.toml")
    subprocess.run(["git", "-C", sources, "remote", "set-url", "origin", "git@github.com:fork/book.git"], check=True)
    assert address.found(sources) == ("https://github.com/fork/book", "git remote")
    monkeypatch.setenv("GIT_DIR", str(ROOT / ".git"))  # as in a hook of another repository
    assert address.found(sources) == ("https://github.com/fork/book", "git remote")
    monkeypatch.setenv("GITHUB_REPOSITORY", "no address")
    assert address.found(sources) == ("https://github.com/fork/book", "git remote")
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/else")
    assert address.found(sources) == (URL, "GITHUB_REPOSITORY")


def test_without_an_address_there_is_none(sources, nowhere):
    address.write(None, sources)
    assert address.address(sources) is None


def test_the_sources_agree():
    assert address.write(address.in_sources(), dry=True) == [], "run: make address URL=..."


def test_one_command_reaches_every_source_and_a_second_address_replaces_the_first(sources):
    plain = {path: path.read_text("utf8") for path in sources.rglob("*.*") if path.is_file()}
    address.write(None, sources)
    before = {path: path.read_text("utf8") for path in plain}
    assert len(address.write(OLD, sources)) == len(plain)
    assert all(OLD in path.read_text("utf8") for path in plain)
    assert address.in_sources(sources) == OLD
    address.write(URL, sources)
    assert not address.write(URL, sources)
    for path in plain:
        text = path.read_text("utf8")
        assert "first" not in re.findall(r"github(?:\.com|\.io)?/(\w+)", text), path.name
        assert URL in text
    cff = yaml.safe_load((sources / "CITATION.cff").read_text("utf8"))
    assert cff["repository-code"] == URL
    assert cff["url"] == "https://someone.github.io/else/"
    address.write(None, sources)
    assert {path: path.read_text("utf8") for path in plain} == before


def test_links_of_a_plain_edition_follow_its_address():
    text = f'[a]({address.site(OLD)}notebooks/a.html) REPOSITORY = "{OLD}"'
    assert address.notebook(text, URL) == f'[a]({address.site(URL)}notebooks/a.html) REPOSITORY = "{URL}"'


def _cell(source):
    """Returns the code of a notebook's first cell, and what pip is asked for when it runs as in Colab."""
    cell = re.search(r"^import sys\n\nif \"google.colab\".*?(?=^# %%)", source, re.S | re.M)[0]
    asked = []
    modules = {"google.colab": None}
    fake = types.SimpleNamespace(modules=modules, executable="python")
    calls = types.SimpleNamespace(check_call=asked.append)
    code = cell.replace("import sys\n", "").replace("import subprocess\n", "")
    return code, {"sys": fake, "subprocess": calls}, asked


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_first_cell_installs_from_the_address_or_says_what_to_do(path):
    code, names, asked = _cell(address.notebook(path.read_text("utf8"), URL))
    exec(code, names)
    assert asked[0][-1] == f"git+{URL}@main"
    code, names, asked = _cell(address.notebook(path.read_text("utf8"), None))
    with pytest.raises(RuntimeError, match="Write the address of this notebook's repository"):
        exec(code, names)
    assert not asked


def test_the_downloaded_notebook_has_the_address():
    for path in NOTEBOOKS:
        cells = json.loads(address.notebook(path.with_suffix(".ipynb").read_text("utf8"), URL))["cells"]
        assert any(f'REPOSITORY = "{URL}"' in "".join(cell["source"]) for cell in cells), path.stem


def _links(config):
    return set(re.findall(r"https?://[^\s'\"]+", yaml.safe_dump(config)))


def test_the_site_of_another_repository_has_no_link_to_the_first(monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "first/owner")
    first = _links(build.configuration(address.address()))
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/else")
    other = _links(build.configuration(address.address()))
    assert {URL, "https://someone.github.io/else/"} <= other
    assert not any("first" in link for link in other)
    assert first - other == {OLD, "https://first.github.io/owner/"}


@pytest.mark.parametrize("sources_have", [None, OLD, URL])
def test_colab_is_offered_where_it_opens_the_notebooks_of_this_repository(monkeypatch, sources_have):
    """Elsewhere the first cell would install nothing, or another repository's package."""
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/else")
    monkeypatch.setattr(address, "in_sources", lambda root=ROOT: sources_have)
    same = sources_have == URL
    assert ("launch_buttons" in build.configuration(URL)) == same
    assert ("blob/main/notebooks/plain/1_" in landing.ways(address.opened())) == same
    assert address.opened() == (URL if same else None)


@pytest.mark.parametrize("sources_have", [None, OLD])
def test_what_is_committed_is_the_same_in_every_clone_and_what_is_published_has_the_clones_address(
    monkeypatch, tmp_path, sources_have
):
    asked = []
    for name in [n for n in os.environ if n.startswith("DLCORE_")]:
        monkeypatch.delenv(name)  # as the build does, to the end of the process
    monkeypatch.setattr(build, "BUILD", tmp_path)
    monkeypatch.setattr(build, "tree", lambda *folders: {})
    monkeypatch.setattr(build, "execute", lambda package: [])
    monkeypatch.setattr(build, "editions", lambda pages, url: asked.append(url) or {})
    monkeypatch.setattr(build, "evaluated", lambda package: {})
    monkeypatch.setattr(build, "stage", lambda pages, found: None)
    monkeypatch.setattr(build, "render", lambda downloads: 0)
    monkeypatch.setattr(address, "in_sources", lambda root=ROOT: sources_have)
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/else")
    for arguments in (["--notebooks"], []):
        monkeypatch.setattr(sys, "argv", ["build.py", *arguments])
        assert build.main() == 0
    assert asked == [sources_have, URL]


def test_a_site_without_an_address_has_no_buttons_that_lead_nowhere():
    config = build.configuration(None)
    assert "launch_buttons" not in config
    assert not config["repository"]["url"]
    assert not any(value for key, value in config["html"].items() if key.endswith("_button"))
    assert not _links(config)


def test_no_source_has_a_placeholder():
    """What a person must replace by hand is forgotten; addresses in help texts are examples, said to be."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("*.cff"), *ROOT.glob("*.toml"), *ROOT.glob("*.yml")]
    pages += [
        p
        for folder in ("book", "notebooks")
        for p in (ROOT / folder).glob("*.*")
        if p.suffix in (".md", ".py", ".ipynb")
    ]
    pages.remove(ROOT / "book" / "address.py")
    for path in pages:
        assert not re.search(r"OWNER|\bREPO\b|github\.com/NAME", path.read_text("utf8")), path.name


def test_the_command_names_what_is_wrong(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "book" / "address.py", "--set", "example.org/x"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "'example.org/x' is not the address of a repository on GitHub, such as https://github.com/" in done.stderr


def test_links_on_the_package_index_are_absolute():
    text = address.absolute((ROOT / "README.md").read_text("utf8"), URL)
    assert not re.search(r"\]\((?!https?://|#)", text)
