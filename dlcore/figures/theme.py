"""How every chart of the book looks: one colour per role, one renderer for the page, a description and rows for all."""

from __future__ import annotations

import base64
import html
import json
import os
from typing import Any

import altair as alt
import pandas as pd

# One colour per role across the whole book, from Okabe and Ito's colour-blind safe palette.
ROLES = {
    "train": "#0072B2",
    "test": "#D55E00",
    "sampler": "#009E73",
    "bayes": "#8c6bb1",
    "thesis": "#B07D00",
    "null": "#7f7f7f",
    "highlight": "#CC3377",
}
FAMILY_COLOURS = {
    "1-NN": "#0072B2",
    "15-NN": "#56A0D3",
    "tree": "#8C564B",
    "extra tree": "#B58B7F",
    "forest": "#009E73",
    "Gaussian kernel": "#B07D00",
    "Laplace kernel": "#D1A33C",
    "SVM": "#7F7F7F",
    "logistic": "#A05195",
    "MLP": "#D55E00",
    "convnet": "#CC3377",
    "ResNet": "#5B3FA0",
    "ResNet-18": "#2F2377",
}
FAMILY_SHAPES = {"networks": "circle", "neighbours": "square", "trees": "triangle-up", "kernels": "diamond"}


def family_colour(field: str, families: list[str], **legend: Any) -> alt.Color:
    """Returns the colour encoding of model families, the same in every chart."""
    known = [f for f in FAMILY_COLOURS if f in families] + [f for f in families if f not in FAMILY_COLOURS]
    colours = [FAMILY_COLOURS.get(f, "#7f7f7f") for f in known]
    keys = alt.Legend(**({"title": "model family", "orient": "bottom", "columns": 4, "symbolLimit": 20} | legend))
    return alt.Color(f"{field}:N", scale=alt.Scale(domain=known, range=colours), legend=keys)


def finish(
    chart: alt.TopLevelMixin, *, name: str, title: str, description: str, rows: pd.DataFrame, subtitle: str = ""
) -> alt.TopLevelMixin:
    """Returns the chart with its title (which states the finding), its text for screen readers and its rows.

    Args:
        name: of the CSV file that the page offers under the chart; lower case with hyphens.
        rows: the table behind the chart, as the reader may download it.
    Raises: ValueError for an empty table or a missing description: such a chart would show nothing.
    """
    if rows.empty:
        raise ValueError(f"chart {name!r} has no rows: no record matches; run `python -m dlcore doctor`")
    if not description or not title:
        raise ValueError(f"chart {name!r} needs a title and a description")
    head: Any = alt.TitleParams(title, subtitle=[subtitle], anchor="start") if subtitle else title
    note = {"name": name, "csv": rows.to_csv(index=False, float_format="%.5g")}
    return chart.properties(title=head, description=description, usermeta=note)


def paired(left: alt.Chart, right: alt.Chart) -> alt.HConcatChart:
    """Returns two charts side by side; the page stacks them where there is no room."""
    return alt.hconcat(left, right, spacing=24)


def setup() -> None:
    """Enables the renderer: the book's own while the book is built, Altair's default in Jupyter and Colab."""
    # the largest chart holds some thousands of rows; Altair's own limit of 5,000 guards against accidents only
    alt.data_transformers.disable_max_rows()
    if os.environ.get("DLCORE_BOOK"):
        alt.renderers.register("dlbook", _render)
        alt.renderers.enable("dlbook")
    else:
        alt.renderers.enable("default")


def _render(spec: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Returns the page's output: the specification once, a link to its rows, a picture where scripts are off."""
    import vl_convert

    spec = json.loads(json.dumps(spec))
    note = spec.pop("usermeta", {})
    text = html.escape(spec.get("description", ""), quote=True)
    still = json.loads(json.dumps(spec))
    if still.get("width") == "container":
        still["width"] = 560
    svg = base64.b64encode(vl_convert.vegalite_to_svg(still).encode()).decode()
    body = json.dumps(spec, separators=(",", ":")).replace("</", "<\\/")
    link = ""
    if "csv" in note:
        data = base64.b64encode(note["csv"].encode()).decode()
        link = (
            f'<p class="dl-rows"><a download="{note["name"]}.csv" href="data:text/csv;base64,{data}">'
            f"Rows behind this chart (CSV, {note['csv'].count(chr(10)) - 1:,} rows)</a></p>"
        )
    picture = f'<noscript><img alt="{text}" src="data:image/svg+xml;base64,{svg}"></noscript>'
    return {
        "text/plain": f"[chart] {spec.get('description', '')}",
        "text/html": (
            f'<div class="dl-chart" role="group" aria-label="{text}">'
            f'<script type="application/vnd.vegalite+json">{body}</script>{picture}{link}</div>'
        ),
    }
