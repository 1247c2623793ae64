"""Configurations are strict, complete and hashed."""

import dataclasses
import importlib
import inspect
import math
import pkgutil
import re
import typing

import numpy as np
import pytest
import torch

import dlcore
from dlcore import config as configs
from dlcore import studies
from dlcore.stitching.options import StitchOptions
from dlcore.studies.distributional import Config, epsilon_config
from dlcore.studies.distributional.config import RECIPES
from dlcore.studies.distributional.grid import recorded
from dlcore.training import TrainConfig
from dlcore.translation.lexicon import Lexicon
from dlcore.translation.models import Shape
from dlcore.translation.noise import Noise
from dlcore.translation.task import Transduction
from dlcore.translation.training import SequenceConfig


def test_misspelt_parameter_names_the_close_match():
    with pytest.raises(ValueError, match="unknown parameter 'noize'; did you mean 'noise'"):
        Config.from_parameters(noize=0.4)


def test_unknown_choice_lists_the_valid_ones():
    with pytest.raises(ValueError, match="unknown architecture 'resnet999'; did you mean 'resnet'.*knn.*forest"):
        Config.from_parameters(architecture="resnet999")
    with pytest.raises(ValueError, match="unknown preset 'smok'; did you mean 'smoke'"):
        Config.from_parameters(preset="smok")


@pytest.mark.parametrize("rate", [1.4, -0.1, 1.0, float("nan"), float("inf"), "high", True])
def test_bad_noise_rates(rate):
    with pytest.raises(ValueError, match="noise"):
        Config(noise=rate)


def test_namespace_takes_scalars_and_finds_stray_names():
    assert Config.from_namespace({"noise": 0.2, "np": np, "_x": 1, "seed": None}).noise == 0.2
    with pytest.raises(ValueError, match="noize"):
        Config.from_namespace({"noise": 0.2, "noize": 0.4})


def test_namespace_takes_the_names_of_the_parameters_cell_alone():
    left = {"noise": 0.2, "seed": 1, "noize": 0.4, "width": 7, "_parameters": ["noise", "seed"]}
    config = Config.from_namespace(left)
    assert (config.noise, config.seed, config.width) == (0.2, 1, None)
    with pytest.raises(ValueError, match="unknown parameter 'noize'; did you mean 'noise'"):
        Config.from_namespace({**left, "_parameters": ["noise", "noize"]})
    with pytest.raises(ValueError, match=r"noise = \[0.2\] is not a valid float"):
        Config.from_namespace({**left, "noise": [0.2]})


@pytest.mark.parametrize(("value", "interval"), [(1.0, "[0.0, 1.0)"), (-0.1, "[0.0, 1.0)")])
def test_the_range_is_named_at_both_ends(value, interval):
    with pytest.raises(ValueError, match=re.escape(f"noise = {value} is outside {interval}")):
        Config(noise=value)


def test_loose_types_of_the_command_line_are_accepted_without_loss():
    assert Config.from_parameters(seed=3.0, feature="false", noise=np.float32(0.25)).seed == 3
    with pytest.raises(ValueError, match="seed = 3.5"):
        Config(seed=3.5)


def test_the_stored_configuration_is_complete():
    config = Config(architecture="mlp", dataset="digits")
    assert (config.epochs, config.width) == (RECIPES["digits", "mlp"]["epochs"], 256)
    assert config.n_train == 1200
    assert Config(**config.to_dict()) == config


def test_key_depends_on_every_field_and_not_on_rounding():
    a = Config(noise=0.1 + 0.2)
    assert a.key == Config(noise=0.3).key
    others = [a.replace(**{k: v}) for k, v in (("noise", 0.2), ("seed", 1), ("n_train", 500), ("preset", "laptop"))]
    assert len({a.key, *[c.key for c in others]}) == 5
    net = Config(architecture="mlp")
    assert len({net.key, net.replace(optimizer="sgd").key, net.replace(schedule="cosine").key}) == 3


def test_a_field_added_later_leaves_earlier_names_alone():
    """The key of a configuration without networks, as it was before `optimizer` became a field."""
    assert Config(preset="laptop", experiment="cyclic", noise=0.3).key == "ab35ecb1df06bd13"


def test_settings_without_effect_are_refused():
    with pytest.raises(ValueError, match="neighbours applies to knn"):
        Config(architecture="forest", neighbours=5)
    with pytest.raises(ValueError, match="bandwidth applies"):
        Config(architecture="knn", bandwidth=0.1)
    with pytest.raises(ValueError, match="width applies"):
        Config(architecture="knn", width=8)
    with pytest.raises(ValueError, match="noise must be 0"):
        Config(experiment="imbalance", noise=0.3)
    with pytest.raises(ValueError, match="does not fit"):
        Config(architecture="resnet", dataset="letter")


def test_epsilon_is_measured_at_the_same_n_and_seed():
    config = Config(experiment="subgroup", noise=0.4, architecture="forest", seed=3, n_train=600)
    premise = epsilon_config(config)
    assert (premise.experiment, premise.noise, premise.seed, premise.n_train) == ("cyclic", 0.0, 3, 600)
    assert epsilon_config(config.replace(experiment="four")).feature
    assert epsilon_config(config.replace(experiment="imbalance", noise=0.0)) is None


