"""What is published: workflows that call make, packages that hold everything and little more, one version everywhere."""

import csv
import functools
import gzip
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import dlcore
from dlcore import claims, machine

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))

import build  # noqa: E402
import landing  # noqa: E402
import ledger  # noqa: E402
import release  # noqa: E402

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
URL = "https://github.com/someone/else"


def _steps(node):
    """Returns every step of a workflow or action."""
    if isinstance(node, dict):
        return [
            *(s for s in node.get("steps", []) if isinstance(s, dict)),
            *(s for v in node.values() for s in _steps(v)),
        ]
    return [s for v in node for s in _steps(v)] if isinstance(node, list) else []


def _targets():
    return set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text("utf8"), re.M))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_a_workflow_calls_targets_that_a_person_can_call(path):
    workflow = yaml.safe_load(path.read_text("utf8"))
    commands = "\n".join(step.get("run", "") for step in _steps(workflow["jobs"]))
    called = set(re.findall(r"\bmake ([a-z][\w-]*)", commands))
    assert called, "a workflow without make has a command that nobody can run at home"
    assert called <= _targets()
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
    # what a job may do is said, and no more than it needs
    assert workflow["permissions"].get("contents") in ("read", "write")
    assert not re.search(r"pip install|python -m", commands)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_a_workflow_uses_actions_of_github_and_ours(path):
    for step in _steps(yaml.safe_load(path.read_text("utf8"))):
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+|\./\.github/actions/setup", step["uses"])
        # the token stays out of .git/config, which all that make installs could read
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_the_workflows_of_the_card_are_there():
    assert {p.stem for p in WORKFLOWS} == {"test", "book", "colab", "links", "release"}
    on = {p.stem: yaml.safe_load(p.read_text("utf8"))[True] for p in WORKFLOWS}  # YAML reads `on` as a truth value
    assert "pull_request" in on["test"]
    assert "pull_request" in on["book"]
    assert "schedule" in on["colab"]
    assert "schedule" in on["links"]
    weekly = yaml.safe_load((ROOT / ".github/workflows/colab.yml").read_text("utf8"))
    assert [s["run"] for s in _steps(weekly["jobs"]) if "run" in s] == ["make test-colab", "make test-floors"]
    matrix = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text("utf8"))["jobs"]["test"]["strategy"][
        "matrix"
    ]
    assert matrix["python"] == ["3.11", "3.13"]
    commands = {
        p.stem: [s.get("run", "") for s in _steps(yaml.safe_load(p.read_text("utf8"))["jobs"])] for p in WORKFLOWS
    }
    assert {"make types", "make test-all WORKERS=4"} <= set(commands["test"])


def test_what_is_cached_is_what_the_build_reads():
    """A path that the build does not write would cache nothing, in silence."""
    build = (ROOT / "book" / "build.py").read_text("utf8")
    cache = next(
        s["with"]["path"]
        for s in _steps(yaml.safe_load((ROOT / ".github/workflows/book.yml").read_text("utf8")))
        if "cache@" in s.get("uses", "")
    )
    for path in cache.split():
        assert f'"{path.split("/")[-1]}"' in build, path


def test_what_a_user_calls_is_among_the_modules_whose_types_are_checked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))
    excluded = {p for e in project["tool"]["pyright"]["exclude"] for p in ROOT.glob(e)}
    assert excluded, "exclude names what there is"
    for name in (
        "sweep/__init__.py",
        "charts/results.py",
        "results.py",
        "register.py",
        "records.py",
        "similarity.py",
        "lab/__init__.py",
    ):
        path = ROOT / "dlcore" / name
        assert not {path, *path.parents} & excluded


def test_every_target_of_make_is_explained():
    text = (ROOT / "Makefile").read_text("utf8")
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.M)[1].split())
    assert phony == _targets()
    explained = set(re.findall(r'@echo "make ([\w-]+)', text))
    assert phony - {"help"} == explained


