"""The name of a record: a hash of its study and configuration, from plain values, so that a reader needs no study.

A field that came after a study's first records has, in their time, had one value that no record wrote down: that of the
code. `earlier` knows it. At that value the field is left out of the hash, so that records keep their names.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import math
import pickle
import types
from collections.abc import Callable, Mapping
from typing import Any

Fields = Mapping[str, Any]
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_NETWORKS = ("mlp", "convnet", "resnet", "resnet18")
_PRETRAINING = {
    "pretraining_optimizer": "adamw",
    "pretraining_learning_rate": 0.001,
    "pretraining_weight_decay": 0.0001,
    "pretraining_schedule": "cosine",
}


def key(study: str, fields: Fields, before: Fields) -> str:
    """Returns 16 hex digits of the SHA-256 of a study and its fields, without those that are as they were `before`.

    Numbers are those of a `Config`, which has rounded them: 0.1 + 0.2 and 0.3 are the same noise rate.

    >>> key("distributional", {"noise": 0.3}, {}) == key("distributional", {"noise": 0.3, "new": 1}, {"new": 1})
    True
    """
    entries: dict[str, Any] = {"study": study, **fields}
    for name, value in before.items():
        if name in fields and fields[name] == value:
            del entries[name]
    return hashlib.sha256(_canonical(entries).encode()).hexdigest()[:16]


def code(function: Callable[..., Any]) -> str:
    """Returns a hash of a function's text, of that in a `functools.partial` for one, so that changed code is another run."""
    while isinstance(function, functools.partial):
        function = function.func
    try:
        text = inspect.getsource(
            function if inspect.isroutine(function) or inspect.isclass(function) else type(function)
        )
    except (OSError, TypeError):  # typed at a prompt
        made = getattr(function, "__code__", None)
        text = _compiled(made) if made else repr(function)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _compiled(made: types.CodeType) -> str:
    inner = [_compiled(v) if isinstance(v, types.CodeType) else repr(v) for v in made.co_consts]
    return f"{made.co_code} {made.co_names} {inner}"


def procedure(fit: Any) -> str:
    """Returns a name of what fits and predicts, of its text and of the values that come with it.

    Raises: ValueError where these cannot be told from others, such as an open file.
    """
    import joblib

    values: list[Any] = []
    inner = fit
    while isinstance(inner, functools.partial):
        values += [inner.args, inner.keywords]
        inner = inner.func
    if inspect.isfunction(inner):
        around = [cell.cell_contents for cell in inner.__closure__ or ()]
        values += [inner.__defaults__, inner.__kwdefaults__, around]
    else:  # an object, or a method with the object that it is bound to
        values.append(inner.get_params() if hasattr(inner, "get_params") else inner)
    try:
        return f"{code(fit)}{joblib.hash(values):.8}"
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{fit!r:.80} cannot be told from others by what it holds, so nothing can be kept of it: {error}"
        ) from error


def described(constants: Mapping[str, Any]) -> str | None:
    """Returns constants as one line of text, None for none.

    >>> described({"patience": 6, "clip": 1.0, "views": None})
    'clip=1.0 patience=6'
    """
    return " ".join(f"{name}={value}" for name, value in sorted(constants.items()) if value is not None) or None


# of groups of constants that were never written down: hashes of their texts in the first records
_FIRST = {
    "alignment": "92ea6eb7",
    "architecture_1L4L": "26fda24c",
    "architecture_2L2L": "d3b5eaa7",
    "architecture_4L1L": "dec712df",
    "architecture_decoder_only": "990cc054",
    "architecture_transformer_lstm": "b57922e1",
    "barlow_twins": "53c334aa",
    "clusters": "b56e4d09",
    "counting": "7c0acaf5",
    "crop": "325a5937",
    "forest": "cf308c0e",
    "grammar": "9cf46185",
    "imbalance": "763f5d48",
    "kernel": "df639e75",
    "lexicon": "7f2779e0",
    "logistic": "65fe686c",
    "logistic_probe": "66b8ca31",
    "loop": "3e81d6db",
    "mlp_probe": "30510d15",
    "neighbours": "84f7c2dc",
    "partition_cifar10": "621f3603",
    "partition_cifar10_full": "621f3603",
    "partition_digits": "0b6cdb9b",
    "partition_fashion_mnist": "0d5c6552",
    "partition_mnist": "0b6cdb9b",
    "partition_mnist1d": "0b6cdb9b",
    "pca": "e3b0c442",
    "pixels": "e3b0c442",
    "random_relu": "dd467902",
    "rotation": "e3b0c442",
    "shape": "e01ef63d",
    "simclr": "c8d8b0fe",
    "simclr_pair": "a493f559",
    "sparse": "0eff4de2",
    "svm": "61100aae",
    "vicreg": "f1be4c2b",
    "vicreg_pair": "f1be4c2b",
    "views_colour": "6c991038",
    "views_gray": "bd2eb835",
    "views_signals": "6c0ec623",
    "views_small": "0dfa54cd",
}


