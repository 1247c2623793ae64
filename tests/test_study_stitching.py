"""The study of chapter 2: roles, sizes, errors, one run, networks shared by pairs."""

import numpy as np
import pandas as pd
import pytest
import torch

from dlcore import augment, data, measures, studies, training
from dlcore.data import Dataset
from dlcore.records import PACKAGED, RecordStore
from dlcore.studies import recorded
from dlcore.studies.stitching import Config
from dlcore.studies.stitching import experiment as study
from dlcore.studies.stitching import networks as pairs
from dlcore.studies.stitching import sentences as prose
from dlcore.studies.stitching.table import by_stage, code, order_table, pair_name, rank_correlations

SMOKE = {**Config.PRESETS["smoke"], "epochs": 10, "width": 16, "n_train": 600, "stitch_epochs": 2}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return RecordStore(tmp_path_factory.mktemp("store"), packaged=False)


@pytest.fixture(scope="module")
def record(store):
    return store.load_or_run(Config(**SMOKE, cross=True), device="cpu")


@pytest.fixture(scope="module")
def closed(store, record):
    return store.load_or_run(Config(**SMOKE, family="least_squares"), device="cpu")


@pytest.fixture(scope="module")
def frozen(store):
    return store.load_or_run(Config(**{**SMOKE, "freeze": True, "bottom_share": 0.25}), device="cpu")


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
    # of CIFAR-10: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck
    labels, classes = pairs.labels_of(Config(preset="smoke", dataset="cifar10", bottom_labels="objects").bottom, source)
    assert (labels[:10].tolist(), classes) == ([0, 0, 1, 1, 1, 1, 1, 1, 0, 0], 2)


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


@pytest.mark.parametrize("objective", ["supervised", "simclr"])
def test_a_network_is_that_of_its_seed_whatever_was_drawn_before(objective):
    config = Config(**{**SMOKE, "n_train": 64, "epochs": 1}, bottom_objective=objective)
    nets = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        made = pairs.trained(config, config.bottom, _source(config), {"checkpoint": None, "device": "cpu"})
        nets.append(made.state_dict())
    assert all(torch.equal(value, nets[1][name]) for name, value in nets[0].items())


def test_the_grid_is_valid_and_has_no_run_twice():
    keys = [config.key for group in recorded("stitching").values() for config in group]
    assert len(keys) == len(set(keys)) > 200


def test_a_converged_pair_says_how_it_was_found(store, monkeypatch):
    monkeypatch.setattr(study, "SEARCH_STEPS", (5, 10, 20))
    config = Config(**SMOKE, converged=True, shuffles=3)
    assert config.key != Config(**SMOKE).key
    record = store.load_or_run(config, device="cpu")
    names = ("chosen_start", "chosen_steps", "validation_error", "validation_error_first", "self_penalty_random_start")
    stages = len(record.curves["depth"])
    assert [len(record.curves[name]) for name in names] == [stages] * len(names)
    found = record.curves
    assert set(found["chosen_start"]) <= {"least_squares", "random"}
    assert all(np.subtract(found["validation_error"], found["validation_error_first"]) <= 0)
    assert record.metrics["num_test"] == 297  # the other 300 chose
    table = store.table("stitching")
    table = studies.table("stitching", table[table.key == record.key], presets=["smoke"], records={record.key: record})
    row = table.set_index("key").loc[record.key]
    assert row["map"] == "the paper's, best of a search"
    assert not row.usual
    assert row.self_penalty_max == max(found["self_penalty"])
    assert row.cka_null == max(found["linear_cka_null_threshold"])
    for name in study.INDICES:
        assert len(found[f"{name}_null_mean"]) == stages
        assert np.all(np.array(found[f"{name}_null_mean"]) <= np.array(found[name]) + 0.05)
    for wrong in ({"family": "least_squares"}, {"init": "least_squares"}, {"cross": True}):
        with pytest.raises(ValueError, match="converged"):
            Config(**SMOKE, converged=True, **wrong)


