"""Chapter 4's chart of one law for data and model size."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd

from dlcore.charts.controls import Saying, menu, near, slider
from dlcore.charts.layers import shown, tips
from dlcore.charts.shared import INK, padded
from dlcore.charts.theme import ROLES, finish, paired, singled
from dlcore.charts.words import in_points
from dlcore.metrics.scaling import JointFit
from dlcore.studies.scaling.figures.learning_curves import PAIRS
from dlcore.studies.scaling.size import joint_fit, widths
from dlcore.studies.scaling.table import scaling_fits

LAWS = {"kaplan": "one knee for each size (Kaplan et al.)", "hoffmann": "two powers added (Hoffmann et al.)"}


def _widths_said(rows: pd.DataFrame, fits: Mapping[str, JointFit]) -> dict[tuple[str, float], str]:
    """Returns the finding of every law and size: what the narrowest and the widest leave, and how far the law is off there."""
    said = {}
    for pairs, part in rows.groupby("pairs"):
        left = part.groupby("width").above.mean()
        ends = " and ".join(f"{w} units leave {left[w]:.2g}" for w in dict.fromkeys([left.index[0], left.index[-1]]))
        for law, fit in fits.items():
            off = np.abs(np.log(fit.predict(N=part.parameters, D=part.pairs) / part.above)).mean()
            said[(LAWS[law], round(np.log2(pairs), 4))] = (
                f"With {pairs:,} pairs {ends} nats above the floor; the law misses the runs there by {in_points(off)} % on average"
            )
    return said


def data_and_size(rows: pd.DataFrame) -> alt.HConcatChart:
    """The excess of clean models of every width against pairs, and against parameters at one number of pairs, with a joint law.

    Args: rows of `table.derived`, with at least three widths of the baseline. The runs of preset "gpu", which have another
        budget, are drawn and not fitted: the law's line through their width is a prediction.
    Raises: ValueError for fewer than three widths.
    """
    own = widths(rows)
    fits = {law: joint_fit(rows, law) for law in LAWS}
    if fits["kaplan"] is None:
        raise ValueError("a law in data and model size needs runs of at least three widths")
    more = rows[(rows.preset == "gpu") & (rows.arm == "baseline") & rows.usable.astype(bool)]
    points = pd.concat([own.assign(fitted="yes"), more.assign(fitted="no")])
    points = points[["width", "parameters", "pairs", "seed", "above", "fitted"]].round({"above": 5})
    points["power"] = np.log2(points.pairs).round(4)
    sizes = points.groupby(["width", "fitted"]).parameters.first()
    grid = np.geomspace(own.pairs.min(), points.pairs.max(), 28)
    lines, across = [], []
    models = np.geomspace(sizes.min() / 1.3, 1.3 * sizes.max(), 24)
    powers = sorted(points[points.fitted == "yes"].power.unique())
    for law, fit in fits.items():
        for (width, fitted), n in sizes.items():
            end = grid if fitted == "no" else grid[grid <= 4 * own.pairs.max()]
            lines.append(pd.DataFrame({"pairs": end.round(), "above": fit.predict(N=n, D=end)}))
            lines[-1] = lines[-1].assign(width=width, fitted=fitted, law=LAWS[law])
        for power in powers:
            across.append(pd.DataFrame({"parameters": models.round(), "above": fit.predict(N=models, D=2**power)}))
            across[-1] = across[-1].assign(power=power, law=LAWS[law])
    lines, across = (pd.concat(parts, ignore_index=True).round({"above": 5}) for parts in (lines, across))
    colour = singled("datum.fitted === 'no'")
    laws = menu(list(LAWS.values()), LAWS["kaplan"], "law", "dl_law")
    size = slider(powers, powers[-1], "training pairs: 2 to the power", "dl_power", "~g")
    chosen = "datum.law === dl_law"
    logs = padded(24)
    # one range for all sizes: the slider moves the dots and not the axis
    limits = [0.9 * own.above.min(), 1.1 * own.above.max()]
    fixed = alt.Scale(type="log", nice=False, domain=limits)
    up = alt.Axis(format=".2~f", tickCount=6)
    y = alt.Y("above:Q", title="loss above the known floor, nats", scale=logs, axis=up)
    x = alt.X("pairs:Q", title="training pairs D", scale=logs, axis=PAIRS)
    tip = tips("width:N", "pairs:Q", "seed:N", above=".4f")
    law = shown(lines, chosen).mark_line(strokeWidth=1.8)
    dash = alt.StrokeDash("fitted:N", scale=alt.Scale(domain=["yes", "no"], range=[[1, 0], [5, 4]]), legend=None)
    dots = alt.Chart(points).mark_point(size=42, filled=True, opacity=0.9)
    last = lines.loc[lines.groupby(["width", "law"]).pairs.idxmax()]
    last = last.assign(width=last.width.astype(int).astype(str))
    ends = shown(last, chosen)
    here = near("power", "dl_power")
    rule = shown(pd.DataFrame({"power": powers, "pairs": np.exp2(powers)}), here)
    left = alt.layer(
        rule.mark_rule(strokeDash=[2, 3], color=ROLES["null"], strokeWidth=1.5).encode(x=x),
        law.encode(x=x, y=y, color=colour, strokeDash=dash, detail="width:N"),
        dots.encode(x=x, y=y, color=colour, tooltip=tip),
        ends.mark_text(align="left", dx=5, color=INK).encode(x=x, y=y, text="width:N"),
    ).properties(height=320)
    model = alt.X(
        "parameters:Q", title="parameters N", scale=logs, axis=alt.Axis(format="~s", tickCount=4, labelOverlap=True)
    )
    right = alt.layer(
        shown(across, f"{chosen} && {here}")
        .mark_line(strokeWidth=1.8, color=ROLES["null"], clip=True)
        .encode(x=model, y=alt.Y("above:Q", title="loss above the known floor, nats", scale=fixed, axis=up)),
        dots.transform_filter(here).encode(x=model, y="above:Q", color=colour, tooltip=tip),
    ).properties(height=320)
    # of the power law above the known floor, each width on its own
    width = own.groupby("setting").width.first()
    each = scaling_fits(own, ("known",), bootstrap=0)
    alone = ", ".join(f"{f.fit.exponent:.2f} with {width[f.setting]}" for f in each)
    return finish(
        paired(left, right),
        name="data-and-size",
        controls=[laws, size],
        there=[across[["law", "power"]]],
        title=Saying((laws, size), _widths_said(own, fits), "The excess by pairs and by parameters"),
        subtitle="Dots: clean runs. Lines: one law fitted to all widths at once, labelled by width; dashed: a width not used in the "
        f"fit. Each width fitted alone has the exponent {alone} units.",
        description="Left: the loss above the known floor against training pairs, for models of several widths, with one joint law "
        "fitted to all of them, on logarithmic axes. Right: the same losses at the chosen number of pairs against the number "
        "of parameters. The widest model was trained with another budget and is not fitted.",
        rows=points.drop(columns="power"),
    )
