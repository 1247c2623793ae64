"""Label noise: the rate that was asked for, never more classes than asked, always the mask."""

import numpy as np
import pytest
import torch

from dlcore import noise

RNG = np.random.default_rng(12)  # not the seed of the draws


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_flips_go_to_different_classes_uniformly_at_the_exact_rate(classes):
    labels = np.random.default_rng(0).integers(0, classes, 200_000)
    noisy = noise.flip_labels(labels, classes, 0.3, seed=1)
    assert np.array_equal(noisy.mask, noisy.labels != labels)
    assert abs(noisy.mask.mean() - 0.3) < 4 * np.sqrt(0.21 / labels.size)
    shift = (noisy.labels - labels)[noisy.mask] % classes
    counts = np.bincount(shift, minlength=classes)[1:]
    expected = counts.sum() / (classes - 1)
    assert ((counts - expected) ** 2 / expected).sum() < classes - 1 + 5 * np.sqrt(2 * (classes - 1) + 1)


def test_rate_zero_and_nested_levels():
    labels = np.arange(1000) % 7
    assert not noise.flip_labels(labels, 7, 0.0, 0).mask.any()
    low, high = (noise.flip_labels(labels, 7, r, 5).mask for r in (0.2, 0.6))
    assert (high >= low).all()


def test_tensors_are_accepted_and_the_input_is_untouched():
    labels = torch.arange(10) % 3
    noise.flip_labels(labels, 3, 0.9, 0)
    assert labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]


def test_confusion_identity_and_frequencies():
    labels = np.repeat(np.arange(3), 50_000)
    same = noise.apply_confusion(labels, np.eye(3), 0)
    assert np.array_equal(same.labels, labels)
    assert not same.mask.any()
    law = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    drawn = noise.apply_confusion(labels, law, 1).labels
    rounded = torch.tensor(law, dtype=torch.float32)
    assert (noise.apply_confusion(labels, rounded, 1).labels == drawn).mean() > 0.9999
    for row in range(3):
        share = np.bincount(drawn[labels == row], minlength=3) / 50_000
        assert np.abs(share - law[row]).max() < 4 * np.sqrt(0.25 / 50_000)
        assert (share[law[row] == 0] == 0).all()


def test_probabilities_of_each_sample():
    labels = np.repeat([0, 1], 20_000)
    kept = RNG.uniform(0.6, 1.0, 40_000)
    probabilities = np.full((40_000, 3), 0.0)
    probabilities[np.arange(40_000), labels] = kept
    probabilities[:, 2] = 1 - kept
    noisy = noise.apply_probabilities(labels, probabilities, 0)
    assert np.array_equal(noisy.mask, noisy.labels != labels)
    assert set(noisy.labels[noisy.mask]) == {2}
    for low in (0.6, 0.9):
        near = (kept >= low) & (kept < low + 0.1)
        assert 1 - noisy.mask[near].mean() == pytest.approx(kept[near].mean(), abs=0.02)
    # one law for all samples of a class is the confusion matrix
    law = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
    same = noise.apply_probabilities(labels, law[labels], 3)
    assert np.array_equal(same.labels, noise.apply_confusion(labels, law, 3).labels)


def test_the_mask_says_what_differs_from_the_labels_given():
    for law in (noise.cyclic_confusion(3, 0.4), [[0, 1], [0.5, 0.5], [1, 0]]):
        noisy = noise.apply_confusion([0, 1, 2, 2, 1, 0, 0], law, 0)
        assert np.array_equal(noisy.mask, noisy.labels != [0, 1, 2, 2, 1, 0, 0])


def test_a_matrix_of_as_many_rows_as_labels_is_taken_where_only_one_reading_is_left():
    finer = [[1, 0], [1, 0], [0, 1], [0, 1]]
    assert noise.apply_confusion([3, 2, 1, 0], finer, 0).labels.tolist() == [1, 1, 0, 0]
    assert noise.apply_confusion([1, 0], [[0, 1], [1, 0]], 0).labels.tolist() == [0, 1]


def test_a_few_labels_have_the_laws_of_their_classes():
    """Fewer than the matrix has rows, and not of every class."""
    finer = np.eye(2)[[0, 0, 1, 1, 1]]
    assert noise.apply_confusion([1, 1], finer, 0).labels.tolist() == [0, 0]
    assert noise.apply_confusion([0], np.roll(np.eye(3), 1, 1), 0).labels.tolist() == [1]
    assert noise.apply_confusion([2, 0, 2], np.roll(np.eye(3), 1, 1), 0).labels.tolist() == [0, 1, 0]
    assert noise.apply_confusion([3, 0], np.eye(4, dtype=int), 0).labels.tolist() == [3, 0]