def test_a_population_measures_what_three_chapters_ask(store):
    """The numbers by another route: the two networks trained again, their predictions counted by hand."""
    half = {"top_share": 0.5, "bottom_share": 0.5, "disjoint": True, "population": True, "init": "least_squares"}
    noisy, clean = (Config(**{**SMOKE, "epochs": 30, **half, "noise": rate}) for rate in (0.4, 0.0))
    found = {c.key: store.load_or_run(c, device="cpu") for c in (noisy, clean)}
    m = found[noisy.key].metrics
    source = _source(noisy)
    options = {"checkpoint": None, "progress": False, "device": "cpu"}
    one, two = (pairs.trained(noisy, role, source, options) for role in (noisy.bottom, noisy.twin))
    given = pairs.labels_of(noisy.bottom, source)[0][300:]
    seen, truth = training.predict(one, source.x[300:]), source.y[300:]
    wrong = given != truth
    assert 0.25 < m["flip_rate"] < 0.45
    assert m["flip_rate"] == pytest.approx(float(wrong.double().mean()))
    assert m["noisy_train"] == pytest.approx(float((seen == truth)[wrong].double().mean()))
    assert m["memorization"] == pytest.approx(float((seen == truth).double().mean()) - m["noisy_train"])
    assert m["fitted_wrong"] == pytest.approx(float(((seen == given) & wrong).double().mean()))
    tests = [training.predict(net, source.x_test) for net in (one, two)]
    assert m["agreement"] == pytest.approx(float((tests[0] == tests[1]).double().mean()))
    right = np.mean([float((f == source.y_test).double().mean()) for f in tests])
    assert m["accuracy_noisy"] == pytest.approx(0.6 * right + 0.04)
    assert not torch.equal(given, pairs.labels_of(noisy.twin, source)[0][300:]), "noise of its own"
    assert np.isnan(found[clean.key].metrics["memorization"])
    table = store.table("stitching")
    table = studies.table("stitching", table[table.key.isin(found)], presets=["smoke"], records=found).set_index("key")
    row, before = table.loc[noisy.key], 1 - found[clean.key].metrics["bottom_error"]
    assert row.pair == "disjoint halves, 40 % random labels"
    assert row.memorized_share == pytest.approx(m["memorization"] / (1 - m["flip_rate"]))
    lost, sampled = before - (1 - m["bottom_error"]), before - (0.6 * before + 0.04)
    assert row.sampler_share == pytest.approx(lost / sampled)
    assert np.isnan(table.loc[clean.key].sampler_share)
    with pytest.raises(ValueError, match="population"):
        Config(**SMOKE, population=True)


def _source(config):
    found = data.load(config.dataset, n_train=config.n_train, seed=config.seed)
    x, x_test = (study.pretraining.to_unit(part) for part in (found.train_inputs, found.test_inputs))
    y, y_test = torch.from_numpy(found.train_labels), torch.from_numpy(found.test_labels)
    return pairs.Inputs(x, y, x_test, y_test, found.num_classes)


def test_the_claims_on_a_population():
    rows = []
    for seed in range(3):
        for noise in (0.0, 0.1, 0.2, 0.4):
            for time in (0.25, 0.5, 1.0):
                done = time if noise else np.nan
                row = {"population": True, "dataset": "mnist1d", "seed": seed, "noise": noise, "bottom_time": time}
                row |= {"memorized_share": done, "sampler_share": done, "fitted_wrong": noise * time}
                row |= {"excess_last": noise * time, "bottom_train_error": 0.1 * (time < 1), "agreement": 0.8}
                rows.append(row | {"accuracy_noisy": 0.8 + 0.01 * seed, "excess_first": 0.01 * noise})
    table = pd.DataFrame(rows)
    studies.part("stitching", "claims")  # registers its measures
    found = {k: f(table) for k, f in measures.MEASURES.items() if k.startswith("population")}
    for name in ("sampler", "stitching", "stitching-within"):
        assert found[f"population-{name}"].value == pytest.approx(1), name
        assert found[f"population-{name}"].runs == 3
    assert found["population-agreement"].value == pytest.approx(0.01)
    assert found["population-first-stage"].value == pytest.approx(0.004)
    none = {k: measures.MEASURES[k](table[table.noise == 0]) for k in found}
    assert set(none.values()) == {None}


def test_freeze_training(frozen):
    settings, record = {**SMOKE, "freeze": True, "bottom_share": 0.25}, frozen
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
    found = data.load(config.dataset, n_train=config.n_train, seed=config.seed)
    x, x_test = (study.pretraining.to_unit(part) for part in (found.train_inputs, found.test_inputs))
    y, y_test = torch.from_numpy(found.train_labels), torch.from_numpy(found.test_labels)
    source = pairs.Inputs(x, y, x_test, y_test, found.num_classes)
    options = {"checkpoint": None, "progress": False, "device": "cpu"}
    top = pairs.trained(config, config.top, source, options)
    [error] = pairs.freeze_trained(config, config.top, source, top, ["normalise"], options)
    assert error == pytest.approx(study._errors(top, source), abs=0.02)


