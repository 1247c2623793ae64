"""Charts of chapter 4: learning curves with their laws, and what the next pair is worth."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dlcore.charts.controls import Saying, choose, menu, pick
from dlcore.charts.layers import either, shown, single, tips
from dlcore.charts.shared import INK, LOG, Highlight, padded
from dlcore.charts.theme import ROLES, finish
from dlcore.charts.words import in_points
from dlcore.metrics.scaling import marginal_value
from dlcore.studies.scaling.readings import last_steps
from dlcore.studies.scaling.table import LAWS, CurveFit
from dlcore.summaries import select

CORPORA = {
    "transduction": "synthetic translation",
    "tatoeba_eng-deu": "Tatoeba English-German",
    "tatoeba_eng-fra": "Tatoeba English-French",
    "bible_eng-deu": "Bible English-German",
    "bansal2022": "Bansal et al., published",
}
# what a curve is compared for, and its role: the baseline is the control, noise is noise of the training labels
ARMS = {
    "baseline": "null",
    "architecture": "chosen",
    "width": "chosen",
    "training": "chosen",
    "noise": "train",
    "other": "null",
}
_BASELINE = ("2L2L", "clean")  # its architecture and its noise, as a highlight names them
PAIRS = alt.Axis(format="~s", tickCount=6, labelOverlap=True)


def corpus_name(curve: str) -> str:
    """Returns the display name of the corpus of a curve."""
    name, mark, more = curve.partition(" ")
    return CORPORA.get(name, name) + mark + more


def choice(setting: str) -> str:
    """Returns a setting as a menu names it: by what makes it differ from the baseline.

    >>> choice("2L2L, target words 40 %"), choice("4L1L, clean"), choice("2L2L, clean, width 128")
    ('target words 40 %', '4L1L', '2L2L, width 128')
    """
    short = setting.replace("misaligned pairs", "misaligned")
    return short.replace(", clean", "") if ", clean" in short else short.removeprefix("2L2L, ")


def arm_colour(field: str = "arm") -> alt.Color:
    """Returns the colour encoding of the arms, the same in every chart; names stand beside the marks."""
    scale = alt.Scale(domain=list(ARMS), range=[ROLES[role] for role in ARMS.values()])
    return alt.Color(f"{field}:N", scale=scale, legend=None)


def _grid(sizes: np.ndarray) -> np.ndarray:
    return np.geomspace(sizes.min(), 4 * sizes.max(), 17)


def _short(values: np.ndarray, digits: int = 4) -> list[float]:
    return [float(f"{v:.{digits}g}") for v in values]


def _worth(values: dict[str, np.ndarray]) -> pd.DataFrame:
    # as many digits as are read there: the page is weighed
    return pd.DataFrame({name: _short(value, 4 if name == "pairs" else 3) for name, value in values.items()})


def _about(f: CurveFit) -> dict[str, object]:
    """Returns what the rows of a fit have in common."""
    found = {"data": corpus_name(f.curve), "setting": f.setting, "choice": choice(f.setting), "arm": f.arm}
    return found | {"law": LAWS[f.law], "exponent": f.fit.exponent, "knee": f.knee if np.isfinite(f.knee) else None}


def _curves(fits: Sequence[CurveFit]) -> pd.DataFrame:
    parts = []
    for f in fits:
        sizes = _grid(f.sizes)
        values = (sizes, f.predict(sizes), *f.band(sizes))
        columns = zip(("pairs", "fitted", "low", "high"), map(_short, values), strict=True)
        parts.append(pd.DataFrame(dict(columns)).assign(**_about(f)))
    return pd.concat(parts, ignore_index=True)


def _exponents(keys: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Returns the finding of every corpus and law: the baseline's exponent, and the range of those of other arms."""
    said = {}
    for key, part in keys.groupby(["data", "law"], sort=False):
        base = part[part.arm == "baseline"].exponent.dropna()
        own = (
            f"the exponent is {base.iloc[0]:.2f} for the baseline"
            if len(base)
            else "the baseline's exponent is not determined"
        )
        found = [f"{key[0]}, law {key[1]}: {own}"]
        for arm, name in (("architecture", "other architectures"), ("noise", "noise")):
            own = part[part.arm == arm].exponent.dropna()
            if len(own):
                low, high = f"{own.min():.2f}", f"{own.max():.2f}"
                found.append(f"{low} to {high} with {name}" if low != high else f"{low} with {name}")
        said[key] = ", ".join(found)
    return said


