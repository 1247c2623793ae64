"""Charts across the findings: memorising against sampling, one noise in four measures, what similarity buys."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dlcore.charts.controls import Saying, choose, near, slider
from dlcore.charts.layers import shown, single, tips
from dlcore.charts.shared import INK, RATE, named
from dlcore.charts.theme import ROLES, finish, roles
from dlcore.charts.words import order, percent
from dlcore.summaries import family, select


def memorising_and_sampling(rationality: pd.DataFrame) -> alt.LayerChart:
    """Share of an interpolator's memorization against share of a sampler's loss, for every procedure of chapter 1.

    Args: rationality: that of `studies.table("rationality")`.
    """
    rows = named(rationality[rationality.usual & (rationality.noise > 0)])
    rows = rows.assign(kind=np.where(rows.objective == "supervised", "end to end", "probe on features"))
    keep = ["data", "method", "kind", "noise", "seed", "memorized_share", "sampler_share"]
    rows = rows[keep].replace([np.inf, -np.inf], np.nan).dropna().round(4)
    rates = sorted(float(r) for r in rows.noise.unique() if (rows.noise == r).sum() > 20)
    rate = slider(rates, 0.2)
    rows = rows[rows.noise.isin(rates)]
    said = {}
    for r, part in rows.groupby("noise"):
        alike = order(part.memorized_share, part.sampler_share, "go together", "do not go together")
        said[(r,)] = f"At {percent(r)} noise, the share memorised and the share of a sampler's loss {alike}"
    x = alt.X("memorized_share:Q", title="memorization gap, as a share of an interpolator's", axis=RATE)
    y = alt.Y("sampler_share:Q", title="clean accuracy lost, as a share of a sampler's loss", axis=RATE)
    ends = pd.DataFrame({"memorized_share": [0, 1], "sampler_share": [0, 1]})
    kinds = {"end to end": "chosen", "probe on features": "null"}
    colour = roles("kind", kinds)
    shape = alt.Shape("kind:N", title=None, scale=alt.Scale(domain=[*kinds], range=["square", "circle"]))
    tip = tips("data", "method", "seed", memorized_share=".2f", sampler_share=".2f")
    chart = alt.layer(
        alt.Chart(ends).mark_line(strokeDash=[6, 4], color=ROLES["null"]).encode(x=x, y=y),
        shown(rows, near("noise"))
        .mark_point(filled=True, size=45, opacity=1)
        .encode(x=x, y=y, color=colour, shape=shape, tooltip=tip),
    ).properties(height=360, width="container")
    return finish(
        chart,
        name="memorising-and-sampling",
        title=Saying((rate,), said, "The share memorised, and the share of a sampler's loss"),
        subtitle="Each dot is a recorded run of chapter 1. On the dashed line the two shares are equal.",
        description="Every procedure of chapter 1 at the chosen noise rate: on the horizontal axis its memorization gap as a share of "
        "an interpolating classifier's, on the vertical axis the clean test accuracy that the noise costs as a share of what "
        "it costs a sampler of the noisy labels.",
        rows=rows,
        controls=[rate],
    )


def noise_in_four(
    rationality: pd.DataFrame, stages: pd.DataFrame, distributional: pd.DataFrame, scaling: pd.DataFrame
) -> alt.LayerChart:
    """One menu, four measures of what label noise does: a line for each procedure over the noise rate.

    Args: tables of `studies.table`, and of chapter 2 the one of `stitching.table.by_stage`.
    """
    parts = [_gaps(rationality), _bottoms(stages), _returned(distributional), _losses(scaling)]
    rows = pd.concat([part for part in parts if len(part)], ignore_index=True).round(4)
    chosen = choose(None, "measure", rows.measure, "measure")
    said = {(m,): f"{part.says.iloc[0]}{_told(part)}" for m, part in rows.groupby("measure")}
    x = alt.X("noise:Q", title="share of noisy labels or words in training", axis=RATE)
    y = alt.Y("value:Q", title="measured", axis=alt.Axis(format="~g"))
    here = "datum.measure === dl_measure"
    tip = [*tips("who", "noise", value=".3f"), "seeds"]
    lines = (
        shown(rows, here)
        .mark_line(color=ROLES["chosen"], strokeWidth=2.2, point={"size": 40, "opacity": 1})
        .encode(x=x, y=y, detail="who:N", tooltip=tip)
    )
    words = shown(_ends(rows), here).mark_text(align="right", dx=-6, color=INK)
    words = words.encode(x=x, y=alt.Y("at:Q"), text="who:N")
    return finish(
        alt.layer(lines, words).properties(height=340, width="container"),
        name="noise-in-four",
        title=Saying((chosen,), said, "What noise does, in four measures"),
        subtitle="Means over seeds of recorded runs.",
        description="For the chosen measure, a line for each procedure over the share of noisy labels or words: the memorization gap of "
        "chapter 1, the stitching excess of chapter 2, the rate at which test outputs return the noise of chapter 3, and the "
        "loss of chapter 4 relative to clean pairs.",
        rows=rows[["measure", "who", "noise", "value", "seeds"]],
        controls=[chosen],
    )


def _told(rows: pd.DataFrame) -> str:
    """Returns the value of every line at the rate nearest to 40 % that all of them have, as the end of a sentence."""
    shared = rows.groupby("noise").who.nunique()
    shared = shared[(shared == rows.who.nunique()) & (shared.index > 0)].index
    if shared.empty:
        return " is recorded at no rate that all have in common"
    rate = min(shared, key=lambda r: abs(r - 0.4))
    at = rows[rows.noise == rate].sort_values("value", ascending=False)
    return f" at {percent(rate)} noise is " + ", ".join(f"{v:.2g} ({w})" for w, v in zip(at.who, at.value, strict=True))


def _ends(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the last point of every line with `at`, the height of its name: a little above it, and clear of the others'."""
    last = rows[rows.noise == rows.groupby(["measure", "who"]).noise.transform("max")].sort_values("value")
    spread = rows.groupby("measure").value.agg(lambda v: v.max() - v.min())
    heights = {}
    for measure, part in last.groupby("measure", sort=False):
        gap, below = 0.07 * spread[measure], -np.inf
        for i, value in part.value.items():
            heights[i] = below = max(value + gap / 1.5, below + gap)
    return last.assign(at=pd.Series(heights))


