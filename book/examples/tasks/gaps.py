"""2. How much of a probe's generalization gap on fixed features is memorization?"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

from dlcore import rationality

x, y = load_digits(return_X_y=True)
features = np.maximum(x @ np.random.default_rng(0).normal(size=(64, 300)), 0)  # yours: a network's features
sets = features[:900], y[:900], features[900:], y[900:]
found = rationality(RidgeClassifier(), *sets, rate=0.1, draws=10, n_jobs=2)
print(found)
chart = found.plot()
