"""The study of chapter 2: roles, sizes, errors, one run, networks shared by pairs."""

import numpy as np
import pandas as pd
import pytest
import torch

from dlcore import augment, tables, training
from dlcore.data import Dataset
from dlcore.records import RecordStore
from dlcore.studies import pairs, recorded
from dlcore.studies import stitching as study
from dlcore.studies.stitching import Config

SMOKE = {**Config.PRESETS["smoke"], "epochs": 10, "width": 16, "n_train": 600, "stitch_epochs": 2}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return RecordStore(tmp_path_factory.mktemp("store"), packaged=False)


@pytest.fixture(scope="module")
def record(store):
    return store.load_or_run(Config(**SMOKE, cross=True), device="cpu")


def test_a_record_has_a_row_for_every_stage(record):
    stages = record.curves["top_stage"]
    assert stages == ["hidden1", "hidden2"]
    assert record.curves["depth"] == [0.5, 1.0]
    for name in ("penalty", "self_penalty", "excess", "random_penalty", *study.INDICES):
        assert np.isfinite(record.curves[name]).all(), name
    assert record.metrics["excess_mid"] == pytest.approx(record.curves["excess"][1])
    excess = np.subtract(record.curves["penalty"], record.curves["self_penalty"])
    assert record.curves["excess"] == pytest.approx(excess)
    assert 0 < record.metrics["top_error"] < 0.6


def test_cross_stage_matrices(record):
    task, closed = np.array(record.arrays["task"]), np.array(record.arrays["least_squares"])
    assert task.shape == closed.shape == (2, 2)
    # the same stages are stitched in the curve, by the same map from the same start
    assert np.diag(task) == pytest.approx(record.curves["penalty"], abs=0.05)


def test_pairs_share_their_networks(store, record):
    networks = store.path / "stitching" / "networks"
    before = {p.name for p in networks.glob("*.pt")}
    assert len(before) == 2
    other = store.load_or_run(Config(**SMOKE, family="least_squares"), device="cpu")
    assert {p.name for p in networks.glob("*.pt")} == before
    assert other.metrics["top_error"] == record.metrics["top_error"]
    assert other.curves["self_penalty"] == pytest.approx([0, 0], abs=1e-9)
    assert not list((store.path / "stitching" / "unfinished").glob("*.pt"))


def test_a_damaged_network_is_trained_again(store, record):
    for path in (store.path / "stitching" / "networks").glob("*.pt"):
        path.write_bytes(b"nothing")
    again = store.load_or_run(Config(**SMOKE, family="orthogonal"), device="cpu")
    assert again.metrics["top_error"] == pytest.approx(record.metrics["top_error"], abs=0.02)


def test_roles_differ_only_in_what_the_pair_is_about():
    plain = Config(**SMOKE)
    assert plain.bottom == plain.top._replace(seed=1)
    assert Config(**SMOKE, same_seed=True).bottom == plain.top
    noisy = Config(**SMOKE, noise=0.5)
    assert noisy.top == plain.top
    assert noisy.bottom == plain.bottom._replace(noise=0.5)