def _means(rows: pd.DataFrame, value: str, who: str) -> pd.DataFrame:
    found = rows.groupby([who, "noise"]).agg(value=(value, "mean"), seeds=("seed", "nunique")).reset_index()
    return found.rename(columns={who: "who"}).dropna()


def _gaps(t: pd.DataFrame) -> pd.DataFrame:
    rows = select(t, usual=True, dataset="mnist1d", objective=["supervised", "random", "simclr"])
    rows = rows[((rows.probe == "ridge") | (rows.objective == "supervised")) & (rows.noise > 0)]
    found = _means(rows, "memorization", "method")
    return found.assign(measure="1 memorization gap", says="The memorization gap on MNIST-1D")


def _bottoms(stages: pd.DataFrame) -> pd.DataFrame:
    rows = select(stages, dataset="mnist1d", usual=True, usual_width=True)
    share = rows.contrast.str.extract(r"^noise ([\d.]+)$")[0].astype(float).mask(rows.contrast == "seeds", 0.0)
    rows = rows.assign(noise=share).dropna(subset=["noise"])
    rows = rows[rows.depth == rows.groupby("architecture").depth.transform("max")]
    found = _means(rows.assign(net=rows.architecture.map(family)), "excess", "net")
    says = "The stitching excess at the last stage of bottoms taught random labels, MNIST-1D,"
    return found.assign(measure="2 stitching excess at the last stage", says=says)


def _returned(t: pd.DataFrame) -> pd.DataFrame:
    rows = select(t, usual=True, experiment="cyclic", dataset="digits", architecture=["knn", "mlp", "forest"])
    found = _means(select(rows, neighbours=1), "flip_rate_test", "family")
    return found.assign(
        measure="3 rate of the noise's label on test", says="The rate of the noise's label on test digits"
    )


def _losses(t: pd.DataFrame) -> pd.DataFrame:
    rows = select(t, curve="transduction", pairs=16384, arm=["baseline", "noise"])
    names = {"target": "wrong target words", "source_uniform": "wrong source words", "misaligned": "misaligned pairs"}
    cost = rows.loss / select(rows, arm="baseline").loss.mean()
    found = _means(rows.assign(cost=cost, what=rows.noise_kind.map(names)), "cost", "what")
    found = pd.concat([found.drop_duplicates("who").assign(noise=0.0, value=1.0), found], ignore_index=True)
    says = "The loss over that of clean pairs, synthetic language, 16,384 pairs,"
    return found.assign(measure="4 loss over that of clean pairs", says=says)


def what_similar_buys(stages: pd.DataFrame, stitching: pd.DataFrame) -> alt.LayerChart:
    """The stitching excess at mid-depth against how much worse the bottom is than the top, one dot a pair of networks.

    Args: stages: that of `stitching.table.by_stage`. stitching: that of `studies.table("stitching")`.
    """
    stages = stages.merge(stitching[["key", "bottom_error"]], on="key")
    rows = named(stages[stages.usual & stages.usual_width])
    rows = rows.assign(networks=rows.data + ", " + rows.architecture.map(family))
    middle = (rows.depth - 0.5).abs()
    rows = rows[middle == middle.groupby(rows.key).transform("min")].drop_duplicates("key")
    rows = rows.assign(worse=rows.bottom_error - rows.top_error)
    rows = rows[["networks", "pair", "seed", "worse", "excess"]].dropna().round(4)
    rows = rows[rows.groupby("networks").pair.transform("nunique") > 3]
    chosen = choose(None, "networks", rows.networks, "networks")
    fits = (
        "the stitch at mid-depth is the worse, the worse the bottom's own network is",
        "how good the bottom's own network is does not order the stitches at mid-depth",
    )
    said = {(n,): f"{n}: {order(own.worse, own.excess, *fits)}" for n, own in rows.groupby("networks")}
    x = alt.X("worse:Q", title="test error of the bottom's network minus that of the top", axis=alt.Axis(format="+.0%"))
    y = alt.Y("excess:Q", title="stitching excess at mid-depth", axis=alt.Axis(format="+.0%"))
    zero = single(zero=0).mark_rule(color=ROLES["null"])
    chart = alt.layer(
        zero.encode(y="zero:Q"),
        zero.encode(x="zero:Q"),
        shown(rows, "datum.networks === dl_networks")
        .mark_point(filled=True, size=50, opacity=1, color=ROLES["chosen"])
        .encode(x=x, y=y, tooltip=tips("pair", "seed", worse="+.3f", excess="+.3f")),
    ).properties(height=340, width="container")
    return finish(
        chart,
        name="what-similar-buys",
        title=Saying((chosen,), said, "How good the bottom's own network is, and how it fits"),
        subtitle="Left of the vertical line the bottom's network is the better one; below zero the stitch improves on the top.",
        description="One dot for every recorded pair of networks: how much larger the test error of the bottom's own network is than "
        "the top's, against what stitching at mid-depth costs beyond a self-stitch.",
        rows=rows,
        controls=[chosen],
    )
