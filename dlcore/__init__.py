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
__main__                    python -m dlcore run | sweep | record | export | claims | notebooks | data | doctor
"""

from typing import TYPE_CHECKING

from dlcore import lazy

if TYPE_CHECKING:  # for editors; at run time a name brings its module when it is first used
    from dlcore.config import Config as Config
    from dlcore.metrics.distributional import feature_calibration as feature_calibration
    from dlcore.models import network as network
    from dlcore.noise import apply_confusion as apply_confusion
    from dlcore.noise import cyclic_confusion as cyclic_confusion
    from dlcore.noise import flip_labels as flip_labels
    from dlcore.pretraining import features as features
    from dlcore.pretraining import pretrain as pretrain
    from dlcore.probing import probe_rationality as probe_rationality
    from dlcore.probing import rationality as rationality
    from dlcore.records import RecordStore as RecordStore
    from dlcore.stitching import penalty_curve as penalty_curve
    from dlcore.stitching import stitch as stitch
    from dlcore.studies import load as load
    from dlcore.studies.meanings import columns as columns
    from dlcore.training import TrainConfig as TrainConfig
    from dlcore.training import fit as fit
    from dlcore.training import fit_many as fit_many
    from dlcore.training import predict as predict
    from dlcore.translation.models import Shape as Shape
    from dlcore.translation.models import seq2seq as seq2seq
    from dlcore.translation.task import Transduction as Transduction
    from dlcore.translation.training import SequenceConfig as SequenceConfig
    from dlcore.translation.training import fit_pairs as fit_pairs
    from dlcore.translation.training import token_loss as token_loss

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
