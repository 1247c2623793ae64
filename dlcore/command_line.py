"""The grammar of the command line: every mistake is one line, which names the valid choices, and exit status 2."""

from __future__ import annotations

import argparse
import contextlib
import csv
import subprocess
from pathlib import Path
from typing import Any, NoReturn

from dlcore.config import closest, unknown_choice

# what a user's input, files, disk and machine can lead to; anything else is a fault of the program, with a traceback
EXPECTED = (
    ValueError,
    OSError,
    RuntimeError,
    ArithmeticError,
    ImportError,
    MemoryError,
    EOFError,
    csv.Error,
    subprocess.SubprocessError,
)
LONGEST = 1000  # characters of the line


def one_line(error: BaseException) -> str:
    """Returns what went wrong as one line.

    >>> one_line(ValueError("two\\nlines")), one_line(OverflowError())
    ('two lines', 'OverflowError')
    """
    text = " ".join(str(error).split())
    if not text or isinstance(error, (ArithmeticError, MemoryError)):  # "integer division by zero" says too little
        text = ": ".join(filter(None, (type(error).__name__, text)))
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"


class Once(argparse.Action):
    """Stores the value of an option, which may be there once."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        given = vars(namespace).setdefault("_given", set())
        if option is not None and self.dest in given:
            raise argparse.ArgumentError(self, "is given twice")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """Raises ValueError with one line instead of printing the usage and ending the process; takes no abbreviations."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "allow_abbrev": False})
        self.register("action", None, Once)
        self.register("action", "store", Once)

    choices = ""  # what may come first, for a line that ends too early

    def error(self, message: str) -> NoReturn:
        """Raises the error."""
        more = self.choices if "required" in message else f"{self.prog} --help says more"
        raise ValueError(f"{message}; {more}")

    def unknown(self, words: list[str]) -> NoReturn:
        """Raises the error for words that are no arguments, with the option that is meant."""
        options = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        near = closest(next((w for w in words if w.startswith("-")), words[0]).partition("=")[0], options)
        hint = f"; did you mean {near}?" if near else f"; options: {' '.join(options)}"
        raise ValueError(f"unrecognized arguments: {' '.join(words)}{hint}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(None, str(unknown_choice("command", value, action.choices)))


def whole(low: int) -> Any:
    """Returns the type of an option that takes a whole number from `low`, of at most nine digits; 1e3 is one."""

    def convert(text: str) -> int:
        with contextlib.suppress(ValueError, OverflowError):
            number = float(text)
            if number == int(number) and low <= number < 1e9:
                return int(number)
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number from {low}")

    return convert


def word(text: str) -> str:
    """The type of an option that must not be empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    if "\0" in text:
        raise argparse.ArgumentTypeError("it holds a null character")
    return text


def file(text: str) -> str:
    """The type of an option that names a file."""
    from dlcore.cache import expanded  # with NumPy, which most command lines do without

    try:
        return str(expanded(word(text)))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def folder(text: str) -> str:
    """The type of an option that names a folder, which need not be there yet."""
    path = Path(file(text))
    try:
        there = next(place for place in (path, *path.parents) if place.exists())
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text[:80]!r}: {error.strerror}") from None
    if not there.is_dir():
        raise argparse.ArgumentTypeError(f"{there} is not a folder")
    return str(path)
