"""MNIST, Fashion-MNIST and CIFAR-10 from a folder in torchvision's layout, with CIFAR-10N's human labels."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
import os
import pickle
import shutil
import warnings
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dlcore import cache, reading

SETS = ("mnist", "fashion_mnist", "cifar10", "cifar10_full")
Batch = tuple[np.ndarray, np.ndarray]  # inputs, labels

_TORCHVISION = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10", "cifar10_full": "CIFAR10"}
_FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# SHA-256 of the uncompressed idx files; the published files, byte for byte
_IDX = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}
# MD5 of torchvision's pickles, known to it too: checked *before* unpickling, which may run any code
_PICKLES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
# SHA-256 of the decoded contents, pixels (N, 3, 32, 32) then labels as bytes: of the data, not of its compression
_ARRAYS = {
    "train_1.npz": "ba52cb2d72c412975d7556bb26bd094956f1c002d1937053f6f1252f2ac17114",
    "train_2.npz": "350ff9000489d02f2568c0dcf4912ffdbae9e50932147905fb1b8159ad54f0ac",
    "train_3.npz": "a2b8653fc457df407af6c38b7e0d1a12530f3b5f81fce9f81516efd065daf722",
    "train_4.npz": "133e6292c377755074c305db8a684d48d5397372cb0aba34f52b4335eab35d97",
    "train_5.npz": "eb08cdc11fd1267ef871cf4790f193684b3f556d13317be68f4eb374a078ea87",
}
# of CIFAR-10N's labels, as bytes in the order of the images: annotator -> (name in the file, SHA-256)
_HUMAN = {
    "aggre": ("aggre_label", "2bd5e02e39c9c79772cf4c794f7b74630ac1aaeeac4b807a63c11e9a375f8404"),
    "worse": ("worse_label", "11a306ed336e3bc81aaac36322ddf12de379d0df1883aa43e10ba562a98f6b2a"),
    "random1": ("random_label1", "8d01b5a5af048e84bf6e964c86e1133e95d5b22c07763e23705b714ad0f32d8b"),
    "random2": ("random_label2", "7ea04c887750912f49669282a75e78df380077766b361fb6cb5200999ad6dcda"),
    "random3": ("random_label3", "cdbfad7e15bfc8fc83bc7c6e30b692e2aa1186660d82738b7543a6012d6ca46f"),
}
# NumPy 2.4.0 to 2.4.4 warns of CIFAR-10's pickles, which are older than its rules; nothing is wrong with them
_OLD_PICKLES = r"dtype\(\): align should be passed"
LARGEST = 2**26  # bytes of any file that we know, unpacked; an image file of CIFAR-10 has thirty million


@dataclass(frozen=True, eq=False)
class Pools:
    """All training and test rows of a set, before subsets are drawn.

    `human_labels`: name -> (train, test), CIFAR-10N, where they were found.
    """

    train_inputs: np.ndarray
    train_labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    split: str
    human_labels: dict[str, Batch] = field(default_factory=dict)


def layouts(name: str) -> dict[str, tuple[str, ...]]:
    """Returns the layouts that a set may have in a data folder: sub-folder -> the files that it needs there.

    >>> list(layouts("cifar10"))
    ['cifar-10-batches-py', 'cifar10']
    """
    if name in _IDX:
        return {f"{_TORCHVISION[name]}/raw": tuple(_IDX[name])}
    pickles = tuple(_PICKLES)
    if name == "cifar10_full":
        return {"cifar-10-batches-py": pickles}
    return {"cifar-10-batches-py": pickles[:5], "cifar10": tuple(_ARRAYS)}


def fetch(name: str, target: Path) -> None:
    """Downloads a set with torchvision into `target`; one that stops midway leaves nothing of the set there.

    Raises: RuntimeError when torchvision or the network is missing; the message says which.
    """
    try:
        from torchvision import datasets
    except ImportError as error:
        raise RuntimeError(f"downloading {name} needs torchvision: pip install torchvision ({error})") from error
    folder = next(iter(layouts(name)))
    cache.sweep(target)
    temporary = cache.temporary_name(target / "download")
    temporary.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, temporary, ignore_errors=True)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=_OLD_PICKLES)
                getattr(datasets, _TORCHVISION[name])(str(temporary), download=True)
        except (OSError, RuntimeError) as error:
            raise RuntimeError(f"{name} could not be downloaded: {error}") from error
        (target / folder).mkdir(parents=True, exist_ok=True)
        for file in (temporary / folder).iterdir():
            if file.suffix != ".gz":
                os.replace(file, target / folder / file.name)


@functools.lru_cache(maxsize=4)
def pools(name: str, path: Path, stamp: Hashable = None) -> Pools:
    """Returns a set's pools from the folder `path` of one of its layouts; its files are checked, for each `stamp` of them.

    "cifar10" trains on data batches 1 to 4 and tests on batch 5, in every layout, so that results made with and
    without the official test file compare; "cifar10_full" is the official split. Decoded arrays are kept for
    the rest of the process: treat them as read-only.

    Raises: OSError when a file is not the published one; the message names it.
    """
    if name in _IDX:
        x, y, x_test, y_test = (_idx(path / file, sha256) for file, sha256 in _IDX[name].items())
        names = _FASHION if name == "fashion_mnist" else tuple("0123456789")
        return Pools(x[:, None], y, x_test[:, None], y_test, names, "official 60,000 train and 10,000 test images")
    files = [path / file for file in layouts(name)[path.name]]
    if path.name == "cifar-10-batches-py":
        batches = [_pickled(file) for file in files]
    else:  # LZMA takes 2 to 3 s a part and releases the interpreter's lock
        with ThreadPoolExecutor() as threads:
            batches = list(threads.map(_array, files))
    if name == "cifar10_full":
        (x, y), (x_test, y_test) = map(np.concatenate, zip(*batches[:5], strict=True)), batches[5]
        return Pools(x, y, x_test, y_test, _CIFAR, "official 50,000 train and 10,000 test images")
    (x, y), (x_test, y_test) = map(np.concatenate, zip(*batches[:4], strict=True)), batches[4]
    split = "train: data batches 1 to 4 of CIFAR-10; test: data batch 5, held out (not the official test set)"
    human = _human(path.parent / "cifar10" / "cifar10n_labels.npz", np.concatenate([y, y_test]))
    return Pools(x, y, x_test, y_test, _CIFAR, split, human)


def _idx(file: Path, sha256: str) -> np.ndarray:
    """Returns the images (N, 28, 28) uint8 or the labels (N,) int64 of an idx file."""
    images, rows = "images" in file.name, 60_000 if file.name.startswith("train") else 10_000
    shape, header = ((rows, 28, 28), 16) if images else ((rows,), 8)
    raw, size = reading.read_bytes(file, LARGEST), header + math.prod(shape)
    if len(raw) != size:
        raise OSError(f"{file} has {len(raw):,} bytes, not {size:,}: truncated, or not the published file")
    given = tuple(int(v) for v in np.frombuffer(raw, ">i4", count=header // 4)[1:])
    if given != shape:
        raise OSError(f"{file} holds an array of shape {given}, not {shape}: not the published file")
    # 0.05 s for the largest file
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise OSError(f"{file} has the right size but the wrong SHA-256: damaged, or not the published file")
    values = np.frombuffer(raw, np.uint8, offset=header).reshape(shape)
    return values if images else values.astype(np.int64)


def _pickled(file: Path) -> Batch:
    raw = reading.read_bytes(file, LARGEST)
    if hashlib.md5(raw, usedforsecurity=False).hexdigest() != _PICKLES[file.name]:
        raise OSError(f"{file} ({len(raw):,} bytes) has the wrong MD5: damaged, or not the published file")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_OLD_PICKLES)
        values = pickle.loads(raw, encoding="latin1")
    x = values["data"].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(x), np.asarray(values["labels"], np.int64)


def _array(file: Path) -> Batch:
    """Returns images (N, 3, 32, 32) and labels of an npz file with `images` (N, 32, 32, 3) and `labels` (N,)."""
    with reading.arrays(file, LARGEST) as raw:
        x, y = raw["images"], raw["labels"]
    if x.shape != (10_000, 32, 32, 3) or x.dtype != np.uint8 or y.shape != (10_000,):
        what = f"images {x.shape} {x.dtype} and labels {y.shape}"
        raise OSError(f"{file}: {what}, not (10000, 32, 32, 3) uint8 and (10000,): not the CIFAR-10 batch")
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    digest = hashlib.sha256(x.data)
    digest.update(y.astype(np.uint8).data)
    if digest.hexdigest() != _ARRAYS[file.name]:
        raise OSError(f"{file} does not hold the images and labels of the CIFAR-10 batch (wrong SHA-256)")
    return x, y.astype(np.int64)


def _human(file: Path, labels: np.ndarray) -> dict[str, Batch]:
    """Returns CIFAR-10N's labels of the 50,000 training images, split as the images are; {} when there are none.

    Raises: OSError, which names the file and the annotator, for labels that are not the published ones.
    """
    if not file.exists():
        return {}
    with reading.arrays(file, LARGEST) as raw:
        clean, whole = raw["clean_label"], {k: raw[name].astype(np.int64) for k, (name, _) in _HUMAN.items()}
    if not np.array_equal(clean, labels):
        raise OSError(f"{file}: its clean labels are not those of the images, so the order differs")
    for key, values in whole.items():
        name, sha256 = _HUMAN[key]
        if values.shape != labels.shape or values.min() < 0 or values.max() > 9:
            raise OSError(f"{file}: {name} is not one label in 0..9 for each of the {len(labels):,} images")
        # clean labels in order do not say that these are: images of one class may have changed places
        if hashlib.sha256(values.astype(np.uint8).data).hexdigest() != sha256:
            raise OSError(f"{file}: {name} is not that of CIFAR-10N (wrong SHA-256): damaged, or in another order")
    cut = len(labels) * 4 // 5
    return {k: (v[:cut], v[cut:]) for k, v in whole.items()}
