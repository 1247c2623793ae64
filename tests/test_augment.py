"""Batched augmentation equals the same thing done image by image."""

import functools

import pytest
import torch
from torchvision.transforms import functional as tv

from dlcore import augment
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


COLOUR = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "probability": 1.0, "gray": 0.0}
STEPS = [
    crop_flip,
    augment.resized_crop,
    augment.affine,
    augment.colour_jitter,
    functools.partial(augment.blur, probability=1.0),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda f: getattr(f, "__name__", "blur"))
def test_every_sample_is_treated_differently_and_reproducibly(step):
    same = torch.rand(1, 3, 12, 12, generator=_generator()).expand(20, -1, -1, -1).contiguous()
    out = step(same, _generator(1))
    assert out.shape == same.shape
    assert len({tuple(v.flatten().tolist()) for v in out}) >= 18
    assert torch.equal(out, step(same, _generator(1)))


def _only(**changes):
    return {
        **dict.fromkeys(("brightness", "contrast", "saturation", "hue", "gray"), 0.0),
        "probability": 1.0,
        **changes,
    }


def test_colour_steps_equal_torchvision_one_at_a_time():
    images = 0.3 + 0.3 * torch.rand(5, 3, 6, 6, generator=_generator())  # away from 0 and 1, where the cut differs
    names = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}
    for name, spread in names.items():
        out = augment.colour_jitter(images, _generator(2), **_only(**{name: spread}))
        adjust = getattr(tv, f"adjust_{name}")
        for image, found in zip(images, out, strict=True):
            # the one factor that torchvision would need, found by looking; it must then explain every pixel
            best, width = 1.0, 0.4
            for _ in range(4):
                tries = torch.linspace(best - width, best + width, 21).tolist()
                best = min(tries, key=lambda f: (adjust(image, f) - found).abs().max().item())
                width /= 8
            torch.testing.assert_close(adjust(image, best), found, atol=2e-4, rtol=0)


def test_hue_keeps_gray_and_luma_and_gray_drops_colour():
    images = 0.4 + 0.2 * torch.rand(6, 3, 5, 5, generator=_generator())
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    turned = augment.colour_jitter(images, _generator(1), **_only(hue=0.5))
    torch.testing.assert_close((turned * luma).sum(1), (images * luma).sum(1), atol=1e-4, rtol=0)
    assert (turned - images).abs().amax((1, 2, 3)).min() > 1e-3
    plain = images[:, :1].expand(-1, 3, -1, -1).contiguous()
    torch.testing.assert_close(augment.colour_jitter(plain, _generator(1), **_only(hue=0.5)), plain, atol=1e-5, rtol=0)
    gray = augment.colour_jitter(images, _generator(1), **_only(gray=1.0))
    torch.testing.assert_close(gray, (images * luma).sum(1, keepdim=True).expand(-1, 3, -1, -1), atol=1e-5, rtol=0)
    untouched = augment.colour_jitter(images, _generator(1), **(COLOUR | {"probability": 0.0}))
    torch.testing.assert_close(untouched, images, atol=1e-6, rtol=0)


