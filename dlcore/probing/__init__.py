"""Simple classifiers on fixed features, fitted to many label vectors at once.

The noisy experiment of chapter 1 fits one probe to hundreds of label vectors on the same features. What the fits
share is computed once: the factorised normal matrix (ridge), the whitened features (logistic), the neighbours (k-NN).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlcore import lazy

if TYPE_CHECKING:
    from dlcore.probing.linear import Probed, UnconvergedWarning
    from dlcore.probing.probes import Rationality, noisy_draws, probe, probe_rationality, rationality

__all__ = [
    "PROBES",
    "Probed",
    "Rationality",
    "UnconvergedWarning",
    "noisy_draws",
    "probe",
    "probe_rationality",
    "rationality",
]
PROBES = ("ridge", "logistic", "mlp", "knn")
# what a probe does where no option says otherwise
DEFAULTS: dict[str, dict[str, Any]] = {
    "logistic": {"tolerance": 1e-5, "iterations": 500},
    "mlp": {"width": 256, "epochs": 60, "batch_size": 128, "learning_rate": 1e-3, "optimizer": "adam"},
}

__getattr__ = lazy.attributes(
    __name__,
    {
        "linear": ("Probed", "UnconvergedWarning"),
        "probes": ("Rationality", "noisy_draws", "probe", "probe_rationality", "rationality"),
    },
)
