"""Exercises: five a chapter, each with a solution; the solutions that are experiments are run, and find what they say."""

import ast
import re
from pathlib import Path

import jupytext
import pytest

from dlcore.metrics.distributional import knn_flip_rate

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("[1-4]_*.py"))
SOLUTION = re.compile(r"^:::\{solution\} (\S+)\n(.*?)^:::$", re.S | re.M)
CODE = re.compile(r"^```python\n(.*?)^```", re.S | re.M)


def text(path):
    """The prose of a chapter."""
    return "\n\n".join(c.source for c in jupytext.read(path).cells if c.cell_type == "markdown")


EXPERIMENTS = {
    name: code[1] for p in CHAPTERS for name, body in SOLUTION.findall(text(p)) if (code := CODE.search(body))
}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_five_exercises_of_which_two_ask_for_an_experiment_of_ten_lines(path):
    found = text(path)
    names = re.findall(r"^:::\{exercise\}\n:label: (\S+)", found, re.M)
    solved = [name for name, _ in SOLUTION.findall(found)]
    assert sorted(names) == sorted(solved)
    assert len(names) >= 5
    assert len(EXPERIMENTS.keys() & set(names)) >= 2
    for name in EXPERIMENTS.keys() & set(names):
        body = [n for n in ast.walk(ast.parse(EXPERIMENTS[name])) if isinstance(n, ast.stmt)]
        assert sum(not isinstance(n, ast.Import | ast.ImportFrom) for n in body) < 10


def gaps(found, name):
    return [getattr(g, name) for g in found.values()]


# name -> whether what the solution found is what its text says; the bounds are those of theory where there is one
SAYS = {
    "ex-features": lambda f: (
        gaps(f, "memorization")[0] < 0.06
        and gaps(f, "memorization")[-1] > 0.6
        and max(gaps(f, "generalization")) < 0.15
    ),
    "ex-neighbours": lambda f: abs(f[1].memorization - 0.8) < 0.02 and max(gaps(f, "memorization")[2:]) < 0.1,
    "ex-permute": lambda f: abs(f["permutation"]) < 0.005 and f["linear"] < 0.08 and f["identity"] > 0.5,
    "ex-damage": lambda f: f < -0.02,
    "ex-disjoint": lambda f: all(0 <= f[m] - knn_flip_rate(m, 0.2) + 0.02 < 0.07 for m in f),
    "ex-agree": lambda f: f > 0.8,
    "ex-laws": lambda f: f["power"] < f["bansal"] < f["floor"],
    "ex-unseen": lambda f: 1 / 3 < f[1024] < f[4096] < f[16384] < 0.45,
}


def test_every_experiment_is_checked():
    assert SAYS.keys() == EXPERIMENTS.keys()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_solution_finds_what_it_says(name, capsys):
    names = {}
    exec(EXPERIMENTS[name], names)
    found = names.get("found", names.get("agreed"))
    print(found)
    assert SAYS[name](found), capsys.readouterr().out
