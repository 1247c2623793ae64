"""What Colab preinstalls meets the package's floors, so that its notebooks' first cell replaces nothing.

The quick part of `test_colab.py`, which runs the notebooks with those versions: make test-colab, and every week.
"""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
# what the first cell brings along: pure Python, and in Colab not there (sacrebleu); dependencies of what is (filelock)
BROUGHT = {"sacrebleu", "filelock", "scipy"}


def test_the_versions_of_colab_meet_the_floors_of_the_package():
    lines = (ROOT / "tests" / "colab.txt").read_text("utf8").splitlines()
    there = {r.name.lower(): r for line in lines if line and line[0] != "#" for r in [Requirement(line)]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    unknown = {r.name.lower() for r in wanted} - there.keys()
    assert unknown <= BROUGHT, f"not in Colab's list: {sorted(unknown - BROUGHT)}"
    for requirement in wanted + [Requirement(text) for text in project["optional-dependencies"]["lab"]]:
        if (found := there.get(requirement.name.lower())) is None:
            continue
        assert not any(s.operator in ("==", "<", "<=", "~=") for s in requirement.specifier), (
            f"{requirement} is no floor"
        )
        pins = [s.version for s in found.specifier if s.operator == "=="]
        assert all(requirement.specifier.contains(version) for version in pins), f"{requirement} replaces {found}"
