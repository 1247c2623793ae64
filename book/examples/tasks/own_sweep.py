"""6. Any function over a grid: skipped when done, listed when failed, on all cores."""

import altair as alt
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from dlcore import flip_labels
from dlcore.sweep import sweep


def accuracy(neighbours, noise, seed):
    x, y = load_digits(return_X_y=True)
    noisy = flip_labels(y[:900], 10, noise, seed).labels
    return {"accuracy": KNeighborsClassifier(neighbours).fit(x[:900], noisy).score(x[900:], y[900:])}


if __name__ == "__main__":
    found = sweep(accuracy, {"neighbours": [1, 5, 15], "noise": [0.0, 0.3]}, seeds=2, workers=0, store="runs")
    print(found.table.groupby(["neighbours", "noise"]).accuracy.mean().unstack().round(3))
    chart = alt.Chart(found.table).mark_point().encode(x="noise", y="accuracy", color="neighbours:N")
