"""dlcore: training and metrics for an executable companion to a thesis on the empirical study of deep learning.

config, records, runtime    strict hashed settings; immutable records of runs; device, precision, seeds
data, noise, models         data sets, label noise, networks with named stages and scikit-learn families
training                    the one training loop, resumable
metrics                     pure functions of arrays; no torch
probing, stitching,         mechanisms: probes on many label vectors, two networks joined,
pretraining, translation    self-supervised encoders, sentence pairs and their models
studies                     one folder a finding: settings, experiment, grid, table, figures, claims, panel
claims, figures             the ledger of claims; tables -> Altair charts; no torch
lab, notebook, sweep        live panels; notebooks by papermill; a study over a grid: this machine, Dask, SLURM
__main__                    python -m dlcore run | sweep | record | claims | data | doctor
"""

from dlcore import lazy

__version__ = "0.1.0"

# what an experiment needs, for one line of import; a name brings its module with it, and torch, only when it is used
_PUBLIC = {
    "config": ("Config",),
    "metrics.distributional": ("feature_calibration",),
    "models": ("network",),
    "noise": ("apply_confusion", "cyclic_confusion", "flip_labels"),
    "pretraining": ("features", "pretrain"),
    "probing": ("probe_rationality", "rationality"),
    "records": ("RecordStore",),
    "stitching": ("penalty_curve", "stitch"),
    "studies": ("load",),
    "studies.meanings": ("columns",),
    "training": ("TrainConfig", "fit", "fit_many", "predict"),
    "translation.models": ("Shape", "seq2seq"),
    "translation.task": ("Transduction",),
    "translation.training": ("SequenceConfig", "fit_pairs", "token_loss"),
}
__getattr__ = lazy.attributes(__name__, _PUBLIC)


def __dir__() -> list[str]:
    return sorted([*globals(), *(name for names in _PUBLIC.values() for name in names)])
