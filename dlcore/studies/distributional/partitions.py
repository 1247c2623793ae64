"""Ways to group the classes of a data set into the partitions L that chapter 3 asks about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Partition:
    """Ways to group a data set's fine classes: `binary` 0/1, `coarse` groups, `four` = two fine classes a side.

    `noisy` is the fine class of label 1 whose labels are flipped to 0 in the subgroup experiments. `four` holds
    two classes of label 0, then two of label 1, of which the first is the noisy one.
    """

    binary: tuple[int, ...]
    coarse: tuple[int, ...]
    noisy: int
    four: tuple[int, int, int, int]
    binary_names: tuple[str, str]


_DIGIT = Partition((1,) * 5 + (0,) * 5, (0, 1, 2, 2, 1, 3, 0, 1, 3, 3), 3, (7, 9, 3, 2), ("5 to 9", "0 to 4"))
PARTITIONS = {
    "digits": _DIGIT,
    "mnist": _DIGIT,
    "mnist1d": _DIGIT,
    # garments against shoes and bags; pullovers, which resemble coats and shirts, play the cats
    "fashion_mnist": Partition(
        (1, 1, 1, 1, 1, 0, 1, 0, 0, 0),
        (0, 1, 0, 0, 0, 2, 0, 2, 3, 2),
        2,
        (7, 9, 2, 4),
        ("accessory", "garment"),
    ),
    # the paper's animals against objects; the four classes are its ship, plane, cat, dog
    "cifar10": Partition(
        (0, 0, 1, 1, 1, 1, 1, 1, 0, 0), (0, 1, 2, 3, 2, 3, 2, 2, 0, 1), 3, (8, 0, 3, 5), ("object", "animal")
    ),
}
PARTITIONS["cifar10_full"] = PARTITIONS["cifar10"]
