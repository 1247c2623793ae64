"""4. Which law of model size and data size, and what is best for a budget?"""

import numpy as np

from dlcore.metrics.scaling import compute_optimal, report_joint

N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 1e10, 6), np.geomspace(1e8, 1e11, 6)))  # yours
loss = 1.8 + 480 * N**-0.35 + 2100 * D**-0.37
loss *= np.exp(0.003 * np.random.default_rng(0).normal(size=N.size))
loss[0] *= 1.05  # a run that went wrong
found = report_joint(N=N, D=D, loss=loss, bootstrap=100, delta=1e-3)
print(found)
fit = found.fits["hoffmann"]
best = compute_optimal(fit.without or fit, budget=1e21)  # without the runs off the law
print(fit.to_latex())
print(f"N {best.N.value:.3g} [{best.N.low:.3g}, {best.N.high:.3g}], {best.ratio.value:.3g} samples a parameter")
chart = fit.plot()
