"""dlcore: training and metrics for an executable companion to a thesis on the empirical study of deep learning.

config, runtime        strict hashed configurations; device, precision, seeds
data, noise, models    data sets, label noise, networks with named stages and scikit-learn families
training               the one training loop, resumable
metrics                pure functions of arrays; no torch
studies                one per finding: Config, presets, run(config) -> Record
records, records/      immutable records of runs; those shipped with the package
claims, figures        the ledger of claims; tables -> Altair charts; no torch
lab                    live panels of ipywidgets, in JupyterLab and Colab
notebook, sweep        notebooks by papermill; a study over a grid: this machine, Dask, SLURM
__main__               python -m dlcore run | sweep | record | claims | data | doctor
"""

__version__ = "0.1.0"

# what an experiment needs, for one line of import; a name brings its module with it, and torch, only when it is used
_PUBLIC = {
    "dlcore.config": ("Config",),
    "dlcore.translation.task": ("Transduction",),
    "dlcore.metrics.distributional": ("feature_calibration",),
    "dlcore.models": ("Shape", "network", "seq2seq"),
    "dlcore.noise": ("apply_confusion", "cyclic_confusion", "flip_labels"),
    "dlcore.pretraining": ("features", "pretrain"),
    "dlcore.probing": ("probe_rationality", "rationality"),
    "dlcore.records": ("RecordStore",),
    "dlcore.translation.training": ("SequenceConfig", "fit_pairs", "token_loss"),
    "dlcore.stitching": ("penalty_curve", "stitch"),
    "dlcore.training": ("TrainConfig", "fit", "fit_many", "predict"),
}


def __getattr__(name: str) -> object:
    for module, names in _PUBLIC.items():
        if name in names:
            import importlib

            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'dlcore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *(name for names in _PUBLIC.values() for name in names)])