def learning_curves(rows: pd.DataFrame, fits: Sequence[CurveFit], highlight: Highlight = None) -> alt.LayerChart:
    """Loss against pairs for the baseline, an architecture and a kind of noise, with a law, floors and the counting learner.

    Args: rows of `table.derived` or `table.published_scaling`, fits of `table.scaling_fits` with bootstrap draws.
    """
    names = ["data", "setting", "choice", "arm", "pairs", "seed", "loss", "usable", "asymptote", "reference"]
    points = rows[rows.arm != "other"].assign(data=rows.curve.map(corpus_name), choice=rows.setting.map(choice))
    points = points.reindex(columns=names).round(dict.fromkeys(("loss", "asymptote", "reference"), 5))
    points["fitted_to"] = np.where(points.usable.astype(bool), "yes", "no")
    fits = [f for f in fits if f.arm != "other"]
    curves, keys = _curves(fits), pd.DataFrame([_about(f) for f in fits])
    floors = points.groupby(["data", "setting", "choice", "arm"], as_index=False).asymptote.mean().dropna()
    # no floor is known of translated-back pairs, and no exponent is claimed for them
    back = set(rows.setting[rows.noise_kind == "back_translation"]) if "noise_kind" in rows else set()
    floors = floors[~floors.setting.isin(back)]
    means = points.groupby(["data", "setting", "choice", "arm", "pairs"], as_index=False).reference.mean().dropna()
    points = points.drop(columns=["asymptote", "usable"])

    controls = [choose(highlight, "data", points.data, "data")]
    offered = [keys[["data", "law"]]]
    # the menu of data changes no other menu: begin with what most corpora have
    common = points.groupby("choice").data.nunique()
    named = ["datum.arm === 'baseline'"]
    for label, column, arms in (
        ("architecture", "model", ["architecture", "width", "training"]),
        ("noise", "kind", ["noise"]),
    ):
        own = select(points, arm=arms)
        if len(own):
            options = list(dict.fromkeys(own.choice))
            here = [o for o in options if o in set(own.choice[own.data == controls[0].value])] or options
            first = max(here, key=common.get)
            # the baseline, which has no such arm, is drawn in every state
            asked = (highlight or {}).get(label)
            asked = None if asked in _BASELINE else asked
            controls.append(menu(options, pick(highlight, label, options, first), label, f"dl_{column}", asked=asked))
            offered.append(own[["data", "choice"]].rename(columns={"choice": column}))
            named.append(f"datum.choice === dl_{column}")
    found = [LAWS[law] for law in LAWS if LAWS[law] in set(keys.law)]
    controls.append(choose(highlight, "law", found, "law"))
    here = f"datum.data === dl_data && ({' || '.join(named)})"

    x = alt.X("pairs:Q", title="training pairs D", scale=LOG, axis=PAIRS)
    scale = padded(12)
    y = alt.Y(
        "loss:Q", title="test loss, nats per target token", scale=scale, axis=alt.Axis(format=".2~f", tickCount=6)
    )
    colour = arm_colour()
    law = shown(curves.drop(columns=["knee", "exponent"]), f"{here} && datum.law === dl_law")
    tip = [*tips("setting", "pairs", "seed", loss=".4f"), "fitted_to"]
    fitted, unfitted = (shown(points, here, f"datum.fitted_to === '{answer}'") for answer in ("yes", "no"))
    # the curves fall, so the upper right corner is free
    who = shown(points[["data", "choice", "arm"]].drop_duplicates(), here)
    corner = [
        who.transform_filter(only)
        .mark_text(align="right", fontWeight=600, dx=-6)
        .encode(x=alt.value(alt.expr("width")), y=alt.value(14 + 17 * i), text="choice:N", color=colour)
        for i, only in enumerate(named)
    ]
    chart = alt.layer(
        *corner,
        law.mark_area(opacity=0.16, clip=True).encode(x=x, y=alt.Y("low:Q", scale=scale), y2="high:Q", color=colour),
        shown(floors, here)
        .mark_rule(strokeDash=[6, 4], strokeWidth=1.5)
        .encode(y="asymptote:Q", color=colour, tooltip=tips("setting:N", asymptote=".4f")),
        shown(means, here)
        .mark_line(strokeDash=[1.5, 3], strokeWidth=2)
        .encode(x=x, y="reference:Q", color=colour, detail="setting:N"),
        law.mark_line(strokeWidth=2.2).encode(
            x=x, y="fitted:Q", color=colour, detail="setting:N", tooltip=["setting:N", "law:N"]
        ),
        fitted.mark_point(filled=True, size=48, opacity=0.9).encode(x=x, y=y, color=colour, tooltip=tip),
        unfitted.mark_point(size=42).encode(x=x, y=y, color=colour, tooltip=tip),
    ).properties(width="container", height=360)
    return finish(
        chart,
        name="learning-curves",
        controls=controls,
        there=offered,
        title=Saying(
            tuple(c for c in controls if c.name in ("dl_data", "dl_law")),
            _exponents(keys[~keys.setting.isin(back)]),
            "Learning curves",
        ),
        subtitle="Dots: runs (hollow: not fitted). Line and band: the law, 95 %. Dashed: floor. Dotted: a learner that only counts.",
        description="Test loss against the number of training pairs on logarithmic axes: the baseline, one architecture and "
        "one kind of noise, each with the chosen law, its 95 per cent band continued to four times the data, the floor "
        "of the learner that is calibrated to such pairs, and the loss of a learner that only counts words.",
        rows=points,
    )