def _pins(name):
    lines = [line for line in (ROOT / name).read_text("utf8").splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "no address, path or range"
    return {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower(): line.split("==")[1] for line in lines}


def test_the_lock_holds_what_is_required_and_what_that_needs():
    required, locked = _pins("requirements.txt"), _pins("requirements.lock")
    assert required.items() <= locked.items()
    open_, seen = list(required), set()
    while open_:
        name = open_.pop()
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # not needed on this platform, or not installed here
        if name in seen:
            continue
        seen.add(name)
        assert name in locked
        open_ += [re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", n)[0]).lower() for n in needs if ";" not in n]
    assert len(seen) > 150


@functools.cache
def _exported(folder):
    source = release.export(folder / "source", URL)
    release.packages(source, folder / "dist")
    return folder


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A folder with source/, and dist/ made of it."""
    return _exported(tmp_path_factory.mktemp("release"))


def test_the_wheel_is_small_and_whole(packages):
    (wheel,) = (packages / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        chapters = {n: archive.read(n) for n in names if n.endswith(".ipynb")}
        metadata = archive.read(next(n for n in names if n.endswith("METADATA"))).decode()
    assert wheel.stat().st_size < 4e6
    assert len(names) < 400
    tracked = {
        str(p.relative_to(packages / "source")).replace(".jsonl", ".jsonl.xz")
        for p in (packages / "source" / "dlcore").rglob("*.*")
        if p.is_file()
    }
    assert tracked <= names, sorted(tracked - names)
    assert not any(n.startswith(("tests/", "book/", "notebooks/")) for n in names)
    assert "dlcore/py.typed" in names
    plain = packages / "source" / "notebooks" / "plain"
    assert chapters == {f"dlcore/notebooks/{p.name}": p.read_bytes() for p in plain.iterdir()}
    assert len(chapters) == 6
    assert all(f'REPOSITORY = \\"{URL}\\"'.encode() in text for text in chapters.values())
    assert f"Project-URL: Repository, {URL}" in metadata
    assert not re.search(r"\]\((?!https?://|#)", metadata), (
        "a link of the README that leads nowhere on the package index"
    )
    assert metadata.count("Requires-Dist: torch") >= 1


ALONE = """
import sys
import dlcore
from dlcore.__main__ import main

assert dlcore.__file__.startswith(sys.argv[1]), dlcore.__file__
for command in (["doctor"], ["run", "distributional", "preset=smoke"], ["claims", "cats-become-objects"],
                ["export", "runs.csv.gz"], ["notebooks", "chapters"]):
    assert main(command) == 0, command
"""


def test_the_wheel_alone_in_an_empty_folder_does_all_that_the_commands_say(packages, tmp_path):
    """No file of the repository is in reach; one process, since each would load torch."""
    (wheel,) = (packages / "dist").glob("*.whl")
    package, home = tmp_path / "package", tmp_path / "empty"
    home.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(package)
    env = {k: v for k, v in os.environ.items() if not k.startswith("DLCORE_")}
    env |= {"PYTHONPATH": str(package), "HOME": str(home), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-c", ALONE, str(package)]
    done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with gzip.open(home / "runs.csv.gz", "rt", encoding="utf8") as file:
        exported = sum(1 for _ in csv.reader(file)) - 1
    shipped = sum(len(p.read_text("utf8").splitlines()) for p in (ROOT / "dlcore" / "records").glob("*/*.jsonl"))
    assert exported == shipped + 1  # and the run
    (verdict,) = re.findall(r"^(.{15}) .{9} cats-become-objects ", done.stdout, re.M)
    (row,) = re.findall(r"^.*`cats-become-objects`.*$", (ROOT / "README.md").read_text("utf8"), re.M)
    assert row.endswith(f" {verdict.strip()} |")
    assert len(list((home / "chapters").glob("*.ipynb"))) == 6
    assert {p.name for p in home.iterdir()} == {"runs.csv.gz", "chapters"}


def test_the_source_distribution_is_the_repository(packages):
    (archive,) = (packages / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    source = packages / "source"
    missing = {
        str(p.relative_to(source)) for p in source.rglob("*") if p.is_file() and "egg-info" not in str(p)
    } - names
    assert not missing, sorted(missing)[:10]
    assert not any(
        re.search(r"egg-info/SOURCES|__pycache__|^\.git/|^_build", n) for n in names - {"dlcore.egg-info/SOURCES.txt"}
    )


@pytest.mark.parametrize("variable", machine.ELSEWHERE)
def test_what_is_published_depends_on_no_setting_of_the_users_git(variable, tmp_path, monkeypatch):
    root, home, copied = (tmp_path / name for name in ("root", "home", "copied"))
    for folder in (root, home):
        folder.mkdir()
    for name in ("a.ipynb", "b.log"):
        (root / name).write_text("1")
    (root / ".gitignore").write_text("*.log\n")
    (home / ".gitconfig").write_text(f"[core]\n  excludesFile = {home / 'ignored'}\n")
    (home / "ignored").write_text("*.ipynb\n")
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    monkeypatch.setattr(release, "ROOT", root)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv(variable, str(root / ".git" / ("index" if "INDEX" in variable else "")))
    release.copy(copied)
    assert {p.name for p in copied.iterdir()} == {".gitignore", "a.ipynb"}


def test_the_site_as_a_zip_is_the_same_twice(tmp_path):
    html = tmp_path / "html"
    (html / "book").mkdir(parents=True)
    (html / "index.html").write_text("one")
    (html / "book" / "a.html").write_text("two")
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        release.site(html, tmp_path / name / "site.zip")
        found.append((tmp_path / name / "site.zip").read_bytes())
        (html / "index.html").touch()
    assert found[0] == found[1]
    with zipfile.ZipFile(tmp_path / "a" / "site.zip") as archive:
        assert archive.namelist() == ["site/book/a.html", "site/index.html"]


def test_a_fork_builds_its_site_of_sources_in_which_nothing_leads_to_the_first_repository(
    packages, tmp_path, monkeypatch
):
    """All that Sphinx is given, and the downloads; the sources have the address of the repository that was forked."""
    source, fork = packages / "source", "https://github.com/fork/book"
    for module, name, value in (
        *((build, n, v) for n, v in {"ROOT": source, "BUILD": tmp_path, "STAGE": tmp_path / "stage"}.items()),
        (build.status, "page", lambda took: ""),
        (build.address, "found", lambda root: (fork, "")),
        (build.address, "in_sources", lambda root=source: URL),
    ):
        monkeypatch.setattr(module, name, value)
    rows = [claims.Claim("tv-below-epsilon", 3, "a", "b", "c", (0, 1), None)]
    found = {"ledger": ledger.page(rows, fork), "landing": landing.ways(build.address.opened()), "banks": {}}
    (tmp_path / build.RUNS).touch()
    build.stage([build.Page(p) for p in build.notebooks()], {**found, "json": json.dumps(ledger.data(rows, fork))})
    for path in (source / "notebooks" / "plain").iterdir():
        (tmp_path / "stage" / f"download-{path.name}").write_text(build.address.notebook(path.read_text("utf8"), fork))
    with_the_forks = set()
    # that module has examples in its docstrings, and is not of the site
    for path in (p for p in (tmp_path / "stage").rglob("*") if p.is_file() and p.name != "address.py"):
        text = path.read_bytes()
        assert not re.search(rb"someone(/else|\.github\.io)", text), path
        if re.search(rb"github\.com/fork/book|fork\.github\.io/book", text):
            with_the_forks.add(path.name)
    names = {p.name for p in (source / "notebooks").glob("*.ipynb")}
    wanted = {"_config.yml", "404.html", "claims.md", "claims.json", *names, *(f"download-{n}" for n in names)}
    assert with_the_forks == wanted


@pytest.mark.parametrize("tag", [None, f"v{dlcore.__version__}"])
def test_without_chromium_there_is_no_release_and_otherwise_no_pdf(tmp_path, monkeypatch, capsys, tag):
    html = tmp_path / "_build" / "html"
    for page in ("index", *release.pdf.pages()):
        (html / page).parent.mkdir(parents=True, exist_ok=True)
        (html / f"{page}.html").touch()
    shutil.copyfile(ROOT / "CHANGELOG.md", tmp_path / "CHANGELOG.md")
    for module, name, value in (
        *((release, name, tmp_path / path) for name, path in {"ROOT": "", "BUILD": "_build", "DIST": "dist"}.items()),
        (release, "packages", lambda source, target: (target / "a.whl").touch()),
        (release, "export", lambda target, url: target),
        (release.pdf, "SITE", html),
        (release.pdf.shutil, "which", lambda name: None),
        (sys, "argv", ["release.py", *(["--tag", tag] if tag else [])]),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")  # or it would be set, to the end of the process
    assert release.main() == bool(tag)
    assert "no PDF: no Chromium: install it" in capsys.readouterr().err
    left = {"SHA256SUMS", "a.whl", f"dlcore-{dlcore.__version__}-site.zip"}
    assert {p.name for p in (tmp_path / "dist").iterdir()} == (set() if tag else left)


def test_checksums_are_those_that_sha256sum_checks(tmp_path):
    (tmp_path / "a b.txt").write_text("x")
    release.checksums(tmp_path)
    if shutil.which("sha256sum"):
        subprocess.run(
            ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True
        )
    assert (
        (tmp_path / "SHA256SUMS")
        .read_text()
        .startswith("2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  a b.txt")
    )


def test_one_version_one_title_one_licence():
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))
    zenodo = json.loads((ROOT / ".zenodo.json").read_text("utf8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    assert cff["version"] == dlcore.__version__
    assert cff["title"] == zenodo["title"]
    assert cff["license"] == zenodo["license"] == project["license"]
    assert (
        [a["name"] for a in cff["authors"]]
        == [a["name"] for a in zenodo["creators"]]
        == [a["name"] for a in project["authors"]]
    )
    assert zenodo["keywords"] == project["keywords"]
    assert release.notes((ROOT / "CHANGELOG.md").read_text("utf8"), dlcore.__version__)


def test_a_version_without_notes_is_no_release():
    text = "# Changelog\n\n## 0.2.0 (2027-01-02)\n\n- New.\n\n## 0.1.0 (2026-11-30)\n\n- First.\n"
    assert release.notes(text, "0.2.0") == "- New.\n"
    assert release.notes(text, "0.1.0") == "- First.\n"
    for version in ("0.3.0", "0.1"):
        with pytest.raises(ValueError, match=rf"no section '## {version} \(YYYY-MM-DD\)'"):
            release.notes(text, version)
