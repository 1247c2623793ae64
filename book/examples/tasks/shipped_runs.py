"""8. The recorded runs in a plot of your own; here the README's row of the cats that become objects."""

import altair as alt

import dlcore
from dlcore.metrics.statistics import mean_interval

where = {"experiment": "subgroup", "dataset": "cifar10", "architecture": "resnet", "preset": "laptop"}
runs = dlcore.load("distributional", feature=False, **where)
print(dlcore.columns("distributional").set_index("column").meaning["flip_rate_test"])
cats = runs[(runs.noise == 0.3) & (runs.n_train == 10000)].flip_rate_test
value, low, high, n = mean_interval(cats)
print(f"{value:.3f} [{low:.3f}, {high:.3f}], {n} runs")
chart = alt.Chart(runs).mark_point().encode(x="noise", y="flip_rate_test", tooltip=["seed", "n_train", "epochs"])
