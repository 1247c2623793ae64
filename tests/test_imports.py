"""Imports point one way, at every depth and without a circle; findings stand apart; what draws or judges works without torch."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import dlcore
from dlcore.studies import STUDIES

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dlcore"
FILES = sorted(PACKAGE.rglob("*.py"))
# a module may import those of its own layer's list and nothing else of the package
ALLOWED = {
    # the ground: plain values and files
    "arrays": set(),
    "cache": set(),
    "keys": set(),
    "lazy": set(),
    "machine": set(),
    "reading": {"cache"},
    "published": set(),
    "config": {"keys"},
    "record_files": {"cache", "keys"},
    "records": {"cache", "config", "record_files", "results"},
    "runtime": {"arrays", "config", "machine", "parallel"},
    "notebook": {"cache", "config", "lab"},
    "command_line": {"cache", "config"},
    # pure functions of arrays
    "metrics": {"arrays", "config", "metrics", "results"},
    # what results can do: their charts are loaded when one is drawn
    "results": {"charts"},
    # training, of vision and tables
    "parallel": set(),
    "augment": set(),
    "borrowed": {"arrays", "runtime"},
    "noise": {"arrays", "config", "results"},
    "optimization": {"arrays", "cache"},
    "objectives": {"config", "parallel"},
    "data": {"arrays", "cache", "config", "data", "reading", "translation"},
    "models": {"arrays", "config", "lazy", "models", "runtime"},
    "ensembles": {"borrowed", "optimization", "runtime", "training_config"},
    "training_config": {"config", "results"},
    "register": {"config", "data", "models"},
    "training": {
        *(
            "arrays",
            "borrowed",
            "cache",
            "config",
            "ensembles",
            "optimization",
            "parallel",
            "runtime",
            "training_config",
        ),
    },
    # mechanisms
    "pretraining": {
        *("arrays", "augment", "borrowed", "config", "models", "objectives", "runtime", "training", "training_config"),
    },
    "probing": {
        *("arrays", "borrowed", "cache", "config", "keys", "lazy", "metrics", "models", "noise", "probing", "results"),
        *("runtime", "training"),
    },
    "similarity": {"arrays", "borrowed", "config", "results", "stitching"},
    "stitching": {"arrays", "borrowed", "cache", "config", "lazy", "results", "runtime", "stitching", "training"},
    "translation": {
        *("arrays", "borrowed", "cache", "config", "optimization", "parallel", "reading", "results", "runtime"),
        "translation",
    },
    # the kit of charts and claims
    "charts": {"charts", "records"},
    "summaries": {"metrics"},
    "measures": {"metrics"},
    # the findings, and what shows or runs them
    "studies": {
        *(
            "augment",
            "cache",
            "charts",
            "config",
            "data",
            "keys",
            "lazy",
            "measures",
            "metrics",
            "models",
            "noise",
            "parallel",
        ),
        *("pretraining", "probing", "published", "records", "runtime", "stitching", "studies", "summaries", "training"),
        *("training_config", "translation"),
    },
    "claims": {"cache", "claims", "config", "machine", "measures", "records", "studies"},
    "figures": {"charts", "figures", "studies", "summaries"},
    "doctor": {"cache", "data", "machine", "record_files", "records", "runtime", "studies"},
    "sweep": {
        *(
            "cache",
            "command_line",
            "config",
            "keys",
            "machine",
            "notebook",
            "reading",
            "register",
            "record_files",
            "records",
            "results",
            "runtime",
            "studies",
            "sweep",
        ),
    },
    "lab": {"charts", "config", "lab", "metrics", "records", "runtime", "studies"},
    "__main__": {
        "cache",
        "claims",
        "command_line",
        "config",
        "data",
        "doctor",
        "notebook",
        "parallel",
        "reading",
        "records",
        "register",
        "studies",
        "sweep",
    },
    # the public names, under TYPE_CHECKING alone
    "__init__": {
        *("config", "lazy", "metrics", "models", "noise", "pretraining", "probing", "records", "stitching", "studies"),
        *("training", "translation"),
    },
}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {_name(path): path for path in FILES}


def _imported(path: Path) -> set[str]:
    """Returns the modules of the package that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "dlcore":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "dlcore"}
    return found


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_imports_point_one_way(path):
    top = (_name(path).split(".") + ["__init__"])[1]
    extra = {name.split(".")[1] for name in _imported(path) if "." in name} - ALLOWED[top]
    assert not extra, f"{path.name} imports {sorted(extra)}"


