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
# Each chapter asks one question of one kind of experiment. This page puts their recorded runs side by side, and lists what came
# after the thesis {cite}`bansal2022thesis`.
#
# :::{admonition} In three lines
# :class: slide
# - **Memorising and sampling.** Over the runs of chapter 1 at 20 % noise, the share of the noise that a procedure memorises and the
#   share of a {term}`sampler`'s loss that it suffers have a correlation of {glue:text}`synthesis/memorization-and-sampling`.
# - **Noise.** The same labels are learned by heart end to end and hardly noticed by a probe: a factor of
#   {glue:text}`synthesis/separation-cifar10`. What noise does depends on the procedure, not on the data alone.
# - **Similarity.** Equally good networks fit at mid-depth: the excess between seeds is {glue:text}`synthesis/stitching-excess`. The
#   last figure has the unequal ones.
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
glue("synthesis", claims.words(rows))

# %% tags=["hide-input"]
figures.memorising_and_sampling(tables["rationality"])

# %% [markdown]
# ## Memorising and sampling
#
# Chapter 1 measures memorization: how much a point's own wrong label costs it. Chapter 3 measures sampling: how often the noise comes
# back on new points. Take each as a share, of what an interpolator memorises and of what a sampler loses, and compare them across
# networks trained end to end and probes, {drive}`from little noise <memorising-and-sampling: noise=0.05>` {drive}`to much
# <memorising-and-sampling: noise=0.6>` and {drive}`at 90 % <memorising-and-sampling: noise=0.9>`, where the labels of ten classes are
# random. ResNet-18 on CIFAR-10 loses {glue:text}`synthesis/sampler-share-resnet18-20` of a sampler's loss at 20 % noise.
#
# The two need not go together. Forests interpolate, memorise everything and average it away on test: they exceed chapter 3's bound
# by {glue:text}`synthesis/forest-calibrated`. And the relation was found in runs that had been seen: it is a lead, not a test.
#
# ## One noise, four measures

# %% tags=["hide-input"]
figures.noise_in_four(tables["rationality"], stages, tables["distributional"], tables["scaling"])

# %% [markdown]
# - {drive}`Chapter 1 <noise-in-four: measure=1 memorization gap>`: what a wrong label costs its own point, end to end and for ridge
#   probes. Much of the difference is the probe: with an *untrained* network's features the factor on CIFAR-10 is still
#   {glue:text}`synthesis/separation-untrained-cifar10`.
# - {drive}`Chapter 2 <noise-in-four: measure=2 stitching excess at the last stage>`: wrong labels spoil the last layers of a network
#   more than its first: with half of the labels random, the last stage costs {glue:text}`synthesis/stitching-noisy-labels` more.
# - {drive}`Chapter 3 <noise-in-four: measure=3 rate of the noise's label on test>`: one nearest neighbour returns the noise at its own
#   rate, a forest votes it away, an MLP lies between.
# - {drive}`Chapter 4 <noise-in-four: measure=4 loss over that of clean pairs>`: noise in sentence pairs raises the loss. That it leaves
#   the exponent unchanged is {glue:text}`synthesis/noise-exponent-20-verdict`: {glue:text}`synthesis/noise-exponent-20` at 20 %.
#
# ## What *similar* buys

# %% tags=["hide-input"]
figures.what_similar_buys(stages, tables["stitching"])

# %% [markdown]
# "Good networks learn similar representations" has two halves. Equally good networks fit each other: the dots near the origin. (The
# small ResNets on Fashion-MNIST are an exception; their maps were not trained to the end, see chapter 2.) And the *better* plugs into
# the *worse*, at the lower left: a bottom trained on four times the data changes the top's error by
# {glue:text}`synthesis/stitching-more-data`.
#
# Neither half says that two networks that fit compute the same thing: how good the bottom's own network is already says much of how it
# will fit at mid-depth. Networks trained apart also agree as often as each is right, to within
# {glue:text}`synthesis/agreement-networks` (chapter 3). Among networks of one kind, does the last stage fit worse the more wrong labels
# it has memorised? Rank correlation: {glue:text}`synthesis/population-stitching`.
#
# ## What holds, what does not, what is open
#
# The claims that stand for the four findings, and their verdicts at our scale:
#
# - Simple probes memorise little: {glue:text}`synthesis/memorization-cifar10-verdict`. That this needs self-supervised features:
#   {glue:text}`synthesis/separation-untrained-cifar10-verdict`.
# - Networks of two seeds fit at mid-depth: {glue:text}`synthesis/stitching-connectivity-convnet-verdict`. At every stage, with the
#   best maps found: {glue:text}`synthesis/stitching-path-seeds-verdict`; networks of disjoint halves:
#   {glue:text}`synthesis/stitching-path-halves-verdict`.
# - Any interpolating classifier samples: {glue:text}`synthesis/forest-calibrated-verdict`.
# - One law predicts the loss from the data: {glue:text}`synthesis/published-512m-bansal-verdict`. With one exponent for all
#   architectures: {glue:text}`synthesis/published-shared-p-verdict`. Under noise, above a true bound:
#   {glue:text}`synthesis/noise-kl-exponent-20-verdict`.
#
# Open: why a network should sample to the degree that it memorises.
#
# All rows: {glue:text}`synthesis/verdicts`. {doc}`/book/new` lists the results that we did not find elsewhere.
#
# ## What came after 2022
#
# **Rationality.** Information bounds for single losses became much tighter {cite}`wang2023tighter`. Certificates for contrastive
# learning hold before any label is seen {cite}`vanelst2024tight,wasserer2026surrogate`. Encoders memorise inputs, which helps their
# probes {cite}`wang2024sslmem`.
#
# **Stitching.** Convergence was claimed for models of all kinds {cite}`huh2024platonic`; against a permutation null most of its
# global part disappears {cite}`groger2026aristotelian`. Representations can be compared without a trained map
# {cite}`moschella2023relative` and embeddings translated without pairs {cite}`jha2025harnessing`. New tests tell a fit from a
# coincidence {cite}`athanasiadis2025fula,smith2025functional`, and stitching reached large vision models {cite}`mai2026stitching`.
#
# **Distributional generalization.** *Tempered* overfitting was proved in several settings
# {cite}`mallinar2022benign,kornowski2023tempered,harel2024provable`, and agreement went on to predict accuracy under shift
# {cite}`baek2022agreement`.
#
# **Data scaling.** The direct successor puts data quality into a joint law and tests it on translation with injected noise
# {cite}`subramanyam2025scaling`. Choosing data can beat a power law {cite}`sorscher2022beyond`, and repeating them costs little at
# first {cite}`muennighoff2023scaling`. Much that looked like a law came from learning rates, from how parameters are counted and from
# schedules {cite}`porian2024resolving,pearce2024reconciling,hagele2024scaling`.
#
# ## The thesis, its reviews, its code
#
# - The thesis in [Harvard's DASH](https://nrs.harvard.edu/URN-3:HUL.INSTREPOS:37372168).
# - Reviews and replies on OpenReview: [rationality](https://openreview.net/forum?id=Srmggo3b3X6),
#   [stitching](https://openreview.net/forum?id=ak06J5jNR4), [distributional generalization](https://openreview.net/forum?id=iQxS0S9ir1a),
#   [data scaling](https://openreview.net/forum?id=AB2r0YKBSpD) (a submission with replies).
# - Code of the authors: [deep bootstrap](https://github.com/preetum/deep-bootstrap-code) and the
#   [released table of chapter 1](https://github.com/yaminibansal/streamlit-apps).
