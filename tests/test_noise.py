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
