"""Strict, hashable configurations: a misspelt or ill-typed parameter is an error that names the close match."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import importlib
import inspect
import math
import os
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, ParamSpec, Self, TypeVar

from dlcore import keys

P = ParamSpec("P")
R = TypeVar("R")

# what `dlcore.register` adds to a choice: field -> name -> what it stands for
_REGISTERED: dict[str, dict[str, Any]] = {"dataset": {}, "architecture": {}, "study": {}}


def registered(kind: str) -> dict[str, Any]:
    """Returns the names that were registered for "dataset", "architecture" or "study"; plugins are imported first.

    Plugins are the modules in the environment variable DLCORE_PLUGINS, so that kernels and workers know them.
    """
    for module in filter(None, os.environ.get("DLCORE_PLUGINS", "").split(",")):
        importlib.import_module(module)
    return _REGISTERED[kind]


def closest(name: object, choices: Iterable[str]) -> str | None:
    """Returns the choice most like `name`, or None when nothing is near.

    >>> closest("noize", ["noise", "seed"])
    'noise'
    """
    return next(iter(difflib.get_close_matches(str(name)[:99].lower(), list(choices), n=1, cutoff=0.5)), None)


def unknown_choice(kind: str, value: object, choices: Iterable[str]) -> ValueError:
    """Returns (does not raise) the one-line error for a name that is not among `choices`.

    >>> print(unknown_choice("dataset", "digit", ["digits", "mnist1d"]))
    unknown dataset 'digit'; did you mean 'digits'? choose from: digits, mnist1d
    """
    choices = list(choices)
    near = closest(value, choices)
    hint = f"; did you mean {near!r}?" if near else ";"
    return ValueError(f"unknown {kind} {_short(value)}{hint} choose from: {', '.join(choices)}")


def one_of(kind: str, value: Any, choices: Iterable[str]) -> Any:
    """Returns a value that is among the choices; raises `unknown_choice` for any other.

    >>> one_of("distance", "cosine", ["euclidean", "cosine"])
    'cosine'
    """
    if value not in choices:
        raise unknown_choice(kind, value, choices)
    return value


# what other libraries call an option
ELSEWHERE = {"lr": "learning_rate", "wd": "weight_decay"}


class Options:
    """Base of a data class of options: an unknown one is an error that says what it is called here."""

    def __new__(cls, *_: Any, **options: Any) -> Self:
        """Names what a wrong option is called here."""
        names = [f.name for f in dataclasses.fields(typing.cast(Any, cls))]
        for name in options:
            if name not in names:
                here = ELSEWHERE.get(name)
                raise TypeError(f"{name} is {here} here" if here else str(unknown_choice("option", name, names)))
        return super().__new__(cls)


def configured_by(kind: type[Options]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Returns a decorator for a function that takes its options as a `kind`: one given to the function itself says so."""

    def extended(function: Callable[P, R]) -> Callable[P, R]:
        own = inspect.signature(function).parameters
        names = [f.name for f in dataclasses.fields(typing.cast(Any, kind))]

        @functools.wraps(function)
        def call(*args: P.args, **options: P.kwargs) -> R:
            for name in options:
                if name not in own and (here := ELSEWHERE.get(name, name)) in names:
                    raise TypeError(f"{name} belongs to the configuration: {kind.__name__}({here}=...)")
            return function(*args, **options)

        return call

    return extended


