from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from PIL import Image

from rs2sam.backends import PictureBackend
from rs2sam.backends.torch import TorchBackend
from rs2sam.errors import InvalidInputError
from rs2sam.models.device_images import device_images
from rs2sam.segmenter import Segmenter
from tests.small_model import small_processor, write_small_model

CPU = torch.device("cpu")
LEVEL = 1 / 255 / 0.224  # one level of 255, in units of the channel with the least deviation


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height, width):
    coarse = Image.fromarray(picture(5, 7))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    "rgb", [picture(64, 64), picture(50, 170), picture(200, 131), picture(7, 9), picture(150, 150), smooth(300, 90)]
)
def test_inputs_are_those_of_the_processor_within_one_level(rgb):
    processor = small_processor()
    exact = processor.images(rgb)
    found = device_images([rgb], processor.config, CPU)
    for ours, expected in zip(found, (exact.pixel_values, exact.union_pixel_values), strict=True):
        gap = np.abs(ours[0].numpy() - expected)
        assert gap.max() < 1.01 * LEVEL
        assert (gap > 0.01 * LEVEL).mean() < (0.01 if rgb.shape[0] == rgb.shape[1] else 0.2)


def test_pictures_of_different_sizes_keep_their_order():
    processor = small_processor()
    pictures = [picture(40, 60, 1), picture(64, 64, 2), picture(40, 60, 3)]
    together = device_images([*pictures, pictures[0]], processor.config, CPU)
    for row, rgb in enumerate([*pictures, pictures[0]]):
        for all_rows, alone in zip(together, device_images([rgb], processor.config, CPU), strict=True):
            assert torch.equal(all_rows[row], alone[0])


def test_mean_and_deviation_may_be_lists():
    config = small_processor().config
    lists = replace(config, image_mean=list(config.image_mean), image_std=list(config.image_std))
    ours, expected = (device_images([picture(8, 8, 1)], one, CPU) for one in (lists, config))
    assert torch.equal(ours[0], expected[0])


def test_what_is_no_picture_is_refused():
    with pytest.raises(InvalidInputError, match=r"received \(3, 4\) float64"):
        device_images([np.zeros((3, 4))], small_processor().config, CPU)


def test_a_backend_that_takes_pictures_gives_the_same_masks(tmp_path, monkeypatch):
    backend = TorchBackend.from_folder(write_small_model(tmp_path), "cpu")
    assert isinstance(backend, PictureBackend)
    assert not backend.takes_pictures
    pairs = [(picture(64, 64), "the ship"), (picture(90, 70), "a big red ship"), (picture(90, 70), "the ship")]
    expected = Segmenter(small_processor(), backend).segment_views(pairs)
    monkeypatch.setattr(TorchBackend, "takes_pictures", True)
    found = Segmenter(small_processor(), backend).segment_views(pairs)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.probability, theirs.probability, atol=0.02)


def test_mean_and_deviation_are_moved_once_and_serve_every_mode(monkeypatch):
    from rs2sam.models import device_images as module

    module._channels.cache_clear()
    moves = []
    tensor = torch.tensor
    monkeypatch.setattr(torch, "tensor", lambda *values, **options: moves.append(values) or tensor(*values, **options))
    config = small_processor().config
    with torch.inference_mode():
        first, _ = device_images([picture(64, 64)], config, CPU)
    second, _ = device_images([picture(64, 64)], config, CPU)
    assert len(moves) == 2
    assert torch.equal(first, second)
    assert (second.requires_grad_() * 2).sum().requires_grad
