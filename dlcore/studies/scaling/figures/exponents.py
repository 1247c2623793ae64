"""Charts of chapter 4: exponents against constants, the published points, and laws judged by the largest size."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dlcore import published
from dlcore.charts.controls import Saying, choose, chosen, menu
from dlcore.charts.layers import either, inside, shown, single, tips
from dlcore.charts.shared import INK, LOG, Highlight, padded
from dlcore.charts.theme import ROLES, finish, paired, roles, singled
from dlcore.metrics.scaling import alternating_fit
from dlcore.studies.scaling.figures.learning_curves import ARMS, PAIRS, arm_colour, choice, corpus_name
from dlcore.studies.scaling.table import LAWS, PUBLISHED, CurveFit, fits_table, holdouts, published_scaling

ARCHITECTURES = ("6L6L", "28L6L", "6L28L", "Dec-only", "TEnc-LSTM")
BAND = 0.05
# exponents of others beside ours: law, what is compared, low, high, and how the number was obtained
LITERATURE = (
    ("bansal", "Bansal et al. 2022, English-German", 0.28, 0.28, "reported second-hand"),
    ("bansal", "Bansal et al. 2022, Chinese-English", 0.25, 0.25, "reported second-hand"),
    ("bansal", "Gordon et al. 2021, three pairs", 0.369, 0.425, "our joint fit of their released results"),
    ("floor", "Hestness et al. 2017, several domains", 0.07, 0.35, "range reported second-hand"),
)


def exponent_constants(fits: Sequence[CurveFit], highlight: Highlight = None) -> alt.HConcatChart:
    """The exponent of every setting minus the baseline's, with the equivalence band; and its constant over the baseline's."""
    laws = ("known", "bansal", "floor")
    known = [f for f in fits if f.law in laws]
    rows = fits_table(known, BAND)
    middle = {f.curve: np.exp(np.log(f.sizes).mean()) for f in known if f.arm == "baseline"}
    at = [middle.get(f.curve, np.exp(np.log(f.sizes).mean())) for f in known]
    rows["loss"] = [float(f.predict([size])[0]) for f, size in zip(known, at, strict=True)]
    base = rows[rows.arm == "baseline"].set_index(["curve", "law"]).loss
    ratios = [r.loss / base.get((r.curve, r.law), np.nan) for r in rows.itertuples()]
    rows["data"], rows["law"], rows["ratio"] = rows.curve.map(corpus_name), rows.law.map(LAWS), ratios
    compared = rows[(rows.arm != "baseline") & rows.difference.notna() & rows.difference_low.notna()]
    if compared.empty:
        raise ValueError("no setting has enough sizes in common with its baseline")
    rows = compared.assign(setting=compared.setting.map(choice))
    order = list(dict.fromkeys(rows.sort_values("arm", key=lambda a: a.map(list(ARMS).index), kind="stable").setting))
    numbers = rows.select_dtypes("floating").columns
    rows[numbers] = rows[numbers].map(lambda v: float(f"{v:.5g}"))
    said, best = {}, [LAWS[law] for law in laws if LAWS[law] in set(rows.law)]
    for key, part in rows.groupby(["data", "law"], sort=False):
        equal, other = (int((part.verdict == v).sum()) for v in ("equivalent", "different"))
        said[key] = (
            f"{key[0]}, {key[1]}: {equal} of {len(part)} exponents are within {BAND} of the baseline's, {other} are not, "
            f"{len(part) - equal - other} are undecided; the loss at the middle size is {part.ratio.min():.2f} to "
            f"{part.ratio.max():.2f} times the baseline's"
        )
    law = choose(highlight, "law", best, "law")
    corpus = choose(highlight, "data", rows.data, "data")
    here = chosen(corpus, law)
    dots = shown(rows, here)
    down, words = inside(dots, "setting", order)
    tip = [
        *tips("setting", difference=".3f", difference_low=".3f", difference_high=".3f", exponent=".3f"),
        *tips(knee=(".3~s", "knee 1/C, pairs")),
        alt.Tooltip("verdict:N", title=f"within {BAND} of the baseline?"),
        "sizes",
        "runs",
    ]
    band = single(**{"from": -BAND, "to": BAND})
    across = alt.X(
        "difference:Q", title="exponent minus the baseline's, 95 %", axis=alt.Axis(format="+.2f", tickCount=5)
    )
    left = alt.layer(
        band.mark_rect(opacity=0.18, color=ROLES["null"]).encode(x=alt.X("from:Q"), x2="to:Q"),
        dots.mark_rule(strokeWidth=2).encode(x="difference_low:Q", x2="difference_high:Q", y=down, color=arm_colour()),
        dots.mark_point(filled=True, size=70, opacity=1).encode(x=across, y=down, color=arm_colour(), tooltip=tip),
        words,
    ).properties(height=alt.Step(28))
    ratio = alt.X(
        "ratio:Q",
        title="loss at the middle size / baseline's",
        scale=padded(12),
        axis=alt.Axis(format=".2~f", tickCount=5),
    )
    right = alt.layer(
        single(ratio=1.0).mark_rule(color=ROLES["null"], strokeDash=[6, 4]).encode(x="ratio:Q"),
        dots.mark_point(filled=True, size=70, opacity=1).encode(
            x=ratio, y=down, color=arm_colour(), tooltip=[*tips("setting", ratio=".2f"), "runs"]
        ),
        words,
    ).properties(height=alt.Step(28))
    return finish(
        paired(left, right),
        name="exponents-constants",
        controls=[corpus, law],
        title=Saying((corpus, law), said, f"Exponents within {BAND} of the baseline's"),
        subtitle=f"Grey: ± {BAND}. Pink: architecture, width, training; blue: noise. Fitted to the sizes that both curves have.",
        description="Left: the exponent of every setting minus the baseline's, with 95 per cent intervals and a grey band of plus "
        "and minus 0.05, for the chosen corpus and law. Right: the loss that the law gives at the middle size, over the "
        "baseline's.",
        rows=rows.drop(columns="curve"),
    )


def published_points(fits: Sequence[CurveFit]) -> alt.HConcatChart:
    """The 53 published points with converged fits, and the exponents of each law beside those of others."""
    fits = [f for f in fits if f.curve == PUBLISHED]
    points = published_scaling().rename(columns={"setting": "architecture"})[["architecture", "pairs", "loss"]]
    sizes, parts, ends = np.geomspace(5e5, 1.024e9, 40), [], []
    for f in fits:
        parts.append(pd.DataFrame({"pairs": sizes.round(), "fitted": f.predict(sizes).round(4)}))
        parts[-1] = parts[-1].assign(architecture=f.setting, law=LAWS[f.law])
        low, high = f.fit.intervals[f.fit.curve.law.exponent]
        row = {"architecture": f.setting, "who": f.setting, "law": LAWS[f.law], "exponent": f.fit.exponent}
        ends.append({**row, "low": low, "high": high, "source": "our fit of the 53 points"})
    for law, who, low, high, source in LITERATURE:
        row = {"architecture": "others", "who": who, "law": LAWS[law]}
        row["exponent"] = low if low == high else None
        ends.append({**row, "low": low, "high": high, "source": source})
    curves, ends = pd.concat(parts, ignore_index=True), pd.DataFrame(ends).round(4)
    found = [name for name in LAWS.values() if name in set(curves.law)]
    # the decoder-only curve is the one that crosses the others
    controls = [
        menu(found, found[0], "law", "dl_law"),
        menu(ARCHITECTURES, "Dec-only", "architecture", "dl_architecture"),
    ]
    mine = "datum.architecture === dl_architecture"
    colour = singled(mine)
    x = alt.X("pairs:Q", title="sentence pairs", scale=LOG, axis=PAIRS)
    scale = alt.Scale(type="log", domain=[0.27, 1.15])
    y = alt.Y("loss:Q", title="log-perplexity", scale=scale, axis=alt.Axis(values=[0.3, 0.4, 0.5, 0.6, 0.8, 1]))
    strong, width = either(mine, 1, 0.7), either(mine, 2.4, 1.2)
    tip = [*tips("architecture", pairs="~s"), "loss"]
    left = alt.layer(
        shown(curves, "datum.law === dl_law")
        .mark_line(clip=True)
        .encode(x=x, y=alt.Y("fitted:Q", scale=scale), color=colour, strokeWidth=width, detail="architecture:N"),
        alt.Chart(points).mark_point(filled=True, size=42).encode(x=x, y=y, color=colour, opacity=strong, tooltip=tip),
    ).properties(height=320)
    order = [*ARCHITECTURES, *[who for _, who, *_ in LITERATURE]]
    limits = alt.Scale(domain=[0, 0.9])
    across = alt.X(
        "exponent:Q", title="exponent under this law", scale=limits, axis=alt.Axis(format=".1f", tickCount=5)
    )
    base = shown(ends, "datum.law === dl_law")
    down, words = inside(base, "who", order)
    more = ["who", "exponent", "low", "high", "source"]
    right = alt.layer(
        base.mark_rule(clip=True).encode(
            x=alt.X("low:Q", scale=limits), x2="high:Q", y=down, color=colour, strokeWidth=width, tooltip=more
        ),
        base.transform_filter("isValid(datum.exponent)")
        .mark_point(filled=True, size=75)
        .encode(x=across, y=down, color=colour, opacity=strong, tooltip=more),
        words,
    ).properties(height=320)
    shared = points.pivot(index="pairs", columns="architecture", values="loss").dropna()
    ranks = [
        f"at {n / 1e6:g} million pairs {shared.loc[n].idxmin()} has the lowest loss and {shared.loc[n].idxmax()} the highest"
        for n in (shared.index.min(), shared.index.max())
    ]
    own = ends[ends.architecture != "others"].groupby("law").exponent
    said = {
        (name,): f"{name}: exponents from {own.min()[name]:.2f} to {own.max()[name]:.2f}; {', '.join(ranks)}"
        for name in found
    }
    return finish(
        paired(left, right),
        name="published-points",
        controls=controls,
        there=curves,
        title=Saying((controls[0],), said, "The published curves, and their exponents under a law"),
        subtitle="Points: Bansal et al. 2022. Lines: converged fits, all sizes. Bars: 95 % residual bootstrap; others' ranges.",
        description="Left: the 53 published losses of five architectures against sentence pairs, with fits of the chosen law. "
        "Right: the exponent of each architecture under that law with its 95 per cent interval, and exponents of other "
        "studies where they use the same law.",
        rows=ends,
    )


PRINTED = {"M3": "the thesis's law, as printed", "M4": "their own law M4, as printed"}


def extrapolation(fits: Sequence[CurveFit], highlight: Highlight = None) -> alt.LayerChart:
    """The error at the largest size of every law fitted to the smaller ones, beside the errors that were printed."""
    held = holdouts(fits)
    held = held.assign(data=held.curve.map(corpus_name), error=held.log_error.abs(), method=held.law.map(LAWS))
    parts = [held.assign(source="converged fit")[["data", "setting", "method", "error", "log_error", "source"]]]
    printed = published.read("alabdulmohsin2022")
    published_name = corpus_name(PUBLISHED)
    theirs = pd.DataFrame({"setting": printed.architecture, "error": printed.absolute_log_error})
    parts.append(theirs.assign(data=published_name, method=printed.law.map(PRINTED), source="printed"))
    early = [f for f in fits if f.curve == PUBLISHED and f.law == "bansal"]
    found = [np.log(alternating_fit(f.sizes[:-1], f.losses[:-1]).predict(f.sizes[-1]) / f.losses[-1]) for f in early]
    name = "the thesis's law, optimiser stopped early"
    again = pd.DataFrame({"setting": [f.setting for f in early], "log_error": found, "error": np.abs(found)})
    parts.append(again.assign(data=published_name, method=name, source="re-derived"))
    rows = pd.concat(parts, ignore_index=True).round({"error": 5, "log_error": 5})
    said = {}
    for where, part in rows[rows.source == "converged fit"].groupby("data", sort=False):
        errors = part.groupby("method").error.mean().sort_values()
        first, own = errors.index[0], LAWS["bansal"]
        best = f"; the best law, {first}, by {100 * errors[first]:.1f} %" if first != own else ""
        text = f"{where}: fitted to the smaller sizes, the thesis's law misses the largest by {100 * errors[own]:.1f} %"
        said[(where,)] = text + best
    order = [LAWS["bansal"], name, PRINTED["M3"], *[v for k, v in LAWS.items() if k != "bansal"], PRINTED["M4"]]
    dataset = choose(highlight, "data", rows.data, "data", published_name)
    setting = menu(["all", *dict.fromkeys(rows.setting)], "all", "setting", "dl_setting")
    mine = "dl_setting === 'all' || datum.setting === dl_setting"
    x = alt.X(
        "error:Q",
        title="|log error| at the largest size",
        scale=padded(12),
        axis=alt.Axis(values=[0.001, 0.003, 0.01, 0.03, 0.1, 0.3], format="~g"),
    )
    base = shown(rows, "datum.data === dl_data")
    one = base.transform_aggregate(number="count()", groupby=["method"])
    y, words = inside(one, "method", order)
    colour = roles("source", {"converged fit": "chosen", "re-derived": "null", "printed": "paper"})
    chart = alt.layer(
        single(error=0.015).mark_rule(strokeDash=[6, 4], color=ROLES["null"], strokeWidth=1.5).encode(x="error:Q"),
        base.mark_point(filled=True, size=70).encode(
            x=x,
            y=y,
            color=colour,
            opacity=either(mine, 0.85, 0.1),
            tooltip=[*tips("setting", "method", "source", error=".4f"), "log_error"],
        ),
        base.transform_filter("dl_setting === 'all'")
        .transform_aggregate(mean="mean(error)", groupby=["method"])
        .mark_tick(thickness=3, size=22, color=INK)
        .encode(x="mean:Q", y=y, tooltip=tips("method:N", mean=".4f")),
        words,
    ).properties(width="container", height=310)
    return finish(
        chart,
        name="extrapolation",
        controls=[dataset, setting],
        title=Saying((dataset,), said, "What each law says of the largest size"),
        subtitle="Each dot is a curve, its largest size predicted from the smaller ones. Tick: mean. Dashed: 1.5 %.",
        description="Absolute log error at the largest size for every law fitted to the smaller sizes, one dot per curve, with "
        "the errors printed for the published points and those of an alternating estimator that stops early.",
        rows=rows,
    )