def test_one_channel_has_brightness_and_contrast():
    images = 0.3 + 0.2 * torch.rand(6, 1, 5, 5, generator=_generator())
    out = augment.colour_jitter(images, _generator(1), **COLOUR)
    # linear in the pixel: two moments say everything
    a = out.std((1, 2, 3)) / images.std((1, 2, 3))
    b = out.mean((1, 2, 3)) - a * images.mean((1, 2, 3))
    torch.testing.assert_close(out, a.view(-1, 1, 1, 1) * images + b.view(-1, 1, 1, 1), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        augment.colour_jitter(torch.rand(2, 2, 4, 4), _generator())


def test_crops_equal_a_crop_and_a_resize_of_each_image():
    images = torch.rand(8, 3, 16, 16, generator=_generator())
    whole = augment.resized_crop(images, _generator(1), scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=False)
    torch.testing.assert_close(whole, images, atol=1e-5, rtol=0)
    # a linear ramp stays linear: its slope is the crop's side, its middle is the crop's place
    ramp = torch.linspace(0, 1, 64).expand(200, 1, 64, 64).contiguous()
    out = augment.resized_crop(ramp, _generator(2), scale=(0.25, 0.25), ratio=(1.0, 1.0), flip=True)
    slope = out[:, 0, 10, 40] - out[:, 0, 10, 20]
    torch.testing.assert_close(slope.abs(), torch.full((200,), 20 * 0.5 / 63), atol=1e-4, rtol=0)
    assert 60 < (slope < 0).sum() < 140
    middle = out.mean((1, 2, 3))
    assert 0.24 < middle.min() < 0.3
    assert 0.7 < middle.max() < 0.76
    with pytest.raises(ValueError, match="scale"):
        augment.resized_crop(images, _generator(), scale=(0.5, 1.2))


def test_crops_of_a_seed_stay_and_lie_where_affine_grid_says():
    images = torch.rand(8, 3, 9, 14, generator=_generator())
    out = augment.resized_crop(images, _generator(3))
    draws = torch.rand(5, 8, generator=_generator(3))  # area, aspect, x, y, mirror: the order that recorded runs have
    area, aspect = 0.2 + 0.8 * draws[0], (3 / 4) ** (1 - 2 * draws[1])
    wide, high = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    zero = torch.zeros(8)
    x, y = (2 * draws[2] - 1) * (1 - wide), (2 * draws[3] - 1) * (1 - high)
    wide = torch.where(draws[4] < 0.5, -wide, wide)
    matrices = torch.stack([torch.stack([wide, zero, x], 1), torch.stack([zero, high, y], 1)], 1)
    grid = torch.nn.functional.affine_grid(matrices, [8, 3, 9, 14], align_corners=False)
    expected = torch.nn.functional.grid_sample(images, grid, align_corners=False)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("step", STEPS, ids=lambda f: getattr(f, "__name__", "blur"))
def test_the_memory_format_does_not_matter(step):
    images = torch.rand(4, 3, 9, 14, generator=_generator())
    last = images.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(step(last, _generator(1)), step(images, _generator(1)), atol=1e-6, rtol=0)


def test_affine_without_a_move_is_the_identity():
    images = torch.rand(3, 1, 8, 8)
    torch.testing.assert_close(augment.affine(images, _generator(), degrees=0, scale=(1, 1), shift=0), images)
    with pytest.raises(ValueError, match="scale"):
        augment.affine(images, _generator(), scale=(0, 1))


def test_blur_is_a_gaussian_filter():
    images = torch.rand(4, 2, 9, 14, generator=_generator())
    out = augment.blur(images, _generator(1), sigma=(0.8, 0.8), probability=1.0)
    torch.testing.assert_close(out, tv.gaussian_blur(images, [5, 5], [0.8, 0.8]), atol=1e-5, rtol=0)
    torch.testing.assert_close(augment.blur(images, _generator(1), probability=0.0), images)
    with pytest.raises(ValueError, match="probability = 2"):
        augment.blur(images, _generator(), probability=2)


def test_signals_move_as_mnist1d_moves_them():
    signals = torch.rand(50, 1, 40, generator=_generator())
    still = {"stretch": 0, "amplitude": 0, "slope": 0, "noise": 0}
    torch.testing.assert_close(augment.warp_signal(signals, _generator(), shift=0, **still), signals)
    moved = augment.warp_signal(signals, _generator(1), **still)
    assert (moved.mean(2) - signals.mean(2)).abs().max() < 1e-5, "a circular shift keeps the mean"
    scaled = augment.warp_signal(signals, _generator(1), shift=0, **{**still, "amplitude": 0.2})
    ratio = scaled / signals
    assert (ratio.amax(2) - ratio.amin(2)).max() < 1e-4
    assert ratio.min() > 0.79
    assert ratio.max() < 1.21
    assert ratio.amax() - ratio.amin() > 0.3
    tilted = augment.warp_signal(signals, _generator(1), shift=0, **{**still, "slope": 0.5}) - signals
    second = tilted.diff(dim=2).diff(dim=2)
    assert second.abs().max() < 1e-5
    assert tilted.abs().max() <= 0.2501
    with pytest.raises(ValueError, match="signals"):
        augment.warp_signal(torch.rand(3, 5), _generator())


def test_views_are_pairs_of_one_input():
    x = torch.arange(4.0).view(4, 1, 1).expand(-1, 1, 8).contiguous()
    view = augment.chain(functools.partial(augment.warp_signal, noise=0, slope=0), lambda v, g: v + 100)
    out = augment.two_views(view)(x, _generator())
    assert out.shape == (8, 1, 8)
    torch.testing.assert_close(((out[:4] - 100) > 0.5).float().mean((1, 2)), torch.tensor([0.0, 1, 1, 1]))
    assert not torch.equal(out[1:4], out[5:])
