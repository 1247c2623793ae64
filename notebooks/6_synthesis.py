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
# # What the four findings say together
#
# Each chapter asks one question of one kind of experiment. This page puts their recorded runs side by side, and says what came after
# the thesis {cite}`bansal2022thesis`.
#
# :::{admonition} In three lines
# :class: slide
# - **Memorising and sampling are one thing, measured twice.** Over all procedures of chapter 1 the {term}`memorization gap` and the clean
#   accuracy lost as a sampler have a correlation of {glue:text}`synthesis/memorization-and-sampling`.
# - **Label noise has no single effect.** It is learned by heart, averaged away or ignored, depending on the procedure; the data alone
#   do not decide which.
# - **Similar networks fit, unequal ones do not.** How a stitch does at mid-depth follows how good the bottom is by itself.
# :::

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

# %% tags=["hide-input"]
from dlcore.notebook import glue, setup

setup()

# %% tags=["hide-input"]
from dlcore import claims, figures, studies
from dlcore.records import RecordStore
from dlcore.studies.stitching.table import by_stage
from dlcore.summaries import FINDINGS

store = RecordStore()
records = {r.key: r for r in store.records("stitching") if r.config["preset"] in FINDINGS}
tables = {name: studies.table(name, store.table(name)) for name in ("rationality", "distributional", "scaling")}
tables["stitching"] = studies.table("stitching", store.table("stitching"), records=records)
stages = by_stage(tables["stitching"], {k: r.curves for k, r in records.items()})
rows = claims.shipped()
wanted = ("memorization-and-sampling", "sampler-share-resnet18-20", "separation-untrained-cifar10", "forest-calibrated")
wanted += (
    "stitching-noisy-labels",
    "stitching-more-data",
    "noise-exponent-20",
    "population-stitching",
    "agreement-networks",
)
for c in rows:
    if c.id in wanted:
        glue(f"synthesis/{c.id}", c.quoted, display=False)
glue("synthesis/verdicts", claims.told(rows), display=False)

# %% tags=["hide-input"]
figures.memorising_and_sampling(tables["rationality"])

# %% [markdown]
# ## Memorising and sampling
#
# Chapter 1 measures memorization: how much a point's own wrong label costs it. Chapter 3 measures sampling: how often the noise comes
# back on new points. Put as shares, of what an interpolator memorises and of what a sampler loses, they go together, across networks
# trained end to end and probes, {drive}`from little noise <memorising-and-sampling: noise=0.05>` {drive}`to much
# <memorising-and-sampling: noise=0.6>`; {drive}`at 90 % <memorising-and-sampling: noise=0.9>`, where the labels of ten classes are
# random, they do not. ResNet-18 on CIFAR-10 loses {glue:text}`synthesis/sampler-share-resnet18-20` of a sampler's
# loss at 20 % noise.
#
# It need not be so. Forests interpolate, memorise everything and average it away on test: they exceed chapter 3's bound by
# {glue:text}`synthesis/forest-calibrated`. And the relation was found in runs that had been seen: it is exploratory, a lead and no test.
#
# ## One noise, four measures

# %% tags=["hide-input"]
figures.noise_in_four(tables["rationality"], stages, tables["distributional"], tables["scaling"])

# %% [markdown]
# - {drive}`Chapter 1 <noise-in-four: measure=1 memorization gap>`: end to end, a wrong label is learned by heart; a ridge probe hardly
#   sees it. Much of that is the probe: with an *untrained* network's features the factor is still
#   {glue:text}`synthesis/separation-untrained-cifar10` on CIFAR-10.
# - {drive}`Chapter 2 <noise-in-four: measure=2 stitching excess at the last stage>`: a network that was taught wrong labels keeps useful
#   early layers and spoils its last ones: with half of the labels random the last stage costs
#   {glue:text}`synthesis/stitching-noisy-labels` more than the first.
# - {drive}`Chapter 3 <noise-in-four: measure=3 rate of the noise's label on test>`: one nearest neighbour returns the noise at its own
#   rate, a forest votes it away, an MLP lies between.
# - {drive}`Chapter 4 <noise-in-four: measure=4 loss over that of clean pairs>`: noise in sentence pairs multiplies the loss. Whether it
#   also turns the exponent is undecided: {glue:text}`synthesis/noise-exponent-20` at 20 %.
#
# ## What *similar* buys

