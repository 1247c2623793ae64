"""The doctor: what is missing is named with the command that brings it, on any machine."""

import pytest

from dlcore import doctor


def test_what_is_missing_comes_with_its_command(monkeypatch):
    known = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda p: None if p in ("dask", "tokenizers") else known(p) or "1.0")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.delenv("DLCORE_DATA", raising=False)
    lines = {line[:18].strip(): line[19:] for line in doctor.report().splitlines()}
    assert lines["sweeps"] == "no: pip install dask"
    assert lines["real text"] == "no: pip install tokenizers"
    assert lines["figures"].startswith("yes (altair")
    assert "apt-get install chromium" in lines["tests of the page"]


def test_it_fits_a_screen(monkeypatch):
    monkeypatch.delenv("DLCORE_DATA", raising=False)
    lines = doctor.report().splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 120


def test_what_it_names_is_what_an_extra_brings():
    import tomllib
    from pathlib import Path

    about = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    listed = [*about["dependencies"], *(d for extra in about["optional-dependencies"].values() for d in extra)]
    known = {dependency.split(">")[0] for dependency in listed}
    assert {package for packages in doctor.USES.values() for package in packages} <= known


@pytest.mark.parametrize("count", [1, 4])
def test_several_gpus_are_counted(monkeypatch, count):
    import torch

    monkeypatch.setattr(doctor.runtime, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(doctor.runtime, "fast_bfloat16", lambda where: True)
    monkeypatch.setattr(doctor.runtime, "environment", lambda where: {"device": "cuda: NVIDIA X"})
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert (
        doctor._device() == f"{'4 x ' if count == 4 else ''}cuda: NVIDIA X; bfloat16 for images, float32 for the rest"
    )