# column -> what a menu calls it
QUANTITIES = {
    "saving": "share of the loss removed by twice the data",
    "elasticity": "per cent of loss removed by 1 % more data",
    "nats": "nats removed by 1 % more data",
}


def _marginal(fits: Sequence[CurveFit]) -> pd.DataFrame:
    """Returns what more data brings along every fitted curve."""
    parts = []
    for f in fits:
        sizes = _grid(f.sizes)[:-1]
        slope = -np.asarray(marginal_value(f.fit, sizes).derivative) * sizes
        values = {"pairs": sizes, "saving": 1 - f.predict(2 * sizes) / f.predict(sizes)}
        values |= {"elasticity": slope / f.predict(sizes), "nats": 0.01 * slope}
        parts.append(_worth(values).assign(**_about(f)))
    return pd.concat(parts, ignore_index=True)


def _measured(fits: Sequence[CurveFit]) -> pd.DataFrame:
    """Returns what more data brought from each size to the next, without a law, in the middle of the two."""
    parts = []
    for (curve, setting), f in {(f.curve, f.setting): f for f in fits}.items():
        sizes = np.unique(f.sizes)
        losses = np.array([np.log(f.losses[f.sizes == s]).mean() for s in sizes])
        slope = -np.diff(losses) / np.diff(np.log(sizes))
        values = {"pairs": np.sqrt(sizes[1:] * sizes[:-1]), "saving": 1 - 2**-slope, "elasticity": slope}
        values["nats"] = 0.01 * slope * np.exp((losses[1:] + losses[:-1]) / 2)
        parts.append(_worth(values).assign(data=corpus_name(curve), setting=setting))
    return pd.concat(parts, ignore_index=True)


