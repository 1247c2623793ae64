"""Every constant of a recipe is in the configuration and its key; the keys of the shipped records stay as they are."""

import contextlib
import dataclasses
import itertools

import pytest

from dlcore import keys, studies, training_config
from dlcore.config import registered
from dlcore.models import CLASSICAL, NETWORKS
from dlcore.probing import PROBES
from dlcore.records import PACKAGED, RecordStore
from dlcore.register import Source
from dlcore.studies.distributional import config as distributional
from dlcore.studies.distributional.partitions import PARTITIONS, Partition
from dlcore.studies.rationality import config as rationality
from dlcore.studies.scaling import config as scaling
from dlcore.studies.stitching import config as stitching
from dlcore.studies.stitching import networks
from dlcore.training_config import TrainConfig

# later fields that only a run itself asks for: no recipe fills them
ASKED = ("converged", "held_out", "noisy_class", "population", "shuffles")
# sentences that are kept, a name, and what is the default of a field: the key has it
SHOWN = {"SHOWN", "SYNTHETIC", "TEST"}
WORDS = {"sgd": "adam", "adam": "sgd", "adamw": "sgd", "cosine": "constant", "constant": "cosine"}
SELF = ("simclr", "vicreg", "barlow_twins", "rotation")
# runs that between them use every constant: of each study every valid one of these products
RUNS = {
    "rationality": [
        {"dataset": list(rationality.SIZES), "architecture": list(NETWORKS), "objective": ["supervised", *SELF]},
        {"dataset": ["rows"], "architecture": ["mlp"], "objective": ["supervised", "random"]},
        {"objective": list(rationality.REPRESENTATIONS), "probe": [None, *PROBES], "augmented": [False, True]},
        {"objective": ["supervised"], "dataset": ["cifar10"], "architecture": ["resnet"]},
    ],
    "stitching": [
        {
            "dataset": list(stitching.DATASETS),
            "architecture": list(NETWORKS),
            "bottom_objective": ["supervised", "simclr", "vicreg"],
            "converged": [False, True],
        },
        {"dataset": ["rows"], "architecture": ["mlp"]},
    ],
    "distributional": [
        {"dataset": list(distributional.SIZES), "architecture": [*NETWORKS, *CLASSICAL]},
        {"dataset": ["rows"], "architecture": ["mlp"]},
        {
            "dataset": [*PARTITIONS],
            "experiment": ["four", "imbalance", "sparse"],
            "noise": [0, 0.1],
            "architecture": ["mlp"],
        },
        {"dataset": ["mnist1d"], "architecture": ["mlp"], "optimizer": ["sgd"]},
    ],
    "scaling": [
        {"dataset": list(scaling.DATASETS), "architecture": list(scaling.ARCHITECTURES)},
        {"preset": ["laptop"], "noise_kind": ["none", "back_translation"]},
        {"noise_kind": ["misaligned"], "noise": [0.1], "filter_pairs": [100]},
    ],
}
MODULES = {
    "rationality": (rationality, training_config),
    "stitching": (stitching, training_config),
    "distributional": (distributional,),
    "scaling": (scaling,),
}


@pytest.fixture
def own_rows(monkeypatch):
    """A registered table, for the recipes of tables."""
    monkeypatch.setitem(registered("dataset"), "rows", Source(lambda seed: None, 100, "tabular"))


def _runs(study):
    """The keys of all runs, by their parameters."""
    config, found = studies.study(study).Config, {}
    for axes in RUNS[study]:
        for values in itertools.product(*axes.values()):
            with contextlib.suppress(ValueError):
                found[tuple(zip(axes, values, strict=True))] = config.from_parameters(
                    **dict(zip(axes, values, strict=True))
                )
    return found


def _leaves(place, held, seen):
    """Every constant under a name: where it stands, what holds it and under which key."""
    for key, value in list(held.items()):
        if isinstance(value, dict) and id(value) not in seen:
            seen.add(id(value))
            yield from _leaves(f"{place}.{key}", value, seen)
        elif isinstance(value, int | float | str | tuple) and id(held) in seen:
            yield f"{place}.{key}", held, key


def _constants(module):
    own = {n: v for n, v in vars(module).items() if n.isupper() and n[0] != "_" and n not in SHOWN}
    for name, value in own.items():
        # a tuple of words is one of choices
        if isinstance(value, int | float | str) or (isinstance(value, tuple) and not isinstance(value[0], str)):
            yield f"{module.__name__}.{name}", vars(module), name
    yield from _leaves(module.__name__, {n: v for n, v in own.items() if isinstance(v, dict)}, set())


