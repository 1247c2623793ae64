"""Data sets: generated, embedded and real ones; what is opened is checked, what is missing is said."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from dlcore import data
from dlcore.data import mnist1d, vision

REAL = os.environ.get("DLCORE_DATA")
needs_data = pytest.mark.skipif(not REAL, reason="DLCORE_DATA is not set: no real data sets here")


def test_mnist1d_is_deterministic_nested_and_standardised():
    x, y = mnist1d.generate(2500, seed=3)
    again, labels = mnist1d.generate(1200, seed=3)
    assert np.array_equal(x[:1200], again)
    assert np.array_equal(y[:1200], labels)
    assert abs(x.mean()) < 0.02
    assert abs(x.std() - 1) < 0.02
    assert set(y) == set(range(10))


def test_mnist1d_streams_and_seeds_differ():
    train, test = (mnist1d.generate(500, seed=1, stream=s)[0] for s in (0, 1))
    assert not np.isin(train[:, 0, 5], test[:, 0, 5]).any()
    assert not np.array_equal(train, mnist1d.generate(500, seed=2)[0])


def test_mnist1d_is_as_hard_as_the_published_one():
    """A linear classifier reaches about a third on the released set; templates alone are separable."""
    d = data.load("mnist1d", n_test=2000)
    flat = [v.reshape(len(v), -1) for v in (d.train_inputs, d.test_inputs)]
    score = LogisticRegression(max_iter=1000).fit(flat[0], d.train_labels).score(flat[1], d.test_labels)
    assert 0.27 < score < 0.38
    assert len(np.unique(mnist1d.templates(), axis=0)) == 10
    assert np.allclose(mnist1d.templates()[:, 0], 0)


def test_digits_split():
    a, b = data.load("digits", seed=0), data.load("digits", seed=1)
    assert (len(a.train_labels), len(a.test_labels)) == (1200, 597)
    assert not set(a.extra["train_index"]) & set(a.extra["test_index"])
    assert a.checksum != b.checksum
    small = data.load("digits", seed=0, n_train=250)
    assert np.array_equal(small.train_inputs, a.train_inputs[:250])
    assert np.array_equal(small.test_labels, a.test_labels)


def test_asking_for_too_much_or_the_unknown():
    with pytest.raises(ValueError, match="unknown dataset 'digit'; did you mean 'digits'"):
        data.load("digit")
    with pytest.raises(ValueError, match="1797 rows"):
        data.load("digits", n_train=5000)
    with pytest.raises(ValueError, match="n_train = 0"):
        data.load("digits", n_train=0)


def test_missing_data_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv("DLCORE_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="fashion_mnist was not found.*DLCORE_DATA.*--download fashion_mnist"):
        data.load("fashion_mnist")
    with pytest.raises(FileNotFoundError, match=r"uci/letter\.csv\.gz"):
        data.load("letter", root=tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        data.load("mnist", root=tmp_path / "nowhere")
    assert data.available(tmp_path)["cifar10"] == "missing"


def test_damaged_files_are_named(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(b"\0" * 1000)
    with pytest.raises(OSError, match=r"train-images-idx3-ubyte is not the published file \(1000 bytes"):
        data.load("mnist", root=tmp_path)
    batches = tmp_path / "cifar10"
    batches.mkdir()
    np.savez(batches / "train_1.npz", images=np.zeros((3, 32, 32, 3), np.uint8), labels=np.zeros(3, np.uint8))
    with pytest.raises(OSError, match=r"train_1\.npz is not a CIFAR-10 batch"):
        data.load("cifar10", root=tmp_path)
    (batches / "train_1.npz").write_bytes(b"PK not a zip")
    with pytest.raises(OSError, match=r"train_1\.npz is damaged"):
        data.load("cifar10", root=tmp_path)
    (tmp_path / "uci").mkdir()
    (tmp_path / "uci" / "vowel.csv.gz").write_bytes(b"not gzip")
    with pytest.raises(OSError, match="vowel"):
        data.load("vowel", root=tmp_path)


def test_to_float():
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 4, 4)).astype(np.uint8)
    images[:, 1] = 7
    out = data.to_float(images, images)
    assert out.dtype == np.float32
    assert np.allclose(out.mean((0, 2, 3)), 0, atol=1e-5)
    assert np.allclose(out.std((0, 2, 3)), [1, 0, 1], atol=1e-5)


@needs_data
@pytest.mark.parametrize("name", [n for n in data.NAMES if n != "cifar10_full"])
def test_real_sets_load(name):
    # without the large ones in memory at once
    vision._cached.cache_clear()
    d = data.load(name, n_train=300, n_test=100, seed=2)
    assert len(d.train_labels) == 300
    assert d.train_labels.max() < d.num_classes == len(d.class_names)
    assert np.isfinite(data.to_float(d.train_inputs, d.train_inputs)).all()


@needs_data
def test_cifar10_holds_out_batch_five_and_carries_human_labels():
    d = data.load("cifar10", n_train=2000)
    assert len(d.test_labels) == 10_000
    assert "not the official test set" in d.split
    given, given_test = d.extra["human_labels"]["worse"]
    assert 0.36 < (given != d.train_labels).mean() < 0.44
    assert 0.36 < (given_test != d.test_labels).mean() < 0.44


@needs_data
def test_real_data_folder_is_not_written_to(tmp_path):
    source = Path(REAL) / "uci" / "vowel.csv.gz"
    (tmp_path / "uci").mkdir()
    shutil.copy(source, tmp_path / "uci")
    before = sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*"))
    data.load("vowel", root=tmp_path)
    assert sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*")) == before
