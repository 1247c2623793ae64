"""Chapter 1, rationality: does a small generalization gap follow from what a procedure does with wrong labels?"""

from __future__ import annotations

from pathlib import Path

import torch

from dlcore import runtime
from dlcore.metrics import rationality as rr
from dlcore.records import Record
from dlcore.studies.rationality.config import NETWORK, Config
from dlcore.studies.rationality.noisy_experiment import end_to_end, measure, on_features, table_procedure


@runtime.single_precision()
def run(
    config: Config, *, checkpoint: Path | None = None, progress: bool = False, device: str | torch.device = "auto"
) -> Record:
    """Runs one procedure in the noisy experiment and returns its record.

    Metrics: accuracies, gaps and bounds are fractions, complexities nats. `train`, `test` after clean training;
    `train_noisy`, `noisy_train` against clean labels after noisy training, `train_on_noisy_labels` against the noisy
    ones; the gaps are signed, each with `_low` and `_high`. `bound_*` are the bounds on memorization: `sharp` from
    the 2 x 2 table with half of the published constant, `plug_in`, `miller_madow` and `jackknife` from C_dc with the published one.
    Experiment "table" adds `table_predicted` and `table_measured`.
    """
    options = {"checkpoint": checkpoint, "progress": progress, "device": device}
    source = config.load()
    about = {"name": source.name, "split": source.split, "checksum": source.checksum}
    where = runtime.device(device) if config.objective in (*NETWORK, "supervised") else torch.device("cpu")
    found = (
        end_to_end(config, source, options)
        if config.objective == "supervised"
        else on_features(config, source, options)
    )
    metrics, arrays = measure(found, source.test_labels, source.num_classes)
    if config.experiment == "table":
        more, arrays["table"] = table_procedure(config, source, options)
        metrics |= more
        metrics["table_predicted"] = rr.table_accuracy(
            metrics["train_noisy"], metrics["noisy_train"], config.noise, source.num_classes
        )
    curves = {"pretraining_loss": found.loss} if found.loss else {}
    return Record("rationality", config.to_dict(), metrics, curves, arrays, about, runtime.environment(where))