def test_recorded_grid_is_whole():
    groups = recorded()
    noise = groups["digits-noise"]
    families = {(c.architecture, c.neighbours) for c in noise}
    assert len(families) >= 9
    for family in families:
        rates = {c.noise for c in noise if (c.architecture, c.neighbours) == family}
        assert rates == {round(0.1 * i, 1) for i in range(10)}
    assert all(c.preset == ("gpu" if name == "gpu" else "laptop") for name, group in groups.items() for c in group)


OPTIONS = [TrainConfig, SequenceConfig, StitchOptions, Shape, Noise, Lexicon, Transduction]
STUDIES = [studies.study(name).Config for name in studies.STUDIES]
NEEDED = {"Shape": {"source_vocabulary": 30, "target_vocabulary": 20}}
# what no field of a type takes, beside a number below its range
WRONG = {
    int: ["three", 2.5, math.nan, math.inf, -math.inf, 1j, True, b"3", [3], {}, np.arange(2), -1],
    float: ["high", math.nan, math.inf, -math.inf, 10**400, 1j, True, b".1", [0.1], {}, np.ones(2), -0.5],
    bool: [1, 0.0, "yes", b"true", [True], {}, torch.ones(2)],
    str: [3, 0.5, True, b"auto", ["auto"], {}],
    "other": [3, "x", [], {}],
}


def _name(cls):
    return f"{cls.__module__.split('.')[-2]}.{cls.__name__}"


def _fields(classes):
    """Yields classes, names of fields, and the one type that a field has beside None."""
    for cls in classes:
        for name, hint in typing.get_type_hints(cls).items():
            if name in cls.__dataclass_fields__ and typing.get_origin(hint) is not typing.ClassVar:
                (kind, *more) = [k for k in typing.get_args(hint) or (hint,) if k is not type(None)]
                yield cls, name, kind if kind in WRONG and not more else "other"


@pytest.mark.parametrize(
    ("cls", "name", "kind"), [pytest.param(*f, id=f"{_name(f[0])}-{f[1]}") for f in _fields(OPTIONS + STUDIES)]
)
def test_a_value_of_another_type_is_refused_by_the_name_of_its_field(cls, name, kind):
    choices = cls.__dataclass_fields__[name].metadata.get("choices")
    for value in WRONG[kind]:
        if (cls, name, value) == (StitchOptions, "device", "x"):
            continue  # a name, looked up where there is something to compute
        with pytest.raises(ValueError, match=rf"^(unknown )?{name}\b") as refused:
            cls(**{**NEEDED.get(cls.__name__, {}), name: value})
        assert not choices or all(choice in str(refused.value) for choice in choices)


@pytest.mark.parametrize("text", ["3", "1e-3", "true", "False"])
def test_text_is_a_number_on_a_command_line_alone(text):
    numbers = "int", "float", "bool"
    for cls, name, kind in _fields(OPTIONS):
        if getattr(kind, "__name__", kind) in numbers:
            with pytest.raises(ValueError, match=f"^{name} = '{text}' is not a valid"):
                cls(**{**NEEDED.get(cls.__name__, {}), name: text})
    assert Config(seed="3", noise="1e-1", feature="False") == Config(seed=3, noise=0.1, feature=False)


@pytest.mark.parametrize(
    ("cls", "name"), [pytest.param(*f[:2], id=f"{_name(f[0])}-{f[1]}") for f in _fields(OPTIONS) if f[2] is int]
)
@pytest.mark.parametrize("form", [float, np.float32, np.int16, np.array, torch.tensor], ids=lambda form: form.__name__)
def test_a_whole_number_of_any_type_is_an_integer(cls, name, form):
    usual = cls(**NEEDED.get(cls.__name__, {}))
    value = getattr(usual, name)
    value = value if value is not None and value < 2**15 else 64
    made = cls(**{**NEEDED.get(cls.__name__, {}), name: form(value)})
    assert type(getattr(made, name)) is int
    assert made == dataclasses.replace(usual, **{name: value})


def test_options_keep_all_digits():
    for cls, name, kind in _fields(OPTIONS):
        if kind is float:
            low, high = (cls.__dataclass_fields__[name].metadata[end] for end in ("above", "below"))
            value = 1 + 1 / 3 if low == 1 else 1 / 3 if high == 1 else math.pi / 4
            assert getattr(cls(**{**NEEDED.get(cls.__name__, {}), name: value}), name) == value


def _subclasses(cls):
    return [
        one for sub in cls.__subclasses__() for one in (sub, *_subclasses(sub)) if one.__module__.startswith("dlcore.")
    ]


def test_all_classes_of_settings_are_checked():
    named = set()
    for module in pkgutil.walk_packages(dlcore.__path__, "dlcore."):
        if not module.name.endswith("__main__"):
            classes = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
            named |= {c for name, c in classes if dataclasses.is_dataclass(c) and re.search("Config|Options", name)}
    assert named <= {configs.Config, *OPTIONS, *STUDIES}
    assert {*_subclasses(configs.Options), *_subclasses(configs.Config)} == {*OPTIONS, *STUDIES}
