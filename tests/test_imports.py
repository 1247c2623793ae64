"""Imports point one way; metrics, figures and claims work without torch; nothing else is reached."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dlcore"
# a module may import those of its own layer's list and nothing else of the package
ALLOWED = {
    "keys": set(),
    "arrays": set(),
    "config": {"keys"},
    "cache": set(),
    "reading": set(),
    "metrics": {"arrays", "metrics"},
    "machine": set(),
    "runtime": {"config", "machine", "parallel"},
    "record_files": {"keys"},
    "records": {"cache", "config", "record_files"},
    "notebook": {"config", "lab"},
    "noise": {"arrays", "config", "runtime"},
    "augment": set(),
    "objectives": {"config", "parallel"},
    "data": {"cache", "config", "data", "reading"},
    "models": {"borrowed", "arrays", "config", "runtime", "models"},
    "probing": {"borrowed", "arrays", "config", "runtime", "noise", "models", "training", "metrics", "probing"},
    "pretraining": {"borrowed", "arrays", "runtime", "augment", "objectives", "models", "training"},
    "published": set(),
    "optimization": {"cache"},
    "parallel": set(),
    "borrowed": {"runtime"},
    "ensembles": {"borrowed", "runtime", "optimization"},
    "training_config": {"config"},
    "training": {"borrowed", "arrays", "runtime", "optimization", "parallel", "ensembles", "training_config"},
    "sequence_training": {"borrowed", "config", "runtime", "data", "optimization", "parallel"},
    "stitching": {"borrowed", "arrays", "cache", "config", "runtime", "training", "stitching"},
    "tables": {"metrics", "published", "tables"},
    "figures": {"figures", "metrics", "published", "records", "tables"},
    "claims": {"claims", "metrics", "published", "records", "tables"},
    "prose": {"claims", "metrics", "tables"},
    "studies": {
        "cache",
        "config",
        "runtime",
        "data",
        "noise",
        "models",
        "objectives",
        "parallel",
        "augment",
        "training",
        "training_config",
        "sequence_training",
        "pretraining",
        "probing",
        "stitching",
        "metrics",
        "records",
        "studies",
    },
    "recorded": {"config", "machine", "runtime", "records", "studies"},
    "doctor": {"machine", "runtime", "data", "record_files", "records", "studies"},
    "sweep": {"cache", "config", "machine", "reading", "runtime", "records", "studies", "notebook", "sweep"},
    "lab": {"config", "lab", "runtime", "records", "studies", "tables", "figures"},
    "__main__": {
        "config",
        "runtime",
        "parallel",
        "data",
        "records",
        "studies",
        "recorded",
        "doctor",
        "claims",
        "sweep",
    },
    "__init__": set(),
}


def _module(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "dlcore":
            parts = node.module.split(".")[1:]
            found |= {parts[0]} if parts else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("dlcore.")}
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    extra = _imported(path) - ALLOWED[_module(path)]
    assert not extra, f"{path.name} imports {sorted(extra)}"


@pytest.mark.parametrize(
    "module",
    [
        "dlcore.metrics.distributional",
        "dlcore.metrics.scaling",
        "dlcore.metrics.similarity",
        "dlcore.published",
        "dlcore.figures",
        "dlcore.claims",
        "dlcore.prose.distributional",
        "dlcore.prose.scaling",
        "dlcore.prose.stitching",
        "dlcore.records",
        "dlcore.metrics.translation",
        "dlcore.data.transduction",
        "dlcore.data.text",
        # a Dask scheduler, and a worker that executes notebooks
        "dlcore.sweep.cells",
        "dlcore.sweep.cluster",
    ],
)
def test_torch_is_not_needed(module):
    code = f"import {module}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_one_line_of_import_has_what_an_experiment_needs():
    """The names of the package are those of its modules, and none is loaded before it is used."""
    code = (
        "import dlcore, importlib, sys\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)\n"
        "for module, names in dlcore._PUBLIC.items():\n"
        "    for name in names:\n"
        "        assert name in dir(dlcore)\n"
        "        assert getattr(dlcore, name) is getattr(importlib.import_module(module), name)\n"
        "from dlcore import data, noise, TrainConfig, network, stitch\n"
        "assert data.load and noise.flip_labels and callable(stitch)\n"
        "try: dlcore.netwrok\n"
        "except AttributeError as error: assert str(error) == \"module 'dlcore' has no attribute 'netwrok'\"\n"
        "else: raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_has_one_subject(path):
    assert len(path.read_text("utf8").splitlines()) <= 400, "two modules in one file?"
