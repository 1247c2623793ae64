"""What every column of the runs' tables means: settings in the words of their options, metrics in those below."""

from __future__ import annotations

import dataclasses

import pandas as pd

from dlcore import studies

_ALL = {
    "key": "name of the run: a hash of its settings",
    "group": 'recorded group of a shipped run, "" of a local one',
    "source": "shipped with the package, or local",
    "num_train": "training samples that were used",
    "num_test": "test samples",
    "device": "device and its model",
    "commit": "commit of the code that made the run",
    "split": "which rows are train and which are test",
    "seconds": "duration of the run",
    "created": "time of the run, UTC",
    "stopped": "why training ended",
}
_RATIONALITY = {
    "num_classes": "number of classes",
    "dimension_used": "columns of the features",
    "degrees_of_freedom": "effective degrees of freedom of the probe",
    "train": "accuracy on the training points after clean training",
    "test": "accuracy on test points after clean training",
    "test_after_noise": "accuracy on test points after noisy training, mean over draws",
    "test_after_noise_sd": "its standard deviation over draws",
    "flip_rate": "share of labels that the noise changed",
    "train_noisy": "Train(eta): accuracy of noisy training on all training points, clean labels",
    "noisy_train": "NTrain(eta): the same on the points whose label was changed",
    "train_on_noisy_labels": "accuracy of noisy training on the noisy labels themselves",
    "test_on_noisy_labels": "accuracy on equally noisy labels of test points, expected",
    "generalization": "train - test, signed",
    "robustness": "train - train_noisy, signed",
    "memorization": "train_noisy - noisy_train, signed",
    "rationality": "noisy_train - test, signed",
    "bound": "sum of the positive gaps, at least the generalization gap",
    "deviation_complexity_plug_in": "C_dc in nats, plug-in",
    "deviation_complexity_miller_madow": "C_dc in nats, Miller and Madow's correction",
    "deviation_complexity_jackknife": "C_dc in nats, jackknife",
    "bound_plug_in": "bound on memorization from the plug-in C_dc",
    "bound_miller_madow": "bound on memorization from the corrected C_dc",
    "bound_jackknife": "bound on memorization from the jackknifed C_dc",
    "bound_sharp": "bound on memorization from the 2 x 2 table, half the published constant",
    "bound_prediction": "bound on memorization from the prediction complexity",
    "table_measured": "accuracy of the procedure that puts test points into the training set",
    "table_measured_se": "its standard error over retrainings and test points",
    "table_rounds": "retrainings of that procedure",
    "table_predicted": "its accuracy by the identity from train_noisy and noisy_train",
}
_PLACES = {"first": "at the first stage", "mid": "at the middle stage", "last": "at the last stage"}
_KINDS = {
    "penalty": "error of the stitch - error of the top",
    "excess": "penalty - that of the top stitched to itself",
    "random_excess": "excess of an untrained bottom",
}
_STITCHING = {
    **{f"{kind}_{place}": f"{what}, {where}" for kind, what in _KINDS.items() for place, where in _PLACES.items()},
    "excess_max": "largest excess over all stages",
    "top_error": "test error of the top network",
    "bottom_error": "test error of the bottom network",
}
_DISTRIBUTIONAL = {
    "num_flip_test": "test points of the noisy features",
    "train_error": "error on the noisy training labels",
    "test_error": "error on the clean test labels",
    "test_accuracy_noisy": "expected accuracy on test labels with the training noise",
    "flip_rate_labels": "share of the noisy features' training labels that are the noise's target",
    "flip_rate_train": "share of their training points predicted as that target",
    "flip_rate_test": "share of their test points predicted as that target",
    "other_error": "test error on the features without noise",
    "other_same_error": "the same, on those with the clean label of the noisy ones",
    "null_mean": "tv of an exact sampler, mean",
    "null_q95": "tv of an exact sampler, 95 % quantile",
    "tv": "TV((L, f), (L, y)) on test points",
    "debiased": "max(0, tv - null_mean)",
    "low": "lower limit of tv (of gap where experiment is agreement)",
    "high": "upper limit of tv (of gap where experiment is agreement)",
    "tt_tv": "TV between (L, f) on train and on test",
    "tt_null_mean": "tt_tv of equal laws, mean",
    "tt_null_q95": "tt_tv of equal laws, 95 % quantile",
    "tt_debiased": "max(0, tt_tv - tt_null_mean)",
    "tt_p_value": "p-value of equal laws on train and test",
    "label_error": "test error on labels that are finer than L",
    "accuracy_a": "accuracy of the first classifier on fresh noisy labels",
    "accuracy_b": "accuracy of the second classifier on fresh noisy labels",
    "accuracy": "mean of the two accuracies",
    "agreement": "share of test points on which the two agree",
    "gap": "agreement - accuracy",
    "epochs_run": "epochs until training ended",
    "largest_train_test_excess": "largest tt_tv - tt_null_mean along training",
}
_SCALING = {
    "parameters": "number of parameters, embeddings included",
    "train_tokens": "target tokens of the training pairs",
    "tokens_seen": "target tokens in all training steps",
    "steps_run": "training steps until training ended",
    "changed_pairs": "share of the training pairs that the noise changed",
    "loss": "test loss in nats per target token",
    "loss_se": "its standard error over sentences",
    "train_loss": "training loss at the end",
    "dev_loss": "development loss of the model that was kept",
    "oracle": "loss of the true law on the same test pairs",
    "floor": "loss of a learner that is calibrated to the noisy pairs",
    "excess": "loss - oracle",
    "excess_se": "its standard error over sentences",
    "loss_word": "test loss per content word",
    "excess_word": "excess per content word",
    "reverse_dev_loss": "development loss of the back-translation model",
    "bleu": "BLEU, 0 to 100, of greedy translations of 200 sentences",
    "exact": "share of those that are exactly right",
    "reference": "loss of the count-based learner on the same pairs",
    "filter_recall": "share of the misaligned pairs that the filter dropped",
    "filter_false_alarm": "share of the intact pairs that the filter dropped",
}
_METRICS = {
    "rationality": _RATIONALITY,
    "stitching": _STITCHING,
    "distributional": _DISTRIBUTIONAL,
    "scaling": _SCALING,
}


