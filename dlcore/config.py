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
import types
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
    choices, here = list(choices), ELSEWHERE.get(str(value))
    near = here if here in choices else closest(value, choices)
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


class Named:
    """Base of a data class whose fields are given by name: an unknown one is an error that says what it is called here."""

    def __new__(cls, *_: Any, **options: Any) -> Self:
        """Names what a wrong option is called here."""
        names = [f.name for f in dataclasses.fields(typing.cast(Any, cls))]
        for name in options:
            if name not in names:
                here = ELSEWHERE.get(name)
                known = here in names
                raise TypeError(f"{name} is {here} here" if known else str(unknown_choice("option", name, names)))
        return super().__new__(cls)


class Options(Named):
    """Base of a data class of options, checked as a `Config` is.

    Text is no number here, and a number keeps all its digits: nothing comes from a command line, nothing is hashed.
    """

    def __post_init__(self) -> None:
        for name in _declared(type(self)):
            object.__setattr__(self, name, _checked(type(self), name, getattr(self, name)))


def configured_by(kind: type[Options]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Returns a decorator for a function that takes its options as a `kind`: one given to the function itself says so."""

    def extended(function: Callable[P, R]) -> Callable[P, R]:
        own = inspect.signature(function).parameters
        names = [f.name for f in dataclasses.fields(typing.cast(Any, kind))]
        place, one = next((i, name) for i, name in enumerate(own) if name in ("config", "configs"))

        @functools.wraps(function)
        def call(*args: P.args, **options: P.kwargs) -> R:
            for name in options:
                if name not in own and (here := ELSEWHERE.get(name, name)) in names:
                    raise TypeError(f"{name} belongs to the configuration: {kind.__name__}({here}=...)")
            given = options.get(one, args[place] if len(args) > place else None)
            for each in given if isinstance(given, list | tuple) else [given]:
                if each is not None and not isinstance(each, kind):
                    raise TypeError(f"{one} must be {kind.__name__}(...), not {_short(each)}")
            return function(*args, **options)

        return call

    return extended


def option(
    default: Any = MISSING,
    *,
    help: str = "",
    choices: Iterable[str] | None = None,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    below: float | None = None,
    since: int = 1,
    extended: str | None = None,
) -> Any:
    """Declares a field of a `Config` or of `Options`: its meaning and the values it may take.

    `low <= value <= high` and `above < value < below` are checked. `since` is the format version in which a field was
    added: a later field at its default, or at what `keys.earlier` knows it to have been before, does not enter the
    hash, so earlier records keep their names. `extended` names what `register` adds choices to; a file of arrays,
    `path.npz`, is a choice where that is "dataset".
    """
    metadata = {"help": help, "choices": tuple(choices) if choices else None, "since": since}
    metadata |= {"low": low, "above": above, "high": high, "below": below, "extended": extended}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config(Named):
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
        for name in names:
            value = _read(getattr(self, name), _declared(type(self))[name][0])
            object.__setattr__(self, name, _checked(type(self), name, value, digits=12))

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
def _declared(cls: type) -> dict[str, tuple[tuple[Any, ...], tuple[Any, ...], int]]:
    """Returns for each field its types, its choices and limits, and since when it is there."""
    hints, limits = typing.get_type_hints(cls), ("choices", "low", "above", "high", "below", "extended")
    union = (types.UnionType, typing.Union)
    return {
        f.name: (
            typing.get_args(kind) if typing.get_origin(kind := hints[f.name]) in union else (kind,),
            tuple(map(f.metadata.get, limits)),
            f.metadata.get("since", 1),
        )
        for f in dataclasses.fields(cls)
    }


def _checked(cls: type, name: str, value: Any, digits: int = 17) -> Any:
    """Returns what a field is set to, as the type that it is declared with; 17 digits are all that a float has.

    Raises: ValueError for another type, a value that is no choice, and one out of range.
    """
    kinds, (choices, low, above, high, below, extended), _ = _declared(cls)[name]
    if choices and not isinstance(value, str) and not (value is None and type(None) in kinds):
        raise unknown_choice(name, value, choices)
    if (value := _coerce(name, value, kinds)) is None:
        return None
    if isinstance(value, float):
        value = float(f"{value:.{digits}g}") + 0.0  # -0.0 is 0.0
    if choices and value not in choices and not _added(extended, value):
        raise unknown_choice(name, value, (*choices, *(registered(extended) if extended else ())))
    too_high = (high is not None and value > high) or (below is not None and value >= below)
    if too_high or (low is not None and value < low) or (above is not None and value <= above):
        start = f"({above}" if above is not None else f"[{'-inf' if low is None else low}"
        end = f"{below})" if below is not None else f"{'inf' if high is None else high}]"
        raise ValueError(f"{name} = {value!r} is outside {start}, {end}")
    return value


def _coerce(name: str, value: Any, kinds: tuple[Any, ...]) -> Any:
    """Returns `value` as one of the declared types when nothing is lost."""
    if value is None:
        if type(None) in kinds:
            return None
        raise ValueError(f"{name} must be given")
    item, kinds = _plain(value), tuple(kind for kind in kinds if kind is not type(None))
    for kind in kinds:
        if kind in (int, float) and isinstance(item, (int, float)) and not isinstance(item, bool):
            with contextlib.suppress(OverflowError, ValueError):
                if kind is int and item == int(item):
                    return int(item)
                if kind is float and math.isfinite(item):
                    return float(item)
        elif kind in (bool, str) and isinstance(item, kind):
            return kind(item)
        elif kind not in (bool, int, float, str) and isinstance(value, kind if isinstance(kind, type) else Callable):
            return value
    names = " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
    raise ValueError(f"{name} = {_short(value)} is not a valid {names}")


def _read(value: Any, kinds: tuple[Any, ...]) -> Any:
    """Returns what papermill and YAML mean by a word: `true`, and 1e-3, which YAML takes for one."""
    if isinstance(value, str) and bool in kinds:
        return {"true": True, "false": False}.get(value.lower(), value)
    if isinstance(value, str) and str not in kinds:
        with contextlib.suppress(ValueError):
            return int(value) if value.strip("+- ").isdecimal() else float(value)
    return value


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
