"""The machine: memory kept between tensors where that is possible, and nowhere else."""

import copy
import ctypes
import os
import pickle
import platform
import subprocess
import sys
import typing

import pytest
import torch

from dlcore import runtime, studies
from dlcore.models import network
from dlcore.pretraining import pretrain
from dlcore.probing.probes import _mlp
from dlcore.stitching import StitchOptions
from dlcore.studies import STUDIES
from dlcore.training import fit, fit_many
from dlcore.training_config import TrainConfig
from dlcore.translation.training import SequenceConfig, fit_pairs

keep_memory = runtime.keep_memory.__wrapped__  # once per process otherwise


class _Library:
    def __init__(self, calls):
        self.mallopt = lambda name, value: calls.append((name, value)) or 1


@pytest.fixture
def calls(monkeypatch):
    """The calls of mallopt, in a process that is said to run on glibc."""
    made = []
    monkeypatch.delenv("DLCORE_MALLOC", raising=False)
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: _Library(made))
    return made


def test_glibc_keeps_memory(calls):
    assert keep_memory()
    assert dict(calls) == {-4: 0, -1: 2**31 - 1}


def test_it_can_be_switched_off(calls, monkeypatch):
    monkeypatch.setenv("DLCORE_MALLOC", "default")
    assert not keep_memory()
    monkeypatch.setenv("DLCORE_MALLOC", "defualt")
    with pytest.raises(ValueError, match="did you mean 'default'"):
        keep_memory()
    assert not calls


@pytest.mark.parametrize("library", ["", "musl", "libc"])
def test_other_libraries_are_left_alone(library, calls, monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: (library, ""))
    assert not keep_memory()
    assert not calls


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_the_real_library_agrees_and_large_blocks_are_used_again():
    code = """
import resource, torch
from dlcore import runtime
from dlcore.training_config import TrainConfig
assert runtime.keep_memory() and runtime.keep_memory()
def work():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(4_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
work()
assert work() < 3000, "16 MB are 4,000 pages"
"""
    environment = {k: v for k, v in os.environ.items() if k != "DLCORE_MALLOC"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_seeds_are_mixed():
    assert runtime.mix(1, 2) != runtime.mix(2, 1) != runtime.mix(12)
    assert 0 <= runtime.mix(0) < 2**56


def test_a_device_is_a_name_or_torchs_own():
    assert runtime.device(torch.device("cpu")) == torch.device("cpu")
    with pytest.raises((RuntimeError, ValueError), match=r"cuda(:99)?'"):
        runtime.device("cuda:99")
    with pytest.raises(ValueError, match="unknown device"):
        runtime.device("cuda:one")


def test_options_of_others_are_named_in_the_error():
    with pytest.raises(TypeError, match="lr is learning_rate here"):
        TrainConfig(lr=0.1)
    with pytest.raises(TypeError, match="did you mean 'epochs'"):
        TrainConfig(epoch=3)
    assert copy.deepcopy(TrainConfig(epochs=3)).epochs == 3
    with pytest.raises(TypeError, match="lr is learning_rate here"):
        SequenceConfig(lr=0.1)
    with pytest.raises(TypeError, match="lr is learning_rate here"):
        pretrain("simclr", [[[0.0]], [[1.0]]], "mlp", epochs=1, lr=0.1)
    with pytest.raises(TypeError, match=r"lr belongs to the training: TrainConfig\(learning_rate="):
        network("mlp", (1, 4), 2, lr=0.1)


@pytest.mark.parametrize("study", STUDIES)
def test_a_studys_settings_are_named_in_the_error(study):
    config = studies.study(study).Config
    with pytest.raises(TypeError, match="lr is learning_rate here"):
        config(lr=0.1)
    for make in (config.from_parameters, config().replace):
        with pytest.raises(ValueError, match="unknown parameter 'lr'; did you mean 'learning_rate'"):
            make(lr=0.1)
    assert pickle.loads(pickle.dumps(config(seed=3))) == config(seed=3)


@pytest.mark.parametrize(
    ("function", "configuration"), [(fit, "TrainConfig"), (fit_many, "TrainConfig"), (fit_pairs, "SequenceConfig")]
)
def test_options_of_the_configuration_are_named_where_they_belong(function, configuration):
    for name in ("lr", "learning_rate"):
        with pytest.raises(TypeError, match=rf"{name} belongs to the configuration: {configuration}\(learning_rate="):
            function(None, None, None, **{name: 0.1})
    with pytest.raises(TypeError, match="unexpected keyword"):
        function(None, None, None, nothing=1)


@pytest.mark.parametrize(
    "function", [fit, fit_many, fit_pairs, pretrain, StitchOptions, _mlp, *(studies.study(s).run for s in STUDIES)]
)
def test_every_device_is_a_name_or_torchs_own(function):
    assert typing.get_type_hints(function)["device"] == str | torch.device
