"""1. Does a gradient-boosted classifier reproduce the noise that it was trained on?"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier

from dlcore.metrics.distributional import feature_calibration, train_test_tv
from dlcore.noise import apply_confusion, confusion

x, y = load_digits(return_X_y=True)
law = confusion("asymmetric", 10, 0.3, flips={3: 5})  # 30 % of the threes are labelled five
noisy = apply_confusion(y[:900], law, seed=0).labels
model = HistGradientBoostingClassifier(max_iter=30, random_state=0).fit(x[:900], noisy)
train, predicted = model.predict(x[:900]), model.predict(x[900:])
found, on_train = (feature_calibration(y[s], p, law) for s, p in ((slice(900, None), predicted), (slice(900), train)))
passed_on = np.mean(predicted[y[900:] == 3] == 5)
print(f"fives among the test threes: {passed_on:.3f}; TV {found.tv:.3f}, a sampler {found.null_mean:.3f}")
print(train_test_tv(y[:900], train, y[900:], predicted, 10, 10).to_frame().round(3).to_string(index=False))
chart = found.plot(train=on_train)