def option(
    default: Any = MISSING,
    *,
    help: str,
    choices: Iterable[str] | None = None,
    low: float | None = None,
    high: float | None = None,
    below: float | None = None,
    since: int = 1,
    extended: str | None = None,
) -> Any:
    """Declares a field of a `Config`: its meaning and the values it may take.

    `low <= value <= high` and `value < below` are checked. `since` is the format version in which a field was
    added: a later field at its default, or at what `keys.earlier` knows it to have been before, does not enter the
    hash, so earlier records keep their names. `extended` names what `register` adds choices to; a file of arrays,
    `path.npz`, is a choice where that is "dataset".
    """
    metadata = {"help": help, "choices": tuple(choices) if choices else None, "since": since}
    metadata |= {"low": low, "high": high, "below": below, "extended": extended}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config:
    """Base of every study's configuration: flat scalars, checked when made, hashed into the record's name.

    A field whose default is None and that is still None after `resolve` means "not applicable"; subclasses fill
    fields that follow from others (the number of epochs of a recipe, say) in `resolve`, so that a stored
    configuration is always complete.
    """

    STUDY: typing.ClassVar[str] = ""
    PRESETS: typing.ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __post_init__(self) -> None:
        self._check(self.names())
        filled = self.resolve()
        for name, value in filled.items():
            object.__setattr__(self, name, value)
        self._check(filled)
        if "constants" in self.names() and getattr(self, "constants", None) is None:
            object.__setattr__(self, "constants", keys.described(self.fixed()))
        self.validate()

    def resolve(self) -> dict[str, Any]:
        """Returns values for the fields that follow from others. Overridden by studies."""
        return {}

    def validate(self) -> None:
        """Raises ValueError when fields contradict each other. Overridden by studies."""

    def fixed(self) -> dict[str, Any]:
        """Returns the constants of the recipe that are no fields, by name; they are the text of the field `constants`.

        Overridden by studies. So a number of the recipe that another version changes gives its records other names.
        """
        return {}

    def check_constants(self) -> None:
        """Raises ValueError when this version cannot run the configuration, because its recipe is another's."""
        own = getattr(self, "constants", None)
        if "constants" in self.names() and own != (here := keys.described(self.fixed())):
            raise ValueError(f"constants = {own!r}, but this version runs {here!r}; leave constants out")

    def data_checksum(self) -> str | None:
        """Returns the checksum of the data that a run would use now, where another set may bear the same name.

        None where a set can only be the published one, or is not here: then there is nothing to compare. Overridden by
        studies.
        """
        return None

    def _check(self, names: Iterable[str]) -> None:
        declared = _declared(type(self))
        for name in names:
            kinds, (choices, low, high, below, extended), _ = declared[name]
            value = _coerce(name, getattr(self, name), kinds)
            object.__setattr__(self, name, value)
            if value is None:
                continue
            if choices and value not in choices and not _added(extended, value):
                raise unknown_choice(name, value, (*choices, *(registered(extended) if extended else ())))
            too_high = (high is not None and value > high) or (below is not None and value >= below)
            if too_high or (low is not None and value < low):
                end = f"{below})" if below is not None else f"{'inf' if high is None else high}]"
                raise ValueError(f"{name} = {value!r} is outside [{'-inf' if low is None else low}, {end}")

    @classmethod
    def names(cls) -> list[str]:
        """Returns the names of the fields, in order."""
        return list(_declared(cls))

    @classmethod
    def from_parameters(cls, **parameters: Any) -> typing.Self:
        """Returns the configuration of a preset with the given parameters on top; None means "as the preset says".

        Raises:
            ValueError: an unknown parameter (the message names the closest one), an unknown preset or choice,
                a value out of range or of the wrong type.
        """
        names = cls.names()
        for name in parameters:
            one_of("parameter", name, names)
        given = {k: v for k, v in parameters.items() if v is not None}
        preset = given.get("preset", getattr(cls, "preset", None))
        base = {} if preset is None else cls.PRESETS[one_of("preset", preset, cls.PRESETS)]
        return cls(**{**base, **given})

    @classmethod
    def from_namespace(cls, namespace: Mapping[str, Any]) -> typing.Self:
        """Returns the configuration that a notebook's parameters cell describes; pass `globals()`.

        `dlcore.notebook.setup` keeps the names that the cell sets, and those that papermill adds, in `_parameters`:
        that is how a notebook notices a misspelt `papermill -p noize 0.4`, which papermill itself only logs. In a
        notebook without it every public scalar among the globals counts, which is right in a fresh kernel only.
        """
        scalars = (bool, int, float, str, type(None))
        names = namespace.get("_parameters") or [k for k, v in namespace.items() if isinstance(v, scalars)]
        found = {k: namespace[k] for k in names if not k.startswith("_") and k in namespace}
        return cls.from_parameters(**found)

    def to_dict(self) -> dict[str, Any]:
        """Returns all fields as plain JSON values."""
        return {name: getattr(self, name) for name in _declared(type(self))}

    def replace(self, **changes: Any) -> typing.Self:
        """Returns a copy with some fields changed, of this version's recipe; what `resolve` had filled in stays."""
        for name in changes:
            one_of("parameter", name, self.names())
        fields = {name: value for name, value in self.to_dict().items() if name != "constants"}
        return type(self)(**{**fields, **changes})

    @property
    def key(self) -> str:
        """The name of this configuration's record: 16 hex digits of the SHA-256 of study and fields."""
        fields = self.to_dict()
        later = {name: getattr(type(self), name) for name, (_, _, since) in _declared(type(self)).items() if since > 1}
        return keys.key(self.STUDY, fields, {**later, **keys.earlier(self.STUDY, fields)})