# %% tags=["hide-input"]
figures.what_similar_buys(stages, tables["stitching"])

# %% [markdown]
# "Good networks learn similar representations" has two halves. That equally good networks fit each other shows in the dots near the
# origin (but for the small ResNets on Fashion-MNIST, whose maps are not trained out: chapter 2). That the *better* plugs into the *worse* shows at the lower left: a bottom trained on four times the data changes the top's
# error by {glue:text}`synthesis/stitching-more-data`. What neither half says is that a fit means the same computation: at mid-depth the
# quality of the bottom by itself already says much of how it will fit. Networks trained apart also agree as often as each is right, to
# within {glue:text}`synthesis/agreement-networks` (chapter 3); whether pairs that memorise the same share of noise fit better than others
# is the question of a population of networks: {glue:text}`synthesis/population-stitching`.
#
# ## What holds, what does not, what is open
#
# - **Holds at our scale:** the bound of chapter 1 is small for simple probes; networks of two seeds fit at mid-depth; 1-NN samples; one
#   law describes loss against data.
# - **Does not:** that this needs self-supervision (an untrained network does most of it); that any interpolator samples; that one
#   exponent fits all published architectures.
# - **Open:** what noise does to the exponent; whether narrow networks are connected by better maps; why a network samples to the degree
#   that it memorises.
#
# All rows: {glue:text}`synthesis/verdicts`. {doc}`/book/new` lists the results that we did not find elsewhere.
#
# ## What came after 2022
#
# **Rationality.** Information bounds for single losses became much tighter {cite}`wang2023tighter`; contrastive learning got
# certificates before any label is seen {cite}`vanelst2024tight,wasserer2026surrogate`; encoders memorise inputs, and it helps their
# probes {cite}`wang2024sslmem`.
#
# **Stitching.** Convergence was stated for models of all kinds {cite}`huh2024platonic`, then measured against a permutation null, where
# most of the global part goes {cite}`groger2026aristotelian`. Representations became comparable without a trained map
# {cite}`moschella2023relative`, embeddings translatable without pairs {cite}`jha2025harnessing`; a fit was told from a coincidence
# {cite}`athanasiadis2025fula,smith2025functional`, and stitching reached large vision models {cite}`mai2026stitching`.
#
# **Distributional generalization.** *Tempered* overfitting was proved in several settings
# {cite}`mallinar2022benign,kornowski2023tempered,harel2024provable`, and agreement went on to predict accuracy under shift
# {cite}`baek2022agreement`.
#
# **Data scaling.** The direct successor puts data quality into a joint law and tests it on translation with injected noise
# {cite}`subramanyam2025scaling`. Choosing data can beat a power law {cite}`sorscher2022beyond`, repeating them costs little at first
# {cite}`muennighoff2023scaling`, and much that looked like a law was learning rates, counting and schedules
# {cite}`porian2024resolving,pearce2024reconciling,hagele2024scaling`.
#
# ## The thesis, its reviews, its code
#
# - The thesis in [Harvard's DASH](https://nrs.harvard.edu/URN-3:HUL.INSTREPOS:37372168).
# - Reviews and replies on OpenReview: [rationality](https://openreview.net/forum?id=Srmggo3b3X6),
#   [stitching](https://openreview.net/forum?id=ak06J5jNR4), [distributional generalization](https://openreview.net/forum?id=iQxS0S9ir1a),
#   [data scaling](https://openreview.net/forum?id=AB2r0YKBSpD) (a submission with its replies).
# - Code of the authors: [deep bootstrap](https://github.com/preetum/deep-bootstrap-code) and the
#   [released table of chapter 1](https://github.com/yaminibansal/streamlit-apps).