def test_what_the_table_takes_from_the_curves(store, record, closed, frozen):
    records = {r.key: r for r in (record, closed, frozen)}
    every = store.table("stitching")
    every = every[every.key.isin(records)]
    table = studies.table("stitching", every, presets=("smoke",), records=records).set_index("key")
    row, m = table.loc[record.key], record.metrics
    worst = max(m["top_error"] + p for p in record.curves["penalty"])
    assert row.barrier == pytest.approx(worst - max(m["top_error"], m["bottom_error"]))
    assert row.late_into_early_task == record.arrays["task"][1][0]
    assert row.late_into_early_least_squares == record.arrays["least_squares"][1][0]
    # two stages: the same order or the opposite one
    cka, excess = (np.diff(record.curves[name])[0] for name in ("linear_cka", "excess"))
    assert row.cka_order == pytest.approx(np.sign(cka * excess) if cka * excess else np.nan, nan_ok=True)
    assert (row["map"], row.pair) == ("the paper's", "two seeds")
    assert list(table[~table.usual]["map"]) == ["least squares"]
    # frozen until the deepest stage that costs at most 2 points, or nothing to say
    assert list(table[table.freeze].index) == [frozen.key]
    free = [
        e for e, excess in zip(frozen.curves["freeze_error"], frozen.curves["excess"], strict=True) if excess <= 0.02
    ]
    assert table.freeze_error[frozen.key] == (free[-1] if free else pytest.approx(np.nan, nan_ok=True))
    bare = studies.table("stitching", every, presets=("smoke",))
    assert bare.barrier.isna().all()


@pytest.mark.parametrize(("stitcher_data", "count"), [("top", 150), ("all", 600)])
def test_the_map_sees_the_top_s_samples_or_all(monkeypatch, stitcher_data, count):
    """The confound of the original, as a setting: what is given to the map is counted, and is the top's own first part."""
    given, curve = [], study.penalty_curve

    def noted(bottom, top, data, *rest, **more):
        given.append(data)
        return curve(bottom, top, data, *rest, **more)

    monkeypatch.setattr(study, "penalty_curve", noted)
    settings = {**SMOKE, "epochs": 1, "top_share": 0.25, "stitcher_data": stitcher_data, "family": "least_squares"}
    record = study.run(Config(**settings), device="cpu")
    [(x, y, x_test, _)] = given
    assert len(x) == len(y) == record.metrics["num_train"] == count
    whole = data.load("digits", n_train=600, seed=0)
    assert torch.equal(y, torch.from_numpy(whole.train_labels)[:count])
    assert len(x_test) == record.metrics["num_test"] == len(whole.test_labels)


def test_rank_correlations_are_of_one_pair():
    rows = pd.DataFrame(
        {"key": list("aaabbb"), "excess": [3, 2, 1, 1, 2, 3], "linear_cka": [0.9, 0.5, 0.1, 0.9, 0.5, 0.1]}
    )
    assert rank_correlations(rows).to_dict() == {"a": pytest.approx(1), "b": pytest.approx(-1)}


DIFFERENCES = [
    *(("seeds",), ("halves",), ("superclasses",), ("to a quarter", 1.0), ("width", 4.0), ("time", 0.25)),
    *(("bottom", "simclr", time) for time in (1.0, 2.0)),
    *(("noise", share) for share in (0.1, 0.5, 1.0)),
    ("share", 0.25),
]
CONTRASTS = {pair_name(*difference): code(*difference) for difference in DIFFERENCES}


def _row(kind, **more):
    row = {
        "pair": kind,
        "contrast": CONTRASTS[kind],
        "dataset": "cifar10",
        "architecture": "resnet18",
        "seed": 0,
        "map": "the paper's",
    }
    row |= {
        "usual": True,
        "usual_width": True,
        "stitcher_data": "top",
        "width": 64,
        "key": f"{kind} {sorted(more.items())}",
    }
    row |= dict.fromkeys(("top_error", "bottom_error", "barrier", "penalty_last", "top_share", "freeze_error"), 0.5)
    row["random_excess_mid"] = 0.5
    row |= {f"excess_{where}": 0.5 for where in ("first", "mid", "half", "max", "last")}
    usual = {"family": "auto", "bn_mode": "recalibrate", "init": "random", "kernel_size": 1, "freeze": False}
    usual |= {"converged": False, "shuffles": 0}
    return row | usual | {"linear_cka_mid": 0.5, "bottom_share": 1.0} | more


