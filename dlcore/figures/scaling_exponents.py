"""Charts of chapter 4: exponents against constants, the published points, and laws judged by the largest size."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dlcore import published, tables
from dlcore.figures.controls import menu, pick
from dlcore.figures.scaling import PAIRS, arm_colour, corpus_name
from dlcore.figures.shared import Highlight, inside
from dlcore.figures.theme import ROLES, finish, paired
from dlcore.metrics.scaling import alternating_fit
from dlcore.tables import LAWS, CurveFit

ARCHITECTURE_COLOURS = {
    "6L6L": "#0072B2",
    "28L6L": "#8c6bb1",
    "6L28L": "#009E73",
    "Dec-only": "#D55E00",
    "TEnc-LSTM": "#B07D00",
}
BAND = 0.05
# exponents of others beside ours: law, what is compared, low, high, and how the number was obtained
LITERATURE = (
    ("bansal", "Bansal et al. 2022, English-German", 0.28, 0.28, "reported second-hand"),
    ("bansal", "Bansal et al. 2022, Chinese-English", 0.25, 0.25, "reported second-hand"),
    ("bansal", "Gordon et al. 2021, three pairs", 0.369, 0.425, "our joint fit of their released results"),
    ("floor", "Hestness et al. 2017, several domains", 0.07, 0.35, "range reported second-hand"),
)


def exponent_constants(fits: Sequence[CurveFit], highlight: Highlight = None) -> alt.HConcatChart:
    """The exponent of every setting against a constant of its curve, and by name, with the equivalence band."""
    known = [f for f in fits if f.law in ("bansal", "floor", "known")]
    rows = tables.fits_table(known, BAND)
    middle = {f.curve: np.exp(np.log(f.sizes).mean()) for f in known if f.arm == "baseline"}
    at = [middle.get(f.curve, np.exp(np.log(f.sizes).mean())) for f in known]
    rows["at the middle size"] = [float(f.predict([size])[0]) for f, size in zip(known, at, strict=True)]
    rows = rows.rename(columns={"limit": "with endless data"})
    rows["data"], rows["law"] = rows.curve.map(corpus_name), rows.law.map(LAWS)
    rows = rows[rows.exponent.notna() & rows["with endless data"].notna()]
    # an interval that says only that the curve does not tell would hide the others; its end is in the rows
    rows["shown_low"] = np.maximum(rows.low, rows.exponent - 0.2)
    rows["shown_high"] = np.minimum(rows.high, rows.exponent + 0.2)
    base = rows[rows.arm == "baseline"][["data", "law", "exponent"]]
    base = base.assign(bottom=base.exponent - BAND, top=base.exponent + BAND)
    numbers = rows.select_dtypes("floating").columns
    rows[numbers] = rows[numbers].map(lambda v: float(f"{v:.5g}"))
    compared = rows[rows.arm != "baseline"].groupby("law").verdict
    equal, compared = compared.apply(lambda v: int((v == "equivalent").sum())), compared.size()
    counts = [f"{equal[law]} of {compared[law]} under {law}" for law in (LAWS["known"], LAWS["bansal"]) if law in equal]
    settings = [*rows[rows.arm == "baseline"].setting, *rows.setting]
    start, data = dict(highlight or {}), list(dict.fromkeys(rows.data))
    found = [name for name in LAWS.values() if name in set(rows.law)]
    constants = ["with endless data", "at the middle size"]
    controls = [
        menu(data, pick(start, "data", data, data[0]), "data", "dl_data"),
        menu(found, pick(start, "law", found, found[0]), "law", "dl_law"),
        menu(constants, constants[0], "constant: loss", "dl_constant"),
    ]
    here = "datum.data === dl_data && datum.law === dl_law"
    up = alt.Y("exponent:Q", title="exponent", scale=alt.Scale(zero=False), axis=alt.Axis(format=".2f", tickCount=6))
    x = alt.X(
        "constant:Q",
        title="constant: the loss the law gives, nats",
        scale=alt.Scale(zero=False),
        axis=alt.Axis(format=".2~f", tickCount=5),
    )
    colour = arm_colour("arm", list(rows.arm), columns=3)
    tip = [
        "setting",
        alt.Tooltip("exponent:Q", format=".3f"),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
        alt.Tooltip("knee:Q", format=".3~s", title="knee 1/C, pairs"),
        alt.Tooltip("verdict:N", title=f"within {BAND} of the baseline?"),
        "sizes",
        "runs",
    ]
    strip = alt.Chart(base).transform_filter(here)
    dots = alt.Chart(rows).transform_filter(here).transform_calculate(constant="datum[dl_constant]")
    left = alt.layer(
        strip.mark_rect(opacity=0.18, color=ROLES["null"]).encode(y=alt.Y("bottom:Q", title="exponent"), y2="top:Q"),
        dots.mark_rule(strokeWidth=1.5, opacity=0.7).encode(x=x, y="shown_low:Q", y2="shown_high:Q", color=colour),
        dots.mark_point(filled=True, size=75, opacity=1).encode(x=x, y=up, color=colour, tooltip=tip),
    ).properties(height=300)
    across = alt.X(
        "exponent:Q",
        title="exponent, 95 % interval",
        scale=alt.Scale(zero=False),
        axis=alt.Axis(format=".2f", tickCount=5),
    )
    down, words = inside(dots, "setting", list(dict.fromkeys(settings)))
    most = rows.groupby(["data", "law"]).setting.nunique().max()
    right = alt.layer(
        strip.mark_rect(opacity=0.18, color=ROLES["null"]).encode(x=alt.X("bottom:Q", title=None), x2="top:Q"),
        dots.mark_rule(strokeWidth=1.5, opacity=0.7).encode(x="shown_low:Q", x2="shown_high:Q", y=down, color=colour),
        dots.mark_point(filled=True, size=75, opacity=1).encode(x=across, y=down, color=colour, tooltip=tip),
        words,
    ).properties(height=max(300, 26 * int(most)))
    return finish(
        paired(left, right),
        name="exponents-constants",
        controls=controls,
        title=f"Exponents equal to the baseline's within {BAND}: {', '.join(counts)}",
        subtitle=f"Grey: the baseline's exponent ± {BAND}. Bars: 95 %, cut at 0.2 from the dot. Tooltip: the test, on common sizes, at 95 %.",
        description="Left: the exponent of every setting against the loss that its law gives with endless data or at the "
        "middle size. Right: the same exponents by name with 95 per cent intervals. A grey band marks the baseline's "
        "exponent plus and minus 0.05, for the chosen corpus and law.",
        rows=rows,
    )


def published_points(fits: Sequence[CurveFit]) -> alt.HConcatChart:
    """The 53 published points with converged fits, and the exponents of each law beside those of others."""
    fits = [f for f in fits if f.curve == tables.PUBLISHED]
    points = tables.published_scaling()[["architecture_name", "pairs", "loss"]].rename(
        columns={"architecture_name": "architecture"}
    )
    sizes, parts, ends = np.geomspace(5e5, 1.024e9, 40), [], []
    for f in fits:
        parts.append(pd.DataFrame({"pairs": sizes.round(), "fitted": f.predict(sizes).round(5)}))
        parts[-1] = parts[-1].assign(architecture=f.setting, law=LAWS[f.law])
        low, high = f.fit.intervals[f.fit.curve.law.exponent]
        row = {"architecture": f.setting, "who": f.setting, "law": LAWS[f.law], "exponent": f.fit.exponent}
        ends.append({**row, "low": low, "high": high, "source": "our fit of the 53 points"})
    for law, who, low, high, source in LITERATURE:
        row = {
            "architecture": "others",
            "who": who,
            "law": LAWS[law],
            "exponent": (low + high) / 2 if low == high else None,
        }
        ends.append({**row, "low": low, "high": high, "source": source})
    curves, ends = pd.concat(parts, ignore_index=True), pd.DataFrame(ends).round(4)
    ends["shown_low"], ends["shown_high"] = ends.low.clip(0, 0.9), ends.high.clip(0, 0.9)
    found = [name for name in LAWS.values() if name in set(curves.law)]
    names = ["all", *ARCHITECTURE_COLOURS]
    controls = [menu(found, found[0], "law", "dl_law"), menu(names, "all", "architecture", "dl_architecture")]
    mine = "dl_architecture === 'all' || datum.architecture === dl_architecture"
    domain = [*ARCHITECTURE_COLOURS, "others"]
    colours = alt.Scale(domain=domain, range=[*ARCHITECTURE_COLOURS.values(), ROLES["null"]])
    colour = alt.Color("architecture:N", scale=colours, legend=alt.Legend(title=None, orient="bottom", columns=3))
    x = alt.X("pairs:Q", title="sentence pairs", scale=alt.Scale(type="log", nice=False), axis=PAIRS)
    scale = alt.Scale(type="log", domain=[0.27, 1.15])
    y = alt.Y("loss:Q", title="log-perplexity", scale=scale, axis=alt.Axis(values=[0.3, 0.4, 0.5, 0.6, 0.8, 1]))
    strong = alt.condition(mine, alt.value(1), alt.value(0.12))
    tip = ["architecture", alt.Tooltip("pairs:Q", format="~s"), "loss"]
    left = alt.layer(
        alt.Chart(curves)
        .transform_filter("datum.law === dl_law")
        .mark_line(strokeWidth=1.8, clip=True)
        .encode(x=x, y=alt.Y("fitted:Q", scale=scale), color=colour, opacity=strong),
        alt.Chart(points).mark_point(filled=True, size=42).encode(x=x, y=y, color=colour, opacity=strong, tooltip=tip),
    ).properties(height=320)
    order = [*ARCHITECTURE_COLOURS, *[who for _, who, *_ in LITERATURE]]
    limits = alt.Scale(domain=[0, 0.9])
    across = alt.X(
        "exponent:Q", title="exponent under this law", scale=limits, axis=alt.Axis(format=".1f", tickCount=5)
    )
    base = alt.Chart(ends).transform_filter("datum.law === dl_law")
    down, words = inside(base, "who", order)
    more = ["who", "exponent", "low", "high", "source"]
    right = alt.layer(
        base.mark_rule(strokeWidth=2).encode(
            x=alt.X("shown_low:Q", scale=limits), x2="shown_high:Q", y=down, color=colour, opacity=strong, tooltip=more
        ),
        base.transform_filter("isValid(datum.exponent)")
        .mark_point(filled=True, size=75)
        .encode(x=across, y=down, color=colour, opacity=strong, tooltip=more),
        words,
    ).properties(height=320)
    return finish(
        paired(left, right),
        name="published-points",
        controls=controls,
        there=curves,
        title="The published curves cross, and their exponents belong to the law",
        subtitle="Points: Bansal et al. 2022. Lines: converged fits, all sizes. Bars: 95 % residual bootstrap; others' ranges.",
        description="Left: the 53 published losses of five architectures against sentence pairs, with fits of the chosen law. "
        "Right: the exponent of each architecture under that law with its 95 per cent interval, and exponents of other "
        "studies where they use the same law. The decoder-only curve is lowest at small and highest at large data.",
        rows=ends.drop(columns=["shown_low", "shown_high"]),
    )


PRINTED = {"M3": "the thesis's law, as printed", "M4": "their own law M4, as printed"}


def extrapolation(fits: Sequence[CurveFit], highlight: Highlight = None) -> alt.LayerChart:
    """The error at the largest size of every law fitted to the smaller ones, beside the errors that were printed."""
    held = tables.holdouts(fits)
    held = held.assign(data=held.curve.map(corpus_name), error=held.log_error.abs(), method=held.law.map(LAWS))
    held["source"] = "converged fit"
    parts = [held[["data", "setting", "method", "error", "log_error", "source"]]]
    printed = published.read("alabdulmohsin2022")
    parts.append(
        pd.DataFrame({"setting": printed.architecture, "error": printed.absolute_log_error}).assign(
            data=corpus_name(tables.PUBLISHED), method=printed.law.map(PRINTED), source="printed"
        )
    )
    early = [f for f in fits if f.curve == tables.PUBLISHED and f.law == "bansal"]
    found = [np.log(alternating_fit(f.sizes[:-1], f.losses[:-1]).predict(f.sizes[-1]) / f.losses[-1]) for f in early]
    name = "the thesis's law, optimiser stopped early"
    parts.append(
        pd.DataFrame({"setting": [f.setting for f in early], "log_error": found, "error": np.abs(found)}).assign(
            data=corpus_name(tables.PUBLISHED), method=name, source="re-derived"
        )
    )
    rows = pd.concat(parts, ignore_index=True)
    rows[["error", "log_error"]] = rows[["error", "log_error"]].round(5)
    law = (rows.method == LAWS["bansal"]) & (rows.data == corpus_name(tables.PUBLISHED))
    mean = rows[law].error.mean()
    order = [LAWS["bansal"], name, PRINTED["M3"], *[v for k, v in LAWS.items() if k != "bansal"], PRINTED["M4"]]
    start, data = dict(highlight or {}), list(dict.fromkeys(rows.data))
    published_name = corpus_name(tables.PUBLISHED)
    dataset = menu(data, pick(start, "data", data, published_name), "data", "dl_data")
    settings = ["all", *dict.fromkeys(rows.setting)]
    chosen = menu(settings, "all", "setting", "dl_setting")
    mine = "dl_setting === 'all' || datum.setting === dl_setting"
    x = alt.X(
        "error:Q",
        title="|log error| at the largest size",
        scale=alt.Scale(type="log", nice=False, padding=12),
        axis=alt.Axis(values=[0.001, 0.003, 0.01, 0.03, 0.1, 0.3], format="~g"),
    )
    base = alt.Chart(rows).transform_filter("datum.data === dl_data")
    one = base.transform_aggregate(number="count()", groupby=["method"])
    y, words = inside(one, "method", order)
    scale = alt.Scale(
        domain=["converged fit", "re-derived", "printed"], range=[ROLES["train"], ROLES["test"], ROLES["paper"]]
    )
    colour = alt.Color("source:N", scale=scale, legend=alt.Legend(title=None, orient="bottom"))
    chart = alt.layer(
        alt.Chart(pd.DataFrame({"error": [0.015]}))
        .mark_rule(strokeDash=[6, 4], color=ROLES["null"], strokeWidth=1.5)
        .encode(x="error:Q"),
        base.mark_point(filled=True, size=70).encode(
            x=x,
            y=y,
            color=colour,
            opacity=alt.condition(mine, alt.value(0.85), alt.value(0.1)),
            tooltip=["setting", "method", "source", alt.Tooltip("error:Q", format=".4f"), "log_error"],
        ),
        base.transform_filter("dl_setting === 'all'")
        .transform_aggregate(mean="mean(error)", groupby=["method"])
        .mark_tick(thickness=3, size=22, color=ROLES["chosen"])
        .encode(x="mean:Q", y=y, tooltip=["method:N", alt.Tooltip("mean:Q", format=".4f")]),
        words,
    ).properties(width="container", height=310)
    return finish(
        chart,
        name="extrapolation",
        controls=[dataset, chosen],
        title=f"A converged fit of the thesis's law predicts 512 million pairs to {mean:.1%}",
        subtitle="One dot per curve: largest size predicted from the smaller ones. Tick: mean. Dashed: 1.5 %.",
        description="Absolute log error at the largest size for every law fitted to the smaller sizes, one dot per curve, with "
        "the errors printed for the published points and those of an alternating estimator that stops early, which agree. "
        "The converged fit of the thesis's law has an error of about one per cent.",
        rows=rows,
    )