def _added(kind: str | None, value: str) -> bool:
    return kind is not None and (value in registered(kind) or (kind == "dataset" and ".npz" in value))


@functools.cache
def _declared(cls: type) -> dict[str, tuple[tuple[type, ...], tuple[Any, ...], int]]:
    """Returns for each field its types, its choices and limits, and since when it is there."""
    hints, limits = typing.get_type_hints(cls), ("choices", "low", "high", "below", "extended")
    return {
        f.name: (
            typing.get_args(hints[f.name]) or (hints[f.name],),
            tuple(map(f.metadata.get, limits)),
            f.metadata.get("since", 1),
        )
        for f in dataclasses.fields(cls)
    }


def _coerce(name: str, value: Any, kinds: tuple[type, ...]) -> Any:
    """Returns `value` as the annotated type when nothing is lost; papermill passes `true` and `3` loosely."""
    if value is None:
        if type(None) in kinds:
            return None
        raise ValueError(f"{name} must be given")
    kind = next(k for k in kinds if k is not type(None))
    item = _plain(value)
    if kind is bool and isinstance(item, str) and item.lower() in ("true", "false"):
        return item.lower() == "true"
    if kind is bool and isinstance(item, bool):
        return item
    if kind is str and isinstance(item, str):
        return str(item)
    if kind in (int, float) and isinstance(item, str):  # YAML takes 1e-3 for a word
        with contextlib.suppress(ValueError):
            item = int(item) if item.strip("+- ").isdecimal() else float(item)
    if kind in (int, float) and isinstance(item, (int, float)) and not isinstance(item, bool):
        with contextlib.suppress(OverflowError, ValueError):
            if kind is int and item == int(item):
                return int(item)
            if kind is float and math.isfinite(item):
                return float(f"{item:.12g}") + 0.0  # -0.0 is 0.0
    raise ValueError(f"{name} = {_short(value)} is not a valid {kind.__name__}")


def _plain(value: Any) -> Any:
    """Returns the Python scalar in a NumPy or torch one; a float32 0.1 is 0.1, not 0.10000000149."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "item"):
        return value
    try:
        item = value.item()
    except (ValueError, RuntimeError):  # several values
        return value
    digits = {2: 3, 4: 7}.get(getattr(getattr(value, "dtype", None), "itemsize", 8))
    return float(f"{item:.{digits}g}") if isinstance(item, float) and digits else item


def _short(value: Any) -> str:
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # an integer of more than 4,300 digits
        text = f"a number of {value.bit_length()} bits"
    return text if len(text) <= 60 else f"{text[:57]}..."
