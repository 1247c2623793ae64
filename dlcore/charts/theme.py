"""How every chart of the book looks: one colour per role, words for columns, a description and rows for all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, cast

import altair as alt
import pandas as pd

from dlcore.charts.controls import Control, Saying, begun, broken, states, unrecorded

# One colour per role across the whole book: charts, tables, verdicts and the laboratory. Each has a contrast of at least
# 3:1 with the page in light and in dark, and each differs from every other for the colour-blind (tests/test_figures_theme.py).
ROLES = {
    "train": "#2167D7",  # training points, noisy labels
    "test": "#D52E06",  # test points
    "chosen": "#C12591",  # the run, setting or quantity that the reader chose, or that the title is about
    "own": "#0799D4",  # the reader's own run
    "sampler": "#1F7B5E",  # a sampler of the training distribution
    "bayes": "#784AFF",  # what a theory or the Bayes rule says
    "paper": "#AB8A53",  # the values of a paper or of the thesis
    "null": "#8E9194",  # controls, nulls, and what is not chosen
}
# columns that a reader meets in a tooltip or a table, in words
WORDS = {
    "n_train": "training samples",
    "num_train": "training samples",
    "train_error": "training error",
    "test_error": "test error",
    "tv_shown": "TV, debiased",
    "top_stage": "stage",
    "table_predicted": "predicted by the identity",
    "table_measured": "measured",
    "flip_rate_test": "rate of the noise's target on test",
    "dimension_used": "dimension",
    "strength": "penalty",
    "log_error": "log error, signed",
    "label_error": "mislabelled",
    "seeds": "number of seeds",
    "noise": "noise rate",
    "clean": "with clean labels",
}


def words(field: str) -> str:
    """Returns a column's name as a reader would say it.

    >>> words("n_train"), words("memorization"), words("random_penalty")
    ('training samples', 'memorization', 'random penalty')
    """
    return WORDS.get(field, field.replace("_", " "))


def roles(field: str, named: dict[str, str], legend: alt.Legend | None = None, **more: Any) -> alt.Color:
    """Returns the colour encoding of series by their roles: series -> role."""
    shown = legend if legend is not None else alt.Legend(orient="bottom", symbolOpacity=1)
    scale = alt.Scale(domain=list(named), range=[ROLES[role] for role in named.values()])
    return alt.Color(f"{field}:N", title=None, scale=scale, legend=shown, **more)


SOLID, DASHED, DOTTED = [1, 0], [6, 3], [1.5, 3]


def dashes(field: str, named: dict[str, Sequence[float]]) -> alt.StrokeDash:
    """Returns the dash encoding of series that share a role: series -> dash. Its legend is that of the colours."""
    return alt.StrokeDash(f"{field}:N", title=None, scale=alt.Scale(domain=list(named), range=list(named.values())))


def singled(test: str, role: str = "chosen") -> Any:
    """Returns the colour encoding of what the reader chose: the role's where a Vega expression holds, grey elsewhere."""
    return alt.condition(test, alt.value(ROLES[role]), alt.value(ROLES["null"]))


def shapes(field: str, names: Sequence[str]) -> alt.Shape:
    """Returns the shape encoding of families and data sets, with a legend that can be seen in light and dark."""
    grey = dict.fromkeys(("symbolFillColor", "symbolStrokeColor"), ROLES["null"])
    keys = alt.Legend(orient="bottom", columns=4, symbolOpacity=1, **grey)
    return alt.Shape(f"{field}:N", title=None, scale=alt.Scale(domain=list(names)), legend=keys)


def finish(
    chart: alt.TopLevelMixin,
    *,
    name: str,
    title: str | Saying,
    description: str,
    rows: pd.DataFrame,
    subtitle: str = "",
    controls: Sequence[Control] = (),
    there: pd.DataFrame | Sequence[pd.DataFrame] | None = None,
) -> alt.TopLevelMixin:
    """Returns the chart with its controls, its title (which states the finding), its text for screen readers and its rows.

    It begins in a state that has rows; where the reader asked for another one, the subtitle says so.

    Args:
        name: of the CSV file that the page offers under the chart; lower case with hyphens.
        rows: the table behind the chart, as the reader may download it.
        controls: in the order in which a sentence would name them.
        there: which states have rows, see `controls.states`; by default by the columns of `rows`.
    Raises: ValueError for an empty table or a missing description: such a chart would show nothing.
    """
    if rows.empty:
        raise ValueError(f"chart {name!r} has no rows: no record matches; run `python -m dlcore doctor`")
    if not description or not title:
        raise ValueError(f"chart {name!r} needs a title and a description")
    limits = states(controls, rows if there is None else there)
    controls = begun(controls, limits)
    subtitle = " ".join(filter(None, (unrecorded(controls), subtitle)))
    _in_words(chart)
    note: dict[str, Any] = {"name": name, "csv": rows.to_csv(index=False, float_format="%.5g"), "subtitle": subtitle}
    note["controls"] = [
        {"name": c.name, "label": c.label, "kind": c.kind, "value": c.options.index(c.value), "column": c.column}
        | {"options": list(c.options), "shown": c.texts}
        for c in controls
    ]
    note["states"] = limits
    if isinstance(title, Saying):
        note["says"] = title.spec(controls)
        text: Any = alt.ExprRef(title.expression())
        note["title"] = title.start(controls)
    else:
        text, note["title"] = broken(title), title
    head = alt.TitleParams(text, subtitle=broken(subtitle, 105) if subtitle else alt.Undefined, anchor="start")
    chart = cast(Any, chart).add_params(*(c.parameter() for c in controls)) if controls else chart
    return chart.properties(title=head, description=description, usermeta=note)


def _in_words(chart: Any) -> None:
    """Gives every tooltip of a chart the column's name in words."""
    for parts in ("layer", "hconcat", "vconcat"):
        found = getattr(chart, parts, alt.Undefined)
        for part in found if isinstance(found, list) else []:
            _in_words(part)
    encoding: Any = getattr(chart, "encoding", alt.Undefined)
    tips = getattr(encoding, "tooltip", alt.Undefined)
    if isinstance(tips, list):
        encoding.tooltip = [_worded(alt.Tooltip(tip) if isinstance(tip, str) else tip) for tip in tips]


def _worded(tip: alt.Tooltip) -> alt.Tooltip:
    field = str(tip.shorthand).partition(":")[0]
    return tip if tip["title"] is not alt.Undefined or "(" in field else tip.title(words(field))


def paired(left: alt.Chart, right: alt.Chart) -> alt.HConcatChart:
    """Returns two charts side by side; the page stacks them where there is no room."""
    return alt.hconcat(left, right, spacing=24)


def setup() -> None:
    """Enables the renderer: the book's own while the book is built, Altair's default in Jupyter and Colab."""
    # the largest chart holds some thousands of rows; Altair's own limit of 5,000 guards against accidents only
    alt.data_transformers.disable_max_rows()
    if os.environ.get("DLCORE_BOOK"):
        from dlcore.charts.page import render

        alt.renderers.register("dlbook", render)
        alt.renderers.enable("dlbook")
    else:
        alt.renderers.enable("default")