def test_rounding_gives_no_class_a_share():
    assert noise._edges(np.array([[0.5, 0.5 - 1e-7, 0.0, 0.0], [0.0, 0.25, 0.0, 0.75]])).tolist() == [
        [0.5, 1.0, 1.0, 1.0],
        [0.0, 0.25, 0.25, 1.0],
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: noise.apply_confusion([0, 1, 1, 0], np.full((4, 2), 0.5), 0), r"\(2, 2\); .* use apply_probabilities"),
        (lambda: noise.apply_probabilities([0, 1], [[0.5, 0.5]], 0), "1 rows for 2 labels"),
        (lambda: noise.apply_probabilities([0, 2], np.full((2, 2), 0.5), 0), "labels holds 2, outside 0..1"),
        (lambda: noise.apply_probabilities([0, 1], [[0.5, 0.4], [0, 1]], 0), "probabilities row 0 sums to 0.9"),
        (lambda: noise.subgroup_confusion([0, 1], 2, [5], 0, 0.3), "flipped holds 5, outside 0..1"),
        (lambda: noise.subgroup_confusion([0, 1], 2, [1], 7, 0.3), "target holds 7, outside 0..1"),
        (lambda: noise.flip_labels([0, 3], 3, 0.1, 0), "labels holds 3, outside 0..2"),
        (lambda: noise.flip_labels([0, 1], 2, 1.0, 0), "rate = 1.0"),
        (lambda: noise.flip_labels([0.5], 2, 0.1, 0), "integers"),
        (lambda: noise.flip_labels([], 2, 0.1, 0), "empty"),
        (lambda: noise.flip_labels([0], 1, 0.1, 0), "two classes"),
        (lambda: noise.apply_confusion([0], [[0.5, 0.4]], 0), "row 0 sums to 0.9"),
        (lambda: noise.apply_confusion([0], [[1.5, -0.5]], 0), "non-negative"),
        (lambda: noise.subgroup_confusion([0, 1], 2, [0], 0, 0.3), "changes nothing"),
        (lambda: noise.sparse_confusion(10, 0.6, 0), "rate"),
        (lambda: noise.sparse_confusion(2, 0.1, 0), r"targets = 2 is outside 1\.\.1"),
        (lambda: noise.sparse_confusion(3, 0.1, 0, targets=0), r"targets = 0 is outside 1\.\.2"),
        (lambda: noise.subgroup_confusion([0, 1, 1], 2, [0, 1, 1], 0, 0.3), r"\[0, 1, 1\] names a fine class twice"),
        (lambda: noise.apply_confusion([0, 1, 2], np.eye(2), 0), r"labels holds 2, outside 0\.\.1"),
        (
            lambda: noise.apply_confusion([0, 1], [[8, 2], [3, 7]], 0),
            "row 0 sums to 10, not to 1; of counts .*_from_counts",
        ),
        (lambda: noise.apply_confusion([0, 1], [[70, 30], [10, 90]], 0), "row 0 sums to 100, not to 1"),
        (lambda: noise.apply_confusion([0, 1], [[0.7, 0.1], [0.3, 0.9]], 0), "row 0 sums to 0.8.*give the transpose"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_patterns_are_laws():
    for law in (
        noise.cyclic_confusion(10, 0.3),
        noise.sparse_confusion(10, 0.4, 0),
        noise.subgroup_confusion([0, 0, 1, 1], 2, [3], 0, 0.3),
    ):
        assert np.allclose(law.sum(1), 1)
        assert (law >= 0).all()
    sparse = noise.sparse_confusion(10, 0.3, 3)
    assert (np.count_nonzero(sparse, axis=1) <= 3).all()
    assert 1 - np.diag(sparse).mean() == pytest.approx(0.3, abs=0.03)


def _shares(given, noisy, classes):
    table = np.zeros((classes, classes))
    np.add.at(table, (given, noisy), 1)
    return table / table.sum(1, keepdims=True)


@pytest.mark.parametrize(
    ("kind", "options", "row"),
    [
        ("symmetric", {}, [0.1, 0.7, 0.1, 0.1]),
        ("uniform", {}, [0.075, 0.775, 0.075, 0.075]),
        ("pair", {}, [0, 0.7, 0.3, 0]),
        ("asymmetric", {"flips": {1: 0}}, [0.3, 0.7, 0, 0]),
    ],
)
def test_named_noise_has_the_rates_of_the_literature(kind, options, row):
    law = noise.confusion(kind, 4, 0.3, **options)
    assert law[1] == pytest.approx(row)
    labels = np.arange(80_000) % 4
    found = noise.apply_confusion(labels, law, seed=1)
    assert _shares(labels, found.labels, 4) == pytest.approx(law, abs=0.015)
    flipped = {"symmetric": 0.3, "pair": 0.3, "uniform": 0.225, "asymmetric": 0.075}[kind]
    assert found.mask.mean() == pytest.approx(flipped, abs=0.01)


def test_each_class_can_have_its_rate():
    law = noise.confusion("pair", 3, [0.0, 0.2, 0.5])
    assert law.tolist() == [[1, 0, 0], [0, 0.8, 0.2], [0.5, 0, 0.5]]


def test_noise_of_instances_has_its_rate_and_follows_the_features():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6000, 5)), rng.integers(0, 4, 6000)
    law = noise.instance_probabilities(x, y, 4, 0.3, seed=2)
    assert law.sum(1) == pytest.approx(1)
    own = 1 - law[np.arange(6000), y]
    assert own.mean() == pytest.approx(0.3, abs=0.005)
    assert own.std() == pytest.approx(0.1, abs=0.01)
    assert noise.apply_probabilities(y, law, seed=0).mask.mean() == pytest.approx(0.3, abs=0.02)
    # equal features of one class flip in the same proportions, others do not
    again = noise.instance_probabilities(np.ones((300, 5)), np.zeros(300, int), 4, 0.3, seed=2)
    shares = again[:, 1:] / again[:, 1:].sum(1, keepdims=True)
    assert np.ptp(shares, axis=0).max() < 1e-12
    assert np.ptp(law[y == 0][:, 1] / own[y == 0]) > 0.9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: noise.confusion("symetric", 3, 0.1), "did you mean 'symmetric'"),
        (lambda: noise.confusion("pair", 3, [0.1, 0.2]), "one for each of the 3 classes"),
        (lambda: noise.confusion("asymmetric", 3, 0.1), "which needs them"),
        (lambda: noise.confusion("asymmetric", 3, 0.1, flips={1: 1}), "change nothing"),
        (lambda: noise.confusion("asymmetric", 3, 0.1, flips={1: 5}), "outside 0..2"),
        (lambda: noise.confusion_from_counts([[1, 2], [0, 0]]), "class 1 was never annotated"),
        (lambda: noise.instance_probabilities([[1.0]], [0, 1], 2, 0.1, 0), "finite features"),
        (lambda: noise.replace_words([("a", "b")], [0.1, 0.2], 0), "one for each of the 1 pairs"),
    ],
)
def test_noise_that_is_none_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_words_can_be_swapped_and_pairs_have_rates():
    texts = [("a b", "cat sat")] * 2000
    found = noise.replace_words(texts, np.repeat([0.0, 0.5], 1000), seed=0, swaps={"cat": "dog"})
    assert found.changed[:1000].sum() == 0
    assert found.changed[1000:].mean() == pytest.approx(0.5, abs=0.05)
    assert {target for _, target in found.texts} == {"cat sat", "dog sat"}
    several = [(str(k), str(k)) for k in range(2000)]
    moved = noise.misalign(several, np.repeat([0.0, 0.5], 1000), seed=0).changed
    assert (moved[:1000].sum(), moved[1000:].mean()) == (0, pytest.approx(0.5, abs=0.05))


