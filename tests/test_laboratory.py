"""What the page's own experiments are made of: the digits' bank, the recorded runs, the scripts' weight, the directive."""

import gzip
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dlcore import data, noise, probing
from dlcore.metrics import rationality
from dlcore.records import PACKAGED, RecordStore

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "book"), str(ROOT / "book" / "_ext")]

import experiments  # noqa: E402
import laboratory  # noqa: E402
import plain  # noqa: E402

SCRIPTS = ROOT / "book" / "_static" / "lab"


@pytest.fixture(scope="module")
def bare():
    """The scripts as the site has them."""
    return {p.stem: laboratory.bare(p.read_text("utf8")) for p in sorted(SCRIPTS.glob("*.js"))}


@pytest.fixture(scope="module")
def banks():
    """The banks' scripts, with one encoder of the two, which takes twenty seconds to learn."""
    return laboratory.banks(("digits", "recorded", "vicreg"))


def _content(script):
    return json.loads(re.fullmatch(r"dlLab\.banks\.\w+=(.*);\n", script)[1])


def _levels(text):
    return np.frombuffer(text.encode(), np.uint8) - ord("0")


def _weight(text):
    """What a reader loads: a server compresses it."""
    return len(gzip.compress(text.encode()))


def test_the_bank_holds_scikit_learns_digits(banks):
    bank, source = _content(banks["digits"]), load_digits()
    assert (_levels(bank["pixels"]).reshape(source.data.shape) == source.data).all()
    assert bank["labels"] == "".join(map(str, source.target))


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_the_sparse_law_of_any_rate_is_the_studys(banks, rate):
    sparse = _content(banks["digits"])["sparse"]
    moved = np.minimum(rate * np.array(sparse["moved"]), 0.95)
    law = moved[:, None] * np.array(sparse["to"]) + np.diag(1 - moved)
    np.testing.assert_allclose(law, noise.sparse_confusion(10, rate, seed=2020), atol=1e-12)


def test_recorded_intervals_span_the_records(banks):
    found = _content(banks["recorded"])["samplers"]["cyclic"]
    wanted = {"dataset": "digits", "experiment": "cyclic", "architecture": "knn", "neighbours": 15, "noise": 0.3}
    wanted |= {"n_train": 1200, "feature": False}
    rates = [
        r.metrics["flip_rate_test"]
        for r in RecordStore(PACKAGED).records("distributional")
        if all(r.config[k] == v for k, v in wanted.items()) and r.config["preset"] != "smoke"
    ]
    at = found["15-NN"]["rates"].index(0.3)
    assert found["15-NN"]["seeds"][at] == len(rates) >= 5
    ours = [found["15-NN"][k][at] for k in ("low", "mean", "high")]
    assert ours == pytest.approx([min(rates), np.mean(rates), max(rates)], abs=1e-5)


def test_recorded_penalties_and_counting_losses_are_those_of_the_records(banks):
    """The bottoms of half-random labels at their last stage; the learner of clean pairs, in nats a word."""
    found = _content(banks["recorded"])
    wanted = {"dataset": "mnist1d", "architecture": "mlp", "noise": 0.5, "family": "auto", "stitcher_data": "top"}
    wanted |= {"bn_mode": "recalibrate", "init": "random", "width": 128}
    last = [
        r.curves["penalty"][-1]
        for r in RecordStore(PACKAGED).records("stitching")
        if all(r.config.get(k) == v for k, v in wanted.items()) and r.config["preset"] != "smoke"
    ]
    ours = found["stitching"]["trained 0.5"]
    assert ours["seeds"][-1] == len(last) >= 5
    assert [ours[k][-1] for k in ("low", "mean", "high")] == pytest.approx(
        [min(last), np.mean(last), max(last)], abs=1e-5
    )
    assert ours["of"].startswith("MLPs of 4 layers of 128 units, 40 epochs")
    pairs = {"dataset": "transduction", "architecture": "2L2L", "noise_kind": "none", "width": 64, "pairs": 1024}
    clean = [
        (r.metrics["reference"] - r.metrics["floor"]) * 17.97 / 6
        for r in RecordStore(PACKAGED).records("scaling")
        if all(r.config.get(k) == v for k, v in pairs.items()) and r.config["preset"] == "laptop"
    ]
    counting = found["counting"]["0"]
    at = counting["rates"].index(1024)
    assert [counting[k][at] for k in ("low", "high")] == pytest.approx([min(clean), max(clean)], rel=1e-2)


