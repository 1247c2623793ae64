"""The controls that charts share: menus and sliders bound to Vega-Lite parameters, and which of their states have rows."""

from __future__ import annotations

import itertools
import json
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import pandas as pd

ALL = "all"  # the option of a menu that singles nothing out


@dataclass(frozen=True)
class Control:
    """One choice of the reader's.

    Args:
        name: of the Vega-Lite parameter; `column` is the column of the rows that holds the options.
        shown: the options as the reader reads them; a number is shown in the form `form`.
        asked: what the reader asked to begin with, recorded or not; None where nothing was asked.
    """

    name: str
    label: str
    options: tuple[Any, ...]
    value: Any
    column: str
    kind: str = "menu"
    shown: tuple[str, ...] = ()
    form: str = "~g"
    asked: Any = None

    @property
    def texts(self) -> list[str]:
        """The options as the reader reads them."""
        return [self.text(option) for option in self.options]

    def text(self, value: Any) -> str:
        """Returns an option, or a value that is none, as the reader reads it."""
        if self.kind == "menu":
            return str(dict(zip(self.options, self.shown, strict=True)).get(value, value) if self.shown else value)
        return f"{value:.0%}".replace("%", " %") if self.form == ".0%" else f"{value:g}"

    def parameter(self) -> alt.Parameter:
        """Returns the parameter with Vega's own input, for Jupyter and Colab; the book's page makes its own.

        A slider cannot step over uneven values: these become a menu. Two options are radio buttons.
        """
        label = f"{self.label} "
        steps = {round(b - a, 6) for a, b in itertools.pairwise(self.options)} if self.kind == "slider" else set()
        if len(steps) == 1:
            bind = alt.binding_range(min=self.options[0], max=self.options[-1], step=steps.pop(), name=label)
        elif len(self.options) == 2:
            bind = alt.binding_radio(options=list(self.options), labels=self.texts, name=label)
        else:
            bind = alt.binding_select(options=list(self.options), labels=self.texts, name=label)
        return alt.param(name=self.name, value=self.value, bind=bind)


def pick(highlight: Mapping[str, Any] | None, name: str, options: Sequence[Any], default: Any) -> Any:
    """Returns the highlighted value when the chart has it, else the default when it has that, else the first."""
    wanted = (highlight or {}).get(name)
    if wanted in options:
        return wanted
    return default if default in options else options[0]


def slider(
    options: Sequence[float],
    value: float,
    label: str = "noise",
    name: str = "dl_noise",
    form: str = ".0%",
    asked: float | None = None,
) -> Control:
    """Returns a slider over recorded values; compare with `near`, floats are not exact."""
    values = tuple(float(o) for o in options)
    return Control(name, label, values, float(value), name.removeprefix("dl_"), "slider", form=form, asked=asked)


def rates(start: Mapping[str, Any] | None, noise: pd.Series, default: float, label: str = "noise") -> Control:
    """Returns a slider over the noise rates of a column, which starts at the reader's choice or at the default."""
    options = sorted(noise.unique())
    return slider(options, pick(start, "noise", options, default), label, asked=(start or {}).get("noise"))


def choose(
    start: Mapping[str, Any] | None, column: str, options: Iterable[Any], label: str, default: Any = None
) -> Control:
    """Returns a menu of a column's values, each once, that starts at the reader's choice, else the default, else the first."""
    options = list(dict.fromkeys(options))
    asked = (start or {}).get(column)
    return menu(options, pick(start, column, options, default), label, f"dl_{column}", asked=asked)


def menu(
    options: Sequence[Any], value: Any, label: str, name: str, shown: Sequence[str] = (), asked: Any = None
) -> Control:
    """Returns a menu; `shown` are the options' names for the reader."""
    return Control(name, label, tuple(options), value, name.removeprefix("dl_"), "menu", tuple(shown), asked=asked)


def states(controls: Sequence[Control], there: pd.DataFrame | Sequence[pd.DataFrame]) -> list[dict[str, Any]]:
    """Returns which choices have rows: for each table, the controls that it limits and the places of their options.

    A control is limited by those before it: the first offers all that any row has, the second what is left with the
    first, and so on, so that no state is empty and none is out of reach.

    Args: there: tables with columns of controls; a state needs a row in each of them.
    """
    found = []
    for table in [there] if isinstance(there, pd.DataFrame) else there:
        mine = [(i, c) for i, c in enumerate(controls) if c.column in table]
        if not mine:
            continue
        places = [{_key(o): at for at, o in enumerate(c.options)} for _, c in mine]
        rows = table[[c.column for _, c in mine]].drop_duplicates().itertuples(index=False, name=None)
        known = [[places[i].get(_key(v)) for i, v in enumerate(row)] for row in rows]
        known = [row for row in known if None not in row]
        for at, (_, c) in enumerate(mine):
            if ALL in places[at] and ALL not in set(table[c.column]):
                known += [[*row[:at], places[at][ALL], *row[at + 1 :]] for row in known]
        rows = sorted(map(list, set(map(tuple, known))))
        found.append({"of": [i for i, _ in mine], "rows": rows})
    return found