def _per_stage(rows):
    shared = ("key", "contrast", "pair", "dataset", "architecture", "usual", "usual_width")
    curves = {"penalty": [0.3, 0.1], "random_penalty": [0.2, 0.4], "excess": [0.2, 0.1], "linear_cka": [0.9, 0.5]}
    curves |= {"freeze_error": [0.1, 0.2], "freeze_random_error": [0.3, 0.4], "bottom_stage": ["hidden1", "hidden2"]}
    return pd.concat([pd.DataFrame({name: [row[name]] * 2 for name in shared} | curves) for row in rows])


def test_the_page_s_numbers_come_from_the_rows_that_they_name():
    simclr, fashion = "SimCLR bottom, supervised top", {"dataset": "fashion_mnist", "architecture": "resnet"}
    rows = [
        _row("two seeds", top_error=0.1),
        _row("two seeds", top_error=0.2, seed=1),
        _row("two seeds", top_error=0.9, seed=2, usual=False),
        _row("two seeds", top_error=0.9, seed=3, usual_width=False),
        _row("bottom all data, top a quarter", top_error=0.3),
        _row(simclr, bottom_error=0.22, excess_max=0.14),
        _row("SimCLR bottom (epochs x 2), supervised top", bottom_error=0.18, excess_max=0.09),
        _row("epochs x 0.25", bottom_error=0.4, excess_mid=0.21, excess_last=0.28),
        *(
            _row("two seeds", **fashion, seed=seed, barrier=barrier, **{"map": name, "usual": name == "the paper's"})
            for name, barriers in (
                ("the paper's", (0.2, 0.3, 0.9)),
                ("the paper's, kernel 3", (0.1, 0.1)),
                ("the paper's, BatchNorm frozen", (0.4, 0.5)),
            )
            for seed, barrier in enumerate(barriers)
        ),
    ]
    found = prose.numbers(pd.DataFrame(rows), _per_stage(rows))
    wanted = {"top": 0.15, "quarter": 0.3, "simclr": 0.22, "longer": 0.18, "simclr-max": 0.14, "longer-max": 0.09}
    wanted |= {"short": 0.4, "short-mid": 0.21, "short-last": 0.28}
    assert {name: found[f"large-{name}"] for name in wanted} == pytest.approx(wanted)
    assert found["large-coarse"] == np.inf  # no such run
    # the maps are compared on the seeds that have all of them
    assert found["barrier-fashion-least"] == pytest.approx(0.2)
    assert found["barrier-fashion-usual"] == pytest.approx(0.25)
    assert found["barrier-fashion-kernel"] == pytest.approx(0.1)
    assert found["barrier-fashion-frozen"] == pytest.approx(0.45)
    assert (found["first-trained"], found["first-untrained"]) == pytest.approx((0.3, 0.2))
    assert found["order-fashion"].startswith("1.00")
    assert found["order"] == "no run"
    assert all(isinstance(value, (float, str)) for value in found.values())


def test_the_page_s_numbers_are_there_on_the_shipped_records():
    store = RecordStore(PACKAGED)
    records = {r.key: r for r in store.records("stitching")}
    table = studies.table("stitching", store.table("stitching"), records=records)
    found = prose.numbers(table, by_stage(table, {k: r.curves for k, r in records.items()}))
    assert "no run" not in found.values()
    assert all(np.isfinite(value) for value in found.values() if not isinstance(value, str))


def test_ranks_by_kind_of_pair_and_setting():
    rows = [
        _row("two seeds"),
        _row("two seeds", seed=1),
        _row("two superclasses"),
        _row("width x 4", usual_width=False),
    ]
    stages = _per_stage(rows)
    stages.loc[(stages.key == rows[1]["key"]), "linear_cka"] = [0.5, 0.9]
    table = order_table(stages, {"cifar10, resnet18": "ResNet-18", "mnist1d, mlp": "MLP"})
    assert table.to_dict("list") == {
        "bottom": ["two seeds", "two superclasses"],
        "ResNet-18": ["+0.00 (-1.00 to +1.00; 2)", "+1.00 (1)"],
    }


def _measured(name, rows):
    studies.part("stitching", "claims")  # registers its measures
    return measures.MEASURES[name](pd.DataFrame(rows))


def test_two_pairs_of_one_seed_are_one_run():
    fashion = {"dataset": "fashion_mnist", "architecture": "resnet"}
    rows = [
        _row(pair, **fashion, seed=seed, barrier=barrier + extra)
        for seed, barrier in enumerate((0.1, 0.2, 0.3))
        for pair, extra in (("two seeds", 0.0), ("disjoint halves", 0.02))
    ]
    found = _measured("stitching-path-fashion", rows)
    assert (found.value, found.runs) == (pytest.approx(0.21), 3)
    # a t interval of the three means 0.11, 0.21, 0.31
    assert found.high == pytest.approx(0.21 + 4.303 * 0.1 / 3**0.5, abs=1e-3)


