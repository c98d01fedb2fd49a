from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import save_file

from rs2sam.models.weights.convert import convert
from rs2sam.models.weights.writing import follow_umask
from tests.models.weights.published import published_folder, published_state, tiny_model


@pytest.fixture(params=[0o022, 0o027, 0o077])
def mode(request) -> Iterator[int]:
    """What a new file gets under some mask."""
    before = os.umask(request.param)
    yield 0o666 & ~request.param
    os.umask(before)


def modes(folder):
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_weights_get_the_mode_of_other_new_files(mode, tmp_path):
    for name in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        save_file({"a": torch.zeros(1)}, tmp_path / name)
    (tmp_path / "config.json").touch(0o600)
    follow_umask(tmp_path)
    assert modes(tmp_path) == {
        "config.json": 0o600,
        "model-00001-of-00002.safetensors": mode,
        "model-00002-of-00002.safetensors": mode,
    }


def test_a_saved_model_can_be_read_by_whom_the_mask_allows(mode, tmp_path):
    tiny_model().save_pretrained(tmp_path / "model")
    assert modes(tmp_path / "model") == {"config.json": mode, "model.safetensors": mode}


def test_every_file_of_a_converted_folder_follows_the_mask(mode, tmp_path):
    source = published_folder(tmp_path / "source", published_state(tiny_model()))
    convert(source, tmp_path / "out")
    assert set(modes(tmp_path / "out").values()) == {mode}
    assert "model.safetensors" in modes(tmp_path / "out")