def unlike_first(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Returns, as text, those groups of constants that are not what they were in the first records, which do not name them."""
    texts = {name: described(group) or "" for name, group in groups.items()}
    return {n: t for n, t in texts.items() if hashlib.sha256(t.encode()).hexdigest()[:8] != _FIRST.get(n)}


def earlier(study: str, fields: Fields) -> Fields:
    """Returns what the later fields of a study were before they were fields, given the others; {} for other studies.

    The mapping is shared: it is not to be changed.
    """
    return _earlier(study, *[fields.get(name) for name in _DECIDING]) if study in _EARLIER else {}


@functools.lru_cache(1024)
def _earlier(study: str, *deciding: Any) -> Fields:
    return _EARLIER[study](dict(zip(_DECIDING, deciding, strict=True)))


def _rationality(c: Fields) -> dict[str, Any]:
    supervised = c["objective"] == "supervised"
    kind = c["dataset"] if c["dataset"] in ("digits", "mnist1d") else "images"
    constants: dict[str, Any] = {"n_test": 4000 if kind == "mnist1d" else None, "views": 4 if c["augmented"] else None}
    if supervised:
        constants |= {"momentum": 0.9 if kind == "images" else None, "schedule": "cosine", "weight_decay": 0.0}
    elif c["epochs"] is not None:
        constants |= _PRETRAINING
    return {
        "optimizer": {"images": "sgd"}.get(kind, "adam") if supervised else None,
        "learning_rate": {"images": 0.1}.get(kind, 0.001) if supervised else None,
        "constants": described(constants),
    }


def _stitching(c: Fields) -> dict[str, Any]:
    large = c["architecture"] == "resnet18"
    tested = {"mnist1d": 2000, "fashion_mnist": 2000, "cifar10": 2000}
    constants: dict[str, Any] = {
        "n_test": None if c["preset"] == "gpu" else tested.get(c["dataset"]),
        "momentum": 0.9 if large else None,
        "schedule": "cosine",
        "similarity_inputs": 500 if large else 1000,
        "stitch_optimizer": "adam",
    }
    if {c["top_objective"], c["bottom_objective"]} != {"supervised"}:
        constants |= {**_PRETRAINING, "pretraining_batch": 256, "pretraining_epochs": 2}
        constants |= {"probe_batch_size": 128, "probe_epochs": 50, "probe_learning_rate": 0.01}
        constants["probe_optimizer"] = "adam"
    if c["converged"]:
        validation = {"digits": 300, "mnist1d": 4000, "fashion_mnist": 4000, "cifar10": 2000}
        constants |= {"search_gain": 0.0025, "search_steps": "1000,4000,16000"}
        constants["validation"] = validation.get(c["dataset"])
    return {
        "freeze": False,
        "converged": False,
        "population": False,
        "shuffles": 0,
        "optimizer": "sgd" if large else "adamw",
        "learning_rate": 0.2 if large else 0.002,
        "batch_size": 512 if large else 128,
        "weight_decay": 0.0005 if large else 0.0,
        "stitch_rate": 0.005,
        "stitch_batch": 256 if large else 128,
        "constants": described(constants),
    }


def _distributional(c: Fields) -> dict[str, Any]:
    constants: dict[str, Any] = {"n_test": 4000 if c["dataset"] == "mnist1d" else None}
    if c["architecture"] in _NETWORKS:
        constants |= {"momentum": 0.9 if c.get("optimizer") == "sgd" else None, "weight_decay": 0.0}
        if c["experiment"] == "sparse":
            constants["logged_epochs"] = "1,2,3,4,6,8,11,16,23,32,45,64,91,128,181,256,362"
            constants["logged_inputs"] = 5000
    return {"optimizer": None, "schedule": None, "noisy_class": None, "constants": described(constants)}


def _scaling(c: Fields) -> dict[str, Any]:
    constants: dict[str, Any] = {
        "clip": 1.0,
        "evaluations": 20,
        "least_gain": 0.0,
        "n_dev": 1000,
        "n_scored": 200,
        "optimizer": "adam",
        "patience": 6,
        "schedule": "cosine",
        "warm": 20,
        "weight_decay": 0.0,
    }
    if c["dataset"] != "transduction":
        constants |= {"longest": 64, "vocabulary": 4000}
    return {"filter_pairs": None, "held_out": "clean", "constants": described(constants)}


# the fields on which earlier values depend, in any study
_DECIDING = (
    "preset",
    "dataset",
    "experiment",
    "architecture",
    "optimizer",
    "objective",
    "epochs",
    "augmented",
    "top_objective",
    "bottom_objective",
    "converged",
)
_EARLIER: dict[str, Callable[[Fields], dict[str, Any]]] = {
    "rationality": _rationality,
    "stitching": _stitching,
    "distributional": _distributional,
    "scaling": _scaling,
}


def number(value: Any) -> bool:
    """Whether a value is a finite number, of a size that a table of 64-bit numbers takes; True and False are none."""
    kind = type(value)
    return (kind is float and math.isfinite(value)) or (kind is int and -(2**63) <= value < 2**63)