def columns(study: str) -> pd.DataFrame:
    """Returns a row per column of a study's runs: `column`, `kind` (setting, metric, record) and `meaning`.

    A metric with intervals also has its limits, `NAME_low` and `NAME_high`, at 95 %.

    >>> columns("distributional").set_index("column").meaning["noise"]
    'rate at which the noisy labels are flipped'
    """
    fields = dataclasses.fields(studies.study(study).Config)
    rows = [(f.name, "setting", f.metadata["help"]) for f in fields]
    rows += [(name, "metric", meaning) for name, meaning in _METRICS[study].items()]
    rows += [(name, "record", meaning) for name, meaning in _ALL.items()]
    return pd.DataFrame(rows, columns=["column", "kind", "meaning"]).drop_duplicates("column", ignore_index=True)


def markdown() -> str:
    """Returns the page of all columns, `book/columns.md`."""
    parts = [
        "(columns)=\n# Every column of the runs\n",
        "A row is a run. `dlcore.load(STUDY)` gives a study's table, `dlcore.columns(STUDY)` the table below, `python -m dlcore "
        "export FILE.csv` all studies at once. Rates, errors, gaps and shares are fractions. A metric with an interval has its "
        "limits beside it, `NAME_low` and `NAME_high`, at 95 %. The settings' words are those of the options themselves.\n",
    ]
    for study in studies.STUDIES:
        parts.append(f"## {study}\n\n| column | kind | meaning |\n| --- | --- | --- |")
        lines = [
            f"| `{column}` | {kind} | {meaning.replace('|', chr(92) + '|')} |"
            for column, kind, meaning in columns(study).itertuples(index=False)
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)