def test_symmetric_misalignment_is_without_the_own_target_and_uniform_with_it():
    texts = [(f"s {i}", "abc"[i % 3] if i % 2 else "a") for i in range(6000)]  # a 2/3, b and c 1/6 each
    own = np.array([t for _, t in texts])
    plain, without = (noise.misalign(texts, 0.5, 0, kind=kind) for kind in ("uniform", "symmetric"))
    share = {t: np.mean(own == t) for t in "abc"}
    assert plain.changed.mean() == pytest.approx(0.5 * (1 - sum(v**2 for v in share.values())), abs=0.02)
    assert without.changed.mean() == pytest.approx(0.5, abs=0.02)
    moved = [t for (_, t), was in zip(without.texts, own, strict=True) if was == "b" != t]
    assert np.mean([t == "a" for t in moved]) == pytest.approx(share["a"] / (1 - share["b"]), abs=0.05)
    # a draw that was another target already stays, and so do the sources
    kept = plain.changed == 1
    assert [t for t, k in zip(without.texts, kept, strict=True) if k] == [
        t for t, k in zip(plain.texts, kept, strict=True) if k
    ]
    larger = noise.misalign(texts, 0.6, 0, kind="symmetric").texts
    assert all(a == b for a, b, c in zip(larger, without.texts, without.changed, strict=True) if c)
    with pytest.raises(ValueError, match="every target is 'a'"):
        noise.misalign([("s", "a")] * 50, 0.5, 0, kind="symmetric")
    with pytest.raises(ValueError, match="unknown kind of noise 'symetric'; did you mean 'symmetric'"):
        noise.misalign(texts, 0.5, 0, kind="symetric")
