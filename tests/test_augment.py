"""Batched augmentation equals the same thing done image by image."""

import pytest
import torch

from dlcore.augment import crop_flip
from dlcore.models import network
from dlcore.training import TrainConfig, fit


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_every_result_is_a_shift_and_maybe_a_mirror_of_its_image(layout):
    images = torch.rand(60, 3, 7, 5, generator=_generator()).contiguous(memory_format=layout)
    out = crop_flip(images, _generator(1), padding=2)
    assert out.shape == images.shape
    assert out.is_contiguous(memory_format=layout)
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    kinds = set()
    for image, found in zip(padded, out, strict=True):
        options = {
            (dy, dx, m): (w.flip(2) if m else w)
            for dy in range(5)
            for dx in range(5)
            for m in (False, True)
            for w in [image[:, dy : dy + 7, dx : dx + 5]]
        }
        match = [k for k, v in options.items() if torch.equal(v, found)]
        assert match
        kinds.add(match[0])
    assert len(kinds) > 25, "samples of one batch must be treated differently"


def test_it_is_seeded_and_optional():
    images = torch.rand(8, 1, 6, 6)
    assert torch.equal(crop_flip(images, _generator(3)), crop_flip(images, _generator(3)))
    assert not torch.equal(crop_flip(images, _generator(3)), crop_flip(images, _generator(4)))
    assert torch.equal(crop_flip(images, _generator(), padding=0, flip=False), images)


def test_the_training_loop_takes_it():
    x, y = torch.rand(64, 1, 8, 8), torch.arange(64) % 2
    net = network("convnet", (1, 8, 8), 2, width=4, depth=2)
    plain, augmented = (
        fit(net, (x, y), TrainConfig(epochs=1, batch_size=32), augment=a).train_loss for a in (None, crop_flip)
    )
    assert plain != augmented


def test_bad_input():
    with pytest.raises(ValueError, match="images"):
        crop_flip(torch.rand(3, 5), _generator())
    with pytest.raises(ValueError, match="padding = 9"):
        crop_flip(torch.rand(3, 1, 5, 5), _generator(), padding=9)