def test_halves_are_disjoint_and_labels_are_what_the_role_says():
    config = Config(**SMOKE, top_share=0.5, bottom_share=0.5, disjoint=True)
    rows = [set(range(600)[pairs.rows_of(role, 600)]) for role in (config.top, config.bottom)]
    assert len(rows[0]) == len(rows[1]) == 300
    assert not rows[0] & rows[1]
    y = torch.arange(3000) % 10
    source = pairs.Inputs(y, y, y, y, 10)
    labels, classes = pairs.labels_of(Config(**SMOKE, noise=1.0).bottom, source)
    # all labels are random, one in ten of them right by chance
    assert float((labels == y).float().mean()) == pytest.approx(0.1, abs=0.03)
    labels, classes = pairs.labels_of(Config(**SMOKE, bottom_labels="coarse").bottom, source)
    assert classes == 2
    assert torch.equal(labels, (y >= 5).long())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architecture": "resnet"}, "architecture 'resnet' does not fit 'digits'; choose from: mlp, convnet"),
        ({"disjoint": True}, "are more than 1"),
        ({"noise": 1.4}, "noise = 1.4 is outside"),
        ({"bottom_objective": "simclr", "noise": 0.1}, "sees no labels"),
        ({"kernel_size": 2}, "must be odd"),
        ({"family": "conv1x1"}, "family='linear'"),
        ({"bottom_object": "simclr"}, "did you mean 'bottom_objective'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        study.run(Config.from_parameters(**{**SMOKE, **settings}), device="cpu")


def test_self_supervised_top_has_a_head_that_knows_the_classes(store):
    found = store.load_or_run(Config(**{**SMOKE, "epochs": 6}, top_objective="simclr"), device="cpu")
    assert found.metrics["top_error"] < 0.6


def test_the_grid_is_valid_and_has_no_run_twice():
    keys = [config.key for group in recorded("stitching").values() for config in group]
    assert len(keys) == len(set(keys)) > 200


def test_freeze_training(store):
    settings = {**SMOKE, "freeze": True, "bottom_share": 0.25}
    record = store.load_or_run(Config(**settings), device="cpu")
    above, drawn = record.curves["freeze_error"], record.curves["freeze_random_error"]
    assert len(above) == len(drawn) == len(record.curves["excess"])
    assert all(0 < error < 1 for error in above + drawn)
    # above an untrained last stage only a linear classifier is trained
    assert drawn[-1] > record.metrics["top_error"]
    with pytest.raises(ValueError, match="one width"):
        Config(**settings, bottom_width=8)
    # a field added later leaves the names of earlier records alone
    assert Config(**SMOKE).key == Config(**SMOKE, freeze=False).key != Config(**settings).key


def test_freeze_training_above_nothing_is_training(store):
    """Frozen until the input's normalisation, which has no weights, everything is trained: the top itself."""
    config = Config(**SMOKE)
    found = study.data.load(config.dataset, n_train=config.n_train, seed=config.seed)
    x, x_test = (study.pretraining.to_unit(part) for part in (found.train_inputs, found.test_inputs))
    y, y_test = torch.from_numpy(found.train_labels), torch.from_numpy(found.test_labels)
    source = pairs.Inputs(x, y, x_test, y_test, found.num_classes)
    options = {"checkpoint": None, "progress": False, "device": "cpu"}
    top = pairs.trained(config, config.top, source, options)
    [error] = pairs.freeze_trained(config, config.top, source, top, ["normalise"], options)
    assert error == pytest.approx(study._errors(top, source), abs=0.02)


def test_what_the_table_takes_from_the_curves(store, record):
    records = {r.key: r for r in store.records("stitching")}
    table = tables.stitching(store.table("stitching"), presets=("smoke",), records=records).set_index("key")
    row, m = table.loc[record.key], record.metrics
    worst = max(m["top_error"] + p for p in record.curves["penalty"])
    assert row.barrier == pytest.approx(worst - max(m["top_error"], m["bottom_error"]))
    assert row.late_into_early_task == record.arrays["task"][1][0]
    assert row.late_into_early_least_squares == record.arrays["least_squares"][1][0]
    assert (row["map"], row.pair) == ("the paper's", "two seeds")
    assert set(table[~table.usual]["map"]) >= {"least squares", "orthogonal"}
    # frozen until the deepest stage that costs at most 2 points, or nothing to say
    frozen = table[table.freeze]
    assert len(frozen) == 1
    curves = records[frozen.index[0]].curves
    free = [e for e, excess in zip(curves["freeze_error"], curves["excess"], strict=True) if excess <= 0.02]
    assert frozen.freeze_error.iloc[0] == (free[-1] if free else pytest.approx(np.nan, nan_ok=True))
    bare = tables.stitching(store.table("stitching"), presets=("smoke",))
    assert bare.barrier.isna().all()


def test_rank_correlations_are_of_one_pair():
    rows = pd.DataFrame(
        {"key": list("aaabbb"), "excess": [3, 2, 1, 1, 2, 3], "linear_cka": [0.9, 0.5, 0.1, 0.9, 0.5, 0.1]}
    )
    assert tables.rank_correlations(rows).to_dict() == {"a": pytest.approx(1), "b": pytest.approx(-1)}


def test_the_large_network_is_trained_and_stitched_as_the_authors_do(monkeypatch):
    """Crops and flips for the networks, the bottom recalibrated too, all stages of ResNet-18, all test images."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (96, 3, 8, 8), dtype=np.uint8), np.arange(96) % 10
    asked, fitted, cached = {}, [], []

    def load(name, **options):
        asked.update(options, name=name)
        return Dataset(name, x[:64], y[:64], x[64:], y[64:], 10, tuple("0123456789"), "random")

    real, curve = training.fit, study.penalty_curve
    monkeypatch.setattr(study.data, "load", load)
    monkeypatch.setattr(pairs.training, "fit", lambda *a, **k: fitted.append(k.get("augment")) or real(*a, **k))
    monkeypatch.setattr(study, "penalty_curve", lambda *a, **k: cached.append(k["cache"]) or curve(*a, **k))
    tiny = {"n_train": 64, "width": 4, "epochs": 1, "stitch_epochs": 1}
    record = study.run(Config.from_parameters(preset="gpu", **tiny), device="cpu")
    assert asked["name"] == "cifar10"
    assert asked["n_test"] is None
    assert fitted[:2] == [augment.crop_flip] * 2
    assert cached == [None]
    assert record.curves["top_stage"][0] == "stem"
    assert len(record.curves["penalty"]) == 10
    assert record.metrics["num_test"] == 32