def test_banks_of_a_page_are_light(banks):
    """With another encoder's features as large as these."""
    assert sum(map(_weight, [*banks.values(), banks["vicreg"]])) < 200_000


def test_rounded_features_memorise_as_much_as_recorded(banks):
    """By the package's own probe, on features in 32 levels: within what the recorded seeds span, and half a point."""
    bank, known = _content(banks["vicreg"]), _content(banks["recorded"])["rationality"]["vicreg ridge"]
    rows = bank["low"] + bank["step"] * _levels(bank["levels"]).reshape(1597, -1)
    source = data.load("digits", n_train=1000, seed=0)
    noisy = probing.noisy_draws(source.train_labels, 10, 0.2, 0, 200)
    told = probing.probe("ridge", rows[:1000], noisy, rows[1000:], 10, strength=1.0)
    e = rationality.noisy_experiment(told.train, noisy, source.train_labels)
    at = known["rates"].index(0.2)
    low, high = (known["memorization"][k][at] for k in ("low", "high"))
    assert low - 0.005 < e.train_noisy - e.noisy_train < high + 0.005


def test_scripts_are_light(bare):
    """Compressed: all that load.js names for one experiment, what the experiments share, and all of it."""
    text = (SCRIPTS / "load.js").read_text("utf8")
    ground = json.loads(re.search(r"ground = (\[.*\]);", text)[1])
    needed = {k: json.loads(v) for k, v in re.findall(r"^    (\w+): (\[.*?\]),?$", text, re.M)}
    assert needed.keys() == experiments.EXPERIMENTS.keys()
    for name, parts in needed.items():
        assert sum(_weight(bare[part]) for part in {"load", *ground, *parts}) < 19_000, name
    assert {"load", *ground}.union(*needed.values()) == bare.keys()
    assert _weight("".join(script for name, script in bare.items() if name not in needed)) < 18_000
    assert _weight("".join(bare.values())) < 32_000


def test_scripts_lose_only_their_comments(bare):
    assert all("//" not in re.sub(r'"[^"\n]*"|http://', "", text) for text in bare.values())
    assert "dlLab" in bare["core"]
    # ours ask for nothing beside their own files: what they name is the name space of drawings alone
    assert set(re.findall(r"https?://[^\"'`]+", "".join(bare.values()))) == {"http://www.w3.org/2000/svg"}


def test_the_plain_edition_has_a_link_in_place_of_an_experiment():
    import nbformat

    cell = nbformat.v4.new_markdown_cell("# A chapter\n\nRun it:\n\n:::{laboratory} samplers\n:::")
    book = nbformat.v4.new_notebook(cells=[cell])
    done = plain._edition(book, {}, lambda *a: "", ROOT, "https://site/notebooks/1.html").cells[0].source
    assert "laboratory" not in done
    assert "[the book's page](https://site/notebooks/1.html)" in done
    without = plain._edition(book, {}, lambda *a: "", ROOT, "").cells[0].source
    assert "the book's page this experiment runs" in without


def test_every_experiment_stands_in_one_chapter_and_in_the_laboratory():
    found = {
        path.stem: re.findall(r"^# :::\{laboratory\} (\w+)$", path.read_text("utf8"), re.M)
        for path in sorted((ROOT / "notebooks").glob("*.py"))
    }
    assert sorted(found.pop("5_lab")) == sorted(experiments.EXPERIMENTS)
    assert sorted(name for names in found.values() for name in names) == sorted(
        experiments.EXPERIMENTS.keys() - {"yours"}
    )
