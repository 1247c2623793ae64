"""Numbers and words of chapter 4's sentences, by the name under which the page prints them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from dlcore.measures import Measured, two_digits, with_interval
from dlcore.metrics.scaling import equivalence
from dlcore.studies.scaling.claims import SYNTHETIC, TEXT, WIDE
from dlcore.studies.scaling.comparisons import counting_ratios, curve_ratios, paired_by_size
from dlcore.studies.scaling.readings import all_pairs, filtering, last_steps
from dlcore.studies.scaling.size import against_usual, joint_fit, widths
from dlcore.studies.scaling.table import LAWS, PUBLISHED, CurveFit, paired, setting_of
from dlcore.summaries import select
from dlcore.translation.bleu import bleu

BAND = 0.05
NONE = "no run"
NOISES = (
    *(f"noise-exponent-{rate}" for rate in (10, 20, 40)),
    *(f"{kind}-exponent" for kind in ("source-unigram", "source-uniform", "misaligned")),
)
ARCHITECTURES = tuple(f"architecture-exponent-{n}" for n in ("4l1l", "1l4l", "decoder-only", "lstm"))
NARROW = ("width-exponent-32", "width-exponent-16")
WIDES = {
    "clean": {},
    "noise": {"noise_kind": "target", "noise": 0.2},
    "decoder-only": {"architecture": "decoder_only"},
}


def outcome(m: Measured | None, low: float = -BAND, high: float = BAND) -> str:
    """Returns whether a criterion "outside of [low, high]" is met by an interval: "met", "not met" or "undecided".

    >>> outcome(Measured(0.2, 0.1, 0.3, 5)), outcome(Measured(0.0, -0.01, 0.01, 5)), outcome(Measured(0.06, 0.03, 0.1, 5))
    ('met', 'not met', 'undecided')
    """
    if m is None:
        return NONE
    if m.low > high or m.high < low:
        return "met"
    return "not met" if low <= m.low and m.high <= high else "undecided"


def within(first: Measured | None, second: Measured | None) -> str:
    """Returns where two intervals lie, as a sentence says it.

    >>> inside, across = Measured(0.0, -0.01, 0.01, 5), Measured(0.06, 0.03, 0.1, 5)
    >>> within(across, across), within(inside, across)
    ('both intervals cross its edge: undecided', 'the first interval lies inside it, the second crosses its edge: undecided')
    """
    one = {
        "not met": "lies inside it",
        "met": "lies outside it",
        "undecided": "crosses its edge: undecided",
        NONE: NONE,
    }
    both = {"not met": "lie inside it", "met": "lie outside it", "undecided": "cross its edge: undecided", NONE: NONE}
    a, b = outcome(first), outcome(second)
    return f"both intervals {both[a]}" if a == b else f"the first interval {one[a]}, the second {one[b]}"


def count(number: int, of: int) -> str:
    """Returns how many of a few there are, in words.

    >>> count(4, 4), count(0, 4), count(1, 4)
    ('all four', 'none of the four', 'one of the four')
    """
    words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    if number in (0, of) and of > 0:
        return f"all {words[of]}" if number else f"none of the {words[of]}"
    return f"{words[number]} of the {words[of]}"


def _interval(found) -> str:
    return with_interval(found.difference, found.low, found.high)


def _listed(names: Iterable[str]) -> str:
    """Returns names as a list in a sentence.

    >>> _listed(["a", "b", "c"]), _listed([])
    ('a, b and c', 'none')
    """
    *first, last = list(names) or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def numbers(
    measured: Mapping[str, Measured | None],
    rows: pd.DataFrame,
    published: pd.DataFrame,
    fits: Sequence[CurveFit],
    held: pd.DataFrame,
) -> dict[str, str]:
    """Returns what chapter 4's sentences glue beside the ledger: name -> text, "no run" where there is none.

    Args: what the ledger measured, by claim; rows of `table.derived` and `table.published_scaling`; fits of both, and their
        `readings.held_out_laws`.
    """
    found = _outcomes(measured) | _published(published)
    found |= _own(rows, fits) if len(rows) else {}
    return found | _held_out(held)


def _outcomes(measured: Mapping[str, Measured | None]) -> dict[str, str]:
    """Returns the outcomes of the criteria of falsification, and how many arms of noise exclude 0."""
    noise = [measured[n] for n in NOISES if measured[n]]
    text = [m for name, m in measured.items() if name.startswith("tatoeba-p-") and m]
    models = [outcome(measured[n]) for n in ARCHITECTURES if measured[n]]
    narrow = [f"{outcome(measured[n])} with {n.split('-')[-1]} units" for n in NARROW if measured[n]]
    slower, counted = measured["back-translation-exponent"], outcome(measured["reference-exponent"], 1 / 3, 1 / 3)
    # the criterion there is to keep the exponent: met by an interval inside of the band
    kept = {"met": "not met", "not met": "met"}
    return {
        "text-inside": count(sum(abs(m.value) <= BAND for m in text), len(text)).capitalize(),
        "text-beyond": count(sum(m.low < -BAND or m.high > BAND for m in text), len(text)),
        "wide-within": within(measured["architecture-exponent-decoder-only-wide"], measured["noise-exponent-20-wide"]),
        "noise-arms": str(len(noise)),
        "noise-up": str(sum(m.low > 0 for m in noise)),
        "noise-down": str(sum(m.high < 0 for m in noise)),
        "outcome-noise-10": outcome(measured["noise-exponent-10"]),
        "outcome-architectures": ", ".join(f"{w} in {models.count(w)}" for w in dict.fromkeys(models)) or NONE,
        "outcome-narrow": _listed(narrow) if narrow else NONE,
        "outcome-back-translation": kept.get(outcome(slower), outcome(slower)),
        "outcome-counting": "not met" if counted == "undecided" else counted,
    }


def _published(published: pd.DataFrame) -> dict[str, str]:
    pairs = all_pairs(published, BAND)
    beyond = pairs[pairs.difference.abs() > BAND]
    said = [f"{r.setting} against {r.baseline} ({two_digits(r.difference)})" for r in beyond.itertuples()]
    return {
        "pairs-inside": f"{int((pairs.verdict == 'equivalent').sum())} of {len(pairs)}",
        "pairs-beyond": _listed(said),
    }


def _span(values: pd.Series, form: str) -> str:
    return f"{values.min():{form}} to {values.max():{form}}" if len(values) else NONE


def _own(rows: pd.DataFrame, fits: Sequence[CurveFit]) -> dict[str, str]:
    own = rows[rows.curve == SYNTHETIC]
    synthetic = own[own.usable.astype(bool) & (own.arm != "training")]
    found = {"machines": _machines(rows), "longer-ran": _span(_steps_taken(rows), ".1f")}
    for name, part in {"stopped": synthetic, "stopped-baseline": select(synthetic, arm="baseline")}.items():
        found[name] = f"{int((part.stopped == 'all steps').sum())} of {len(part)}" if len(part) else NONE
    beside = curve_ratios(own)
    for rate in (10, 20):
        one = select(beside, setting=setting_of(own, noise_kind="target", noise=rate / 100))
        found[f"noise-ratio-{rate}"] = f"{one.ratio.iloc[-1]:.2f}" if len(one) else NONE
    return found | _wide(rows, fits) | _text(rows, fits) | _back_translation(rows) | _size(rows) | _filter(rows)


def _steps_taken(rows: pd.DataFrame) -> pd.Series:
    """Returns, by pairs, the steps run by the baseline that may take twice the steps, over those of the usual one."""
    own = rows[rows.curve == SYNTHETIC]
    ran = own.pivot_table(index="pairs", columns="setting", values="steps_run")
    twice, usual = setting_of(own, longer=True), setting_of(own)
    return (ran[twice] / ran[usual]).dropna() if twice in ran and usual in ran else pd.Series(dtype=float)


def _machines(rows: pd.DataFrame) -> str:
    """Returns which runs were made where, from the records."""
    names, said = {SYNTHETIC: "synthetic task", TEXT: "real text", WIDE: "512 units"}, []
    for device, part in rows.groupby("device"):
        kind, _, model = device.partition(": ")
        each = []
        for curve, one in part.groupby("curve", sort=False):
            counts = one.groupby("arm", sort=False).size()
            each.append(f"{names.get(curve, curve)}: {', '.join(f'{arm} {n}' for arm, n in counts.items())}")
        where = f"{'a CPU' if kind == 'cpu' else 'a GPU'} ({model})" if model else kind
        said.append(f"{len(part)} on {where}, of the {'; of the '.join(each)}")
    return ". ".join(said)


def _wide(rows: pd.DataFrame, fits: Sequence[CurveFit]) -> dict[str, str]:
    """Returns what 512 units give: misfits of the known floor, differences without a law, and the last elasticities."""
    here, ratios = rows[rows.curve == WIDE], counting_ratios(rows)
    known = {f.setting: f.fit for f in fits if (f.curve, f.law) == (WIDE, "known")}
    steps = last_steps([f for f in fits if (f.curve, f.law) == (WIDE, "bansal")])
    direct = paired_by_size(here)
    found = {f"wide-{arm}": str(direct.sizes[direct.arm == arm].sum()) for arm in ("architecture", "noise")}
    for name, fields in WIDES.items():
        setting = setting_of(here, **fields)
        ratio, last, apart = (select(table, setting=setting) for table in (ratios, steps, direct))
        late = ratio.ratio[ratio.pairs >= 2**16]
        found[f"ratio-{name}"] = f"{late.iloc[0]:.2f} to {late.iloc[-1]:.2f}" if len(late) > 1 else NONE
        if name == "clean":
            found["ratio-first"] = f"{ratio.ratio.iloc[0]:.1f}" if len(ratio) else NONE
        else:
            found[f"direct-{name}"] = _interval(apart.iloc[0]) if len(apart) else NONE
        found[f"rmsle-{name}"] = two_digits(known[setting].rmsle) if setting in known else NONE
        found[f"last-{name}-measured"] = two_digits(last.measured.item()) if len(last) else NONE
        found[f"last-{name}-law"] = two_digits(last.predicted.item()) if len(last) else NONE
    return found


def _size(rows: pd.DataFrame) -> dict[str, str]:
    """Returns the other joint law's misfit, what the base's learning rate makes of narrow models, and what more steps leave."""
    own = rows[rows.curve == SYNTHETIC]
    found = {f"size-untuned-{width}": _moved(rows, "known", width=width, learning_rate=0.003) for width in (16, 32)}
    wider = rows[rows.width > widths(rows).width.min()]
    for name, fit in {"hoffmann": joint_fit(rows, "hoffmann"), "misfit-wider": joint_fit(wider)}.items():
        found[f"size-{name}"] = two_digits(fit.rmsle) if fit else NONE
    beside = select(curve_ratios(own), setting=setting_of(own, width=32))
    ends = [f"{r.ratio:.2f} at {r.pairs:,}" for r in beside.iloc[[0, -1]].itertuples()] if len(beside) else []
    found["size-ratio"] = " pairs and ".join(ends) or NONE
    half = against_usual(rows, learning_rate=0.0015)
    found["size-half-rate"] = _listed([f"{r.ratio:.2f} at {r.pairs:,} pairs" for r in half.itertuples()] or [NONE])
    longer = against_usual(rows, longer=True)
    last = longer[longer.pairs == longer.pairs.max()].groupby("width").ratio.mean()
    found["size-steps"] = _listed([f"{ratio:.2f} of it with {width} units" for width, ratio in last.items()] or [NONE])
    return found


def _filter(rows: pd.DataFrame) -> dict[str, str]:
    """Returns what a filter finds and drops by mistake, over sizes, and by how much its loss misses that of the pairs left."""
    table = filtering(rows)
    if table.empty:
        return dict.fromkeys(("filter-recall", "filter-alarm", "filter-left"), NONE)
    off = np.log(table.filtered / table.left)
    found = {"recall": (table.recall, ".1%"), "alarm": (table.false_alarm, ".1%"), "left": (off, "+.1%")}
    return {f"filter-{name}": _span(*how) for name, how in found.items()}


def _text(rows: pd.DataFrame, fits: Sequence[CurveFit]) -> dict[str, str]:
    """Returns the last local slopes on real text, in how many settings they fell, and how often C of the law is 0."""
    found = {"text-slopes": NONE, "text-fell": NONE, "text-zero": NONE}
    own = rows[rows.curve == TEXT]
    loss, base = own.groupby(["setting", "pairs"]).loss.mean(), setting_of(own)
    if loss.empty:
        return found
    logs = np.log(loss.unstack(0).sort_index()).dropna()
    slopes = -logs.diff().div(np.diff(np.log(logs.index), prepend=np.nan), axis=0).iloc[-2:]
    laws = [f.fit.parameters["C"] for f in fits if f.curve == TEXT and f.law == "bansal"]
    if len(logs) > 2 and base in slopes:
        found["text-slopes"] = ", then ".join(f"{v:.3f}" for v in slopes[base])
        found["text-fell"] = f"{int((slopes.iloc[1] < slopes.iloc[0]).sum())} of {slopes.shape[1]}"
    if laws:
        found["text-zero"] = f"{sum(c == 0 for c in laws)} of {len(laws)}"
    return found


def _back_translation(rows: pd.DataFrame) -> dict[str, str]:
    back = {"noise_kind": "back_translation", "reverse_width": 64}
    found = {f"back-p-{n}": _moved(rows, "bansal", **back, reverse_pairs=n) for n in (1024, 4096)}
    return found | {"noise-40-power": _moved(rows, "power", noise_kind="target", noise=0.4)}


def _moved(rows: pd.DataFrame, law: str, **fields) -> str:
    """Returns by how much a setting moves the exponent of the clean baseline under a law, on common sizes."""
    own = rows[rows.curve == SYNTHETIC]
    pair = paired(own, law, setting_of(own, **fields), setting_of(own))
    return _interval(equivalence(pair[0].fit, pair[1].fit, band=BAND, alpha=0.025)) if pair else NONE


def _held_out(table: pd.DataFrame) -> dict[str, str]:
    """Returns the mean held-out errors: of the published points by law, of our own corpora of the thesis's law and the best."""
    found = {}
    for curve, name in {PUBLISHED: "published", SYNTHETIC: "own", WIDE: "wide", TEXT: "text"}.items():
        cells = table.set_index("law")[curve] if curve in table else pd.Series(dtype=str)
        # means over different curves do not compare
        whole = [c.split(" ")[1] for law, c in cells.items() if law == LAWS["bansal"] and c]
        errors = {law: float(c.split(" ")[0]) for law, c in cells.items() if c and c.split(" ")[1] in whole}
        best = min(errors, key=errors.get) if errors else NONE
        found |= {f"held-{name}-best": best, f"held-{name}-least": two_digits(errors[best]) if errors else NONE}
        found[f"held-{name}-thesis"] = two_digits(errors[LAWS["bansal"]]) if LAWS["bansal"] in errors else NONE
    return found


def signature(tokenize: str) -> str:
    """Returns sacrebleu's signature of the BLEU of a tokenization as installed here, or what is missing."""
    try:
        return bleu(["a"], ["a"], tokenize=tokenize).signature
    except RuntimeError:
        return f"sacrebleu, tokenize {tokenize} (not installed here)"
