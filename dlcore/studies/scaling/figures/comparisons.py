"""Charts of chapter 4 that fit no law: exponents compared size by size, and the excess beside the counting learner's."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd

from dlcore.charts.controls import Saying, choose
from dlcore.charts.layers import either, inside, shown, single, tips
from dlcore.charts.shared import LOG, Highlight
from dlcore.charts.theme import DASHED, ROLES, SOLID, dashes, finish, paired, roles
from dlcore.studies.scaling.comparisons import curve_ratios, paired_by_size
from dlcore.studies.scaling.figures.exponents import BAND
from dlcore.studies.scaling.figures.learning_curves import PAIRS, arm_colour, choice, corpus_name


def size_by_size(parts: Mapping[str, pd.DataFrame], highlight: Highlight = None) -> alt.HConcatChart:
    """Every setting's loss over the baseline's against size, and the difference of exponents that its slope is.

    Args: parts: name of a baseline -> rows of `table.published_scaling` that it belongs to, "" -> rows of `table.derived`,
        whose baseline its fields tell.
    """
    curves = pd.concat([curve_ratios(rows, base or None) for base, rows in parts.items()], ignore_index=True)
    slopes = pd.concat([paired_by_size(rows, base or None, BAND) for base, rows in parts.items()], ignore_index=True)
    if slopes.empty:
        raise ValueError("no setting has three sizes in common with its baseline")
    for rows in (curves, slopes):
        rows["data"], rows["setting"] = rows.pop("curve").map(corpus_name), rows.setting.map(choice)
    numbers = ["difference", "low", "high"]
    curves, slopes = curves.round({"ratio": 4}), slopes.round(dict.fromkeys(numbers, 4))
    counts = slopes.assign(equal=slopes.verdict == "equivalent").groupby("data", sort=False).equal.agg(["sum", "size"])
    said = {
        (
            name,
        ): f"{name}: without fitting a law, {row['sum']} of {row['size']} exponents are within {BAND} of the baseline's"
        for name, row in counts.iterrows()
    }
    data, tall = list(counts.index), max(300, 30 * int(counts["size"].max()))
    dataset = choose(highlight, "data", data, "data")
    here = "datum.data === dl_data"
    colour = arm_colour()
    hover = alt.selection_point(name="dl_setting", fields=["setting"], on="pointerover")
    strong, width = either(hover, 1, 0.15), either(hover, 1.5, 0.5)
    base = shown(curves, here)
    x = alt.X("pairs:Q", title="sentence pairs", scale=LOG, axis=PAIRS)
    y = alt.Y("ratio:Q", title="loss / baseline's", scale=LOG, axis=alt.Axis(format=".2~f"))
    detail = alt.Detail("setting:N")
    tip = tips("setting:N", pairs=",", ratio=".3f")
    one = single(ratio=1.0).mark_rule(color=ROLES["null"], strokeDash=[4, 4])
    left = alt.layer(
        one.encode(y="ratio:Q"),
        base.mark_line().encode(x=x, y=y, color=colour, detail=detail, strokeWidth=width),
        base.mark_point(filled=True, size=40)
        .encode(x=x, y=y, color=colour, detail=detail, opacity=strong, tooltip=tip)
        .add_params(hover),
    ).properties(height=tall)
    dots = shown(slopes, here)
    down, words = inside(dots, "setting", list(dict.fromkeys(slopes.setting)))
    across = alt.X("difference:Q", title="exponent minus the baseline's", axis=alt.Axis(format=".2f", tickCount=5))
    tip = [*tips("setting:N", **dict.fromkeys(numbers, ".3f")), "sizes:Q"]
    tip.append(alt.Tooltip("verdict:N", title=f"within {BAND}?"))
    band = single(**{"from": -BAND, "to": BAND})
    right = alt.layer(
        band.mark_rect(opacity=0.18, color=ROLES["null"]).encode(x=alt.X("from:Q", title=None), x2="to:Q"),
        dots.mark_rule().encode(x="low:Q", x2="high:Q", y=down, color=colour, strokeWidth=width),
        dots.mark_point(filled=True, size=75).encode(x=across, y=down, color=colour, opacity=strong, tooltip=tip),
        words,
    ).properties(height=tall)
    return finish(
        paired(left, right),
        name="size-by-size",
        controls=[dataset],
        title=Saying((dataset,), said, "Exponents compared size by size, without a law"),
        subtitle=f"On all data, {counts['sum'].sum()} of {counts['size'].sum()}. Grey: ± {BAND}. Bars: 95 %.",
        description="Left: the loss of every setting over the baseline's loss, against sentence pairs, in logarithms, above the "
        "known floor where there is one. Right: the difference of exponents, minus the slope of those lines, with 95 per cent "
        "intervals and a grey band of plus and minus 0.05.",
        rows=slopes,
    )


def beside_counting(beside: pd.DataFrame) -> alt.HConcatChart:
    """Excess losses of the clean baselines and of the counting learner, and their exponents from one size to the next.

    Args: beside: `comparisons.beside_counting`.
    """
    names = {"narrow": "64 units", "wide": "512 units", "counting": "counting learner", "unseen": "unseen mass (exact)"}
    # as in the first chart the baseline is grey and what is set beside it pink; theory is violet: a learner, and the exact sum
    keys = alt.Legend(orient="bottom", symbolType="stroke", symbolStrokeWidth=2.5, symbolOpacity=1)
    colour = roles("who", dict(zip(names.values(), ("null", "chosen", "bayes", "bayes"), strict=True)), keys)
    dash = dashes("who", dict(zip(names.values(), (SOLID, SOLID, SOLID, DASHED), strict=True)))
    losses = beside.melt("pairs", [*names][:3], "who", "excess").dropna()
    losses["who"], losses["excess"] = losses.who.map(names), losses.excess.round(5)
    steps = beside.melt("pairs", [f"{n}_exponent" for n in names], "who", "exponent").dropna()
    steps["who"] = steps.who.str.removesuffix("_exponent").map(names)
    steps["exponent"], steps["next"] = steps.exponent.round(4), 4 * steps.pairs
    # drawn in the middle of the two sizes
    steps["pairs"] = (steps.pairs * 2).astype(int)
    x = alt.X("pairs:Q", title="sentence pairs", scale=LOG, axis=PAIRS)
    y = alt.Y("excess:Q", title="excess loss, nats", scale=LOG, axis=alt.Axis(format="~g"))
    tip = tips("who:N", pairs=",", excess=".4f")
    base = alt.Chart(losses).encode(x=x, y=y, color=colour, tooltip=tip)
    left = alt.layer(
        base.mark_line(strokeWidth=1.5).encode(strokeDash=dash), base.mark_point(filled=True, size=55)
    ).properties(height=280)
    up = alt.Y("exponent:Q", title="exponent to the next size", axis=alt.Axis(format=".1f", tickCount=5))
    tip = tips("who:N", exponent=".3f", next=(",", "until, pairs"))
    base = alt.Chart(steps).encode(x=x, y=up, color=colour, tooltip=tip)
    third = single(exponent=1 / 3, text="1/3").encode(y="exponent:Q")
    right = alt.layer(
        third.mark_rule(strokeDash=[6, 4], color=ROLES["null"]),
        third.mark_text(align="left", dy=10, color=ROLES["null"]).encode(x=alt.value(3), text="text:N"),
        base.mark_line(strokeWidth=1.5).encode(strokeDash=dash),
        base.mark_point(filled=True, size=55),
    ).properties(height=280)
    late = beside[beside.wide_ratio.notna()].iloc[-3:]
    least, most = late.wide_ratio.min(), late.wide_ratio.max()
    numbers = beside.select_dtypes("floating").columns
    rows = beside.assign(**{n: beside[n].map(lambda v: float(f"{v:.5g}") if np.isfinite(v) else None) for n in numbers})
    return finish(
        paired(left, right),
        name="beside-counting",
        title=f"From {late.pairs.iloc[0]:,} pairs on, 2L2L's excess is {least:.1f} to {most:.1f} times the counting learner's",
        subtitle="Clean pairs; excess over the true law. Right: exponents between sizes a factor of 4 apart; dashed: theory for an endless list.",
        description="Left: excess loss of transformers of 64 and 512 units and of the counting learner against sentence pairs, "
        "in logarithms, on clean pairs; at the three largest sizes the excess with 512 units is "
        f"{least:.1f} to {most:.1f} times the counting learner's, with one run each. "
        "Right: the exponent from each size to the next, for these and for the exact unseen mass of a finite list of words.",
        rows=rows,
    )