def test_no_circle_at_any_depth():
    # the name of a package in an import inside it is its face, which offers names and loads nothing of them
    graph = {name: _imported(path) - {name} for name, path in MODULES.items()}
    faces = {name for name, path in MODULES.items() if path.name == "__init__.py" and "lazy" in path.read_text("utf8")}
    for name in faces:
        graph[name] = {other for other in graph[name] if not _only_for_types(MODULES[name], other)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def _only_for_types(path: Path, module: str) -> bool:
    """Whether a face imports a module under TYPE_CHECKING alone."""
    tree = ast.parse(path.read_text("utf8"))
    typing = [n for n in tree.body if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING"]
    inside = {n.module for block in typing for n in ast.walk(block) if isinstance(n, ast.ImportFrom)}
    outside = {n.module for n in tree.body if isinstance(n, ast.ImportFrom)}
    return module in inside - outside


def test_an_editor_knows_the_names_that_the_package_offers():
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf8"))
    (block,) = [n for n in tree.body if isinstance(n, ast.If) and n.test.id == "TYPE_CHECKING"]
    known = [(n.module, a.name, a.asname) for n in block.body for a in n.names]
    assert known == [(f"dlcore.{module}", name, name) for module, names in dlcore._PUBLIC.items() for name in names]


@pytest.mark.parametrize("path", sorted((PACKAGE / "studies").rglob("*.py")), ids=_name)
def test_findings_do_not_import_one_another(path):
    own = path.relative_to(PACKAGE / "studies").parts[0]
    others = {name.split(".")[2] for name in _imported(path) if name.startswith("dlcore.studies.")} & {*STUDIES}
    assert others <= {own}, f"{path} imports {sorted(others - {own})}"


TORCH_FREE = (
    "dlcore.metrics.distributional",
    "dlcore.metrics.scaling",
    "dlcore.metrics.similarity",
    "dlcore.published",
    "dlcore.figures",
    "dlcore.claims",
    "dlcore.records",
    "dlcore.translation.bleu",
    "dlcore.translation.task",
    "dlcore.translation.text",
    # a Dask scheduler, and a worker that executes notebooks
    "dlcore.sweep.cells",
    "dlcore.sweep.cluster",
    "dlcore.sweep.plan",
    # the settings of the runs and what is made of their records
    *(
        f"dlcore.studies.{name}.{part}"
        for name in STUDIES
        for part in ("config", "grid", "table", "claims", "figures", "panel")
    ),
    *(f"dlcore.studies.{name}.sentences" for name in ("scaling", "stitching")),
)


def test_torch_is_not_needed():
    """In one process, one after the other: the start of so many takes minutes."""
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n    'torch' in sys.modules and sys.exit(name)"
    done = subprocess.run([sys.executable, "-c", code, *TORCH_FREE], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"torch is loaded by {done.stderr}"


def test_names_that_load_no_torch_are_those_of_the_constructors():
    from dlcore import models, objectives
    from dlcore.models import networks
    from dlcore.studies.rationality.config import NETWORK

    assert tuple(networks.CONSTRUCTORS) == models.NETWORKS
    assert ("random", *objectives.OBJECTIVES) == NETWORK


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_has_the_same_parts(name):
    folder = PACKAGE / "studies" / name
    for part in (
        "__init__.py",
        "config.py",
        "experiment.py",
        "grid.py",
        "table.py",
        "claims.py",
        "claims.yml",
        "figures",
        "panel.py",
    ):
        assert (folder / part).exists(), part


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_module_has_one_subject(path):
    assert len(path.read_text("utf8").splitlines()) <= 400, "two modules in one file?"