def _last_said(steps: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """Returns the finding of every corpus, setting and law: what twice the data brought at the end of the curve, and by the law."""
    return {
        (corpus_name(row.curve), row.setting, LAWS[row.law]): (
            f"From {row.smaller:,} to {row.larger:,} pairs, twice the data removed {in_points(1 - 2**-row.measured)} % of the loss; "
            f"by this law it removes {in_points(1 - 2**-row.predicted)} %"
        )
        for row in steps.itertuples()
    }


def marginal_value_of_data(fits: Sequence[CurveFit], highlight: Highlight = None) -> alt.LayerChart:
    """What the next pairs bring, for every setting of a corpus under a law, with knee and measured steps of the chosen one."""
    fits = [f for f in fits if f.law != "broken"]
    found = [_marginal(fits), _measured(fits).assign(law="measured")]
    rows = pd.concat(found, ignore_index=True).drop(columns="choice")
    keys = pd.DataFrame([_about(f) for f in fits])
    steps = last_steps(fits)
    late = steps[(steps.law == "bansal") & (steps.larger > steps.knee)]
    more = int((late.measured > late.predicted).sum())
    start = dict(highlight or {})
    data, kinds = list(dict.fromkeys(keys.data)), list(QUANTITIES.values())
    found = [name for name in LAWS.values() if name in set(keys.law)]
    settings = list(dict.fromkeys(keys.setting))
    first = pick(start, "data", data, data[0])
    own = list(dict.fromkeys(keys.setting[keys.data == first]))
    baseline = keys.setting[(keys.data == first) & (keys.arm == "baseline")]
    one, asked = pick(start, "setting", own, next(iter(baseline), own[0])), start.get("setting")
    controls = [choose(start, "data", data, "data"), menu(settings, one, "setting", "dl_setting", asked=asked)]
    controls += [choose(None, "law", found, "law"), choose(None, "quantity", kinds, "quantity")]
    here = "datum.data === dl_data && datum.law === dl_law"
    mine = "datum.setting === dl_setting"
    x = alt.X("pairs:Q", title="training pairs D", scale=LOG, axis=PAIRS)
    y = alt.Y("value:Q", title=None, scale=LOG, axis=alt.Axis(format="~g", tickCount=6))
    tip = tips("setting:N", pairs=",.0f", value=".3g")
    named = " : ".join(f"dl_quantity === '{text}' ? datum.{name}" for name, text in QUANTITIES.items())
    measured = f"datum.law === 'measured' && datum.data === dl_data && {mine}"
    base, dots = (
        shown(rows, test).transform_calculate(value=f"{named} : null").transform_filter("datum.value > 1e-6")
        for test in (here, measured)
    )
    knee = shown(keys, f"{here} && {mine} && isValid(datum.knee) && datum.knee < 1e10")
    # an axis title cannot follow a menu
    what = single(zero=0).transform_calculate(text="dl_quantity")
    what = what.mark_text(align="left", baseline="bottom", dy=-6, color=INK).encode(
        x=alt.value(0), y=alt.value(0), text="text:N"
    )
    chart = alt.layer(
        what,
        knee.mark_rule(strokeDash=[6, 4], color=ROLES["bayes"], strokeWidth=1.5).encode(
            x="knee:Q", tooltip=tips(knee=(",.0f", "knee 1/C"))
        ),
        base.mark_line().encode(
            x=x,
            y=y,
            color=arm_colour(),
            detail="setting:N",
            strokeWidth=either(mine, 3.5, 0.8),
            tooltip=tip,
        ),
        dots.mark_point(size=60, strokeWidth=1.8, color=ROLES["chosen"]).encode(x="pairs:Q", y="value:Q", tooltip=tip),
    ).properties(width="container", height=330)
    return finish(
        chart,
        name="marginal-value",
        controls=controls,
        there=keys,
        title=Saying((controls[0], controls[1], controls[2]), _last_said(steps), "What the next pairs bring"),
        subtitle=f"In {more} of {len(late)} curves that pass their knee, the last step brought more than the thesis's law says. Lines: the "
        "law, to four times the data. Circles: the chosen setting, measured from size to size. Dashed: its knee.",
        description="The value of more data against the number of pairs, on logarithmic axes, for every setting of the "
        "chosen corpus under the chosen law: share of loss removed by doubling, elasticity, or nats removed by one per "
        "cent more pairs. The chosen setting is bold, its knee is marked, and circles show what was measured from one size to the "
        "next. The subtitle counts the curves whose largest size lies beyond the knee.",
        rows=rows,
    )
