"""Configurations are strict, complete and hashed."""

import re

import numpy as np
import pytest

from dlcore.studies.distributional import Config, epsilon_config
from dlcore.studies.distributional.config import RECIPES
from dlcore.studies.distributional.grid import recorded


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