def test_weak_labels_are_measured_by_the_worst_bottom_of_each_seed():
    """Three bottoms of one seed share its top: they are one run, and the claim is about all of them."""
    kinds = ("two superclasses", "10 % random labels", "50 % random labels")
    rows = [
        _row(kind, seed=seed, excess_first=0.01 * (i + seed), excess_half=0.02 * (i + seed))
        for seed in (0, 1)
        for i, kind in enumerate(kinds)
    ]
    early, half = (_measured(f"stitching-weak-{when}-cifar10", rows) for when in ("early", "half"))
    assert (early.value, early.runs) == (pytest.approx(0.025), 2)
    assert (half.value, half.runs) == (pytest.approx(0.05), 2)
    single = _measured("stitching-weak-early-cifar10", rows[:3])
    assert single.runs == 1
    assert np.isnan(single.low)
    # a bottom is missing: the worst of the others would be another claim
    assert _measured("stitching-weak-early-cifar10", rows[:2]) is None


def test_what_a_setting_of_the_map_changes_is_measured_on_its_own_data_set():
    where = {"dataset": "fashion_mnist", "architecture": "resnet", "width": 8}
    rows = [
        *(_row("two seeds", **where, seed=s, excess_mid=0.05, penalty_mid=0.06) for s in (0, 1, 2)),
        *(_row("two seeds", **where, seed=s, kernel_size=3, usual=False, excess_mid=0.01) for s in (0, 1)),
        *(_row("two seeds", **where, seed=s, bn_mode="frozen", usual=False, penalty_mid=0.09) for s in (0, 1)),
    ]
    kernel, norm = (_measured(f"stitching-{name}-fashion", rows) for name in ("kernel", "batchnorm"))
    assert (kernel.value, kernel.runs) == (pytest.approx(-0.04), 2)
    assert (norm.value, norm.runs) == (pytest.approx(0.03), 2)
    assert _measured("stitching-kernel", rows) is None


def test_pairs_that_do_not_meet_a_claim_s_condition_are_counted():
    rows = [_row("SimCLR bottom, supervised top", excess_mid=0.06)]
    none = _measured("stitching-cka-disagrees-cifar10", rows)
    assert np.isnan(none.value)
    assert none.runs == 1
    assert _measured("stitching-cka-disagrees-cifar10", [row | {"excess_mid": 0.04} for row in rows]).value == 0.5
    own = {"dataset": "mnist1d", "architecture": "mlp", "freeze": True, "bottom_share": 0.25, "bottom_error": 0.7}
    frozen = [_row("bottom 25 % of the data", **own, seed=s, freeze_error=np.nan) for s in (0, 1)]
    assert _measured("stitching-freeze", frozen).runs == 2
    assert np.isnan(_measured("stitching-freeze", frozen).value)
    frozen[0]["freeze_error"] = 0.6
    assert _measured("stitching-freeze", frozen).value == pytest.approx(0.5)


def test_the_large_network_is_trained_and_stitched_as_the_authors_do(monkeypatch):
    """Crops and flips for the networks, the bottom recalibrated too, all stages of ResNet-18, all test images."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (96, 3, 8, 8), dtype=np.uint8), np.arange(96) % 10
    asked, fitted, cached = {}, [], []

    def load(name, **options):
        asked.update(options, name=name)
        return Dataset(name, x[:64], y[:64], x[64:], y[64:], 10, tuple("0123456789"), "random")

    real, curve = training.fit, study.penalty_curve
    monkeypatch.setattr(data, "load", load)
    monkeypatch.setattr(pairs.training, "fit", lambda *a, **k: fitted.append(k.get("augment")) or real(*a, **k))
    monkeypatch.setattr(study, "penalty_curve", lambda *a, **k: cached.append(k["cache"]) or curve(*a, **k))
    # with one thread a smaller width can crash in torch's bfloat16 backward pass
    tiny = {"n_train": 64, "width": 8, "epochs": 1, "stitch_epochs": 1}
    record = study.run(Config.from_parameters(preset="gpu", **tiny), device="cpu")
    assert asked["name"] == "cifar10"
    assert asked["n_test"] is None
    assert [how.func for how in fitted[:2]] == [augment.crop_flip] * 2
    assert cached == [None]
    assert record.curves["top_stage"][0] == "stem"
    assert len(record.curves["penalty"]) == 10
    assert record.metrics["num_test"] == 32
