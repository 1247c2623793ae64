"""5. Label noise as the literature has it: what share of each kind differs from the clean label?"""

import altair as alt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix

from dlcore import noise

x, y = load_digits(return_X_y=True)
kinds = {kind: noise.confusion(kind, 10, 0.4) for kind in ("symmetric", "uniform", "pair")}
kinds["asymmetric"] = noise.confusion("asymmetric", 10, 0.4, flips={9: 1, 2: 0, 4: 7, 3: 5, 5: 3})
annotated = noise.flip_labels(y, 10, 0.2, seed=7).labels  # yours: an annotator's labels of the same points
kinds["annotator"] = noise.confusion_from_counts(confusion_matrix(y, annotated))
shares = {kind: noise.apply_confusion(y, law, seed=0).mask.mean() for kind, law in kinds.items()}
own = noise.instance_probabilities((x - x.mean()) / x.std(), y, 10, 0.4, seed=0)
shares["of instances"] = noise.apply_probabilities(y, own, seed=0).mask.mean()
print("\n".join(f"{kind:13} {np.round(share, 3)}" for kind, share in shares.items()))
chart = alt.Chart(pd.DataFrame({"kind": [*shares], "share": [*shares.values()]})).mark_bar().encode(x="share", y="kind")
