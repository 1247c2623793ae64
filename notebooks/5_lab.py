# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The laboratory
#
# The experiments of the chapters, run by you. What stands in a frame runs in this page: it trains in your browser, on
# scikit-learn's digits or on MNIST-1D, and shows your run over the recorded ones.
#
# The panels need a kernel and train the chapters' own networks: choose noise, architecture, width, number of samples and
# seed, press *Run*, and watch the curve. A finished run joins the recorded ones as a diamond and stays in your local
# store. *Stop* ends a run at the next point of its curve and records nothing; *Run* goes on from there.
#
# > The book's page has no kernel. In place of the panels it shows charts of the recorded runs to explore. For the panels,
# > open the notebook in JupyterLab, or in Colab with the rocket button of the page.

# %% tags=["remove-cell"]
import sys

if "google.colab" in sys.modules:
    import subprocess

    REPOSITORY = ""
    if not REPOSITORY:
        raise RuntimeError(
            "Write the address of this notebook's repository between the quotes above, then run the cell again."
        )
    subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", f"git+{REPOSITORY}@main"])

# %% [markdown]
# With a seed of your own a run is new: the recorded ones have seeds 0 to 4. Records go to a local folder; name one to
# keep them with your work.

# %% tags=["parameters"]
records = ""
seed = 100

# %%
from dlcore.studies.rationality import Config

Config.from_parameters(seed=seed)  # a seed that is none is refused before the panels are loaded

from dlcore import lab
from dlcore.records import RecordStore

store = RecordStore(records or None)

# %% [markdown]
# Below the curve of each panel, your runs join the chart of the recorded ones. A **hollow** diamond is a run that differs
# from all of them in some setting; the line under the title names it. Compare such a run with care. Most settings take
# seconds to a minute on two cores, networks trained end to end on MNIST-1D some minutes. Settings that contradict each
# other are refused before anything is trained.

# %% [markdown]
# ## Rationality
#
# End to end (*supervised*), a network memorises the wrong labels; a probe on features that were learned without
# labels hardly does ({doc}`chapter 1 </notebooks/1_rationality>`). So expect a gap of a few points with *simclr* at
# any noise, and one of tens of points with *supervised*. Does a narrower network memorise less? Do fewer samples make
# the probe memorise more?
#
# :::{laboratory} rationality
# :::

# %%
lab.panel("rationality", store, seed=seed)

# %% [markdown]
# ## Stitching
#
# Two networks are trained, and at every stage three maps: the bottom into the top, the top into itself, and an
# untrained network into the top ({doc}`chapter 2 </notebooks/2_stitching>`). By the thesis two seeds are
# interchangeable, with an excess near zero at all depths. Teach the bottom 30 % random labels (*noise*), and predict where
# your curve runs between the recorded 10 and 50 %, and at which depth it leaves zero. Then give the top a quarter of the
# data (*top share*) and the bottom all of it: if better representations plug into worse networks, the excess falls below
# zero.
#
# :::{laboratory} stitching
# :::

# %%
lab.panel("stitching", store, seed=seed)

# %% [markdown]
# ## Distributional generalization
#
# Labels move from class $l$ to $l + 1$ with the noise rate, and a sampler lies on the dashed diagonal
# ({doc}`chapter 3 </notebooks/3_distributional_generalization>`). The thesis expects interpolating networks near that
# diagonal, not at zero, where the Bayes rule stays until half of the labels have moved. Does width move the network
# towards the sampler or towards the Bayes rule? Does the number of samples?
#
# :::{laboratory} samplers
# :::

# %%
lab.panel("distributional", store, seed=seed)

# %% [markdown]
# ## Data scaling
#
# A translation model is trained on $D$ pairs of a synthetic language whose entropy is known, so that only the loss
# above it counts ({doc}`chapter 4 </notebooks/4_data_scaling>`). On logarithmic axes, says the thesis, noise and
# architecture shift the line and hardly turn it. Run 128, 256 and 512 pairs at 40 % noise, and see whether your three
# diamonds keep their distance from the clean line. These sizes are the steep, early end of the curve, where the model is
# still learning the grammar; the recorded runs go further.
#
# :::{laboratory} scaling
# :::

# %%
lab.panel("scaling", store, seed=seed)

# %% [markdown]
# ## Yours
#
# The measures of the chapters on the answers or features of your own model; {doc}`Bring your own </book/own>` does the
# same in Python, and more.
#
# :::{laboratory} yours
# :::