def begun(controls: Sequence[Control], limits: Sequence[Mapping[str, Any]]) -> list[Control]:
    """Returns the controls in a state that has rows: their own, or, control by control, the nearest one or the first.

    Args: limits: what `states` returns. The page's script settles in the same way on what a reader chooses.
    """
    chosen: list[int] = []
    for c in controls:
        wanted = c.options.index(c.value)
        left = [option for option in range(len(c.options)) if _offered([*chosen, option], limits)]
        if left and wanted not in left:
            wanted = min(left, key=lambda o: abs(c.options[o] - c.value)) if c.kind == "slider" else left[0]
        chosen.append(wanted)
    return [replace(c, value=c.options[at]) for c, at in zip(controls, chosen, strict=True)]


def _offered(chosen: Sequence[int], limits: Sequence[Mapping[str, Any]]) -> bool:
    """Whether some row of every table has the places chosen so far."""
    return all(
        any(
            all(c >= len(chosen) or place == chosen[c] for c, place in zip(s["of"], row, strict=True))
            for row in s["rows"]
        )
        for s in limits
    )


def unrecorded(controls: Sequence[Control]) -> str:
    """Returns a sentence on what a reader asked for and no run has, "" where there is nothing to say.

    >>> unrecorded([slider([0.2, 0.4], 0.4, asked=0.6), menu(["a", "b"], "b", "data", "dl_data", asked="b")])
    'Not recorded at noise 60 %: shown at 40 %.'
    """
    found = [
        f"Not recorded at {c.label} {c.text(c.asked)}: shown at {c.text(c.value)}."
        for c in controls
        if c.asked is not None and _key(c.asked) != _key(c.value)
    ]
    return " ".join(found)


def _key(value: Any) -> Any:
    return value if isinstance(value, str) else round(float(value), 6)


@dataclass(frozen=True)
class Saying:
    """A sentence that follows the controls: the text of each state, by the options of some controls."""

    by: tuple[Control, ...]
    texts: Mapping[tuple[Any, ...], str]
    other: str  # where no state of `by` is named

    def start(self, controls: Sequence[Control]) -> str:
        """Returns the text of the state that the controls begin in."""
        values = {c.name: c.value for c in controls}
        return self.texts.get(tuple(values[c.name] for c in self.by), self.other)

    def expression(self) -> str:
        """Returns the Vega expression of the text, broken into lines."""
        found = {
            "|".join(v if isinstance(v, str) else f"{v:g}" for v in key): broken(text)
            for key, text in self.texts.items()
        }
        key = " + '|' + ".join(f"toString({c.name})" for c in self.by)
        return f"({json.dumps(found)})[{key}] || {json.dumps(broken(self.other))}"

    def spec(self, controls: Sequence[Control]) -> dict[str, Any]:
        """Returns what the page needs: the places of the controls, texts with {} for numbers, and what each state takes.

        A state is named by the places of its options; it has the place of its text and the numbers. So that a sentence which
        hundreds of states share is in the page once.
        """
        places = [{_key(o): at for at, o in enumerate(c.options)} for c in self.by]
        named = {
            "|".join(str(places[i][_key(v)]) for i, v in enumerate(key)): text
            for key, text in self.texts.items()
            if all(_key(v) in places[i] for i, v in enumerate(key))
        }
        bare = {key: _NUMBER.sub("{}", text) for key, text in named.items()}
        shared = {text for text, n in Counter(bare.values()).items() if n > 1}
        kept = {key: text if text in shared else named[key] for key, text in bare.items()}
        texts = list(dict.fromkeys(kept.values()))
        states = {
            key: [texts.index(text), *(_NUMBER.findall(named[key]) if text in shared else ())]
            for key, text in kept.items()
        }
        names = [c.name for c in controls]
        return {"of": [names.index(c.name) for c in self.by], "states": states, "texts": texts, "other": self.other}


_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def broken(text: str, most: int = 88) -> list[str]:
    """Returns a text in lines: a chart's title does not wrap by itself.

    >>> broken("one two three", 8)
    ['one two', 'three']
    """
    return textwrap.wrap(text, most, break_long_words=False, break_on_hyphens=False) or [""]


def chosen(*controls: Control) -> str:
    """Returns the Vega expression that a row is what controls choose."""
    tests = {"menu": "datum.{0} === {1}", "slider": near("{0}", "{1}")}
    return " && ".join(tests[c.kind].format(c.column, c.name) for c in controls)


def near(field: str, name: str = "dl_noise") -> str:
    """Returns the Vega expression that a field equals a slider's value."""
    return f"abs(datum.{field} - {name}) < 1e-6"


def nearest(rows: pd.DataFrame, by: str, field: str = "noise") -> pd.DataFrame:
    """Returns the rows with `least` and `most`: where on a slider a row's value is the nearest one that its group has.

    So a slider draws something at every step, whatever values a group was run at; keep the rows with `held()`, and
    say which value is shown. The book's page offers only what was run; Vega's own slider, in Jupyter, cannot.
    """
    limits = []
    for group, own in rows.groupby(by, sort=False)[field]:
        values = sorted(own.unique())
        middle = [(a + b) / 2 for a, b in itertools.pairwise(values)]
        ends = zip(values, [-1.0, *middle], [*middle, 2.0], strict=True)
        limits += [{by: group, field: v, "least": round(low, 4), "most": round(high, 4)} for v, low, high in ends]
    return rows.merge(pd.DataFrame(limits, columns=[by, field, "least", "most"]), on=[by, field])


def held(name: str = "dl_noise") -> str:
    """Returns the Vega expression that a slider stands nearest to the row's value; see `nearest`."""
    return f"{name} > datum.least - 1e-6 && {name} < datum.most - 1e-6"
