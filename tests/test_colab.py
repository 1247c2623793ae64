"""Colab, without Colab: its Python and package versions, a notebook alone in a folder, and the notebook's own first cell.

The environment is kept in .venv-colab and rebuilt when tests/colab.txt changes. What this cannot show is Colab's
front end.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".venv-colab"
NOTEBOOKS = sorted((ROOT / "notebooks" / "plain").glob("*.ipynb"))  # what the button opens
ADDRESS = "https://github.com/someone/companion"
sys.path.insert(0, str(ROOT / "book"))

import address  # noqa: E402
import release  # noqa: E402

# the one dependency that Colab does not have, with what it needs
SACREBLEU = ("sacrebleu", "portalocker", "regex", "tabulate", "colorama", "lxml")


def _run(*command, **more) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def _freeze(python: Path) -> set[str]:
    return set(_run(python, "-m", "pip", "freeze", "--all", "--disable-pip-version-check").splitlines())


@pytest.fixture(scope="module")
def colab(find_python):
    """Returns the Python of an environment with Colab's packages and without ours."""
    wanted, python = ROOT / "tests" / "colab.txt", HOME / "bin" / "python"
    mark, stamp = hashlib.sha256(wanted.read_bytes()).hexdigest(), HOME / ".ready"
    if not stamp.exists() or stamp.read_text() != mark:
        shutil.rmtree(HOME, ignore_errors=True)
        _run(find_python("3.12"), "-m", "venv", HOME)
        _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted)
        stamp.write_text(mark)
    _run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "dlcore", *SACREBLEU)
    return python


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Returns the environment variables that make the repository's address lead to a clone of this working tree."""
    clone = tmp_path_factory.mktemp("published") / "repository"
    clone.mkdir()
    release.copy(clone)
    address.write(ADDRESS, clone)
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    _run("git", "init", "--quiet", "--initial-branch=main", cwd=clone)
    _run("git", "add", "--all", cwd=clone)
    _run("git", *identity, "commit", "--quiet", "-m", "snapshot", cwd=clone)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{clone.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
    }


def test_the_first_cell_installs_the_package_alone_and_the_notebooks_run(colab, published, tmp_path):
    hook = tmp_path / "hook"
    hook.mkdir()
    # what the notebooks ask to know that they are in Colab
    (hook / "sitecustomize.py").write_text(
        "import sys, types\nsys.modules['google.colab'] = types.ModuleType('colab')\n"
    )
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("DLCORE_", "PYTHON"))},
        **published,
        "PYTHONPATH": str(hook),
        "DLCORE_RECORDS": str(tmp_path / "store"),
        "PATH": f"{colab.parent}:{os.environ['PATH']}",
        "JUPYTER_PATH": str(HOME / "share" / "jupyter"),
    }
    before = _freeze(colab)
    assert not any(line.lower().startswith("dlcore") for line in before)
    folder = tmp_path / "content"
    folder.mkdir()
    for source in NOTEBOOKS:
        (folder / source.name).write_text(address.notebook(source.read_text("utf8"), ADDRESS), "utf8")
        _run(
            *(colab, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute", "--inplace", source.name),
            cwd=folder,
            env=environment,
        )
        cells = nbformat.read(folder / source.name, 4).cells
        outputs = [o for cell in cells for o in cell.get("outputs", [])]
        charts = [o for o in outputs if "vegaEmbed" in json.dumps(o.get("data", {}))]
        panels = [o for o in outputs if "application/vnd.jupyter.widget-view+json" in o.get("data", {})]
        assert len(panels) == 4 if source.stem == "5_lab" else len(charts) >= 3, source.name
        assert all(o.output_type != "error" for o in outputs)
    after = _freeze(colab)
    assert before <= after, f"replaced: {sorted(before - after)}"
    new = {line.split(" @")[0].split("==")[0].lower() for line in after - before}
    assert new <= {"dlcore", *SACREBLEU}, f"more than announced was installed: {sorted(new)}"
