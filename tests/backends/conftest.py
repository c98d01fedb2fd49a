"""Model folders for both backends."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests.small_exports import small_export, small_folder
from tests.small_model import IMAGE_SIZE, UNION_IMAGE_SIZE


@pytest.fixture(scope="session")
def torch_folder(tmp_path_factory):
    """A folder without a graph."""
    pytest.importorskip("torch")
    return shutil.copytree(small_folder(), tmp_path_factory.mktemp("torch_only") / "model")


@pytest.fixture(scope="session")
def onnx_folder(tmp_path_factory):
    """A folder with half-precision weights and the graph exported from them."""
    pytest.importorskip("onnxscript")
    return shutil.copytree(small_export(), tmp_path_factory.mktemp("with_graph") / "model")


def batch(lengths, seed=0):
    """Noise images and random sentences of these lengths, padded to the longest."""
    random = np.random.default_rng(seed)
    attend = np.arange(max(lengths)) < np.array(lengths)[:, None]
    ids = np.where(attend, random.integers(4, 8192, attend.shape), 1)
    images = [
        random.standard_normal((len(lengths), 3, side, side), dtype=np.float32)
        for side in (IMAGE_SIZE, UNION_IMAGE_SIZE)
    ]
    return images[0], images[1], ids.astype(np.int64), attend.astype(np.int64)


@pytest.fixture
def make_batch():
    return batch


def given(output):
    """Names and arrays of what a model says."""
    return [(name, array) for name, array in vars(output).items() if array is not None]
