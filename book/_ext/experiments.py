"""The directive `laboratory`: an experiment that the page itself runs, from the scripts of _static/lab."""

from __future__ import annotations

import html

from docutils import nodes
from docutils.parsers.rst import Directive

# name: title, and what can be done with it
EXPERIMENTS = {
    "rationality": (
        "Run it yourself: what do wrong labels cost, and how many are memorised?",
        "A simple classifier learns the digits under many draws of label noise, here in your browser. Choose features,"
        " classifier, penalty, noise and sample size; or watch a network memorise, end to end.",
    ),
    "stitching": (
        "Run it yourself: train two networks and join them",
        "Two small networks learn digits or signals from two seeds, here in your browser; the lower layers of one are joined to the"
        " upper layers of the other, at every layer.",
    ),
    "samplers": (
        "Run it yourself: does the noise come back?",
        "A classifier learns mislabelled digits or signals, here in your browser. Choose noise, classifier and sample size; see"
        " its answers fill in, where they lie among the recorded runs, and which example taught a wrong label.",
    ),
    "scaling": (
        "Run it yourself: fit your own learning curve",
        "Paste or drop rows of size and loss: four laws with intervals, what your data do not determine, and a sentence for a"
        " paper. Nothing leaves your machine.",
    ),
    "yours": (
        "Measure your own model",
        "Paste or drop rows of feature, prediction and label, or the features of two models: calibration with its null,"
        " agreement, alignment. Nothing leaves your machine.",
    ),
}


class Laboratory(Directive):
    """Places one experiment by its name; without scripts the page says what to run instead."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Returns the place that load.js fills."""
        name = self.arguments[0]
        if name not in EXPERIMENTS:
            raise self.error(f"no experiment is called {name!r}; there are: {', '.join(EXPERIMENTS)}")
        title, text = (html.escape(part) for part in EXPERIMENTS[name])
        root = "../" * self.state.document.settings.env.docname.count("/")
        place = (
            f'<section class="dl-lab" data-lab="{name}" aria-label="{title}"><p class="dl-lab-title">{title}</p>'
            f'<p class="dl-lab-sub">{text}</p><noscript><p>This needs scripts. In Python: <code>python -m dlcore run</code>.'
            f'</p></noscript></section><script defer src="{root}_static/lab/load.js"></script>'
        )
        return [nodes.raw("", place, format="html")]


def setup(app):
    """Adds the directive."""
    app.add_directive("laboratory", Laboratory)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
