"""Tables of records -> Altair charts, the same in the page, Jupyter and Colab. Never imports torch.

The charts of a study are those that its package `figures` names; here they are side by side.
"""

from dlcore import studies
from dlcore.charts.shared import DATASETS
from dlcore.charts.theme import setup
from dlcore.figures.synthesis import memorising_and_sampling, noise_in_four, what_similar_buys

_CHARTS = {
    name: getattr(module, name)
    for module in (studies.part(study, "figures") for study in studies.STUDIES)
    for name in module.__all__
}
globals().update(_CHARTS)

__all__ = ["DATASETS", "memorising_and_sampling", "noise_in_four", "setup", "what_similar_buys", *_CHARTS]