def _other(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return WORDS.get(value, f"{value}_")
    if isinstance(value, tuple):
        return tuple(map(_other, value))
    return value + 1 if isinstance(value, int) else value * 1.5 + 1e-3


def _changed(before, study):
    """Whether some run has another key now, and says that it is another recipe."""
    config = studies.study(study).Config
    for parameters, old in before.items():
        new = config.from_parameters(**dict(parameters))
        if new.key != old.key:
            assert new != old
            # the numbers of the first are not what this recipe gives
            if {**old.to_dict(), "constants": None} == {**new.to_dict(), "constants": None}:
                with pytest.raises(ValueError, match="this version runs"):
                    old.check_constants()
            new.check_constants()
            return True
    return False


@pytest.mark.parametrize("study", studies.STUDIES)
def test_another_constant_is_another_record(study, own_rows):
    """Every constant that the modules of a study's settings hold, found by looking at them, changes a key of some run."""
    before, silent, number = {name: _runs(name) for name in studies.STUDIES}, [], 0
    order = sorted(studies.STUDIES, key=lambda name: name != study)
    for module in MODULES[study]:
        for place, held, key in _constants(module):
            value = held[key]
            held[key], number = _other(value), number + 1
            try:
                if not any(_changed(before[name], name) for name in order):
                    silent.append(place)
            finally:
                held[key] = value
    assert number > 20
    assert not silent


@pytest.mark.parametrize(
    ("study", "parameters", "held", "name", "value"),
    [
        ("rationality", {"objective": "supervised"}, TrainConfig, "schedule", "constant"),
        ("rationality", {"objective": "supervised"}, TrainConfig, "weight_decay", 0.7),
        ("rationality", {"objective": "supervised", "dataset": "cifar10"}, TrainConfig, "momentum", 0.7),
        ("stitching", {"dataset": "cifar10", "architecture": "resnet18"}, TrainConfig, "momentum", 0.7),
        ("distributional", {"architecture": "mlp"}, TrainConfig, "weight_decay", 0.7),
        ("distributional", {"architecture": "mlp", "optimizer": "sgd"}, TrainConfig, "momentum", 0.7),
        ("scaling", {"preset": "laptop"}, scaling, "steps_of", lambda pairs: 7),
        ("scaling", {"preset": "laptop"}, scaling, "rate_of", lambda width: 0.7),
        ("scaling", {"noise_kind": "back_translation"}, scaling, "steps_of", lambda pairs: 7),
        *(
            ("distributional", {"dataset": dataset, "experiment": "four"}, PARTITIONS[dataset], name, value)
            for dataset in PARTITIONS
            for name, value in (("binary", (1,) * 10), ("coarse", (0,) * 10), ("noisy", 9), ("four", (0, 1, 2, 3)))
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_another_default_is_another_record(study, parameters, held, name, value, monkeypatch):
    config = studies.study(study).Config
    before = {tuple(parameters.items()): config.from_parameters(**parameters)}
    if isinstance(held, Partition):
        monkeypatch.setitem(PARTITIONS, parameters["dataset"], dataclasses.replace(held, **{name: value}))
    else:
        monkeypatch.setattr(held, name, value)
    assert _changed(before, study)


@pytest.mark.parametrize("study", studies.STUDIES)
def test_what_no_record_names_is_as_in_the_first_records(study):
    """A group of constants that has changed is written down in every new run, and stays out of the old ones' names."""
    known = {name for run in _runs(study).values() for name in run.fixed()}
    assert not known & keys._FIRST.keys()


@pytest.mark.parametrize("study", studies.STUDIES)
def test_recipes_of_today_are_those_of_the_first_records(study):
    """What `keys.earlier` says, against what a configuration is filled with: for every recorded run, and the presets."""
    config = studies.study(study).Config
    every = [c for group in studies.recorded(study).values() for c in group]
    every += [config.from_parameters(preset=preset) for preset in config.PRESETS]
    for made in every:
        before = keys.earlier(study, made.to_dict())
        third = [f.name for f in dataclasses.fields(made) if f.metadata["since"] == 3 and f.name not in ASKED]
        assert {name: getattr(made, name) for name in third} == {name: before[name] for name in third}, made


@pytest.mark.parametrize("study", studies.STUDIES)
def test_shipped_records_are_complete_and_keep_their_names(study):
    """Warnings are errors: each record is found right by its reader, too."""
    config = studies.study(study).Config
    found = list(RecordStore(PACKAGED, packaged=False).records(study))
    assert len(found) == sum(len(group.read_bytes().splitlines()) for group in (PACKAGED / study).glob("*.jsonl")) > 300
    for record in found:
        assert sorted(record.config) == sorted(config.names())
        made = config(**record.config)
        assert made.key == record.key
        assert made.to_dict() == record.config


@pytest.mark.parametrize("study", studies.STUDIES)
def test_later_fields_say_what_was_before_them(study):
    config = studies.study(study).Config
    later = {f.name for f in dataclasses.fields(config) if f.metadata["since"] > 1}
    assert keys.earlier(study, config().to_dict()).keys() == later
    assert set(keys.earlier("another study", {})) == set()


def test_fields_on_which_earlier_values_depend_are_looked_at():
    """A field that `_rationality` and its kin read must be in the list by which their results are kept."""

    asked = set()

    class Told(dict):
        def __getitem__(self, name):
            asked.add(name)
            return super().__getitem__(name)

        def get(self, name, default=None):
            asked.add(name)
            return super().get(name, default)

    for study in studies.STUDIES:
        for group in studies.recorded(study).values():
            for config in group:
                keys._EARLIER[study](Told(config.to_dict()))
    assert set(keys._DECIDING) >= asked


def test_constants_cannot_be_chosen(store):
    config = distributional.Config(constants="learning by heart")
    with pytest.raises(ValueError, match="constants = 'learning by heart', but this version runs None"):
        store.load_or_run(config)
    assert config.replace(noise=0.1).constants is None


def test_what_does_not_apply_is_refused():
    with pytest.raises(ValueError, match="learning_rate does not apply to objective 'simclr'"):
        rationality.Config(learning_rate=0.1)
    assert rationality.Config(objective="supervised").learning_rate == 1e-3
    assert rationality.Config().learning_rate is None


def test_the_networks_of_a_pair_are_trained_as_the_fields_say():
    config = stitching.Config(optimizer="sgd", learning_rate=0.05, batch_size=64, weight_decay=0.01, epochs=3)
    how = networks._training(config, config.top, 100, 200)["config"]
    assert (how.optimizer, how.learning_rate, how.batch_size, how.weight_decay, how.epochs) == (
        "sgd",
        0.05,
        64,
        0.01,
        6,
    )
