"""7. Your data and your classifier in chapter 3's study."""

import altair as alt
import numpy as np
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.ensemble import ExtraTreesClassifier

from dlcore import RecordStore, register
from dlcore.studies.distributional import Config

x, y = load_wine(return_X_y=True)  # yours
order = np.random.default_rng(0).permutation(len(y))
x, y = (x / x.std(0))[order], y[order]
np.savez("wine.npz", train_inputs=x[:120], train_labels=y[:120], test_inputs=x[120:], test_labels=y[120:])
register.architecture("single_trees", lambda seed: ExtraTreesClassifier(1, random_state=seed))
record = RecordStore("runs").load_or_run(Config(dataset="wine.npz", architecture="single_trees", noise=0.3))
metrics = {name: round(record.metrics[name], 3) for name in ("train_error", "tv", "null_mean")}
print(record.data["name"], metrics)
chart = alt.Chart(pd.DataFrame(metrics.items(), columns=["metric", "value"])).mark_bar().encode(x="value", y="metric")
