"""What this machine can do, in one screen: device, precision, threads, packages, data, records, and what to install."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil

import torch

import dlcore
from dlcore import cache, data, machine, runtime, studies
from dlcore.record_files import entries
from dlcore.records import PACKAGED, default_path

# what a reader may want to do -> the packages it takes, by name: an extra of a package from git is no name for pip
USES: dict[str, tuple[str, ...]] = {
    "figures": ("altair",),
    "notebooks": ("papermill", "jupytext", "ipykernel"),
    "the book": ("jupyter-book", "vl-convert-python"),
    "the live lab": ("ipywidgets", "anywidget"),
    "sweeps": ("dask", "distributed"),
    "sweeps on SLURM": ("dask-jobqueue",),
    "real text": ("tokenizers",),
}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device() -> str:
    where = runtime.device()
    name = runtime.environment(where)["device"]
    count = torch.cuda.device_count() if where.type == "cuda" else 1
    low = "bfloat16" if runtime.fast_bfloat16(where) else "float32"
    return f"{f'{count} x ' if count > 1 else ''}{name}; {low} for images, float32 for the rest"


def _packages() -> list[str]:
    lines = []
    for use, packages in USES.items():
        versions = {p: _version(p) for p in packages}
        # 2.x of jupyter-book is another program
        absent = " ".join("'jupyter-book<2'" if p == "jupyter-book" else p for p, v in versions.items() if v is None)
        there = ", ".join(f"{p} {v}" for p, v in versions.items())
        lines.append(f"{use:18} {f'no: pip install {absent}' if absent else f'yes ({there})'}")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    tests = f"yes ({browser})" if browser else "no: install chromium, for example apt-get install chromium"
    return [*lines, f"{'tests of the page':18} {tests}"]


def report() -> str:
    """Returns the screenful that `python -m dlcore doctor` prints; it loads no data and trains nothing.

    >>> "figures" in report()
    True
    """
    memory, commit = "", runtime.commit()
    version = dlcore.__version__ if commit == "unknown" else f"{dlcore.__version__} at {commit}"
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB of memory"
    lines = [
        f"{'device':18} {_device()}",
        f"{'threads':18} {torch.get_num_threads()} of {machine.cores()} cores{memory}",
        f"{'python':18} {platform.python_version()}, torch {torch.__version__}, dlcore {version}",
        *_packages(),
    ]
    found = data.available(os.environ.get("DLCORE_DATA"))
    missing = [name for name, status in found.items() if status.startswith("missing")]
    lines.append(f"{'data':18} found: {', '.join(name for name in found if name not in missing)}")
    if missing:
        few = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
        lines.append(f"{'':18} not here: {few}")
        lines.append(f"{'':18} set DLCORE_DATA to their folder, or: python -m dlcore data --download NAME")
    own = cache.possible(default_path)
    for study in studies.STUDIES:
        shipped, local = (len(entries(f / study)) if f else 0 for f in (PACKAGED, own))
        lines.append(f"{'records':18} {study}: {shipped} shipped, {local} of your own")
    where = f"are in {own}" if own else "go nowhere: there is no home folder; set DLCORE_RECORDS"
    return "\n".join([*lines, f"{'':18} your own {where}"])
