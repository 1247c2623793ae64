"""What a caller gives, as an array of numbers: NumPy, torch, pandas and lists; anything else is refused by name.

Every public function that takes arrays passes them through here, so that one function does not take what another
refuses, and nothing that merely looks like numbers (one-hot rows, a masked array) becomes a plausible result.
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import operator
import sys
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

# the difference of two such numbers is still a float64
LARGEST = 2.0**1022
_PLAIN = (bool, int, float, complex, str, bytes, np.generic, type(None))
_KINDS = {"c": "complex numbers", "M": "dates", "m": "durations", "V": "records"}


def as_array(values: Any, name: str = "the array") -> np.ndarray:
    """Returns a NumPy array of numbers (or of text, which labels may be by mistake) in this machine's byte order.

    Taken: arrays of any strides and byte order; tensors on any device, with or without gradients; lists of these;
    pandas columns and tables, nullable and categorical ones too (a categorical as its categories); iterators. An
    array that is fit already is returned itself: it is the caller's, so write into a copy.

    Raises: ValueError for a masked array, a sparse matrix, missing values, rows of unequal length, complex numbers,
        dates, records, sets, and objects that are no numbers.

    >>> as_array([1, 2.5]).tolist()
    [1.0, 2.5]
    """
    if values is None:
        raise ValueError(f"{name} is None: an array of numbers is needed")
    if hasattr(values, "detach"):
        return _of_tensor(values, name)
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError(f"{name} is a masked array: drop the masked entries or fill them, then give np.asarray of it")
    if hasattr(values, "toarray") and not hasattr(values, "__array__"):
        raise ValueError(f"{name} is a sparse matrix: give {name}.toarray()")
    if isinstance(values, Set | Mapping):
        raise ValueError(f"{name} is a {type(values).__name__}, which has no order: give a list")
    if isinstance(values, str | bytes):
        raise ValueError(f"{name} is the text {values!r}: an array of numbers is needed")
    if not hasattr(values, "__array__") and isinstance(values, Iterable):
        array = _of_list(list(values), name)
    else:
        array = np.asarray(values)
    if array.dtype.kind in "OT":  # T: NumPy's text of any length
        array = _of_objects(array.astype(object), name)
    if array.dtype.kind in _KINDS:
        raise ValueError(f"{name} must be real numbers, not {_KINDS[array.dtype.kind]} ({array.dtype})")
    if array.dtype.kind in "US":
        return array
    if array.dtype.itemsize > 8:
        # where long double has a wider range, what float64 cannot hold becomes an infinity, which is refused as one
        with np.errstate(over="ignore"):
            return array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _of_tensor(values: Any, name: str) -> np.ndarray:
    if hasattr(values, "get_mask"):
        raise ValueError(
            f"{name} is a masked tensor: give {name}.to_tensor(VALUE), its numbers with VALUE where it is masked"
        )
    tensor = values.detach()
    if tensor.is_nested:
        raise ValueError(f"{name} is a nested tensor, with rows of unequal length: pad them")
    if tensor.device.type == "meta":
        raise ValueError(f"{name} is a tensor on the meta device, which holds no numbers")
    if tensor.is_complex():
        raise ValueError(f"{name} must be real numbers, not complex numbers ({tensor.dtype})")
    if str(tensor.layout) != "torch.strided":
        raise ValueError(f"{name} is a sparse tensor: give {name}.to_dense()")
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.is_floating_point() and str(tensor.dtype) not in ("torch.float16", "torch.float32", "torch.float64"):
        tensor = tensor.float()  # NumPy has no bfloat16 and nothing smaller
    return tensor.cpu().resolve_neg().numpy()


def _of_list(values: list, name: str) -> np.ndarray:
    parts: list[Any] = [v if isinstance(v, _PLAIN) else as_array(v, name) for v in values]
    shapes = {np.shape(v) for v in parts}
    if len(shapes) > 1:
        raise ValueError(f"{name} has entries of unequal length: {', '.join(map(str, sorted(shapes)))}")
    kinds = {isinstance(v, str | bytes) for v in parts}
    if len(kinds) > 1:
        raise ValueError(f"{name} mixes text and numbers")
    return np.asarray(parts)


def _of_objects(array: np.ndarray, name: str) -> np.ndarray:
    """Returns the numbers of an array of Python objects, such as a nullable column or a table of several types."""
    flat = array.ravel()
    for place, value in enumerate(flat):
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            raise ValueError(f"{name} has a missing value at position {place}: drop it or fill it")
        if isinstance(value, complex | np.complexfloating):
            raise ValueError(f"{name} must be real numbers, not complex numbers")
    if all(isinstance(v, str) for v in flat):
        return array.astype(str)
    if flat.size and np.ndim(flat[0]) > 0:
        return _of_list(list(array), name)
    bad = [v for v in flat if not isinstance(v, numbers.Number | np.bool_) and not hasattr(v, "detach")]
    if bad:
        raise ValueError(f"{name} holds {bad[0]!r} ({type(bad[0]).__name__}), where numbers are needed")
    whole = all(isinstance(v, numbers.Integral) for v in flat)
    kind = bool if all(isinstance(v, bool | np.bool_) for v in flat) else np.int64 if whole else np.float64
    try:
        return array.astype(kind)
    except OverflowError:
        raise ValueError(f"{name} holds a number beyond 64 bits") from None


def as_numbers(name: str, values: Any) -> np.ndarray:
    """Returns an array of numbers in their own precision; raises ValueError for text, and as `as_array` does."""
    array = as_array(values, name)
    if array.dtype.kind in "US":
        raise ValueError(f"{name} must hold numbers, not text{_such_as(array)}")
    return array


def as_reals(name: str, values: Any) -> np.ndarray:
    """Returns a float64 array; raises ValueError as `as_numbers` does. NaN and infinity pass.

    >>> as_reals("losses", ["1.5"])
    Traceback (most recent call last):
    ValueError: losses must hold numbers, not text such as '1.5'
    """
    return as_numbers(name, values).astype(np.float64, copy=False)


def _such_as(array: np.ndarray) -> str:
    return f" such as {str(array.flat[0])!r}" if array.size else ""


def as_integers(name: str, values: Any, bound: int | None = None, ndim: int | None = None) -> np.ndarray:
    """Returns an int64 array of labels; with `ndim` 1 a table of one column counts as a column.

    Raises: ValueError for floats, booleans or text, an empty array, another number of axes (one-hot rows are named),
        a value outside 0..bound-1 (without a bound, a negative one), and as `as_array` does.

    >>> as_integers("labels", [[0, 1], [1, 0]], ndim=1)
    Traceback (most recent call last):
    ValueError: labels holds one-hot rows, shape (2, 2): give the classes, argmax(1) of it
    """
    array = as_array(values, name)
    if array.size == 0:
        raise ValueError(f"{name} is empty")
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold integers, not {array.dtype}{_remedy(array, values)}")
    if ndim == 1 and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if ndim is not None and array.ndim != ndim:
        if array.ndim == ndim + 1 and _one_hot(array):
            axis = array.ndim - 1
            raise ValueError(f"{name} holds one-hot rows, shape {array.shape}: give the classes, argmax({axis}) of it")
        axes = "one axis" if ndim == 1 else f"{ndim} axes"
        raise ValueError(f"{name} must have {axes}, not the shape {array.shape}{'; flatten it' if ndim == 1 else ''}")
    top = np.iinfo(np.int64).max if bound is None else bound - 1
    bad = array[(array < 0) | (array > top)]
    if bad.size:
        hint = f"; they run from 1 to {bound}: subtract 1" if (array.min(), array.max()) == (1, bound) else ""
        raise ValueError(f"{name} holds {bad.flat[0]}, outside 0..{'' if bound is None else top}{hint}")
    return array.astype(np.int64)


class NoNumberError(TypeError, ValueError):
    """What is no number, or no whole one, where one is needed: a wrong type, and a wrong value such as 2.5."""


def as_whole(name: str, value: Any, low: float = 0) -> int:
    """Returns a whole number, which may be written as 1e3.

    Raises: NoNumberError, a TypeError and a ValueError, for any other; ValueError for one below `low`.

    >>> as_whole("draws", 1e3)
    1000
    """
    given: Any = int(value) if isinstance(value, float | np.floating) and float(value).is_integer() else value
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(given)
    except TypeError:
        raise NoNumberError(f"{name} = {value!r} must be an integer") from None
    if number < low:
        raise ValueError(f"{name} = {number} must be at least {low}")
    return number


def typed(function: Callable[P, R]) -> Callable[P, R]:
    """Decorates a function: a parameter declared as `int` may be written as 1e3, and text or True is no number.

    Raises, before anything else is done: NoNumberError, with the name of the parameter.

    >>> typed(lambda: 3)
    Traceback (most recent call last):
    ValueError: <lambda> declares no parameter as int or float
    """
    kinds = inspect.signature(function).parameters
    declared = {k: inspect.formatannotation(p.annotation).strip("'").split(" | ") for k, p in kinds.items()}
    numeric = {name: kind for name, kind in declared.items() if kind[0] in ("int", "float")}
    if not numeric:
        raise ValueError(f"{function.__name__} declares no parameter as int or float")
    rest = next((numeric.get(p.name, []) for p in kinds.values() if p.kind is p.VAR_KEYWORD), [])

    def checked(name: str, value: Any) -> Any:
        kind = numeric.get(name, [] if name in kinds else rest)
        if not kind or (value is None and "None" in kind):
            return value
        if kind[0] == "int":
            return as_whole(name, value, -math.inf)
        if value is None or isinstance(value, bool | np.bool_ | complex | str | bytes | Mapping | Set):
            raise NoNumberError(f"{name} = {value!r} must be a number")
        return value  # some functions take a rate for each sample

    @functools.wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> R:
        given = [checked(name, value) for name, value in zip(kinds, args, strict=False)]
        return function(*given, *args[len(given) :], **{k: checked(k, v) for k, v in options.items()})  # type: ignore

    return call


def outside() -> int:
    """Returns the `stacklevel` with which a warning names the line outside of this package that led to it."""
    frame, level, ours = sys._getframe(1), 1, ("dlcore", "contextlib", "torch")
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in ours:
        frame, level = frame.f_back, level + 1
    return level


def _one_hot(array: np.ndarray) -> bool:
    return array.shape[-1] > 1 and bool(((array == 0) | (array == 1)).all() and (array.sum(-1) == 1).all())


def _remedy(array: np.ndarray, values: Any) -> str:
    """Returns how to make integers of what was given, or an empty string."""
    if array.dtype.kind in "US":
        how = ": of a categorical take its codes" if "categor" in str(getattr(values, "dtype", "")) else ""
        return f"; number the classes 0, 1, 2, ... first, with one numbering for all arrays{how}"
    whole = array.dtype.kind == "b" or bool((array == np.floor(array)).all())
    scores = array.dtype.kind == "f" and array.ndim >= 2 and array.shape[-1] > 1
    if scores and (not whole or _one_hot(array)):
        return f"; of class scores (n, classes) take argmax({array.ndim - 1})"
    return "; use astype(int)" if whole else ""


def as_tensor(name: str, values: Any):
    """Returns a tensor of numbers: the tensor given, without its gradient, or a copy where torch cannot share memory.

    Raises: ValueError for text, complex numbers, one number alone, and as `as_array` does.
    """
    import torch  # metrics, which import this module, work without it

    odd = isinstance(values, torch.Tensor) and (
        hasattr(values, "get_mask") or values.is_nested or values.is_meta or values.is_complex()
    )
    if isinstance(values, torch.Tensor) and not odd and values.layout == torch.strided:
        tensor = (values.dequantize() if values.is_quantized else values).detach()
    else:
        array = as_numbers(name, values)
        if array.dtype.kind == "u" and array.dtype.itemsize > 1:  # torch computes with few of these
            array = as_integers(name, array) if array.size else array.astype(np.int64)
        # torch has no negative strides, and memory lent read-only, as a pandas column's is, makes it warn
        tensor = torch.from_numpy(np.require(array, requirements=["C", "W"]))
    if tensor.ndim == 0:
        raise ValueError(f"{name} must have a row for each sample, not be one number")
    return tensor


def as_network(model: Any, role: str = "the network") -> Any:
    """Returns a network. Raises: ValueError for anything but an nn.Module."""
    import torch

    if not isinstance(model, torch.nn.Module):
        what = f"the class {model.__name__}, of which none is made" if isinstance(model, type) else type(model).__name__
        raise ValueError(f"{role} must be an nn.Module, not {what}")
    return model


def as_inputs(name: str, values: Any, model: Any) -> Any:
    """Returns the inputs of a network as a tensor, real ones in the precision of its weights: `as_tensor` for the rest."""
    tensor = as_tensor(name, values)
    kind = next((p.dtype for p in as_network(model).parameters() if p.is_floating_point()), tensor.dtype)
    if str(kind) == "torch.float32" and tensor.is_floating_point():
        return as_single(name, tensor)
    return tensor.to(kind) if tensor.is_floating_point() else tensor


def as_single(name: str, values: Any) -> Any:
    """Returns a tensor, or an array, in float32. Raises: ValueError where float32 is too coarse for the spread of its columns.

    Of a tensor the first rows are looked at, which show an offset as all of them do.
    """
    if not isinstance(values, np.ndarray):
        if str(values.dtype) == "torch.float64" and values.ndim > 1 and len(values) and not values.is_meta:
            as_single(name, values[:1000].cpu().numpy())
        return values.float()
    with np.errstate(all="ignore"):  # NaN is for others to refuse
        single = values.astype(np.float32)
        spread, lost = values.std(0), np.abs(values - single).max(0)
        bad = np.isinf(lost) | ((lost > 1e-3 * spread) & (spread > 1e-10 * np.abs(values.mean(0))))
    if bad.any():
        at = tuple(np.argwhere(bad)[0].tolist())
        why = f"varies by {spread[at]:.2g}, and float32, in which networks compute, rounds it by {lost[at]:.2g}"
        raise ValueError(f"{name}: input {at} {why}; take its mean off, or rescale it")
    return single
