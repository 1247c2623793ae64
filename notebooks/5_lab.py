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
# # The live lab
#
# Train the networks of the chapters yourself: choose noise, architecture, width, number of samples and seed, press
# *Run*, and watch the curve. When the run ends, it joins the recorded ones as a diamond, and it stays in your local
# store. *Stop* ends a run after its epoch; nothing is recorded then, and *Run* goes on from there.
#
# > In the book's page no kernel runs, and in place of the panels there are charts of the recorded runs to explore. For the
# > panels, open the notebook in JupyterLab, or in Colab with the rocket button of the page.

# %% tags=["remove-cell"]
import sys

if "google.colab" in sys.modules:
    import subprocess

    subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", "git+https://github.com/OWNER/REPO@main"])

# %% tags=["hide-input"]
from dlcore import lab
from dlcore.records import RecordStore

# %% [markdown]
# A seed of your own makes a run of your own: the recorded ones have the seeds 0 to 4. Records go to a local folder; name
# one to keep them with your work.

# %% tags=["parameters"]
records = ""
seed = 100

# %%
store = RecordStore(records or None)

# %% [markdown]
# ## Rationality
#
# End to end (*supervised*), a network memorises the wrong labels; a probe on features that were learned without labels
# does not. Does a narrower network memorise less? Do fewer samples make the probe memorise more?

# %%
lab.panel("rationality", store, seed=seed)

# %% [markdown]
# ## Distributional generalization
#
# Labels move from class $l$ to $l + 1$ with the noise rate. A sampler lies on the dashed diagonal. Does width move the
# network towards the sampler, or towards the Bayes rule? And the number of samples?

# %%
lab.panel("distributional", store, seed=seed)
