"""IBM Model 1 against an independent EM, and the filter made of it on pairs whose noise is known."""

import numpy as np
import pytest

from dlcore.studies.scaling import corpora
from dlcore.translation.alignment import Model1, best
from dlcore.translation.noise import Noise
from dlcore.translation.sentence_pairs import Pairs, Ragged
from dlcore.translation.task import Transduction


def _slow_theta(pairs, iterations):
    """EM by loops over dictionaries, as the model is defined."""
    theta = {}
    for _ in range(iterations):
        made = {}
        for source, target in pairs:
            links = [-1, *source]
            for t in target:
                weights = [theta.get((s, t), 1.0) for s in links]
                for s, w in zip(links, weights, strict=True):
                    made.setdefault(s, {}).setdefault(t, 0.0)
                    made[s][t] += w / sum(weights)
        theta = {(s, t): v / sum(row.values()) for s, row in made.items() for t, v in row.items()}
    return theta


def test_theta_equals_a_slow_em():
    rng = np.random.default_rng(0)
    pairs = [(rng.integers(4, 9, rng.integers(1, 5)), rng.integers(4, 8, rng.integers(1, 6))) for _ in range(30)]
    model = Model1(iterations=4).fit(Pairs(*(Ragged.of(side) for side in zip(*pairs, strict=True))))
    slow = _slow_theta([(s.tolist(), t.tolist()) for s, t in pairs], 4)
    for (s, t), value in slow.items():
        place = np.searchsorted(model.keys, (s + 1) * model.size + t)
        assert model.theta[place] == pytest.approx(value, rel=1e-10)
    assert len(model.keys) == len(slow)


def test_scores_equal_the_definition():
    pairs = Pairs(Ragged.of([[4], [5], [4, 5]]), Ragged.of([[6], [7], [6, 7]]))
    model = Model1(iterations=20, smoothing=0.1).fit(pairs)
    overall = {t: model.frequency[t] for t in (6, 7)}
    theta = dict(zip(model.keys.tolist(), model.theta, strict=True))

    def one(sources, t):
        made = [0.9 * theta.get((s + 1) * model.size + t, 0.0) + 0.1 * overall[t] for s in (-1, *sources)]
        return np.log(np.mean(made) / overall[t])

    wanted = [one([4], 6), one([5], 6), (one([4, 5], 6) + one([4, 5], 7)) / 2]
    asked = Pairs(Ragged.of([[4], [5], [4, 5]]), Ragged.of([[6], [6], [6, 7]]))
    assert model.scores(asked) == pytest.approx(wanted)
    assert wanted[0] > wanted[1]


def test_what_is_not_known_says_nothing():
    model = Model1().fit(Pairs(Ragged.of([[4], [5]]), Ragged.of([[6], [7]])))
    overall, empty = model.frequency[6], dict(zip(model.keys.tolist(), model.theta, strict=True))[6]
    # the empty token still makes targets; the unknown one does by their frequency
    made = ((0.9 * empty + 0.1 * overall) + overall) / 2
    assert model.scores(Pairs(Ragged.of([[99]]), Ragged.of([[6]])))[0] == pytest.approx(np.log(made / overall))
    assert np.isfinite(model.scores(Pairs(Ragged.of([[99], []]), Ragged.of([[123], [123, 6]])))).all()


def test_the_filter_finds_misaligned_pairs_and_its_rates_are_counted():
    task = Transduction()
    train = task.sample(2000, noise=Noise("misaligned", 0.2))
    kept, rates = corpora.filter_misaligned(train, task.sample(1024, stream="reverse"), 0.8)
    bad = train.changed > 0
    assert len(kept) == 1600
    assert rates["filter_recall"] == pytest.approx(1 - (kept.changed > 0).sum() / bad.sum())
    assert rates["filter_false_alarm"] == pytest.approx(1 - (kept.changed == 0).sum() / (~bad).sum())
    assert rates["filter_recall"] > 0.9 > 0.1 > rates["filter_false_alarm"]
    # trusted pairs that tell nothing: words of targets against words of other sources
    order = np.random.default_rng(0).permutation(1024)
    trusted = task.sample(1024, stream="reverse")
    blind = Pairs(trusted.source, trusted.target.take(order))
    assert corpora.filter_misaligned(train, blind, 0.8)[1]["filter_recall"] < 0.4


@pytest.mark.parametrize(("iterations", "smoothing"), [(0, 0.1), (5, 0.0), (5, 1.0)])
def test_bad_settings(iterations, smoothing):
    with pytest.raises(ValueError, match="iterations"):
        Model1(iterations, smoothing)


def test_bad_use():
    empty = Pairs(Ragged.of([]), Ragged.of([]))
    with pytest.raises(ValueError, match="no pairs"):
        Model1().fit(empty)
    with pytest.raises(ValueError, match="after fit"):
        Model1().scores(empty)
    with pytest.raises(ValueError, match="share"):
        best(np.zeros(3), 0.0)
    assert best(np.zeros(3), 0.1).tolist() == [True, False, False]
