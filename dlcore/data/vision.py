"""MNIST, Fashion-MNIST and CIFAR-10 from a folder in torchvision's layout, with CIFAR-10N's human labels."""

from __future__ import annotations

import functools
import hashlib
import pickle
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_FOLDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}
_FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# SHA-256 of the uncompressed idx files; the published files, byte for byte
_IDX = {
    ("mnist", "train-images"): "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ("mnist", "train-labels"): "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ("mnist", "t10k-images"): "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ("mnist", "t10k-labels"): "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ("fashion_mnist", "train-images"): "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ("fashion_mnist", "train-labels"): "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ("fashion_mnist", "t10k-images"): "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ("fashion_mnist", "t10k-labels"): "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


@dataclass(frozen=True)
class Pools:
    """All training and test rows of a set, before subsets are drawn. `human_labels`: name -> (train, test)."""

    train_inputs: np.ndarray
    train_labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    split: str
    human_labels: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


def find(name: str, folder: Path | None) -> Path | None:
    """Returns the path that holds a set, or None."""
    if folder is None:
        return None
    if name in _FOLDERS:
        path = folder / _FOLDERS[name] / "raw"
        return path if (path / "train-images-idx3-ubyte").exists() else None
    batches = folder / "cifar-10-batches-py"
    if batches.is_dir():
        return batches
    arrays = folder / "cifar10"
    return arrays if name == "cifar10" and (arrays / "train_1.npz").exists() else None


def pools(name: str, folder: Path | None, download: bool = False) -> Pools:
    """Returns a set's pools, from files that were checked.

    "cifar10" trains on data batches 1 to 4 and tests on batch 5, in every layout, so that results made with and
    without the official test file compare; "cifar10_full" is the official split.
    """
    if find(name, folder) is None and download:
        from torchvision import datasets

        kinds = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST}
        kinds.get(name, datasets.CIFAR10)(str(folder), download=True)
    path = find(name, folder)
    if path is None:
        looked = f"in {folder}" if folder else "(DLCORE_DATA is not set)"
        raise FileNotFoundError(
            f"{name} was not found {looked}; set DLCORE_DATA to a folder in torchvision's layout, "
            f"or run: python -m dlcore data --download {name}"
        )
    return _cached(name, path)


@functools.lru_cache(maxsize=2)
def _cached(name: str, path: Path) -> Pools:
    if name in _FOLDERS:
        arrays = [
            _idx(name, path, f"{part}-{kind}", suffix)
            for part in ("train", "t10k")
            for kind, suffix in (("images", "idx3"), ("labels", "idx1"))
        ]
        x, y, x_test, y_test = arrays
        names = _FASHION if name == "fashion_mnist" else tuple("0123456789")
        return Pools(x[:, None], y, x_test[:, None], y_test, names, "official 60,000 train and 10,000 test images")
    batches = _cifar_pickles(path) if path.name == "cifar-10-batches-py" else _cifar_arrays(path)
    if name == "cifar10_full":
        (x, y), (x_test, y_test) = _join(batches[:5]), batches[5]
        return Pools(x, y, x_test, y_test, _CIFAR, "official 50,000 train and 10,000 test images")
    (x, y), (x_test, y_test) = _join(batches[:4]), batches[4]
    split = "train: data batches 1 to 4 of CIFAR-10; test: data batch 5, held out (not the official test set)"
    return Pools(x, y, x_test, y_test, _CIFAR, split, _human(path.parent / "cifar10", np.concatenate([y, y_test])))


def _join(batches: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches])


def _idx(name: str, path: Path, part: str, suffix: str) -> np.ndarray:
    file = path / f"{part}-{suffix}-ubyte"
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing; {name} needs the uncompressed idx files of torchvision's layout")
    raw = file.read_bytes()
    if hashlib.sha256(raw).hexdigest() != _IDX[name, part]:
        raise OSError(f"{file} is not the published file ({len(raw)} bytes, wrong SHA-256): damaged or another set")
    if suffix == "idx1":
        return np.frombuffer(raw, np.uint8, offset=8).astype(np.int64)
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)


def _check_batch(file: Path, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if x.shape != (10000, 3, 32, 32) or y.shape != (10000,) or x.dtype != np.uint8 or y.max() > 9:
        raise OSError(f"{file} is not a CIFAR-10 batch: images {x.shape} {x.dtype}, labels {y.shape}")
    return np.ascontiguousarray(x), y.astype(np.int64)


def _cifar_pickles(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    found = []
    for file in [path / f"data_batch_{k}" for k in range(1, 6)] + [path / "test_batch"]:
        try:
            with open(file, "rb") as f:
                raw = pickle.load(f, encoding="latin1")
        except FileNotFoundError:
            raise FileNotFoundError(f"{file} is missing; CIFAR-10 needs data_batch_1..5 and test_batch") from None
        except (pickle.UnpicklingError, EOFError) as error:
            raise OSError(f"{file} is damaged: {error}") from error
        found.append(_check_batch(file, raw["data"].reshape(-1, 3, 32, 32), np.asarray(raw["labels"])))
    return found


def _cifar_arrays(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    found = []
    for file in [path / f"train_{k}.npz" for k in range(1, 6)]:
        try:
            with np.load(file) as raw:
                found.append(_check_batch(file, raw["images"].transpose(0, 3, 1, 2), raw["labels"]))
        except FileNotFoundError:
            raise FileNotFoundError(f"{file} is missing; CIFAR-10 needs train_1.npz to train_5.npz") from None
        except (zipfile.BadZipFile, ValueError, KeyError, EOFError) as error:
            raise OSError(f"{file} is damaged: {error}") from error
    return found


def _human(folder: Path, labels: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns CIFAR-10N's labels of the 50,000 training images, split as the images are; {} when there are none."""
    file = folder / "cifar10n_labels.npz"
    if not file.exists():
        return {}
    with np.load(file) as raw:
        if not np.array_equal(raw["clean_label"], labels):
            raise OSError(f"{file}: its clean labels are not those of the images, so the order differs")
        names = {"aggre": "aggre_label", "worse": "worse_label"} | {f"random{k}": f"random_label{k}" for k in (1, 2, 3)}
        whole = {k: raw[v].astype(np.int64) for k, v in names.items()}
    return {k: (v[:40000], v[40000:]) for k, v in whole.items()}
