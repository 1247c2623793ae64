"""The charts of chapter 1; never import torch."""

from dlcore.studies.rationality.figures.certificates import bound_by_size, leverage, table_procedure
from dlcore.studies.rationality.figures.gaps import gap_decomposition, noise_sweep

# the figure of the page that shows what a claim is about: the first pattern that fits the claim's name
CLAIMS = {
    r"rrm-bound|interpolation-is-vacuous|gap-|augmented|transductive|learns|rationality-small|probe-leaves": "gap-decomposition",
    r"separation|memorization-(cifar10|at-paper|and-sampling)|flat|end-to-end|untrained-|sampler-share": "noise-sweep",
    r"memorization-certificate|memorization-falls|cluster": "bound-by-size",
    r"table-": "table-procedure",
}
