"""The lowest versions that pyproject.toml allows and the newest that there are give the ledger of the locked ones.

Each has an environment of its own, kept in .venv-floors; Python is the lowest allowed, 3.11, where there is one. Only what the
package itself requires is looked at; its extras are for building, sweeping and testing.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dlcore import claims

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))

import release  # noqa: E402


def _run(*command, **more) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def floors() -> list[str]:
    """Returns what pyproject.toml requires, each at its lowest version."""
    required = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]["dependencies"]
    assert all(re.fullmatch(r"[\w-]+>=[\d.]+", r) for r in required), "a floor, and nothing else"
    return [r.replace(">=", "==") for r in required]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The package's sources, which pip may write into."""
    return release.export(tmp_path_factory.mktemp("floors") / "source", None)


@pytest.mark.parametrize("versions", ["lowest", "newest"])
def test_the_ledger_is_the_same(versions, source, tmp_path, find_python):
    python = ROOT / ".venv-floors" / versions / "bin" / "python"
    limits = tmp_path / "limits.txt"
    limits.write_text("\n".join(floors() if versions == "lowest" else []))
    _run(find_python("3.11"), "-m", "venv", python.parents[1])
    pip = (python, "-m", "pip", "--quiet", "--disable-pip-version-check")
    _run(*pip, "uninstall", "--yes", "dlcore")
    _run(*pip, "install", "--upgrade", "--upgrade-strategy", "eager", "--constraint", limits, source)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DLCORE_", "PYTHON"))}
    env |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "DLCORE_RECORDS": str(tmp_path / "records")}
    _run(python, "-m", "dlcore", "claims", "--write", "ledger.json", cwd=tmp_path, env=env)
    _run(python, "-m", "dlcore", "run", "distributional", "architecture=mlp", "preset=smoke", cwd=tmp_path, env=env)
    found = json.loads((tmp_path / "ledger.json").read_text("utf8"))
    wanted = json.loads(json.dumps(claims.ledger_json(claims.shipped())))
    assert [row["id"] for row in found] == [row["id"] for row in wanted]
    for ours, row in zip(found, wanted, strict=True):
        for name, value in row.items():
            # optimizers of other versions end elsewhere within their tolerance: ends of intervals moved by up to 2e-8 of
            # themselves with the lowest ones, and one of the counts, a fraction rounded up, from 625 to 626
            if isinstance(value, float):
                value = pytest.approx(value, rel=1e-6, abs=1e-9)
            elif name == "deciding" and value is not None:
                value = pytest.approx(value, abs=1)
            assert ours[name] == value, (row["id"], name)
