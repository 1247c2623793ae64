"""Every constant of a recipe is in the configuration and its key; the keys of the shipped records stay as they are."""

import dataclasses

import pytest

from dlcore import keys, studies, training_config
from dlcore.records import PACKAGED, RecordStore
from dlcore.studies.distributional import config as distributional
from dlcore.studies.rationality import config as rationality
from dlcore.studies.scaling import config as scaling
from dlcore.studies.stitching import config as stitching
from dlcore.studies.stitching import networks
from dlcore.training_config import TrainConfig

SUPERVISED = {"objective": "supervised", "dataset": "mnist1d"}
IMAGES = {"objective": "supervised", "dataset": "cifar10", "architecture": "resnet"}
NETWORK = {"dataset": "mnist1d", "architecture": "mlp"}
SSL = {"bottom_objective": "simclr"}
LARGE = {"dataset": "cifar10", "architecture": "resnet18"}
TEXT = {"dataset": "tatoeba_eng-deu"}
# later fields that only a run itself asks for: no recipe fills them
ASKED = ("converged", "held_out", "noisy_class", "population", "shuffles")
# study, parameters of a run, what holds the constant (a module, a class, or a dictionary), its name, another value
CHANGES = [
    ("rationality", {}, rationality.SIZES, "digits", 999),
    ("rationality", {}, rationality.DRAWS, "ridge", 99),
    ("rationality", {"dataset": "mnist1d"}, rationality.TEST_SIZES, "mnist1d", 3000),
    ("rationality", {"augmented": True}, rationality, "VIEWS", 5),
    *(
        ("rationality", SUPERVISED, rationality.END_TO_END["mnist1d"], name, value)
        for name, value in (("epochs", 7), ("batch_size", 7), ("learning_rate", 0.7), ("optimizer", "sgd"))
    ),
    ("rationality", IMAGES, TrainConfig, "momentum", 0.7),
    ("rationality", IMAGES, TrainConfig, "schedule", "constant"),
    ("rationality", IMAGES, TrainConfig, "weight_decay", 0.7),
    *(
        ("rationality", {}, rationality.PRETRAIN["digits", "convnet"], name, 7)
        for name in ("width", "depth", "epochs", "batch_size")
    ),
    *(
        (study, parameters, training_config.PRETRAINING, name, value)
        for study, parameters in (("rationality", {}), ("stitching", SSL))
        for name, value in (
            ("optimizer", "sgd"),
            ("learning_rate", 0.7),
            ("weight_decay", 0.7),
            ("schedule", "constant"),
        )
    ),
    *(("stitching", {}, stitching.RECIPES["digits", "mlp"], name, 7) for name in ("width", "depth", "epochs")),
    ("stitching", {}, stitching.SIZES, "digits", 999),
    ("stitching", {"dataset": "mnist1d"}, stitching.TEST_SIZES, "mnist1d", 999),
    *(
        ("stitching", parameters, held, name, value)
        for parameters, held in (({}, stitching.SMALL), (LARGE, stitching.LARGE))
        for name, value in (("batch_size", 7), ("learning_rate", 0.7), ("optimizer", "adam"), ("weight_decay", 0.7))
    ),
    ("stitching", {}, stitching, "SCHEDULE", "constant"),
    ("stitching", LARGE, TrainConfig, "momentum", 0.7),
    ("stitching", {}, stitching, "STITCH_RATE", 0.7),
    ("stitching", {}, stitching, "STITCH_BATCH", 7),
    ("stitching", LARGE, stitching, "LARGE_STITCH_BATCH", 7),
    ("stitching", {}, stitching, "STITCH_OPTIMIZER", "sgd"),
    ("stitching", {}, stitching, "MOST_SIMILARITY_INPUTS", 7),
    ("stitching", LARGE, stitching.SIMILARITY_INPUTS, "resnet18", 7),
    *(("stitching", SSL, stitching.PRETRAINING, name, 7) for name in ("epochs", "batch")),
    *(
        ("stitching", SSL, stitching.PROBE, name, value)
        for name, value in (("epochs", 7), ("batch_size", 7), ("learning_rate", 0.7), ("optimizer", "sgd"))
    ),
    *(
        ("distributional", NETWORK, distributional.RECIPES["mnist1d", "mlp"], name, value)
        for name, value in (
            ("width", 7),
            ("depth", 7),
            ("epochs", 7),
            ("batch_size", 7),
            ("learning_rate", 0.7),
            ("optimizer", "sgd"),
            ("schedule", "cosine"),
        )
    ),
    ("distributional", {}, distributional.SIZES, "digits", 999),
    ("distributional", NETWORK, distributional.TEST_SIZES, "mnist1d", 999),
    ("distributional", {**NETWORK, "optimizer": "sgd"}, TrainConfig, "momentum", 0.7),
    ("distributional", NETWORK, TrainConfig, "weight_decay", 0.7),
    ("distributional", {**NETWORK, "experiment": "sparse"}, distributional, "LOGGED_EPOCHS", (1, 2)),
    ("distributional", {**NETWORK, "experiment": "sparse"}, distributional, "LOGGED_INPUTS", 7),
    *(
        ("scaling", {}, scaling.TRAINING, name, value)
        for name, value in (
            ("optimizer", "sgd"),
            ("schedule", "constant"),
            ("weight_decay", 0.7),
            ("clip", 0.7),
            ("patience", 7),
            ("least_gain", 0.7),
        )
    ),
    *(("scaling", {}, scaling.RECIPE, name, 7) for name in ("warm", "evaluations")),
    ("scaling", {}, scaling, "SCORED", 7),
    ("scaling", {}, scaling, "DEV", 7),
    ("scaling", TEXT, scaling, "VOCABULARY", 7),
    ("scaling", TEXT, scaling, "LONGEST", 7),
    ("scaling", {"preset": "laptop"}, scaling, "steps_of", lambda pairs: 7),
    ("scaling", {"preset": "laptop"}, scaling, "rate_of", lambda width: 0.7),
    ("scaling", {"noise_kind": "back_translation"}, scaling, "steps_of", lambda pairs: 7),
]


def _id(change):
    study, parameters, _, name, value = change
    words = [study, *map(str, parameters.values()), name, "function" if callable(value) else str(value)]
    return "-".join(words)


@pytest.mark.parametrize("change", CHANGES, ids=_id)
def test_another_constant_is_another_record(change, monkeypatch):
    study, parameters, held, name, value = change
    config = studies.study(study).Config
    before = config.from_parameters(**parameters)
    if isinstance(held, dict):
        assert held[name] != value
        monkeypatch.setitem(held, name, value)
    else:
        assert getattr(held, name) != value
        monkeypatch.setattr(held, name, value)
    after = config.from_parameters(**parameters)
    assert after.key != before.key
    assert after != before
    # the numbers of the first are not what this recipe gives
    if {**before.to_dict(), "constants": None} == {**after.to_dict(), "constants": None}:
        with pytest.raises(ValueError, match="this version runs"):
            before.check_constants()
    after.check_constants()


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
